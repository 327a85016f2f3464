"""Spans judged side by side, in processes: what takes the time is Python's own reading of JSON."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

from mlgen.diagnostic import CannotAnswer
from mlgen.git import Repository
from mlgen.ledger.verify.span import Asked, Part, Terms, judge

if TYPE_CHECKING:
    from concurrent.futures import Future, ProcessPoolExecutor

ALONE = 20_000  # records that one process reads while others would only start
MOST_JOBS = 16
_AHEAD = 2  # spans that wait for each process

Judged = tuple[list[Asked], Part]


def judged(repository: Repository, spans: Iterator[list[Asked]], terms: Terms, jobs: int) -> Generator[Judged]:
    """Each span, and what it has, in their order. jobs: how many processes at most. Close it.

    Raises as `judge`.
    """
    records = 0
    for span in spans:
        part = judge(repository, span, terms)
        records += part.records
        yield span, part
        if jobs > 1 and records >= ALONE:
            yield from _in_processes(repository, spans, terms, jobs)
            return


def _in_processes(repository: Repository, spans: Iterator[list[Asked]], terms: Terms, jobs: int) -> Generator[Judged]:
    # Here: they are not for the small ledgers that most are.
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    # Spawned: a fork would copy a process that has threads, such as the one that draws the progress.
    pool = ProcessPoolExecutor(min(jobs, MOST_JOBS), mp_context=get_context("spawn"), initializer=_begin)
    try:
        yield from _ahead(pool, repository, spans, terms, jobs)
    finally:
        pool.shutdown(cancel_futures=True)  # also after an interrupt: spans at work take seconds


def _ahead(
    pool: ProcessPoolExecutor, repository: Repository, spans: Iterator[list[Asked]], terms: Terms, jobs: int
) -> Iterator[Judged]:
    running: deque[tuple[list[Asked], Future[Part | tuple[str, ...]]]] = deque()
    for span in spans:
        running.append((span, pool.submit(_judge, repository, span, terms)))
        if len(running) == jobs * _AHEAD:
            yield _result(*running.popleft())
    while running:
        yield _result(*running.popleft())


def _begin() -> None:
    """Ctrl-C is for our process, which ends the others; each would print where it was. One that is killed cannot."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    from multiprocessing import parent_process  # here: as the pool

    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


class _Told(CannotAnswer):
    """What a process could not answer, raised again in ours."""

    def __init__(self, code: str, message: str, why: str, fix: str) -> None:
        super().__init__(code, message, why=why, fix=fix)


def _judge(repository: Repository, span: list[Asked], terms: Terms) -> Part | tuple[str, ...]:
    """The part, or what a fault says: it could not be pickled."""
    try:
        return judge(repository, span, terms)
    except CannotAnswer as fault:
        return fault.code, fault.message, fault.why, fault.fix


def _result(span: list[Asked], future: Future[Part | tuple[str, ...]]) -> Judged:
    found = future.result()
    if isinstance(found, Part):
        return span, found
    raise _Told(*found)
