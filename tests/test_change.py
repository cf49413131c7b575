"""A change reaches only what it changes: what DVC would run again after an edit, asked of DVC itself.

DVC runs the stages whose own inputs changed, and below them those whose inputs then differ. The project's
code, parameters and graph lie in a DVC repository of their own here; the outputs are stand-ins, so nothing is
trained.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

from tests.support.project import ROOT
from tests.support.source import STAGES, listed

TRAINS = {"base", "baseline", "sft", "blend", "preferences", "reward", "align"}
BELOW_ALIGN = {"align", "evaluate", "quantize", "register"}
BELOW_SFT = {"sft", "blend", "preferences", "reward"} | BELOW_ALIGN
EVERY_MODEL = {"base", "baseline"} | BELOW_SFT


def code(path: str) -> Callable[[Path], None]:
    """A comment more in a file."""

    def edit(root: Path) -> None:
        with (root / path).open("a", encoding="utf-8") as file:
            file.write("# a word more\n")

    return edit


def value(key: str, changed: object) -> Callable[[Path], None]:
    """Another value in params.yaml."""

    def edit(root: Path) -> None:
        params = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))
        section = params
        *above, last = key.split(".")
        for name in above:
            section = section[name]
        assert section[last] != changed
        section[last] = changed
        (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")

    return edit


# what is changed, the stages whose own inputs it changes, and all that may run again with those below
CHANGES = {
    "a served format": (
        code("components/model/formats.py"),
        {"quantize", "register"},
        {"quantize", "register"},
    ),
    "a word on the evaluation page": (
        code("components/reporting/evaluation_page.py"),
        {"evaluate"},
        {"evaluate", "quantize", "register"},
    ),
    "a comment in params/align.py": (code("components/core/params/align.py"), {"align"}, BELOW_ALIGN),
    "a comment in params/prompt.py": (code("components/core/params/prompt.py"), set(), set()),
    "sft.learning_rate": (value("sft.learning_rate", 5.0e-4), {"sft", "register"}, BELOW_SFT),
    "a method that is not chosen": (code("components/alignment/ppo.py"), set(), set()),
    "the method that is chosen": (code("components/alignment/dpo.py"), {"align"}, BELOW_ALIGN),
    "the frame, the tracking, the loader of params.yaml": (
        lambda root: [
            code(f"components/core/{name}.py")(root) for name in ("stage", "tracking", "params/section")
        ],
        set(),
        set(),
    ),
    "the promotion gate": (code("components/promotion/gate.py"), set(), set()),
    "promote.minimum_effect": (value("promote.minimum_effect", 0.5), set(), set()),
    "the model card": (code("components/reporting/model_card.py"), {"register"}, {"register"}),
    "the served settings": (
        code("components/serving/pyfunc.py"),
        {"quantize", "register"},
        {"quantize", "register"},
    ),
    "the crawler": (code("components/sources/crawling/crawl.py"), {"scrape"}, set(STAGES) - {"base"}),
    "the question": (
        value("task.question", "What does it cost?"),
        set(STAGES) - {"scrape", "curate", "base"},
        set(STAGES) - {"scrape", "curate", "base"},
    ),
    "an intake of the gate": (
        code("intakes.csv"),
        {"curate", "validate"},
        set(STAGES) - {"scrape", "base"},
    ),
    "reward.epochs": (value("reward.epochs", 1.0), {"reward"}, {"reward"} | BELOW_ALIGN),
    "evaluate.interval": (
        value("evaluate.interval", 0.9),
        {"evaluate", "quantize", "register"},
        {"evaluate", "quantize", "register"},
    ),
}
PAGE_STYLE = code("components/reporting/html.py")


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project in a DVC repository whose dvc.lock fits everything in it."""
    root = tmp_path_factory.mktemp("project")
    for name in ("components", "feedback", "reference", "data"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", "params.yaml", "intakes.csv", ".dvcignore"):
        shutil.copy(ROOT / name, root)
    methods = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))["align"]["methods"]
    outputs = [path for stage in STAGES for key in ("outs", "metrics") for path in listed(stage, key)]
    inside = [path for stage in STAGES for path in listed(stage, "deps") if path.startswith("artifacts/")]
    for path in [*outputs, *inside]:
        for method in methods:
            file = root / path.replace("${item.method}", method)
            file = file if file.suffix else file / "output"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(path, encoding="utf-8")
    for command in ("init --no-scm --quiet", "commit --force --quiet"):
        dvc = [str(Path(sys.executable).parent / "dvc"), *command.split()]
        subprocess.run(dvc, cwd=root, check=True, capture_output=True)
    return root


@pytest.fixture
def project(committed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same, as it was before each test; names of stages are relative to it."""
    monkeypatch.chdir(committed)
    kept = {path: path.read_bytes() for path in committed.rglob("*.py")}
    kept |= {path: path.read_bytes() for path in (committed / "params.yaml", committed / "intakes.csv")}
    yield committed
    for path, content in kept.items():
        path.write_bytes(content)


def changed(root: Path) -> tuple[set[str], set[str]]:
    """(stages whose own inputs changed, those and all below them)."""
    with Repo(str(root)) as repo:
        direct = {name.split("@")[0] for name in repo.status()}
        graph = repo.index.graph
        names = {stage: stage.addressing.split("@")[0] for stage in graph}
        reached = set(direct)
        while (
            more := {
                names[stage]
                for stage in graph
                if any(names[above] in reached for above in graph.successors(stage))
            }
            - reached
        ):
            reached |= more
    return direct, reached


def test_nothing_is_to_be_done_where_nothing_changed(project: Path) -> None:
    assert changed(project) == (set(), set())


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_reaches_only_what_it_changes(name: str, project: Path) -> None:
    edit, direct, reached = CHANGES[name]
    edit(project)
    assert changed(project) == (direct, reached)


def test_the_style_of_the_pages_trains_nothing_itself(project: Path) -> None:
    """Below `validate` nothing runs again either: it writes the same artifacts/validate as before."""
    PAGE_STYLE(project)
    assert changed(project)[0] == {"validate", "evaluate"}
    assert not changed(project)[0] & TRAINS
