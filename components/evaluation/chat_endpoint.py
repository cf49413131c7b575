"""Answers by OpenAI-compatible chat endpoints, for comparison: paid for once.

Every answer is kept on the disk as soon as it is there, under a hash of its request, so that a run that
breaks off carries on where it was and a second one costs nothing. The key comes from the environment and is
neither written nor shown.
"""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from components.core.errors import PricewrightError
from components.core.params.evaluate import Endpoint
from components.model.chat import ChatClient
from components.model.prompt import BREAK
from components.tasks import AnyTask

MEND = "Answers so far are kept: mend evaluate.endpoints in params.yaml or wait, and run again"


@dataclass(frozen=True)
class Answers:
    """The answers of an endpoint and what they cost, answers from the disk included."""

    texts: list[str]
    prompt_tokens: int
    completion_tokens: int
    cost: float
    """In the currency of the endpoint's rates."""


def ask(endpoint: Endpoint, listings: list[str], task: AnyTask, cache: Path) -> Answers:
    """Ask the question of the task about each listing; answers that lie in the folder `cache` are not
    requested again.

    Raises PricewrightError where the key is missing, the endpoint refuses, or it does not answer in
    `endpoint.attempts` attempts; what was answered before is kept.
    """
    bodies = [_body(endpoint, listing, task) for listing in listings]
    files = [cache / f"{_digest(endpoint.url, body)}.json" for body in bodies]
    missing = {file: body for file, body in zip(files, bodies, strict=True) if not file.is_file()}
    if missing:
        cache.mkdir(parents=True, exist_ok=True)
        with closing(_client(endpoint)) as client, ThreadPoolExecutor(endpoint.concurrency) as threads:
            requests = [threads.submit(_fetch, client, file, body) for file, body in missing.items()]
            try:
                for request in tqdm(requests, desc=endpoint.name, unit="answer", mininterval=2, leave=False):
                    request.result()
            except PricewrightError:
                threads.shutdown(cancel_futures=True)
                raise
    answers = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    prompt_tokens = sum(answer["prompt_tokens"] for answer in answers)
    completion_tokens = sum(answer["completion_tokens"] for answer in answers)
    cost = (prompt_tokens * endpoint.cost_in + completion_tokens * endpoint.cost_out) / 1e6
    texts = [answer["text"] for answer in answers]
    return Answers(texts, prompt_tokens, completion_tokens, round(cost, 4))


def _fetch(client: ChatClient, file: Path, body: dict[str, Any]) -> None:
    """Write the answer to a request to `file`, whole or not at all."""
    part = file.with_suffix(".part")
    part.write_text(json.dumps(asdict(client.complete(body)), ensure_ascii=False), encoding="utf-8")
    part.replace(file)


def _client(endpoint: Endpoint) -> ChatClient:
    key = os.environ.get(endpoint.key_variable) if endpoint.key_variable else None
    if endpoint.key_variable and not key:
        raise PricewrightError(
            f"the endpoint {endpoint.name} needs its key in the environment variable "
            f"{endpoint.key_variable}, which is empty or not set"
        )
    return ChatClient(
        endpoint.url,
        name=f"the endpoint {endpoint.name}",
        mend=MEND,
        key=key,
        attempts=endpoint.attempts,
        timeout=endpoint.timeout_seconds,
        per_minute=endpoint.requests_per_minute,
    )


def _body(endpoint: Endpoint, listing: str, task: AnyTask) -> dict[str, Any]:
    content = BREAK.join([task.question, listing.strip(), task.instruction])
    return {
        "model": endpoint.model,
        "messages": [{"role": "user", "content": content}],
        **endpoint.options,
    }


def _digest(url: str, body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps([url, body], sort_keys=True).encode()).hexdigest()
