"""The frame of the pages that stages write: one HTML file that needs nothing else, with embedded pictures."""

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
    """A whole page; `style` is added to that of all pages."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}{style}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def picture(title: str, caption: str, path: Path) -> str:
    """A heading, a line of words, and a PNG file, embedded."""
    data = base64.b64encode(path.read_bytes()).decode("ascii")
    return (
        f"<h2>{escape(title)}</h2>\n<p class=note>{escape(caption)}</p>\n"
        f'<img alt="{escape(title)}" src="data:image/png;base64,{data}">'
    )


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table that scrolls by itself where the screen is narrow; cells are text and are escaped."""
    lines = ["<tr>" + "".join(f"<th>{escape(name)}</th>" for name in head) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows]
    return '<div class="wide"><table>\n' + "\n".join(lines) + "\n</table></div>"
