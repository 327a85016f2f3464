"""The ledger of an environment whose repository is elsewhere: records are pushed to it, questions read a mirror."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from mlgen import git
from mlgen.cli.clock import SystemClock
from mlgen.cli.output import note
from mlgen.diagnostic import CannotAnswer
from mlgen.git import Remote, Repository, Rewritten, Signer, Signers, past
from mlgen.ledger import epoch
from mlgen.ledger.folding.turns import Paced, ahead
from mlgen.spec.project import Ledger
from mlgen.store import Store

LAND_SECONDS = 120.0  # what is not landed by then goes on waiting; reconcile lands twice in the 600 s of its CronJob
LOOK_SECONDS = 30.0  # for a small question
READ_SECONDS, READ_MIB = 300.0, 1024  # the first time, all that the ledger has; on a user's machine
HISTORY_SECONDS = 1800.0  # for its history as well
SIGNING_KEY = "MLGEN_LEDGER_SIGNING_KEY"  # a private key's file; before the one of SECRET
SECRET = "MLGEN_LEDGER_SECRET"  # a folder with the files of `ledger.secret`, as mounted in pods; absent: git's own ways


@contextmanager
def reached(ledger: Ledger, *, seconds: float = LAND_SECONDS, memory_mib: int = git.MEMORY_MIB) -> Iterator[Remote]:
    """The ledger's repository, to be asked and pushed to, for so long at most. memory_mib: of each process of git."""
    with tempfile.TemporaryDirectory(prefix="mlgen-ledger-") as scratch:
        yield _open(ledger, Path(scratch), seconds, memory_mib)


def paced(store: Store, ledger: Ledger, *, seconds: float) -> Paced:
    """When a command may push to a ledger that it reaches for so long: some of the time is left for the last push."""
    clock, interval = SystemClock(), ledger.interval_seconds
    return Paced(
        store,
        f"{ledger.url}\n{ledger.branch}",
        interval,
        uuid.uuid4().hex,
        clock,
        time.sleep,
        until=clock.monotonic() + seconds / 2,
        ahead=ahead(interval),
    )


def mirrored(ledger: Ledger, signers: Callable[[], Signers | None]) -> Repository | None:
    """What `known` says, by itself."""
    return known(ledger, signers)[0]


def known(ledger: Ledger, signers: Callable[[], Signers | None]) -> tuple[Repository | None, datetime | None]:
    """What the ledger's branch has, in a repository of the user's cache; None where there is no such branch.

    And when the host said so, where that was not now.
    signers: whose keys may begin an epoch; asked for where one was begun since the mirror was refreshed.
    Where the host cannot be reached, what it had when it was asked last, and a note that says so. Raises CannotAnswer
    "git-unreachable" where it was never asked, "git-denied", "git-no-repository", "git-untrusted", "ledger-rewritten".
    """
    mirror = Mirror(ledger, signers)
    try:
        return mirror.refresh(), None
    except CannotAnswer as fault:
        kept = git.kept(mirror.remote, ledger.branch) if fault.code == "git-unreachable" else None
        if kept is None:
            raise
        repository, at = kept
        note(f"{fault.message} ({fault.why}): this is the ledger as it was on {at:%Y-%m-%d %H:%M} UTC")
        return repository, at


def with_history(ledger: Ledger, signers: Callable[[], Signers | None]) -> Repository | None:
    """All that led to the ledger's tip, and its files, in repositories of the user's cache; None without a branch.

    signers: as in `mirrored`. A history that was rewritten is fetched as well: it is to be judged.
    Raises CannotAnswer "git-unreachable", "git-denied", "git-no-repository", "git-untrusted".
    """
    remote = _open(ledger, cache_of(ledger.url, ledger.branch), HISTORY_SECONDS, READ_MIB)
    history = past.bring(remote, ledger.branch)
    if history is None:
        return None
    try:
        # After the history: its files are here then, also those that landed meanwhile.
        return past.with_files_of(history, Mirror(ledger, signers).refresh())
    except CannotAnswer as fault:
        if fault.code != "ledger-rewritten":
            raise
        return past.with_files(remote, ledger.branch, history)


def with_all_files(ledger: Ledger, history: Repository) -> Repository:
    """What `with_history` gave, into which the files of all its commits were brought. Raises as that does."""
    assert ledger.url is not None
    remote = _open(ledger, cache_of(ledger.url, ledger.branch), HISTORY_SECONDS, READ_MIB)
    return past.with_files(remote, ledger.branch, history)


class Mirror:
    """All files of the branch's tip, in a repository of the user's cache. signers: as in `mirrored`."""

    def __init__(self, ledger: Ledger, signers: Callable[[], Signers | None]) -> None:
        self._ledger, self._signers = ledger, signers
        self.remote = _open(ledger, cache_of(ledger.url, ledger.branch), READ_SECONDS, READ_MIB)

    def refresh(self) -> Repository:
        """The repository, with what is there now.

        Raises as the remote's methods do; CannotAnswer "ledger-rewritten" for a history that does not go on from the
        tip that was seen last, and is no epoch of it.
        """
        return git.refresh(self.remote, self._ledger.branch, judge=self._judge)

    def _judge(self, rewritten: Rewritten) -> None:
        mend = (
            f"ask who keeps the ledger; if it is meant, remove {self.remote.scratch.folder}, and all is read anew\n"
            "with ledger.signers in mlgen.yaml a signed epoch is taken without a question"
        )
        where = f'the ledger\'s branch "{self._ledger.branch}"'
        found = epoch.judge(rewritten, self._signers(), where=where, mend=mend)
        note(f"the ledger was begun anew without some records: epoch {found.number}")


def _open(ledger: Ledger, scratch: Path, seconds: float, memory_mib: int = git.MEMORY_MIB) -> Remote:
    assert ledger.url is not None
    folder = os.environ.get(SECRET)
    secret = Path(folder) if folder else None
    return git.open_remote(
        ledger.url,
        secret=secret,
        scratch=scratch,
        secret_name=ledger.secret or "" if secret is not None else "",
        timeout_seconds=seconds,
        memory_mib=memory_mib,
        signer=signer(ledger),
    )


def signer(ledger: Ledger) -> Signer | None:
    """Who signs what this command adds to a ledger; None where no key is given."""
    key, folder = os.environ.get(SIGNING_KEY), os.environ.get(SECRET)
    if key:
        return Signer(Path(key).absolute(), f"{key}, which {SIGNING_KEY} names,")
    return git.signer_of(Path(folder) if folder else None, ledger.secret or "")


def cache_of(place: str | None, branch: str) -> Path:
    """What is kept of a ledger, by where its repository is: a URL, or the path of a Git folder.

    Not in the project: what a clone brings there could hold settings that name programs.
    """
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    name = hashlib.sha256(f"{place}\n{branch}".encode()).hexdigest()[:32]
    return Path(home) / "mlgen" / "ledgers" / name
