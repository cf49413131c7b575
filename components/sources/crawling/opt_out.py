"""Whether a page opts out of being used: noindex, noai, or text and data mining reserved.

Read are the robots directives in the header `X-Robots-Tag` and the meta tag `robots`, and the TDM Reservation
Protocol (W3C community group report, 2024): meta tag, then header, then /.well-known/tdmrep.json.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from lxml.html import HtmlElement

TDMREP = "/.well-known/tdmrep.json"
AGENT_NAME = "pricewright"


@dataclass(frozen=True)
class Statement:
    """What a page states about its use."""

    rule: str
    """`noindex`, `noai` or `tdm_reservation` where the page may not be used; else empty."""
    text: str
    """The statement in words, for the listing's `rights`; empty where the page states nothing."""


def statement(tree: HtmlElement | None, headers: Mapping[str, str], url: str, tdmrep: Any) -> Statement:
    """The first reservation of a page; `tdmrep` is its host's tdmrep.json, None where there is none."""
    stated = set(directives(tree, headers))
    for rule in ("noindex", "noai"):
        if rule in stated or (rule == "noindex" and "none" in stated):
            return Statement(rule, f"robots: {', '.join(sorted(stated))}")
    for where, reservation, policy in _tdm(tree, headers, url, tdmrep):
        if reservation in ("0", "1"):
            text = f"tdm-reservation: {reservation} ({where})" + (f", tdm-policy: {policy}" if policy else "")
            return Statement("tdm_reservation" if reservation == "1" else "", text)
    return Statement("", "")


def directives(tree: HtmlElement | None, headers: Mapping[str, str]) -> Iterator[str]:
    """The robots directives for every crawler or for this one, in lower case."""
    agent = ""
    for part in headers.get("X-Robots-Tag", "").lower().split(","):
        named = re.match(r"\s*([a-z*-]+):\s*(?!\d)", part)
        if named and named[1] not in (
            "unavailable_after",
            "max-snippet",
            "max-image-preview",
            "max-video-preview",
        ):
            agent, part = named[1], part[named.end() :]
        if agent in ("", "*", AGENT_NAME):
            yield part.strip()
    for name in ("robots", AGENT_NAME):
        yield from (part.strip() for part in _meta(tree, name).lower().split(","))


def _tdm(
    tree: HtmlElement | None, headers: Mapping[str, str], url: str, tdmrep: Any
) -> Iterator[tuple[str, str, str]]:
    yield "meta tag", _meta(tree, "tdm-reservation").strip(), _meta(tree, "tdm-policy")
    yield "header", headers.get("TDM-Reservation", "").strip(), headers.get("TDM-Policy", "")
    for entry in tdmrep if isinstance(tdmrep, list) else []:
        if isinstance(entry, dict) and _covers(str(entry.get("location", "")), url):
            yield TDMREP, str(entry.get("tdm-reservation", "")), str(entry.get("tdm-policy") or "")


def _covers(location: str, url: str) -> bool:
    """Whether a path pattern with `*` and `$`, as in robots.txt, matches a URL."""
    pattern = re.sub(r"(?:\\\*)+", ".*", re.escape(location.removesuffix("$")))
    path = urlsplit(url)._replace(scheme="", netloc="").geturl() or "/"
    return re.match(pattern + ("$" if location.endswith("$") else ""), path) is not None


def _meta(tree: HtmlElement | None, name: str) -> str:
    if tree is None:
        return ""
    tags = (tag for tag in tree.iter("meta") if (tag.get("name") or "").lower() == name)
    return ",".join(tag.get("content") or "" for tag in tags)


def parse_tdmrep(body: bytes) -> Any:
    """The contents of a tdmrep.json; None where it is not JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
