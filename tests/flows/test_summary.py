"""The table at the end of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flows import summary


def measured(mae: float | None, unparsed: int = 0) -> dict[str, Any]:
    ends = (None, None) if mae is None else (mae - 1, mae + 1)
    rmsle = None if mae is None else 0.25
    return {
        "loss": mae,
        "loss_low": ends[0],
        "loss_high": ends[1],
        "rmsle": rmsle,
        "hit_rate": 0.5,
        "n": 40,
        "unparsed": unparsed,
    }


def candidate(kind: str, validation: float | None, test: float | None) -> dict[str, Any]:
    return {"kind": kind, "validation": measured(validation), "test": measured(test)}


def reports(folder: Path, floor: dict[str, Any] | None) -> Path:
    evaluated = {
        "kind": "number",
        "measure": "MAE",
        "noise_floor": floor,
        "winner": "dpo",
        "headline": "A baseline does better: ridge",
        "candidates": {
            "silent": candidate("baseline", None, None),
            "dpo": candidate("language-model", 31.0, 32.0),
            "ridge": candidate("baseline", 30.0, 33.0),
        },
    }
    (folder / "evaluate.json").write_text(json.dumps(evaluated))
    return folder


def test_the_verdict_comes_first_then_the_floor_then_candidates_from_best_to_worst(tmp_path: Path) -> None:
    floor = {"validation": {"loss": 26.5}, "test": {"loss": 27.25}}
    lines = summary.text(reports(tmp_path, floor)).strip().splitlines()
    assert lines[0] == "A baseline does better: ridge"
    table = [" ".join(line.split()) for line in lines[3:7]]
    assert table == [
        "noise floor (the best there can be) 26.50 27.25",
        "ridge 30.00 33.00 (32.00 to 34.00) 0.250 50% 0 of 40",
        "dpo <- winner 31.00 32.00 (31.00 to 33.00) 0.250 50% 0 of 40",
        "silent - - (- to -) - 50% 0 of 40",
    ]
    assert "Nothing is registered yet." in lines
    assert [line.split("  ")[1] for line in lines[-3:]] == ["make mlflow", "make prefect", "make report"]


def test_labels_have_their_own_figures_in_a_table_of_the_same_width(tmp_path: Path) -> None:
    def measured(loss: float | None) -> dict[str, Any]:
        named = ("loss", "loss_low", "loss_high", "macro_f1", "mcc", "log_loss")
        return {"n": 1200, "unparsed": 3} | dict.fromkeys(named, loss)

    split = {"validation": measured(0.125), "test": measured(0.25)}
    silent = {"validation": measured(None), "test": measured(None)}
    floor = {"validation": {"loss": 0.1}, "test": {"loss": 0.09}}
    evaluated = {"kind": "label", "measure": "error rate", "noise_floor": floor, "winner": "sft"}
    evaluated |= {"headline": "sft wins", "candidates": {"silent": silent, "sft": split}}
    (tmp_path / "evaluate.json").write_text(json.dumps(evaluated))
    quantized = {"candidate": "sft", "format": "nf4", "bytes_served": 1e6, "bytes_merged": 2e6}
    quantized["test"] = {"loss_served": 0.26, "loss_merged": 0.25}
    (tmp_path / "quantize.json").write_text(json.dumps(quantized))
    lines = [" ".join(line.split()) for line in summary.text(tmp_path).strip().splitlines()[2:7]]
    assert lines == [
        "validation test error rate",
        "candidate error rate (95% interval) macro F1 MCC log loss unparsed",
        "noise floor (the best there can be) 0.100 0.090",
        "sft <- winner 0.125 0.250 (0.250 to 0.250) 0.250 0.250 0.250 3 of 1200",
        "silent - - (- to -) - - - 3 of 1200",
    ]
    assert "test error rate 0.260, 0.250 before quantization" in summary.text(tmp_path)
    page = summary.markdown(tmp_path)
    assert "| candidate | validation error rate | test error rate (95% interval) | macro F1 |" in page


def test_the_registered_version_is_named_with_its_aliases_and_the_champion(tmp_path: Path) -> None:
    def registered(**standing: str | None) -> list[str]:
        (tmp_path / "promote.json").write_text(json.dumps(standing))
        return summary.text(tmp_path).splitlines()

    registered_as = {"model": "pricer", "version": "3", "aliases": ["challenger"]}
    (reports(tmp_path, None) / "register.json").write_text(json.dumps(registered_as))
    assert "Registered: pricer version 3 (challenger)" in summary.text(tmp_path).splitlines()
    assert "Registered: pricer version 3 (challenger, champion)" in registered(champion="3")
    assert "Champion: pricer version 1; `make promote` compares the two" in registered(champion="1")
    assert "noise floor" not in summary.text(tmp_path)
    lines = registered(champion=None, reason="rejected: the interval", advice="more listings")
    assert lines[lines.index("No champion: rejected: the interval") + 1] == "What would help: more listings"
    assert "What would help: more listings" in summary.markdown(tmp_path)


def test_the_served_format_stands_below_the_table_beside_the_merged_model(tmp_path: Path) -> None:
    quantized = {"candidate": "dpo", "format": "nf4", "bytes_served": 2183808, "bytes_merged": 5165696}
    quantized["test"] = {"loss_served": 30.55, "loss_merged": 30.57}
    (reports(tmp_path, None) / "quantize.json").write_text(json.dumps(quantized))
    line = "Served: dpo as nf4, test MAE 30.55, 30.57 before quantization; 2.2 of 5.2 MB"
    assert line in summary.text(tmp_path).splitlines()
    assert line in summary.markdown(tmp_path).splitlines()
    (tmp_path / "quantize.json").write_text(json.dumps(quantized | {"format": None}))
    assert "Served" not in summary.text(tmp_path), "no format was good enough"


def test_the_artifact_holds_the_same_rows_as_a_markdown_table(tmp_path: Path) -> None:
    lines = summary.markdown(reports(tmp_path, None)).splitlines()
    assert lines[0] == "**A baseline does better: ridge**"
    assert lines[2].count("|") == lines[3].count("|") == lines[4].count("|") == 7
    assert lines[4].startswith("| ridge | 30.00 |")


def test_a_candidate_with_a_name_that_is_markup_is_plain_text_in_artifact_and_terminal(
    tmp_path: Path,
) -> None:
    evaluated = json.loads((reports(tmp_path, None) / "evaluate.json").read_text())
    evaluated["candidates"]["[x](http://a.example) | <b>\n# big"] = candidate("external", 29.0, 30.0)
    evaluated["headline"] = "[red]<img src=x> wins"
    (tmp_path / "evaluate.json").write_text(json.dumps(evaluated))
    lines = summary.markdown(tmp_path).splitlines()
    assert lines[0] == r"**\[red\]\<img src=x\> wins**"
    assert lines[4].startswith(r"| \[x\](http\://a.example) \| \<b\> # big | 29.00 |")
    assert len(lines[4].replace(r"\|", "").split("|")) == 8
    assert "[red]<img src=x> wins" in summary.text(tmp_path)


def test_before_anything_is_evaluated_there_is_no_summary(tmp_path: Path) -> None:
    assert summary.text(tmp_path) == ""
