"""The gate before all training: a Great Expectations suite over the four splits.

Reads `artifacts/curate/` and the number of listings that `artifacts/scrape/` had; writes
`artifacts/validate/passed.json`, the names of the critical checks: every later reader of the data depends
on it, and it is written only where none of them failed. The page, Great Expectations' Data Docs, goes to
`reports/validate/data_docs/index.html`, also after a failure. Nothing may depend on it: it holds the time
of the run. A failed warning is reported and stops nothing.
"""

# mypy: disable-error-code="attr-defined"
# great_expectations re-exports its classes without saying so, which strict mypy takes for missing ones.

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import great_expectations as gx
import great_expectations.expectations as gxe
import pandas as pd
from great_expectations.core import ExpectationValidationResult
from great_expectations.data_context import EphemeralDataContext
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from great_expectations.expectations.expectation import Expectation

from components import stage
from components.params import Curate, Validate
from components.records import SPLITS, Item, PricewrightError, Split

DOCS = Path("reports/validate/data_docs")
SHOWN = 5  # failing rows in a message
SHOWN_CHARACTERS = 100  # of each value in it
PRICE_IN_TEXT = (  # written apart from curate's own pattern: a check that shares its code shares its faults
    r"(?i)[$€£¥] ?\.?\d|\d ?(?:€|£|(?:USD|EUR|GBP|dollars?|euros?)\b)|\b(?:USD|EUR|GBP) ?\d"
    r"|\b(?:price|msrp)\b(?: ?[:=]| is\b)? ?\d"
)


@dataclass(frozen=True)
class Check:
    """What became of one expectation."""

    table: str
    """The split, or the table that was made of all four."""
    name: str
    critical: bool
    passed: bool
    unexpected: int
    """Rows that broke it; 0 for an expectation of a whole table."""
    found: list[str]
    """Up to five of those rows, or what was found instead."""


def validate(
    splits: dict[Split, pd.DataFrame],
    listings: int,
    rejects: int,
    section: Validate,
    curate: Curate,
    docs: Path,
) -> list[Check]:
    """Run the suite over the splits (columns of `Item`) and write the Data Docs into the folder `docs`.

    `listings` rows came in and `rejects` of them were refused. Never raises for a failed check.
    """
    known = sorted(splits["train"]["category"].dropna().unique()) if "category" in splits["train"] else []
    tables: dict[str, pd.DataFrame] = {str(split): rows for split, rows in splits.items()}
    tables |= overviews(splits, listings, rejects)
    suites = {str(split): split_suite(split, known, section, curate) for split in splits}
    suites |= overview_suites(section)
    shutil.rmtree(docs, ignore_errors=True)
    context = _context(docs)
    source = context.data_sources.add_pandas("curate")
    checks = []
    for table, suite in suites.items():
        batch = source.add_dataframe_asset(table).add_batch_definition_whole_dataframe("all")
        expectations = context.suites.add(gx.ExpectationSuite(table, expectations=suite))
        definition = gx.ValidationDefinition(name=table, data=batch, suite=expectations)
        outcome = context.validation_definitions.add(definition).run(
            batch_parameters={"dataframe": tables[table]},
            result_format={
                "result_format": "SUMMARY",
                "unexpected_index_column_names": _naming(tables[table]),
            },
        )
        checks += sorted((_check(table, result) for result in outcome.results), key=lambda check: check.name)
    context.build_data_docs()
    return checks


def overviews(splits: dict[Split, pd.DataFrame], listings: int, rejects: int) -> dict[str, pd.DataFrame]:
    """Tables over all splits, so that what concerns more than one row becomes an expectation of a row."""
    items = pd.concat(splits.values()).reindex(columns=Item.columns()).reset_index(drop=True)
    categories = items.groupby("split")["category"].value_counts(normalize=True).rename("share").reset_index()
    medians = pd.to_numeric(items["price"], errors="coerce").groupby(items["split"]).median()
    ratios = medians.rename("median").reset_index().assign(ratio=(medians / medians.min()).to_numpy())
    return {
        "items": items,
        "products": items[["product", "split"]].drop_duplicates().reset_index(drop=True),
        "categories": categories,
        "medians": ratios,
        "ledger": pd.DataFrame({"listings": [listings], "accounted": [len(items) + rejects]}),
    }


