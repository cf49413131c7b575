"""Great Expectations suites over raw listings, splits, and all splits together, before anything is trained.

Reads `artifacts/scrape/listings.parquet` and `artifacts/curate/`; writes `artifacts/validate/passed.json`,
the names of the critical checks: every later reader of the data depends on it, and it is written only where
none of them failed. `reports/validate/` gets the page about the data and Great Expectations' Data Docs, also
after a failure. Nothing may depend on these: the Docs hold the time of the run. A failed warning is reported
and stops nothing.
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
import pandas as pd
from great_expectations.core import ExpectationValidationResult
from great_expectations.data_context import EphemeralDataContext
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)

from components.core import intakes, stage
from components.core.errors import PricewrightError
from components.core.params.base import Base
from components.core.params.curate import Curate
from components.core.params.section import load_section
from components.core.params.task import Task
from components.core.params.validate import Validate
from components.core.schemas import HELD_OUT, SPLITS, Item, Split
from components.curation.rules import names_of
from components.quality import consistency, drift
from components.quality.batches import Batches, complete
from components.quality.expectations import Suites, suites
from components.quality.labels import ROWS_MIN
from components.quality.languages import foreign_shares
from components.quality.leakage import Leakage, leakage_against
from components.quality.sampling import categories_of, sample, texts_of, whole_tables
from components.quality.targets import target_tables, whole_label_counts
from components.reporting import data_page
from components.reporting.data_docs import read_offline
from components.synthetic.catalogue import corpus
from components.tasks import AnyTask, load_task

LISTINGS = Path("artifacts/scrape/listings.parquet")
CURATED = Path("artifacts/curate")
DOCS = Path("reports/validate/data_docs")
PAGE = Path("reports/validate/data.html")
NOTE = "Under Artifacts: `data.html`, the page about the data, and `data_docs/index.html`, every expectation."
EXAMPLES = 5  # failing rows in a message
EXAMPLE_CHARACTERS = 100  # of each value in it
Tables = dict[str, pd.DataFrame | Batches]


@dataclass(frozen=True)
class Check:
    """The outcome of one expectation."""

    table: str
    """Name of the table in `tables_of`."""
    name: str
    critical: bool
    passed: bool
    unexpected: int
    """Rows that broke it; 0 for an expectation of a whole table."""
    examples: list[str]
    """Up to five of those rows, or the value that was observed instead."""


def validate(tables: Tables, expected: Suites, docs: Path) -> list[Check]:
    """Check each table against its suite, and write the Data Docs into the folder `docs`.

    A suite without a table is skipped. Does not raise for a failed check.
    """
    shutil.rmtree(docs, ignore_errors=True)
    context = _context(docs)
    source = context.data_sources.add_pandas("curate")
    checks = []
    for table, suite in expected.items():
        if table not in tables:
            continue
        rows = tables[table]
        first = next(rows.frames()) if isinstance(rows, Batches) else rows
        batch = source.add_dataframe_asset(table).add_batch_definition_whole_dataframe("all")
        expectations = context.suites.add(gx.ExpectationSuite(table, expectations=suite))
        definition = gx.ValidationDefinition(name=table, data=batch, suite=expectations)
        shown = {"result_format": "SUMMARY", "unexpected_index_column_names": _identifying_columns(first)}
        outcome = context.validation_definitions.add(definition).run(
            batch_parameters={"dataframe": first}, result_format=shown
        )
        if isinstance(rows, Batches):
            complete(context, outcome, rows, batch, shown)
        checks += sorted((_check(table, result) for result in outcome.results), key=lambda check: check.name)
    context.build_data_docs()
    read_offline(docs, {check.table for check in checks if not check.passed})
    return checks


def tables_of(
    listings: pd.DataFrame,
    splits: dict[Split, pd.DataFrame],
    rejects: pd.DataFrame,
    leakage: Leakage,
    profile: dict[str, Any] | None,
    curate: Curate,
    task: Task,
    gate_ids: frozenset[str],
) -> Tables:
    """The tables to be checked, by name: those given, and aggregates over all splits, so that what concerns
    many rows becomes an expectation of a row. Without a `profile` there is no table `drift`, and of fewer
    than `labels.ROWS_MIN` rows no table `labels`. All labels of the `task` are known; `gate_ids` are the ids
    of listings that are the gate's.
    """
    items = items_of(splits)
    categories = items.groupby("split")["category"].value_counts(normalize=True).rename("share").reset_index()
    sizes = items["product"].value_counts(normalize=True)
    tables = {
        "raw": listings,
        **{str(split): rows for split, rows in splits.items()},
        "rejects": rejects,
        "curated": items,
        "products": items[["product", "split"]].drop_duplicates().reset_index(drop=True),
        "ledger": pd.DataFrame({"listings": [len(listings)], "accounted": [len(items) + len(rejects)]}),
        "leaks": pd.DataFrame([{"split": split, **bodies["training"]} for split, bodies in leakage.items()]),
        "sizes": sizes.head(EXAMPLES).rename("share").rename_axis("id").reset_index(),
        "categories": categories,
        "conflicts": consistency.conflicts(listings, items, rejects),
        "shares": consistency.split_shares(items, rejects, curate, gate_ids),
        "languages": foreign_shares(items),
    }
    tables |= target_tables(items, task)
    if profile:
        named = {split: drift.spelled(items_of({split: rows}), task) for split, rows in splits.items()}
        drifts = {split: drift.drift(rows, profile) for split, rows in named.items()}
        tables["drift"] = pd.DataFrame([{"split": split, **drifted} for split, drifted in drifts.items()])
    return tables


def items_of(splits: dict[Split, pd.DataFrame]) -> pd.DataFrame:
    """All splits in one table with the columns of `Item`; those that a split lacks are filled with nulls."""
    return pd.concat(splits.values()).reindex(columns=Item.columns()).reset_index(drop=True)


def corpus_of(base: Base) -> list[str] | None:
    """The texts that the base model was pretrained on, None where they are not known."""
    if base.model != "embedded":
        return None
    return [text for text, _ in corpus(base.pretraining.seed, base.pretraining.texts)]


def _context(docs: Path) -> EphemeralDataContext:
    """A silent context in memory that leaves nothing behind but the Data Docs."""
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
        progress_bars=ProgressBarsConfig(globally=False, metric_calculations=False),
    )
    return gx.get_context(mode="ephemeral", project_config=config)


# --- results -----------------------------------------------------------------------------------------


def _identifying_columns(table: pd.DataFrame) -> list[str]:
    """Columns by which a person finds a failing row."""
    return [column for column in ("id", "title", "split", "category", "label") if column in table.columns]


def _check(table: str, result: ExpectationValidationResult) -> Check:
    config, details = result.expectation_config, result.result
    assert config is not None
    rows = details.get("partial_unexpected_index_list")
    if rows and isinstance(rows[0], dict):  # bare numbers where the table has no identifying column
        examples = [_example(row) for row in rows[:EXAMPLES]]
    elif "observed_value" in details:
        examples = [f"found {details['observed_value']}"]
    elif values := details.get("partial_unexpected_list"):
        examples = [" against ".join(map(str, value)) for value in values[:EXAMPLES]]  # of two columns
    else:
        examples = [_reason(result.exception_info)]
    return Check(
        table=table,
        name=config.meta["check"],
        critical=config.severity == "critical",
        passed=bool(result.success),
        unexpected=int(details.get("unexpected_count", 0)),
        examples=[] if result.success else examples,
    )


def _example(row: dict[str, Any]) -> str:
    values = {name: str(value) for name, value in row.items()}
    return ", ".join(f"{name} {value[:EXAMPLE_CHARACTERS]!r}" for name, value in sorted(values.items()))


def _reason(exceptions: dict[str, Any] | None) -> str:
    """Why an expectation could not be computed: GX nests the exceptions of its metrics."""
    faults = [exceptions or {}, *(fault for fault in (exceptions or {}).values() if isinstance(fault, dict))]
    messages = [fault["exception_message"] for fault in faults if fault.get("exception_message")]
    return f"could not be computed: {messages[0].splitlines()[0]}" if messages else "could not be computed"


def report_of(checks: list[Check], leakage: Leakage, reference: Path) -> dict[str, Any]:
    """The report: how many checks failed, the leakage, and the outcome of each check by table."""
    failed = [check for check in checks if not check.passed]
    tables: dict[str, dict[str, Any]] = {}
    for check in checks:
        tables.setdefault(check.table, {})[check.name] = {
            "passed": check.passed,
            "severity": "critical" if check.critical else "warning",
            "unexpected": check.unexpected,
            "examples": check.examples,
        }
    return {
        "checks": len(checks),
        "failed_critical": sum(check.critical for check in failed),
        "failed_warning": sum(not check.critical for check in failed),
        "reference": str(reference) if "drift" in tables else None,
        "leaks": leakage,
        "tables": tables,
    }


def describe(check: Check) -> str:
    """A failed check for a person: its name, its table, and examples of failing rows."""
    rows = f", {check.unexpected} rows" if check.unexpected else ""
    return "\n    ".join([f"  {check.name} fails for {check.table}{rows}", *check.examples])


def require_critical(checks: list[Check], docs: Path) -> None:
    """Raises PricewrightError, which names each failed critical check with examples, where there is any."""
    failed = [describe(check) for check in checks if check.critical and not check.passed]
    if failed:
        raise PricewrightError(
            f"{len(failed)} of {len(checks)} checks failed:\n"
            + "\n".join(failed)
            + f"\nMend the source or the section `curate` of params.yaml; all results: {docs}/index.html"
        )


def warn(checks: list[Check], profile: Path, kind: str) -> None:
    """Print the failed warnings, and that drift was not checked where the file `profile` is missing."""
    for check in checks:
        if not check.passed and not check.critical:
            print("warning:" + describe(check), file=sys.stderr)
    if not any(check.table == "labels" for check in checks):
        target = "price" if kind == "number" else "label"
        print(f"labels are not checked: that takes at least {ROWS_MIN} rows with a {target}", file=sys.stderr)
    if not any(check.table == "drift" for check in checks):
        print(
            f"drift is not checked: there is no {profile}. Once you trust these data, make it with "
            "`python -m components.quality.drift`",
            file=sys.stderr,
        )


def write_page(
    report: dict[str, Any],
    splits: dict[Split, pd.DataFrame],
    rejects: pd.DataFrame,
    listings: pd.DataFrame,
    task: AnyTask,
) -> None:
    """Write the page about the data to PAGE."""
    curated = json.loads(Path("reports/curate.json").read_text(encoding="utf-8"))
    page = data_page.page(curated, report, splits, rejects, listings, CURATED, task)
    PAGE.write_text(page, encoding="utf-8")


def main() -> None:
    """Check raw listings and splits; write page and Data Docs; stop where a critical check fails."""
    with stage.run(Validate) as frame:
        (frame.folder / "passed.json").unlink(missing_ok=True)
        curate, task = load_section(Curate), (asked := load_task()).section
        listings, splits, rejects = sample(LISTINGS, CURATED, frame.section.sampled_rows_max)
        leakage = leakage_against(
            {split: splits[split] for split in HELD_OUT},
            texts_of(CURATED, [split for split in SPLITS if split not in HELD_OUT]),
            corpus_of(load_section(Base)),
            curate.near_duplicate_similarity,
            curate.common_shingle_share,
        )
        profile = drift.path_of(items_of(splits), task)
        gate_ids = intakes.ids(intakes.read())
        tables = tables_of(listings, splits, rejects, leakage, drift.load(profile), curate, task, gate_ids)
        tables |= whole_tables(LISTINGS, CURATED, EXAMPLES) | whole_label_counts(CURATED, task)
        known: dict[Split, pd.DataFrame] = {"train": categories_of(CURATED / "train.parquet")}
        checks = validate(
            tables, suites(splits | known, list(names_of(task.kind)), frame.section, task), DOCS
        )
        report = report_of(checks, leakage, profile)
        frame.report(report)
        write_page(report, splits, rejects, listings, asked)
        for path in (DOCS, PAGE):
            frame.tracked.artifact(path)
        frame.tracked.tag("mlflow.note.content", NOTE)
        warn(checks, profile, task.kind)
        require_critical(checks, DOCS)
        critical = [f"{check.table}/{check.name}" for check in checks if check.critical]
        frame.write("passed.json", json.dumps({"critical": critical}, indent=2) + "\n")


if __name__ == "__main__":
    main()
