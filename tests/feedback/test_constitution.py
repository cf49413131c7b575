"""AI feedback: against a local server that speaks the protocol, and a real local model."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from components.core.errors import PricewrightError
from components.core.params.file import Params
from components.core.params.preferences import Constitution
from components.feedback import constitution
from tests.support.project import ROOT

SAMPLED = pd.DataFrame(
    {"id": ["a", "b"], "prompt": ["A desk", "A lamp"], "completions": [["90", "300"], ["7"]]}
)


@contextmanager
def served(answer: Callable[[str], Any], status: int = 200) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Address of an OpenAI-compatible server that answers a question by `answer`, and all it was asked."""
    requests: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            requests.append({"path": self.path, "key": self.headers.get("Authorization"), **body})
            content = answer(body["messages"][0]["content"])
            reply = (
                content
                if isinstance(content, bytes)
                else json.dumps(
                    {"choices": [{"index": 0, "message": {"role": "assistant", "content": content}}]}
                ).encode()
            )
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1", requests
        server.shutdown()


def section(params: Params, endpoint: str = "http://127.0.0.1:9/v1", **changes: Any) -> Constitution:
    plain = {
        "endpoint": endpoint,
        "path": str(ROOT / "feedback" / "constitution.yaml"),
        "timeout_seconds": 5.0,
    }
    return params.preferences.constitution.model_copy(update=plain | changes)


def prefers(number: str) -> Callable[[str], str]:
    """A judge that criticizes, revises to 120, and likes the answer with this number."""

    def answer(question: str) -> str:
        if "Answer A:" in question:
            return "A" if f"Answer A: {number}\n" in question else "B"
        return "120" if "Critique:" in question else "It is too low."

    return answer


@pytest.mark.parametrize("number", ["120", "90"])
def test_critique_revision_and_preference_give_a_pair(
    params: Params, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(constitution.KEY, "secret")
    with served(prefers(number)) as (endpoint, requests):
        result = constitution.pairs(SAMPLED[:1], section(params, endpoint))
    [pair] = result.pairs
    assert {pair.chosen, pair.rejected} == {"90", "120"}
    assert (pair.chosen, pair.prompt, pair.origin) == (number, "A desk", "constitution")
    assert len(requests) == 4  # the last two are one question in both orders
    assert {question["path"] for question in requests} == {"/v1/chat/completions"}
    assert {question["key"] for question in requests} == {"Bearer secret"}
    critique, revision = (question["messages"][0]["content"] for question in requests[:2])
    assert "A desk90" in critique
    assert "Critique: It is too low." in revision
    principles = constitution.read(Path(section(params).path)).principles
    assert principles[0] in critique


@pytest.mark.parametrize(
    ("nonsense", "reason"),
    [
        ("A", "changes with the order"),
        ("both are fine", "neither A nor B"),
        ("A or B", "neither A nor B"),
        ("", "neither A nor B"),
    ],
)
def test_nonsense_is_rejected_and_all_of_it_is_a_clear_stop(
    params: Params, nonsense: str, reason: str
) -> None:
    def answer(question: str) -> str:
        return nonsense if "Answer A:" in question else "120"

    with served(answer) as (endpoint, _), pytest.raises(PricewrightError, match=f"no usable.*{reason}"):
        constitution.pairs(SAMPLED, section(params, endpoint))


def test_a_prompt_without_a_verdict_costs_no_other_its_pair(params: Params) -> None:
    def answer(question: str) -> str:
        return "" if "lamp" in question else prefers("120")(question)

    with served(answer) as (endpoint, _):
        result = constitution.pairs(SAMPLED, section(params, endpoint))
    assert [pair.id for pair in result.pairs] == ["a"]
    assert [(reject.where, reject.reason) for reject in result.rejects] == [("b", "the critique is empty")]


@pytest.mark.parametrize("reply", [b"", b"<html>", b"{}", b'{"choices": []}'])
def test_an_endpoint_that_speaks_another_protocol_is_a_clear_stop(params: Params, reply: bytes) -> None:
    with (
        served(lambda _: reply) as (endpoint, requests),
        pytest.raises(PricewrightError, match="the judge at .* answered no chat completion"),
    ):
        constitution.pairs(SAMPLED, section(params, endpoint, attempts=2))
    assert len(requests) == 1, "what speaks another protocol will do so again"


@pytest.mark.parametrize("status", [401, 500])
def test_an_endpoint_that_refuses_is_a_clear_stop_and_the_key_is_not_told(
    params: Params, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(constitution.KEY, "secret")
    with served(lambda _: "120", status) as (endpoint, _), pytest.raises(PricewrightError) as stopped:
        constitution.pairs(SAMPLED, section(params, endpoint, attempts=1))
    assert str(status) in str(stopped.value)
    assert "secret" not in str(stopped.value)


def test_nobody_at_the_endpoint_is_a_clear_stop(params: Params) -> None:
    with pytest.raises(PricewrightError, match="See that it runs"):
        constitution.pairs(SAMPLED, section(params, attempts=1))


def test_a_local_model_is_asked_the_same_way(params: Params, tiny_base: Path) -> None:
    """A real causal model that has learnt nothing of the kind: it answers, and is found out."""
    local = section(params, judge="local", model=str(tiny_base), answer_tokens=4)
    ask = constitution.local(local)
    assert ask("How much?") == ask("How much?")
    assert ask("word " * 600) == ""  # does not fit its context
    with pytest.raises(PricewrightError, match="no usable preference"):
        constitution.pairs(SAMPLED[:1], local)


@pytest.mark.parametrize("text", ["principles: []", "- a list", "principles: [a]", "{"])
def test_a_file_that_is_no_constitution_is_a_clear_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(PricewrightError, match="is no constitution"):
        constitution.read(tmp_path / "c.yaml")
