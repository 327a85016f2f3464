"""What is asked of other repositories for `mlgen lock`: the commit of a ref, and the files that are used of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlgen import git
from mlgen.cli.projects.carrying import Wanted
from mlgen.diagnostic import CannotAnswer, Diagnostic, Findings
from mlgen.git.mirror import alone, unlock
from mlgen.git.remote_reader import RemoteReader
from mlgen.git.remote_tree import FOLDER, LINK, REPOSITORY, RemoteTree
from mlgen.git.tree import Entry
from mlgen.spec.carried import MOST_FILES, Carried, carried
from mlgen.spec.checks.context import listed, near
from mlgen.spec.paths import named
from mlgen.spec.project import SourceRepository
from mlgen.spec.sources import COMMIT
from mlgen.worktree.names import MAX_SPEC_BYTES, check_name

MOST_BYTES = 64 << 20  # of all files of a source
SECONDS = 600.0
MEMORY_MIB = 512
_POINTER = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True, slots=True)
class At:
    """A commit of a source. ref: the full name that leads to it, or its id."""

    commit: str
    ref: str


class Fetcher:
    """One source's repository, asked with the logins of this user's git. Raises CannotAnswer as git.Remote does."""

    def __init__(self, name: str, source: SourceRepository) -> None:
        self.name, self.source = name, source
        home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        # Not in the project: what a clone brings there could hold settings that name programs.
        folder = Path(home) / "mlgen" / "sources" / hashlib.sha256(source.url.encode()).hexdigest()[:32]
        self.remote = git.open_remote(
            source.url, secret=None, scratch=folder, environ=os.environ, timeout_seconds=SECONDS, memory_mib=MEMORY_MIB
        )

    def at_ref(self) -> At:
        """The commit that the ref of mlgen.yaml is now. Raises CannotAnswer "source-no-ref" where there is none."""
        ref = self.source.ref
        if COMMIT.fullmatch(ref):
            return At(ref, ref)
        with self._told():
            found = self.remote.pointed_at(ref)
        if len(found) == 1:
            ((name, commit),) = found.items()
            return At(commit, name)
        if found:
            why = "which one is meant changes what runs"
            raise CannotAnswer(
                "source-no-ref", f'"{ref}" is a branch and a tag of {self.remote.shown}', why=why,
                fix=f"write the commit as ref of sources.{self.name}: one of {', '.join(sorted(found.values()))}",
            )  # fmt: skip
        raise CannotAnswer(
            "source-no-ref", f'{self.remote.shown} has no branch or tag "{ref}"',
            fix=f"write another ref for sources.{self.name}; `git ls-remote {self.remote.shown}` lists them",
        )  # fmt: skip

    def files(self, at: At, wanted: Wanted) -> dict[str, bytes]:
        """The files that are used, with all that they bring along, as the commit has them.

        Raises Findings where what is used is not there, or cannot be taken along.
        """
        with self._told(), alone(self.remote.scratch.folder):
            try:
                return self._files(at, wanted)
            except git.GitError:  # what a killed process left; or it is not there, which shows the second time
                self.remote.scratch.forget()
            try:
                return self._files(at, wanted)
            except git.GitError as error:
                raise CannotAnswer(
                    "source-gone",
                    f"{self.remote.shown} does not give {at.commit[:12]}, which is wanted of it",
                    why=f"{error}; what vendor/{self.name} has is used as it is",
                    fix="mlgen lock --upgrade takes what the ref is now",
                ) from None

    def _files(self, at: At, wanted: Wanted) -> dict[str, bytes]:
        unlock(self.remote.scratch.repository(at.commit).git_dir)
        ref = at.ref if at.ref.startswith("refs/") else f"refs/heads/{self.source.ref}"
        with self.remote.reader() as reader:
            origin = _There(reader, at.commit, ref)
            try:
                found = carried(origin, wanted.name, wanted.roots)
                if found.missing:
                    raise Findings(self._missing(found, origin, at, wanted))
                return origin.all_of(sorted(found.files))
            except ValueError as error:
                place = next(iter(wanted.roots.values()))
                message = f"{self.name} has what cannot be taken along: {error}"
                why = f"the files that are used of it are kept in vendor/{self.name}, as they are at {at.commit[:12]}"
                fix = "have it put right there, or use another task"
                raise Findings([place.finding("bad-source", message, why, fix)]) from None

    def _missing(self, found: Carried, origin: _There, at: At, wanted: Wanted) -> Iterator[Diagnostic]:
        where = f"at {self.source.ref}, which is {at.commit[:12]}"
        for path, by in found.missing.items():
            if by:
                root = next(iter(wanted.roots.values()))
                message = f"{by} of {self.name} names {path}, which is not there {where}"
                yield root.finding("no-such-path", message, "", "have it put right there, or use another task")
                continue
            place = wanted.roots[path]
            names = [name.removesuffix(".yaml") for name in origin.beside(path)]
            asked = named(str(place.value))
            guess = near(f"{asked.name}@{asked.version}", names) if asked else None
            fix = f"write {self.name}/{guess}" if guess else "use one of those, or another ref in mlgen.yaml"
            why = f"it has: {listed(sorted(names))}"
            yield place.finding("no-such-path", f"{self.name} has no {path} {where}", why, fix)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Faults of the host, in the words of mlgen.yaml."""
        try:
            yield
        except CannotAnswer as fault:
            fix = fault.fix.replace("ledger.url", f"sources.{self.name}.url").replace(
                "make the repository (empty)", "make it"
            )
            raise CannotAnswer(fault.code, fault.message, why=fault.why, fix=fix) from None


