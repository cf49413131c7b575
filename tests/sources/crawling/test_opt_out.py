"""Opt-outs of a page: every place and spelling, and those that address other crawlers."""

from typing import Any

import pytest

from components.sources.crawling.opt_out import statement
from components.sources.crawling.site_terms import SiteTerms, parse_tdmrep
from components.sources.extraction.product import parse

PAID = "<rsl><content url='/'><license><payment type='purchase'/></license></content></rsl>"
URL = "https://a.example/art/print-1?size=2"


def opt_out(head: str = "", tdmrep: Any = None, **headers: str) -> tuple[str, str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    terms = SiteTerms(tdmrep=tdmrep, licences={"https://a.example/l.xml": PAID})
    stated = statement(parse(f"<html><head>{head}</head><body>x</body></html>"), named, URL, terms)
    return stated.rule, stated.text


@pytest.mark.parametrize(
    ("head", "headers", "rule"),
    [
        ("<meta name=robots content='noindex, follow'>", {}, "noindex"),
        ("<meta name=ROBOTS content=NONE>", {}, "noindex"),
        ("<meta name=pricewright content=noindex>", {}, "noindex"),
        ("<meta name=googlebot content=noindex>", {}, ""),
        ("<meta name=robots content='index, noai'>", {}, "noai"),
        ("<meta name=robots content=noimageai>", {}, ""),
        ("", {"X_Robots_Tag": "noindex"}, "noindex"),
        ("", {"X_Robots_Tag": "googlebot: noindex, nofollow"}, ""),
        ("", {"X_Robots_Tag": "googlebot: nofollow, pricewright: noindex"}, "noindex"),
        ("", {"X_Robots_Tag": "max-snippet: 20, noai"}, "noai"),
        ("<meta name=tdm-reservation content=1>", {}, "tdm_reservation"),
        ("", {"TDM_Reservation": "1"}, "tdm_reservation"),
        ("<meta name=tdm-reservation content=0>", {"TDM_Reservation": "1"}, ""),
        ("", {"Content_Usage": "train-ai=n"}, "content_usage"),
        ("", {"Content_Usage": "search=n, train-ai=y"}, ""),
        ("<link rel=license type=application/rsl+xml href=/l.xml>", {}, "rsl"),
        ("<link rel=license type=text/html href=/l.xml>", {}, ""),
        ("", {"Link": '</l.xml>; rel="license"; type="application/rsl+xml"'}, "rsl"),
        ("", {"Link": '</style.css>; rel="preload"'}, ""),
        ("<link rel=license type=application/rsl+xml href=https://b.example/x.xml>", {}, "rsl"),
        ("", {}, ""),
    ],
)
def test_an_opt_out_is_recognized_in_every_place_and_spelling(
    head: str, headers: dict[str, str], rule: str
) -> None:
    assert opt_out(head, **headers)[0] == rule


@pytest.mark.parametrize(
    ("location", "covers"),
    [("/", True), ("/art/", True), ("/art/*size=2", True), ("/art/print-1$", False), ("/music/", False)],
)
def test_a_reservation_applies_to_the_urls_that_its_pattern_matches(location: str, covers: bool) -> None:
    entries = [{"location": location, "tdm-reservation": 1, "tdm-policy": "https://a.example/policy"}]
    rule, text = opt_out(tdmrep=entries)
    assert (rule == "tdm_reservation") == covers
    assert ("https://a.example/policy" in text) == covers


def test_the_first_entry_that_matches_a_url_decides() -> None:
    free = {"location": "/art/", "tdm-reservation": 0}
    assert opt_out(tdmrep=[free, {"location": "/", "tdm-reservation": 1}])[0] == ""


@pytest.mark.parametrize("body", ["", "<h1>404</h1>", "\ufffd", "[" * 100_000, '{"location": "/"}', "[3]"])
def test_a_broken_tdmrep_json_reserves_nothing(body: str) -> None:
    assert opt_out(tdmrep=parse_tdmrep(body)) == ("", "")
