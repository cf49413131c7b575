"""Section `preferences` of params.yaml: pairs of completions, and where they come from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from components.core.params.section import Count, Section, Seed


class People(Section):
    """Rankings by people (feedback/people.py), as `python -m components.feedback.annotate` writes them."""

    path: str
    """JSONL with prompt, completions, ranks and annotator."""


class PreferenceSet(Section):
    """An existing preference data set in TRL's format: prompt, chosen, rejected."""

    path: str
    """A JSONL or Parquet file, or the id of a data set on the hub."""
    revision: str | None
    """Commit of the hub's data set, 40 hex digits; needed there and only there."""
    split: str
    """Of a hub's data set."""


class Steering(Section):
    """Listings with a text that wants to set the answer (feedback/steering.py)."""

    path: str
    """YAML list of texts, each with {text} where the listing goes."""


class Constitution(Section):
    """AI feedback by written principles (Bai et al. 2022, arXiv:2212.08073)."""

    path: str
    """YAML with the principles and the three questions."""
    judge: Literal["endpoint", "local"]
    endpoint: str
    """Base address of an OpenAI-compatible server; a key comes from the variable PRICEWRIGHT_JUDGE_KEY."""
    model: str
    """The model's name at the endpoint, or the folder of a local one."""
    prompts: Count
    """Prompts whose completions are compared, from the first."""
    answer_tokens: Count
    """Longest critique, revision or verdict."""
    timeout_seconds: Annotated[float, Field(gt=0)]
    attempts: Count
    """Tries of one question at an endpoint that fails."""


class Preferences(Section):
    """Pairs of completions, one better than the other, from one or several origins."""

    seed: Seed
    origins: Annotated[
        list[Literal["truth", "steering", "people", "constitution", "dataset"]], Field(min_length=1)
    ]
    completions: Annotated[int, Field(ge=2)]
    """Completions sampled for each prompt."""
    temperature: Annotated[float, Field(gt=0)]
    batch_size: Count
    margin_min: Annotated[float, Field(ge=0)]
    """In the unit of the task; a pair whose completions differ less in their error, or by a steering text,
    is left out.
    """
    under_cost: Annotated[float, Field(gt=0)]
    """What an answer below the truth costs, in answers as far above it; 1 for the plain error."""
    pairs_per_prompt: Count
    steering: Steering
    people: People
    dataset: PreferenceSet
    constitution: Constitution
