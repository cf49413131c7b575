"""Rankings by people: a JSONL file, one ranking a line, several annotators per prompt allowed.

{"prompt": "...", "completions": ["120", "90"], "ranks": [2, 1], "annotator": "ann"}

Rank 1 is the best, equal ranks are a tie. The majority of the annotators decides each pair.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import cohen_kappa_score

from components.core.errors import PricewrightError
from components.feedback.result import Preferences, prompt_id

Comparison = tuple[str, str, str]
"""A prompt and two of its completions, in alphabetical order."""


def pairs(path: Path) -> Preferences:
    """Pairs on which a majority agrees. Raises PricewrightError where the file is missing."""
    result = Preferences("people")
    votes = _votes(_rankings(path, result))
    by_comparison: dict[Comparison, Counter[int]] = defaultdict(Counter)
    for (_, comparison), vote in votes.items():
        by_comparison[comparison][vote] += 1
    for (prompt, first, second), counted in by_comparison.items():
        lead = counted[1] - counted[-1]
        if lead == 0:
            result.reject(prompt_id(prompt), f"a tie between {first!r} and {second!r}")
            continue
        chosen, rejected = (first, second) if lead > 0 else (second, first)
        result.pair(prompt_id(prompt), prompt, chosen, rejected, abs(lead))
    result.figures = {
        "annotators": len({annotator for annotator, _ in votes}),
        "comparisons": len(by_comparison),
        "agreement": agreement(votes),
    }
    return result


def agreement(votes: dict[tuple[str, Comparison], int]) -> float | None:
    """Cohen's kappa (1960) of the votes of two annotators on what both compared, averaged over all pairs of
    annotators, weighted by how much both compared; None where no two compared the same completions.
    """
    by_annotator: dict[str, dict[Comparison, int]] = defaultdict(dict)
    for (annotator, comparison), vote in votes.items():
        by_annotator[annotator][comparison] = vote
    kappas, weights = [], []
    for first, second in combinations(by_annotator.values(), 2):
        shared = [comparison for comparison in first if comparison in second]
        if not shared:
            continue
        left, right = ([own[comparison] for comparison in shared] for own in (first, second))
        constant = len({*left, *right}) == 1  # kappa divides by zero where there is a single answer
        kappas.append(1.0 if constant else cohen_kappa_score(left, right, labels=[-1, 0, 1]))
        weights.append(len(shared))
    return float(np.average(kappas, weights=weights)) if kappas else None


def _rankings(path: Path, result: Preferences) -> list[dict[str, Any]]:
    """The usable rankings; those that are not are rejected with their line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise PricewrightError(
            f"{path} is not readable ({error.strerror}): rank some completions with `python -m "
            "components.feedback.annotate`, or take people out of preferences.origins"
        ) from error
    usable, seen = [], set()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        row, fault = _read(line)
        if not fault and (key := (row["annotator"], row["prompt"])) in seen:
            fault = f"a second ranking of the same prompt by {row['annotator']}"
        if fault:
            result.reject(f"{path}:{number}", fault)
            continue
        seen.add(key)
        usable.append(row | {"line": number})
    constant = _constant(usable)
    for row in usable:
        if row["annotator"] in constant:
            result.reject(f"{path}:{row['line']}", f"{row['annotator']} gives every completion the same rank")
    return [row for row in usable if row["annotator"] not in constant]


def _read(line: str) -> tuple[dict[str, Any], str]:
    """(row, what is wrong with it)."""
    try:
        row = json.loads(line)
        prompt, completions, annotator = row["prompt"], row["completions"], row["annotator"]
        ranks = row.get("ranks")
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        return {}, f"no JSON object with prompt, completions, ranks and annotator ({error})"
    texts = [prompt, annotator, *completions] if isinstance(completions, list) else [None]
    if not all(isinstance(text, str) for text in texts):
        return {}, "prompt, annotator and completions have to be text"
    if len(completions) < 2:
        return {}, f"{len(completions)} completion: there is nothing to compare"
    if len(set(completions)) < len(completions):
        return {}, "two completions are equal"
    if not isinstance(ranks, list) or len(ranks) != len(completions):
        return {}, "ranks are missing: one for each completion is needed"
    if not all(isinstance(rank, int) and not isinstance(rank, bool) and rank >= 1 for rank in ranks):
        return {}, f"ranks have to be whole numbers from 1, found {ranks}"
    return row, ""


def _constant(rows: list[dict[str, Any]]) -> set[str]:
    """Annotators who give every completion the same rank."""
    ranks: dict[str, set[int]] = defaultdict(set)
    for row in rows:
        ranks[row["annotator"]].update(row["ranks"])
    return {annotator for annotator, own in ranks.items() if len(own) == 1}


def _votes(rows: list[dict[str, Any]]) -> dict[tuple[str, Comparison], int]:
    """(annotator, comparison) to 1 where its first completion is better, -1 where its second is, else 0."""
    votes = {}
    for row in rows:
        ranked = sorted(zip(row["completions"], row["ranks"], strict=True))
        for (first, rank), (second, second_rank) in combinations(ranked, 2):
            vote = int(np.sign(second_rank - rank))
            votes[row["annotator"], (row["prompt"], first, second)] = vote
    return votes
