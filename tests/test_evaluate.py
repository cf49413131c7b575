"""Evaluation: the choice on validation, the noise floor, the errors by group, the pictures, the page."""

from __future__ import annotations

import json
import math
import re
import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from components.blending import blended
from components.blending.blended import Answers
from components.core.errors import PricewrightError
from components.core.params.file import Params
from components.core.schemas import Law, Prediction
from components.curation.columnar import cleaned
from components.evaluate import (
    all_predictions,
    answering,
    coverage,
    made_of,
    predict,
    reader,
    unlike,
)
from components.evaluation import forgetting, scoring
from components.evaluation.align_reports import learning_curves
from components.evaluation.elsewhere import elsewhere
from components.evaluation.leaderboard import BASELINE, EXTERNAL, MODEL, leaderboard, worst
from components.evaluation.scoring import noise_floor
from components.model import adapters, loading
from components.model.distribution import listing_distribution
from components.reporting import evaluation_page, figures
from components.reporting.evaluation_figures import draw
from components.reporting.loss import Loss
from tests.support.project import ROOT, TASK
from tests.support.regressions import DEPTHS, fitted_blend

if TYPE_CHECKING:
    from playwright.sync_api import Page

SIGMA, GRID = 0.25, TASK.answers
MODELS = ["sft", "dpo", "blend"]
NO_LAW = pd.DataFrame(columns=Law.columns())
LOSSES = [{"step": 10.0, "loss": 5.1}, {"step": 20.0, "loss": 4.2}]
SNAPSHOTS = [{"step": 0, "error": 30.0}, {"step": 4, "error": 21.0}]


@pytest.fixture
def items() -> pd.DataFrame:
    """400 rows of validation and test whose price is 100 dollars times noise."""
    draws = np.random.default_rng(0).standard_normal(400)
    return pd.DataFrame(
        {
            "id": [f"{row:016x}" for row in range(400)],
            "product": [f"{row:016x}" for row in range(400)],
            "title": [f"Thing {row}" for row in range(400)],
            "text": [f"Thing {row} <script>alert(1)</script> & more" for row in range(400)],
            "source": np.where(np.arange(400) % 4 == 0, "files", "demo_shop"),
            "category": np.where(np.arange(400) % 3 == 0, "Tools & Home", "Toys"),
            "target": 100 * np.exp(SIGMA * draws),
            "split": np.repeat(["validation", "test"], 200),
            "address": [f"/p/{row}" for row in range(400)],
        }
    )


@pytest.fixture
def law(items: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"address": items["address"], "median": 100.0, "sigma": SIGMA})


def off_by(items: pd.DataFrame, **dollars: Any) -> pd.DataFrame:
    """Predictions of candidates that are off by so many dollars; models give an interval too."""
    tables = []
    for name, error in dollars.items():
        predicted = items["target"].to_numpy() + error
        ends = {"low": predicted - 20, "high": predicted + 20} if name in MODELS else {}
        tables.append(scoring.predictions(name, items, predicted, TASK, **ends))
    return pd.concat(tables, ignore_index=True)


def by_split(items: pd.DataFrame, validation: float, test: float) -> np.ndarray:
    return np.where(items["split"] == "validation", validation, test)


def evaluated(
    rows: pd.DataFrame, items: pd.DataFrame, params: Params, law: pd.DataFrame = NO_LAW
) -> dict[str, Any]:
    kinds = {name: MODEL if name in MODELS else BASELINE for name in rows["candidate"].unique()}
    return leaderboard(rows, kinds | {"people": EXTERNAL}, items, law, params.evaluate, TASK)


