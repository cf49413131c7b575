"""Prices by chat endpoints: paid for once, in the order of the listings; a real server on loopback."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.core.errors import PricewrightError
from components.evaluation.chat_endpoint import ask
from tests.support.chat_server import ChatServer, endpoint
from tests.support.project import TASK

LISTINGS = [f"Oak desk number {number}" for number in range(6)]


def test_answers_come_in_the_order_of_the_listings_and_their_cost_is_counted(
    chat_server: ChatServer, tmp_path: Path
) -> None:
    result = ask(endpoint(chat_server), LISTINGS, TASK, tmp_path)
    assert result.texts == ["$0", "$10", "$20", "$30", "$40", "$50"]
    assert (result.prompt_tokens, result.completion_tokens) == (600, 12)
    assert result.cost == round((600 * 2.5 + 12 * 10) / 1e6, 4)
    assert {body["model"] for body in chat_server.requests} == {"big-1"}
    assert all(body["temperature"] == 0 for body in chat_server.requests)


def test_a_second_run_requests_nothing_and_has_the_same_answers(
    chat_server: ChatServer, tmp_path: Path
) -> None:
    first = ask(endpoint(chat_server), LISTINGS, TASK, tmp_path)
    again = ask(endpoint(chat_server, key_variable="NOT_SET"), LISTINGS, TASK, tmp_path)
    assert again == first
    assert len(chat_server.requests) == 6
    ask(endpoint(chat_server, model="big-2"), LISTINGS[:1], TASK, tmp_path)
    assert len(chat_server.requests) == 7, "another model is another request"


def test_what_was_answered_before_it_broke_off_is_not_paid_for_again(
    chat_server: ChatServer, tmp_path: Path
) -> None:
    fine = ask(endpoint(chat_server), LISTINGS[:3], TASK, tmp_path)
    chat_server.troubles = [(500, {}, "broken")] * 3
    with pytest.raises(PricewrightError, match="frontier .* does not answer .*status 500.* are kept"):
        ask(endpoint(chat_server, concurrency=1), LISTINGS, TASK, tmp_path)
    assert ask(endpoint(chat_server), LISTINGS, TASK, tmp_path).texts[:3] == fine.texts
    assert len(chat_server.requests) == 3 + len(LISTINGS), "three failures, and each listing answered once"


def test_a_refused_key_is_not_tried_again_and_not_shown(chat_server: ChatServer, tmp_path: Path) -> None:
    chat_server.troubles = [(401, {}, "wrong key secret-7 for this model")]
    with pytest.raises(PricewrightError, match="status 401: wrong key") as refused:
        ask(endpoint(chat_server, concurrency=1), LISTINGS[:1], TASK, tmp_path)
    assert "secret-7" not in str(refused.value)
    assert chat_server.keys == ["Bearer secret-7"]
    assert list(tmp_path.iterdir()) == []


def test_a_missing_key_is_named_before_any_request(chat_server: ChatServer, tmp_path: Path) -> None:
    with pytest.raises(PricewrightError, match="environment variable NOT_SET, which is empty"):
        ask(endpoint(chat_server, key_variable="NOT_SET"), LISTINGS, TASK, tmp_path)
    assert chat_server.requests == []
