"""What is committed: no registry is named, every library has an exact version."""

from __future__ import annotations

import re
import subprocess
import tomllib
from functools import cache
from itertools import chain

import pytest

from tests.support.project import ROOT

# --- the repository ----------------------------------------------------------------------------------


@cache
def _tracked() -> frozenset[str]:
    """Files that git has, or would take."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git repository")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return frozenset(path for path in done.stdout.splitlines() if (ROOT / path).is_file())


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
    requests = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    names = {_canonical(re.split(r"[^\w.-]", requirement)[0]) for requirement in requests}
    assert names - pinned == set()


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
