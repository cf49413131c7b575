"""The page on which a person ranks, in a real browser and by hand-made requests."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pandas as pd
import pytest

from components.feedback import annotate, people

if TYPE_CHECKING:
    from playwright.sync_api import Page

SAMPLED = pd.DataFrame(
    {
        "id": ["a", "b", "c", "d"],
        "prompt": ["A desk <b>of oak</b>\n\nPrice is $", "A lamp", "Nothing to choose", "A chair"],
        "completions": [["90", "300", "90", "<i>cheap</i>"], ["20", "30"], ["5", "5"], ["7", "8"]],
    }
)


@pytest.fixture
def rankings(tmp_path: Path) -> annotate.Rankings:
    return annotate.Rankings(SAMPLED, tmp_path / "feedback" / "rankings.jsonl", "ann")


@pytest.fixture
def address(rankings: annotate.Rankings) -> Iterator[str]:
    with annotate.server(rankings) as page:
        threading.Thread(target=page.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{page.server_port}"
        page.shutdown()


def written(rankings: annotate.Rankings) -> list[dict[str, object]]:
    return [json.loads(line) for line in rankings.path.read_text(encoding="utf-8").splitlines()]


def test_a_person_ranks_with_the_keyboard_alone(tab: Page, address: str, rankings: annotate.Rankings) -> None:
    tab.goto(address)
    tab.get_by_text("3 left").wait_for()
    assert tab.locator("#prompt").inner_text() == "A desk <b>of oak</b>\n\nPrice is $"
    assert tab.locator("li button span:nth-child(2)").all_inner_texts() == ["90", "300", "<i>cheap</i>"]
    tab.keyboard.press("Enter")
    tab.get_by_text("Every answer needs a rank.").wait_for()
    for key in ("1", "0", "2", "1", "=", "3", "Enter"):
        tab.keyboard.press(key)
    tab.get_by_text("2 left").wait_for()
    tab.keyboard.press("s")
    tab.get_by_text("1 left").wait_for()
    for key in ("Tab", "Enter", "Tab", "Enter", "Tab", "Enter"):  # both answers, then the button beneath
        tab.keyboard.press(key)
    tab.get_by_text("Nothing is left to rank").wait_for()
    assert [(row["ranks"], row["annotator"]) for row in written(rankings)] == [
        ([2, 1, 2], "ann"),
        ([1, 2], "ann"),
    ]
    assert [row["prompt"] for row in written(rankings)] == [SAMPLED["prompt"][0], "A chair"]


def test_what_the_page_writes_is_what_preferences_read(rankings: annotate.Rankings) -> None:
    rankings.add("A lamp", [2, 1])
    [pair] = people.pairs(rankings.path).pairs
    assert (pair.prompt, pair.chosen, pair.rejected) == ("A lamp", "30", "20")


def test_who_comes_back_goes_on_and_another_person_begins_anew(rankings: annotate.Rankings) -> None:
    rankings.add("A lamp", [2, 1])
    assert "A lamp" not in annotate.Rankings(SAMPLED, rankings.path, "ann").left
    assert "A lamp" in annotate.Rankings(SAMPLED, rankings.path, "bob").left


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": "A lamp", "ranks": [1]},
        {"prompt": "A lamp", "ranks": [1, "2"]},
        {"prompt": "A lamp", "ranks": [0, 1]},
        {"prompt": "no such prompt", "ranks": [1, 2]},
        {"ranks": [1, 2]},
        [],
    ],
)
def test_ranks_that_do_not_fit_are_refused_and_nothing_is_written(
    address: str, rankings: annotate.Rankings, body: object
) -> None:
    assert httpx.post(address, json=body).status_code == 400
    assert not rankings.path.exists()
    assert "A lamp" in rankings.left


def test_the_page_is_for_this_machine_alone(address: str, rankings: annotate.Rankings) -> None:
    body = {"prompt": "A lamp", "ranks": [1, 2]}
    assert httpx.post(address, json=body, headers={"Host": "evil.example"}).status_code == 403
    assert httpx.post(address, data={"prompt": "A lamp"}).status_code == 415
    assert httpx.get(address + "/etc/passwd").status_code == 404
    assert not rankings.path.exists()


def test_no_page_may_frame_it(address: str) -> None:
    for answer in (httpx.get(address), httpx.get(f"{address}/next")):
        assert answer.headers["Content-Security-Policy"] == "frame-ancestors 'none'"


@pytest.mark.parametrize(
    ("length", "status"), [("-1", 411), ("1e3", 411), ("", 411), (str(annotate.BODY_MAX + 1), 413)]
)
def test_a_length_that_is_none_or_too_large_is_answered_at_once(
    address: str, rankings: annotate.Rankings, length: str, status: int
) -> None:
    host, _, port = address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        request = f"POST / HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{request}Content-Length: {length}\r\n\r\n".encode())
        assert connection.makefile("rb").read().split()[1] == str(status).encode()
    assert not rankings.path.exists()
