"""The market of the year that is played: the same things at another level, and others that are asked."""

from __future__ import annotations

import json
from pathlib import Path

from components.synthetic.market import questions, write_list


def test_at_another_level_the_same_listings_cost_so_many_times_as_much(tmp_path: Path) -> None:
    lists = []
    for level in (1.0, 1.5):
        write_list(tmp_path / "shop.jsonl", 11, 80, 0.25, level)
        lines = (tmp_path / "shop.jsonl").read_text(encoding="utf-8").splitlines()
        lists.append({row["id"]: row for row in map(json.loads, lines)})
    before, after = lists
    assert len(before) == 80
    for id_, row in before.items():
        price = row["price"]
        assert after[id_] == row | {"price": None if price is None else round(1.5 * price, 2)}


def test_what_is_asked_is_another_thing_each_time_and_none_that_the_shop_sells(tmp_path: Path) -> None:
    write_list(tmp_path / "shop.jsonl", 11, 400, 0.25, 1.0)
    sold = (tmp_path / "shop.jsonl").read_text(encoding="utf-8")
    asked = list(questions(11, 200, 0.25))
    assert len({question.text for question in asked}) == 200
    assert not any(question.text.splitlines()[-1] in sold for question in asked)
    assert all(question.value > 0 for question in asked)
    assert asked == list(questions(11, 200, 0.25))
