"""What DVC says of real, tiny repositories."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from components.core.errors import PricewrightError
from flows import graph
from tests.support.project import ROOT

GRAPH = """
stages:
  last:
    cmd: cat out/left out/right > out/last
    deps: [out/left, out/right]
    outs: [out/last]
  side:
    matrix:
      hand: ${hands}
    cmd: cp out/first out/${item.hand}
    deps: [out/first]
    params: [speed]
    outs: ["out/${item.hand}"]
    meta: {timeout: "${limit}", heavy: true}
  first:
    cmd: mkdir -p out && cp data.txt out/first
    deps: [data.txt]
    outs: [out/first]
    meta: {timeout: 2.5, retries: 2, colour: blue}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("dvc.yaml").write_text(GRAPH)
    Path("params.yaml").write_text("hands: [left, right]\nlimit: 60\nspeed: 1\n")
    Path("data.txt").write_text("data")
    subprocess.run(["git", "init", "-q"], check=True)
    dvc("init")
    return tmp_path


def dvc(command: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", command, "-q", *arguments], check=True)


def changed(project: Path) -> dict[str, bool]:
    return {node.name: node.changed for node in graph.stages(project)}


def test_stages_come_after_those_they_read_from_with_matrix_children_and_resolved_meta(project: Path) -> None:
    first, *sides, last = graph.stages(project)
    assert first == graph.StageNode("first", (), 2.5, 2, heavy=False, changed=True)
    assert sides == [
        graph.StageNode(f"side@{hand}", ("first",), 60, 0, heavy=True, changed=True)
        for hand in ("left", "right")
    ]
    assert last == graph.StageNode("last", ("side@left", "side@right"), None, 0, heavy=False, changed=True)


def test_after_a_run_nothing_is_changed_and_a_new_value_changes_what_reads_it_and_all_below(
    project: Path,
) -> None:
    dvc("repro")
    assert not any(changed(project).values())
    Path("params.yaml").write_text("hands: [left, right]\nlimit: 60\nspeed: 2\n")
    assert changed(project) == {"first": False, "side@left": True, "side@right": True, "last": True}


def test_a_lost_output_changes_its_stage_and_all_below(project: Path) -> None:
    dvc("repro")
    Path("out/right").unlink()
    assert changed(project) == {"first": False, "side@left": False, "side@right": True, "last": True}


def test_data_added_with_dvc_is_no_stage(project: Path) -> None:
    dvc("add", "data.txt")
    assert "data.txt.dvc" not in changed(project)
    assert graph.stages(project)[0].upstream == ()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("retries: 2", "retries: often", r"stages\.first\.meta\.retries is 'often'"),
        ("retries: 2", "retries: -1", r"stages\.first\.meta\.retries is -1"),
        ("timeout: 2.5", "timeout: 0", r"stages\.first\.meta\.timeout is 0"),
        ("heavy: true", "heavy: 3", r"stages\.side@left\.meta\.heavy is 3"),
        ("${hands}", "${fingers}", r"fingers"),
        ("deps: [data.txt]", "dips: [data.txt]", r"dips"),
        ("deps: [data.txt]", "deps: [out/last]", "both a dependency and an output"),
        ("stages:", "stages: [", r"dvc\.yaml"),
    ],
)
def test_a_wrong_dvc_yaml_is_named_with_dvcs_reason(project: Path, old: str, new: str, message: str) -> None:
    assert old in GRAPH
    Path("dvc.yaml").write_text(GRAPH.replace(old, new, 1))
    with pytest.raises(PricewrightError, match=message):
        graph.stages(project)


def test_what_a_stage_needs_is_all_above_it_and_nothing_beside_it() -> None:
    nodes = graph.stages(ROOT)
    names = {stage: [node.name for node in graph.upto(nodes, stage)] for stage in ("curate", "baseline")}
    assert names["curate"] == ["scrape", "curate"]
    assert set(names["baseline"]) == {"scrape", "curate", "validate", "base", "baseline"}
    with pytest.raises(PricewrightError, match=r"dvc\.yaml has no stage fly"):
        graph.upto(nodes, "fly")


def test_a_params_yaml_that_is_no_yaml_is_named(project: Path) -> None:
    Path("params.yaml").write_text("hands: [left")
    with pytest.raises(PricewrightError, match=r"params\.yaml"):
        graph.stages(project)


def test_a_folder_without_a_dvc_project_is_named(tmp_path: Path) -> None:
    with pytest.raises(PricewrightError, match=str(tmp_path)):
        graph.stages(tmp_path)


def test_the_graph_of_this_repository_is_read_whole() -> None:
    root = ROOT
    written = yaml.safe_load((root / "dvc.yaml").read_text())["stages"]
    nodes = graph.stages(root)
    assert {node.name.split("@")[0] for node in nodes} == set(written)
    assert all(node.timeout for node in nodes)