def full_report(
    rows: pd.DataFrame, items: pd.DataFrame, params: Params, law: pd.DataFrame = NO_LAW
) -> dict[str, Any]:
    """The report with everything that the page shows."""
    probabilities = np.tile(np.bincount(np.arange(50, 150), minlength=1000) / 100, (400, 1))
    held = coverage(items, probabilities, params.evaluate, TASK)
    spent = {"people": {"requests": 3, "prompt_tokens": 900, "completion_tokens": 3, "cost": 1.25}}
    lost = {"base": {"perplexity": 9.0}, "sft": {"perplexity": 12.0}}
    rest = {"instruction_perplexity": 20.0, "choice_accuracy": 0.25, "bleu": 3.0, "rouge_l": 0.1}
    general = forgetting.compared({name: figures | rest for name, figures in lost.items()}, "base")
    attack = {"attack": "a <b>false</b> answer", "wanted": 1.0, "n": 9, "mean_change": -3.0}
    attacks = [attack | {"share_moved": 0.4, "toward": 0.1, "obeyed": 0.0}]
    shown = {"calibration": held, "cost": spent, "forgetting": general, "prompt_injection": attacks}
    gaps = [
        {"aligned": 30.0, "difference": {"mean": mean, "low": mean - 1, "high": mean + 1}}
        for mean in (-2.5, 0.4, 1.75)
    ]
    plain, *beside = (dict.fromkeys(("point", "greedy", "sampled"), gap) for gap in gaps)
    controls = dict(zip(("sft_tempered", "sft_continued"), beside, strict=True))
    aligned = {"dpo": {**plain, "controls": controls, "helps": False}}
    part = {"n": 20, "loss": 31.25, "loss_low": 22.5, "loss_high": 41.75, "coverage": 0.6}
    unlike = {"share": 0.1, "likeness_below": 0.37, "rest": part | {"loss": 12.5}}
    unlike |= {"least_like": part | {"coverage_low": 0.39, "coverage_high": 0.78}}
    unlike["rest"] |= {"coverage_low": 0.5, "coverage_high": 0.7}
    there = {"median": part | {"loss": 63.5}, "sft": part | {"n": 31}}
    unlike["elsewhere"] = {"path": "data/<b>.csv", "rejected": {"no_price": 3}, "candidates": there}
    return evaluated(rows, items, params, law) | shown | {"alignment": aligned, "out_of_domain": unlike}


def drawings(rows: pd.DataFrame, result: dict[str, Any]) -> dict[str, Any]:
    """The figures that the page shows."""
    return draw(rows, result, (LOSSES, {"dpo": SNAPSHOTS}), TASK)


def test_the_learning_curves_are_those_that_training_reported(tmp_path: Path) -> None:
    (tmp_path / "align").mkdir()
    (tmp_path / "sft.json").write_text(json.dumps({"losses": LOSSES}))
    (tmp_path / "align/dpo.json").write_text(json.dumps({"monitor": {"snapshots": SNAPSHOTS}}))
    losses, snapshots = learning_curves(["dpo"], tmp_path)
    left, right = figures.learning(losses, snapshots, Loss("MAE", "mean absolute error", "dollars", 2)).axes
    assert left.lines[0].get_xydata().tolist() == [[10, 5.1], [20, 4.2]]
    assert right.lines[0].get_xydata().tolist() == [[0, 30], [1, 21]]
    assert right.get_legend().get_texts()[0].get_text() == "dpo"


def test_the_winner_is_the_best_language_model_on_validation(
    items: pd.DataFrame, tiny_params: Params
) -> None:
    outcome = evaluated(
        off_by(items, median=50, boosting=20, base_zero_shot=1, sft=9, dpo=7), items, tiny_params
    )
    assert (outcome["winner"], outcome["best_baseline"]) == ("dpo", "base_zero_shot")
    kinds = {name: candidate["kind"] for name, candidate in outcome["candidates"].items()}
    assert kinds["base_zero_shot"] == kinds["median"] == "baseline"
    assert kinds["sft"] == kinds["dpo"] == "language-model"
    assert outcome["candidates"]["sft"]["test"]["loss"] == pytest.approx(9, abs=0.01)


def test_swapping_the_test_figures_changes_no_choice(items: pd.DataFrame, tiny_params: Params) -> None:
    choices = []
    for test in (
        {"sft": 1, "dpo": 90, "boosting": 5, "linear": 80},
        {"sft": 90, "dpo": 1, "boosting": 80, "linear": 5},
    ):
        validation = {"sft": 10, "dpo": 12, "boosting": 15, "linear": 20}
        rows = off_by(items, **{name: by_split(items, validation[name], test[name]) for name in validation})
        outcome = evaluated(rows, items, tiny_params)
        choices.append((outcome["winner"], outcome["best_baseline"], outcome["headline"].split(":")[0]))
    assert choices == [("sft", "boosting", "sft wins")] * 2


