"""The plan of the house: what imports what, and one name for one thing."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import get_type_hints

import pytest
import yaml

from components.core.params.file import Params, load_params
from components.core.params.section import Section
from tests.support.project import ROOT
from tests.support.source import (
    DVC,
    STAGES,
    child,
    covers,
    foreign,
    is_empty,
    listed,
    modules,
    needed,
    own,
    tree,
)

WITHOUT_A_STAGE = {"promote", "retrain", "serve", "task", "watch"}  # read by flows, and by many stages
PROFILES = [ROOT / "params.yaml"]
FILE_LINES, FUNCTION_LINES, MAIN_LINES = 330, 45, 30
MAY_IMPORT: dict[str, set[str]] = {  # beyond `core`, which everybody may import
    "core": set(),
    "model": set(),
    "regression": {"evaluation", "model"},
    "classification": {"evaluation", "model", "regression"},
    "blending": {"classification", "model", "evaluation", "regression"},
    "synthetic": {"model"},
    "pretrained": {"model", "synthetic"},
    "curation": {"model"},
    "tasks": {"model"},
    "evaluation": {"model", "tasks"},
    "feedback": {"model", "tasks"},
    "sources": {"model", "synthetic"},
    "quality": {"curation"},
    "serving": {"model", "evaluation", "blending", "tasks"},
    "monitoring": {"curation", "evaluation", "model", "quality", "reporting", "serving", "sources", "tasks"},
    "alignment": {"model", "evaluation"},
    "reporting": {"model", "evaluation", "tasks"},
    "provenance": {"model", "sources", "synthetic", "serving", "reporting", "tasks"},
    "promotion": {"evaluation", "model", "monitoring", "provenance", "serving", "tasks"},
    "stage": {
        "alignment",
        "blending",
        "classification",
        "curation",
        "evaluation",
        "feedback",
        "model",
        "pretrained",
        "promotion",
        "quality",
        "regression",
        "reporting",
        "serving",
        "sources",
        "synthetic",
        "tasks",
    },
    "flows": {"feedback", "monitoring", "promotion", "provenance", "serving", "synthetic", "tasks"},
}
OWNERS = {  # who imports a library, by file or folder
    "mlflow": {"components/core", "components/promotion/trial", "components/serving/worker"},
    "fastapi": {"components/serving"},
    "uvicorn": {"components/serving"},
    "peft": {"components/model"},
    "bitsandbytes": {"components/model"},
    "great_expectations": {"components/quality", "components/validate"},
    "scrapy": {"components/sources/crawling"},
    "prefect": {"flows"},
}
HEAVY = {
    "bitsandbytes",
    "datasets",
    "great_expectations",
    "lightgbm",
    "peft",
    "scrapy",
    "sklearn",
    "torch",
    "transformers",
    "trl",
}
NEVER_LOADED = {
    "flows.pipeline": HEAVY | {"mlflow"},
    "flows.promote": HEAVY,
    "flows.lineage": HEAVY,
    "flows.serve": HEAVY,
    "flows.truth": HEAVY | {"mlflow"},
    "flows.watch": HEAVY,
    "components.core.stage": HEAVY,
    "components.core.params.file": HEAVY | {"mlflow", "pandas"},
    "components.core.schemas": HEAVY | {"mlflow", "pandas"},
}


# --- what imports what -------------------------------------------------------------------------------


def _package(module: str) -> str:
    """The room that a module is in: the folder under components/, `stage`, or `flows`."""
    top, _, rest = module.partition(".")
    if top == "flows":
        return "flows"
    return "stage" if rest in STAGES else rest.split(".")[0]


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_a_package_imports_only_what_it_may(package: str) -> None:
    may = MAY_IMPORT[package] | {"core", package}
    imported = {
        (module, other)
        for module in modules()
        if _package(module) == package
        for other in own(module)
        if _package(other) not in may and other not in ("components", "flows")
    }
    assert imported == set()


def test_every_package_has_its_rule() -> None:
    assert {_package(module) for module in modules()} - {""} == set(MAY_IMPORT)


def test_the_top_of_components_shows_the_stages_and_packages() -> None:
    top = {path.name for path in (ROOT / "components").iterdir() if path.name != "__pycache__"}
    files = {name for name in top if (ROOT / "components" / name).is_file()}
    assert files == {"__init__.py", *(f"{stage}.py" for stage in STAGES)}
    assert {
        name for name in top - files if not (ROOT / "components" / name / "__init__.py").is_file()
    } == set()


def test_no_stage_imports_another_and_no_two_modules_import_each_other() -> None:
    stages = {f"components.{stage}" for stage in STAGES}
    assert {module: own(module) & stages for module in stages if own(module) & stages} == {}
    below = {module: set().union(*(needed(other) for other in own(module))) for module in modules()}
    assert {module for module in below if module in below[module] and not is_empty(module)} == set()


@pytest.mark.parametrize(("library", "owners"), OWNERS.items())
def test_a_library_is_imported_by_its_owner_alone(library: str, owners: set[str]) -> None:
    importers = {module for module in modules() if library in foreign(module)}
    assert {
        module for module in importers if not any(covers(o, module.replace(".", "/")) for o in owners)
    } == set()
    assert importers


@pytest.mark.parametrize(("module", "never"), NEVER_LOADED.items())
def test_importing_a_module_loads_no_library_that_it_does_not_need(module: str, never: set[str]) -> None:
    code = f"import sys, {module}; print(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert set(loaded.stdout.split()) & never == set()


def test_every_module_can_be_the_first_one_that_is_imported() -> None:
    """One process, for the libraries' sake; the project's own modules are forgotten between two imports."""
    code = """
