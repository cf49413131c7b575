"""Cleaning of many listings at a time: the functions of `cleaning`, called only for values they can change.

For each function a regular expression says which values it leaves alone; Arrow looks for it in a whole
column at once, and only the others go through Python. An expression may match too much, never too little:
tests/curation/test_columnar.py compares the result with that of the functions on one listing after another.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from unicodedata import is_normalized

import pyarrow as pa
import pyarrow.compute as pc

from components.core.params.curate import Curate
from components.core.params.task import Task
from components.curation.abuse import abusive
from components.curation.categories import NAME as CATEGORY_NAME
from components.curation.categories import with_category
from components.curation.cleaning import (
    clean_details,
    converted,
    currencies_of,
    cut,
    tidy,
    without_boilerplate,
    without_part_numbers,
)
from components.curation.labels import column_of, labels_of, places_of, without_label
from components.curation.personal_data import PERSONAL
from components.curation.price_context import SCREEN
from components.curation.price_mentions import without_prices
from components.curation.rules import Candidate, Rejection, first_rejection, overlong_line, possible_names
from components.model.listing_text import listing_text

# RE2, on UTF-8. Markup, entities, control and invisible characters, blanks that are no single space.
UNTIDY = (
    r"[<&\x00-\x1f\x7f-\x{a0}\x{ad}\x{1680}\x{2000}-\x{200f}\x{2028}-\x{202f}\x{205f}-\x{206f}\x{3000}"
    r"\x{fe0f}\x{feff}\x{fff9}-\x{fffb}]|  |^ | $"
)
NAME = r'"[^"\\ ](?:[^"\\]*[^"\\ ])?"'
CLEANED = {"title": "", "brand": "", "category": "", "description": "", "details": "{}", "price": ""}
"""The columns that are cleaned, and what is in place of a text that is too long for it."""
FLAT = rf"^(?:\{{\}}|\{{{NAME}: {NAME}(?:, {NAME}: {NAME})*\}})$"


def cleaned(listings: pa.Table, section: Curate, task: Task, names: list[str]) -> pa.Table:
    """Listings (columns of `Listing`) as columns of `Candidate`, in the same order, with `rule` and `reason`.

    `names` are the labels that there are, none where a number is predicted. `rule` and `reason` name the rule
    that rejects a listing and are empty where none does. `details` is JSON text, `currencies` the sorted
    codes with a blank between. A text of more than `line_characters_max` characters is rejected and left out.
    The text states no price, and not the label: neither its column nor its specification.
    """
    listings, overlong = _without_overlong(listings, section.line_characters_max)
    written, target, currencies = _targets(listings, section, task, names)
    section = without_label(section, task.label) if task.kind == "label" else section
    title, description = (plain_column(listings[name], section) for name in ("title", "description"))
    brand = _of_distinct(listings["brand"], lambda texts: plain_column(texts, section))
    details, line, odd = _details(listings["details"], section)
    category = _of_distinct(listings["category"], lambda texts: _where(texts, _untidy, tidy))
    stated = _of_distinct(category, lambda texts: _stated(texts, section))
    shown = _hidden(brand) if task.kind == "label" and column_of(task.label) == "brand" else brand
    columns = {
        "id": _string(listings["id"]),
        "title": title,
        "brand": brand,
        "category": category,
        "description": description,
        "details": details,
        "text": _texts(title, shown, stated, details, line, odd, description, section.text_max_characters),
        "written": written,
        "target": target,
        "currencies": currencies,
        "rights": pc.fill_null(_string(listings["rights"]), ""),
        "source": _string(listings["source"]),
        "address": _string(listings["address"]),
    }
    return _with_rejections(pa.table(columns), section, task, overlong)


def plain_column(texts: pa.Array, section: Curate) -> pa.Array:
    """`cleaning.plain` of each text."""
    texts = _where(texts, _untidy, tidy)
    if section.boilerplate:
        phrases = "(?i)" + "|".join(map(re.escape, section.boilerplate))
        texts = _where(texts, phrases, lambda text: without_boilerplate(text, section.boilerplate))
    if characters := section.part_number_characters:
        code = rf"[A-Z0-9-]{{{characters},}}"
        texts = _where(texts, code, lambda text: without_part_numbers(text, characters))
    return _where(texts, SCREEN, without_prices)


def candidates_of(table: pa.Table) -> list[Candidate]:
    """Rows of `cleaned` as candidates."""
    rows = table.select(list(Candidate._fields)).to_pylist()
    for row in rows:
        row["details"], row["currencies"] = json.loads(row["details"]), set(row["currencies"].split())
    return [Candidate(**row) for row in rows]


# --- columns -----------------------------------------------------------------------------------------

Screen = str | Callable[[pa.Array], pa.Array]


def _string(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    return column.cast(pa.string())


def _where(texts: pa.Array, screen: Screen, function: Callable[[str], str]) -> pa.Array:
    """The texts, changed by the function where they match the screen: a regular expression, or a mask."""
    texts = _string(texts)
    mask = screen(texts) if callable(screen) else pc.match_substring_regex(texts, screen)
    changed = [function(text) for text in texts.filter(mask).to_pylist()]
    return pc.replace_with_mask(texts, mask, pa.array(changed, pa.string()))


def _untidy(texts: pa.Array) -> pa.Array:
    beyond = pc.invert(pc.string_is_ascii(texts))
    decomposed = [not is_normalized("NFC", text) for text in texts.filter(beyond).to_pylist()]
    mask = pc.replace_with_mask(beyond, beyond, pa.array(decomposed, pa.bool_()))
    return pc.or_(mask, pc.match_substring_regex(texts, UNTIDY))


def _of_distinct(texts: pa.Array, function: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """The function of each text, called once with the distinct texts."""
    coded = _string(texts).dictionary_encode()
    return function(coded.dictionary).take(coded.indices)


def _details(raw: pa.Array, section: Curate) -> tuple[pa.Array, pa.Array, pa.Array]:
    """`clean_details` as JSON text, its line in the listing's text, and a mask of the rows where that line is
    wrong and has to be built from the JSON.

    A flat JSON object of texts, as sources write it, that matches no screen is already clean.
    """
    raw = _string(raw)
    names = "|".join(map(re.escape, ["brand", *section.details_dropped]))
    screens = [SCREEN, rf'(?i)"(?:{names})": ']
    if section.boilerplate:
        screens.append("(?i)" + "|".join(map(re.escape, section.boilerplate)))
    if section.part_number_characters:
        screens.append(rf"[A-Z0-9-]{{{section.part_number_characters},}}")
    odd = pc.or_(_untidy(raw), pc.invert(pc.match_substring_regex(raw, FLAT)))
    for screen in screens:
        odd = pc.or_(odd, pc.match_substring_regex(raw, screen))
    cleaned = [clean_details(text, section) for text in raw.filter(odd).to_pylist()]
    texts = pa.array([json.dumps(details, ensure_ascii=False) for details in cleaned], pa.string())
    bare = pc.replace_substring_regex(raw, r"^\{\}?", "")
    line = pc.replace_substring_regex(bare, r'"([^"]*)": "([^"]*)"(, |\})', r"\1: \2. ")
    return pc.replace_with_mask(raw, odd, texts), pc.utf8_rtrim(line, " "), odd


def _texts(
    title: pa.Array,
    brand: pa.Array,
    category: pa.Array,
    details: pa.Array,
    line: pa.Array,
    odd: pa.Array,
    description: pa.Array,
    limit: int,
) -> pa.Array:
    """`cut(listing_text(...), limit)` of each row; a category that is not empty is one more detail, the
    first, where no other has its name.
    """
    begins = [
        name.casefold().startswith(maker.casefold())
        for name, maker in zip(title.to_pylist(), brand.to_pylist(), strict=True)
    ]
    branded = pc.binary_join_element_wise("Brand: ", brand, ".", "")
    first = pc.binary_join_element_wise(f"{CATEGORY_NAME}: ", category, ".", "")
    as_is = pc.or_(pc.equal(category, ""), pc.match_substring(details, f'"{CATEGORY_NAME}": '))
    line = pc.if_else(as_is, line, pc.binary_join_element_wise(first, line, " "))
    line = pc.binary_join_element_wise(pc.if_else(pa.array(begins, pa.bool_()), "", branded), line, " ")
    texts = pc.binary_join_element_wise(title, pc.utf8_trim(line, " "), description, "\n")
    # empty parts leave line breaks; no part has one itself
    texts = pc.utf8_trim(pc.replace_substring(texts, "\n\n", "\n"), "\n")
    rows = pa.table([title, brand, category, details, description], names=list("tbcds")).filter(odd)
    whole = [
        listing_text(row["t"], row["b"], with_category(row["c"], json.loads(row["d"])), row["s"])
        for row in rows.to_pylist()
    ]
    texts = pc.replace_with_mask(texts, odd, pa.array(whole, pa.string()))
    return _where(
        texts, lambda column: pc.greater(pc.utf8_length(column), limit), lambda text: cut(text, limit)
    )


def _stated(categories: pa.Array, section: Curate) -> pa.Array:
    """What the text says of each category: nothing, unless `section.text_category`."""
    return plain_column(categories, section) if section.text_category else _hidden(categories)


def _hidden(texts: pa.Array) -> pa.Array:
    """As many empty texts."""
    return pa.array([""] * len(texts), pa.string())


def _targets(
    listings: pa.Table, section: Curate, task: Task, names: list[str]
) -> tuple[pa.Array, pa.Array, pa.Array]:
    """What is predicted, as written and as `Candidate.target`, and the currencies that each listing names."""
    if task.kind == "label":
        labels = labels_of(listings, section, task.label)
        return labels, places_of(labels, names), _hidden(labels)
    written = _where(listings["price"], _untidy, tidy)
    return written, *_prices(listings["amount"], written, listings["currency"], section)


def _prices(
    amounts: pa.Array, written: pa.Array, named: pa.Array, section: Curate
) -> tuple[pa.Array, pa.Array]:
    """`converted` amounts, null where there is none, and `currencies_of` each listing.

    `written` are the prices as written, which may name a currency too, `named` the listings' currencies.
    """
    amounts = _string(amounts)
    price = pc.if_else(pc.equal(amounts, ""), None, amounts).cast(pa.float64())
    # Digits name no currency: without them few texts differ.
    around = pc.replace_substring_regex(written, r"\d+", "0")
    pairs = pc.binary_join_element_wise(_string(named), around, "\n")
    currencies = _of_distinct(
        pairs,
        lambda texts: pa.array(
            [" ".join(sorted(currencies_of(*text.split("\n", 1)))) for text in texts.to_pylist()], pa.string()
        ),
    )
    if section.rates:
        foreign = pc.and_(pc.is_valid(price), pc.is_in(currencies, pa.array(list(section.rates))))
        amounts = zip(price.filter(foreign).to_pylist(), currencies.filter(foreign).to_pylist(), strict=True)
        dollars = [converted(amount, {code}, section.rates) for amount, code in amounts]
        price = pc.replace_with_mask(price, foreign, pa.array(dollars, pa.float64()))
    return price, currencies


def _without_overlong(listings: pa.Table, limit: int) -> tuple[pa.Table, dict[int, Rejection]]:
    """The listings without the texts of more than `limit` characters, and the rejections by row for these."""
    rejections: dict[int, Rejection] = {}
    for name, empty in CLEANED.items():
        texts = _string(listings[name])
        lengths = pc.fill_null(pc.utf8_length(texts), 0)
        overlong = pc.greater(lengths, limit)
        rows = pc.indices_nonzero(overlong).to_pylist()
        for row, characters in zip(rows, lengths.filter(overlong).to_pylist(), strict=True):
            rejections.setdefault(row, overlong_line(name, characters, limit))
        if rows:
            kept = pc.if_else(overlong, empty, texts)
            listings = listings.set_column(listings.column_names.index(name), name, kept)
    return listings, rejections


def _with_rejections(
    table: pa.Table, section: Curate, task: Task, overlong: dict[int, Rejection]
) -> pa.Table:
    """The table with `rule` and `reason`; only rows that may fail a rule go through Python."""
    lengths = pc.add(pc.utf8_length(table["title"]), pc.utf8_length(table["description"]))
    low, high = (task.number.min, task.number.max) if task.kind == "number" else (0.0, math.inf)
    target = table["target"]
    sound = pc.and_(pc.greater_equal(target, low), pc.less_equal(target, high))
    sound = pc.and_(pc.fill_null(sound, False), pc.greater_equal(lengths, section.text_min_characters))
    sound = pc.and_(sound, pc.is_in(table["currencies"], pa.array(["", *possible_names(section.currency)])))
    sound = pc.and_(sound, pc.invert(_suspect(table, section)))
    sound = pc.and_(sound, pa.array([row not in overlong for row in range(len(table))], pa.bool_()))
    doubtful = pc.invert(sound).combine_chunks()
    candidates = candidates_of(table.filter(doubtful))
    rows = pc.indices_nonzero(doubtful).to_pylist()
    rejections = [
        overlong.get(row) or first_rejection(candidate, section, task) or ("", "")
        for row, candidate in zip(rows, candidates, strict=True)
    ]
    for position, name in enumerate(("rule", "reason")):
        values = pa.array([rejection[position] for rejection in rejections], pa.string())
        column = pc.replace_with_mask(pa.array([""] * len(table), pa.string()), doubtful, values)
        table = table.append_column(name, column)
    return table


def _suspect(table: pa.Table, section: Curate) -> pa.Array:
    """A mask of the rows whose rights or texts the rules have to look at."""
    suspect = pc.not_equal(table["rights"], "")
    if not section.rights.unstated:
        suspect = pc.or_(suspect, pc.equal(table["rights"], ""))
    screens = [abusive(section.abusive_words)] if section.abusive_words else []
    screens += [] if section.personal_data else [PERSONAL]
    for pattern in screens:
        for name in ("title", "description", "brand", "details"):
            suspect = pc.or_(suspect, pc.match_substring_regex(table[name], pattern))
    return suspect
