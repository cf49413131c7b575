"""Listings from files: each kind, each mapping, each fault."""

import bz2
import csv
import gzip
import json
import lzma
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from components.core.errors import PricewrightError
from components.core.params.scrape import Columns, Files
from components.sources import files
from tests.support.project import ROOT

REAL = ROOT.parent / "shared" / "data" / "listings"
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
    frame = files.collect(Files(paths=[str(path)], columns=columns(**mapped))).rows
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def zstd(content: bytes) -> bytes:
    return pa.compress(content, codec="zstd", asbytes=True)


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
    ("value", "category"),
    [
        (["Phones", "Accessories", "Cases", "Leather"], "Cases"),
        (["Phones", "Prepaid"], "Prepaid"),
        (["Phones"], "Phones"),
        ([], ""),
        ("Phones", "Phones"),
        (None, ""),
    ],
)
def test_a_category_path_is_read_as_its_third_entry_or_its_last(value: object, category: str) -> None:
    assert files.category_name(value) == category


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


def test_a_file_that_several_patterns_match_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("b.jsonl", "a.jsonl"):
        write(tmp_path, name, '{"title": "t", "price": 1}')
    assert [path.name for path in files.find_files(["*.jsonl", "a.jsonl"])] == ["a.jsonl", "b.jsonl"]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.jsonl", b"", "a.jsonl: empty"),
        ("a.csv", b"title,price\n", "a.csv: empty"),
        ("a.csv", b"name,cost\na,1\n", r"a.csv: no column title, price .* it has: name, cost"),
        ("a.jsonl", b'{"name": "a", "price": 1}', r"a.jsonl: no column title .* it has: name, price"),
        ("a.jsonl", b"[1]", r"a.jsonl: no column title, price .* it has: none"),
        ("a.xlsx", b"PK", r"a.xlsx: unknown kind of file: .jsonl, .csv, .tsv, .parquet"),
        ("a.parquet.gz", b"PK", r"unknown kind of file: .* the text ones with .gz, .bz2, .xz, .zst too"),
    ],
)
def test_a_file_that_is_not_what_was_meant_is_an_error(
    tmp_path: Path, name: str, content: bytes, complaint: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PricewrightError, match=complaint):
        read(tmp_path / name)


MANY = "title,price\n" + "a pot,1\n" * 5000


