"""Listings from files: each kind, each mapping, each fault."""

import gzip
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from components.params import Columns, Files
from components.records import PricewrightError
from components.sources import files

REAL = Path(__file__).parents[2] / "shared" / "data" / "listings"
NONE = {
    "description": None,
    "currency": None,
    "brand": None,
    "category": None,
    "details": None,
    "rights": None,
}


def columns(**mapped: str | None) -> Columns:
    return Columns(**{"title": "title", "price": "price", **NONE, **mapped})


def read(path: Path, **mapped: str | None) -> list[dict[str, Any]]:
    frame = files.listings(files.find([str(path)]), columns(**mapped))
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_jsonl_row_is_addressed_by_its_line_and_keeps_its_digits(tmp_path: Path) -> None:
    path = write(
        tmp_path, "a.jsonl", '{"title": "Kettle", "price": 19.90}\n\n{"title": "Cup", "price": "$3"}\n'
    )
    first, second = read(path)
    assert (first["title"], first["price"], first["found_in"]) == ("Kettle", "19.90", "row")
    assert first["address"].endswith("a.jsonl:1")
    assert second["address"].endswith("a.jsonl:3")


def test_csv_parquet_and_gzipped_files_give_the_same_listings(tmp_path: Path) -> None:
    rows = [{"title": "Kettle, large", "price": "19.90"}, {"title": "Cup\nblue", "price": "3"}]
    pd.DataFrame(rows).to_csv(tmp_path / "a.csv", index=False)
    pd.DataFrame(rows).to_parquet(tmp_path / "a.parquet")
    lines = "\n".join(map(json.dumps, rows))
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress((tmp_path / "a.csv").read_bytes()))
    for name in ("a.csv", "a.parquet", "a.jsonl.gz", "b.csv.gz"):
        read_back = read(tmp_path / name)
        assert [(row["title"], row["price"]) for row in read_back] == [
            (row["title"], row["price"]) for row in rows
        ]
        assert [row["address"].rpartition(":")[2] for row in read_back] == ["1", "2"]


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    for name, text in (("a.csv", "title,price\nKettle,5\n"), ("a.jsonl", '{"title": "Kettle", "price": 5}')):
        (tmp_path / name).write_text(text, encoding="utf-8-sig")
        assert read(tmp_path / name)[0]["title"] == "Kettle"


@pytest.mark.parametrize("price", ["null", "NaN", '""', '" "'])
def test_a_row_without_a_price_stays_with_an_empty_one(tmp_path: Path, price: str) -> None:
    path = write(tmp_path, "a.jsonl", f'{{"title": "Kettle", "price": {price}}}')
    assert (read(path)[0]["price"], read(path)[0]["found_in"]) == ("", "")


def test_a_missing_number_in_parquet_is_an_empty_price(tmp_path: Path) -> None:
    pd.DataFrame({"title": ["a", "b"], "price": [1.5, float("nan")]}).to_parquet(tmp_path / "a.parquet")
    assert [row["price"] for row in read(tmp_path / "a.parquet")] == ["1.5", ""]


def test_a_dotted_column_reaches_into_an_object_unless_a_column_has_just_that_name(tmp_path: Path) -> None:
    rows = [
        {"title": "a", "price": 1, "d": {"Brand": "Vela"}},
        {"title": "b", "price": 1, "d.Brand": "Fjord"},
    ]
    path = write(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows)))
    assert [row["brand"] for row in read(path, brand="d.Brand")] == ["Vela", "Fjord"]


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        (["Phones", "Accessories", "Cases", "Leather"], "Cases"),
        (["Phones", "Prepaid"], "Prepaid"),
        (["Phones"], "Phones"),
        ([], ""),
        ("Phones", "Phones"),
        (None, ""),
    ],
)
def test_of_a_category_path_the_third_entry_or_the_last_is_taken(value: object, taken: str) -> None:
    assert files.most_telling(value) == taken


@pytest.mark.parametrize(
    ("value", "read_as"),
    [
        ({"a": "1", "b": None}, {"a": "1"}),
        ('{"a": "1"}', {"a": "1"}),
        ("red", {"Details": "red"}),
        (None, {}),
        ("", {}),
    ],
)
def test_details_are_an_object_or_json_text_of_one(value: object, read_as: dict[str, str]) -> None:
    assert files.details(value) == read_as


