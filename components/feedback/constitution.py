"""AI feedback by a written constitution (Bai et al. 2022, arXiv:2212.08073).

A judge (a language model) reads an answer in the light of a principle, criticizes it, writes a better one,
and chooses which of the two follows the principle better. It chooses in both orders: where its choice changes
with the order it has no preference.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from tqdm import tqdm

from components.core.errors import PricewrightError
from components.core.params.preferences import Constitution
from components.feedback.result import Preferences
from components.model import loading
from components.model.chat import ChatClient

KEY = "PRICEWRIGHT_JUDGE_KEY"
Judge = Callable[[str], str]
"""Answers a question."""


class Principles(BaseModel):
    """The YAML file."""

    model_config = ConfigDict(extra="forbid")

    principles: list[str] = Field(min_length=1)
    critique: str
    revision: str
    preference: str


def pairs(sampled: pd.DataFrame, section: Constitution) -> Preferences:
    """A pair for each prompt on which the judge has a preference; `sampled` has columns of `Sampled`.

    Raises PricewrightError where the file is no constitution, or the judge does not answer, or has no
    usable preference for any prompt.
    """
    result, principles = Preferences("constitution"), read(Path(section.path))
    judge = local(section) if section.judge == "local" else endpoint(section)
    rows = sampled.head(section.prompts)
    for number, row in enumerate(tqdm(rows.itertuples(), total=len(rows), desc="judging", leave=False)):
        principle = principles.principles[number % len(principles.principles)]
        _compare(judge, principles, principle, row, result)
    if not result.pairs:
        last = f", the last because {result.rejects[-1].reason}" if result.rejects else ""
        raise PricewrightError(
            f"the judge {section.model} has no usable preference for any of {len(rows)} prompts{last}"
        )
    return result


def read(path: Path) -> Principles:
    """The constitution in a file. Raises PricewrightError where it is none."""
    try:
        return Principles.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        reason = str(error).strip().replace("\n", " ")
        raise PricewrightError(f"{path} is no constitution: {reason}") from error


def _compare(judge: Judge, principles: Principles, principle: str, row: Any, result: Preferences) -> None:
    """Critique, revision and preference of a prompt; the pair, or why there is none, goes to `result`."""
    answer = row.completions[0]
    fields = {"principle": principle, "prompt": row.prompt, "answer": answer}
    critique = judge(principles.critique.format(**fields)).strip()
    if not critique:
        return result.reject(row.id, "the critique is empty")
    revised = judge(principles.revision.format(**fields, critique=critique)).strip()
    alternatives = [text for text in (revised, *row.completions) if text and text != answer]
    if not alternatives:
        return result.reject(row.id, "the revision is empty or equal, and there is no other completion")
    both = (answer, alternatives[0])
    votes = [
        _choice(judge(principles.preference.format(principle=principle, prompt=row.prompt, a=a, b=b)))
        for a, b in (both, both[::-1])
    ]
    if None in votes:
        return result.reject(row.id, "the judge's choice is neither A nor B")
    if votes[0] == votes[1]:
        return result.reject(row.id, "the judge's choice changes with the order of the answers")
    chosen, rejected = both if votes[0] == "A" else both[::-1]
    return result.pair(row.id, row.prompt, chosen, rejected, None)


def _choice(text: str) -> str | None:
    """A or B, where a reply names exactly one of the two."""
    named = set(re.findall(r"\b[AB]\b", text))
    return named.pop() if len(named) == 1 else None


def endpoint(section: Constitution) -> Judge:
    """A chat model behind an OpenAI-compatible server."""
    client = ChatClient(
        section.endpoint,
        name="the judge",
        mend=f"See that it runs and that preferences.constitution names it; a key goes into {KEY}",
        key=os.environ.get(KEY),
        attempts=section.attempts,
        timeout=section.timeout_seconds,
    )

    def judge(question: str) -> str:
        messages = [{"role": "user", "content": question}]
        options = {"temperature": 0, "max_tokens": section.answer_tokens}
        return client.complete({"model": section.model, "messages": messages, **options}).text

    return judge


def local(section: Constitution) -> Judge:
    """A causal language model in a local folder; with its chat template where it has one."""
    folder = Path(section.model)
    tokenizer = loading.load_tokenizer(folder)
    model: Any = loading.load_model(folder)

    def judge(question: str) -> str:
        text = question
        if tokenizer.chat_template:
            messages = [{"role": "user", "content": question}]
            text = str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
        room = min(tokenizer.model_max_length, 1 << 20) - section.answer_tokens
        inputs = tokenizer(text, return_tensors="pt", add_special_tokens=not tokenizer.chat_template)
        if inputs.input_ids.shape[1] > room:
            return ""
        output = model.generate(
            **inputs.to(model.device),
            do_sample=False,
            max_new_tokens=section.answer_tokens,
            pad_token_id=tokenizer.pad_token_id,
        )
        return str(tokenizer.decode(output[0, inputs.input_ids.shape[1] :], skip_special_tokens=True))

    return judge
