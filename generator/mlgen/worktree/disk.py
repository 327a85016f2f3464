"""The author's files as they lie in their folder now."""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat
from collections.abc import Callable, Iterator, Mapping, Set
from pathlib import Path

from mlgen.canonical import folder_digest
from mlgen.worktree.names import MAX_SPEC_BYTES, OWN, SKIPPED, check_name

Lister = Callable[[str], list[str] | None]


class Worktree:
    """Files below a project's folder, as checks, plans and runs may see them.

    root: the project's folder. boundary: the repository's, at or above it; what a link reaches outside is refused.
    tracked: the files of a folder that Git tracks or would, as posix paths below the folder; None outside Git.
    Paths are posix and relative to root. Answers are kept: a command sees one state of the repository.
    """

    def __init__(self, root: Path, *, boundary: Path | None = None, tracked: Lister = lambda _folder: None) -> None:
        self.root = root.resolve()
        self.boundary = (boundary or root).resolve()
        self._tracked = tracked
        self._listings: dict[str, Mapping[str, str]] = {}
        self._digests: dict[str, str] = {}

    def kind(self, path: str) -> str | None:
        """ "file", "folder", "escape" for what lies or leads outside the repository, or None."""
        try:
            real = (self.root / path).resolve()
            if not real.is_relative_to(self.boundary):
                return "escape"
            mode = real.stat().st_mode
        except (OSError, RuntimeError, ValueError):  # RuntimeError: links that go in circles
            return None
        return "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else None

    def exists(self, path: str) -> bool:
        """Whether anything has this name, were it a link that leads nowhere."""
        return os.path.lexists(self.root / path)

    def beside(self, path: str) -> list[str]:
        """The names in the folder that a path is in, sorted; none where it is no folder of the project."""
        folder = posixpath.dirname(path)
        if folder.startswith("..") or self.kind(folder) != "folder":
            return []
        try:
            return sorted(set(os.listdir(self.root / folder)) - SKIPPED)
        except OSError:
            return []

    def read(self, path: str) -> bytes:
        """The bytes of a spec, one more than a spec may have at most. Raises OSError, ValueError for no file."""
        kind = self.kind(path)
        if kind == "escape":
            raise ValueError(f"{path} leads outside the repository")
        if kind != "file":  # a pipe or a device would be waited for
            raise ValueError(f"{path} is no file")
        with (self.root / path).open("rb") as stream:
            return stream.read(MAX_SPEC_BYTES + 1)

    def sha256(self, path: str) -> str:
        """The digest of a file, or of a folder with all its files: what `store` says of the same bytes.

        Raises ValueError when it holds a link, and for what is Git's or a run's own.
        """
        if path not in self._digests:
            self._check_own(path)
            here = self.root / path
            found = folder_digest(self._hashed(path, _walk(here))) if here.is_dir() else f"sha256:{_sha256(here)}"
            self._digests[path] = found
        return self._digests[path]

    def listing(self, folder: str) -> Mapping[str, str]:
        """The files of a code folder: posix path below it -> 64 hex digits. Raises ValueError when it holds a link."""
        if folder not in self._listings:
            self._listings[folder] = self._hashed(folder, self._names(folder))
        return self._listings[folder]

    def files(self, folder: str, scratch: Path | None = None) -> dict[str, Path]:
        """The files of a code folder: posix path below it -> where it lies. Nothing needs a copy."""
        return {name: self.root / folder / name for name in self.listing(folder)}

    def place(self, path: str, scratch: Path | None = None) -> Path:
        """Where a file or folder lies; an absolute path is its own."""
        return self.root / path

    def _check_own(self, path: str) -> None:
        """Raises ValueError for what changes with every commit or run, and so has no digest that could be reviewed."""
        real = (self.root / path).resolve()
        if self.root.is_relative_to(real):
            raise ValueError(f'"{path}" holds the project itself, with what Git and runs keep in it')
        parts = real.parts[len(self.boundary.parts) :] if real.is_relative_to(self.boundary) else ()
        if own := next((part for part in parts if part in OWN), None):
            raise ValueError(f'"{path}" is in {own}, which {OWN[own]} for itself')

    def _names(self, folder: str) -> list[str]:
        tracked = self._tracked(folder)
        if tracked is None:
            return list(_walk(self.root / folder, SKIPPED))
        return [name.rstrip("/") for name in tracked if SKIPPED.isdisjoint(name.split("/"))]

    def _hashed(self, folder: str, names: Iterator[str] | list[str]) -> dict[str, str]:
        found = {}
        parents = {"."}  # those known to be no links
        for name in sorted(names):
            check_name(folder, name)
            here = self.root / folder / name
            for parent in Path(name).parents:
                if parent.as_posix() not in parents and (self.root / folder / parent).is_symlink():
                    raise ValueError(f'"{folder}/{parent.as_posix()}" is a link')  # in its place, Git tracks a folder
                parents.add(parent.as_posix())
            try:
                mode = here.lstat().st_mode
            except (FileNotFoundError, NotADirectoryError):
                continue  # Git still tracks it, the author deleted it
            if stat.S_ISLNK(mode):
                raise ValueError(f'"{folder}/{name}" is a link')
            if stat.S_ISDIR(mode):  # Git lists files, and of a repository within only its folder
                raise ValueError(f'"{folder}/{name}" is another repository')
            if not stat.S_ISREG(mode):
                raise ValueError(f'"{folder}/{name}" is a pipe, a socket or a device')
            found[name] = _sha256(here)
        return found


def _walk(folder: Path, skipped: Set[str] = frozenset()) -> Iterator[str]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(set(folders) - skipped)
        linked = [name for name in folders if os.path.islink(os.path.join(parent, name))]
        for name in [*files, *linked]:
            yield Path(parent, name).relative_to(folder).as_posix()


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
