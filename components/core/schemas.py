"""The data contracts between stages: what one row of each table means.

A table is a Parquet file whose columns are the fields of one of these classes, in their order.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Split = Literal["train", "preference", "validation", "gate", "test"]
SPLITS: tuple[Split, ...] = ("train", "preference", "validation", "gate", "test")
"""In the order in which they are held back."""
SCORED: tuple[Split, ...] = ("validation", "test")
"""Whose figures are shown."""
HELD_OUT: tuple[Split, ...] = ("validation", "gate", "test")
"""No model is fitted on a row of these. Of `gate` no stage shows a figure: people pick by what they are
shown, and what was picked by some rows cannot be judged by them (tests/promotion/test_spending.py).
"""


SERVED_SETTINGS = "serving.json"
"""File beside a served model, with the values of params.yaml on which its answers depend."""
SERVED_INPUT = "description"
"""Column in which a served model takes the text of a listing."""

BLEND = "blend"
"""The candidate that is a blend, and the folder of a served version that holds its parts."""


class Record(BaseModel):
    """One row of a table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def columns(cls) -> list[str]:
        """Column names of the table, in order."""
        return list(cls.model_fields)


class Listing(Record):
    """A raw listing as its source wrote it: `artifacts/scrape/listings.parquet`. Nothing is checked yet."""

    id: str
    """16 hex digits of the SHA-256 of source and address, of a file's row source and key or content."""
    title: str
    description: str
    brand: str
    """Empty where the source names none."""
    category: str
    """Empty where the source names none."""
    details: str
    """Specifications as a JSON object of name to value, `{}` where there are none."""
    price: str
    """As written by the source, currency signs and all; empty where there is none."""
    amount: str
    """The number in it as it was read, with a decimal point; empty where it is not exactly one number."""
    currency: str
    """ISO 4217 code, or the sign in `currencies.SHARED` where no more is known; empty where none is named."""
    source: str
    """Name of the source, as in `scrape.source`."""
    address: str
    """Where it stands: the page's address (of the demo shop without host and port), or `file.jsonl:17`."""
    page_hash: str
    """SHA-256 of the bytes of the page or row."""
    found_in: str
    """Where the price was: `json-ld`, `microdata`, `rdfa`, `itemprop`, `state`, `attribute`, `meta`, `page`,
    `row`; or empty."""
    places: str
    """JSON object of field to the place on the page that it was read from; `{}` for a row of a file. That of
    a price which is not the only one ends in `(range)`, `(from)` or `(variants)`: it is the lowest, or that
    of the variant which the address picks."""
    rights: str
    """Licence or reservation of text and data mining that the source states; empty where it states none."""


class Item(Record):
    """A clean listing with its split: `artifacts/curate/<split>.parquet`."""

    id: str
    text: str
    """Title, specifications and description as the model reads them; not what is predicted."""
    title: str
    brand: str
    category: str
    details: str
    target: float
    """What is predicted: a number in the unit of the task, or the place of a label among names.json."""
    product: str
    """Id of the cluster of near-duplicate listings it stands for: no product is in two splits."""
    split: Split
    source: str
    address: str


class Reject(Record):
    """A listing that was rejected, and why: `artifacts/curate/rejects.parquet`."""

    id: str
    title: str
    target: str
    """As the source wrote it."""
    rule: str
    """Name of the rule that rejected it."""
    reason: str
    """One line for a person."""
    source: str
    address: str


class Law(Record):
    """What a generated source knows of the truth: `artifacts/scrape/law.parquet`.

    Read by `evaluate`, to compute the noise floor, and `reward`, for a rule beside its accuracy: no model
    learns from it. Empty for real sources.
    """

    address: str
    median: float
    """Of the number's distribution given the listing, the best guess there is."""
    sigma: float
    """Standard deviation of the noise on the scale of the number: on its logarithm where ratios count."""
    label: str
    """What the label would be had nobody mistaken it; empty where that is not known."""


class Pair(Record):
    """Two completions of one prompt, ranked: `artifacts/preferences/pairs.parquet`."""

    id: str
    """Id of the item in the prompt."""
    prompt: str
    chosen: str
    rejected: str
    margin: float | None
    """By how much `chosen` is better: how much closer to the truth (`truth`), how far the text moved the
    answer (`steering`), votes ahead (`people`); None where it is unknown.
    """
    origin: str
    """Who ranked: `truth`, `steering`, `people`, `constitution`, `dataset`."""


class Sampled(Record):
    """What the SFT model answered to one prompt: `artifacts/preferences/sampled.parquet`."""

    id: str
    prompt: str
    completions: list[str]


class RejectedPreference(Record):
    """A ranking or pair that was rejected, and why: `artifacts/preferences/rejects.parquet`."""

    origin: str
    where: str
    """The line of a file, or the id of the item in the prompt."""
    reason: str


class Prediction(Record):
    """What one candidate predicted for one item: `predictions.parquet` of baseline and evaluate."""

    candidate: str
    split: Split
    id: str
    target: float
    """What is true, as in `Item`."""
    predicted: float | None
    """The answer with the lowest expected loss; None where the answer could not be read."""
    loss: float | None
    """By the task (components/tasks/), the only figure of a row that comparisons and the gate read; None
    where there is no answer."""
    low: float | None
    """Lower end of the interval, where the candidate gives one."""
    high: float | None
    held: float | None
    """1 where the interval, or the set of labels, holds what is true, 0 where not; None where there is none.
    """
    width: float | None
    """Of the interval in the unit of the number; of a set how many labels it has."""
    log_loss: float | None
    """Minus the natural logarithm of the probability given to the true label; None where a number is
    predicted, or no probability was given."""
