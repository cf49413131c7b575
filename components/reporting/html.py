"""Building blocks of the pages that stages write: a page is one HTML file, with style and pictures inside."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape
from pathlib import Path

STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.55 system-ui, sans-serif; color: #222;
  max-width: 76rem; margin: 2.5rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.7rem; margin-bottom: .3rem; } h2 { font-size: 1.2rem; margin: 2.4rem 0 .5rem; }
.headline { font-size: 1.12rem; background: #eef5fa; border-left: 4px solid #1b6ca8; padding: .8rem 1rem; }
.bad { background: #fdf1ee; border-color: #c0392b; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .6rem; text-align: right; border-bottom: 1px solid #e3e3e3; white-space: nowrap; }
th { font-weight: 600; vertical-align: bottom; } th:first-child, td:first-child { text-align: left; }
.winner td { background: #eef5fa; font-weight: 600; } .floor td { color: #c0392b; }
img { max-width: 100%; display: block; margin: .8rem 0; }
.listing { border: 1px solid #e3e3e3; border-radius: 6px; padding: .7rem 1rem; margin: .8rem 0; }
.listing p { white-space: pre-line; overflow-wrap: anywhere; margin: .4rem 0 0;
  color: #555; font-size: .9rem; }
small, .note { color: #666; }
"""


def document(title: str, body: str, style: str = "") -> str:
    """A whole page; `style` is CSS in addition to that of all pages."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}{style}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def picture(title: str, caption: str, path: Path) -> str:
    """A heading, a caption, and a PNG file, embedded."""
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return (
        f"<h2>{escape(title)}</h2>\n<p class=note>{escape(caption)}</p>\n"
        f'<img alt="{escape(title)}" src="data:image/png;base64,{data}">'
    )


class Markup(str):
    """Text that is HTML already and is not escaped in a table."""


def table(
    head: Iterable[object], rows: Iterable[Iterable[object]], classes: Iterable[str] | None = None
) -> str:
    """A table that scrolls sideways where the screen is narrow.

    Cells are escaped unless they are `Markup`. `classes` has the CSS class of each row, empty for none.
    """
    lines = ["<tr>" + "".join(f"<th>{_cell(name)}</th>" for name in head) + "</tr>"]
    cells = ["".join(f"<td>{_cell(cell)}</td>" for cell in row) for row in rows]
    opening = [f'<tr class="{name}">' if name else "<tr>" for name in classes or [""] * len(cells)]
    lines += [f"{tag}{row}</tr>" for tag, row in zip(opening, cells, strict=True)]
    return '<div class="wide"><table>\n' + "\n".join(lines) + "\n</table></div>"


def _cell(value: object) -> str:
    return value if isinstance(value, Markup) else escape(str(value))
