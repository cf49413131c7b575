"""Labels as what is predicted: where a listing has its label, which labels there are, and what hides them.

The label of a listing is the tidied text of a column: its category, of a path the top level alone, its brand,
or a specification. In tables it is its place among the names.
"""

from __future__ import annotations

import json
from collections import Counter
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from components.core.errors import PricewrightError
from components.core.params.curate import Curate
from components.core.params.task import Label, Task
from components.core.tables import read_arrow
from components.curation.categories import top_level
from components.curation.cleaning import on_one_line, plain, tidy
from components.curation.minhash import Map

COLUMNS = {"category": lambda text: top_level(tidy(text)), "brand": tidy}
"""Columns of a listing that are a label, and what makes one of a text."""
LABELS_MAX = 1000
SHOWN = 5  # labels in a message


def column_of(label: Label) -> str:
    """The column of `Listing` that holds the label: one of COLUMNS, or `details` for a specification."""
    name = label.column.casefold()
    return name if name in COLUMNS else "details"


def label_names(partitions: list[Path], section: Curate, task: Task, run: Map) -> list[str]:
    """The labels in the order of their places, none where a number is predicted: those that the task names,
    else those of the raw listings. Raises PricewrightError as `require_hidden` and `names_in` do.
    """
    if task.kind != "label":
        return []
    require_hidden(section, task.label)
    if task.label.names:
        return task.label.names
    counts = run(partial(count_labels, section=section, label=task.label), partitions)
    return names_in(sum(counts, Counter[str]()), task.label)


def require_hidden(section: Curate, label: Label) -> None:
    """Raises PricewrightError where `section` would show the label to the model, or needs numbers."""
    if column_of(label) == "category" and section.text_category:
        raise PricewrightError(
            "the text would state the category, which is what task.label asks for: set curate.text_category "
            "to false"
        )
    if section.balance.strength > 0:
        raise PricewrightError(
            "curate.balance draws over bands of a number, and labels have none: set its strength to 0"
        )


def without_label(section: Curate, label: Label) -> Curate:
    """The section, by which the specification of that name is dropped from details and texts."""
    dropped = [*section.details_dropped, label.column]
    return section.model_copy(update={"details_dropped": dropped})


def labels_of(listings: pa.Table, section: Curate, label: Label) -> pa.Array:
    """The label of each listing (columns of `Listing`), empty where it has none."""
    limit = section.line_characters_max  # a longer text is not read; see `rules.overlong_line`
    column = column_of(label)
    read = COLUMNS.get(column, partial(specification, name=label.column, section=section))
    coded = pc.fill_null(listings[column].cast(pa.string()), "").combine_chunks().dictionary_encode()
    labels = [read(text) if len(text) <= limit else "" for text in coded.dictionary.to_pylist()]
    return pa.array(labels, pa.string()).take(coded.indices)


def specification(details: str, name: str, section: Curate) -> str:
    """The tidied value of the specification of that name, whatever its case, in a JSON object; else empty."""
    values = (
        tidy(on_one_line(value))
        for key, value in json.loads(details or "{}").items()
        if plain(key, section).casefold() == name.casefold()
    )
    return next(filter(None, values), "")


def places_of(labels: pa.Array, names: list[str]) -> pa.Array:
    """The place of each label among the names, float64, null where it is not there."""
    return pc.index_in(labels, pa.array(names, pa.string())).cast(pa.float64())


def count_labels(partition: Path, section: Curate, label: Label) -> Counter[str]:
    """How many listings of a partition have each label, and the empty one."""
    listings = read_arrow(partition, [column_of(label)])
    return Counter(labels_of(listings, section, label).to_pylist())


def names_in(counts: Counter[str], label: Label) -> list[str]:
    """The labels that `rows_min` listings have, sorted, given how many have each, and the empty one.

    Raises PricewrightError where they are fewer than two or more than LABELS_MAX: there is nothing to tell
    apart, or too much.
    """
    names = sorted(name for name, rows in counts.items() if name and rows >= label.rows_min)
    if 2 <= len(names) <= LABELS_MAX:
        return names
    found = len(counts) - ("" in counts)
    commonest = [(name, rows) for name, rows in counts.most_common() if name][:SHOWN]
    seen = ", ".join(f"{name[:40]!r} {rows:,}" for name, rows in commonest)
    raise PricewrightError(
        f"task.label.column {label.column!r}: {len(names):,} of {found:,} labels have the rows_min "
        f"({label.rows_min}) listings that each needs{'; the commonest: ' + seen if seen else ''}; "
        f"{counts['']:,} of {counts.total():,} listings have none. {_mend(found, len(names))}"
    )


def _mend(found: int, enough: int) -> str:
    if enough > LABELS_MAX:
        return f"More than {LABELS_MAX:,} cannot be told apart: raise rows_min, or state task.label.names"
    if found == 0:
        return "Name category, brand or a specification that the listings have"
    if found == 1:
        return "There is nothing to tell apart: name another column"
    return "Lower task.label.rows_min, give more listings, or name another column"
