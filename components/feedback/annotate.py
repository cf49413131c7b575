"""A local page on which a person ranks sampled completions: python -m components.feedback.annotate ANNOTATOR

Reads work/queue.parquet, the requests that the champion was the least certain about, where `make retrain` has
left some, and artifacts/preferences/sampled.parquet; adds a line to preferences.people.path for each ranking.
Serves on loopback only. With the keyboard: the number of the best answer, then of the next, then Enter; 0
takes back, S skips, = ties the next answer with the last.
"""

from __future__ import annotations

import json
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pandas as pd

from components.core import stage
from components.core.errors import PricewrightError
from components.core.params.preferences import Preferences
from components.core.params.section import load_section
from components.feedback.queue import QUEUE

PAGE = Path(__file__).with_name("annotate.html")
BODY_MAX = 1_000_000
"""Most bytes of a ranking."""


class Rankings:
    """The prompts that an annotator has not ranked yet, and the file of the rankings."""

    def __init__(self, sampled: pd.DataFrame, path: Path, annotator: str) -> None:
        """`sampled` has the columns of `Sampled`; a prompt whose completions are all equal is left out."""
        self.path, self.annotator, self.lock = path, annotator, threading.Lock()
        done = self._done()
        different = [list(dict.fromkeys(texts)) for texts in sampled["completions"]]
        self.left = {
            prompt: texts
            for prompt, texts in zip(sampled["prompt"], different, strict=True)
            if len(texts) > 1 and prompt not in done
        }

    def next(self) -> dict[str, Any]:
        """The next prompt with its completions, and how many are left; no prompt at the end."""
        prompt = next(iter(self.left), None)
        return {"prompt": prompt, "completions": self.left.get(prompt or "", []), "left": len(self.left)}

    def add(self, prompt: str, ranks: list[int] | None) -> None:
        """Write a ranking down; None skips the prompt. Raises ValueError for ranks that do not fit."""
        with self.lock:
            completions = self.left.get(prompt)
            if completions is None:
                raise ValueError("this prompt is ranked already, or is none of these")
            if ranks is not None:
                if len(ranks) != len(completions) or not all(
                    type(rank) is int and rank > 0 for rank in ranks
                ):
                    raise ValueError(f"{len(completions)} ranks from 1 are needed, found {ranks}")
                row = {"prompt": prompt, "completions": completions, "ranks": ranks}
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row | {"annotator": self.annotator}, ensure_ascii=False) + "\n")
            del self.left[prompt]

    def _done(self) -> set[str]:
        if not self.path.exists():
            return set()
        rows = [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines() if line]
        return {row["prompt"] for row in rows if row["annotator"] == self.annotator}


class RankingHandler(BaseHTTPRequestHandler):
    """Answers for the page, the next prompt and a ranking."""

    rankings: Rankings  # set by the server

    def do_GET(self) -> None:
        """The page, or what is to be ranked next."""
        if not self._is_local():
            return
        if self.path == "/":
            self._send(HTTPStatus.OK, "text/html; charset=utf-8", PAGE.read_bytes())
        elif self.path == "/next":
            self._send(HTTPStatus.OK, "application/json", json.dumps(self.rankings.next()).encode())
        else:
            self._send(HTTPStatus.NOT_FOUND, "text/plain", b"there is only /")

    def do_POST(self) -> None:
        """A ranking: {"prompt": ..., "ranks": [...] or null}."""
        if not self._is_local():
            return None
        if self.headers.get("Content-Type") != "application/json":  # no form of another page sends this
            return self._send(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "text/plain", b"JSON, please")
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):  # a negative one would wait for the end of the stream
            return self._send(HTTPStatus.LENGTH_REQUIRED, "text/plain", b"how long is it?")
        if int(length) > BODY_MAX:
            return self._send(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "text/plain", b"that is no ranking")
        try:
            ranking = json.loads(self.rfile.read(int(length)))
            self.rankings.add(ranking["prompt"], ranking["ranks"])
        except (ValueError, KeyError, TypeError) as error:
            return self._send(HTTPStatus.BAD_REQUEST, "text/plain", str(error).encode())
        return self._send(HTTPStatus.OK, "application/json", json.dumps(self.rankings.next()).encode())

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def _is_local(self) -> bool:
        """Whether the request is for the page's own address: no name that a stranger points here."""
        local = self.headers.get("Host", "").rsplit(":", 1)[0] in ("127.0.0.1", "localhost")
        if not local:
            self._send(HTTPStatus.FORBIDDEN, "text/plain", b"only from this machine")
        return local

    def _send(self, status: HTTPStatus, media_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", "frame-ancestors 'none'")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)


def server(rankings: Rankings, port: int = 0) -> ThreadingHTTPServer:
    """The page's server on loopback, not yet serving."""
    handler = type("Handler", (RankingHandler,), {"rankings": rankings})
    return ThreadingHTTPServer(("127.0.0.1", port), handler)


def main() -> None:
    """Serve until Ctrl-C."""
    if len(sys.argv) != 2:
        raise SystemExit("annotate: error: say who ranks: python -m components.feedback.annotate ANNOTATOR")
    try:
        path = Path(load_section(Preferences).people.path)
        queue = [stage.read(QUEUE)] if QUEUE.is_file() else []
        sampled = pd.concat([*queue, stage.read("artifacts/preferences/sampled.parquet")])
        rankings = Rankings(sampled, path, sys.argv[1])
    except PricewrightError as error:
        raise SystemExit(f"annotate: error: {error}") from None
    with server(rankings) as page:
        print(f"Rank on http://127.0.0.1:{page.server_port} (Ctrl-C ends); rankings go to {path}", flush=True)
        try:
            page.serve_forever()
        except KeyboardInterrupt:
            print("ended")


if __name__ == "__main__":
    main()
