"""The client of chat endpoints, against a real server on loopback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from components.core.errors import PricewrightError
from components.model.chat import ChatClient, Pace
from tests.support.chat_server import ChatServer

BODY = {"model": "big-1", "messages": [{"role": "user", "content": "Oak desk number 3"}]}


@pytest.fixture
def client(chat_server: ChatServer) -> Iterator[ChatClient]:
    options = {"mend": "Mend it.", "key": "secret-7", "attempts": 3, "timeout": 5.0}
    client = ChatClient(chat_server.url, name="the model", **options)
    yield client
    client.close()


def test_a_completion_comes_with_the_tokens_that_it_cost(client: ChatClient, chat_server: ChatServer) -> None:
    completion = client.complete(BODY)
    assert (completion.text, completion.prompt_tokens, completion.completion_tokens) == ("$30", 100, 2)
    assert chat_server.requests == [BODY]
    assert chat_server.keys == ["Bearer secret-7"]


def test_a_busy_server_gets_the_request_again(client: ChatClient, chat_server: ChatServer) -> None:
    chat_server.troubles = [(429, {"retry-after": "0"}, "slow down"), (503, {}, "one moment")]
    assert client.complete(BODY).text == "$30"
    assert len(chat_server.requests) == 3


def test_a_server_that_stays_broken_gets_so_many_attempts(
    client: ChatClient, chat_server: ChatServer
) -> None:
    chat_server.troubles = [(500, {}, "broken")] * 9
    with pytest.raises(PricewrightError, match=r"the model at .* does not answer .*status 500.*Mend it\."):
        client.complete(BODY)
    assert len(chat_server.requests) == 3


def test_a_refused_key_is_not_tried_again_and_not_shown(client: ChatClient, chat_server: ChatServer) -> None:
    chat_server.troubles = [(401, {}, "wrong key secret-7 for this model")]
    with pytest.raises(PricewrightError, match="status 401: wrong key") as error:
        client.complete(BODY)
    assert "secret-7" not in str(error.value)
    assert len(chat_server.requests) == 1


@pytest.mark.parametrize("text", ["", "<html>hello</html>", "[]", "{}", '{"choices": []}'])
def test_a_server_of_another_protocol_is_a_clear_error(
    client: ChatClient, chat_server: ChatServer, text: str
) -> None:
    chat_server.troubles = [(200, {}, text)]
    with pytest.raises(PricewrightError, match="answered no chat completion"):
        client.complete(BODY)
    assert len(chat_server.requests) == 1, "it would reply the same again"


def test_a_refusal_without_text_is_an_empty_completion(client: ChatClient, chat_server: ChatServer) -> None:
    chat_server.troubles = [(200, {}, '{"choices": [{"message": {"content": null, "refusal": "no"}}]}')]
    assert client.complete(BODY).text == ""


def test_requests_begin_no_faster_than_agreed_and_pause_when_the_server_wants_it() -> None:
    now, begun = [0.0], []

    def sleep(seconds: float) -> None:
        now[0] += seconds

    pace = Pace(30, clock=lambda: now[0], sleep=sleep)
    for _ in range(3):
        pace.wait()
        begun.append(now[0])
    pace.pause(20)
    pace.wait()
    assert [*begun, now[0]] == [0.0, 2.0, 4.0, 24.0]
