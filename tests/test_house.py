"""The plan of the house: what imports what, one name for one thing, and lists that cover what they list."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import yaml

from components.params import Params, Section, load

ROOT = Path(__file__).parents[1]
DVC: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
STAGES = list(DVC)
WITHOUT_A_STAGE = {"promote"}  # what it reads stands in the registry, which no graph of files knows
PROFILES = [ROOT / "params.yaml", *sorted((ROOT / "infra" / "profiles").glob("*.yaml"))]
HEAVY = {
    "bitsandbytes",
    "datasets",
    "great_expectations",
    "peft",
    "scrapy",
    "sklearn",
    "torch",
    "transformers",
    "trl",
}


# --- reading the source ------------------------------------------------------------------------------


@cache
def _modules() -> dict[str, Path]:
    """Dotted name of every module of the project, and its file."""
    files = [file for folder in ("components", "flows") for file in (ROOT / folder).rglob("*.py")]
    return {
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
        for file in sorted(files)
    }


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(_modules()[module].read_text(encoding="utf-8"))


@cache
def _imports(module: str) -> frozenset[str]:
    """Dotted names that a module imports, at any depth of its code."""
    return frozenset(_imports_of(_tree(module)))


def _imports_of(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, "relative imports hide what a module needs"
            assert node.level == 0, node.module
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _own(module: str) -> set[str]:
    """Project modules that a module needs: imported, or named in full to be run as a process."""
    named = {text for text in _strings(module) if text in _modules()}
    return {name for name in _imports(module) | named if name in _modules()} - {module}


def _foreign(module: str) -> set[str]:
    """Top-level names of the libraries that a module imports."""
    return {name.split(".")[0] for name in _imports(module)} - {"components", "flows", "__future__"}


def _needed(module: str) -> set[str]:
    """The module and every project module below it."""
    seen: set[str] = set()
    left = {module}
    while left:
        name = left.pop()
        seen.add(name)
        left |= _own(name) - seen
    return seen


@cache
def _strings(module: str) -> frozenset[str]:
    """Texts in a module's code, docstrings left out; of an f-string what stands before the first brace."""
    tree = _tree(module)
    skipped: set[int] = set()
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(id(node.value))
        elif isinstance(node, ast.JoinedStr):
            skipped |= {id(part) for part in node.values}
            if node.values and isinstance(node.values[0], ast.Constant):
                found.add(str(node.values[0].value))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            found.add(node.value)
    return frozenset(found)


def _sections(module: str) -> set[str]:
    """Sections of params.yaml that a module reads: `params.<section>`, whatever holds the params."""
    return {
        node.attr
        for node in ast.walk(_tree(module))
        if isinstance(node, ast.Attribute) and node.attr in STAGES and _is_params(node.value)
    }


def _is_params(node: ast.expr) -> bool:
    return (isinstance(node, ast.Name) and node.id == "params") or (
        isinstance(node, ast.Attribute) and node.attr == "params"
    )


def _is_empty(module: str) -> bool:
    return all(isinstance(node, ast.Expr) for node in _tree(module).body)


def _listed(stage: str, key: str) -> list[str]:
    """Paths under `deps`, `outs` or `metrics` of a stage, without their options."""
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in DVC[stage].get(key, [])]


def _child(stage: str) -> str:
    """`/${item.method}` for a stage that is a matrix: each child has its own folder and report."""
    return "".join(f"/${{item.{axis}}}" for axis in DVC[stage].get("matrix", {}))


def _covers(listed: str, path: str) -> bool:
    return path == listed or path.startswith(listed + "/")


# --- what imports what -------------------------------------------------------------------------------


def test_params_and_records_import_only_pydantic_yaml_and_the_standard_library() -> None:
    for module in ("components.params", "components.records"):
        assert _foreign(module) <= {"pydantic", "yaml"} | sys.stdlib_module_names, module
    assert _own("components.records") == set()
    assert _own("components.params") <= {"components", "components.records"}


def test_no_module_imports_a_stage() -> None:
    stages = {f"components.{stage}" for stage in STAGES}
    assert {module: _own(module) & stages for module in _modules() if _own(module) & stages} == {}


