"""A year with a champion, played in minutes: traffic, late truth, two shifts of the law, and what follows.

    python -m flows.loop [--folder DIR]

In a copy of this clone, with the values of profiles/loop.yaml and a shop of its own, the project's own flows
train, watch, retrain, decide and roll back, while the service answers over HTTP in a process of its own. A
week passes by dating back the store of requests (components/monitoring/year.py). The page is in
reports/loop/; nothing else of this clone is touched.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from components.core.errors import PricewrightError
from components.core.params.file import load_params
from flows import profile

PROFILE = Path("profiles/loop.yaml")
PAGES = Path("reports/loop")
LOG = Path("loop.log")
AUTHOR = ("-c", "user.name=loop", "-c", "user.email=loop@localhost")
PLAY = "flows.loop_year"


def copy_of(clone: Path, folder: Path) -> None:
    """Copy what git knows or would add of a clone into a folder, as a clone of its own with the values of
    the loop.

    Raises PricewrightError where it is no clone.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=clone, capture_output=True, check=False
    )
    if listed.returncode != 0:
        raise PricewrightError(f"{clone} is no clone of git, which says what belongs to it")
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (clone / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(clone / name, folder / name)
    profile.apply(folder / PROFILE, folder / "params.yaml")
    commit(folder)


def commit(folder: Path) -> None:
    """Make the folder a clone in which everything is committed."""
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "The year begins"]):
        subprocess.run(["git", *AUTHOR, *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def play(folder: Path) -> int:
    """Play the year in a folder, in a process whose Prefect and MLflow are there too; its exit code."""
    own = {"PREFECT_HOME": str(folder / ".prefect"), "PYTHONPATH": str(folder)}
    shared = ("PREFECT_API_URL", "MLFLOW_TRACKING_URI")
    environment = {name: value for name, value in os.environ.items() if name not in shared}
    child = subprocess.Popen([sys.executable, "-m", PLAY], cwd=folder, env=environment | own)
    try:
        return child.wait()
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
            child.wait()


def main() -> None:
    """Play a year and keep its page."""
    parser = argparse.ArgumentParser(prog="python -m flows.loop")
    parser.add_argument("--folder", type=Path, help="where it is played, and kept; by default it is removed")
    chosen = parser.parse_args().folder
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with ExitStack() as stack:
            temporary = tempfile.TemporaryDirectory(prefix="pricewright-loop-", ignore_cleanup_errors=True)
            folder = chosen or Path(stack.enter_context(temporary))
            if chosen and folder.exists() and any(folder.iterdir()):
                raise PricewrightError(f"{folder} is not empty: name another folder")
            if (kind := load_params().task.kind) != "number":
                raise PricewrightError(f"the loop is made for numbers only; task.kind is {kind}")
            folder.mkdir(parents=True, exist_ok=True)
            began = time.monotonic()
            copy_of(Path.cwd(), folder)
            code = play(folder.resolve())
            if (folder / PAGES).is_dir():
                shutil.copytree(folder / PAGES, PAGES, dirs_exist_ok=True)
                print(
                    f"\n{(time.monotonic() - began) / 60:.1f} minutes. The page: file://{PAGES.resolve()}/loop.html"
                )
            raise SystemExit(code)
    except PricewrightError as error:
        raise SystemExit(f"error: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
