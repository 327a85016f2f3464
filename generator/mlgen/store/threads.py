"""Requests side by side: in a bucket each takes a trip there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor


@contextmanager
def threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """A pool whose running calls are waited for at the end, except after an interrupt: one may hang on a dead host."""
    # Here: it takes as long to load as a fold of one record from a folder.
    from concurrent.futures import ThreadPoolExecutor

    pool, wait = ThreadPoolExecutor(count), True
    try:
        yield pool
    except KeyboardInterrupt:
        wait = False
        raise
    finally:
        pool.shutdown(wait=wait, cancel_futures=True)