def test_a_candidate_that_is_silent_on_hard_rows_does_not_win(
    items: pd.DataFrame, tiny_params: Params
) -> None:
    rows = off_by(items, median=50, sft=10, dpo=1)
    silent = (rows["candidate"] == "dpo") & (rows["id"] == items["id"][0])
    rows.loc[silent, ["predicted", "loss"]] = np.nan
    outcome = evaluated(rows, items, tiny_params)
    assert outcome["candidates"]["dpo"]["validation"]["unparsed"] == 1
    assert outcome["winner"] == "sft"


def test_the_headline_begins_with_the_bad_news_where_a_baseline_does_better(
    items: pd.DataFrame, tiny_params: Params, law: pd.DataFrame
) -> None:
    bad = evaluated(off_by(items, boosting=5, sft=9, dpo=12), items, tiny_params)["headline"]
    assert bad.startswith("A baseline does better: on validation boosting errs 5.00")
    good = evaluated(off_by(items, boosting=30, sft=9, dpo=12), items, tiny_params, law)["headline"]
    assert re.match(
        r"sft wins: test MAE 9\.00 dollars \(\S+ to \S+\), best baseline boosting 30\.00, noise floor", good
    )


def test_the_noise_floor_is_measured_on_the_very_same_rows(
    items: pd.DataFrame, law: pd.DataFrame, tiny_params: Params
) -> None:
    medians = np.linspace(20, 300, len(law))
    shuffled = law.assign(median=medians).sample(frac=1, random_state=0, ignore_index=True)
    floor = noise_floor(items, shuffled, tiny_params.evaluate, TASK)
    assert floor is not None
    errors = np.abs(items["target"] - medians)
    assert floor["test"]["loss"] == pytest.approx(errors[items["split"] == "test"].mean(), abs=0.01)
    assert floor["test"]["n"] == 200


def test_the_expected_floor_is_what_a_great_many_draws_give(
    items: pd.DataFrame, law: pd.DataFrame, tiny_params: Params
) -> None:
    floor = noise_floor(items, law.assign(sigma=0.6), tiny_params.evaluate, TASK)
    assert floor is not None
    draws = 100 * np.exp(0.6 * np.random.default_rng(1).standard_normal(2_000_000))
    assert floor["test"]["loss_expected"] == pytest.approx(np.abs(draws - 100).mean(), rel=3e-3)
    by_hand = 100 * math.exp(0.18) * math.erf(0.6 / math.sqrt(2))
    assert floor["validation"]["loss_expected"] == pytest.approx(by_hand, abs=1e-4)


def test_a_source_without_a_law_has_no_noise_floor(items: pd.DataFrame, tiny_params: Params) -> None:
    outcome = evaluated(off_by(items, median=50, sft=9, dpo=12), items, tiny_params)
    assert outcome["noise_floor"] is None
    assert "noise floor" not in outcome["headline"]


def test_a_law_that_does_not_know_every_row_is_refused(
    items: pd.DataFrame, law: pd.DataFrame, tiny_params: Params
) -> None:
    with pytest.raises(PricewrightError, match="does not know 3 of 400"):
        noise_floor(items, law.iloc[3:], tiny_params.evaluate, TASK)


def test_coverage_is_the_share_of_true_prices_inside_the_interval(
    items: pd.DataFrame, tiny_params: Params
) -> None:
    rows = off_by(items, median=0, sft=by_split(items, 30, 10), dpo=0)
    outcome = evaluated(rows, items, tiny_params)["candidates"]
    assert (outcome["sft"]["validation"]["coverage"], outcome["sft"]["test"]["coverage"]) == (0.0, 1.0)
    assert outcome["sft"]["test"]["width"] == pytest.approx(40, abs=0.01)
    assert "coverage" not in outcome["median"]["test"]


def test_price_bands_hold_every_row_once_from_cheap_to_dear(items: pd.DataFrame) -> None:
    rows = off_by(items, sft=7)
    bands = scoring.by_band(rows, 6, TASK)
    assert len(bands) == 6
    assert sum(band["n"] for band in bands) == len(rows)
    assert max(band["n"] for band in bands) < 1.3 * min(band["n"] for band in bands)
    assert [band["loss"] for band in bands] == [pytest.approx(7, abs=0.01)] * 6
    assert [band["bias"] for band in bands] == [pytest.approx(7, abs=0.01)] * 6
    below = scoring.by_band(off_by(items, sft=-7), 6, TASK)
    assert [band["bias"] for band in below] == [pytest.approx(-7, abs=0.01)] * 6
    shares = [band["share_of_target"] for band in bands]
    assert shares == sorted(shares, reverse=True), "the same error is a smaller share of a dearer thing"


