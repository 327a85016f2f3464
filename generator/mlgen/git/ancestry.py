"""The commits of a branch elsewhere, without their files: what a tip that is known has become, for little."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from mlgen.git.command import GitError
from mlgen.git.difference import first_other, share_files
from mlgen.git.host import NAME, Host
from mlgen.git.repository import Repository, init_bare

_NEW = "refs/mlgen/new"
_ID = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_FETCH = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--update-shallow")
# As in `scratch`: for one call. A host that knows no filter sends the files too, and nothing else changes.
_COMMITS = (f"remote.{NAME}.promisor=true", f"remote.{NAME}.partialclonefilter=tree:0")


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A history that does not go on from the tip that is known.

    known, tip, root: ids of the known tip, of the new one, and of the commit that the new history begins with; of the
    first and the last also their bytes. has_root: whether the known history has that commit, too. leads_to: whether
    the known tip leads to a commit, by its id, as far as that is known here. files: has files of some of its commits.
    """

    known: str
    known_commit: bytes
    tip: str
    root: str
    root_commit: bytes
    has_root: bool
    leads_to: Callable[[str], bool] = field(default=lambda _oid: False, repr=False, compare=False)
    files: Repository | None = field(default=None, repr=False, compare=False)

    def other_than(self, last: str) -> str | None:
        """A file that the new history begins with, and one before it did not have so; None: nothing here says so.

        last: the tip, by its id, at which that ended. What the known one had, stays as it was; where `last` is here,
        there is no more than it had. Raises GitError.
        """
        if self.files is None:
            return None
        before, root = self.files.resolve(last), self.files.resolve(self.root)
        known, begun = self._known_and_begun()
        found = None
        if before and root:
            found = first_other(self.files, before, root, grown=False)
        if found is None and known and begun:
            found = first_other(self.files, known, begun, grown=True)
        return found

    def shares_files(self) -> bool:
        """Whether the new history begins with a file that is known; True where nothing says so. Raises GitError."""
        known, begun = self._known_and_begun()
        return self.files is None or not (known and begun) or share_files(self.files, known, begun)

    def _known_and_begun(self) -> tuple[str | None, str | None]:
        """The commits, as far as they are here. A mirror has no files of the root, once something landed after it."""
        if self.files is None:
            return None, None
        return self.files.resolve(self.known), self.files.resolve(self.root) or self.files.resolve(self.tip)


@dataclass(frozen=True, slots=True)
class Ancestry:
    """A bare repository in the host's scratch folder, with the commits since the first one that was known.

    Methods raise what `Host.call` and `Host.fault` say, and GitError.
    """

    host: Host
    environ: Mapping[str, str] | None = field(repr=False)

    @property
    def _folder(self) -> Path:
        return self.host.scratch / "commits.git"

    def known(self) -> str | None:
        """The id of the tip that was known last. It outlives the commits: they can be brought again."""
        try:
            text = self._known.read_text().strip()
        except OSError:
            return None
        return text if _ID.fullmatch(text) else None

    def know(self, tip: str) -> None:
        """Let this tip, which `bring` brought, be the known one from now on."""
        new = self._known.with_suffix(".new")
        new.write_text(f"{tip}\n")
        new.replace(self._known)

    @property
    def _known(self) -> Path:
        return self.host.scratch / "known"

    def bring(self, ref: str, tip: str, *, whole: bool = False) -> None:
        """Bring the commits of a ref since the known tip; of a new scratch only the last. whole: all, to the first."""
        here = self._repository(tip)
        if whole:
            depth = ["--unshallow"] if (here.git_dir / "shallow").exists() else []
        else:
            depth = [] if self.known() else ["--depth=1"]
        done = self.host.call(here.git_dir, *_FETCH, *depth, NAME, f"+{ref}:{_NEW}", settings=_COMMITS)
        if done.code:
            raise self.host.fault(done.err, "read")

    def rewritten(self, known: str, tip: str, files: Repository) -> Rewritten | None:
        """How the history of a tip, which `bring` brought, is another than that of a known one; None: it goes on."""
        return rewritten(self._repository(tip), known, tip, files)

    def root(self, tip: str) -> str:
        """The id of the commit that a tip's history begins with, as far as it is here."""
        return _root(self._repository(tip), tip)

    def commit(self, oid: str) -> bytes:
        """The bytes of a commit."""
        return self._repository(oid).run("cat-file", "commit", oid)

    def forget(self) -> None:
        """Throw the commits away."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _repository(self, oid: str | None = None) -> Repository:
        form = None if oid is None else "sha256" if len(oid) == 64 else "sha1"
        return init_bare(self._folder, self.environ, object_format=form)


def rewritten(here: Repository, known: str, tip: str, files: Repository) -> Rewritten | None:
    """How the history of a tip is another than that of a known one, in a repository that has both; None: it goes on.

    files: the repository, or another, in which the files of some of the commits are.
    """
    if _leads(here, known, tip):
        return None
    root = _root(here, tip)
    known_commit = here.run("cat-file", "commit", known) if here.resolve(known) else b""
    root_commit = here.run("cat-file", "commit", root)
    has_root = _leads(here, root, known)
    return Rewritten(known, known_commit, tip, root, root_commit, has_root, partial(_leads, here, known), files)


def _root(here: Repository, tip: str) -> str:
    return here.run("rev-list", "--max-parents=0", tip).decode().split()[-1]


def _leads(here: Repository, earlier: str, later: str) -> bool:
    try:
        here.run("merge-base", "--is-ancestor", earlier, later)
    except GitError:  # also where one of them is not here
        return False
    return True
