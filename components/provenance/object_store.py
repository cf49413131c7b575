"""What is still kept of a file or folder of the graph, by the hash that dvc.lock has of it.

It is looked up in DVC's cache, its default remote, every commit of git that touched the path, and on the
disk, in this order; and hashed afresh there.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Literal

from dvc.config import NoRemoteError
from dvc.exceptions import DvcException
from dvc.repo import Repo

from components.core.dvc import FOLDER, folder_md5, md5
from components.core.errors import PricewrightError

State = Literal["holds", "altered", "gone"]


@dataclass(frozen=True)
class Kept:
    """Whether a thing can still be fetched, and is what it was."""

    state: State
    """`altered` where a place holds other bytes under its hash, even if another one holds the right ones."""
    where: str
    """The first place that holds it, empty where none does."""
    note: str = ""


class Objects:
    """What the DVC and git repository at `root` keeps. Raises PricewrightError where there is none."""

    def __init__(self, root: Path) -> None:
        try:
            repo = Repo(str(root))
        except DvcException as error:
            raise PricewrightError(f"{root} is no DVC repository ({error}): run from the clone") from error
        stores = {"DVC cache": repo.cache.local}
        self._silent = ""
        try:
            stores["DVC remote"] = repo.cloud.get_remote_odb()
        except NoRemoteError:
            pass
        except Exception as error:  # the library of a remote that is not installed, wrong settings
            self._silent = f"the DVC remote does not answer: {error}"
        self._stores = {name: _Store(odb) for name, odb in stores.items()}
        self.git = Git(root)
        self._root = root

    def find(self, path: str, digest: str) -> Kept:
        """Where the file or folder `path` of that hash is kept; `digest` ends with `.dir` for a folder."""
        notes = []
        places: dict[str, Callable[[], State]] = {
            name: lambda store=store: store.state(digest)  # type: ignore[misc]
            for name, store in self._stores.items()
        }
        places["git"] = lambda: "holds" if self.git.holds(path, digest) else "gone"
        places["disk"] = lambda: "holds" if _on_disk(self._root / path) == digest else "gone"
        for name, look in places.items():
            try:
                state = look()
            except Exception as error:  # a remote's own errors have no common class
                notes.append(f"the {name} does not answer: {error}")
                continue
            if state == "holds":
                return Kept("altered" if _spoilt(notes) else "holds", name, "; ".join(notes))
            if state == "altered":
                notes.append(f"the {name} holds other bytes under this hash")
        notes += [self._silent] if self._silent else []
        return Kept("altered" if _spoilt(notes) else "gone", "", "; ".join(notes))

    def read(self, path: str, digest: str, member: str = "") -> bytes:
        """The bytes of a file, or of the file `member` of a folder. Raises PricewrightError where gone."""
        for store in self._stores.values():
            with suppress(Exception):  # a remote that does not answer has it not; `find` says so
                wanted = digest if not member else store.listing(digest).get(member, "")
                if wanted and store.state(wanted) == "holds":
                    with store.open(wanted) as file:
                        return file.read()
        whole = self._root / path / member
        if _on_disk(self._root / path) == digest and whole.is_file():
            return whole.read_bytes()
        raise PricewrightError(
            f"{Path(path, member)} of MD5 {digest[:12]} is kept nowhere: `dvc fetch` it from a remote"
        )


def _spoilt(notes: list[str]) -> bool:
    return any("other bytes" in note for note in notes)


def _md5(file: BinaryIO) -> str:
    return hashlib.file_digest(file, "md5").hexdigest()  # type: ignore[arg-type]


def _on_disk(path: Path) -> str:
    return md5(path) if path.exists() else ""


class _Store:
    """DVC's cache or remote: objects named by their hash."""

    def __init__(self, odb: Any) -> None:
        self._odb = odb

    def open(self, digest: str) -> BinaryIO:
        file: BinaryIO = self._odb.fs.open(self._odb.oid_to_path(digest), "rb")
        return file

    def listing(self, digest: str) -> dict[str, str]:
        """Relative path to MD5 of a folder's files; empty where its listing is not kept as it was."""
        if self._own(digest) != "holds":
            return {}
        with self.open(digest) as file:
            return {entry["relpath"]: entry["md5"] for entry in json.load(file)}

    def state(self, digest: str) -> State:
        """Of a file, or of a folder with all that is in it."""
        own = self._own(digest)
        if own != "holds" or not digest.endswith(FOLDER):
            return own
        states = {self._own(inner) for inner in self.listing(digest).values()}
        return "altered" if "altered" in states else "gone" if "gone" in states else "holds"

    def _own(self, digest: str) -> State:
        if not self._odb.fs.exists(self._odb.oid_to_path(digest)):
            return "gone"
        with self.open(digest) as file:
            return "holds" if _md5(file) == digest.removesuffix(FOLDER) else "altered"


class Git:
    """The history of a repository; without one it holds nothing."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._blobs: dict[str, str] = {}

    def has(self, commit: str) -> bool:
        """Whether the commit is still there."""
        return self._run("cat-file", "-e", f"{commit}^{{commit}}") is not None

    def show(self, commit: str, path: str) -> str | None:
        """A text file as it was at a commit; None where it was not."""
        content = self._run("show", f"{commit}:{path}")
        return None if content is None else content.decode("utf-8", errors="replace")

    def holds(self, path: str, digest: str) -> bool:
        """Whether some commit has `path` with that hash; what was never committed is lost."""
        commits = (self._run("rev-list", "--all", "HEAD", "--", path) or b"").decode().split()
        return any(self._hash(commit, path) == digest for commit in commits)

    def _hash(self, commit: str, path: str) -> str:
        """MD5 of what a commit has under `path`, as DVC counts it; empty where it has nothing."""
        listed = self._run("ls-tree", "-r", "-z", commit, "--", path) or b""
        blobs = {}
        for entry in filter(None, listed.decode().split("\0")):
            about, name = entry.split("\t", 1)
            blobs[name] = about.split()[2]
        if set(blobs) == {path}:
            return self._blob(blobs[path])
        if not blobs:
            return ""
        return folder_md5({name.removeprefix(f"{path}/"): self._blob(blob) for name, blob in blobs.items()})

    def _blob(self, blob: str) -> str:
        if blob not in self._blobs:
            self._blobs[blob] = _md5(BytesIO(self._run("cat-file", "blob", blob) or b""))
        return self._blobs[blob]

    def _run(self, *arguments: str) -> bytes | None:
        done = subprocess.run(["git", "-C", str(self._root), *arguments], capture_output=True, check=False)
        return done.stdout if done.returncode == 0 else None
