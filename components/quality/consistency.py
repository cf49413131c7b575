"""Whether the tables of one curation fit each other: rows, products and rights, each row counted once."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pandas as pd

from components.core.params.curate import Curate
from components.core.params.task import Number
from components.core.schemas import HELD_OUT, SPLITS, Split
from components.curation.products import allocate, draws_of

RESERVED = r"(?i)tdm-reservation:\s*1\b|\b(?:noai|noindex)\b|no (?:ai|machine) (?:training|learning)"
"""In a listing's `rights`: its text may not be mined or trained on."""
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
SHARED_NUMBERS, SHARED_SHARE = 3, 0.75  # from which two texts of one brand, category and price are alike
ALIKE_MAX = 200  # rows of one brand, category and price that a scored row is compared with
REPEATED = r" as (\S+) \("  # the id in the reason of a duplicate that was rejected
DEVIATIONS = 4.0  # standard deviations that a share of products may be off by chance


def conflicts(listings: pd.DataFrame, items: pd.DataFrame, rejects: pd.DataFrame) -> pd.DataFrame:
    """Rows of the splits that should not be there: `id`, `title`, `split`, and why.

    `rights` is what the source states, of a row whose use is reserved; `rule` the rule that rejected it,
    where splits and rejects hold its id more often than the listings do. Null where it does not apply.
    """
    known = listings.reindex(columns=["id", "rights"]).fillna("").astype(str)
    reserved = known[known["rights"].str.contains(RESERVED)].drop_duplicates("id").set_index("id")["rights"]
    rule = rejects.drop_duplicates("id").set_index("id")["rule"]
    counted = pd.concat([items["id"], rejects["id"]]).value_counts()
    twice = counted.index[counted > known["id"].value_counts().reindex(counted.index).fillna(0)]
    rows = items[["id", "title", "split"]].assign(
        rights=items["id"].map(reserved), rule=items["id"].map(rule[rule.index.isin(twice)])
    )
    return rows[rows["rights"].notna() | rows["rule"].notna()].reset_index(drop=True)


def prices_of_texts(items: pd.DataFrame) -> pd.DataFrame:
    """Rows whose text stands in several rows: `id`, `title`, `split` and `prices`, how many that text has."""
    again = items[items["text"].duplicated(keep=False) & items["text"].notna()]
    prices = again.groupby("text")["target"].transform("nunique")
    return again[["id", "title", "split"]].assign(prices=prices).reset_index(drop=True)


def labels_of_texts(items: pd.DataFrame) -> pd.DataFrame:
    """`id`, `title` and `split` of each row, and `labels`: how many its text has, or its product where that
    has more; null where its target is.
    """
    labels = [items.groupby(key)["target"].transform("nunique") for key in ("text", "product")]
    given = pd.concat(labels, axis=1).max(axis=1).where(items["target"].notna())
    return items[["id", "title", "split"]].assign(labels=given)


def paraphrases(items: pd.DataFrame) -> pd.DataFrame:
    """Held-out rows that a row of another split describes in other words: `id`, `title`, `split`, and `of`,
    the id of that row.

    Brand, category and price are the same, and so are three quarters of the numbers in both texts, at least
    three: sizes, capacities and models, which a paraphrase has to keep.
    """
    columns = ["id", "title", "split", "of"]
    rows = items.dropna(subset=["text", "brand", "category", "target"])
    groups = rows.groupby([rows["brand"].astype(str).str.casefold(), "category", "target"])["split"]
    scored = rows["split"].isin(HELD_OUT)
    rows = rows[scored.groupby(groups.ngroup()).transform("nunique") > 1]
    keys = [rows["brand"].astype(str).str.casefold(), "category", "target"]
    pairs = [pair for _, group in rows.groupby(keys, sort=False) for pair in _alike(group)]
    return pd.DataFrame(pairs, columns=columns)


def _alike(group: pd.DataFrame) -> Iterator[tuple[str, str, str, str]]:
    """Of rows of one brand, category and price: each scored one and the first other that is alike."""
    numbers = [set(NUMBER.findall(text.replace(",", "."))) for text in group["text"]]
    scored = group["split"].isin(HELD_OUT).tolist()
    others = [place for place, is_scored in enumerate(scored) if not is_scored][:ALIKE_MAX]
    ids, titles, splits = (group[name].tolist() for name in ("id", "title", "split"))
    for place, is_scored in enumerate(scored):
        if not is_scored:
            continue
        for other in others:
            shared = len(numbers[place] & numbers[other])
            if shared >= max(SHARED_NUMBERS, SHARED_SHARE * len(numbers[place] | numbers[other])):
                yield ids[place], titles[place], splits[place], ids[other]
                break


def split_shares(
    items: pd.DataFrame, rejects: pd.DataFrame, section: Curate, gate_ids: frozenset[str]
) -> pd.DataFrame:
    """How far the share of the products in each split is from that of `section`, beyond chance: `split`,
    `share`, `expected`, `difference`.

    Products of one listing count, for which alone the shares of `section` hold (`products.allocate`): those
    of which a row is left that neither another one nor a reject repeats. Where price bands are thinned, which
    takes rows from the fitted splits only, the held-out ones are compared with each other and the fitted ones
    too. A listing in `gate_ids` is the gate's whatever its draw, and counts where its draw would put it.
    """
    repeated = rejects["reason"].astype(str).str.extract(REPEATED, expand=False)
    several = items["product"].isin(items["product"][items["id"].isin(repeated)])
    single = items[~several & ~items["product"].duplicated(keep=False)]
    ids = single["id"][single["id"].isin(gate_ids)]
    drawn = allocate(np.arange(len(ids)), draws_of(ids.tolist(), section.seed), section.shares)
    own = pd.Series([SPLITS[place] for place in drawn], ids.index, dtype=object)
    counts = (
        own.reindex(single.index).fillna(single["split"]).value_counts().reindex(list(SPLITS), fill_value=0)
    )
    fitted: list[Split] = [split for split in SPLITS if split not in HELD_OUT]
    rows = []
    for part in [list(HELD_OUT), fitted] if section.balance.strength else [list(SPLITS)]:
        products, wanted = int(counts[part].sum()), sum(getattr(section.shares, split) for split in part)
        for split in part:
            share, expected = counts[split] / max(products, 1), getattr(section.shares, split) / wanted
            chance = DEVIATIONS * (expected * (1 - expected) / max(products, 1)) ** 0.5
            difference = max(abs(share - expected) - chance, 0.0)
            rows.append((split, round(share, 4), round(expected, 4), round(difference, 4)))
    return pd.DataFrame(rows, columns=["split", "share", "expected", "difference"])


def apart(items: pd.DataFrame, number: Number) -> pd.DataFrame:
    """A row for each split: `split`, `median` of its targets, and how far it is above the lowest, `ratio`;
    where differences count, that is 1 and the difference in standard deviations of all targets.
    """
    targets = pd.to_numeric(items["target"], errors="coerce")
    medians = targets.groupby(items["split"]).median()
    above = medians / medians.min() if number.logarithmic else 1 + (medians - medians.min()) / targets.std()
    return pd.DataFrame({"median": medians, "ratio": above}).reset_index()
