"""The page, the pictures and the card where a label is predicted."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from components.core.params.file import Params
from components.evaluate import coverage, predict
from components.evaluation import forgetting, scoring
from components.evaluation.leaderboard import BASELINE, MODEL, leaderboard, worst
from components.evaluation.out_of_domain import by_likeness
from components.evaluation.prompt_injection import attack
from components.reporting import evaluation_page, figures
from components.reporting.evaluation_figures import draw
from components.reporting.loss import Loss
from components.reporting.model_card import card
from tests.support.project import named

if TYPE_CHECKING:
    from playwright.sync_api import Page

NAMES = ("Lamps", "Rugs & <b>Mats</b>", "Tents", "Tools")
TASK = named(*NAMES)
LOSSES = [{"step": 10.0, "loss": 5.1}, {"step": 20.0, "loss": 4.2}]
SNAPSHOTS = [{"step": 0, "error": 0.3}, {"step": 4, "error": 0.21}]


def distributions(true: np.ndarray, strength: float, seed: int) -> np.ndarray:
    """Of a model that sees the true label so far above the others."""
    scores = np.exp(strength * np.eye(4)[true] + np.random.default_rng(seed).standard_normal((len(true), 4)))
    return np.asarray(scores / scores.sum(axis=1, keepdims=True))


@pytest.fixture(scope="module")
def items() -> pd.DataFrame:
    """400 rows of validation and test; every tenth bears the label after its own."""
    right = np.random.default_rng(0).choice(4, 400, p=[0.4, 0.3, 0.2, 0.1])
    wrong = np.arange(400) % 10 == 0
    return pd.DataFrame(
        {
            "id": [f"{row:016x}" for row in range(400)],
            "product": [f"{row:016x}" for row in range(400)],
            "title": [f"Thing {row}" for row in range(400)],
            "text": [f"Thing {row} <script>alert(1)</script> & more" for row in range(400)],
            "source": np.where(np.arange(400) % 4 == 0, "files", "demo_shop"),
            "category": [NAMES[place] for place in right],
            "target": np.where(wrong, (right + 1) % 4, right).astype(float),
            "right": [NAMES[place] for place in right],
            "split": np.repeat(["validation", "test"], 200),
            "address": [f"/p/{row}" for row in range(400)],
        }
    )


@pytest.fixture(scope="module")
def rows(items: pd.DataFrame, params: Params) -> pd.DataFrame:
    """Rows of `Prediction`: of three models with their sets, of which dpo is silent once, and two
    baselines.
    """
    true, section = items["target"].astype(int).to_numpy(), params.evaluate
    own = {"sft": distributions(true, 2.0, 1), "dpo": distributions(true, 2.2, 2)}
    own["blend"] = distributions(true, 2.5, 3)
    own["dpo"][3] = np.nan
    counts = np.tile(np.bincount(true, minlength=4) / 400, (400, 1))
    plain = {"majority": counts, "tfidf_logistic": distributions(true, 1.5, 4)}
    return pd.concat(
        [scoring.answered(name, items, given, TASK) for name, given in plain.items()]
        + [predict(name, items, given, section, TASK) for name, given in own.items()],
        ignore_index=True,
    )


@pytest.fixture(scope="module")
def result(items: pd.DataFrame, rows: pd.DataFrame, params: Params) -> dict[str, Any]:
    """The report with everything that the page shows."""
    section = params.evaluate.model_copy(update={"bootstrap": 200})
    kinds = {
        name: MODEL if name in ("sft", "dpo", "blend") else BASELINE for name in rows["candidate"].unique()
    }
    law = items[["address"]].assign(median=np.nan, sigma=np.nan, label=items["right"])
    report = leaderboard(rows, kinds, items, law, section, TASK)
    true = items["target"].astype(int).to_numpy()
    report["calibration"] = coverage(items, distributions(true, 2.5, 3), section, TASK)
    rest = {"instruction_perplexity": 20.0, "choice_accuracy": 0.25, "bleu": 3.0, "rouge_l": 0.1}
    lost = {"base": {"perplexity": 9.0} | rest, "blend": {"perplexity": 12.0} | rest}
    report["forgetting"] = forgetting.compared(lost, "base")
    report["prompt_injection"] = attack(
        lambda texts: np.array([3.0 if "Tools" in text else 0.0 for text in texts]),
        ["a", "b"],
        TASK,
        moved=0.1,
    )
    gaps = [
        {"aligned": 0.25, "difference": {"mean": mean, "low": mean - 0.01, "high": mean + 0.01}}
        for mean in (-0.025, 0.004, 0.0175)
    ]
    plain, *beside = (dict.fromkeys(("point", "greedy", "sampled"), gap) for gap in gaps)
    controls = dict(zip(("sft_tempered", "sft_continued"), beside, strict=True))
    report["alignment"] = {"dpo": {**plain, "controls": controls, "helps": False}}
    train = [f"Thing {row}" for row in range(100)]
    own = rows[rows["candidate"] == report["winner"]]
    report["out_of_domain"] = by_likeness(train, items, own, section, TASK) | {"elsewhere": None}
    return report | {"cost": {}}


def drawings(rows: pd.DataFrame, result: dict[str, Any], folder: Path) -> dict[str, Path]:
    """The pictures of the page, written."""
    charts = draw(rows, result, (LOSSES, {"dpo": SNAPSHOTS}), TASK)
    for name, figure in charts.items():
        figure.savefig(folder / name, metadata={"Software": None})
    return {name: folder / name for name in charts}


@pytest.fixture(scope="module")
def page(
    items: pd.DataFrame,
    rows: pd.DataFrame,
    result: dict[str, Any],
    params: Params,
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    pictures = drawings(rows, result, tmp_path_factory.mktemp("page"))
    shown = worst(rows, items, result["winner"])
    return evaluation_page.page(result, shown, pictures, params.evaluate, TASK.question)


def cells(page: str, first: str) -> list[str]:
    """Of the row of a table whose first cell begins so."""
    found = re.search(rf"<tr[^>]*><td>{first}.*?</tr>", page)
    assert found is not None, first
    return re.findall(r"<td>(.*?)</td>", found[0])


def test_the_table_has_the_measures_of_labels_and_names_winner_and_floor(
    page: str, result: dict[str, Any]
) -> None:
    assert result["winner"] == "blend"
    assert '<tr class="winner"><td>blend' in page
    test = result["candidates"]["blend"]["test"]
    own = cells(page, r"blend \(language model and classifiers, blended\)")
    assert own[2] == f"{test['loss']:.4f}"
    assert own[4:7] == [f"{test[name]:.3f}" for name in ("macro_f1", "mcc", "log_loss")]
    assert own[7] == f"{test['coverage']:.0%}"
    floor = cells(page, "noise floor")
    assert floor[2] == "0.1000", "every tenth label is wrong"
    assert floor[6] == "–"
    assert cells(page, r"dpo \(")[-1] == "0 of 200"
    for word in ("error rate, test", "macro F1", "MCC", "log loss"):
        assert f"<th>{word}</th>" in page
    text = re.sub(r'"data:image/png;base64,.*?"', "", page)
    for word in ("MAE", "RMSLE", "dollars", "R²", ">median error<"):
        assert word not in text, word
    assert not re.search(r",\s*</th>", page), "a head without its unit"


def test_each_label_has_its_row_and_a_wrong_answer_its_names_escaped(
    page: str, result: dict[str, Any]
) -> None:
    for own in result["by_label"]:
        escaped = own["label"].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        assert cells(page, re.escape(escaped) + "</td>")[1:] == [
            str(own["n"]),
            *(f"{own[name]:.3f}" for name in ("precision", "recall", "f1")),
        ]
    assert "<b>Mats" not in page
    assert page.count("<script") == 0
    wrong = re.findall(r'<div class="listing"><b>(.*?), answered (.*?)</b>', page)
    assert len(wrong) == min(10, round(200 * result["candidates"]["blend"]["test"]["loss"]))
    assert all(true != answer for true, answer in wrong), "what is right is not among the worst"
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in page


def test_a_listing_without_an_answer_says_so(
    items: pd.DataFrame, rows: pd.DataFrame, result: dict[str, Any], params: Params, tmp_path: Path
) -> None:
    silent = rows.copy()
    silent.loc[silent["id"] == items["id"][300], ["predicted", "loss"]] = np.nan
    pictures = drawings(rows, result, tmp_path)
    shown = worst(silent, items, "blend")
    text = evaluation_page.page(result, shown, pictures, params.evaluate, TASK.question)
    assert f"<b>{NAMES[int(items['target'][300])]}, no readable answer</b>: Thing 300".replace(
        "&", "&amp;"
    ) in (text.replace("&lt;", "<").replace("&gt;", ">"))


def test_attacks_name_the_label_that_they_want(page: str) -> None:
    attacked = [cells(page, re.escape(name)) for name in ("ignore the above", "harmless sentence")]
    assert attacked[1][1:] == ["–", "–", "0%", "–", "–"]
    assert attacked[0][1] in ("Tools", "Rugs &amp; &lt;b&gt;Mats&lt;/b&gt;")
    assert attacked[0][2] == "–"


def test_the_bands_of_sets_are_by_how_many_labels_they_have(page: str, result: dict[str, Any]) -> None:
    bands = result["calibration"]["bands"]
    assert sum(band["n"] for band in bands) == 200
    for band in bands:
        assert cells(page, f"{band['band']}</td>")[1:3] == [str(band["n"]), f"{band['coverage']:.0%}"]


def test_the_page_shows_its_pictures_in_a_browser_and_fits_a_phone(
    page: str, tab: Page, tmp_path: Path
) -> None:
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    tab.set_viewport_size({"width": 390, "height": 800})
    tab.goto((tmp_path / "report.html").as_uri())
    assert tab.evaluate("[...document.images].map(image => image.naturalWidth > 300)") == [True] * 5
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_page_and_pictures_are_the_same_on_every_run(
    items: pd.DataFrame, rows: pd.DataFrame, result: dict[str, Any], page: str, params: Params, tmp_path: Path
) -> None:
    again = evaluation_page.page(
        result, worst(rows, items, "blend"), drawings(rows, result, tmp_path), params.evaluate, TASK.question
    )
    assert again == page
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_the_confusion_shows_shares_of_each_true_label_and_no_answer_apart() -> None:
    counts = [[6, 2, 0, 2], [0, 0, 0, 0], [0, 0, 4, 0]]
    figure = figures.confusion(counts, ["a", "b", "a very long name that nobody can read in a picture"], "t")
    [axes] = figure.axes
    shares = axes.images[0].get_array()
    assert shares is not None
    np.testing.assert_allclose(shares, [[0.6, 0.2, 0, 0.2], [0, 0, 0, 0], [0, 0, 1, 0]])
    colors = {text.get_text(): text.get_color() for text in axes.texts}
    assert colors == {"100%": "white", "60%": "white", "20%": figures.INK}
    assert len(axes.texts) == 4
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels[-1] == "(no answer)"
    assert len(labels[2]) <= figures.LABEL_LENGTH
    many = figures.confusion(np.eye(40, 41).astype(int).tolist(), [str(row) for row in range(40)], "t")
    assert not many.axes[0].texts, "illegible"


def test_error_rates_have_no_unit_and_digits_of_their_own(result: dict[str, Any]) -> None:
    shown = Loss.of(result)
    assert (shown.heading, shown.in_unit, shown.axis) == ("error rate", "", "error rate")
    number = Loss("MAE", "mean absolute error", "<b>", 2)
    assert (number.heading, number.in_unit) == ("MAE, <b>", ", in &lt;b&gt;")
    assert number.axis == "mean absolute error, <b>"
    figure = figures.candidates(result, "test")
    assert figure.axes[0].get_xlabel() == "error rate (line: 95% bootstrap interval)"
    floor = next(line for line in figure.axes[0].lines if "floor" in str(line.get_label()))
    assert floor.get_label() == "noise floor 0.100"


def test_the_card_of_a_version_says_which_labels_and_measures_it_by_them(
    result: dict[str, Any], params: Params
) -> None:
    quantized = {"format": "int8", "test": {"loss_served": 0.125}}
    curated = {"rejected": {"unknown_label": 17}, "rows": {"train": 321}}
    reports = {"evaluate": result, "scrape": {"listings": 9}, "curate": curated, "quantize": quantized}
    sections: dict[str, Any] = {name: getattr(params, name) for name in ("scrape", "base", "sft", "evaluate")}
    text = card("labeller", reports, {"CC0": 9}, {"git.commit": "abc"}, task=TASK.section, **sections)
    for part in (
        "one of the labels comes out, with its probability and the set",
        r"- Answers: one of Lamps, Rugs & \<b\>Mats\</b\>, Tents, Tools.",
        "| candidate | validation error rate | test error rate | interval |",
        "| macro f1 |",
        "## Bias by category",
        "| test, loss served | 0.125 |",
        "The law itself errs 0.10 on the test rows",
        "unknown label 17",
    ):
        assert part in text, part
    for word in ("MAE", "dollars", "Bias by band", "Aligned by"):
        assert word not in text, word
