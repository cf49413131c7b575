"""What a host states about the use of its pages in documents at its root, and whether that reserves a page.

Read are robots.txt: `Content-Signal` (contentsignals.org), `Content-Usage` (IETF, draft-ietf-aipref-attach),
the rules for crawlers that collect for training, and `License` (RSL 1.0, rslstandard.org); ai.txt (Spawning);
and tdmrep.json (TDM Reservation Protocol, W3C community group report, 2024).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

from protego import Protego

from components.sources.crawling.licences import reservation_of
from components.sources.crawling.page_store import PageStore
from components.sources.crawling.paths import covers

ROBOTS, TDMREP, AI_TXT = "/robots.txt", "/.well-known/tdmrep.json", "/ai.txt"
AGENT_NAME = "pricewright"
REDIRECTS_MAX = 5  # followed for robots.txt, by RFC 9309, 2.3.1.2
TRAINERS = (  # crawlers that collect for the training of models, by the names in their makers' documentation
    "AI2Bot",
    "Amazonbot",
    "anthropic-ai",
    "Applebot-Extended",
    "Bytespider",
    "CCBot",
    "ClaudeBot",
    "cohere-training-data-crawler",
    "Google-Extended",
    "GPTBot",
    "meta-externalagent",
)
TRAINING = {"ai-train", "train-ai", "train-genai", "genai", "ai", "tdm", "bots", "all"}
"""The uses of Content-Signal and Content-Usage, in their drafts, that cover the training of a model."""


@dataclass(frozen=True)
class Statement:
    """What a page, or its host, states about its use."""

    rule: str
    """The rule of the reject where the page may not be used; else empty."""
    text: str
    """The statement in words, for the listing's `rights`; empty where nothing is stated."""


@dataclass(frozen=True)
class SiteTerms:
    """The documents of a host, as they were received; empty where there are none."""

    robots: str = ""
    ai_txt: str = ""
    tdmrep: Any = None
    """Contents of tdmrep.json; None where it is no JSON."""
    licences: Mapping[str, str | None] = field(default_factory=dict)
    """URL of an RSL licence to its XML; None where it could not be fetched."""

    def statements(self, url: str) -> Iterator[Statement]:
        """What robots.txt, ai.txt and the licence that robots.txt names state about a page."""
        for directive in ("Content-Signal", "Content-Usage"):
            if written := usage_of(self.robots, directive, url):
                yield usage(written, f"{directive} in robots.txt")
        for agent in TRAINERS:
            named = re.search(rf"^\s*user-agent\s*:\s*{agent}\s*(#.*)?$", self.robots, re.M | re.I)
            if named and not Protego.parse(self.robots).can_fetch(url, agent):
                yield Statement("ai_agents", f"robots.txt forbids it to {agent}, which collects for training")
        if self.ai_txt and not Protego.parse(self.ai_txt).can_fetch(url, AGENT_NAME):
            yield Statement("ai_txt", "ai.txt forbids it")
        for licence in licences_of(self.robots, url):
            yield self.licence(licence, url)

    def licence(self, licence: str, url: str) -> Statement:
        """What an RSL licence, by its URL, states about a page; one that cannot be read reserves it."""
        reason = reservation_of(self.licences.get(licence), url)
        return Statement("rsl" if reason else "", f"RSL licence {licence}: {reason or 'permits training'}")


def read_terms(store: PageStore, url: str) -> SiteTerms:
    """The documents of the host of `url` that the crawl has fetched."""
    return SiteTerms(
        _text(store, urljoin(url, ROBOTS)),
        _text(store, urljoin(url, AI_TXT)),
        parse_tdmrep(_text(store, urljoin(url, TDMREP))),
        {document: _text(store, document) or None for document in store.terms()},
    )


def _text(store: PageStore, url: str) -> str:
    """The text of a document, behind redirects too; empty where there is none, or HTML in its place."""
    for _ in range(REDIRECTS_MAX):
        page = store.get(url)
        if page is None or "Location" not in page.headers:
            break
        url = urljoin(url, page.headers["Location"])
    if page is None or page.status != 200 or page.body.lstrip()[:5].lower() in (b"<!doc", b"<html"):
        return ""
    return page.body.decode("utf-8", "replace").removeprefix("\ufeff")


def parse_tdmrep(body: str) -> Any:
    """The contents of a tdmrep.json; None where it is not JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def licences_of(robots: str, url: str) -> list[str]:
    """URLs of the RSL licences that a robots.txt names, in its order."""
    written = re.findall(r"^\s*license\s*:\s*(\S+)", robots, re.M | re.I)
    return [urljoin(urljoin(url, ROBOTS), name) for name in written]


def usage(written: str, place: str) -> Statement:
    """What a list of uses such as `search=yes, ai-train=no` states; `y` and `n` count as well."""
    pairs = (part.partition("=") for part in re.split(r"[,;\s]+", written.lower()) if "=" in part)
    uses = {name.strip(): value.strip() for name, _, value in pairs}
    stated = {name: value for name, value in uses.items() if name in TRAINING}
    if not stated:
        return Statement("", "")
    rule = place.partition(" ")[0].lower().replace("-", "_") if {"no", "n"} & set(stated.values()) else ""
    return Statement(rule, f"{place}: " + ", ".join(f"{name}={value}" for name, value in stated.items()))


def usage_of(robots: str, directive: str, url: str) -> str:
    """The value of a directive for a page: of our own group before that of all; of the longest path."""
    values: dict[bool, list[tuple[int, str]]] = {True: [], False: []}
    agents: list[str] = []
    in_rules = False
    for line in robots.splitlines():
        name, _, value = (part.strip() for part in line.partition("#")[0].partition(":"))
        if name.lower() == "user-agent":
            agents = [*([] if in_rules else agents), value.lower()]
        elif name.lower() == directive.lower():
            path, _, uses = value.partition(" ") if value.startswith("/") else ("/", "", value)
            own = AGENT_NAME in agents
            if covers(path, url) and (own or not agents or "*" in agents):
                values[own].append((len(path), uses))
        in_rules = in_rules if not name else name.lower() != "user-agent"
    return max(values[True] or values[False], key=lambda pair: pair[0])[1] if any(values.values()) else ""
