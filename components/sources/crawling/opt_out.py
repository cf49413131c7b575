"""Whether a page opts out of being used: noindex, noai, or its use for mining or training reserved.

Read are the robots directives in the header `X-Robots-Tag` and the meta tag `robots`; the TDM Reservation
Protocol (W3C community group report, 2024): meta tag, then header, then /.well-known/tdmrep.json; the header
`Content-Usage`; RSL licences that the page links to; and what its host states (site_terms.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urljoin

from lxml.html import HtmlElement

from components.sources.crawling.paths import covers
from components.sources.crawling.site_terms import AGENT_NAME, TDMREP, SiteTerms, Statement, usage

RSL = "application/rsl+xml"


def statement(tree: HtmlElement | None, headers: Mapping[str, str], url: str, terms: SiteTerms) -> Statement:
    """The first reservation of a page, or else all that is stated about it; `terms` are those of its host."""
    stated = [each for each in _statements(tree, headers, url, terms) if each.text]
    reservations = [each for each in stated if each.rule]
    return reservations[0] if reservations else Statement("", "; ".join(each.text for each in stated))


def _statements(
    tree: HtmlElement | None, headers: Mapping[str, str], url: str, terms: SiteTerms
) -> Iterator[Statement]:
    robots = set(directives(tree, headers))
    for rule in ("noindex", "noai"):
        if rule in robots or (rule == "noindex" and "none" in robots):
            yield Statement(rule, f"robots: {', '.join(sorted(robots))}")
    for where, reservation, policy in _tdm(tree, headers, url, terms.tdmrep):
        if reservation in ("0", "1"):
            text = f"tdm-reservation: {reservation} ({where})" + (f", tdm-policy: {policy}" if policy else "")
            yield Statement("tdm_reservation" if reservation == "1" else "", text)
            break
    yield usage(headers.get("Content-Usage", ""), "Content-Usage in the header")
    for licence in linked_licences(tree, headers, url):
        yield terms.licence(licence, url)
    yield from terms.statements(url)


def linked_licences(tree: HtmlElement | None, headers: Mapping[str, str], url: str) -> list[str]:
    """URLs of the RSL licences in the header `Link` and the link elements of a page."""
    links = [
        target
        for target, attributes in re.findall(r"<([^<>]*)>([^<>]*)", headers.get("Link", ""))
        if RSL in attributes.lower() and "license" in attributes.lower()
    ]
    for link in tree.iter("link") if tree is not None else ():
        if "license" in (link.get("rel") or "").lower().split() and (link.get("type") or "").lower() == RSL:
            links.append(link.get("href") or "")
    return list(dict.fromkeys(urljoin(url, link.strip()) for link in links))


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
        if isinstance(entry, dict) and covers(str(entry.get("location", "")), url):
            yield TDMREP, str(entry.get("tdm-reservation", "")), str(entry.get("tdm-policy") or "")


def _meta(tree: HtmlElement | None, name: str) -> str:
    if tree is None:
        return ""
    tags = (tag for tag in tree.iter("meta") if (tag.get("name") or "").lower() == name)
    return ",".join(tag.get("content") or "" for tag in tags)
