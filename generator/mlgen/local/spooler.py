"""Puts records into the spool beside the loop: each put waits for the disk, and tasks should not."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread


class Spooler:
    """One thread that puts, in order. spool: makes bytes durable.

    What it could not put is still in the run's folder, so recovery puts it.
    """

    def __init__(self, spool: Callable[[bytes], object]) -> None:
        self._spool = spool
        self._queue: SimpleQueue[tuple[bytes, Callable[[], object]] | None] = SimpleQueue()
        self._error: Exception | None = None
        self._thread = Thread(target=self._work, daemon=True)
        self._thread.start()

    def put(self, data: bytes, then: Callable[[], object] = lambda: None) -> None:
        """Put it soon. then: what is done when it is durable; fails as the put does."""
        self._queue.put((data, then))

    def close(self) -> None:
        """Wait until all is put. Raises what the first put raised that did; later ones were not tried."""
        self.abandon()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def abandon(self) -> None:
        """Let the thread end when it has put what it was given; nobody waits for it."""
        self._queue.put(None)

    def _work(self) -> None:
        while (asked := self._queue.get()) is not None and self._error is None:
            data, then = asked
            try:
                self._spool(data)
                then()
            except Exception as error:  # it is raised in the main thread
                self._error = error
