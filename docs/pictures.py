"""A hook of the site: the graph of the stages and the packages of components/, drawn from the project itself.

Both are graphs without a circle, drawn in rows: each box stands below all that lead to it, and an arrow
that a longer way implies is left out.
"""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from html import escape
from pathlib import Path
from typing import Any

import yaml
from mkdocs.structure.files import File, Files

Graph = dict[str, set[str]]
"""Each box and those that its arrows lead to, which are drawn below it."""
ROOT = Path(__file__).parents[1]
WIDTH, HEIGHT, GAP, LAYER = 132, 38, 28, 84
STYLE = (
    "line{stroke:#4a88b5;stroke-width:1.4}rect{fill:#eef5fa;stroke:#1b6ca8}"
    "text{font:15px system-ui,sans-serif;text-anchor:middle;fill:#222}.small{font-size:12.5px;fill:#555}"
)
TIP = (
    '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0 8 4 0 8z" fill="#4a88b5"/></marker>'
)


def on_files(files: Files, config: Any, **_: Any) -> Files:
    """MkDocs' hook: add the pictures to the site."""
    rooms = packages()
    stages = stage_graph()
    above = ("the stages", "a stage may import any package, and no other stage")
    below = ("core", "everybody may import it")
    files.append(File.generated(config, "graph.svg", content=picture("The stages", stages)))
    files.append(
        File.generated(
            config, "rooms.svg", content=picture("The packages of components", rooms, above, below)
        )
    )
    return files


def stage_graph() -> Graph:
    """Which stages read what a stage writes, by dvc.yaml."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    graph: Graph = {name: set() for name in stages}
    for name, block in stages.items():
        for path in map(Path, block.get("do", block).get("deps", [])):
            if path.parts[0] == "artifacts" and path.parts[1] != name:
                graph[path.parts[1]].add(name)
    return graph


def packages() -> Graph:
    """Which packages of components/ a package imports, `core` apart."""
    graph: Graph = {}
    for init in sorted((ROOT / "components").glob("*/__init__.py")):
        trees = [ast.parse(path.read_text(encoding="utf-8")) for path in init.parent.rglob("*.py")]
        imported = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        modules = {f"{node.module}.{alias.name}" for node in imported for alias in node.names}
        graph[init.parent.name] = {name.split(".")[1] for name in modules if name.startswith("components.")}
    graph.pop("core")
    return {name: (imported & set(graph)) - {name} for name, imported in graph.items()}


def layers(graph: Graph) -> list[list[str]]:
    """The boxes in rows from the top, each below all that lead to it and near them.

    A box with more arrows out than in stands as low as it can, so that arrows are short.
    """
    above = {name: {upper for upper, below in graph.items() if name in below} for name in graph}
    depth: dict[str, int] = {}
    ordered = list(TopologicalSorter(above).static_order())
    for name in ordered:
        depth[name] = max((depth[upper] + 1 for upper in above[name]), default=0)
    last = max(depth.values())
    for name in reversed(ordered):
        if len(graph[name]) >= len(above[name]):
            depth[name] = min((depth[lower] - 1 for lower in graph[name]), default=last)
    rows: list[list[str]] = [[] for _ in range(last + 1)]
    for name in graph:
        rows[depth[name]].append(name)
    column: dict[str, float] = {}
    for row in rows:
        wanted = {
            name: sum(column[upper] for upper in above[name]) / max(len(above[name]), 1) for name in row
        }
        row.sort(key=lambda name: (wanted[name], name))
        column |= {name: place - (len(row) - 1) / 2 for place, name in enumerate(row)}
    return rows


def without_shortcuts(graph: Graph) -> Graph:
    """The graph without the arrows that a longer way implies."""

    def reach(name: str) -> set[str]:
        return graph[name].union(*(reach(lower) for lower in graph[name]))

    return {name: below - set().union(*(reach(lower) for lower in below)) for name, below in graph.items()}


def with_bends(graph: Graph) -> Graph:
    """The graph with a bend (a name that ends in `~`) in every row that an arrow passes."""
    rows = layers(graph)
    depth = {name: number for number, row in enumerate(rows) for name in row}
    bent: Graph = {name: set() for name in graph}
    for start, ends in graph.items():
        for end in sorted(ends):
            here = start
            for number in range(depth[start] + 1, depth[end]):
                bend = f"{start}-{end}-{number}~"
                bent[here].add(bend)
                bent[bend] = set()
                here = bend
            bent[here].add(end)
    return bent


def picture(
    title: str, graph: Graph, above: tuple[str, str] | None = None, below: tuple[str, str] | None = None
) -> str:
    """An SVG of a graph, between two bars with a name and a line of text each where they are given."""
    graph = with_bends(without_shortcuts(graph))
    rows = layers(graph)
    width = max(map(len, rows)) * (WIDTH + GAP) + GAP
    top = GAP + (LAYER if above else 0)
    places = {
        name: ((width - len(row) * (WIDTH + GAP) + GAP) / 2 + column * (WIDTH + GAP), top + number * LAYER)
        for number, row in enumerate(rows)
        for column, name in enumerate(row)
    }
    parts = [_line(places[start], places[end], end) for start, ends in graph.items() for end in sorted(ends)]
    parts += [_box(x, y, WIDTH, name) for name, (x, y) in places.items()]
    foot = top + len(rows) * LAYER
    if above:
        parts.append(_box(GAP, GAP, width - 2 * GAP, *above))
    if below:
        parts.append(_box(GAP, foot, width - 2 * GAP, *below))
    height = foot + (HEIGHT + GAP if below else GAP + HEIGHT - LAYER)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img">'
        f"<title>{escape(title)}</title><style>{STYLE}</style><defs>{TIP}</defs>"
        f'<rect width="{width}" height="{height}" style="fill:#fff;stroke:none"/>{"".join(parts)}</svg>\n'
    )


def _line(start: tuple[float, float], end: tuple[float, float], name: str) -> str:
    """From the foot of a box to the head of the next, with a tip unless that is a bend."""
    tip = "" if name.endswith("~") else ' marker-end="url(#tip)"'
    (x1, y1), (x2, y2) = start, end
    ends = f'x1="{x1 + WIDTH / 2:.0f}" y1="{y1 + HEIGHT}" x2="{x2 + WIDTH / 2:.0f}" y2="{y2 - bool(tip)}"'
    return f"<line {ends}{tip}/>"


def _box(x: float, y: float, width: float, name: str, note: str = "") -> str:
    if name.endswith("~"):
        return f'<line x1="{x + width / 2:.0f}" y1="{y}" x2="{x + width / 2:.0f}" y2="{y + HEIGHT}"/>'
    middle = f'x="{x + width / 2:.0f}" y="{y + HEIGHT / 2 + 5:.0f}"'
    words = f'{escape(name)}<tspan class="small" dx="12">{escape(note)}</tspan>' if note else escape(name)
    box = f'<rect x="{x:.0f}" y="{y:.0f}" width="{width}" height="{HEIGHT}" rx="6"/>'
    return f"{box}<text {middle}>{words}</text>"
