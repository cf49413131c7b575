"""Great Expectations' Data Docs made readable without the web: they ask it for style sheets and scripts.

Links to the web are removed, the pages get a style sheet of our own, no script of theirs runs, and the index,
which their scripts would fill, is written anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from pathlib import Path

from components.reporting.html import Markup, document, table

FROM_THE_WEB = re.compile(r"""<(?:script|link|img)\b[^>]*\b(?:src|href)="https?:[^>]*>""")
# A failing value is shown as it is, and it is a stranger's: no script runs, and nothing is loaded.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'"
HEAD = f"""<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #222; margin: 1.5rem auto; padding: 0 1rem; }}
body {{ max-width: 72rem; }} .table-responsive {{ overflow-x: auto; }}
table {{ border-collapse: collapse; width: 100%; margin: .4rem 0; }}
th, td {{ padding: .3rem .6rem; text-align: left; border-bottom: 1px solid #e3e3e3; vertical-align: top; }}
ul, ol {{ padding-left: 1.2rem; }} .breadcrumb, .nav {{ list-style: none; padding-left: 0; }}
.breadcrumb-item {{ display: inline; }} .breadcrumb-item + .breadcrumb-item::before {{ content: " / "; }}
.text-success {{ color: #2e7d32; }} .text-danger {{ color: #c0392b; }}
.fa-check-circle::before {{ content: "passed"; }}
.fa-times::before, .fa-exclamation-triangle::before {{ content: "failed"; }}
.badge {{ font-family: ui-monospace, monospace; background: #eef5fa; padding: 0 .25rem; }}
.d-none, .collapse, a[data-toggle], label, input, footer {{ display: none; }}
</style>
"""
STYLE = ".failed td { color: #c0392b; font-weight: 600; } th, td { text-align: left; }"


def read_offline(docs: Path, failed: Iterable[str]) -> None:
    """Make the pages below `docs` readable and write the index; `failed` are tables with a failed check."""
    for path in docs.rglob("*.html"):
        bare = FROM_THE_WEB.sub("", path.read_text(encoding="utf-8"))
        path.write_text(bare.replace("</head>", f"{HEAD}</head>", 1), encoding="utf-8")
    failing = set(failed)
    rows, outcomes = [], []
    for path in sorted((docs / "validations").rglob("*.html")):
        name = path.relative_to(docs / "validations").parts[0]
        outcomes.append("failed" if name in failing else "passed")
        result = _link(path.relative_to(docs).as_posix(), name)
        rows.append((result, outcomes[-1], _link(f"expectations/{name}.html", "what is expected")))
    body = "<h1>Data Docs</h1>\n" + table(("table", "outcome", "suite"), rows, outcomes)
    (docs / "index.html").write_text(document("Data Docs", body, STYLE), encoding="utf-8")


def _link(target: str, text: str) -> Markup:
    return Markup(f'<a href="{escape(target)}">{escape(text)}</a>')
