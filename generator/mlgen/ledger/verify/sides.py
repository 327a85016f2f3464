"""Spans judged side by side, in processes: what takes the time is Python's own reading of JSON."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from itertools import chain
from typing import TYPE_CHECKING

from mlgen.diagnostic import CannotAnswer
from mlgen.git import Repository
from mlgen.ledger.verify.span import Asked, Part, Terms, judge

if TYPE_CHECKING:
    from concurrent.futures import Future

    _Future = Future[Part | tuple[str, ...]]

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
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    # Spawned: a fork would copy a process that has threads, such as the one that draws the progress.
    pool = ProcessPoolExecutor(min(jobs, MOST_JOBS), mp_context=get_context("spawn"), initializer=_begin)
    held: deque[list[Asked]] = deque()
    try:
        yield from _ahead(spans, held, lambda span: pool.submit(_judge, repository, span, terms), jobs)
    except BrokenProcessPool:  # the kernel killed one, most likely for memory: nothing is lost, and one needs less
        yield from ((span, judge(repository, span, terms)) for span in chain(held, spans))
    finally:
        pool.shutdown(cancel_futures=True)  # also after an interrupt: spans at work take seconds


def _ahead(
    spans: Iterator[list[Asked]], held: deque[list[Asked]], submit: Callable[[list[Asked]], _Future], jobs: int
) -> Iterator[Judged]:
    """held: the spans that were taken, and whose parts were not given yet."""
    running: deque[_Future] = deque()
    for span in spans:
        held.append(span)
        running.append(submit(span))
        if len(running) == jobs * _AHEAD:
            part = _part(running.popleft())
            yield held.popleft(), part
    for future in running:
        part = _part(future)
        yield held.popleft(), part


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


def _part(future: _Future) -> Part:
    found = future.result()
    if isinstance(found, Part):
        return found
    raise _Told(*found)