def split_suite(split: str, known: list[str], section: Validate, curate: Curate) -> list[Expectation]:
    """What must hold of each split by itself; `known` are the categories of the training split."""
    least, most = section.text_characters_min, section.text_characters_max
    return [
        gxe.ExpectTableColumnsToMatchOrderedList(column_list=Item.columns(), **_critical("columns")),
        gxe.ExpectTableRowCountToBeBetween(min_value=section.rows_min, **_critical("rows_enough")),
        gxe.ExpectColumnValuesToBeInSet(column="split", value_set=[split], **_critical("split_named")),
        gxe.ExpectColumnValuesToNotBeNull(column="id", **_critical("id_given")),
        gxe.ExpectColumnValuesToNotBeNull(column="product", **_critical("product_given")),
        gxe.ExpectColumnValuesToNotBeNull(column="category", **_critical("category_given")),
        gxe.ExpectColumnValuesToBeInSet(column="category", value_set=known, **_warning("category_known")),
        gxe.ExpectColumnValuesToBeJsonParseable(column="details", **_critical("details_json")),
        gxe.ExpectColumnValuesToNotBeNull(column="text", **_critical("text_given")),
        gxe.ExpectColumnValuesToMatchRegex(column="text", regex=r"\w", **_critical("text_not_empty")),
        gxe.ExpectColumnValueLengthsToBeBetween(
            column="text", min_value=least, max_value=most, **_critical("text_length")
        ),
        gxe.ExpectColumnValuesToNotMatchRegex(
            column="text", regex=PRICE_IN_TEXT, **_critical("text_without_price")
        ),
        gxe.ExpectColumnValuesToBeOfType(column="price", type_="float64", **_critical("price_number")),
        gxe.ExpectColumnValuesToNotBeNull(column="price", **_critical("price_given")),
        gxe.ExpectColumnValuesToBeBetween(
            column="price",
            min_value=curate.price_min,
            max_value=curate.price_max,
            **_critical("price_in_range"),
        ),
    ]


def overview_suites(section: Validate) -> dict[str, list[Expectation]]:
    """What must hold of the splits together, by the table of `overviews` that shows it."""
    share, ratio = section.category_share_max, section.median_ratio_max
    return {
        "items": [gxe.ExpectColumnValuesToBeUnique(column="id", **_critical("id_unique"))],
        "products": [gxe.ExpectColumnValuesToBeUnique(column="product", **_critical("product_in_one_split"))],
        "ledger": [
            gxe.ExpectColumnPairValuesToBeEqual(
                column_A="listings", column_B="accounted", **_critical("no_listing_lost")
            )
        ],
        "categories": [
            gxe.ExpectColumnValuesToBeBetween(column="share", max_value=share, **_warning("category_share"))
        ],
        "medians": [
            gxe.ExpectColumnValuesToBeBetween(
                column="ratio", max_value=ratio, **_warning("median_prices_alike")
            )
        ],
    }


def _critical(name: str) -> dict[str, Any]:
    return {"severity": "critical", "meta": {"check": name}}


def _warning(name: str) -> dict[str, Any]:
    return {"severity": "warning", "meta": {"check": name}}


def _context(docs: Path) -> EphemeralDataContext:
    """A context in memory, silent and without analytics, that leaves nothing behind but the page."""
    site = {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": {
            "class_name": "TupleFilesystemStoreBackend",
            "base_directory": str(docs.resolve()),
        },
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
    }
    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        data_docs_sites={"page": site},
        analytics_enabled=False,
        progress_bars=ProgressBarsConfig(globally=False, metric_calculations=False),
    )
    return gx.get_context(mode="ephemeral", project_config=config)


