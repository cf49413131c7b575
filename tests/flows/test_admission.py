"""Prefect's server, started for real: what a web page in a browser may do with it, and who is let in."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from components.core.errors import PricewrightError
from flows import admission
from tests.support.project import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ELSEWHERE = {"Origin": "http://shop.example"}
OWN_SERVER = """
import json, sys
import httpx
from flows import server

server.start()

from prefect import flow, task
from prefect.client.orchestration import get_client

@task
def first() -> int:
    return 1

@flow(name="own")
def train() -> int:
    return first.submit().result()

with get_client(sync_client=True) as client:
    address = str(client.api_url)
page = httpx.post(address + "flows/", content=b'{"name": "planted"}', headers={"Origin": "http://shop.example"})
host = httpx.get(address + "health", headers={"Host": "shop.example"})
reader = httpx.post(address + "flows/filter", json={})
result = train()
with get_client(sync_client=True) as client:
    names = [flow.name for flow in client.read_flows()]
print(json.dumps([page.status_code, host.status_code, reader.status_code, result, names]))
"""


@dataclass(frozen=True)
class Served:
    """A server that `make prefect` started."""

    address: str
    login: str
    process: psutil.Process
    log: Path

    @property
    def basic(self) -> tuple[str, str]:
        user, _, password = self.login.partition(":")
        return user, password


def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return kept | {"PYTHONPATH": str(ROOT), "PREFECT_HOME": str(home), "DO_NOT_TRACK": "1"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("prefect")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "flows.listen", "prefect", "--port", str(port)]
    log = folder / "log"
    with log.open("wb") as output:
        child = subprocess.Popen(
            command, env=environment(folder / "home"), cwd=folder, stdout=output, stderr=output
        )
    try:
        address, until = f"http://127.0.0.1:{port}", time.monotonic() + 120
        while not _healthy(address):
            assert child.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.3)
        login = (folder / "home" / "auth").read_text().strip()
        yield Served(address, login, psutil.Process(child.pid), log)
    finally:
        child.terminate()
        child.wait(timeout=60)


def _healthy(address: str) -> bool:
    try:
        return httpx.get(f"{address}/api/health", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


# --- what a web page tries ---------------------------------------------------------------------------


def test_a_web_page_cannot_create_anything(served: Served) -> None:
    """No content type and no preflight: a browser sends this for any page, and Prefect reads it as JSON."""
    for path, body in (("flows", {"name": "planted"}), ("deployments", {"name": "planted", "flow_id": "1"})):
        content = json.dumps(body).encode()
        answer = httpx.post(f"{served.address}/api/{path}/", content=content, headers=ELSEWHERE)
        assert answer.status_code == 403, answer.text
        with_login = httpx.post(
            f"{served.address}/api/{path}/", content=content, headers=ELSEWHERE, auth=served.basic
        )
        assert (with_login.status_code, with_login.json()) == (403, {"detail": "Missing CSRF token."})
    assert _flows(served) == []


def test_a_web_page_cannot_ask_before_it_sends_nor_read(served: Served) -> None:
    planned = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "Authorization"}
    preflight = httpx.options(f"{served.address}/api/flows/", headers=ELSEWHERE | planned)
    assert preflight.status_code == 400
    reading = httpx.get(f"{served.address}/api/admin/version", headers=ELSEWHERE, auth=served.basic)
    own = httpx.get(
        f"{served.address}/api/admin/version", headers={"Origin": served.address}, auth=served.basic
    )
    assert "access-control-allow-origin" not in preflight.headers
    assert "access-control-allow-origin" not in reading.headers
    assert own.headers["access-control-allow-origin"] == served.address


@pytest.mark.parametrize("path", ["/", "/api/health", "/api/csrf-token?client=x", "/ui-settings"])
def test_a_name_that_dns_points_here_is_refused(served: Served, path: str) -> None:
    port = served.address.rpartition(":")[2]
    for host, status in ((f"shop.example:{port}", 400), (f"localhost:{port}", 200)):
        answer = httpx.get(served.address + path, headers={"Host": host}, auth=served.basic)
        assert answer.status_code == status


def test_nothing_is_read_or_sent_without_the_login(served: Served) -> None:
    for auth in (None, ("pricewright", "guess")):
        assert httpx.get(f"{served.address}/api/csrf-token?client=x", auth=auth).status_code == 401
        assert httpx.get(f"{served.address}/api/admin/version", auth=auth).status_code == 401
    address = served.address.replace("http", "ws") + "/api/events/in"
    with connect(address, subprotocols=["prefect"]) as socket_:  # type: ignore[list-item]
        socket_.send(json.dumps({"type": "auth", "token": "guess"}))
        with pytest.raises(ConnectionClosed):
            socket_.recv(timeout=10)


# --- who is let in -----------------------------------------------------------------------------------


def test_a_flow_with_another_login_ends_with_what_to_do(served: Served, tmp_path: Path) -> None:
    there = {"PREFECT_API_URL": f"{served.address}/api", "PREFECT_API_AUTH_STRING": "pricewright:guess"}
    done = subprocess.run(
        [sys.executable, "-m", "flows.promote", "promote"],
        env=environment(tmp_path) | there,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert "refuses the login: set PREFECT_API_AUTH_STRING" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_page_of_the_flows_opens_with_the_login(served: Served, browser: Browser) -> None:
    tab, answers = browser.new_page(), list[str]()
    tab.set_default_timeout(120_000)
    tab.on("response", lambda response: answers.append(response.url))
    tab.goto(served.address)
    tab.wait_for_url("**/login**")
    tab.locator("input").first.fill(served.login)
    with tab.expect_response("**/api/flow_runs/filter") as answer:
        tab.keyboard.press("Enter")
    assert answer.value.status == 200
    assert [url for url in answers if not url.startswith(served.address)] == []
    assert "frame-ancestors 'none'" in httpx.get(served.address).headers["Content-Security-Policy"]


def test_the_login_is_seen_by_its_owner_alone(served: Served) -> None:
    home = served.log.parent / "home"
    assert (home / "auth").stat().st_mode & 0o777 == 0o600
    assert home.stat().st_mode & 0o077 == 0
    processes = [served.process, *served.process.children(recursive=True)]
    password = served.basic[1]
    assert len(password) >= 40
    assert password not in served.log.read_text() + " ".join(" ".join(each.cmdline()) for each in processes)


def test_a_login_is_kept_and_not_taken_from_a_file_that_others_read(tmp_path: Path) -> None:
    file = tmp_path / "home" / "auth"
    assert admission.login(file) == admission.login(file)
    file.chmod(0o644)
    with pytest.raises(PricewrightError, match=f"^others may read the login in {file}: remove it"):
        admission.login(file)
    file.chmod(0o600)
    file.write_text("pricewright\n")
    with pytest.raises(PricewrightError, match=f"^{file} holds no login"):
        admission.login(file)


def test_the_server_that_a_flow_starts_is_closed_to_a_web_page_and_the_flow_works(tmp_path: Path) -> None:
    script = tmp_path / "own.py"
    script.write_text(OWN_SERVER)  # Prefect reads a flow's source from its file
    done = subprocess.run(
        [sys.executable, script],
        env=environment(tmp_path / "home"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [403, 400, 403, 1, ["own"]]


def _flows(served: Served) -> list[str]:
    """The names of the flows that the server knows, asked for as its own client does."""
    token = {"client": "test"}
    with httpx.Client(base_url=f"{served.address}/api", auth=served.basic) as client:
        answer = client.get("/csrf-token", params=token).json()
        headers = {"Prefect-Csrf-Token": answer["token"], "Prefect-Csrf-Client": "test"}
        return [flow["name"] for flow in client.post("/flows/filter", json={}, headers=headers).json()]
