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
from components.sources.fields import category_name, details
from components.sources.result import NOTES
from components.sources.tables.lines import LINE_CHARACTERS
from tests.support.project import ROOT
from tests.support.scraped import Source, collected

REAL = ROOT.parent / "shared" / "data" / "listings"
NONE = {
    "id": None,
    "decimal": None,
    "description": None,
    "currency": None,
    "brand": None,
    "category": None,
    "details": None,
    "rights": None,
}


def section(
    *paths: Path, lost_rows_max: float = 1.0, unpacked_bytes_max: int = 2**30, **mapped: str | None
) -> Files:
    return Files(
        paths=list(map(str, paths)),
        columns=Columns(**{"title": "title", "price": "price", **NONE, **mapped}),
        lost_rows_max=lost_rows_max,
        unpacked_bytes_max=unpacked_bytes_max,
    )


def collect(section: Files) -> Source:
    """What the source gives, its rows in the order of the files."""
    source = collected(lambda spool: files.collect(section, spool))
    order = sorted(range(len(source.rows)), key=lambda at: natural(source.rows["address"][at]))
    return source._replace(rows=source.rows.iloc[order].reset_index(drop=True))


def natural(address: str) -> tuple[str, int]:
    path, _, number = address.rpartition(":")
    return path, int(number)


def read(path: Path, **mapped: str | None) -> list[dict[str, Any]]:
    frame = collect(section(path, **mapped)).rows
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


def test_without_a_column_of_prices_none_is_read_and_no_row_is_lost_for_it(tmp_path: Path) -> None:
    """1.299 would leave open how the column writes its decimals, and $12.5k is no price."""
    rows = [{"title": "a", "price": "1.299"}, {"title": "b", "price": "$12.5k"}]
    path = write(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows)))
    assert [(row["price"], row["amount"], row["currency"]) for row in read(path, price=None)] == [
        ("", "", "")
    ] * 2


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
    assert category_name(value) == category


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
    assert details(value) == read_as


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
        ("a.xls", b"PK", r"a.xls: unknown kind of file: .jsonl, .ndjson, .json, .csv, .tsv, .parquet, .xlsx"),
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
        ("a.csv", b'title,price\n"a,1\n', "broken_row", "row 1 .line 2. has unexpected end of data"),
        (
            "a.csv",
            b"title,price\na,1\nb" + b"x" * LINE_CHARACTERS,
            "broken_file",
            "after row 1: a line of",
        ),
        ("a.jsonl", b"x" * (LINE_CHARACTERS + 1), "broken_file", "a line of more than 16,777,216"),
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
    source = collect(section(tmp_path / "*"))
    assert source.rows["title"].iloc[-1] == "Kettle"
    [reject] = source.rejects.to_dict("records")
    assert reject["rule"] == rule
    assert name in reject["address"]
    assert re.search(reason, reject["reason"]), reject
    assert source.notes == [f"{reject['address']}: {reject['reason']}"]
    assert source.counts["rejected"] == {rule: 1}


def test_a_parquet_file_cut_short_does_not_stop_the_others(tmp_path: Path) -> None:
    for name in ("a", "b"):
        pd.DataFrame({"title": ["pot"] * 100, "price": ["1"] * 100}).to_parquet(tmp_path / f"{name}.parquet")
    path = tmp_path / "a.parquet"
    path.write_bytes(path.read_bytes()[:-300])
    source = collect(section(tmp_path / "*.parquet"))
    assert len(source.rows) == 100
    assert list(source.rejects["rule"]) == ["broken_file"]


def test_many_broken_rows_are_many_rejects_and_a_few_notes(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"title": "Kettle", "price": 5}\n' + "{\n" * 100)
    source = collect(section(path))
    assert (len(source.rows), len(source.rejects), len(source.notes)) == (1, 100, NOTES + 1)
    assert source.notes[-1] == f"and {100 - NOTES} more, in artifacts/scrape/rejects.parquet"


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
    lines = ["title,price", *["A plain lamp,12.00"] * 5_000, "Cafetière,£19.99"]
    (tmp_path / "a.csv").write_bytes("\n".join(lines).encode("cp1252"))
    assert read(tmp_path / "a.csv")[-1]["price"] == "£19.99"


