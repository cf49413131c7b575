"""Great Expectations' Data Docs made readable without the web: they ask it for style sheets and scripts.

What a page asks of the web is taken out, its own markup gets a style sheet, no script of it runs, and the
index, which their scripts would fill, is written anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from pathlib import Path

from components.reporting.html import document

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


def read_offline(docs: Path, failed: Iterable[str]) -> None:
    """Mend every page below `docs` and write its index; `failed` are the tables with a failed check."""
    for path in docs.rglob("*.html"):
        bare = FROM_THE_WEB.sub("", path.read_text(encoding="utf-8"))
        path.write_text(bare.replace("</head>", f"{HEAD}</head>", 1), encoding="utf-8")
    broken = set(failed)
    lines = []
    for path in sorted((docs / "validations").rglob("*.html")):
        table = path.relative_to(docs / "validations").parts[0]
        said = "failed" if table in broken else "passed"
        link = escape(path.relative_to(docs).as_posix())
        suite = f"expectations/{escape(table)}.html"
        lines.append(
            f'<tr><td><a href="{link}">{escape(table)}</a></td><td class="{said}">{said}</td>'
            f'<td><a href="{suite}">what is expected</a></td></tr>'
        )
    body = "<h1>Data Docs</h1>\n<table>" + "\n".join(lines) + "</table>"
    (docs / "index.html").write_text(
        document("Data Docs", body, ".failed { color: #c0392b; font-weight: 600; }"), encoding="utf-8"
    )