# --- results -----------------------------------------------------------------------------------------


def _naming(table: pd.DataFrame) -> list[str]:
    """Columns by which a person finds a failing row."""
    return [column for column in ("id", "title", "split", "category") if column in table.columns]


def _check(table: str, result: ExpectationValidationResult) -> Check:
    config, details = result.expectation_config, result.result
    assert config is not None
    rows = details.get("partial_unexpected_index_list")
    if rows and isinstance(rows[0], dict):  # bare places where the table has no column that names a row
        found = [_shown(row) for row in rows[:SHOWN]]
    elif "observed_value" in details:
        found = [f"found {details['observed_value']}"]
    elif values := details.get("partial_unexpected_list"):
        found = [" against ".join(map(str, value)) for value in values[:SHOWN]]  # of two columns
    else:
        found = [_reason(result.exception_info)]
    return Check(
        table=table,
        name=config.meta["check"],
        critical=config.severity == "critical",
        passed=bool(result.success),
        unexpected=int(details.get("unexpected_count", 0)),
        found=[] if result.success else found,
    )


def _shown(row: dict[str, Any]) -> str:
    values = {name: str(value) for name, value in row.items()}
    return ", ".join(f"{name} {value[:SHOWN_CHARACTERS]!r}" for name, value in sorted(values.items()))


def _reason(exceptions: dict[str, Any] | None) -> str:
    """Why an expectation could not be computed: GX nests the exceptions of its metrics."""
    faults = [exceptions or {}, *(fault for fault in (exceptions or {}).values() if isinstance(fault, dict))]
    messages = [fault["exception_message"] for fault in faults if fault.get("exception_message")]
    return f"could not be computed: {messages[0].splitlines()[0]}" if messages else "could not be computed"


def report_of(checks: list[Check]) -> dict[str, Any]:
    """How many checks failed, and of each table and check what was found."""
    failed = [check for check in checks if not check.passed]
    report: dict[str, Any] = {
        "checks": len(checks),
        "failed_critical": sum(check.critical for check in failed),
        "failed_warning": sum(not check.critical for check in failed),
    }
    for check in checks:
        report.setdefault(check.table, {})[check.name] = {
            "passed": check.passed,
            "severity": "critical" if check.critical else "warning",
            "unexpected": check.unexpected,
            "found": check.found,
        }
    return report


def describe(check: Check) -> str:
    """One failed check for a person: its name, where, and the rows."""
    rows = f", {check.unexpected} rows" if check.unexpected else ""
    return "\n    ".join([f"  {check.name} fails for {check.table}{rows}", *check.found])


def require(checks: list[Check], docs: Path) -> None:
    """Raises PricewrightError that names every failed critical check with up to five of its rows."""
    failed = [describe(check) for check in checks if check.critical and not check.passed]
    if failed:
        raise PricewrightError(
            f"{len(failed)} of {len(checks)} checks failed:\n"
            + "\n".join(failed)
            + "\nMend the source or the "
            f"section `curate` of params.yaml; all results: {docs}/index.html"
        )


def main() -> None:
    with stage.run("validate") as frame:
        splits = {split: stage.read(f"artifacts/curate/{split}.parquet") for split in SPLITS}
        listings = len(stage.read("artifacts/scrape/listings.parquet"))
        rejects = len(stage.read("artifacts/curate/rejects.parquet"))
        passed = frame.folder / "passed.json"
        passed.unlink(missing_ok=True)
        checks = validate(splits, listings, rejects, frame.params.validate, frame.params.curate, DOCS)
        frame.report(report_of(checks))
        frame.tracked.artifact(DOCS)
        for check in checks:
            if not check.passed and not check.critical:
                print("warning:" + describe(check), file=sys.stderr)
        require(checks, DOCS)
        passed.parent.mkdir(parents=True, exist_ok=True)
        names = [f"{check.table}/{check.name}" for check in checks if check.critical]
        passed.write_text(json.dumps({"critical": names}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