def test_one_broken_byte_rejects_its_row_and_leaves_the_others_in_utf8(tmp_path: Path) -> None:
    good = "Cafetière,£19.99\nThéière,€12.00\n".encode()
    (tmp_path / "a.csv").write_bytes(b"title,price\n" + good + b"Kettle,\xa39.99\n" + b"Pot \xe9,5.00\n")
    source = collect(section(tmp_path / "a.csv"))
    assert list(source.rows["title"]) == ["Cafetière", "Théière"]
    assert list(source.rejects["rule"]) == ["undecodable"] * 2
    assert [address.rsplit(":", 1)[-1] for address in source.rejects["address"]] == ["3", "4"]
    assert "its price has a character that cannot be decoded" in source.rejects["reason"][0]


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


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress), (".zst", zstd)],
)
@pytest.mark.parametrize("content", [MANY.encode(), bytes(60_000)])
def test_a_compressed_file_that_unpacks_to_more_than_allowed_stops_the_run(
    tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes], content: bytes
) -> None:
    path = tmp_path / f"a.csv{suffix}"
    path.write_bytes(pack(content))
    with pytest.raises(PricewrightError, match=r"a\.csv\.\w+: unpacks to more than 30,000 bytes: .*_max$"):
        collect(section(path, unpacked_bytes_max=30_000))


