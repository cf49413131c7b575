"""What must hold of the data, as Great Expectations suites: of raw listings, of each split, of all together.

A critical expectation that fails stops the chain, a warning is reported. Each has a name of its own in
`meta`, by which reports and tests speak of it.
"""

# mypy: disable-error-code="attr-defined"
# great_expectations re-exports its classes without saying so, which strict mypy takes for missing ones.

from __future__ import annotations

from typing import Any

import great_expectations.expectations as gxe
import pandas as pd
from great_expectations.expectations.expectation import Expectation

from components.core.params.task import Task
from components.core.params.validate import Validate
from components.core.schemas import SPLITS, Item, Listing, Reject, Split

Suites = dict[str, list[Expectation]]
AMOUNT = r"\d[\d.,]{0,15}"
SIGN = r"(?:[$€£¥₹₽₺₩₪₫₴₱฿]|zł|Kč)"
CODE = r"(?:USD|EUR|GBP|CHF|SEK|NOK|DKK|PLN|CZK|HUF|INR|BRL|MXN|AUD|NZD|HKD|SGD|JPY|CNY|KRW|ZAR|AED|RUB)"
NAME = r"(?:dollars?|euros?|bucks|quid|rupees|kronor|kroner|zloty|yen|pesos|francs)"
WRITTEN_OUT = (
    r"(?:ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen|(?:twen|thir|for|fif|six|seven|eigh|nine)ty"
    r"|one|two|three|four|five|six|seven|eight|nine|hundred|thousand)"
)
PRICE_IN_TEXT = (  # written apart from curate's own pattern: a check that shares its code shares its faults
    rf"(?i){SIGN} ?\.?\d"
    rf"|(?<!\d{{6}})\d ?(?:[$€£₹₽₺₩₪₫₴₱฿](?! ?\d)|(?:zł|Kč)(?!\w)|kr\b|{NAME}\b|(?-i:{CODE})\b)"
    rf"|\b(?:(?-i:{CODE}) ?|Rs(?:\. ?| ))\d|\b{WRITTEN_OUT}[ -]{NAME}\b|\d[.,:](?:-|–)(?![\w-])"
    rf"|\b(?:price|msrp|rrp|mrp)\b(?: ?[:=]| is\b)? ?\d|\b(?:you pay|sale!|was) \d+[.,]\d\d\b(?! ?[\w\"”'%])"
)
PRICE_IN_DETAILS = r'(?i)"[^"]*\b(?:price|msrp|rrp|mrp|preis|prix|precio|prezzo|cena)\b[^"]*": "[^"]*\d'
MARKUP = r"(?i)</?(?:[a-z][a-z0-9]*)(?:\s[^<>]*)?/?>|&(?:amp|lt|gt|quot|nbsp|#\d+);"
BROKEN = (  # bytes that were lost, or UTF-8 read as Windows-1252, Latin-1 or Mac Roman
    r"\ufffd|ï¿½|[ÃÂÄÅÐÑ][\u0080-\u00bf€‚ƒ„…†‡ˆ‰‹Œ‘’“”•–—˜™›œ]|â€|â„|√[©®§∂•†]|‚Ä"
)
CONTROL = r"[\x00-\x09\x0b-\x1f\x7f]"


def suites(
    splits: dict[Split, pd.DataFrame],
    rules: list[str],
    section: Validate,
    task: Task,
) -> Suites:
    """Table name -> what must hold of it, for the tables of `validate.tables_of`.

    `rules` are those by which curate rejects; targets are answers to the `task`, of which all labels are
    known.
    """
    known = sorted(splits["train"]["category"].dropna().unique()) if "category" in splits["train"] else []
    each = {str(split): split_suite(split, known, section, task) for split in splits}
    overall = overall_suites(rules, section, task)
    return {"raw": raw_suite(section, task.kind), **each, **overall, **label_suites(section, task)}


