"""Looks up files and folders of the graph by the hash in dvc.lock, and verifies what it finds.

The places are DVC's cache, its default remote, every git commit that touched the path, and the disk, in this
order; an object is hashed again in each.
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

ObjectState = Literal["holds", "altered", "gone"]


@dataclass(frozen=True)
class Kept:
    """Whether an object can still be fetched unchanged, and from where."""

    state: ObjectState
    """`altered` where any place has other bytes under the hash, even if a later one has the right bytes."""
    where: str
    """The first place with the right bytes; empty where there is none."""
    note: str = ""


@dataclass(frozen=True)
class StoredObject:
    """An object of DVC's cache."""

    digest: str
    """Its MD5."""
    name: str
    """Its name in the folder that it belongs to; empty for an output that is a file."""
    path: Path
    """Where it lies in the cache."""
    places: list[str]
    """Where it is kept: the cache, and the remote where that has it too."""


class ObjectStore:
    """The objects of the DVC and git repository at `root`. Raises PricewrightError where there is none."""

    def __init__(self, root: Path) -> None:
        try:
            repo = Repo(str(root))
        except DvcException as error:
            raise PricewrightError(f"{root} is no DVC repository ({error}): run from the clone") from error
        databases = {"DVC cache": repo.cache.local}
        self._remote_error = ""
        try:
            databases["DVC remote"] = repo.cloud.get_remote_odb()
        except NoRemoteError:
            pass
        except Exception as error:  # the library of a remote that is not installed, wrong settings
            self._remote_error = f"the DVC remote does not answer: {error}"
        self._databases = {name: _HashedObjects(odb) for name, odb in databases.items()}
        self.git = Git(root)
        self._root = root

    def find(self, path: str, digest: str) -> Kept:
        """Look a file or folder up by path and MD5; `digest` ends with `.dir` for a folder."""
        notes = []
        places: dict[str, Callable[[], ObjectState]] = {
            name: lambda database=database: database.state(digest)  # type: ignore[misc]
            for name, database in self._databases.items()
        }
        places["git"] = lambda: "holds" if self.git.holds(path, digest) else "gone"
        places["disk"] = lambda: "holds" if _on_disk(self._root / path) == digest else "gone"
        for name, look_up in places.items():
            try:
                state = look_up()
            except Exception as error:  # a remote's own errors have no common class
                notes.append(f"the {name} does not answer: {error}")
                continue
            if state == "holds":
                return Kept("altered" if _any_altered(notes) else "holds", name, "; ".join(notes))
            if state == "altered":
                notes.append(f"the {name} holds other bytes under this hash")
        notes += [self._remote_error] if self._remote_error else []
        return Kept("altered" if _any_altered(notes) else "gone", "", "; ".join(notes))

    def holding(self, matches: Callable[[Path], bool]) -> list[StoredObject]:
        """The objects of DVC's cache whose file matches, of every version of the data.

        A remote that does not answer counts as one that has them.
        """
        cache = self._databases["DVC cache"]
        names = {md5: name for folder in cache.folders() for name, md5 in cache.listing(folder).items()}
        objects = []
        for digest in cache.files():
            if matches(path := cache.path(digest)):
                places = [name for name, database in self._databases.items() if database.may_have(digest)]
                objects.append(StoredObject(digest, names.get(digest, ""), path, places))
        return sorted(objects, key=lambda entry: (entry.name, entry.digest))

    def read(self, path: str, digest: str, member: str = "") -> bytes:
        """The bytes of a file, or of the file `member` of a folder. Raises PricewrightError where gone."""
        for database in self._databases.values():
            with suppress(Exception):  # `find` reports a remote that does not answer
                wanted = digest if not member else database.listing(digest).get(member, "")
                if wanted and database.state(wanted) == "holds":
                    with database.open(wanted) as file:
                        return file.read()
        whole = self._root / path / member
        if _on_disk(self._root / path) == digest and whole.is_file():
            return whole.read_bytes()
        raise PricewrightError(
            f"{Path(path, member)} of MD5 {digest[:12]} is kept nowhere: `dvc fetch` it from a remote"
        )


