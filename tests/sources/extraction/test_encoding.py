"""Bytes to text, whatever the bytes say of themselves."""

import pytest

from components.sources.extraction.encoding import decode, looks_like

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


def test_what_is_no_text_looks_like_none() -> None:
    assert looks_like(bytes(range(256)) * 20) is None
    assert looks_like(b"plain words") == "ascii"