def test_one_single_price_makes_one_band(items: pd.DataFrame) -> None:
    bands = scoring.by_band(off_by(items.assign(target=50.0), sft=1), 6, TASK)
    assert [(band["band"], band["n"]) for band in bands] == [("50", 400)]


def test_rare_categories_share_a_group_and_none_is_lost(items: pd.DataFrame) -> None:
    category = np.array(["Toys"] * 200 + [""] * 100 + ["A"] * 60 + ["B"] * 40)
    named = items.assign(category=category)
    groups = scoring.by_category(off_by(named, sft=1), named, 2, TASK)
    assert [(group["category"], group["n"]) for group in groups] == [
        ("Toys", 200),
        ("(no category)", 100),
        ("(all others)", 100),
    ]


def test_lengths_and_sources_hold_every_row_once(items: pd.DataFrame) -> None:
    longer = items.assign(text=["x" * (20 + 3 * row) for row in range(400)])
    rows = off_by(longer, sft=np.arange(400) + 0.5)
    lengths = scoring.by_length(rows, longer, 4, TASK)
    assert lengths[0]["length"] == "20 to 319"
    assert [group["n"] for group in lengths] == [100] * 4
    assert [group["loss"] for group in lengths] == sorted(group["loss"] for group in lengths)
    sources = scoring.by_source(rows, longer, TASK)
    assert [(group["source"], group["n"]) for group in sources] == [("demo_shop", 300), ("files", 100)]
    assert sources[1]["median_error"] == pytest.approx(198.5, abs=0.01)
    assert sources[1]["coverage"] == 0.05, "0.5, 4.5, 8.5, 12.5 and 16.5 dollars off"
    assert {group["width"] for group in sources} == {40.0}


def test_every_two_candidates_are_compared_listing_by_listing(
    items: pd.DataFrame, tiny_params: Params
) -> None:
    rows = off_by(items, median=50, sft=by_split(items, 0, 9), dpo=by_split(items, 99, 12))
    outcome = {
        (pair["candidate"], pair["rival"]): pair for pair in evaluated(rows, items, tiny_params)["pairs"]
    }
    assert list(outcome) == [("median", "sft"), ("median", "dpo"), ("sft", "dpo")]
    assert outcome["sft", "dpo"]["mean"] == pytest.approx(-3, abs=0.01), "test alone counts"
    assert outcome["sft", "dpo"]["high"] < 0


def test_a_candidate_that_answered_nothing_makes_no_pair(items: pd.DataFrame, tiny_params: Params) -> None:
    rows = off_by(items, median=50, sft=9, dpo=12)
    rows.loc[rows["candidate"] == "dpo", ["predicted", "loss"]] = np.nan
    assert [pair["rival"] for pair in evaluated(rows, items, tiny_params)["pairs"]] == ["sft"]


def test_an_external_candidate_is_measured_but_never_chosen(items: pd.DataFrame, tiny_params: Params) -> None:
    some = off_by(items[items["split"] == "test"].head(50), people=1)
    outcome = evaluated(pd.concat([off_by(items, median=50, sft=9, dpo=12), some]), items, tiny_params)
    assert (outcome["winner"], outcome["best_baseline"]) == ("sft", "median")
    assert outcome["candidates"]["people"]["test"]["loss"] == pytest.approx(1, abs=0.01)
    assert (outcome["candidates"]["people"]["test"]["n"], outcome["candidates"]["people"]["kind"]) == (
        50,
        EXTERNAL,
    )
    assert outcome["candidates"]["people"]["validation"]["loss"] is None
    against = next(
        pair for pair in outcome["pairs"] if (pair["candidate"], pair["rival"]) == ("sft", "people")
    )
    assert against["mean"] == pytest.approx(8, abs=0.01)


def test_two_candidates_of_one_name_are_refused(items: pd.DataFrame) -> None:
    with pytest.raises(PricewrightError, match="two candidates are called sft"):
        all_predictions({MODEL: [off_by(items, sft=1)], EXTERNAL: [off_by(items, sft=2)]})


