"""An existing preference data set in TRL's format: prompt, chosen and rejected as text, or chosen and
rejected that begin with the same prompt. From a file, or from the hub at a pinned commit.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from datasets import Dataset, load_dataset
from trl import extract_prompt

from components.core.errors import PricewrightError
from components.core.params.preferences import PreferenceSet
from components.feedback.result import Preferences, prompt_id

COMMIT = re.compile(r"[0-9a-f]{40}")
READERS = {".jsonl": "json", ".json": "json", ".parquet": "parquet"}


def pairs(section: PreferenceSet) -> Preferences:
    """The usable rows. Raises PricewrightError where the data set does not load or a hub id is not pinned."""
    result = Preferences("dataset")
    for number, row in enumerate(_rows(section), 1):
        where = f"{section.path}:{number}"
        prompt, chosen, rejected, fault = _read(row)
        if fault:
            result.reject(where, fault)
        else:
            result.pair(prompt_id(prompt), prompt, chosen, rejected, None)
    return result


def _rows(section: PreferenceSet) -> Dataset:
    path = Path(section.path)
    reader = READERS.get(path.suffix)
    if reader and section.revision:
        raise PricewrightError(
            f"preferences.dataset.revision is for a data set of the hub, and {path} is a file"
        )
    if not reader and not COMMIT.fullmatch(section.revision or ""):
        raise PricewrightError(
            f"preferences.dataset: {path} is no JSONL or Parquet file; a data set of the hub needs its "
            "revision, a commit of 40 hex digits"
        )
    try:
        if reader:
            return load_dataset(reader, data_files=str(path), split="train")
        return load_dataset(section.path, revision=section.revision, split=section.split)
    except Exception as error:  # datasets raises whatever its readers raise
        reason = str(error).strip().splitlines()[0]
        raise PricewrightError(f"preferences.dataset: {path} does not load: {reason}") from error


def _read(row: dict[str, Any]) -> tuple[str, str, str, str]:
    """(prompt, chosen, rejected, what is wrong with them)."""
    sides = {side: row.get(side) for side in ("chosen", "rejected")}
    if not all(isinstance(text, str) and text for text in sides.values()):
        return "", "", "", "chosen and rejected have to be text: no conversations, nothing empty"
    if row.get("prompt") is None:
        row = dict(extract_prompt(sides))  # type: ignore[arg-type]
    prompt, chosen, rejected = (str(row[name]) for name in ("prompt", "chosen", "rejected"))
    if not prompt.strip():
        return "", "", "", "there is no prompt, and chosen and rejected do not begin with the same text"
    if chosen == rejected:
        return "", "", "", "chosen and rejected are equal"
    return prompt, chosen, rejected, ""
