"""The page at `/` on which a person tries the service, and what it asks for beside an answer."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response

from components.core.params.serve import Serve
from components.core.registry import CARD
from components.serving import invocation
from components.serving.answering import Answering
from components.serving.http_request import KEY_MAX, as_json, in_time, json_body, unless_gone
from components.serving.invocation import RefusedError
from components.serving.loaded import LoadedVersion
from components.serving.metrics import LABEL, LABELS, NUMBERS
from components.serving.nearest import Nearest
from components.serving.request_store import Truth, now

FOLDER = Path(__file__).parent
FILES = {"/": ("page.html", "text/html"), "/page.js": ("page.js", "text/javascript")}
FILES |= {"/page.css": ("page.css", "text/css")}
WORDS_MAX = 60
"""Most words of a text that are left out in turn."""
VALUE_MAX = 1000
"""Most characters of a true answer."""
Handler = Callable[[Request], Awaitable[Response]]


class Page:
    """What the page asks for; nothing of it is kept as a request."""

    def __init__(self, answering: Answering, section: Serve, nearest: Nearest) -> None:
        self.answering, self.section, self.near = answering, section, nearest

    async def card(self, request: Request) -> Response:
        """The card of the version that answers, or of the challenger (?of=challenger)."""
        rival = self.answering.rival() if request.query_params.get("of") == "challenger" else None
        loaded = rival or self.answering.current()
        return Response((loaded.folder / CARD).read_text(encoding="utf-8"), media_type="text/plain")

    async def words(self, request: Request) -> Response:
        """How far the answer to a record falls where each word of its text is left out; of a label its
        probability, at least.
        """
        record, loaded = await self._record(request), self.answering.current()
        column = _text_column(loaded)
        number = next((str(c["name"]) for c in loaded.signature["outputs"] if c["type"] in NUMBERS), "")
        words = str(record.get(column) or "").split()[:WORDS_MAX]
        if not number or len(words) < 2:
            return as_json({"column": number, "words": []}, {})
        less = [words[:place] + words[place + 1 :] for place in range(len(words))]
        texts = [" ".join(left) for left in [words, *less]]
        whole, *answers = await self._answers(request, loaded, [record | {column: text} for text in texts])
        effects = [
            {"word": word, "effect": whole[number] - _standing(answer, whole, number)}
            for word, answer in zip(words, answers, strict=True)
        ]
        return as_json({"column": number, "words": effects}, {})

    async def nearest(self, request: Request) -> Response:
        """The training listings that share the most with a record's text, and their values."""
        record, loaded = await self._record(request), self.answering.current()
        text = str(record.get(_text_column(loaded)) or "")
        listings = await in_time(self.near.to(text, loaded.version), self.section.timeout_seconds)
        if names := loaded.wording.get("names"):
            listings = [row | {"value": names[int(row["value"])]} for row in listings]
        return as_json({"listings": listings}, {})

    async def compare(self, request: Request) -> Response:
        """What champion and challenger answer to the same record; null for one that is not loaded."""
        record, rival = await self._record(request), self.answering.rival()
        both = {"champion": self.answering.current()} | ({"challenger": rival} if rival else {})
        body: dict[str, Any] = {"challenger": None}
        for alias, loaded in both.items():
            [answer] = await self._answers(request, loaded, [record])
            body[alias] = {"version": loaded.version.number, "answer": answer}
        return as_json(body, {})

    async def truth(self, request: Request) -> Response:
        """Keep what the right answer to a row of a request is: `key`, `row` and `value`."""
        value = await in_time(json_body(request), self.section.timeout_seconds)
        fields = value if isinstance(value, dict) else {}
        key, row, right = fields.get("key"), fields.get("row", 0), fields.get("value")
        if not isinstance(key, str) or not 0 < len(key) <= KEY_MAX:
            raise RefusedError(400, f"key is to be a request's key, of at most {KEY_MAX} characters")
        if type(row) is not int or row < 0:
            raise RefusedError(400, "row is to be a whole number, 0 for the first record")
        if type(right) not in (int, float, str) or len(text := json.dumps(right)) > VALUE_MAX:
            raise RefusedError(400, f"value is to be a number or a text of at most {VALUE_MAX} characters")
        if self.answering.store is None:
            raise RefusedError(409, "nothing is kept here: serve.store is null")
        self.answering.store.add([Truth(now(), key, row, text)])
        return as_json({"key": key, "row": row}, {})

    async def _record(self, request: Request) -> dict[str, Any]:
        record = await in_time(json_body(request), self.section.timeout_seconds)
        if not isinstance(record, dict):
            raise RefusedError(400, "the body is to be one record")
        return record

    async def _answers(
        self, request: Request, loaded: LoadedVersion, records: list[dict[str, Any]]
    ) -> list[Any]:
        rows = invocation.records(records, {}, loaded.signature["inputs"])
        invocation.require_values(rows, loaded.signature["inputs"])
        with loaded.in_use():
            answer = unless_gone(request, loaded.answer(rows))
            return list(await in_time(answer, self.section.timeout_seconds))


def add_routes(api: FastAPI, answering: Answering, section: Serve, nearest: Nearest) -> None:
    """Add the page, its files and what it asks for."""
    page = Page(answering, section, nearest)
    for path, (name, kind) in FILES.items():
        api.add_api_route(path, _file(FOLDER / name, kind), methods=["GET"], include_in_schema=False)
    api.add_api_route("/card", page.card, methods=["GET"])
    for answer in (page.words, page.nearest, page.compare, page.truth):
        api.add_api_route(f"/{answer.__name__}", answer, methods=["POST"])


def _text_column(loaded: LoadedVersion) -> str:
    """The column of a version in which it reads text; empty where there is none."""
    return next(
        (str(column["name"]) for column in loaded.signature["inputs"] if column["type"] == "string"), ""
    )


def _standing(answer: dict[str, Any], whole: dict[str, Any], number: str) -> float:
    """The number of an answer; of another label than that of `whole`, what is at most left for that one."""
    other = LABELS in whole and answer[LABEL] != whole[LABEL]
    return float(1 - answer[number] if other else answer[number])


def _file(path: Path, kind: str) -> Handler:
    content = path.read_bytes()

    async def send(_: Request) -> Response:
        return Response(content, media_type=f"{kind}; charset=utf-8")

    return send
