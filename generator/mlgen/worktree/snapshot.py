"""The author's files as a commit has them, read from its trees: nothing is checked out, no filter runs."""

from __future__ import annotations

import hashlib
import posixpath
import weakref
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from threading import RLock

from mlgen import git
from mlgen.canonical import folder_digest
from mlgen.diagnostic import CannotAnswer
from mlgen.git.history import is_partial
from mlgen.git.objects import LIMIT
from mlgen.git.revision import Kind
from mlgen.worktree import large
from mlgen.worktree.index import Index, index_of
from mlgen.worktree.names import MAX_SPEC_BYTES, OWN, SKIPPED, check_name

MAX_LINKS = 40  # on the way to one file, as Linux has it
MAX_TARGET = 4096  # bytes of a link, likewise
ESCAPE = ".."  # where a path leads outside


class Snapshot:
    """Files below a project's folder at a commit, judged as `Worktree` judges those of a folder.

    commit: its id. root: the project's folder, posix, below the repository's top, "" for the top itself. Where the
    commit has no such folder, there is nothing in it.
    Bytes are those that Git keeps: no line ends are changed, nothing is decrypted. A file that Git LFS keeps elsewhere
    is known by the digest of its content.
    Methods raise CannotAnswer "partial-clone", "broken-tree"; GitError.
    """

    def __init__(self, repository: git.Repository, commit: str, root: str = "") -> None:
        self.repository, self.commit, self.root = repository, commit, root
        self._listings: dict[str, Mapping[str, str]] = {}
        self._digests: dict[str, str] = {}
        self._lock = RLock()  # one process answers one question at a time

    @cached_property
    def _index(self) -> Index:
        try:
            return index_of(self.repository, self.commit)
        except git.GitError:
            if not is_partial(self.repository):
                raise
            raise self._absent("a folder") from None

    @cached_property
    def _reader(self) -> git.Reader:
        reader = self.repository.reader()
        weakref.finalize(self, reader.close)
        return reader

    def kind(self, path: str) -> str | None:
        """ "file", "folder", "escape" for what lies or leads outside the repository, or None."""
        real = self._real(path)
        if real is None or real == ESCAPE:
            return real and "escape"
        return "file" if self._index.kind(real) is Kind.FILE else "folder"

    def exists(self, path: str) -> bool:
        """Whether anything has this name, were it a link that leads nowhere."""
        folder, name = posixpath.split(path)
        if name in ("", ".", ".."):
            return self.kind(path) not in (None, "escape")
        real = self._real(folder)
        return real not in (None, ESCAPE) and self._index.has(posixpath.join(real or "", name))

    def beside(self, path: str) -> list[str]:
        """The names in the folder that a path is in, sorted; none where it is no folder of the project."""
        folder = posixpath.dirname(path)
        real = self._real(folder)
        if folder.startswith("..") or real is None or real == ESCAPE:
            return []
        return sorted({name.partition("/")[0] for name in self._index.below(real)} - SKIPPED)

    def read(self, path: str) -> bytes:
        """The bytes of a spec, one more than a spec may have at most. Raises ValueError for no file."""
        real = self._real(path)
        if real == ESCAPE:
            raise ValueError(f"{path} leads outside the repository")
        if real is None or self._index.kind(real) is not Kind.FILE:
            raise ValueError(f"{path} is no file")
        return self._bytes(real)[: MAX_SPEC_BYTES + 1]

    def sha256(self, path: str) -> str:
        """The digest of a file, or of a folder with all its files: what `store` says of the same bytes.

        Raises ValueError when it holds a link, and for what is Git's or a run's own.
        """
        if path not in self._digests:
            real = self._inside(path)
            self._check_own(path, real)
            if self._index.kind(real) is Kind.FILE:
                self._digests[path] = f"sha256:{self._hashes({'': real})['']}"
            else:
                self._digests[path] = folder_digest(self._hashed(path, real, skipped=False))
        return self._digests[path]

    def listing(self, folder: str) -> Mapping[str, str]:
        """The files of a code folder: posix path below it -> 64 hex digits. Raises ValueError when it holds a link."""
        if folder not in self._listings:
            self._listings[folder] = self._hashed(folder, self._inside(folder), skipped=True)
        return self._listings[folder]

    def files(self, folder: str, scratch: Path) -> dict[str, Path]:
        """The files of a code folder: posix path below it -> where it was laid, in a folder of its own in `scratch`.

        Raises ValueError as `listing` does; CannotAnswer "lfs-missing".
        """
        target = _own(scratch, folder)
        return {
            name: self._lay(posixpath.join(self._inside(folder), name), target / name) for name in self.listing(folder)
        }

    def place(self, path: str, scratch: Path) -> Path:
        """Where a file or folder was laid in `scratch`, under its own name; an absolute path is its own.

        Raises ValueError for what `sha256` refuses; CannotAnswer "lfs-missing".
        """
        if path.startswith("/"):
            return Path(path)
        real = self._inside(path)
        self._check_own(path, real)
        target = _own(scratch, path) / posixpath.basename(path.rstrip("/"))
        if self._index.kind(real) is Kind.FILE:
            return self._lay(real, target)
        for name in self._hashed(path, real, skipped=False):
            self._lay(posixpath.join(real, name), target / name)
        return target

    def _lay(self, real: str, target: Path) -> Path:
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._reading(real) as reader, target.open("wb") as file:
            found = reader.copy(self._index.oid(real), file)
        if found is None:
            raise self._absent(real)
        if (pointer := large.pointer(found)) is not None:
            large.copy(self.repository, pointer, real, self.commit, target)
        return target

    def _inside(self, path: str) -> str:
        """The path, from the repository's top, of a file or folder. Raises ValueError."""
        real = self._real(path)
        if real is None or real == ESCAPE:
            raise ValueError(f'"{path}" {"is not there" if real is None else "leads outside the repository"}')
        if self._index.kind(real) is Kind.REPOSITORY:
            raise ValueError(f'"{path}" is another repository')
        return real

    def _check_own(self, path: str, real: str) -> None:
        if f"{self.root}/".startswith(f"{real}/") or not real:
            raise ValueError(f'"{path}" holds the project itself, with what Git and runs keep in it')
        if own := next((part for part in real.split("/") if part in OWN), None):
            raise ValueError(f'"{path}" is in {own}, which {OWN[own]} for itself')

    def _hashed(self, folder: str, real: str, *, skipped: bool) -> dict[str, str]:
        names = {}
        for name in self._index.below(real):
            if skipped and not SKIPPED.isdisjoint(name.split("/")):
                continue
            check_name(folder, name)
            names[name] = posixpath.join(real, name)
            match self._index.kind(names[name]):
                case Kind.LINK:
                    raise ValueError(f'"{folder}/{name}" is a link')
                case Kind.REPOSITORY:
                    raise ValueError(f'"{folder}/{name}" is another repository')
        return self._hashes(names)

    def _hashes(self, files: Mapping[str, str]) -> dict[str, str]:
        """The sha256 of files, 64 hex digits, under the same names."""
        with self._reading(next(iter(files.values()), "")) as reader:
            measured = list(reader.measure_all(self._index.oid(real) for real in files.values()))
        found = {}
        for (name, real), one in zip(files.items(), measured, strict=True):
            if one is None:
                raise self._absent(real)
            found[name] = large.pointer(one) or one.sha256
        return found

    def _bytes(self, real: str) -> bytes:
        with self._reading(real) as reader:
            found = reader.get(self._index.oid(real))
        if found is None:
            raise self._absent(real)
        return found.data if found.size_bytes <= LIMIT else bytes(MAX_SPEC_BYTES + 1)  # it will be found too large

    def _real(self, path: str) -> str | None:
        """Where a path leads, from the repository's top and through links; ESCAPE outside, None where nothing is."""
        parts = deque(_parts(posixpath.join(self.root, path)))
        here: list[str] = []
        links = 0
        while parts:
            part = parts.popleft()
            if part != "..":
                here.append(part)
            elif not here:
                return ESCAPE
            else:  # also of what is not there, as `Path.resolve` does
                here.pop()
                continue
            name = "/".join(here)
            if self._index.kind(name) is not Kind.LINK:
                continue
            links += 1
            target = self._bytes(name).decode(errors="surrogateescape")
            if links > MAX_LINKS or len(target) > MAX_TARGET:
                return None
            if target.startswith("/"):  # were it into this very repository: it is elsewhere on another machine
                return ESCAPE
            here.pop()
            parts.extendleft(reversed(_parts(target)))
        real = "/".join(here)
        return real if self._index.has(real) else None

    @contextmanager
    def _reading(self, real: str) -> Iterator[git.Reader]:
        with self._lock:
            try:
                yield self._reader
            except git.GitError:  # so it ends where it may fetch nothing
                if not is_partial(self.repository):
                    raise
                raise self._absent(real) from None

    def _absent(self, real: str) -> CannotAnswer:
        if not is_partial(self.repository):
            return git.GitError(f"{real} at {self.commit[:12]} is lost")
        return CannotAnswer(
            "partial-clone",
            f"{real} at {self.commit[:12]} is not in this repository",
            why="a partial clone leaves out what it could fetch, and mlgen fetches nothing by itself",
            fix="git fetch --refetch --no-filter origin",
        )


def _own(scratch: Path, path: str) -> Path:
    return scratch / hashlib.sha256(path.encode(errors="surrogateescape")).hexdigest()[:16]


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]
