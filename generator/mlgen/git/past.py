"""All commits and folders of a branch elsewhere, kept in a folder for reading; the files' bytes are the mirror's.

A ledger only grows: what any of its commits added, the newest has. So a host with partial clones sends no bytes of a
file here; another sends them all, once more.
"""

from __future__ import annotations

from dataclasses import replace

from mlgen.git.command import GitError, RefLocked
from mlgen.git.mirror import alone, unlock
from mlgen.git.remote import Remote
from mlgen.git.repository import Repository, branch_ref, init_bare

_FOLDER = "history.git"  # in the remote's scratch
_PACKS = 30  # one or none for each time; more of them make each look slower


def bring(remote: Remote, branch: str) -> Repository | None:
    """The history of a branch as it is there now, in the remote's scratch; None where there is no such branch.

    What was brought before stays, also what the branch does not lead to any more: it tells what was there.
    Raises what the remote's methods raise.
    """
    ref = branch_ref(branch)
    tip = remote.tip(ref)
    if tip is None:
        return None
    with alone(remote.scratch.folder):
        repository = init_bare(remote.scratch.folder / _FOLDER, object_format=_format(tip))
        if repository.tip(ref) != tip:
            unlock(repository.git_dir)
            try:
                remote.fetch_history(repository.git_dir, ref, with_files=False)
            except (GitError, RefLocked):  # a host that takes no filter at all
                remote.fetch_history(repository.git_dir, ref, with_files=True)
            if len(list((repository.git_dir / "objects" / "pack").glob("*.pack"))) > _PACKS:
                repository.run("repack", "-a", "-d", "-q", "--keep-unreachable")
    return repository


def follow(remote: Remote, branch: str) -> None:
    """As `bring`, where a history was brought before."""
    if (remote.scratch.folder / _FOLDER).exists():
        bring(remote, branch)


def with_files_of(repository: Repository, other: Repository) -> Repository:
    """The repository, in which the objects of another are found too."""
    beside = {"GIT_ALTERNATE_OBJECT_DIRECTORIES": str(other.git_dir / "objects")}
    return replace(repository, environ={**repository.environ, **beside})


def with_files(remote: Remote, branch: str, repository: Repository) -> Repository:
    """The repository, into which the files of all its commits were brought."""
    with alone(remote.scratch.folder):
        remote.fetch_history(repository.git_dir, branch_ref(branch), with_files=True)
    return repository


def _format(oid: str) -> str:
    return "sha256" if len(oid) == 64 else "sha1"