class _There:
    """The files of a source's commit, there."""

    def __init__(self, reader: RemoteReader, commit: str, ref: str) -> None:
        self._tree = RemoteTree(reader, commit, ref)

    def kind(self, path: str) -> str | None:
        entry = self._tree.entry(path)
        if entry is None:
            return None
        _check(path, entry)
        return "folder" if entry.mode == FOLDER else "file"

    def read(self, path: str) -> bytes:
        entry = self._tree.entry(path)
        assert entry is not None, "its kind was asked for"
        (found,) = self._tree.read([entry])
        if found.size_bytes > MAX_SPEC_BYTES:
            raise ValueError(f"{path} has {found.size_bytes:,} bytes, and a spec at most {MAX_SPEC_BYTES:,}")
        return found.data

    def below(self, folder: str) -> list[str]:
        entries = self._tree.below(folder, MOST_FILES)
        for name, entry in entries.items():
            check_name(folder, name)
            _check(f"{folder}/{name}", entry)
        return [f"{folder}/{name}" for name in entries]

    def beside(self, path: str) -> list[str]:
        """The names of specs in a file's folder."""
        entries = self._tree.below(path.rpartition("/")[0], MOST_FILES)
        return [name for name in entries if name.endswith(".yaml") and "/" not in name]

    def all_of(self, paths: Iterable[str]) -> dict[str, bytes]:
        """What files hold. Raises ValueError for too much, and for pointers to what Git LFS keeps."""
        entries = {path: entry for path in paths if (entry := self._tree.entry(path)) is not None}
        found, total = {}, 0
        for path, one in zip(entries, self._tree.read(entries.values()), strict=True):
            total += one.size_bytes
            if len(one.data) != one.size_bytes or total > MOST_BYTES:
                raise ValueError(f"{path} makes it more than {MOST_BYTES >> 20} MiB: large files belong into a bucket")
            if one.data.startswith(_POINTER):
                raise ValueError(f"{path} is kept by Git LFS: large files belong into a bucket")
            found[path] = one.data
        return found


def _check(path: str, entry: Entry) -> None:
    if entry.mode == LINK:
        raise ValueError(f"{path} is a link")
    if entry.mode == REPOSITORY:
        raise ValueError(f"{path} is another repository, a submodule")