def test_answers_to_the_rows_of_the_gate_are_in_no_table(items: pd.DataFrame, tiny_params: Params) -> None:
    """The baselines have them for the gate; here they would make the median look good."""
    answers = off_by(items, median=50, sft=9, dpo=12)
    gate = off_by(items.assign(split="gate", id="gate " + items["id"]), median=0)
    rows, _ = all_predictions({BASELINE: [pd.concat([answers, gate])]})
    assert set(rows["split"]) == {"validation", "test"}
    assert evaluated(rows, items, tiny_params) == evaluated(answers, items, tiny_params)


def test_unreadable_answers_come_first_among_the_worst(items: pd.DataFrame) -> None:
    rows = off_by(items, sft=np.arange(400.0))
    rows.loc[250, ["predicted", "loss"]] = np.nan
    outcome = worst(rows, items, "sft")
    assert list(outcome["id"][:5]) == [items["id"][row] for row in (250, 399, 398, 397, 396)]
    assert len(outcome) == 10
    assert outcome["text"].str.startswith("Thing").all()


@pytest.fixture
def page(items: pd.DataFrame, law: pd.DataFrame, tiny_params: Params, tmp_path: Path) -> str:
    rows = off_by(items, median=50, boosting=by_split(items, 20, 21), sft=9, dpo=12, blend=30)
    rows = pd.concat([rows, off_by(items.tail(30), people=8)], ignore_index=True)
    result = full_report(rows, items, tiny_params, law)
    pictures = {}
    for name, figure in drawings(rows, result).items():
        pictures[name] = tmp_path / name
        figure.savefig(pictures[name], metadata={"Software": None})
    return evaluation_page.page(
        result, worst(rows, items, result["winner"]), pictures, tiny_params.evaluate, TASK.question
    )


def test_the_page_needs_no_other_file_and_runs_no_script(page: str) -> None:
    assert page.count("data:image/png;base64,") == 6
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in page


def test_the_page_shows_its_pictures_in_a_browser_and_fits_a_phone(
    page: str, tab: Page, tmp_path: Path
) -> None:
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    tab.set_viewport_size({"width": 390, "height": 800})
    tab.goto((tmp_path / "report.html").as_uri())
    assert tab.get_by_role("heading", level=1).inner_text() == TASK.question
    assert tab.evaluate("[...document.images].map(image => image.naturalWidth > 300)") == [True] * 6
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_page_names_every_candidate_the_winner_and_the_floor(page: str) -> None:
    for name in ("median", "boosting", "sft", "dpo", "noise floor", "people (external)"):
        assert f"<td>{name}" in page
    assert re.search(r'<tr class="winner"><td>sft', page)
    assert "sft wins: test MAE" in page
    assert re.search(r"<td>sft</td><td>12.0</td><td>1.33</td>", page), "what tuning cost elsewhere"
    assert "<td>25%</td><td>3.0</td><td>0.10</td>" in page
    assert "a &lt;b&gt;false&lt;/b&gt; answer" in page


def test_the_page_says_that_a_blend_is_a_language_model_and_ridges(page: str) -> None:
    assert "<td>blend (language model and ridges, blended)</td>" in page
    assert "<td>sft (language model)</td>" in page


def test_the_page_shows_the_listings_least_like_training_beside_the_rest(page: str) -> None:
    assert "The 10% of the test listings" in page
    row = "<td>least like</td><td>20</td><td>31.25 (22.50 to 41.75)</td><td>60% (39% to 78%)</td>"
    assert row in page
    assert "<td>rest</td><td>20</td><td>12.50 (22.50 to 41.75)</td>" in page
    assert "<code>data/&lt;b&gt;.csv</code>" in page
    assert "Rejected there: 3." in page
    assert "<td>median</td><td>20</td><td>63.50</td><td>22.50 to 41.75</td>" in page
    assert "<td>sft</td><td>31</td><td>31.25</td>" in page


def test_the_page_shows_each_method_beside_sft_and_both_controls(page: str) -> None:
    row = re.search(r"<tr><td>dpo</td><td>point</td>.*", page)
    assert row is not None
    assert [re.sub(r"<br>.*", "", cell) for cell in re.findall(r"<td>(.*?)</td>", row[0])[2:]] == [
        "30.00",
        "<b>-2.50</b>",
        "+0.40",
        "<b>+1.75</b>",
        "no",
    ]


