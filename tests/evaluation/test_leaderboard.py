"""Choices on validation, figures on test: read off the code path itself."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.support.project import ROOT

CHOOSING = [
    ("judging", "_best"),
    ("measures", "rank"),
    ("evaluate", "answers"),
    ("quantize", "faults"),
    ("quantize", "chosen"),
]


def function(module: str, name: str) -> ast.FunctionDef:
    tree = ast.parse((ROOT / "components" / f"{module}.py").read_text(encoding="utf-8"))
    return next(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == name)


def texts(node: ast.AST) -> set[str]:
    """Texts in the code of a function, its docstring left out."""
    body = [part for part in getattr(node, "body", []) if not _is_docstring(part)]
    return {
        inner.value
        for part in body
        for inner in ast.walk(part)
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str)
    }


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


@pytest.mark.parametrize(("module", "name"), CHOOSING)
def test_what_chooses_never_names_the_test_split(module: str, name: str) -> None:
    assert "test" not in texts(function(module, name))


def test_every_choice_of_the_winner_and_the_best_baseline_goes_through_best() -> None:
    judge = function("judging", "judge")
    chosen = {
        target.id: node.value
        for node in ast.walk(judge)
        if isinstance(node, ast.Assign)
        for pair in node.targets
        if isinstance(pair, ast.Tuple)
        for target in pair.elts
        if isinstance(target, ast.Name)
    }
    assert set(chosen) == {"winner", "best_baseline"}
    assert isinstance(chosen["winner"], ast.Tuple)
    calls = [part.func.id for part in chosen["winner"].elts if isinstance(part, ast.Call)]
    assert calls == ["_best", "_best"]
    best = function("judging", "_best")
    assert "validation" in texts(best)


def test_no_model_is_fitted_on_a_split_that_is_scored() -> None:
    """Of the stages that train, none reads validation or test: `align` is watched on validation, and
    `preferences` reads both for their prompts alone, to leave out every pair that asks one of them.
    """
    may = {"sft": set(), "reward": set(), "preferences": {"SCORED"}, "align": {"validation.parquet"}}
    for stage, known in may.items():
        text = Path(ROOT / "components" / f"{stage}.py").read_text(encoding="utf-8")
        named = {word for word in ("validation.parquet", "test.parquet", "SCORED") if word in text}
        assert named == known, stage
    main = function("preferences", "main")
    uses = [
        ast.unparse(node)
        for node in ast.walk(main)
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "scored"
    ]
    assert uses == ["scored['text']"]


def test_intervals_and_formats_are_fitted_on_validation_alone() -> None:
    calls = {
        (module, name): [
            ast.unparse(call)
            for call in ast.walk(function(module, name))
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "calibrate"
        ]
        for module, name in (("evaluate", "answers"), ("quantize", "compare"))
    }
    assert all(len(found) == 1 for found in calls.values())
    for found in calls.values():
        assert found[0].count("[validation]") == 2
        assert "test" not in found[0]
