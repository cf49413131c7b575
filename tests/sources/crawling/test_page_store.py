"""The store of pages: rounds, and what outlives a process that is killed while it writes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from components.sources.crawling.page_store import PageStore


def test_a_round_that_was_not_finished_is_carried_on_and_a_finished_one_is_followed(tmp_path: Path) -> None:
    for expected, finish in ((1, False), (1, True), (2, False), (2, True), (3, False)):
        store = PageStore(tmp_path / "pages.sqlite")
        assert store.begin_round() == expected
        if finish:
            store.finish()
        store.close()


def test_a_round_holds_the_pages_that_it_stored_or_confirmed(tmp_path: Path) -> None:
    store = PageStore(tmp_path / "pages.sqlite")
    store.begin_round()
    for url in ("b", "a", "c"):
        store.put(url, 200, {"ETag": url}, b"body of " + url.encode())
    assert [page.url for page in store.pages()] == ["a", "b", "c"]
    store.finish()
    store.begin_round()
    assert list(store.pages()) == []
    store.confirm("b")
    store.put("c", 404, {}, b"")
    assert [(page.url, page.status, page.body) for page in store.pages()] == [
        ("b", 200, b"body of b"),
        ("c", 404, b""),
    ]
    assert store.get("a").round == 1  # type: ignore[union-attr]
    assert store.get("d") is None


def test_every_stored_page_outlives_a_killed_process(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from components.sources.crawling.page_store import PageStore\n"
        "store = PageStore(Path(sys.argv[1])); store.begin_round()\n"
        "for number in range(10**6):\n"
        "    store.put(f'{number:07}', 200, {}, b'x' * 3000); print(number, flush=True)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "pages.sqlite")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        written = [int(running.stdout.readline()) for _ in range(300)]
        os.kill(running.pid, signal.SIGKILL)
    stored = [page.url for page in PageStore(tmp_path / "pages.sqlite").pages()]
    assert stored[:300] == [f"{number:07}" for number in written]
