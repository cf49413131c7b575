"""The page that validate writes about the data: counts, rejects, checks, leakage, sample prompts.

Whatever comes from a listing is escaped, for its text is a stranger's.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from components.core.schemas import Item, Reject, Split
from components.model.prompt import prompt_of
from components.reporting.html import Markup, document, picture, table
from components.tasks import AnyTask
from components.tasks.number import NumberTask

SAMPLES = 10
CATEGORIES = 30
STYLE = """
nav { position: sticky; top: 0; background: #fff; padding: .5rem 0; border-bottom: 1px solid #e3e3e3;
  display: flex; flex-wrap: wrap; gap: .1rem .9rem; }
a { color: #1b6ca8; } [id] { scroll-margin-top: 4.5rem; }
.rules td:last-child, .rules th:last-child { text-align: left; white-space: normal; min-width: 16rem; }
.bar { background: #7fb2d6; height: .8rem; min-width: 1px; }
.categories td:last-child { width: 40%; text-align: left; }
summary { cursor: pointer; font-weight: 600; padding: .6rem 0; }
.prompt { white-space: pre-wrap; overflow-wrap: anywhere; font: .85rem/1.5 ui-monospace, monospace;
  background: #f7f7f7; border-radius: 6px; padding: .7rem 1rem; margin: .4rem 0 1.2rem; }
.prompt mark { background: #d7ecd9; font-weight: 600; }
"""
WATERFALL = (
    "Where they went",
    "Each rule sees the listings that passed the rules above it.",
)
TARGETS = {
    "number": ("Targets", "The lines should lie over each other: the splits are one shop."),
    "label": ("Labels", "The marks should lie about the ends of the bars: the splits are one shop."),
}
ORDER = {
    "number": "from the lowest target to the highest",
    "label": "from the first label to the last",
}
LENGTHS = ("Lengths of the texts", "In characters. A longer text is cut at curate.text_max_characters.")


def page(
    curated: dict[str, Any],
    validated: dict[str, Any],
    splits: dict[Split, pd.DataFrame],
    rejects: pd.DataFrame,
    listings: pd.DataFrame,
    pictures: Path,
    task: AnyTask,
) -> str:
    """The page as text.

    `curated` and `validated` are the reports of the two stages, `splits`, `rejects` and `listings` have the
    columns of `Item`, `Reject` and `Listing`, `pictures` is the folder of curate's pictures, `task` asks
    about a listing. What tables that failed their checks lack is shown as missing.
    """
    splits = {split: _presentable(rows) for split, rows in splits.items()}
    rejects = rejects.reindex(columns=Reject.columns()).fillna("")
    read = ["<h2 id=read>How prices were read</h2>", _prices_read(listings)] if task.kind == "number" else []
    parts = [
        "<h1>The data</h1>",
        _headline(curated, validated),
        _navigation(
            "counts", *(["read"] if read else []), "rejected", "categories", "checks", "leaks", "samples"
        ),
        "<h2 id=counts>What there is</h2>",
        _counts(curated, splits, task),
        picture(*TARGETS[task.kind], pictures / "targets.png"),
        picture(*LENGTHS, pictures / "lengths.png"),
        *read,
        "<div id=rejected></div>",
        picture(*WATERFALL, pictures / "waterfall.png"),
        _waterfall(curated, rejects),
        "<h2 id=categories>Categories</h2>",
        _categories(pd.concat(splits.values()), task),
        "<h2 id=checks>What was checked</h2>",
        _checks(validated),
        "<h2 id=leaks>Has a model read it before?</h2>",
        _leaks(validated["leaks"]),
        "<h2 id=samples>What the model reads</h2>",
        f"<p class=note>{SAMPLES} of each split, {ORDER[task.kind]} in equal steps. "
        "Marked is the completion, on which alone it is trained. Where this makes more tokens than "
        "task.tokens, the listing is read without its end.</p>",
        *(_samples(split, rows, task) for split, rows in splits.items()),
    ]
    return document("Pricewright: the data", "\n".join(parts), STYLE)


def _navigation(*sections: str) -> str:
    links = (f'<a href="#{section}">{section.capitalize()}</a>' for section in sections)
    return f"<nav>{''.join(links)}</nav>"


def _presentable(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows.reindex(columns=Item.columns())
    words = rows.drop(columns="target").astype(object).fillna("").astype(str)
    return words.assign(target=pd.to_numeric(rows["target"], errors="coerce"))


def _headline(curated: dict[str, Any], validated: dict[str, Any]) -> str:
    rejected, kept = sum(curated["rejected"].values()), sum(curated["rows"].values())
    critical, warned = validated["failed_critical"], validated["failed_warning"]
    outcome = f"all {validated['checks']} checks passed"
    if critical or warned:
        outcome = f"of {validated['checks']} checks {critical} failed and {warned} more warn"
    bad = " bad" if critical else ""
    listings = f"Of {curated['listings']:,} listings {rejected:,} were rejected and {kept:,} kept"
    return f'<p class="headline{bad}">{listings}; {outcome}.</p>'


def _counts(curated: dict[str, Any], splits: dict[Split, pd.DataFrame], task: AnyTask) -> str:
    numbers = ("lowest", "median", "mean", f"highest, {task.unit}")
    labels = ("labels", "commonest", "of the rows")
    head = ("split", "rows", "products", *(labels if task.kind == "label" else numbers), "median length")
    rows = []
    for split, items in splits.items():
        length = items["text"].str.len()
        counts = (f"{curated['rows'][split]:,}", f"{curated['products'][split]:,}")
        rows.append((split, *counts, *_figures(items["target"], task), f"{length.median():.0f} characters"))
    measured, kept = sum(map(len, splits.values())), sum(curated["rows"].values())
    drawn = f"<p class=note>Targets, lengths and samples are those of {measured:,} drawn rows.</p>"
    return table(head, rows) + (drawn if measured < kept else "")


def _figures(targets: pd.Series, task: AnyTask) -> tuple[str, ...]:
    """Lowest, median, mean and highest of numbers; how many labels, the commonest, and its share."""
    if task.kind == "number":
        return tuple(f"{value:,.2f}" for value in targets.agg(["min", "median", "mean", "max"]))
    share = targets.value_counts(normalize=True).max()
    return f"{targets.nunique():,}", _commonest(targets, task), f"{share:.1%}"


def _commonest(targets: pd.Series, task: AnyTask) -> str:
    return _shown(targets.mode().get(0, float("nan")), task)[:60]


def _shown(target: float, task: AnyTask) -> str:
    """A target for people; the page also shows data whose targets are none."""
    if isinstance(task, NumberTask):
        return f"{target:,.2f} {task.unit}"
    return task.shown(target) if target in task.answers.values else "no label"


def _prices_read(listings: pd.DataFrame) -> str:
    """Ten listings' prices as written and as read: of the commonest and of the rarest ways of writing one.

    Two prices are written the same way where they differ in digits alone.
    """
    columns = ["price", "amount", "currency", "title", "address"]
    priced = listings.reindex(columns=columns).astype(object).fillna("").astype(str)
    priced = priced[priced["price"] != ""]
    written = priced["price"].str.replace(r"\d+", "0", regex=True)
    alike = written.map(written.value_counts())
    ways = priced.assign(alike=alike, again=written.groupby(written).cumcount())
    ways = ways.sort_values(["again", "alike"], ascending=[True, False], kind="stable")
    firsts = int((ways["again"] == 0).sum())
    half = SAMPLES // 2
    shown = pd.concat([ways[:half], ways[firsts - half : firsts]]) if firsts > SAMPLES else ways[:SAMPLES]
    rows = [
        (
            row["price"][:40],
            f"{row['amount']} {row['currency']}".strip() if row["amount"] else "not read",
            f"{row['alike']:,}",
            f"{row['title'][:40]} ({row['address'][:60]})",
        )
        for row in shown.to_dict("records")
    ]
    note = (
        "<p class=note>Where a number here is not the one that the shop means, correct "
        "scrape.files.columns.decimal or the mapping of the columns before anything is trained.</p>"
    )
    head = ("as written", "as read", "listings written so", "for example")
    return f'{note}<div class="rules">{table(head, rows)}</div>'


def _waterfall(curated: dict[str, Any], rejects: pd.DataFrame) -> str:
    """How many listings each rule rejected, how many were left, and an example of each."""
    left, rows = curated["listings"], []
    for rule, rejected in curated["rejected"].items():
        left -= rejected
        first = rejects[rejects["rule"] == rule].head(1)
        example = f"{first['title'].iloc[0][:40]}: {first['reason'].iloc[0][:80]}" if len(first) else ""
        share = f"{rejected / max(curated['listings'], 1):.1%}"
        rows.append((rule, f"{rejected:,}", share, f"{left:,}", example))
    return f'<div class="rules">{table(("rule", "rejected", "of all", "left", "for example"), rows)}</div>'


def _categories(items: pd.DataFrame, task: AnyTask) -> str:
    """A bar for each of the commonest categories, with its median or its commonest label."""
    is_label = task.kind == "label"
    middle = (lambda targets: _commonest(targets, task)) if is_label else "median"
    by_category = items.groupby("category")["target"]
    grouped = by_category.agg(size="size", middle=middle).sort_values("size", ascending=False)
    largest = grouped["size"].max()
    lines = [
        (
            str(name)[:60],
            f"{rows:,}",
            middle if is_label else f"{middle:,.2f}",
            Markup(f'<div class="bar" style="width:{100 * rows / largest:.1f}%"></div>'),
        )
        for name, rows, middle in grouped.head(CATEGORIES).itertuples()
    ]
    more = len(grouped) - CATEGORIES
    rest = f"<p class=note>and {more:,} more</p>" if more > 0 else ""
    head = "commonest label" if is_label else f"median, {task.unit}"
    bars = table(("category", "rows", head, ""), lines)
    return f'<div class="categories">{bars}</div>{rest}'


def _checks(validated: dict[str, Any]) -> str:
    rows, faults = [], []
    for name, checks in validated["tables"].items():
        failed = {check: outcome for check, outcome in checks.items() if not outcome["passed"]}
        rows.append((name, len(checks), len(checks) - len(failed), ", ".join(failed)))
        for check, outcome in failed.items():
            examples = "\n".join(outcome["examples"])
            faults.append(
                f'<div class="listing"><b>{escape(check)}</b> ({outcome["severity"]}) fails for '
                f"{escape(name)}, {outcome['unexpected']} rows<p>{escape(examples)}</p></div>"
            )
    compared = (
        f"Drift was measured against {validated['reference']}."
        if validated["reference"]
        else "Drift was not checked: this source has no reference (python -m components.quality.drift)."
    )
    docs = '<a href="data_docs/index.html">Data Docs</a>'
    return (
        f"<p class=note>{escape(compared)} Every expectation and its outcome: {docs}.</p>"
        + table(("table", "checks", "passed", "failed"), rows)
        + "\n".join(faults)
    )


def _leaks(leaks: dict[str, Any]) -> str:
    bodies = {"training": "what is trained on", "base": "what the base has read"}
    head = ("rows of", "against", "same words", "near duplicates", "share a 13-gram", "of their 13-grams")
    rows = []
    for split, by_body in leaks.items():
        for body, counted in by_body.items():
            counts = (f"{counted[key]:,} of {counted['rows']:,}" for key in ("exact", "near", "gram"))
            rows.append((split, bodies[body], *counts, f"{counted['gram_share']:.1%}"))
    known = all("base" in by_body for by_body in leaks.values())
    unknown = "" if known else " What the base model itself has read is not known here."
    return (
        "<p class=note>The same words in the same order; a Jaccard similarity of word 3-shingles of at least "
        "curate.near_duplicate_similarity; at least one run of 13 words in common, as the texts of one shop "
        f"often have where it writes by template.{unknown}</p>" + table(head, rows)
    )


def _samples(split: str, items: pd.DataFrame, task: AnyTask) -> str:
    by_target = items.sort_values(["target", "id"])
    steps = [round(step * (len(items) - 1) / (SAMPLES - 1)) for step in range(SAMPLES)]
    samples = by_target.iloc[sorted(set(steps))] if len(items) else by_target
    listings = [
        f"<small>{escape(row['category'])} · {escape(_shown(row['target'], task))} · "
        f"{escape(row['source'])} {escape(row['address'])}</small>"
        f'<div class="prompt">{escape(prompt_of(row["text"], task))}'
        f"<mark>{_answer(row['target'], task)}</mark></div>"
        for row in samples.to_dict("records")
    ]
    opened = " open" if split == "train" else ""
    return f"<details{opened}><summary>{escape(split)}</summary>\n" + "\n".join(listings) + "\n</details>"


def _answer(target: float, task: AnyTask) -> str:
    missing = pd.isna(target) if task.kind == "number" else target not in task.answers.values
    return "missing" if missing else escape(task.completion(target))
