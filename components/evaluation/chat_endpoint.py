"""Answers of OpenAI-compatible chat endpoints, for comparison: asked politely, paid for once.

Every answer is kept on the disk as soon as it is there, under a hash of what was asked, so that a run that
breaks off carries on where it was and a second one costs nothing. The key comes from the environment and is
neither written nor shown.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from tqdm import tqdm

from components.core.errors import PricewrightError
from components.core.params.evaluate import Endpoint
from components.model.prompt import ANSWER, price_prompt

INSTRUCTION = "Answer with the price in dollars, as a number and nothing else."
AGAIN = {408, 409, 429, 500, 502, 503, 504, 529}
"""Statuses after which the same question may be answered: busy, too fast, broken for a moment."""
BACKOFF = 2.0  # seconds before the second attempt; doubled before each one after it
PATIENCE = 120.0  # seconds: a server that wants a longer pause is asked again after this


@dataclass(frozen=True)
class Answers:
    """What one endpoint said, and what that cost, answers from the disk included."""

    texts: list[str]
    prompt_tokens: int
    completion_tokens: int
    dollars: float


def ask(endpoint: Endpoint, listings: list[str], question: str, cache: Path) -> Answers:
    """Ask for the price of each listing; answers that lie in the folder `cache` are not asked for again.

    Raises PricewrightError where the key is missing, the endpoint refuses, or it does not answer in
    `endpoint.attempts` attempts; what was answered before is kept.
    """
    bodies = [_body(endpoint, listing, question) for listing in listings]
    files = [cache / f"{_digest(endpoint.url, body)}.json" for body in bodies]
    missing = {file: body for file, body in zip(files, bodies, strict=True) if not file.is_file()}
    if missing:
        cache.mkdir(parents=True, exist_ok=True)
        pace = Pace(endpoint.requests_per_minute)
        headers = _headers(endpoint)
        with (
            httpx.Client(headers=headers, timeout=endpoint.timeout_seconds) as client,
            ThreadPoolExecutor(endpoint.concurrency) as threads,
        ):
            asked = [threads.submit(_fetch, client, endpoint, pace, *one) for one in missing.items()]
            try:
                for one in tqdm(asked, desc=endpoint.name, unit="answer", mininterval=2, leave=False):
                    one.result()
            except PricewrightError:
                threads.shutdown(cancel_futures=True)
                raise
    kept = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    read = sum(one["prompt_tokens"] for one in kept)
    written = sum(one["completion_tokens"] for one in kept)
    dollars = (read * endpoint.dollars_in + written * endpoint.dollars_out) / 1e6
    return Answers([one["text"] for one in kept], read, written, round(dollars, 4))


class Pace:
    """Lets no more than so many requests begin in a minute, whichever thread asks."""

    def __init__(
        self,
        per_minute: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.gap, self.clock, self.sleep = 60 / per_minute, clock, sleep
        self.next, self.lock = clock(), threading.Lock()

    def wait(self) -> None:
        """Return when it is this request's turn."""
        with self.lock:
            turn = max(self.next, self.clock())
            self.next = turn + self.gap
        self.sleep(max(0.0, turn - self.clock()))

    def pause(self, seconds: float) -> None:
        """Begin no request for so long: the server asked for it."""
        with self.lock:
            self.next = max(self.next, self.clock() + seconds)


def _fetch(client: httpx.Client, endpoint: Endpoint, pace: Pace, file: Path, body: dict[str, Any]) -> None:
    """Ask one question until it is answered, and write the answer to `file`."""
    trouble = ""
    for attempt in range(endpoint.attempts):
        pace.wait()
        try:
            response = client.post(f"{endpoint.url.rstrip('/')}/chat/completions", json=body)
        except httpx.TransportError as error:
            trouble = type(error).__name__
            pace.pause(BACKOFF * 2**attempt)
            continue
        if response.status_code == httpx.codes.OK:
            answer = json.dumps(_read(endpoint, response), ensure_ascii=False)
            part = file.with_suffix(".part")
            part.write_text(answer, encoding="utf-8")
            part.replace(file)
            return
        trouble = f"status {response.status_code}: {_shown(response)}"
        if response.status_code not in AGAIN:
            break
        pace.pause(_pause(response, BACKOFF * 2**attempt))
    raise PricewrightError(
        f"the endpoint {endpoint.name} at {endpoint.url} does not answer ({trouble}). Answers so far are "
        "kept: mend evaluate.endpoints in params.yaml or wait, and run again"
    )


def _read(endpoint: Endpoint, response: httpx.Response) -> dict[str, Any]:
    """Text and tokens of a chat completion; a refusal has no text, which is an unreadable answer."""
    try:
        found = response.json()
        usage = found.get("usage") or {}
        return {
            "text": found["choices"][0]["message"].get("content") or "",
            "prompt_tokens": int(usage.get("prompt_tokens", 0)),
            "completion_tokens": int(usage.get("completion_tokens", 0)),
        }
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise PricewrightError(
            f"the endpoint {endpoint.name} at {endpoint.url} answered no chat completion: "
            f"{_shown(response)!r}. Is the address in evaluate.endpoints the one that ends before "
            "/chat/completions?"
        ) from error


def _shown(response: httpx.Response) -> str:
    """The beginning of a response, without the key: some servers repeat it in their refusal."""
    key = response.request.headers.get("authorization", "").removeprefix("Bearer ")
    return (response.text.replace(key, "…") if key else response.text)[:200]


def _pause(response: httpx.Response, otherwise: float) -> float:
    """Seconds that the server asks for in Retry-After, where it names a number of them."""
    try:
        return min(float(response.headers["retry-after"]), PATIENCE)
    except (KeyError, ValueError):
        return otherwise


def _body(endpoint: Endpoint, listing: str, question: str) -> dict[str, Any]:
    content = f"{price_prompt(listing, question).removesuffix(ANSWER)}\n\n{INSTRUCTION}"
    return {
        "model": endpoint.model,
        "messages": [{"role": "user", "content": content}],
        **endpoint.options,
    }


def _headers(endpoint: Endpoint) -> dict[str, str]:
    if endpoint.key_variable is None:
        return {}
    key = os.environ.get(endpoint.key_variable)
    if not key:
        raise PricewrightError(
            f"the endpoint {endpoint.name} needs its key in the environment variable "
            f"{endpoint.key_variable}, which is empty or not set"
        )
    return {"Authorization": f"Bearer {key}"}


def _digest(url: str, body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps([url, body], sort_keys=True).encode()).hexdigest()
