"""RSL licences (Really Simple Licensing 1.0, rslstandard.org): whether one lets a page train a model."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from lxml import etree

from components.sources.crawling.paths import covers

TRAINING = {"all", "ai-all", "ai-train"}
FREE = {"", "free", "attribution"}


def reservation_of(xml: str | None, url: str) -> str:
    """Why a licence does not let a page train a model; empty where it does, or says nothing of the page.

    `xml` is None where the licence could not be fetched.
    """
    if xml is None:
        return "could not be read; its host must stand in scrape.shop.hosts"
    try:
        root = etree.fromstring(xml.encode(), etree.XMLParser(resolve_entities=False, no_network=True))
    except (etree.XMLSyntaxError, ValueError):
        return "is no XML"
    contents = [content for content in root.iter("{*}content") if _covers(content.get("url") or "/", url)]
    if not contents:
        return ""
    nearest = max(contents, key=lambda content: len(content.get("url") or ""))
    reasons = [_reason(licence) for licence in nearest.iter("{*}license")]
    return "" if not reasons or "" in reasons else reasons[0]


def _reason(licence: etree._Element) -> str:
    prohibited, permitted = _uses(licence, "prohibits"), _uses(licence, "permits")
    if prohibited & TRAINING:
        return f"prohibits {', '.join(sorted(prohibited & TRAINING))}"
    if permitted and not permitted & TRAINING:
        return f"permits {', '.join(sorted(permitted))} alone"
    kinds = {(payment.get("type") or "").lower() for payment in licence.iter("{*}payment")}
    return f"asks for a payment: {', '.join(sorted(kinds))}" if kinds - FREE else ""


def _uses(licence: etree._Element, tag: str) -> set[str]:
    texts = [
        element.text or ""
        for element in licence.iter(f"{{*}}{tag}")
        if (element.get("type") or "usage").lower() == "usage"
    ]
    return set(re.findall(r"[a-z][a-z-]*", " ".join(texts).lower()))


def _covers(pattern: str, url: str) -> bool:
    """Whether the `url` of a content, a path pattern or a URL with one, matches a page."""
    parts = urlsplit(pattern)
    if parts.netloc and parts.netloc.lower() != urlsplit(url).netloc.lower():
        return False
    path = parts._replace(scheme="", netloc="").geturl() if parts.netloc else pattern
    return covers(path or "/", url)
