"""The shape of the one text that a model reads of a listing; for `curate` and for the generated catalogue."""

from __future__ import annotations


def listing_text(title: str, brand: str, details: dict[str, str], description: str) -> str:
    """Title, a line "Brand: X. Name: value. ...", and the description, each on a line of its own.

    An empty part is left out, and so is the brand where the title already begins with it.
    """
    named = dict(details)
    if brand and not title.casefold().startswith(brand.casefold()):
        named = {"Brand": brand} | named
    line = " ".join(f"{name}: {value}." for name, value in named.items())
    return "\n".join(part for part in (title, line, description) if part)
