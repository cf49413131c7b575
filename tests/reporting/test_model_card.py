"""The model card: every figure from a report, new metrics by themselves, nothing that is not there."""

from __future__ import annotations

import copy
from typing import Any

import pandas as pd

from components.core.params.file import Params
from components.reporting.model_card import card, terms

REPORTS: dict[str, dict[str, Any]] = {
    "scrape": {"listings": 4321},
    "curate": {"rejected": {"no_price": 17, "no_text": 0}, "rows": {"train": 321, "test": 45}},
    "evaluate": {
        "measure": "MAE",
        "headline": "sft wins: test MAE 12.34",
        "winner": "sft",
        "noise_floor": None,
        "error_by_category": [{"category": "Tools | <b>Home</b>", "n": 7, "loss": 9.5, "bias": -4.25}],
        "error_by_band": [{"band": "10 to 42", "n": 8, "loss": None, "bias": None}],
        "candidates": {
            "sft": {
                "validation": {"loss": 13.57},
                "test": {"loss": 12.34, "loss_low": 11.11, "loss_high": 14.44},
            },
            "mean": {
                "validation": {"loss": None},
                "test": {"loss": None, "loss_low": None, "loss_high": None},
            },
        },
    },
    "quantize": {"format": "nf4", "bytes_served": 2183808, "validation": {"loss_served": 13.75}},
}
MADE_FROM = {"git.commit": "0123456789abcdef"}


TERMS = {"CC-BY-4.0": 4000, "none stated": 321}


def rendered(params: Params, terms: dict[str, int] = TERMS, **changed: Any) -> str:
    reports = copy.deepcopy(REPORTS)
    reports["evaluate"] |= changed
    sections: dict[str, Any] = {
        name: getattr(params, name) for name in ("scrape", "task", "base", "sft", "evaluate")
    }
    return card(params.register.model_name, reports, terms, MADE_FROM, **sections)


def test_a_card_tells_data_terms_metrics_with_intervals_parity_and_origin(params: Params) -> None:
    markdown = rendered(params)
    for part in (
        "4321 raw listings from the source `demo_shop`",
        "CC-BY-4.0 4000, none stated 321",
        "by rule: no price 17.",
        "train 321, test 45",
        f"rank {params.sft.lora.rank}",
        "| loss | 12.34 | 11.11 to 14.44 |",
        "| sft | 13.57 | 12.34 | 11.11 to 14.44 |",
        "| mean | - | - |  |",
        "| bytes served | 2183808 |",
        "| validation, loss served | 13.75 |",
        "| git.commit | 0123456789abcdef |",
        r"| Tools \| \<b\>Home\</b\> | 7 | 9.5 | -4.25 |",
        "| 10 to 42 | 8 | - | - |",
        "Intended: estimates for people",
        "Forbidden: an answer that binds anybody",
    ):
        assert part in markdown, part


def test_a_metric_that_evaluate_adds_shows_by_itself_with_its_interval(params: Params) -> None:
    test = {"loss": 12.34, "median_error": 7.89, "median_error_low": 7.01, "median_error_high": 8.91}
    candidates = {"sft": {"validation": {"loss": 13.57}, "test": test}}
    markdown = rendered(params, candidates=candidates, forgetting={"sft": {"perplexity_ratio": 1.625}})
    assert "| median error | 7.89 | 7.01 to 8.91 |" in markdown
    assert "## Forgetting" in markdown
    assert "| perplexity ratio | 1.625 |" in markdown


def test_what_was_not_measured_has_no_heading(params: Params) -> None:
    markdown = rendered(params)
    assert "Forgetting" not in markdown
    assert "known law" not in markdown
    floor = rendered(params, noise_floor={"test": {"loss": 9.87}})
    assert "The law itself errs 9.87 on the test rows" in floor


def test_the_rows_least_like_training_stand_beside_the_rest_with_intervals(params: Params) -> None:
    assert "Out of domain" not in rendered(params)
    ends = {"coverage": 0.61, "coverage_low": 0.5, "coverage_high": 0.75}
    least = {"n": 20, "loss": 31.25, "loss_low": 22.5, "loss_high": 41.75, **ends}
    figures = {
        "share": 0.1,
        "likeness_below": 0.37,
        "least_like": least,
        "rest": least | {"n": 180, "loss": 9.5},
        "elsewhere": None,
    }
    markdown = rendered(params, out_of_domain=figures)
    assert "another catalogue" not in markdown
    there = {"path": "data/other.csv", "candidates": {"median": least | {"loss": 63.5}}}
    assert "| median | 20 | 63.5 | 22.5 to 41.75 |" in rendered(
        params, out_of_domain=figures | {"elsewhere": there}
    )
    assert "## Out of domain" in markdown
    assert "The 10% of the test listings" in markdown
    assert "| least like | 20 | 31.25 | 22.5 to 41.75 | 0.61 | 0.5 to 0.75 |" in markdown
    assert "| rest | 180 | 9.5 |" in markdown


def test_an_aligned_winner_says_by_which_method(params: Params) -> None:
    assert "Aligned by" not in rendered(params)
    candidates = {"dpo": REPORTS["evaluate"]["candidates"]["sft"]}
    assert "Aligned by `dpo`" in rendered(params, winner="dpo", candidates=candidates)


def test_terms_are_counted_where_a_source_states_them() -> None:
    unknown = pd.DataFrame({"id": ["a", "b"]})
    assert terms(unknown) == {"none stated": 2}
    stated = unknown.assign(rights=["CC0", ""])
    assert terms(stated) == {"CC0": 1, "none stated": 1}


def test_the_terms_of_a_page_add_no_markup_to_the_card(params: Params) -> None:
    markdown = rendered(params, terms={"x\n## Metrics\n![](http://a.example)": 3})
    assert r"- Terms of the source: x ## Metrics !\[\](http\://a.example) 3." in markdown.splitlines()
