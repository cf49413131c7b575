"""The project's own source and graph: who imports what, which texts a module holds, what a stage lists."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.support.project import ROOT

DVC: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
STAGES = list(DVC)
FRAME = {  # around every stage: when, where and how it is told of, never what comes out
    "components.core.dvc",
    "components.core.errors",
    "components.core.params.section",
    "components.core.stage",
    "components.core.tracking",
}
"""What is around every stage: when, where and how it is told of, never what comes out."""


@cache
def modules() -> dict[str, Path]:
    """Dotted name of every module of the project, and its file."""
    files = [file for folder in ("components", "flows") for file in (ROOT / folder).rglob("*.py")]
    return {
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
        for file in sorted(files)
    }


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(modules()[module].read_text(encoding="utf-8"))


@cache
def imports(module: str) -> frozenset[str]:
    """Dotted names that a module imports, at any depth of its code."""
    return frozenset(imports_of(tree(module)))


def imports_of(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, "relative imports hide what a module needs"
            assert node.level == 0, node.module
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own(module: str) -> set[str]:
    """Project modules that a module needs: imported, or named in full to be run as a process."""
    named = {text for text in strings(module) if text in modules()}
    return {name for name in imports(module) | named if name in modules()} - {module}


def foreign(module: str) -> set[str]:
    """Top-level names of the libraries that a module imports."""
    return {name.split(".")[0] for name in imports(module)} - {"components", "flows", "__future__"}


@cache
def needed(module: str) -> frozenset[str]:
    """The module and every project module below it; of FRAME nothing."""
    visited: set[str] = set()
    left = {module}
    while left:
        name = left.pop()
        visited.add(name)
        left |= own(name) - visited - FRAME
    return frozenset(visited)


@cache
def strings(module: str) -> frozenset[str]:
    """Texts in a module's code, docstrings left out; of an f-string what stands before the first brace."""
    parsed = tree(module)
    skipped: set[int] = set()
    result = set()
    for node in ast.walk(parsed):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(id(node.value))
        elif isinstance(node, ast.JoinedStr):
            skipped |= {id(part) for part in node.values}
            if node.values and isinstance(node.values[0], ast.Constant):
                result.add(str(node.values[0].value))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            result.add(node.value)
    return frozenset(result)


def sections(module: str) -> set[str]:
    """Sections of params.yaml that a stage reads: what it passes to `stage.run` and `load_section`."""
    read = {
        node.args[0].id.lower()
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Name)
        if ast.unparse(node.func) in ("stage.run", "load_section") and node.args[0].id[0].isupper()
    }
    calls = {ast.unparse(node.func) for node in ast.walk(tree(module)) if isinstance(node, ast.Call)}
    read |= {"task"} if "load_task" in calls else set()
    described = [node for node in tree(module).body if isinstance(node, ast.Assign)]
    for node in described:
        if isinstance(node.value, ast.Tuple) and ast.unparse(node.targets[0]) == "DESCRIBED":
            read |= {ast.unparse(name).lower() for name in node.value.elts}
    return read


def is_empty(module: str) -> bool:
    return all(isinstance(node, ast.Expr) for node in tree(module).body)


def listed(stage: str, key: str) -> list[str]:
    """Paths under `deps`, `outs` or `metrics` of a stage, without their options."""
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in DVC[stage].get(key, [])]


def child(stage: str) -> str:
    """`/${item.method}` for a stage that is a matrix: each child has its own folder and report."""
    return "".join(f"/${{item.{axis}}}" for axis in DVC[stage].get("matrix", {}))


def covers(listed: str, path: str) -> bool:
    return path == listed or path.startswith(listed + "/")
