"""Great Expectations on tables that are larger than memory: a batch of rows at a time, and one outcome.

Counts of rows are added up over the batches, and shares are judged by the sums. Whether a column's values are
unique no batch can tell: hashes of all values say which may be repeated, and these rows alone are checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult
from great_expectations.core.batch_definition import BatchDefinition
from great_expectations.data_context import EphemeralDataContext
from great_expectations.data_context.types.resource_identifiers import ValidationResultIdentifier
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from great_expectations.validator.v1_validator import calc_validation_statistics

from components.core.tables import open_parquet, rows_in

BATCH_ROWS = 20_000  # in memory at a time
LISTED = 20  # failing rows of a result, as many as Great Expectations keeps
UNIQUE = "expect_column_values_to_be_unique"


def frames_of(path: Path, columns: list[str] | None) -> Iterator[pd.DataFrame]:
    """The rows of a Parquet file, or some of its columns, a batch at a time; at least one, perhaps empty.

    Raises PricewrightError where the file is missing or cut short.
    """
    file = open_parquet(path)
    if columns is not None:
        columns = [name for name in columns if name in file.schema_arrow.names]
    if not file.metadata.num_rows:
        yield file.read(columns).to_pandas()
    for batch in file.iter_batches(BATCH_ROWS, columns=columns):
        yield batch.to_pandas()


def hashes(values: pd.Series) -> np.ndarray:
    """A hash of each value, uint64 (rows,), equal for equal values."""
    return pd.util.hash_array(values.astype(object).to_numpy(), categorize=False)


@dataclass(frozen=True)
class Batches:
    """A table in one or more Parquet files."""

    paths: list[Path]
    columns: list[str] | None
    """Those of the table, filled with nulls where a file lacks one; None: those of the file."""

    def __len__(self) -> int:
        return sum(map(rows_in, self.paths))

    def frames(self) -> Iterator[pd.DataFrame]:
        """The rows, a batch at a time; at least one, perhaps empty."""
        waiting: list[pd.DataFrame] = []
        for path in self.paths:
            for frame in frames_of(path, self.columns):
                waiting.append(frame)
                if sum(map(len, waiting)) >= BATCH_ROWS:
                    yield self._shaped(waiting)
                    waiting = []
        if waiting:
            yield self._shaped(waiting)

    def repeated(self, column: str) -> pd.DataFrame:
        """The rows whose value of a column stands in another row too, without those that are null."""
        seen = np.concatenate(
            [hashes(frame[column]) for path in self.paths for frame in frames_of(path, [column])]
        )
        values, counts = np.unique(seen, return_counts=True)
        several = values[counts > 1]
        rows = [
            frame[np.isin(hashes(frame[column]), several) & frame[column].notna()] for frame in self.frames()
        ]
        return pd.concat(rows, ignore_index=True)

    def _shaped(self, frames: list[pd.DataFrame]) -> pd.DataFrame:
        rows = frames[0] if len(self.paths) == 1 and len(frames) == 1 else pd.concat(frames)
        return rows if self.columns is None else rows.reindex(columns=self.columns).reset_index(drop=True)


def complete(
    context: EphemeralDataContext,
    outcome: ExpectationSuiteValidationResult,
    table: Batches,
    definition: BatchDefinition[Any],
    result_format: dict[str, Any],
) -> None:
    """Add to the outcome of a table's first batch those of the others, there and in the Data Docs.

    Changes `outcome`; does nothing where there is one batch.
    """
    results = {_config(result).meta["check"]: [result] for result in outcome.results}
    frames = table.frames()
    next(frames)
    for frame in frames:
        batch = definition.get_batch({"dataframe": frame})
        suite = context.suites.get(outcome.suite_name)
        for result in batch.validate(suite, result_format=result_format).results:
            results[_config(result).meta["check"]].append(result)
    if all(len(each) == 1 for each in results.values()):
        return
    outcome.results = [merged(each) for each in results.values()]
    for result in outcome.results:
        if _config(result).type == UNIQUE and not _raised(result):
            _check_unique(result, table, definition, result_format)
    statistics = calc_validation_statistics(outcome.results)
    outcome.success, outcome.statistics = statistics.success, statistics._asdict()
    outcome.statistics.pop("success")
    store = context.validation_results_store
    keys = [key for key in store.list_keys() if isinstance(key, ValidationResultIdentifier)]
    [key] = [key for key in keys if key.run_id.run_time == outcome.meta["validation_time"]]
    store.set(key, outcome)


def _check_unique(
    result: ExpectationValidationResult,
    table: Batches,
    definition: BatchDefinition[Any],
    result_format: dict[str, Any],
) -> None:
    """Judge a column's uniqueness by the rows of all batches whose values are repeated."""
    column = _config(result).kwargs["column"]
    rows, checked = result.result["element_count"], table.repeated(column)
    expectation = _config(result).to_domain_obj()
    among = definition.get_batch({"dataframe": checked}).validate(expectation, result_format=result_format)
    result.success, result.result = among.success, {**among.result, "element_count": rows}


