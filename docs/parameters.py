"""A hook of the site: what a stage reads and writes, and its parameters, made from the code at every build.

A page holds `<!-- parameters: sft -->` where the tables of that section belong. They come from dvc.yaml, the
typed classes and params.yaml; nothing is kept, so that nothing is ever out of date.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import yaml

from components.core.markdown import Markup, table

ROOT = Path(__file__).parents[1]
SECTIONS = ROOT / "components" / "core" / "params"
MARK = re.compile(r"<!-- parameters: (\w+) -->")
MATRIX = re.compile(r"\$\{item[^}]*\}")
WORDS = {
    "Count": "whole number, 1 or more",
    "Seed": "whole number, 0 or more",
    "Share": "between 0 and 1",
    "Rate": "between 0 and 1",
    "Currency": "ISO 4217 code",
    "bool": "true or false",
    "str": "text",
    "float": "number",
    "int": "whole number",
}
LIMITS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most", "min_length": "at least"}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """MkDocs' hook: put the tables in."""
    return MARK.sub(lambda match: tables(match[1]), markdown)


def tables(section: str) -> str:
    """What a stage reads and writes, and a table for its section of params.yaml and each section inside."""
    tree = ast.parse((SECTIONS / f"{section}.py").read_text(encoding="utf-8"))
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    aliases = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))[section]
    lines = [*_files(section), *_table(section, classes[section.capitalize()], values, classes, aliases)]
    return "\n".join(lines)


def _files(section: str) -> list[str]:
    """A list of what a stage reads and writes, by dvc.yaml; nothing for a section that is no stage."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    if section not in stages:
        return []
    stage = stages[section].get("do", stages[section])
    reads = [name for name in stage.get("deps", []) if not name.startswith("components/")]
    others = [name for name in stage.get("params", []) if name.split(".")[0] != section]
    writes = [
        next(iter(entry)) if isinstance(entry, dict) else entry
        for kind in ("outs", "metrics", "plots")
        for entry in stage.get(kind, [])
    ]
    sentences = (("Reads", reads), ("Writes", writes), ("Depends on the parameters of", others))
    lines = [f"- {verb} {', '.join(f'`{name}`' for name in names)}." for verb, names in sentences if names]
    return [MATRIX.sub("<method>", line) for line in lines] + [""]


def _table(
    path: str,
    section: ast.ClassDef,
    values: dict[str, Any],
    classes: dict[str, ast.ClassDef],
    aliases: dict[str, ast.expr],
) -> list[str]:
    lines = [] if "." not in path else [f"### {path}", ""]
    lines += [" ".join((ast.get_docstring(section) or "").split()), ""]
    rows: list[list[Markup]] = []
    inner: list[str] = []
    for name, annotation, meaning in _fields(section, classes):
        if isinstance(annotation, ast.Name) and annotation.id in classes:
            inner += ["", *_table(f"{path}.{name}", classes[annotation.id], values[name], classes, aliases)]
            continue
        value = yaml.safe_dump(values[name], default_flow_style=True, width=10_000, allow_unicode=True)
        shown = value.removesuffix("\n").removesuffix("\n...")
        shown = shown if len(shown) < 60 else shown[:57] + "…"
        cells = (f"`{name}`", f"`{shown}`", _range(annotation, aliases), " ".join(meaning.split()))
        rows.append([Markup(cell) for cell in cells])
    return [*lines, table(("key", "value", "what it may be", "meaning"), rows), *inner]


def _fields(section: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> list[tuple[str, ast.expr, str]]:
    """(name, annotation, docstring) of each field, those of a base class first."""
    fields = [
        field
        for base in section.bases
        if isinstance(base, ast.Name) and base.id in classes
        for field in _fields(classes[base.id], classes)
    ]
    for place, node in enumerate(section.body):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            after = section.body[place + 1] if place + 1 < len(section.body) else None
            fields.append((node.target.id, node.annotation, _text(after)))
    return fields


def _text(node: ast.stmt | None) -> str:
    """The docstring that a statement is, or nothing."""
    match node:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return text
    return ""


def _range(annotation: ast.expr, aliases: dict[str, ast.expr]) -> str:
    """A type and its range, for a person."""
    match annotation:
        case ast.Name(id=name) if name in aliases:
            return _range(aliases[name], aliases)
        case ast.Name(id=name):
            return WORDS.get(name, name)
        case ast.BinOp(left=left):
            return f"{_range(left, aliases)}, or null"
        case ast.Subscript(value=ast.Name(id="Literal"), slice=choices):
            options = choices.elts if isinstance(choices, ast.Tuple) else [choices]
            return ", ".join(f"`{ast.literal_eval(option)}`" for option in options)
        case ast.Subscript(value=ast.Name(id="list"), slice=inner):
            return f"list of: {_range(inner, aliases)}"
        case ast.Subscript(value=ast.Name(id="dict")):
            return "mapping"
        case ast.Subscript(
            value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[inner, ast.Call() as field])
        ):
            limits = {keyword.arg: ast.literal_eval(keyword.value) for keyword in field.keywords}
            words = [f"{LIMITS[name]} {value:g}" for name, value in limits.items() if name in LIMITS]
            if "min_length" in limits:
                words = ["not empty"]
            if "multiple_of" in limits:
                words.append(f"a multiple of {limits['multiple_of']}")
            return ", ".join([_range(inner, aliases), *words])
    return ast.unparse(annotation)