def test_a_json_line_that_is_no_object_is_kept_as_an_empty_listing(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"title": "Kettle", "price": 5}\n[1, 2]\n"words"\n')
    assert [row["title"] for row in read(path)] == ["Kettle", "", ""]


def test_patterns_find_each_file_once_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("b.jsonl", "a.jsonl"):
        write(tmp_path, name, '{"title": "t", "price": 1}')
    assert [path.name for path in files.find(["*.jsonl", "a.jsonl"])] == ["a.jsonl", "b.jsonl"]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.jsonl", b"", "a.jsonl: empty"),
        ("a.csv", b"title,price\n", "a.csv: empty"),
        ("a.jsonl", b'{"title": "a", "price": 1}\n{"title": ', r"a.jsonl:2: broken JSON"),
        ("a.jsonl", b"[" * 100_000, r"a.jsonl:1: broken JSON"),
        ("a.jsonl", b'{"title": "\xff\xfe"}', "a.jsonl:1: not UTF-8"),
        ("a.csv", b"title,price\n\xff,1\n", "a.csv:2: not UTF-8"),
        ("a.csv", b"title,price\na,1,2\n", "a.csv:2: row 1 has 3 cells"),
        ("a.csv", b'title,price\n"a,1\n', "a.csv:2: broken CSV"),
        ("a.csv", b"name,cost\na,1\n", r"a.csv: no column title, price .* it has: name, cost"),
        ("a.jsonl", b'{"name": "a", "price": 1}', r"a.jsonl: no column title .* it has: name, price"),
        ("a.jsonl", b"[1]", r"a.jsonl: no column title, price .* it has: none"),
        ("a.parquet", b"no parquet", "a.parquet: not readable"),
        ("a.jsonl.gz", b"no gzip", "a.jsonl.gz: not readable"),
        ("a.csv.gz", gzip.compress(b"title,price\n" * 99)[:-9], "a.csv.gz: not readable"),
        ("a.xlsx", b"PK", r"a.xlsx: unknown kind of file: .jsonl, .csv, .parquet"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_its_fault(
    tmp_path: Path, name: str, content: bytes, complaint: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PricewrightError, match=complaint):
        read(tmp_path / name)


def test_a_path_without_a_file_is_named(tmp_path: Path) -> None:
    for pattern in (tmp_path / "none.jsonl", tmp_path / "*.csv"):
        with pytest.raises(PricewrightError, match=r"(none.jsonl|\*.csv): no such file"):
            files.find([str(pattern)])
    with pytest.raises(PricewrightError, match="is a folder"):
        files.find([str(tmp_path)])
    with pytest.raises(PricewrightError, match=r"scrape.files.paths is empty"):
        files.find([])


def test_the_law_of_files_is_empty_but_typed(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"title": "Kettle", "price": 5}')
    found = files.collect(Files(paths=[str(path)], columns=columns()))
    law = found.law
    assert (len(law), list(law.columns), found.counts) == (0, ["address", "median", "sigma"], {"files": 1})
    assert law["median"].dtype == law["sigma"].dtype == "float64"
    assert law["address"].dtype == "str"


@pytest.mark.skipif(
    not REAL.is_dir(), reason="the real listings lie beside the project only where it is built"
)
@pytest.mark.parametrize(
    ("name", "mapped"),
    [
        ("amazon_items.jsonl", {"category": "category", "details": "details", "brand": "details.Brand"}),
        ("electronics_store.jsonl", {"title": "name", "category": "categories", "brand": "brand"}),
    ],
)
def test_real_listings_all_have_a_title_a_price_and_a_category(name: str, mapped: dict[str, str]) -> None:
    rows = read(REAL / name, description="description", **mapped)
    assert len(rows) > 1000
    assert all(row["title"] and float(row["price"]) > 0 and row["category"] for row in rows)
    assert len({row["address"] for row in rows}) == len(rows)
    assert len({row["category"] for row in rows}) > 5
