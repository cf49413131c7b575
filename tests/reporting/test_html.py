from __future__ import annotations

from components.reporting.html import Markup, document, table


def test_cells_are_escaped_unless_they_are_markup() -> None:
    page = table(("<name>", Markup("<i>bar</i>")), [("<script>", Markup("<b>1</b>")), (2, 3.5)])
    assert "<th>&lt;name&gt;</th><th><i>bar</i></th>" in page
    assert "<td>&lt;script&gt;</td><td><b>1</b></td>" in page
    assert "<tr><td>2</td><td>3.5</td></tr>" in page


def test_rows_have_their_css_classes() -> None:
    page = table(("name",), [("floor",), ("model",)], ["floor", ""])
    assert '<tr class="floor"><td>floor</td></tr>' in page
    assert "<tr><td>model</td></tr>" in page


def test_a_document_escapes_its_title_and_adds_its_own_style() -> None:
    page = document("a < b", "<p>body</p>", ".own { color: red; }")
    assert "<title>a &lt; b</title>" in page
    assert ".own { color: red; }</style>" in page
    assert "<body>\n<p>body</p>\n</body>" in page