def merged(results: list[ExpectationValidationResult]) -> ExpectationValidationResult:
    """One outcome of an expectation from those of all batches, the first of which is changed and returned."""
    first = results[0]
    for result in results:
        if _raised(result):
            return result
    kind, details = _config(first).type, first.result
    if kind == "expect_table_row_count_to_be_between":
        details["observed_value"] = rows = sum(result.result["observed_value"] for result in results)
        least, most = (_config(first).kwargs.get(name) for name in ("min_value", "max_value"))
        first.success = (least is None or rows >= least) and (most is None or rows <= most)
    elif kind == "expect_column_distinct_values_to_equal_set":
        _merge_sets(first, results)
    elif "element_count" in details:
        _merge_counts(first, results)
    else:
        return next((result for result in results if not result.success), first)
    return first


def _config(result: ExpectationValidationResult) -> ExpectationConfiguration:
    assert result.expectation_config is not None
    return result.expectation_config


def _raised(result: ExpectationValidationResult) -> bool:
    """Whether an expectation could not be computed, such as that of a column that is missing."""
    return not result.result


def _merge_sets(first: ExpectationValidationResult, results: list[ExpectationValidationResult]) -> None:
    """What no batch holds is missing; what one holds too many is unexpected."""
    details = first.result
    lists = [result.result["partial_missing_list"] for result in results]
    details["partial_missing_list"] = [value for value in lists[0] if all(value in each for each in lists)]
    details["missing_count"] = len(details["partial_missing_list"])
    details["unexpected_count"] = sum(result.result["unexpected_count"] for result in results)
    details["partial_unexpected_list"] = _first(results, "partial_unexpected_list")
    first.success = not details["missing_count"] and not details["unexpected_count"]


def _merge_counts(first: ExpectationValidationResult, results: list[ExpectationValidationResult]) -> None:
    details = first.result
    for name in ("element_count", "unexpected_count", "missing_count"):
        if name in details:
            details[name] = sum(result.result[name] for result in results)
    for name in ("partial_unexpected_list", "partial_unexpected_index_list", "partial_unexpected_counts"):
        if name in details:
            details[name] = _first(results, name)
    rows, unexpected = details["element_count"], details["unexpected_count"]
    given = rows - details.get("missing_count", 0)
    percent = 100 * unexpected / given if given else 0.0
    details |= {"unexpected_percent": percent, "unexpected_percent_nonmissing": percent}
    details["unexpected_percent_total"] = 100 * unexpected / rows if rows else 0.0
    if "missing_count" in details:
        details["missing_percent"] = 100 * details["missing_count"] / rows if rows else 0.0
    mostly = float(_config(first).kwargs.get("mostly", 1.0))
    first.success = not given or (given - unexpected) / given >= mostly


def _first(results: list[ExpectationValidationResult], name: str) -> list[Any]:
    return [value for result in results for value in result.result.get(name) or []][:LISTED]
