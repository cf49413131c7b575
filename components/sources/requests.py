"""Requests to the service whose right answer is known, beside the listings of the main source.

`flows/retrain.py` writes them into a file under data/, where DVC sees that they changed. The id of one is
made of its request's key and row, so that it stays in the split that it was drawn for, however many come
later. A text of the shape that `listing_text` writes is read back into its parts, as near duplicates are told
by the description; of any other the first line is the title.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import NamedTuple

from components.core.errors import PricewrightError
from components.core.params.scrape import Requests
from components.core.schemas import Law, Listing
from components.core.tables import open_parquet
from components.model.listing_text import listing_text
from components.sources import writable
from components.sources.result import Collected, Row, Spool

SOURCE = "requests"
COLUMNS = ("key", "row", "text", "value")
"""Of the file: key and row of the request, what was to be answered, and what came true, as JSON."""
COLUMN = "column"
"""Where labels are predicted one more: `task.label.column`, into which what came true is written."""
LABELLED = ("category", "brand")
"""Columns of a listing that may be what is predicted; any other is a specification."""
BRAND = "Brand"
BETWEEN = re.compile(r"(?<=\.) (?=[^:.]+: )")  # two details; in time that is linear in the text


class Parts(NamedTuple):
    """The parts of a text as `listing_text` takes them."""

    title: str
    brand: str
    details: dict[str, str]
    description: str


def collect(section: Requests, spool: Spool) -> Collected:
    """Hand on the requests in the file of `section`, each as a listing. Raises PricewrightError where it is
    no table of COLUMNS.
    """
    file = open_parquet(Path(str(section.path)))
    if missing := sorted(set(COLUMNS) - set(file.schema_arrow.names)):
        raise PricewrightError(
            f"{section.path} (scrape.requests.path): no column {', '.join(missing)}; `make retrain` writes it"
        )
    rows, rejected = 0, spool.rules.copy()
    columns = [name for name in (*COLUMNS, COLUMN) if name in file.schema_arrow.names]
    for batch in file.iter_batches(columns=columns):
        for row in batch.to_pylist():
            spool.add(Listing, listing(**row))
            rows += 1
    if rows:
        spool.drop(
            Law
        )  # it does not know them, and a floor under some of the rows alone would be another one
    rejected = spool.rules - rejected
    return Collected({"requests": rows, **({"rejected": dict(rejected)} if rejected else {})})


def listing(key: str, row: int, text: str, value: str, column: str = "") -> Row:
    """A request as a row of `Listing`, with its key; what came true is the label in a column, or, without
    one, the number.
    """
    parts = parts_of(text)
    number = "" if column else value
    named = {column.casefold(): value} if column.casefold() in LABELLED else {}
    details = parts.details | ({column: value} if column and not named else {})
    entries = {
        "title": parts.title,
        "description": parts.description,
        "brand": parts.brand,
        "category": "",
        "details": json.dumps(details, ensure_ascii=False),
        "price": number,
        "amount": number,
        "currency": "",
        "address": address(key, row),
        "page_hash": hashlib.sha256(page(key, row, text, value)).hexdigest(),
        "found_in": "row",
        "places": "{}",
        "rights": "",
        "key": f"{key} {row}",
        **named,
    }
    return {name: writable(entry) for name, entry in entries.items()}


def address(key: str, row: int) -> str:
    """Where the listing of a request says that it stands."""
    return f"{SOURCE}:{key}:{row}"


def page(key: str, row: int, text: str, value: str) -> bytes:
    """What a listing of a request is made of, by whose hash it is known again."""
    return json.dumps([key, row, text, value]).encode()


def pages(path: Path) -> dict[str, bytes]:
    """The `page` of each request in a file, by its address."""
    rows = open_parquet(path).read(columns=list(COLUMNS)).to_pylist()
    return {address(row["key"], row["row"]): page(**row) for row in rows}


def parts_of(text: str) -> Parts:
    """The parts that give `text` again by `listing_text`; a title and a description where none do, and where
    there are two lines, as the second is a description more often than not.
    """
    title, _, rest = text.strip().partition("\n")
    line, _, description = rest.partition("\n")
    named = (detail.partition(": ") for detail in BETWEEN.split(line) if detail)
    details = {name: value.removesuffix(".") for name, _, value in named}
    brand = details.pop(BRAND, "")
    if description and listing_text(title, brand, details, description) == text.strip():
        return Parts(title, brand, details, description)
    return Parts(title, "", {}, rest)