@pytest.mark.parametrize("name", ["a.parquet", "a.xlsx"])
def test_a_table_that_unpacks_to_more_than_allowed_stops_the_run(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    table = pd.DataFrame({"title": ["pot" * 1000] * 500, "price": ["1"] * 500})
    table.to_parquet(path) if name == "a.parquet" else table.to_excel(path, index=False)
    assert path.stat().st_size < 30_000
    with pytest.raises(PricewrightError, match=r"unpacks to more than 30,000 bytes"):
        collect(section(path, unpacked_bytes_max=30_000))


def test_the_limit_of_what_is_unpacked_is_not_one_of_plain_files(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", MANY)
    assert len(collect(section(path, unpacked_bytes_max=30_000)).rows) == 5000


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


def rejected(source: Source) -> list[tuple[str, str]]:
    """Rule and price of each reject."""
    return list(zip(source.rejects["rule"], source.rejects["target"], strict=True))


def csv_of(folder: Path, *prices: str, name: str = "a.csv") -> Path:
    with (folder / name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(
            [["title", "price"], *((f"Pot {at}", price) for at, price in enumerate(prices))]
        )
    return folder / name


@pytest.mark.parametrize(
    ("prices", "amounts"),
    [
        (["58 45", "4 53", "1730 95", "59"], ["58.45", "4.53", "1730.95", "59"]),
        (["1.299", "24.99"], ["1.299", "24.99"]),
        (["1.299", "1.299,50"], ["1299", "1299.50"]),
        (["1,299", "24.99"], ["1299", "24.99"]),
        (["1,299", "24,99"], ["1.299", "24.99"]),
        (["$1,299.00", "59", "7"], ["1299.00", "59", "7"]),
        (["12.50 USD", "12,50 EUR", "7"], ["12.50", "12.50", "7"]),
        (["-5", "call us", "12.99 - 15.99", "0.299"], ["-5", "", "", "0.299"]),
    ],
)
def test_all_values_of_a_column_decide_how_it_writes_decimals(
    tmp_path: Path, prices: list[str], amounts: list[str]
) -> None:
    rows = read(csv_of(tmp_path, *prices))
    assert [row["price"] for row in rows] == prices
    assert [row["amount"] for row in rows] == amounts


@pytest.mark.parametrize(
    ("prices", "number"),
    [
        (["1.299", "59"], "1.299"),
        (["1,299", "2,499"], "1,299"),
        (["12.50", "12,50", "1,299"], "1,299"),
        (["12.50", "58 45"], "58 45"),
    ],
)
def test_a_column_that_leaves_open_what_a_number_is_stops_the_run_until_it_is_told(
    tmp_path: Path, prices: list[str], number: str
) -> None:
    path = csv_of(tmp_path, *prices)
    with pytest.raises(PricewrightError, match=rf"a\.csv: the column price: '{number}' .*columns\.decimal"):
        read(path)
    assert len(read(path, decimal=".")) == len(prices)


def test_a_column_is_read_by_the_sign_that_it_is_told(tmp_path: Path) -> None:
    path = csv_of(tmp_path, "1.299", "59", "24.99")
    assert [row["amount"] for row in read(path, decimal=",")] == ["1299", "59", ""]


def test_numbers_of_json_and_parquet_need_no_decision(tmp_path: Path) -> None:
    rows = [{"title": "a", "price": 1.299}, {"title": "b", "price": 59}]
    pd.DataFrame(rows).to_parquet(tmp_path / "a.parquet")
    path = write(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows)))
    for file in (path, tmp_path / "a.parquet"):
        assert [float(row["amount"]) for row in read(file)] == [1.299, 59]


@pytest.mark.parametrize(
    ("price", "currency"),
    [
        ("49 zł", "PLN"),
        ("199 kr", "kr"),
        ("R$ 99,90", "BRL"),
        ("Rs. 899", "INR"),
        ("C$12", "CAD"),
        ("CHF 49.-", "CHF"),
        ("$12", "$"),
    ],
)
def test_the_price_names_its_currency(tmp_path: Path, price: str, currency: str) -> None:
    assert read(csv_of(tmp_path, price))[0]["currency"] == currency


def test_a_price_that_is_not_understood_is_an_unknown_currency(tmp_path: Path) -> None:
    prices = ["$12.5k", "12 quid", "12 USD/kg", "7"]
    source = collect(section(csv_of(tmp_path, *prices), lost_rows_max=0.0))
    assert rejected(source) == [("unknown_currency", price) for price in prices[:3]]
    assert "cannot understand 'k' of the price '$12.5k'" in source.rejects["reason"][0]
    assert list(source.rows["price"]) == ["7"]


def test_a_column_of_currencies_is_understood_by_the_same_table(tmp_path: Path) -> None:
    cells = ["$", "€", "usd", "zł", "US Dollars", "", "moon", "EUR"]
    lines = ["title,price,currency", *(f"Pot,{at}.50,{cell}" for at, cell in enumerate(cells, start=1))]
    path = write(tmp_path, "a.csv", "\n".join([*lines, "Pot,$9.50,EUR", "Pot,$9.75,CAD"]))
    source = collect(section(path, currency="currency"))
    assert list(source.rows["currency"]) == ["$", "EUR", "USD", "PLN", "USD", "", "EUR", "CAD"]
    assert rejected(source) == [("unknown_currency", "7.50"), ("unknown_currency", "$9.50")]


# --- ids ---------------------------------------------------------------------------------------------


def keys(path: Path, **mapped: str | None) -> dict[str, str]:
    return {row["title"]: row["key"] for row in read(path, **mapped)}


def test_neither_name_nor_order_nor_kind_nor_growth_of_a_file_changes_the_key_of_a_row(
    tmp_path: Path,
) -> None:
    prices = [f"{at}.50" for at in range(9)]
    before = keys(csv_of(tmp_path, *prices))
    lines = (tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "b.csv").write_text("\n".join([lines[0], "New,5.25", *lines[:0:-1]]), encoding="utf-8")
    pd.read_csv(tmp_path / "a.csv", dtype=str).to_parquet(tmp_path / "c.parquet")
    assert len(set(before.values())) == 9
    assert before.items() <= keys(tmp_path / "b.csv").items()
    assert keys(tmp_path / "c.parquet") == before


def test_a_key_column_keeps_the_key_of_a_row_whose_price_changes(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "sku,title,price\nA1,Pot,5.50\nA2,Pan,6.50\n")
    other = write(tmp_path, "b.csv", "sku,title,price\nA2,Pan,9.50\nA1,Pot,5.50\n")
    assert keys(path, id="sku") == keys(other, id="sku") == {"Pot": "A1", "Pan": "A2"}
    assert keys(path)["Pan"] != keys(other)["Pan"]


def test_rows_of_one_content_have_keys_of_their_own(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "title,price\nPot,5\nPot,5\nPan,6\n")
    assert len({row["key"] for row in read(path)}) == 3


def test_different_rows_of_one_id_are_all_rejected(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "sku,title,price\nA1,Pot,5\nA1,Pan,6\nA2,Cup,7\n")
    source = collect(section(path, id="sku"))
    assert rejected(source) == [("repeated_id", "5"), ("repeated_id", "6")]
    assert list(source.rows["title"]) == ["Cup"]
    with pytest.raises(PricewrightError, match=r"2 of 3 rows are lost.*\n.*different rows have the id 'A1'"):
        collect(section(path, id="sku", lost_rows_max=0.5))


def test_a_file_that_loses_too_many_rows_stops_the_run(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"title": "Kettle", "price": 5}\n' * 8 + "{\n" * 2)
    assert len(collect(section(path, lost_rows_max=0.2)).rows) == 8
    with pytest.raises(PricewrightError, match=r"a\.jsonl: 2 of 10 rows are lost, .*lost_rows_max .0\.19"):
        collect(section(path, lost_rows_max=0.19))


def test_the_law_of_files_is_empty_but_typed(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"title": "Kettle", "price": 5}')
    source = collect(section(path))
    law = source.law
    assert (len(law), list(law.columns), source.counts) == (
        0,
        ["address", "median", "sigma", "label"],
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
