"""The history that a command answers from: what was cut off is told, what waits is landed, then the index is asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from typing import TypeVar

from mlgen.cli.counting import Counting
from mlgen.cli.ledgers.elsewhere import cache_of, known
from mlgen.cli.ledgers.records import Records, open_records
from mlgen.cli.output import note
from mlgen.cli.projects.workspace import Workspace
from mlgen.diagnostic import CannotAnswer
from mlgen.git import Repository, rewritten
from mlgen.ledger import epoch
from mlgen.ledger.index.build import Progress
from mlgen.ledger.index.history import History
from mlgen.ledger.index.kept import DAMAGE, Keeping, Opened

PATIENCE_SECONDS = 0.5  # before somebody at a terminal is told what takes so long
_T = TypeVar("_T")


def ask(env: str, question: Callable[[History], _T]) -> _T:
    """The answer to a question from all that is known now."""
    records = open_records(Workspace.around(), env)
    records.catch_up()

    def told(found: Opened) -> _T:
        _tell_elsewhere(records, found.history)
        tell_skipped(found.history)
        return question(found.history)

    return answered(records, told)


def answered(records: Records, question: Callable[[Opened], _T], *, anew: bool = False) -> _T:
    """The answer of an environment's index; asked again of a new one where it turns out damaged."""
    with closing(_opened(records, anew=anew)) as found:
        try:
            return question(found)
        except DAMAGE:
            if found.file is None or found.built:
                raise
    with closing(_opened(records, anew=True)) as found:
        return question(found)


def _opened(records: Records, *, anew: bool = False) -> Opened:
    """The index of an environment's ledger, at the ledger's commit. Raises what `kept.current` raises."""
    elsewhere = records.ledger.url is not None
    repository, as_of = known(records.ledger, lambda: records.signers) if elsewhere else (records.repository, None)
    place = records.ledger.url or str(repository.git_dir if repository else "")
    file = cache_of(place, records.branch) / "index.sqlite"

    def judge(known: str, tip: str) -> None:
        # A mirror of a ledger elsewhere has judged when it was refreshed.
        if records.ledger.url is None and repository is not None:
            _judge(records, repository, known, tip)

    with _progress() as progress:
        keeping = Keeping(file, judge=judge, progress=progress, tell=note)
        found = keeping.current(repository, records.branch, anew=anew)
    return replace(found, history=replace(found.history, as_of=as_of))


def _judge(records: Records, repository: Repository, known: str, tip: str) -> None:
    """Raises CannotAnswer "ledger-rewritten" for what lacks records that were known, and is no epoch that says so."""
    where = f'the ledger\'s branch "{records.branch}"'
    mend = "`mlgen ledger verify` says more; `mlgen ledger index --rebuild` takes the ledger as it is now"
    found = rewritten(repository, known, tip, repository)
    if found is None:
        why = f"{tip} goes on from {known}, and lacks files that it had, or has other bytes in them"
        raise CannotAnswer("ledger-rewritten", f"{where} lost records", why=why, fix=mend)
    begun = epoch.judge(found, records.signers, where=where, mend=mend)
    note(f"the ledger was begun anew without some records: epoch {begun.number}")


@contextmanager
def _progress() -> Iterator[Progress]:
    """Counts on a terminal what was read, once it takes long."""
    began = time.monotonic()
    shown: list[Counting] = []
    with ExitStack() as stack:

        def tell(count: int) -> None:
            if not shown and time.monotonic() - began > PATIENCE_SECONDS:
                shown.append(stack.enter_context(Counting("indexing the ledger")))
            for counting in shown:
                counting.say(f"{count:,} files")

        yield tell


def tell_skipped(history: History) -> None:
    count = history.count("skipped")
    if count:
        path, reason = history.select("SELECT path, reason FROM skipped ORDER BY path LIMIT 1")[0]
        files, others = ("1 file", "") if count == 1 else (f"{count} files", " and others")
        note(f"{files} of the ledger cannot be read here: {path}{others}: {reason}")


def _tell_elsewhere(records: Records, history: History) -> None:
    """In a plain clone, the ledger's branch is there as the other repository's."""
    branch, repository = records.branch, history.repository
    if history.commit is None and records.ledger.url is None and repository is not None:
        there = f"origin/{branch}"
        if repository.tip(f"refs/remotes/{there}") is not None:
            note(f'"{branch}" is no branch here, {there} is one: `git branch {branch} {there}`')