def raw_suite(section: Validate, kind: str) -> list[Expectation]:
    """What must hold of raw listings: price and text may be missing, columns and provenance may not."""
    return [
        gxe.ExpectTableColumnsToMatchOrderedList(column_list=Listing.columns(), **_critical("columns")),
        gxe.ExpectTableRowCountToBeBetween(min_value=1, **_critical("rows_enough")),
        *map(_not_null, Listing.columns()),
        gxe.ExpectColumnValuesToMatchRegex(column="id", regex=r"^[0-9a-f]{16}$", **_critical("id_form")),
        gxe.ExpectColumnValuesToMatchRegex(
            column="page_hash", regex=r"^[0-9a-f]{64}$", **_critical("page_hash_form")
        ),
        gxe.ExpectColumnValuesToBeUnique(column="id", **_warning("id_unique")),
        gxe.ExpectColumnValueLengthsToBeBetween(column="source", min_value=1, **_critical("source_named")),
        gxe.ExpectColumnValueLengthsToBeBetween(column="address", min_value=1, **_critical("address_named")),
        gxe.ExpectColumnValuesToBeJsonParseable(column="details", **_critical("details_json")),
        gxe.ExpectColumnValuesToMatchRegex(
            column="currency", regex=r"^(?:[A-Za-z]{3})?$", **_warning("currency_form")
        ),
        *(
            gxe.ExpectColumnValueLengthsToBeBetween(
                column=column, min_value=1, mostly=section.priced_share_min, **_warning("mostly_priced")
            )
            for column in (["price"] if kind == "number" else [])
        ),
        gxe.ExpectColumnValueLengthsToBeBetween(
            column="title", min_value=1, mostly=section.titled_share_min, **_warning("mostly_titled")
        ),
        gxe.ExpectColumnValuesToNotMatchRegex(
            column="title", regex=BROKEN, mostly=section.readable_share_min, **_warning("encoding_right")
        ),
    ]


def split_suite(split: str, known: list[str], section: Validate, task: Task) -> list[Expectation]:
    """What must hold of each split by itself; `known` are the categories of the training split."""
    least, most = section.text_characters_min, section.text_characters_max
    required = ("id", "product", "category", "title", "source", "address", "text", "target")
    return [
        gxe.ExpectTableColumnsToMatchOrderedList(column_list=Item.columns(), **_critical("columns")),
        gxe.ExpectTableRowCountToBeBetween(min_value=section.rows_min, **_critical("rows_enough")),
        *map(_not_null, required),
        gxe.ExpectColumnValuesToBeInSet(column="split", value_set=[split], **_critical("split_named")),
        gxe.ExpectColumnValuesToBeInSet(column="category", value_set=known, **_warning("category_known")),
        gxe.ExpectColumnValuesToBeJsonParseable(column="details", **_critical("details_json")),
        gxe.ExpectColumnValuesToMatchRegex(column="text", regex=r"\w", **_critical("text_not_empty")),
        gxe.ExpectColumnValueLengthsToBeBetween(
            column="text", min_value=least, max_value=most, **_critical("text_length")
        ),
        gxe.ExpectColumnValuesToNotMatchRegex(
            column="text", regex=PRICE_IN_TEXT, **_critical("text_without_price")
        ),
        *(
            gxe.ExpectColumnValuesToNotMatchRegex(
                column="details", regex=pattern, **_critical(f"details_without_{what}")
            )
            for what, pattern in {"price": PRICE_IN_TEXT, "price_name": PRICE_IN_DETAILS}.items()
        ),
        gxe.ExpectColumnValueLengthsToBeBetween(
            column="brand", min_value=1, mostly=section.branded_share_min, **_warning("mostly_branded")
        ),
        gxe.ExpectColumnValuesToNotMatchRegex(column="text", regex=MARKUP, **_warning("text_without_markup")),
        gxe.ExpectColumnValuesToNotMatchRegex(
            column="text", regex=CONTROL, **_critical("text_without_control_characters")
        ),
        gxe.ExpectColumnValuesToBeOfType(column="target", type_="float64", **_critical("target_number")),
        _is_answer(task),
    ]


def _is_answer(task: Task) -> Expectation:
    """That every target answers the task: a number in its range, or the place of a label."""
    if task.kind == "label":
        places = [float(place) for place in range(len(task.label.names))]
        return gxe.ExpectColumnValuesToBeInSet(
            column="target", value_set=places, **_critical("target_among_names")
        )
    return gxe.ExpectColumnValuesToBeBetween(
        column="target",
        min_value=task.number.min,
        max_value=task.number.max,
        **_critical("target_in_range"),
    )


def overall_suites(rules: list[str], section: Validate, task: Task) -> Suites:
    """What must hold of the splits together, by the table of `validate.tables_of` that shows it."""
    is_label = task.kind == "label"
    drifted_max = section.drift_stability_max if is_label else section.drift_distance_max
    return {
        **listing_suites(rules, section),
        "leaks": [
            _at_most("exact", 0, **_critical("no_scored_text_in_training")),
            _at_most("nearest", 0, **_critical("no_near_duplicate_in_training")),
            _at_most("near", 0, **_warning("no_similar_text_in_training")),
        ],
        "paraphrases": [_null("of", **_warning("no_paraphrase_in_training"))],
        "shares": [_at_most("difference", section.share_difference_max, **_critical("split_shares"))],
        "languages": [_at_most("foreign", section.foreign_share_max, **_warning("one_language"))],
        "labels": kappa_suite(section) if is_label else figure_suite(section),
        "sizes": [_at_most("share", section.product_share_max, **_warning("largest_product"))],
        "categories": [_at_most("share", section.category_share_max, **_warning("category_share"))],
        "medians": [_at_most("ratio", section.median_ratio_max, **_warning("median_prices_alike"))],
        "drift": [
            _at_most("target", drifted_max, **_warning("target_like_reference")),
            _at_most("length", section.drift_distance_max, **_warning("length_like_reference")),
            _at_most("categories", section.drift_stability_max, **_warning("categories_like_reference")),
        ],
    }


