"""The addresses of the service as a page without a script: OpenAPI's usual pages load theirs from the web."""

from __future__ import annotations

from html import escape
from typing import Any


def page(description: dict[str, Any]) -> str:
    """HTML of an OpenAPI description."""
    rows = [
        f"<tr><td><code>{method.upper()} {escape(path)}</code></td><td>{_text(operation)}</td></tr>"
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]
    title = escape(description["info"]["title"])
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}: addresses</title>'
        '<meta name="viewport" content="width=device-width"></head><body>'
        f"<h1>{title}</h1><table>{''.join(rows)}</table>"
        '<p>The same as <a href="/openapi.json">OpenAPI</a>.</p></body></html>\n'
    )


def _text(operation: dict[str, Any]) -> str:
    content = operation.get("requestBody", {}).get("content", {})
    bodies = [f"<p>Body: {escape(body['schema']['description'])}</p>" for body in content.values()]
    return escape(operation.get("description", "")) + "".join(bodies)