def _any_altered(notes: list[str]) -> bool:
    return any("other bytes" in note for note in notes)


def _md5(file: BinaryIO) -> str:
    return hashlib.file_digest(file, "md5").hexdigest()  # type: ignore[arg-type]


def _on_disk(path: Path) -> str:
    return md5(path) if path.exists() else ""


class _HashedObjects:
    """An object database of DVC, cache or remote: files named by their MD5."""

    def __init__(self, odb: Any) -> None:
        self._odb = odb

    def open(self, digest: str) -> BinaryIO:
        file: BinaryIO = self._odb.fs.open(self._odb.oid_to_path(digest), "rb")
        return file

    def files(self) -> list[str]:
        """The hashes of all files, sorted."""
        return sorted(digest for digest in self._odb.all() if not digest.endswith(FOLDER))

    def folders(self) -> list[str]:
        """The hashes of all folders, sorted."""
        return sorted(digest for digest in self._odb.all() if digest.endswith(FOLDER))

    def path(self, digest: str) -> Path:
        """Where an object lies, in a database on this disk."""
        return Path(self._odb.oid_to_path(digest))

    def may_have(self, digest: str) -> bool:
        """Whether the database has an object, or cannot be asked."""
        try:
            return bool(self._odb.fs.exists(self._odb.oid_to_path(digest)))
        except Exception:  # a remote's own errors have no common class
            return True

    def listing(self, digest: str) -> dict[str, str]:
        """Relative path to MD5 of the files of a folder; empty where its listing is gone or altered."""
        if self._file_state(digest) != "holds":
            return {}
        with self.open(digest) as file:
            return {entry["relpath"]: entry["md5"] for entry in json.load(file)}

    def state(self, digest: str) -> ObjectState:
        """The state of a file, or of a folder with all of its files."""
        state = self._file_state(digest)
        if state != "holds" or not digest.endswith(FOLDER):
            return state
        states = {self._file_state(inner) for inner in self.listing(digest).values()}
        return "altered" if "altered" in states else "gone" if "gone" in states else "holds"

    def _file_state(self, digest: str) -> ObjectState:
        if not self._odb.fs.exists(self._odb.oid_to_path(digest)):
            return "gone"
        with self.open(digest) as file:
            return "holds" if _md5(file) == digest.removesuffix(FOLDER) else "altered"


class Git:
    """The history of a git repository; outside of one nothing is ever there."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._blobs: dict[str, str] = {}

    def has(self, commit: str) -> bool:
        """Whether the commit exists."""
        return self._run("cat-file", "-e", f"{commit}^{{commit}}") is not None

    def show(self, commit: str, path: str) -> str | None:
        """A text file as of a commit; None where it was not in it."""
        content = self._run("show", f"{commit}:{path}")
        return None if content is None else content.decode("utf-8", errors="replace")

    def holds(self, path: str, digest: str) -> bool:
        """Whether any commit has the file or folder `path` with that hash."""
        commits = (self._run("rev-list", "--all", "HEAD", "--", path) or b"").decode().split()
        return any(self._hash(commit, path) == digest for commit in commits)

    def _hash(self, commit: str, path: str) -> str:
        """DVC's MD5 of `path` as of a commit; empty where the commit does not have it."""
        listed = self._run("ls-tree", "-r", "-z", commit, "--", path) or b""
        blobs = {}
        for entry in filter(None, listed.decode().split("\0")):
            attributes, name = entry.split("\t", 1)
            blobs[name] = attributes.split()[2]
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
        process = subprocess.run(["git", "-C", str(self._root), *arguments], capture_output=True, check=False)
        return process.stdout if process.returncode == 0 else None