def listing_suites(rules: list[str], section: Validate) -> Suites:
    """What must hold of the rows of all splits and of the rejects: each listing is there once, and may be."""
    return {
        "rejects": [
            gxe.ExpectTableColumnsToMatchOrderedList(column_list=Reject.columns(), **_critical("columns")),
            gxe.ExpectColumnValuesToBeInSet(column="rule", value_set=rules, **_critical("rule_known")),
            gxe.ExpectColumnValueLengthsToBeBetween(
                column="reason", min_value=1, **_critical("reason_given")
            ),
        ],
        "curated": [
            gxe.ExpectColumnValuesToBeUnique(column="id", **_critical("id_unique")),
            gxe.ExpectColumnDistinctValuesToEqualSet(
                column="split", value_set=list(SPLITS), **_critical("splits_all_there")
            ),
            gxe.ExpectColumnValuesToNotMatchRegex(
                column="text", regex=BROKEN, mostly=section.readable_share_min, **_critical("text_readable")
            ),
        ],
        "products": [gxe.ExpectColumnValuesToBeUnique(column="product", **_critical("product_in_one_split"))],
        "ledger": [
            gxe.ExpectColumnPairValuesToBeEqual(
                column_A="listings", column_B="accounted", **_critical("no_listing_lost")
            )
        ],
        "repeated_texts": [_at_most("prices", 1, **_warning("one_price_for_a_text"))],
        "conflicts": [
            _null("rights", **_critical("no_reserved_row")),
            _null("rule", **_critical("no_rejected_row")),
        ],
    }


def label_suites(section: Validate, task: Task) -> Suites:
    """What must hold of labels in the splits; nothing where a number is predicted."""
    if task.kind != "label":
        return {}
    agreeing = 1 - section.conflicting_share_max
    return {
        "split_labels": [
            gxe.ExpectColumnValuesToBeBetween(column="rows", min_value=1, **_critical("labels_all_there")),
            _at_most("share", section.category_share_max, **_warning("label_share")),
        ],
        "label_rows": [
            gxe.ExpectColumnValuesToBeBetween(
                column="rows", min_value=task.label.rows_min, **_warning("label_rows_enough")
            )
        ],
        "label_conflicts": [_at_most("labels", 1, mostly=agreeing, **_critical("labels_agree"))],
    }


def kappa_suite(section: Validate) -> list[Expectation]:
    """What must hold of `labels.label_kappas`."""
    return [
        gxe.ExpectColumnValuesToBeBetween(
            column="kappa", min_value=section.category_kappa_min, **_critical("labels_follow_texts")
        )
    ]


def figure_suite(section: Validate) -> list[Expectation]:
    """What must hold of the figures of `labels.label_figures`."""
    least = section.price_explained_min
    off = section.price_off_share_max
    return [
        gxe.ExpectColumnValuesToBeBetween(
            column="explained", min_value=least, **_critical("prices_follow_texts")
        ),
        _at_most("above", off, **_critical("no_prices_far_above_their_texts")),
        _at_most("below", off, **_critical("no_prices_far_below_their_texts")),
        _at_most("repeated", off, **_critical("no_sum_in_place_of_prices")),
        _at_most("commonest", section.same_price_share_max, **_critical("prices_differ")),
        gxe.ExpectColumnValuesToBeBetween(
            column="kappa", min_value=section.category_kappa_min, **_warning("categories_follow_texts")
        ),
    ]


def _null(column: str, **named: Any) -> Expectation:
    return gxe.ExpectColumnValuesToBeNull(column=column, **named)


def _not_null(column: str) -> Expectation:
    return gxe.ExpectColumnValuesToNotBeNull(column=column, **_critical(f"{column}_given"))


def _at_most(column: str, most: float, **named: Any) -> Expectation:
    return gxe.ExpectColumnValuesToBeBetween(column=column, max_value=most, **named)


def _critical(name: str) -> dict[str, Any]:
    return {"severity": "critical", "meta": {"check": name}}


def _warning(name: str) -> dict[str, Any]:
    return {"severity": "warning", "meta": {"check": name}}