def test_the_page_compares_any_two_from_both_sides(page: str, tab: Page, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    tab.goto((tmp_path / "report.html").as_uri())
    square = tab.locator("table", has_text="+3.00")
    lines = [line.split("\t") for line in square.inner_text().splitlines()]
    assert "-3.00" in str(lines)
    bold = square.locator("b").all_inner_texts()
    assert sorted(float(text) for text in bold if abs(float(text)) < 4) == [-3.0, -1.0, 1.0, 3.0]


def test_the_page_and_the_pictures_are_the_same_on_every_run(
    items: pd.DataFrame, tiny_params: Params, tmp_path: Path
) -> None:
    rows = off_by(items, median=50, sft=9, dpo=12)
    rows.loc[0, ["predicted", "loss"]] = np.nan
    pages = []
    for place in ("first", "second"):
        result = full_report(rows, items, tiny_params)
        pictures = {}
        for name, figure in drawings(rows, result).items():
            pictures[name] = tmp_path / f"{place}-{name}"
            figure.savefig(pictures[name], metadata={"Software": None})
        pages.append(
            evaluation_page.page(
                result, worst(rows, items, "sft"), pictures, tiny_params.evaluate, TASK.question
            )
        )
    assert pages[0] == pages[1]


def test_a_winner_without_one_readable_answer_still_gets_a_report(
    items: pd.DataFrame, tiny_params: Params, tmp_path: Path
) -> None:
    rows = off_by(items, median=50, sft=9)
    rows.loc[rows["candidate"] == "sft", ["predicted", "loss", "low", "high"]] = np.nan
    result = full_report(rows, items, tiny_params)
    assert result["headline"].startswith("A baseline does better: on validation median")
    assert json.loads(json.dumps(result, allow_nan=False))["winner_minus_best_baseline"]["test"] is None
    pictures = {}
    for name, figure in drawings(rows, result).items():
        pictures[name] = tmp_path / name
        figure.savefig(pictures[name])
    text = evaluation_page.page(
        result, worst(rows, items, "sft"), pictures, tiny_params.evaluate, TASK.question
    )
    assert "no readable answer" in text


def test_the_report_is_json_without_nan(items: pd.DataFrame, law: pd.DataFrame, tiny_params: Params) -> None:
    outcome = evaluated(off_by(items, median=50, sft=9, dpo=12), items, tiny_params, law)
    assert json.loads(json.dumps(outcome, allow_nan=False)) == outcome


def test_an_adapter_gives_medians_inside_its_intervals_and_the_same_again(
    tiny_base: Path, tiny_adapter: Path, tiny_items: pd.DataFrame, tiny_params: Params
) -> None:
    scored = tiny_items.head(12).assign(split=["validation", "test"] * 6)

    def predicted() -> pd.DataFrame:
        model, tokenizer = adapters.load_adapted(tiny_base, tiny_adapter), loading.load_tokenizer(tiny_base)
        texts = scored["text"].tolist()
        probabilities = listing_distribution(model, tokenizer, texts, TASK, batch_size=8, title="sft")
        return predict("sft", scored, probabilities, tiny_params.evaluate, TASK)

    rows = predicted()
    assert list(rows.columns) == Prediction.columns()
    assert list(rows["id"]) == list(scored["id"])
    assert ((rows["low"] <= rows["predicted"]) & (rows["predicted"] <= rows["high"])).all()
    assert rows["predicted"].between(0, 999).all()
    pd.testing.assert_frame_equal(rows, predicted())


def test_another_catalogue_is_priced_by_the_winner_the_ridge_and_the_median(
    tiny_base: Path,
    tiny_adapter: Path,
    tiny_items: pd.DataFrame,
    tiny_params: Params,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts, prices = tiny_items["text"].tolist()[:8], tiny_items["target"].to_numpy(float)[:8]
    size = adapters.load_adapted(tiny_base, None).config.hidden_size
    section = tiny_params.evaluate.model_copy(update={"elsewhere": "data/other.csv", "bootstrap": 100})
    blend = fitted_blend(texts, np.log(prices), size)
    priced = answering("blend", {"sft": tiny_adapter}, blend, tiny_base, section, TASK)
    clean = partial(cleaned, section=tiny_params.curate, task=tiny_params.task, names=[])
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    other = [("Oil painting of a harbour", 80), ("Etching of an old mill", 120), ("Bust of a poet", "ask")]
    pd.DataFrame(other, columns=["title", "price"]).assign(description="").to_csv(
        "data/other.csv", index=False
    )
    items = tiny_items.head(8).assign(split="test")
    rows = scoring.predictions("blend", items, prices, TASK, low=prices - 1, high=prices + 1)
    figures = unlike(tiny_items, items, rows, "blend", section, TASK, priced, clean)["elsewhere"]
    assert figures["rejected"] == {"unreadable_price": 1}
    assert set(figures["candidates"]) == {"blend", "hidden_states_ridge", "median"}
    assert {part["n"] for part in figures["candidates"].values()} == {2}
    median = tiny_items["target"].median()
    error = (abs(median - 80) + abs(median - 120)) / 2
    assert figures["candidates"]["median"]["loss"] == pytest.approx(error, abs=0.01)
    listings, _ = elsewhere(Path("data/other.csv"), clean)
    answers = priced(listings["text"].tolist())
    for rival in ("blend", "hidden_states_ridge"):
        error = np.abs(np.array([80, 120]) - answers[rival]).mean()
        assert figures["candidates"][rival]["loss"] == pytest.approx(error, abs=0.01)
    without = section.model_copy(update={"elsewhere": None})
    assert unlike(tiny_items, items, rows, "blend", without, TASK, priced, clean)["elsewhere"] is None


def test_a_blend_is_read_from_its_parts_and_named_with_them(
    tiny_base: Path, tiny_adapter: Path, tiny_items: pd.DataFrame, tiny_params: Params, tmp_path: Path
) -> None:
    texts, prices = tiny_items["text"].tolist()[:8], tiny_items["target"].to_numpy(float)[:8]
    untuned = adapters.load_adapted(tiny_base, None)
    blend = fitted_blend(texts, np.log(prices), untuned.config.hidden_size)
    models, section, prompt = {"sft": tiny_adapter}, tiny_params.evaluate, TASK
    read = reader("blend", models, blend, tiny_base, section, prompt)
    tokenizer = loading.load_tokenizer(tiny_base)
    size = section.batch_size
    model = adapters.load_adapted(tiny_base, tiny_adapter)
    tuned = listing_distribution(model, tokenizer, texts, prompt, batch_size=size, title="sft")
    own = blended.untuned(untuned, tokenizer, texts, DEPTHS, prompt, size)
    np.testing.assert_allclose(read(texts), blend.distribution(Answers(texts, tuned, *own), GRID), atol=1e-6)
    np.testing.assert_allclose(
        reader("sft", models, blend, tiny_base, section, prompt)(texts), tuned, atol=1e-6
    )
    adapter = tiny_adapter.as_posix()
    assert made_of("blend", models) == {"winner": "blend", "adapter": adapter, "blend": "artifacts/blend"}
    assert made_of("sft", models) == {"winner": "sft", "adapter": adapter, "blend": None}


def test_prices_of_test_move_no_interval_and_those_of_validation_do(
    items: pd.DataFrame, tiny_params: Params
) -> None:
    probabilities = np.tile(np.bincount(np.arange(50, 150), minlength=1000) / 100, (400, 1))
    ends = {}
    for changed in ("nothing", "validation", "test"):
        prices = np.where(items["split"] == changed, 140.0, items["target"])
        rows = predict("sft", items.assign(target=prices), probabilities, tiny_params.evaluate, TASK)
        ends[changed] = rows[["low", "high"]]
    pd.testing.assert_frame_equal(ends["nothing"], ends["test"])
    assert (ends["validation"]["high"] > ends["nothing"]["high"]).all()


def test_a_model_that_gives_no_price_any_probability_is_unreadable(
    items: pd.DataFrame, tiny_params: Params
) -> None:
    probabilities = np.full((400, 200), 1 / 200)
    probabilities[1] = np.nan  # what scaling a row of zeros to 1 leaves
    rows = predict("sft", items, probabilities, tiny_params.evaluate, TASK)
    assert rows.loc[1, ["predicted", "low", "high"]].isna().all()
    assert rows.drop(1).drop(columns="log_loss").notna().all(axis=None)
    assert rows["log_loss"].isna().all()
