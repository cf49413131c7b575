"""What a stranger wrote is plain text in Markdown."""

from __future__ import annotations

import pytest

from components.core.markdown import CUT, Markup, escaped, table


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Fair use", "Fair use"),
        ("`code` and *bold* and __init__", r"\`code\` and \*bold\* and \_\_init\_\_"),
        ("<img src=x>", r"\<img src=x\>"),
        ("[click](javascript:x)", r"\[click\](javascript:x)"),
        ("see http://a.example or www.a.example", r"see http\://a.example or www\.a.example"),
        ("write to me@a.example: now", r"write to me\@a.example: now"),
        ("a | b\n\n# Metrics: 0.00", r"a \| b # Metrics: 0.00"),
        ("safe\u202egnp.exe\x00", "safegnp.exe"),
        ("x" * (CUT + 1), "x" * (CUT - 1) + "…"),
    ],
)
def test_what_a_page_wrote_is_plain_text_on_one_line(text: str, plain: str) -> None:
    assert escaped(text) == plain


def test_a_table_keeps_every_cell_within_its_column_and_own_markup_as_it_is() -> None:
    written = table(("na|me", "value"), [("a | <b>\n| c", 3), (Markup("`x` | **y**"), "*z*")])
    assert written.splitlines() == [
        r"| na\|me | value |",
        "| --- | --- |",
        r"| a \| \<b\> \| c | 3 |",
        r"| `x` \| **y** | \*z\* |",
    ]