@pytest.mark.parametrize(
    ("library", "owner"),
    [
        ("mlflow", {"components.tracking", "components.registry"}),
        ("peft", {"components.modeling"}),
        ("bitsandbytes", {"components.modeling"}),
    ],
)
def test_a_library_is_imported_by_its_owner_alone(library: str, owner: set[str]) -> None:
    assert {module for module in _modules() if library in _foreign(module)} <= owner


def test_flows_import_no_heavy_library() -> None:
    flows = [module for module in _modules() if module.split(".")[0] == "flows"]
    assert flows
    assert {module: _foreign(module) & HEAVY for module in flows if _foreign(module) & HEAVY} == {}


def test_components_know_nothing_of_flows() -> None:
    components = [module for module in _modules() if module.startswith("components")]
    assert [name for name in components if any(other.startswith("flows") for other in _own(name))] == []


def test_importing_the_flow_loads_no_training_library() -> None:
    code = "import sys, flows.pipeline; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert set(loaded.stdout.split()) & (HEAVY | {"mlflow"}) == set()


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
        [sys.executable, "-c", code, *_modules()], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


# --- one name for one thing --------------------------------------------------------------------------


def test_stages_sections_and_classes_are_the_same_list() -> None:
    sections = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    classes = get_type_hints(Params)
    assert set(STAGES) | WITHOUT_A_STAGE == set(sections) == set(classes)
    assert not set(STAGES) & WITHOUT_A_STAGE
    assert {name: kind.__name__.lower() for name, kind in classes.items()} == {name: name for name in classes}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_has_one_name_everywhere(stage: str) -> None:
    block, child = DVC[stage], _child(stage)
    assert (ROOT / "components" / f"{stage}.py").is_file()
    assert (ROOT / "tests" / f"test_{stage}.py").is_file()
    assert block["cmd"] == f"python -m components.{stage}" + child.replace("/", " ")
    assert stage in block["params"]
    assert f"reports/{stage}{child}.json" in _listed(stage, "metrics")
    outs = _listed(stage, "outs")
    if stage != "register":  # its output is a version in the registry
        assert f"artifacts/{stage}{child}" in outs
    assert [path for path in outs if path.split("/")[1].removesuffix(".json") != stage] == []


def test_every_module_that_opens_the_frame_of_a_stage_is_a_stage() -> None:
    opens = re.compile(r"with stage\.run\(\s*\"(\w+)\"")
    opened = {
        file.stem: opens.findall(file.read_text(encoding="utf-8"))
        for file in (ROOT / "components").glob("*.py")
        if file.stem != "stage"
    }
    assert {name: stages for name, stages in opened.items() if stages} == {name: [name] for name in STAGES}


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_every_profile_is_read_whole(path: Path) -> None:
    assert isinstance(load(path), Params)


def test_no_section_holds_a_default() -> None:
    left = set(get_type_hints(Params).values())
    seen: set[type] = set()
    while left:
        section = left.pop()
        seen.add(section)
        assert [name for name, field in section.model_fields.items() if not field.is_required()] == []
        inner = {field.annotation for field in section.model_fields.values()}
        left |= {kind for kind in inner if isinstance(kind, type) and issubclass(kind, Section)} - seen
    assert len(seen) > len(STAGES)


# --- lists that cover what they list -----------------------------------------------------------------


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_every_module_that_it_needs_and_on_no_other(stage: str) -> None:
    needed = {
        _modules()[module].relative_to(ROOT).as_posix()
        for module in _needed(f"components.{stage}")
        if module != "components" and not _is_empty(module)
    }
    listed = {path for path in _listed(stage, "deps") if path.startswith(("components/", "flows/"))}
    uncovered = {path for path in needed if not any(_covers(name, path) for name in listed)}
    idle = {name for name in listed if not any(_covers(name, path) for path in needed)}
    assert (uncovered, idle) == (set(), set()), "not listed in dvc.yaml, and listed for nothing"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_every_artifact_and_report_that_it_reads(stage: str) -> None:
    own = (f"artifacts/{stage}", f"reports/{stage}")
    read = {
        text.rstrip("/")
        for module in _needed(f"components.{stage}")
        for text in _strings(module)
        if re.fullmatch(r"(artifacts|reports)/[\w./-]+", text) and not text.startswith(own)
    }
    listed = _listed(stage, "deps")
    assert {path for path in read if not any(_covers(name, path) for name in listed)} == set()


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_every_section_of_the_params_that_it_reads(stage: str) -> None:
    read = set().union(*(_sections(module) for module in _needed(f"components.{stage}")))
    assert read <= set(DVC[stage]["params"])


