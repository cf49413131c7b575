"""AI feedback: against a local server that speaks the protocol, and a real local model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from components.core.errors import PricewrightError
from components.core.params.file import Params
from components.core.params.preferences import Constitution
from components.feedback import constitution
from tests.support.chat_server import serving
from tests.support.project import ROOT

SAMPLED = pd.DataFrame(
    {"id": ["a", "b"], "prompt": ["A desk", "A lamp"], "completions": [["90", "300"], ["7"]]}
)


def section(params: Params, endpoint: str = "http://127.0.0.1:9/v1", **changes: Any) -> Constitution:
    plain = {
        "endpoint": endpoint,
        "path": str(ROOT / "feedback" / "constitution.yaml"),
        "timeout_seconds": 5.0,
    }
    return params.preferences.constitution.model_copy(update=plain | changes)


def prefers(number: str) -> Callable[[str], str]:
    """A judge that criticizes, revises to 120, and prefers the answer with this number."""

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
    with serving(prefers(number)) as server:
        result = constitution.pairs(SAMPLED[:1], section(params, server.url))
    [pair] = result.pairs
    assert {pair.chosen, pair.rejected} == {"90", "120"}
    assert (pair.chosen, pair.prompt, pair.origin) == (number, "A desk", "constitution")
    critique, revision, first, second = server.questions()
    assert "A desk90" in critique
    assert "Critique: It is too low." in revision
    assert first != second, "the same preference in both orders"
    assert set(server.keys) == {"Bearer secret"}
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

    with serving(answer) as server, pytest.raises(PricewrightError, match=f"no usable.*{reason}"):
        constitution.pairs(SAMPLED, section(params, server.url))


def test_a_prompt_without_a_preference_costs_no_other_prompt_its_pair(params: Params) -> None:
    def answer(question: str) -> str:
        return "" if "lamp" in question else prefers("120")(question)

    with serving(answer) as server:
        result = constitution.pairs(SAMPLED, section(params, server.url))
    assert [pair.id for pair in result.pairs] == ["a"]
    assert [(reject.where, reject.reason) for reject in result.rejects] == [("b", "the critique is empty")]


def test_an_endpoint_of_another_protocol_is_a_clear_stop(params: Params) -> None:
    with serving(prefers("120")) as server:
        server.troubles = [(200, {}, "<html>")]
        with pytest.raises(PricewrightError, match="the judge at .* answered no chat completion"):
            constitution.pairs(SAMPLED, section(params, server.url, attempts=2))


@pytest.mark.parametrize("status", [401, 500])
def test_an_endpoint_that_refuses_is_a_clear_stop_and_the_key_is_not_shown(
    params: Params, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(constitution.KEY, "secret")
    with serving(prefers("120")) as server:
        server.troubles = [(status, {}, "not for the key secret")]
        with pytest.raises(PricewrightError, match=f"{status}") as error:
            constitution.pairs(SAMPLED, section(params, server.url, attempts=1))
    assert "secret" not in str(error.value)


def test_nobody_at_the_endpoint_is_a_clear_stop(params: Params) -> None:
    with pytest.raises(PricewrightError, match="See that it runs"):
        constitution.pairs(SAMPLED, section(params, attempts=1))


def test_a_local_model_can_be_the_judge(params: Params, tiny_base: Path) -> None:
    """A real causal model that never learned to judge: it answers, and no preference is usable."""
    local = section(params, judge="local", model=str(tiny_base), answer_tokens=4)
    judge = constitution.local(local)
    assert judge("How much?") == judge("How much?")
    assert judge("word " * 600) == ""  # does not fit its context
    with pytest.raises(PricewrightError, match="no usable preference"):
        constitution.pairs(SAMPLED[:1], local)


@pytest.mark.parametrize("text", ["principles: []", "- a list", "principles: [a]", "{"])
def test_a_file_that_is_no_constitution_is_a_clear_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(PricewrightError, match="is no constitution"):
        constitution.read(tmp_path / "c.yaml")
