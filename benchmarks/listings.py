"""Writes generated listings, as dirty as those of real shops, a batch at a time.

Of 100 listings 10 have markup or entities in their description, 10 letters beyond ASCII, 5 a price in
their text, 4 no price, and 6 are near duplicates of the listing before.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq

from components.core.schemas import Listing

BATCH = 20_000
ENDS = ("lo", "rin", "mat", "sek", "tan", "vu")
WORDS = [f"{first}{vowel}{end}" for first in "bdfgklmnprst" for vowel in "aeiou" for end in ENDS]
SCHEMA = pa.schema([(name, pa.string()) for name in Listing.columns()])


def description(rng: Random, number: int) -> str:
    """40 words of 360, three of them numbers of their own."""
    words = rng.choices(WORDS, k=40)
    words[7], words[19], words[31] = f"n{number}", f"{rng.randint(1, 99)}cm", f"{rng.randint(1, 9)}kg"
    return " ".join(words)


def listing(rng: Random, number: int, previous: str) -> dict[str, str]:
    """A listing; `previous` is the description of the listing before it."""
    text = description(rng, number) if rng.random() > 0.06 else f"{previous} new stock"
    chance = rng.random()
    if chance < 0.1:
        text = f"<p>{text.replace(' ', '&nbsp;', 1)}</p>"
    elif chance < 0.2:
        text = text.replace("e", "é", 2)
    elif chance < 0.25:
        text = f"{text} now only ${rng.randint(5, 900)}.99"
    name = " ".join(rng.choices(WORDS, k=4))
    kind = rng.randrange(30)  # what a thing is says what it costs, but for a third
    price = "" if rng.random() < 0.04 else f"${8 * 1.14**kind * rng.uniform(0.8, 1.25):.2f}"
    values = {
        "id": f"{rng.getrandbits(64):016x}",
        "title": f"{name} {number}",
        "description": text,
        "brand": rng.choice(WORDS),
        "category": WORDS[kind],
        "details": json.dumps({"Weight": f"{number % 90} kg", "Colour": rng.choice(WORDS)}),
        "price": price,
        "amount": price.removeprefix("$"),
        "currency": "USD",
        "source": "files",
        "address": f"listings.jsonl:{number}",
        "found_in": "row",
    }
    return dict.fromkeys(Listing.columns(), "") | values


def listings(number: int) -> Iterator[dict[str, str]]:
    """So many listings, each time the same ones."""
    rng = Random(number)
    previous = description(Random(0), 0)
    for place in range(number):
        row = listing(rng, place, previous)
        previous = row["description"]
        yield row


def write(path: Path, number: int) -> None:
    """Write so many listings as a Parquet file."""
    rows = listings(number)
    with pq.ParquetWriter(path, SCHEMA) as file:
        while batch := list(islice(rows, BATCH)):
            file.write_table(pa.Table.from_pylist(batch, schema=SCHEMA))


def write_jsonl(path: Path, number: int) -> None:
    """Write so many listings as a compressed JSONL file, as a source would hand them over."""
    with gzip.open(path, "wt", compresslevel=1, encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in listings(number))
