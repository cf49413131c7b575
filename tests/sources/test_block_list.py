"""The file of what was erased on request: read, added to, and refused where it is broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.core.errors import PricewrightError
from components.sources.block_list import BlockList, add_ids, forgotten_ids, listing_id

URL = "https://shop.example/p/ann-smith"


def test_ids_are_added_once_and_nothing_else_of_the_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "data" / "forgotten.txt"
    first, second = listing_id("shop", URL), listing_id("files", "17")
    assert forgotten_ids(path) == frozenset()
    assert add_ids(path, [first, first]) == [first]
    path.write_text(path.read_text() + "# asked for by mail\n\n" + second + "  # a row", encoding="utf-8")
    before = path.read_text()
    assert add_ids(path, [first, second]) == []
    assert path.read_text() == before
    third = listing_id("files", "18")
    assert add_ids(path, [third]) == [third]
    assert path.read_text() == f"{before}\n{third}\n"
    assert forgotten_ids(path) == {first, second, third}
    assert "smith" not in path.read_text()


def test_a_line_that_is_no_id_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "forgotten.txt"
    path.write_text(f"{listing_id('shop', URL)}\n{URL}\n")
    with pytest.raises(PricewrightError, match=r"forgotten\.txt:2: .*ann-smith' is no id of a listing"):
        forgotten_ids(path)


def test_a_listing_is_held_by_its_source_and_address_without_the_host_that_changes() -> None:
    blocked = BlockList("demo_shop", frozenset({listing_id("demo_shop", "/p/1")}), "http://127.0.0.1:81")
    assert blocked.holds("/p/1")
    assert blocked.holds("http://127.0.0.1:81/p/1")
    assert not blocked.holds("/p/11")
    assert not BlockList("shop", blocked.ids).holds("/p/1")
    assert "/p/1" not in blocked.label("/p/1")
