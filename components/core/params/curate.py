"""Section `curate` of params.yaml: cleaning, rejection, deduplication and the split."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from components.core.params.section import Count, Currency, Section, Seed, Share


class Shares(Section):
    """Share of the products in each split; they add up to 1."""

    train: Share
    preference: Share
    validation: Share
    gate: Share
    test: Share

    @model_validator(mode="after")
    def _add_up(self) -> Shares:
        total = self.train + self.preference + self.validation + self.gate + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the five shares add up to {total:g}, not to 1")
        return self


class Balance(Section):
    """A weighted draw over price bands, so that a model is not fitted on cheap things alone."""

    band: Annotated[float, Field(gt=0)]
    """Width of a band of targets."""
    strength: Annotated[float, Field(ge=0, le=1)]
    """0 keeps every listing, 1 thins every band that holds more than the mean of all bands down to it."""


class Rights(Section):
    """Which stated terms may train: patterns with `*`, of the whole of a statement, whatever its case."""

    trainable: list[Annotated[str, Field(min_length=1)]]
    """Every statement of a listing has to match one of these."""
    refused: list[Annotated[str, Field(min_length=1)]]
    """No statement of a listing may match one of these."""
    unstated: bool
    """Whether a listing whose source states nothing may train."""


class Curate(Section):
    """Cleaning, rejection, deduplication and the split."""

    seed: Seed
    currency: Currency
    """ISO 4217 code of the prices; a listing that names no currency counts as one in it."""
    rates: dict[Currency, Annotated[float, Field(gt=0)]]
    """What one unit of another currency is in `currency`; a listing in one that is not here is rejected."""
    line_characters_max: Count
    """Of a title, brand, category, description, price or of all specifications as the source gives them, each
    of which is cleaned as one line; a listing with a longer one is rejected."""
    text_min_characters: Count
    """Of title and description together; shorter listings are rejected."""
    text_max_characters: Count
    """Longer texts are cut at a word's end."""
    text_category: bool
    """Whether the text that a model reads names the category, as the first of the details."""
    boilerplate: list[Annotated[str, Field(min_length=1)]]
    """Phrases that are removed from titles, descriptions and specifications, whatever their case."""
    details_dropped: list[str]
    """Names of specifications that say nothing of what a thing is worth, whatever their case."""
    part_number_characters: Count | None
    """Letters and digits from which a code of capitals and digits is a part number, if five digits stand in a
    row, it has no letter, or a label stands in front; null keeps them all."""
    abusive_words: list[Annotated[str, Field(min_length=1)]]
    """Whole words, whatever their case; a listing with one of them is rejected. Empty: none is."""
    personal_data: bool
    """Whether listings that name a mail address or a phone number are kept."""
    rights: Rights
    near_duplicate_similarity: Share
    """Jaccard similarity of word shingles from which two listings are one product."""
    common_shingle_share: Annotated[float, Field(gt=0, le=1)]
    """Word shingles that more than this share of the listings have (at least 100) are a shop's boilerplate:
    near duplicates are told by the others. 1 counts every shingle.
    """
    shares: Shares
    balance: Balance
    """Over the rows of train and preference; the others stay as the shop is."""

    @model_validator(mode="after")
    def _no_rate_of_its_own(self) -> Curate:
        if self.currency in self.rates:
            raise ValueError(f"rates has {self.currency} itself, in which prices are already")
        return self
