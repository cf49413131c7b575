"""A client of OpenAI-compatible chat endpoints: retries with back-off, and the key is never shown."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from components.core.errors import PricewrightError

AGAIN = {408, 409, 429, 500, 502, 503, 504, 529}
"""Statuses after which the same request may succeed: busy, too fast, broken for a moment."""
BACKOFF = 2.0  # seconds before the second attempt; doubled before each one after it
PATIENCE = 120.0  # seconds: a server that wants a longer pause gets the next request after this


@dataclass(frozen=True)
class Completion:
    """An answer, and the tokens that it took."""

    text: str
    """Empty where the model refused."""
    prompt_tokens: int
    completion_tokens: int


class Pace:
    """Lets no more than so many requests begin in a minute, from whichever thread."""

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
        """Begin no request for so long: the server wants it."""
        with self.lock:
            self.next = max(self.next, self.clock() + seconds)


class ChatClient:
    """Sends chat completions to an endpoint, with retries; may be shared by threads."""

    def __init__(
        self,
        url: str,
        *,
        name: str,
        mend: str,
        key: str | None,
        attempts: int,
        timeout: float,
        per_minute: float = float("inf"),
    ) -> None:
        """`url` is what stands before `/chat/completions`; `name` and `mend` are for error messages."""
        self.address, self.name, self.mend, self.key = url.rstrip("/"), f"{name} at {url}", mend, key
        self.attempts, self.pace = attempts, Pace(per_minute)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.client = httpx.Client(headers=headers, timeout=timeout, trust_env=False)

    def complete(self, body: dict[str, Any]) -> Completion:
        """The answer to a request body. Raises PricewrightError where the endpoint refuses, is no chat
        endpoint, or does not answer in `attempts` attempts.
        """
        fault = ""
        for attempt in range(self.attempts):
            self.pace.wait()
            try:
                response = self.client.post(f"{self.address}/chat/completions", json=body)
            except httpx.TransportError as error:
                fault = type(error).__name__
                self.pace.pause(BACKOFF * 2**attempt)
                continue
            if response.status_code == httpx.codes.OK:
                return self._completion(response)
            fault = f"status {response.status_code}: {self._beginning(response)}"
            if response.status_code not in AGAIN:
                break
            self.pace.pause(_retry_after(response, BACKOFF * 2**attempt))
        raise PricewrightError(f"{self.name} does not answer ({fault}). {self.mend}")

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    def _completion(self, response: httpx.Response) -> Completion:
        try:
            reply = response.json()
            usage = reply.get("usage") or {}
            return Completion(
                text=reply["choices"][0]["message"].get("content") or "",
                prompt_tokens=int(usage.get("prompt_tokens", 0)),
                completion_tokens=int(usage.get("completion_tokens", 0)),
            )
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise PricewrightError(
                f"{self.name} answered no chat completion: {self._beginning(response)!r}. Is the address the "
                f"one that ends before /chat/completions? {self.mend}"
            ) from error

    def _beginning(self, response: httpx.Response) -> str:
        """The beginning of a response, without the key: some servers repeat it in their refusal."""
        return (response.text.replace(self.key, "…") if self.key else response.text)[:200]


def _retry_after(response: httpx.Response, otherwise: float) -> float:
    """Seconds that the server wants by Retry-After, where it names a number of them."""
    try:
        return min(float(response.headers["retry-after"]), PATIENCE)
    except (KeyError, ValueError):
        return otherwise
