"""The site: built strictly, every link and picture there, nothing from the web, nothing invented."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
import yaml
from lxml import html

from tests.support.project import ROOT

DOCS = ROOT / "docs"
TEXTS = [*DOCS.glob("*.md"), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "infra/README.md"))]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stderr
    return folder


def pages(site: Path) -> dict[Path, html.HtmlElement]:
    return {path: html.fromstring(path.read_text(encoding="utf-8")) for path in sorted(site.glob("*.html"))}


# --- the built site ----------------------------------------------------------------------------------


def test_every_page_is_built_and_in_the_navigation(site: Path) -> None:
    names = {path.stem for path in DOCS.glob("*.md")}
    assert {path.stem for path in pages(site)} - {"404"} == names
    navigation = html.fromstring((site / "index.html").read_text(encoding="utf-8"))
    linked = set(navigation.xpath("//nav[contains(@class, 'md-nav--primary')]//a/@href"))
    assert {f"{name}.html" for name in names - {"index"}} <= linked


def test_every_link_leads_somewhere_and_every_picture_is_there(site: Path) -> None:
    trees = pages(site)
    anchors = {path: set(tree.xpath("//@id")) for path, tree in trees.items()}
    links = 0
    broken = []
    for path, tree in trees.items():
        base = site if path.name == "404.html" else path.parent
        for address in tree.xpath("//a/@href | //img/@src | //script/@src | //link/@href"):
            target, anchor = urldefrag(address)
            if urlsplit(target).scheme:
                continue
            links += 1
            file = (base / unquote(target).lstrip("/")).resolve() if target else path
            file = file / "index.html" if file.is_dir() else file
            if not file.exists() or (anchor and anchor not in anchors.get(file, set())):
                broken.append(f"{path.name}: {address}")
    assert broken == []
    assert links > 200


def test_no_page_loads_anything_from_the_web(site: Path) -> None:
    for path, tree in pages(site).items():
        loaded = tree.xpath("//script/@src | //link/@href | //img/@src | //iframe/@src | //source/@src")
        assert [address for address in loaded if urlsplit(address).netloc] == [], path.name
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//[^)]*", styles) == []


def test_a_browser_opens_every_page_from_the_disk_without_a_fault_or_a_request_to_the_web(
    site: Path, tab: Any
) -> None:
    requests: list[str] = []
    tab.on("request", lambda request: requests.append(request.url))
    for path in pages(site):
        if path.name != "404.html":
            tab.goto(path.as_uri())
            assert tab.locator("h1").count() == 1
            wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
            assert not tab.evaluate(wide), f"{path.name} is wider than the screen"
            pictures = "[...document.images].filter(image => !image.naturalWidth).map(image => image.src)"
            assert tab.evaluate(pictures) == []
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []


def test_every_parameter_is_in_the_tables_with_its_value(site: Path) -> None:
    tree = html.fromstring((site / "stages.html").read_text(encoding="utf-8"))
    shown = [
        (row.xpath("string(td[1])"), row.xpath("string(td[2])"))
        for row in tree.xpath("//table//tr[count(td)=4]")
    ]

    def leaves(section: dict[str, Any], path: str = "") -> Iterator[tuple[str, str, Any]]:
        for name, value in section.items():
            if isinstance(value, dict) and f"### {path}{name}" in headings:
                yield from leaves(value, f"{path}{name}.")
            else:
                yield path, name, value

    headings = {f"### {heading.xpath('string()').rstrip('¶')}" for heading in tree.xpath("//h2 | //h3")}
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    expected = [leaf for name, section in params.items() for leaf in leaves(section, f"{name}.")]
    assert len(shown) == len(expected) > 100
    assert sorted(name for name, _ in shown) == sorted(name for _, name, _ in expected)
    for _, name, value in expected:
        if isinstance(value, int | float) or value is None:
            assert any(key == name and yaml.safe_load(text) == value for key, text in shown), (name, value)


def test_every_stage_says_what_it_reads_and_writes(site: Path) -> None:
    text = html.fromstring((site / "stages.html").read_text(encoding="utf-8")).text_content()
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    for name in stages:
        if name not in ("align", "register"):
            assert f"artifacts/{name}" in text, name
        assert f"reports/{name}" in text, name
    assert "<!--" not in text
    assert "${" not in text


@pytest.mark.parametrize("name", ["rooms", "graph"])
def test_the_pictures_show_every_package_and_every_stage(site: Path, name: str) -> None:
    picture = (site / f"{name}.svg").read_text(encoding="utf-8")
    packages = [path.parent.name for path in (ROOT / "components").glob("*/__init__.py")]
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    boxes = packages if name == "rooms" else list(stages)
    assert [box for box in boxes if f">{box}<" not in picture] == []
    assert picture.count("<line") >= len(boxes) - 2


# --- what the texts claim ----------------------------------------------------------------------------


def messages() -> list[str]:
    """Every string of components/ and flows/ as it is shown, with `…` for what differs."""
    trees = [
        ast.parse(path.read_text(encoding="utf-8"))
        for folder in ("components", "flows")
        for path in sorted((ROOT / folder).rglob("*.py"))
    ]
    constants: dict[str, str] = {}
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
                    constants[node.targets[0].id] = node.value.value
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
                names, values = node.targets[0].elts, getattr(node.value, "elts", [])
                for target, value in zip(names, values, strict=False):
                    if isinstance(target, ast.Name) and isinstance(value, ast.Constant):
                        constants[target.id] = str(value.value)

    def text(part: ast.expr) -> str:
        match part:
            case ast.Constant(value=str(words)):
                return words
            case ast.FormattedValue(value=ast.Name(id=name)) if name.isupper():
                return constants.get(name, "…")
        return "…"

    strings = []
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                strings.append("".join(map(text, node.values)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                strings.append(node.value)
    return strings


def test_every_message_that_is_explained_is_one_that_the_project_gives() -> None:
    rows = re.findall(r"^\| `([^|]+?)` \|", (DOCS / "troubleshooting.md").read_text(encoding="utf-8"), re.M)
    assert len(rows) >= 20
    known = messages()
    for row in rows:
        pattern = ".*".join(re.escape(part) for part in row.strip("`").strip().split("…"))
        assert any(re.search(pattern, message, re.S) for message in known), row


def test_every_command_of_the_benchmarks_is_a_file_that_there_is() -> None:
    text = (DOCS / "benchmarks.md").read_text(encoding="utf-8")
    commands = set(re.findall(r"python (?:-m benchmarks\.|benchmarks/)(\w+)", text))
    assert {path.stem for path in (ROOT / "benchmarks").glob("*.py")} - {"listings", "one_by_one"} == commands


def test_no_text_names_a_module_a_section_or_a_target_that_is_not_there() -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    wrong = []
    for path in TEXTS:
        text = path.read_text(encoding="utf-8")
        for name in re.findall(
            r"\b(?:components|flows|benchmarks|tests|infra|docs)/[\w/.]*[\w/](?![\w/.]*<)", text
        ):
            if not (ROOT / name).exists() and name != "infra/.env":  # which a person makes
                wrong.append(f"{path.name}: {name}")
        for name in re.findall(r"python -m ((?:components|flows|benchmarks)[\w.]+)", text):
            if not (ROOT / f"{name.replace('.', '/')}.py").is_file():
                wrong.append(f"{path.name}: {name}")
        for name in re.findall(r"`((?:" + "|".join(params) + r")(?:\.\w+)+)`", text):
            section: Any = params
            for key in name.split("."):
                section = section.get(key, ...) if isinstance(section, dict) else ...
            if section is ... and not name.endswith((".py", ".json", ".md")):
                wrong.append(f"{path.name}: {name}")
        for name in re.findall(r"`?make ([\w-]+)", text):
            if f"`make {name}" in text and name not in targets:
                wrong.append(f"{path.name}: make {name}")
    assert wrong == []


def test_the_map_of_packages_names_every_one() -> None:
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    packages = {path.parent.name for path in (ROOT / "components").glob("*/__init__.py")}
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.M)) == packages


def test_links_out_of_the_texts_of_the_repository_lead_to_files() -> None:
    broken = []
    for name in ("README.md", "CONTRIBUTING.md", "infra/README.md"):
        path = ROOT / name
        for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
            file, _, anchor = target.partition("#")
            if urlsplit(target).scheme:
                continue
            text = (path.parent / file).read_bytes().decode("utf-8", "replace") if file else ""
            headings = {
                re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-")
                for line in text.splitlines()
                if line.startswith("#")
            }
            if not (path.parent / file).exists() or (anchor and anchor not in headings):
                broken.append(f"{name}: {target}")
    assert broken == []
