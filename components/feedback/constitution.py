"""AI feedback by a written constitution (Bai et al. 2022, arXiv:2212.08073).

A judge reads an answer in the light of a principle, criticizes it, writes a better one, and says which of
the two follows the principle better. It is asked in both orders: who changes the answer with the order has
no preference.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from tqdm import tqdm

from components.core.errors import PricewrightError
from components.core.params.preferences import Constitution
from components.feedback.result import Found
from components.model import loading

KEY = "PRICEWRIGHT_JUDGE_KEY"
Judge = Callable[[str], str]
"""A question to an answer."""


class Principles(BaseModel):
    """The YAML file."""

    model_config = ConfigDict(extra="forbid")

    principles: list[str] = Field(min_length=1)
    critique: str
    revision: str
    preference: str


def pairs(sampled: pd.DataFrame, section: Constitution) -> Found:
    """A pair for each prompt on which the judge has a preference; `sampled` has columns of `Sampled`.

    Raises PricewrightError where the file is no constitution, or the judge cannot be asked, or has no
    usable answer to any prompt.
    """
    found, principles = Found("constitution"), read(Path(section.path))
    judge = local(section) if section.judge == "local" else endpoint(section)
    rows = sampled.head(section.prompts)
    for number, row in enumerate(tqdm(rows.itertuples(), total=len(rows), desc="judging", leave=False)):
        principle = principles.principles[number % len(principles.principles)]
        _judge(judge, principles, principle, row, found)
    if not found.pairs:
        last = f", the last because {found.rejects[-1].reason}" if found.rejects else ""
        raise PricewrightError(
            f"the judge {section.model} has no usable preference for any of {len(rows)} prompts{last}"
        )
    return found


def read(path: Path) -> Principles:
    """The constitution in a file. Raises PricewrightError where it is none."""
    try:
        return Principles.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        reason = str(error).strip().replace("\n", " ")
        raise PricewrightError(f"{path} is no constitution: {reason}") from error


def _judge(judge: Judge, principles: Principles, principle: str, row: Any, found: Found) -> None:
    """Critique, revision, preference of one prompt."""
    answer = row.completions[0]
    about = {"principle": principle, "prompt": row.prompt, "answer": answer}
    critique = judge(principles.critique.format(**about)).strip()
    if not critique:
        return found.reject(row.id, "the critique is empty")
    revised = judge(principles.revision.format(**about, critique=critique)).strip()
    others = [text for text in (revised, *row.completions) if text and text != answer]
    if not others:
        return found.reject(row.id, "the revision is empty or equal, and there is no other completion")
    both = (answer, others[0])
    votes = [
        _choice(judge(principles.preference.format(principle=principle, prompt=row.prompt, a=a, b=b)))
        for a, b in (both, both[::-1])
    ]
    if None in votes:
        return found.reject(row.id, "the verdict is neither A nor B")
    if votes[0] == votes[1]:
        return found.reject(row.id, "the verdict changes with the order of the answers")
    chosen, rejected = both if votes[0] == "A" else both[::-1]
    return found.pair(row.id, row.prompt, chosen, rejected, None)


def _choice(text: str) -> str | None:
    """A or B, where a reply says just one of them."""
    said = set(re.findall(r"\b[AB]\b", text))
    return said.pop() if len(said) == 1 else None


def endpoint(section: Constitution) -> Judge:
    """A chat model behind an OpenAI-compatible server."""
    key = os.environ.get(KEY)
    client = httpx.Client(
        base_url=section.endpoint.rstrip("/"),
        timeout=section.timeout_seconds,
        headers={"Authorization": f"Bearer {key}"} if key else {},
        trust_env=False,
    )

    def ask(question: str) -> str:
        body = {
            "model": section.model,
            "messages": [{"role": "user", "content": question}],
            "temperature": 0,
            "max_tokens": section.answer_tokens,
        }
        fault = ""
        for _ in range(section.attempts):
            try:
                reply = client.post("/chat/completions", json=body).raise_for_status().json()
                return str(reply["choices"][0]["message"]["content"] or "")
            except (httpx.HTTPError, ValueError, KeyError, IndexError, TypeError) as error:
                fault = f"{type(error).__name__}: {error}".strip().splitlines()[0]
        raise PricewrightError(
            f"the judge at {section.endpoint} gave no answer in {section.attempts} attempts ({fault}): see "
            f"that it runs and that preferences.constitution names it; a key goes into {KEY}"
        )

    return ask


def local(section: Constitution) -> Judge:
    """A causal language model in a local folder; with its chat template where it has one."""
    folder = Path(section.model)
    tokenizer = loading.load_tokenizer(folder)
    model: Any = loading.load_model(folder)

    def ask(question: str) -> str:
        text = question
        if tokenizer.chat_template:
            messages = [{"role": "user", "content": question}]
            text = str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
        room = min(tokenizer.model_max_length, 1 << 20) - section.answer_tokens
        asked = tokenizer(text, return_tensors="pt", add_special_tokens=not tokenizer.chat_template)
        if asked.input_ids.shape[1] > room:
            return ""
        said = model.generate(
            **asked.to(model.device),
            do_sample=False,
            max_new_tokens=section.answer_tokens,
            pad_token_id=tokenizer.pad_token_id,
        )
        return str(tokenizer.decode(said[0, asked.input_ids.shape[1] :], skip_special_tokens=True))

    return ask
