"""All files of a remote branch's tip, kept in a folder for reading: what is new is fetched when it is asked for."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from mlgen.git.ancestry import Rewritten
from mlgen.git.command import GitError, RefLocked
from mlgen.git.remote import Remote
from mlgen.git.repository import Repository, branch_ref

_PACKS = 30  # one or none for each refresh; more of them make each look slower
_STAMP = "refreshed"
_NEW = "refs/mlgen/new"  # what was fetched, and is not believed yet

_BEFORE = "refs/mlgen/before"  # the tip before this one

Judge = Callable[[Rewritten], object]


def refresh(remote: Remote, branch: str, *, judge: Judge | None = None) -> Repository:
    """The repository in the remote's scratch, with the branch as it is there now: all its files, none of its history.

    judge: raises what is to be raised where the branch does not go on from the tip that was seen last; the mirror then
    stays as it is. None: everything is believed.
    Any number of processes may share a scratch, and any may be killed: what it left broken is fetched anew.
    Raises what the remote's methods raise.
    """
    ref = branch_ref(branch)
    tip = remote.tip(ref)
    with alone(remote.scratch.folder):
        try:
            repository = _bring(remote, ref, tip, judge)
        except (GitError, RefLocked):
            remote.scratch.forget()
            remote.ancestry.forget()
            repository = _bring(remote, ref, tip, judge)
        (remote.scratch.folder / _STAMP).touch()
    return repository


def kept(remote: Remote, branch: str) -> tuple[Repository, datetime] | None:
    """What the last refresh brought, and when that was; None where there was none, or it found no branch."""
    stamp = remote.scratch.folder / _STAMP
    if not stamp.exists():
        return None
    repository = remote.scratch.repository()
    if repository.tip(branch_ref(branch)) is None:
        return None
    return repository, datetime.fromtimestamp(stamp.stat().st_mtime, UTC)


def _bring(remote: Remote, ref: str, tip: str | None, judge: Judge | None) -> Repository:
    repository = remote.scratch.repository(tip)
    here = repository.tip(ref)
    if tip is None:
        if here is not None:
            repository.run("update-ref", "-d", ref)
    elif tip != here:
        unlock(repository.git_dir)
        remote.scratch.fetch_whole(ref, to=_NEW)
        new = repository.resolve(_NEW)
        assert new is not None, "it was fetched just now"
        if judge is not None:
            _believe(remote, ref, repository, new, judge)
        if here is not None:
            # Who has read what was here asks next what is new since then: no repack may throw it away.
            repository.run("update-ref", _BEFORE, here)
        repository.run("update-ref", ref, new)
        if len(list((repository.git_dir / "objects" / "pack").glob("*.pack"))) > _PACKS:
            repository.run("repack", "-a", "-d", "-q")
    return repository


def _believe(remote: Remote, ref: str, repository: Repository, new: str, judge: Judge) -> None:
    """Raises what the judge raises. What is known outlives the mirror's files, and a branch that was away.

    repository: the mirror, whose ref still points to the tip before; that is the known one where none was judged yet.
    """
    ancestry = remote.ancestry
    known, here = ancestry.known(), repository.tip(ref)
    ancestry.bring(ref, new, whole=known is None and here is not None)
    known = known or here
    rewritten = None if known is None else ancestry.rewritten(known, new, repository)
    if rewritten is not None:
        judge(rewritten)
    ancestry.know(new)


@contextmanager
def alone(scratch: Path) -> Iterator[None]:
    """Waits until no other process refreshes there. The lock ends with its process, however that ends."""
    descriptor = os.open(scratch / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def unlock(git_dir: Path) -> None:
    """Remove git's own locks: nobody else is at work here, so a killed process left them."""
    for lock in (*git_dir.glob("*.lock"), *(git_dir / "refs").rglob("*.lock")):
        lock.unlink(missing_ok=True)
