"""What a host states in robots.txt, ai.txt and its RSL licence, and which pages that reserves."""

from __future__ import annotations

import pytest

from components.sources.crawling.licences import reservation_of
from components.sources.crawling.site_terms import SiteTerms

URL = "https://a.example/art/print-1.html?size=2"
LICENCE = "https://a.example/license.xml"


def rule(robots: str = "", ai_txt: str = "", licence: str | None = None) -> str:
    """The first rule by which these documents reserve the page; empty where none does."""
    statements = SiteTerms(robots, ai_txt, licences={LICENCE: licence}).statements(URL)
    return next((stated.rule for stated in statements if stated.rule), "")


@pytest.mark.parametrize(
    ("robots", "reserved"),
    [
        ("User-agent: *\nContent-Signal: search=yes,ai-train=no\nAllow: /", "content_signal"),
        ("user-agent: *\ncontent-signal: search=yes, AI-Train=No", "content_signal"),
        ("User-agent: *\nContent-Signal: search=no, ai-input=no, ai-train=yes", ""),
        ("User-agent: OtherBot\nContent-Signal: ai-train=no\n\nUser-agent: *\nAllow: /", ""),
        (
            "Content-Signal: ai-train=no\nUser-agent: Pricewright\nContent-Signal: ai-train=yes",
            "",
        ),
        ("User-agent: OtherBot\nUser-agent: *\nContent-Signal: ai-train=no", "content_signal"),
        ("Content-Signal: ai-train=no  # outside of every group", "content_signal"),
        ("User-agent: *\nContent-Usage: train-ai=n", "content_usage"),
        ("User-agent: *\nContent-Usage: /art/ train-ai=n", "content_usage"),
        ("User-agent: *\nContent-Usage: /music/ train-ai=n", ""),
        ("User-agent: *\nContent-Usage: train-ai=n\nContent-Usage: /art/ train-ai=y", ""),
        ("# Content-Signal: ai-train=no", ""),
        ("User-agent: GPTBot\nUser-agent: CCBot\nDisallow: /", "ai_agents"),
        ("User-agent: ClaudeBot # no\nDisallow: /art/", "ai_agents"),
        ("User-agent: GPTBot\nDisallow: /music/", ""),
        ("User-agent: GPTBot\nAllow: /\n\nUser-agent: *\nDisallow: /", ""),
        ("User-agent: SearchBot\nDisallow: /", ""),
        ("\x00\ufffd:::\nUser-agent\nContent-Signal\nContent-Signal: =,=;", ""),
    ],
)
def test_a_robots_txt_reserves_the_pages_that_it_names(robots: str, reserved: str) -> None:
    assert rule(robots) == reserved


@pytest.mark.parametrize(
    ("ai_txt", "reserved"),
    [
        ("User-Agent: *\nDisallow: /", "ai_txt"),
        ("User-Agent: *\nDisallow: *.html", "ai_txt"),
        ("User-Agent: *\nDisallow: *.jpg\nAllow: *.html", ""),
        ("User-Agent: *\nAllow: /", ""),
        ("", ""),
    ],
)
def test_an_ai_txt_reserves_the_pages_that_it_disallows(ai_txt: str, reserved: str) -> None:
    assert rule(ai_txt=ai_txt) == reserved


def rsl(*licences: str, url: str = "/") -> str:
    """An RSL document with these licences."""
    inner = "".join(f"<license>{licence}</license>" for licence in licences)
    return f'<rsl xmlns="https://rslstandard.org/rsl"><content url="{url}">{inner}</content></rsl>'


PROHIBITS = "<prohibits type='usage'>ai-train, ai-index</prohibits>"
SEARCH = "<permits type='usage'>search</permits>"


@pytest.mark.parametrize(
    ("licence", "reason"),
    [
        (rsl(PROHIBITS), "prohibits ai-train"),
        (rsl(SEARCH), "permits search alone"),
        (rsl("<permits type='usage'>all</permits><payment type='crawl'/>"), "asks for a payment: crawl"),
        (rsl(SEARCH, "<permits type='usage'>ai-train</permits><payment type='free'/>"), ""),
        (rsl("<permits type='user'>non-commercial</permits>"), ""),
        (rsl(PROHIBITS, url="/music/*"), ""),
        (rsl(PROHIBITS, url="https://a.example/art/"), "prohibits ai-train"),
        (rsl(PROHIBITS, url="https://b.example/"), ""),
        (rsl(), ""),
        ("<rsl", "is no XML"),
        (None, "could not be read; its host must stand in scrape.shop.hosts"),
        (
            "<!DOCTYPE r [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><rsl><content url='/'>&x;</content></rsl>",
            "",
        ),
    ],
)
def test_an_rsl_licence_permits_training_or_says_why_not(licence: str | None, reason: str) -> None:
    assert reservation_of(licence, URL) == reason
    robots = f"User-agent: *\nAllow: /\nLicense: {LICENCE}"
    assert rule(robots, licence=licence) == ("rsl" if reason else "")


def test_the_nearest_content_of_a_licence_counts() -> None:
    free, closed = rsl("<permits type='usage'>all</permits>", url="/art/"), rsl(PROHIBITS)
    both = closed.replace("</rsl>", "") + free[free.index("<content") :]
    assert reservation_of(both, URL) == ""
    assert reservation_of(both, "https://a.example/music/") == "prohibits ai-train"
