"""The graph as DVC knows it: stages, edges, `meta`, and what has changed. No stage is known by name."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException
from dvc.repo import Repo

from components.core.errors import PricewrightError


@dataclass(frozen=True)
class StageNode:
    """A stage that DVC can reproduce, or one child of a matrix."""

    name: str
    """As DVC addresses it: `sft`, `align@dpo`."""
    upstream: tuple[str, ...]
    """Names of the stages whose outputs it reads."""
    timeout: float | None
    """Seconds, `meta.timeout`; None lets it run as long as it likes."""
    retries: int
    """Further attempts after a failure, `meta.retries`."""
    heavy: bool
    """`meta.heavy`: one such stage runs at a time."""
    changed: bool
    """Whether DVC has something to do here, or in a stage above."""


def stages(root: Path) -> list[StageNode]:
    """Every stage of the DVC project at `root`, each after those that it reads from.

    Raises PricewrightError where DVC cannot read the project, with DVC's reason, and for a `meta` entry of
    the wrong kind.
    """
    logging.getLogger("dvc").setLevel(
        logging.ERROR
    )  # it warns of the lock that a killed run left, and takes it
    try:
        with Repo(str(root)) as repo:
            graph = repo.index.graph
            runnable = [stage for stage in repo.index.stages if stage.cmd]
            nodes = {
                stage.addressing: _node(stage.addressing, list(graph.successors(stage)), stage.meta or {})
                for stage in runnable
            }
            listed = set(repo.status())
    except DvcException as error:
        raise PricewrightError(f"DVC cannot read the graph of {root}: {_reasons(error)}") from error
    order = TopologicalSorter({name: node.upstream for name, node in nodes.items()}).static_order()
    settled: dict[str, StageNode] = {}
    for name in order:
        node = nodes[name]
        changed = name in listed or any(settled[above].changed for above in node.upstream)
        settled[name] = replace(node, changed=changed)
    return list(settled.values())


def upto(nodes: list[StageNode], name: str) -> list[StageNode]:
    """The stage of this name and those that it reads from, near and far; `nodes` are in the graph's order.

    Raises PricewrightError where there is no such stage.
    """
    needed = {name}
    for node in reversed(nodes):
        if node.name in needed:
            needed.update(node.upstream)
    if missing := needed - {node.name for node in nodes}:
        raise PricewrightError(f"dvc.yaml has no stage {', '.join(sorted(missing))}")
    return [node for node in nodes if node.name in needed]


def _node(name: str, above: list[Any], meta: dict[str, Any]) -> StageNode:
    timeout, retries, heavy = meta.get("timeout"), meta.get("retries", 0), meta.get("heavy", False)
    if timeout is not None and (not _is_number(timeout) or timeout <= 0):
        raise _wrong(name, "timeout", timeout, "a positive number of seconds")
    if not _is_number(retries) or retries != int(retries) or retries < 0:
        raise _wrong(name, "retries", retries, "a whole number, 0 or more")
    if not isinstance(heavy, bool):
        raise _wrong(name, "heavy", heavy, "true or false")
    upstream = tuple(sorted(stage.addressing for stage in above if stage.cmd))
    return StageNode(name, upstream, timeout, int(retries), heavy, changed=False)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _wrong(stage: str, key: str, value: object, right: str) -> PricewrightError:
    return PricewrightError(f"dvc.yaml: stages.{stage}.meta.{key} is {value!r}; it has to be {right}")


def _reasons(error: BaseException | None) -> str:
    """DVC's message and those of its causes: the outer one often says what failed, the inner one why."""
    messages: list[str] = []
    while error is not None:
        if str(error) and not any(str(error) in message for message in messages):
            messages.append(str(error))
        error = error.__cause__
    return "; ".join(messages)
