"""Tables that may be larger than memory: Parquet files read and written a batch of rows at a time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq

from components.core.errors import reading_parquet
from components.core.schemas import Record

PARTITIONS_MAX = 400  # files that are open at a time
READ_ROWS = 20_000  # of a file at a time
READ_BYTES = 2**20  # of a column of a file at a time
SAMPLED = 50  # values for each border between two partitions


def schema_of(kind: type[Record], columns: list[str]) -> pa.Schema:
    """Arrow's schema of columns of a record, or of text beside them, with what pandas notes of them."""
    floats = {name for name, field in kind.model_fields.items() if field.annotation is float}
    types = {name: "float64" if name in floats else "str" for name in columns}
    typed = pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in types.items()})
    return pa.Schema.from_pandas(typed, preserve_index=False)


def open_parquet(path: Path) -> pq.ParquetFile:
    """A table of an earlier stage. Raises PricewrightError where it is missing or cut short."""
    with reading_parquet(path):
        return pq.ParquetFile(path, pre_buffer=False, buffer_size=READ_BYTES)


def rows_in(path: Path) -> int:
    """Rows of a Parquet file."""
    return int(open_parquet(path).metadata.num_rows)


def first_rows(path: Path, rows: int) -> pd.DataFrame:
    """The first rows of a Parquet file, at most so many."""
    file = open_parquet(path)
    head = next(file.iter_batches(rows), None)
    return (file.schema_arrow.empty_table() if head is None else head).to_pandas()


def split_sorted(source: Path, folder: Path, rows: int, column: str) -> list[Path]:
    """Write a Parquet file as partitions of about so many rows, in `folder`, split by a column of text.

    The values of a partition are above those of the partitions before it, and rows of one value stay
    together, those without one first; within a partition the order is that of the file.
    """
    file = open_parquet(source)
    number = min(max(-(-file.metadata.num_rows // rows), 1), PARTITIONS_MAX)
    step = max(file.metadata.num_rows // (number * SAMPLED), 1)
    sample: list[str] = []
    for batch in file.iter_batches(READ_ROWS, columns=[column]):
        sample += [value or "" for value in batch[column].to_pylist()[::step]]
    sample.sort()
    borders = [sample[border * len(sample) // number] for border in range(1, number)]
    paths = [folder / f"{partition:04}.listings.arrow" for partition in range(number)]
    writers = [open_stream(path, file.schema_arrow) for path in paths]
    for batch in file.iter_batches(READ_ROWS):
        partition = np.array([bisect_right(borders, value or "") for value in batch[column].to_pylist()], int)
        order = np.argsort(partition, kind="stable")
        ends = np.searchsorted(partition[order], np.arange(number), side="right")
        ordered = batch.take(pa.array(order))
        for writer, start, end in zip(writers, np.append(0, ends[:-1]), ends, strict=True):
            if end > start:
                writer.write_batch(ordered.slice(start, end - start))
    for writer in writers:
        writer.close()
    return paths


def read_arrow(path: Path, columns: list[str] | None = None) -> pa.Table:
    """All rows of an Arrow stream, or only some of its columns."""
    with ipc.open_stream(str(path)) as reader:
        schema = reader.schema
        if columns is None:
            return reader.read_all()
    options = ipc.IpcReadOptions(included_fields=[schema.get_field_index(name) for name in columns])
    with ipc.open_stream(str(path), options=options) as reader:
        return reader.read_all()


def batches_of(path: Path) -> Iterator[pa.RecordBatch]:
    """The rows of an Arrow stream, a batch at a time."""
    with ipc.open_stream(str(path)) as reader:
        yield from reader


def write_arrow(table: pa.Table, path: Path) -> None:
    """All rows as an Arrow stream."""
    with open_stream(path, table.schema) as writer:
        writer.write_table(table)


def open_stream(path: Path, schema: pa.Schema) -> ipc.RecordBatchStreamWriter:
    """A compressed Arrow stream to be written."""
    return ipc.new_stream(str(path), schema, options=ipc.IpcWriteOptions(compression="lz4"))