@pytest.mark.parametrize(
    ("name", "content", "rule", "reason"),
    [
        ("a.jsonl", b'{"title": "a", "price": 1}\n{"title": ', "broken_row", "broken JSON"),
        ("a.jsonl", b"[" * 100_000, "broken_row", "broken JSON"),
        ("a.csv", b"title,price\na,1,2\nb,1\n", "broken_row", "row 1 .line 2. has 3 cells, the header 2"),
        ("a.csv", b'title,price\n"a,1\n', "broken_file", "not readable: unexpected end of data"),
        (
            "a.csv",
            b"title,price\na,1\nb" + b"x" * files.LINE_CHARACTERS,
            "broken_file",
            "after row 1: a line of",
        ),
        ("a.jsonl", b"x" * (files.LINE_CHARACTERS + 1), "broken_file", "a line of more than 16,777,216"),
        ("a.parquet", b"no parquet", "broken_file", "not readable"),
        ("a.jsonl.gz", b"no gzip", "broken_file", "not readable"),
        (
            "a.csv.gz",
            gzip.compress(MANY.encode())[:-9],
            "broken_file",
            "after row 5000: Compressed file ended",
        ),
        ("a.jsonl.xz", b"no xz", "broken_file", "not readable"),
        ("a.jsonl.zst", b"no zstd", "broken_file", "not readable"),
        ("a.csv.bz2", b"no bz2", "broken_file", "not readable"),
    ],
)
def test_what_cannot_be_parsed_is_rejected_with_its_address_and_the_other_files_are_read(
    tmp_path: Path, name: str, content: bytes, rule: str, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    write(tmp_path, "good.jsonl", '{"title": "Kettle", "price": 5}')
    collected = files.collect(Files(paths=[str(tmp_path / "*")], columns=columns()))
    assert collected.rows["title"].iloc[-1] == "Kettle"
    [reject] = collected.rejects.to_dict("records")
    assert reject["rule"] == rule
    assert name in reject["address"]
    assert re.search(reason, reject["reason"]), reject
    assert collected.notes == [f"{reject['address']}: {reject['reason']}"]
    assert collected.counts["rejected"] == {rule: 1}


def test_a_parquet_file_cut_short_does_not_stop_the_others(tmp_path: Path) -> None:
    for name in ("a", "b"):
        pd.DataFrame({"title": ["pot"] * 100, "price": ["1"] * 100}).to_parquet(tmp_path / f"{name}.parquet")
    path = tmp_path / "a.parquet"
    path.write_bytes(path.read_bytes()[:-300])
    collected = files.collect(Files(paths=[str(tmp_path / "*.parquet")], columns=columns()))
    assert len(collected.rows) == 100
    assert list(collected.rejects["rule"]) == ["broken_file"]


def test_many_broken_rows_are_many_rejects_and_a_few_notes(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"title": "Kettle", "price": 5}\n' + "{\n" * 100)
    collected = files.collect(Files(paths=[str(path)], columns=columns()))
    assert (len(collected.rows), len(collected.rejects), len(collected.notes)) == (1, 100, files.NOTES + 1)
    assert collected.notes[-1] == f"and {100 - files.NOTES} more rows"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_encoding_and_the_delimiter_of_a_csv_file_are_detected(
    tmp_path: Path, encoding: str, delimiter: str
) -> None:
    rows = [
        ["title", "price", "description"],
        ["Cafetière à piston", "12,50 €", "Größe: 1,5 l; façonnée à la main"],
    ]
    with (tmp_path / "a.csv").open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    [row] = read(tmp_path / "a.csv", description="description")
    assert [row["title"], row["price"], row["description"]] == rows[1]


def test_an_accent_far_below_plain_text_still_decides_the_encoding(tmp_path: Path) -> None:
    lines = ["title,price", *["A plain lamp,12.00"] * 100_000, "Cafetière,£19.99"]
    (tmp_path / "a.csv").write_bytes("\n".join(lines).encode("cp1252"))
    assert read(tmp_path / "a.csv")[-1]["price"] == "£19.99"


def test_one_broken_byte_rejects_its_row_and_leaves_the_others_in_utf8(tmp_path: Path) -> None:
    good = "Cafetière,£19.99\nThéière,€12.00\n".encode()
    (tmp_path / "a.csv").write_bytes(b"title,price\n" + good + b"Kettle,\xa39.99\n" + b"Pot \xe9,5.00\n")
    collected = files.collect(Files(paths=[str(tmp_path / "a.csv")], columns=columns()))
    assert list(collected.rows["title"]) == ["Cafetière", "Théière"]
    assert list(collected.rejects["rule"]) == ["undecodable"] * 2
    assert [address.rsplit(":", 1)[-1] for address in collected.rejects["address"]] == ["3", "4"]
    assert "its price has a character that cannot be decoded" in collected.rejects["reason"][0]


def test_a_character_lost_in_a_description_costs_no_row(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(
        "title,price,description\nÉtui,5,Größe\nPot,7,".encode() + b"\xe9t\xe9\n"
    )
    assert len(read(tmp_path / "a.csv", description="description")) == 2


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress), (".zst", zstd)],
)
def test_a_text_file_is_read_from_every_compression(
    tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]
) -> None:
    (tmp_path / f"a.csv{suffix}").write_bytes(pack(MANY.encode()))
    assert len(read(tmp_path / f"a.csv{suffix}")) == 5000


def test_a_path_reaches_into_lists_by_their_numbers(tmp_path: Path) -> None:
    offers = {"offers": [{"price": "7", "seller": {"name": "Vela"}}, {"price": "9"}]}
    path = write(tmp_path, "a.jsonl", json.dumps({"title": "Pot", **offers}))
    [row] = read(path, price="offers.0.price", brand="offers.0.seller.name")
    assert (row["price"], row["brand"]) == ("7", "Vela")
    with pytest.raises(PricewrightError, match=r"no column offers\.2\.price"):
        read(path, price="offers.2.price")


def test_a_row_says_under_which_licence_it_stands(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"title": "Pot", "price": 1, "licence": "CC BY 4.0"}')
    assert read(path, rights="licence")[0]["rights"] == "CC BY 4.0"


def test_a_path_without_a_file_is_named(tmp_path: Path) -> None:
    for pattern in (tmp_path / "none.jsonl", tmp_path / "*.csv"):
        with pytest.raises(PricewrightError, match=r"(none.jsonl|\*.csv): no such file"):
            files.find_files([str(pattern)])
    with pytest.raises(PricewrightError, match="is a folder"):
        files.find_files([str(tmp_path)])
    with pytest.raises(PricewrightError, match=r"scrape.files.paths is empty"):
        files.find_files([])


def test_the_law_of_files_is_empty_but_typed(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"title": "Kettle", "price": 5}')
    collected = files.collect(Files(paths=[str(path)], columns=columns()))
    law = collected.law
    assert (len(law), list(law.columns), collected.counts) == (
        0,
        ["address", "median", "sigma"],
        {"files": 1},
    )
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
