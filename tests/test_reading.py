"""From stored pages to listings: bytes to text, and which pages are products."""

from pathlib import Path

import pytest

from components.sources.reading import decode, read
from components.sources.store import Store

TEXT = "Café à la crème – £5, façonné à Genève pour être emporté partout où l’été mène."


@pytest.mark.parametrize(
    ("encoding", "content_type"),
    [
        ("utf-8", "text/html; charset=utf-8"),
        ("utf-8", "text/html"),
        ("utf-8-sig", "text/html; charset=iso-8859-1"),
        ("cp1252", "text/html; charset=windows-1252"),
        ("cp1252", "text/html; charset=utf-8"),
        ("cp1252", "text/html; charset=no-such"),
        ("cp1252", None),
        ("utf-16", "text/html"),
    ],
)
def test_a_page_is_read_whatever_it_says_of_its_encoding(encoding: str, content_type: str | None) -> None:
    assert decode(TEXT.encode(encoding), content_type) == TEXT


def test_another_script_in_another_encoding_than_stated_is_recognized() -> None:
    text = "Чайник из нержавеющей стали, объём полтора литра, с деревянной ручкой и свистком. " * 3
    assert decode(text.encode("cp1251"), "text/html; charset=utf-8") == text


def test_only_pages_of_products_are_read(tmp_path: Path) -> None:
    store = Store(tmp_path / "pages.sqlite")
    store.carry_on()
    body = b"<h1>Kettle</h1><p class=price>$5</p>"
    for url, status, kind in (
        ("http://a/p/1", 200, "text/html"),
        ("http://a/p/2", 404, "text/html"),
        ("http://a/p/3", 200, "image/png"),
        ("http://a/about", 200, "text/html"),
    ):
        store.put(url, status, {"Content-Type": kind}, body)
    rows, refused = read(store, "/p/", [], lambda url: url.removeprefix("http://a"))
    assert [(row["address"], row["price"]) for row in rows] == [("/p/1", "$5")]
    assert refused == []