@pytest.mark.parametrize("stage", STAGES)
def test_what_a_stage_depends_on_is_a_file_or_the_output_of_an_earlier_stage(stage: str) -> None:
    earlier = STAGES[: STAGES.index(stage)]
    made = [
        path.split("/${")[0] for name in earlier for key in ("outs", "metrics") for path in _listed(name, key)
    ]
    unknown = [
        path
        for path in _listed(stage, "deps")
        if not any(_covers(name, path) or _covers(path, name) for name in made)
        and (path.startswith(("artifacts/", "reports/")) or not (ROOT / path).exists())
    ]
    assert unknown == []


# --- the repository ----------------------------------------------------------------------------------


@cache
def _tracked() -> frozenset[str]:
    """Files that git has, or would take."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git repository")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return frozenset(path for path in done.stdout.splitlines() if (ROOT / path).is_file())


def _readme_tree(text: str) -> set[str]:
    """Paths in the README's fenced block that lists `dvc.yaml`: indented under their folder, or in full."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    [block] = [block for block in blocks if re.search(r"^dvc\.yaml\b.*\s{2,}\S", block, flags=re.MULTILINE)]
    paths: set[str] = set()
    folders: list[tuple[int, str]] = []
    for line in block.splitlines():
        entry = re.match(r"(?P<indent> *)(?P<names>\S+(?:, \S+)*)\s{2,}\S", line)
        if entry is None:
            continue
        indent = len(entry["indent"])
        while folders and folders[-1][0] >= indent:
            folders.pop()
        above = folders[-1][1] if folders else ""
        for name in entry["names"].split(", "):
            paths.add(above + name)
            if name.endswith("/"):
                folders.append((indent, above + name))
    return paths


def test_the_tree_of_a_readme_is_read_with_its_folders() -> None:
    text = """
```sh
make run
```
```
dvc.yaml, a.toml  graph

code/   all
  x.py  one
  in/   deep
    y.py  two
z/w.py  three
```
"""
    assert _readme_tree(text) == {
        "dvc.yaml",
        "a.toml",
        "code/",
        "code/x.py",
        "code/in/",
        "code/in/y.py",
        "z/w.py",
    }


def test_the_tree_of_the_readme_names_every_file_and_nothing_else() -> None:
    named = _readme_tree((ROOT / "README.md").read_text(encoding="utf-8"))
    wanted = {
        path
        for path in _tracked()
        if ("/" not in path and not path.startswith("."))
        or (path.startswith(("components/", "flows/", "infra/")) and not path.endswith("__init__.py"))
    }
    missing = wanted - named
    gone = {path for path in named if not (ROOT / path).exists()}
    assert (missing, gone) == (set(), set()), "not in the README's tree, and in it but not there"


def test_no_tracked_file_names_a_package_registry() -> None:
    hosts = [
        ".".join(parts)
        for parts in (("pypi", "org"), ("pythonhosted", "org"), ("download", "pytorch", "org"))
    ]
    hosts += [".".join(parts) for parts in (("registry", "npmjs"), ("deb", "debian"))]
    texts = {
        path: (ROOT / path).read_text(encoding="utf-8", errors="ignore")
        for path in _tracked()
        if (ROOT / path).stat().st_size < 1_000_000
    }
    assert {path: host for path, text in texts.items() for host in hosts if host in text} == {}


@pytest.mark.parametrize("name", ["constraints.txt", "pyproject.toml"])
def test_the_list_of_libraries_names_no_address_and_no_index(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert re.findall(r"\w+://|--(?:extra-)?index-url|--find-links| @ ", text) == []


def test_every_library_of_the_project_has_an_exact_version() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert [line for line in pins if not re.fullmatch(r"[\w.-]+==[\w.!]+", line)] == []
    pinned = {_canonical(line.split("==")[0]) for line in pins}
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    asked = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    names = {_canonical(re.split(r"[^\w.-]", requirement)[0]) for requirement in asked}
    assert names - pinned == set()


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