import importlib, sys, traceback
for name in sys.argv[1:]:
    for known in [m for m in sys.modules if m.split(".")[0] in ("components", "flows")]:
        del sys.modules[known]
    try:
        importlib.import_module(name)
    except BaseException:
        print(name, traceback.format_exc(), sep=": ")
"""
    done = subprocess.run(
        [sys.executable, "-c", code, *modules()], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_no_file_and_no_function_is_too_long_to_read_at_once() -> None:
    long = {name: lines for name in modules() if (lines := _lines(modules()[name])) > FILE_LINES}
    assert long == {}
    functions = {
        f"{name}.{node.name}": node.end_lineno - node.lineno + 1
        for name in modules()
        for node in ast.walk(tree(name))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno
    }
    assert {name: lines for name, lines in functions.items() if lines > FUNCTION_LINES} == {}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_has_the_function_of_its_name_and_a_short_main(stage: str) -> None:
    functions = {
        node.name: node for node in tree(f"components.{stage}").body if isinstance(node, ast.FunctionDef)
    }
    assert {stage, "main"} <= set(functions)
    main = functions["main"]
    assert len(main.body) <= 2 or stage == "align", "open the frame, load, call, save"
    assert (main.end_lineno or 0) - main.lineno <= MAIN_LINES


def test_the_tests_mirror_the_tree() -> None:
    folders = {path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py")}
    here = {Path(), Path("flows")} | {
        path.parent.relative_to(ROOT / "components") for path in (ROOT / "components").rglob("__init__.py")
    }
    assert folders <= here


def _lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


# --- one name for one thing --------------------------------------------------------------------------


def test_stages_sections_and_classes_are_the_same_list() -> None:
    sections = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    classes = get_type_hints(Params)
    assert set(STAGES) | WITHOUT_A_STAGE == set(sections) == set(classes)
    assert not set(STAGES) & WITHOUT_A_STAGE
    assert {name: kind.__name__.lower() for name, kind in classes.items()} == {name: name for name in classes}


def test_a_type_is_defined_once() -> None:
    owners = defaultdict(list)
    for module in modules():
        for node in tree(module).body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript):
                owners[ast.unparse(node)].append(module)
    again = {text: names for text, names in owners.items() if re.match("[A-Z][a-z]", text) and len(names) > 1}
    assert again == {}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_has_one_name_everywhere(stage: str) -> None:
    block, axis = DVC[stage], child(stage)
    assert (ROOT / "components" / f"{stage}.py").is_file()
    assert (ROOT / "tests" / f"test_{stage}.py").is_file()
    assert block["cmd"] == f"python -m components.{stage}" + axis.replace("/", " ")
    assert stage in block["params"]
    assert f"reports/{stage}{axis}.json" in listed(stage, "metrics")
    outs = listed(stage, "outs")
    if stage != "register":  # its output is a version in the registry
        assert f"artifacts/{stage}{axis}" in outs
    assert [path for path in outs if path.split("/")[1].removesuffix(".json") != stage] == []


def test_every_module_that_opens_the_frame_of_a_stage_is_a_stage() -> None:
    opens = re.compile(r"with stage\.run\(\s*(\w+)")
    opened = {
        file.stem: opens.findall(file.read_text(encoding="utf-8"))
        for file in (ROOT / "components").glob("*.py")
        if file.stem != "stage"
    }
    assert {name: stages for name, stages in opened.items() if stages} == {
        name: [name.capitalize()] for name in STAGES
    }


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_every_profile_is_read_whole(path: Path) -> None:
    assert isinstance(load_params(path), Params)


def test_no_section_holds_a_default() -> None:
    left = set(get_type_hints(Params).values())
    observed: set[type] = set()
    while left:
        section = left.pop()
        observed.add(section)
        assert [name for name, field in section.model_fields.items() if not field.is_required()] == []
        inner = {field.annotation for field in section.model_fields.values()}
        left |= {kind for kind in inner if isinstance(kind, type) and issubclass(kind, Section)} - observed
    assert len(observed) > len(STAGES)


OF_LISTINGS = (  # what reads raw listings, which have a price, or checks and shows how it was read
    "components/core/currencies.py",
    "components/core/schemas.py",
    "components/core/params/base.py",
    "components/core/params/curate.py",
    "components/core/params/evaluate.py",
    "components/core/params/scrape.py",
    "components/core/params/validate.py",
    "components/curate.py",
    "components/curation/",
    "components/evaluation/elsewhere.py",
    "components/pretrained/",
    "components/quality/",
    "components/reporting/data_page.py",
    "components/scrape.py",
    "components/sources/",
    "components/synthetic/",
    "components/tasks/",
    "components/validate.py",
    "flows/forget.py",
    "flows/lineage.py",
)


def test_what_learns_judges_and_serves_knows_neither_price_nor_dollar() -> None:
    """What is predicted is a value of `task`: its unit stands in params.yaml and nowhere else."""
    files = [*ROOT.glob("components/**/*"), *ROOT.glob("flows/*")]
    known = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files
        if path.suffix in {".py", ".js", ".html", ".css"}
        if not path.relative_to(ROOT).as_posix().startswith(OF_LISTINGS)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(r"pric(?!ewright)|dollar", line, re.IGNORECASE)
    ]
    assert known == []
