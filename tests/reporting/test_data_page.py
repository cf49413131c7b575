from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from lxml import html
from matplotlib.figure import Figure

from components.core.schemas import SPLITS, Item, Reject
from components.model.prompt import prompt_of
from components.quality.leakage import measure_leakage
from components.reporting.data_page import page
from components.tasks import task_of
from components.validate import report_of
from tests.support.project import TASK
from tests.support.validated import Inputs, labelled, put

if TYPE_CHECKING:
    from playwright.sync_api import Page

CURATED = {
    "listings": 36,
    "rejected": {"no_price": 6, "near_duplicate": 0},
    "rows": dict.fromkeys(SPLITS, 6),
    "products": dict.fromkeys(SPLITS, 6),
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for name in ("waterfall", "targets", "lengths"):
        Figure(figsize=(9, 1)).savefig(folder / f"{name}.png")
    return folder


def write_page(inputs: Inputs, pictures: Path, folder: Path, *tables: str) -> Path:
    report: dict[str, Any] = report_of(
        inputs.checks(folder, *tables),
        measure_leakage(inputs.splits, ["a lamp"], 0.8, 0.5),
        Path("reference/files.json"),
    )
    path = folder / "data.html"
    path.write_text(
        page(CURATED, report, inputs.splits, inputs.rejects, inputs.listings, pictures, TASK),
        encoding="utf-8",
    )
    return path


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_a_phone_and_a_desktop_and_shows_the_prompts_of_each_split(
    tab: Page, pictures: Path, tmp_path: Path, width: int
) -> None:
    inputs = Inputs()
    tab.set_viewport_size({"width": width, "height": 800})
    tab.goto(f"file://{write_page(inputs, pictures, tmp_path, 'drift')}")
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert (
        "36 listings 6 were rejected and 30 kept; all 3 checks passed"
        in tab.locator(".headline").inner_text()
    )
    assert tab.locator("img").count() == 3
    tab.locator("summary", has_text="test").click()
    row = inputs.splits["test"].iloc[0]
    prompt = tab.locator("details", has_text="test").last.locator(".prompt").first
    assert prompt.is_visible()
    assert prompt.text_content() == prompt_of(row["text"], TASK) + f"{row['target']:.0f}"
    tab.locator("nav").get_by_text("Leaks").click()
    assert tab.locator("#leaks").is_visible()
    assert tab.locator("tr", has_text="what the base has read").count() == 3


def test_a_failed_check_is_on_the_page_with_its_rows(tab: Page, pictures: Path, tmp_path: Path) -> None:
    inputs = Inputs()
    put("target", 0.25)(inputs)
    put("text", "A lamp of oak <script>document.title = 'changed'</script>")(inputs)
    tab.goto(f"file://{write_page(inputs, pictures, tmp_path, 'test')}")
    assert "bad" in (tab.locator(".headline").get_attribute("class") or "")
    assert "target '0.25'" in tab.locator(".listing", has_text="target_in_range").inner_text()
    assert tab.locator(".listing", has_text="text_without_markup").count() == 1
    assert tab.title() == "Pricewright: the data"
    assert "Drift was not checked" in tab.locator("body").inner_text()


def test_the_page_of_labels_shows_them_in_place_of_prices(pictures: Path, tmp_path: Path) -> None:
    """A target that is no label is shown as missing."""
    inputs = labelled()
    report = report_of(inputs.checks(tmp_path, "test"), {}, Path("reference/files.json"))
    train = inputs.splits["train"]
    inputs.splits["train"] = pd.concat([train, train.head(3).assign(target=[float("nan"), 2.0, -1.0])])
    task = task_of(inputs.task)
    text = page(CURATED, report, inputs.splits, inputs.rejects, inputs.listings, pictures, task)
    tree = html.fromstring(text)
    assert not tree.xpath("//h2[@id='read']")
    counts = [cell.text_content() for cell in tree.xpath("//h2[@id='counts']/following::table[1]//td")]
    assert counts[:6] == ["train", "6", "6", "4", "Desks", "37.5%"]
    answers = [mark.text_content() for mark in tree.xpath("//div[@class='prompt']/mark")]
    assert answers.count("missing") == 3
    assert set(answers) == {"missing", " Desks", " Lamps"}
    [categories] = tree.xpath("//h2[@id='categories']/following::table[1]")
    assert [cell.text_content() for cell in categories.xpath(".//tr[td][1]/td")][:3] == [
        "Desks",
        "17",
        "Desks",
    ]


def test_tables_with_missing_values_and_columns_make_a_page_too(pictures: Path) -> None:
    report = {
        "checks": 1,
        "failed_critical": 1,
        "failed_warning": 0,
        "reference": None,
        "leaks": {},
        "tables": {},
    }
    for rows in (pd.DataFrame({"id": [None], "target": ["much"]}), pd.DataFrame(columns=Item.columns())):
        empty = dict.fromkeys(SPLITS, rows)
        rejects = pd.DataFrame(columns=Reject.columns())
        text = page(CURATED, report, empty, rejects, pd.DataFrame({"price": [None]}), pictures, TASK)
        assert text.count("<mark>missing</mark>") == len(rows) * len(SPLITS)


def test_ten_prices_are_shown_as_written_and_as_read_the_rarest_ways_of_writing_too(
    pictures: Path, tmp_path: Path
) -> None:
    rare = {"58 45": "58.45", "1.299,50 <b>": "1299.5", "call": ""}
    common = [
        f"{sign}{number}" for sign in ("$", "€", "£", "kr ", "R$ ", "CHF ", "zł", "Rs ") for number in "234"
    ]
    amounts = {price: price[-1] for price in common} | rare
    inputs = Inputs()
    inputs.listings = inputs.listings.iloc[: len(amounts)].assign(
        price=list(amounts), amount=list(amounts.values()), currency="USD"
    )
    path = write_page(inputs, pictures, tmp_path, "rejects")
    [shown] = html.parse(str(path)).xpath("//h2[@id='read']/following::table[1]")
    rows = [[cell.text_content() for cell in row.xpath("td")] for row in shown.xpath(".//tr[td]")]
    assert len(rows) == 10
    read = {written: (as_read, alike) for written, as_read, alike, _ in rows}
    assert read["58 45"] == ("58.45 USD", "1")
    assert read["1.299,50 <b>"] == ("1299.5 USD", "1")
    assert read["call"] == ("not read", "1")
    assert read["$2"] == ("2 USD", "3")
