"""How the sidecar waits: until main's script is gone, a program of ours wakes it, it is told to end, or time is up."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable
from pathlib import Path
from threading import Thread

from mlgen.runtime.handover import WAKE


class Watch:
    """Makes the FIFOs and takes SIGTERM; to be made in the main thread, once.

    main_gone: the script of main had opened its FIFO, and no process holds it any more. stopping: told to end.
    """

    def __init__(self, alive: Path, state: Path) -> None:
        self.main_gone = self.stopping = False
        for fifo in (alive, state / WAKE):
            os.mkfifo(fifo, 0o660)
        self._alive = os.open(alive, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        # For writing too, so that it never ends when those who wake have gone.
        self._wake = os.open(state / WAKE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._alive, 0)  # its end is told unasked; what is written to it interests nobody
        self._poll.register(self._wake, select.POLLIN)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._stop)

    def _stop(self, _number: int, _frame: object) -> None:
        self.stopping = True

    def wait(self, seconds: float) -> None:
        """Wait until something happened, for so long at most."""
        for descriptor, _event in self._poll.poll(max(0, int(seconds * 1000))):
            if descriptor == self._alive:
                self.main_gone = True
                self._poll.unregister(self._alive)
            else:
                os.read(self._wake, 4096)

    def run_errand(self, work: Callable[[], object]) -> Errand:
        """Begin some work that may block for long, beside the waiting; its end wakes."""
        return Errand(work, lambda: os.write(self._wake, b"."))


class Errand:
    """Work in a thread that nobody has to wait for. error: what it raised."""

    def __init__(self, work: Callable[[], object], ended: Callable[[], object]) -> None:
        self.done = False
        self.error: Exception | None = None
        self._work, self._ended = work, ended
        Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            self._work()
        except Exception as error:  # judged in the main thread
            self.error = error
        self.done = True
        self._ended()
