"""How the sidecar waits: until main's container is gone, a program of ours wakes it, it is to end, or time is up."""

from __future__ import annotations

import os
import select
import signal
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread

from mlgen.diagnostic import Fault
from mlgen.runtime.clock import Clock
from mlgen.runtime.outs import sentence
from mlgen.runtime.pod.handover import WAKE

STOP_SECONDS = 25  # of the 30 that Kubernetes gives a pod that is told to end
REFUSED_SECONDS = 10  # for a store that is there and says no, should it only have begun to say yes
AWAY = ("store-unreachable", "store-busy")  # what may be over if one waits
PAUSES_SECONDS = (0.2, 0.5, 1, 2, 5)  # between tries; then the last of them
PIPE_BYTES = 1 << 16


class Watch:
    """Makes the FIFOs and takes SIGTERM; to be made in the main thread, once.

    main_gone: a script had begun in main's container, and no process is left there. stopping: told to end.
    """

    def __init__(self, alive: Path, state: Path, clock: Clock) -> None:
        self.main_gone = self.stopping = False
        self._clock = clock
        self._stopped_at = 0.0
        for fifo in (alive, state / WAKE):
            with suppress(FileExistsError):  # by a sidecar that was killed, where the kubelet starts such again
                os.mkfifo(fifo, 0o660)
        self._alive = _open_fifo(alive)
        # For writing too, so that it never ends when those who wake have gone.
        self._wake = os.open(state / WAKE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        if self._alive is not None:
            self._poll.register(self._alive, 0)  # its end is told unasked; what is written to it interests nobody
        self._poll.register(self._wake, select.POLLIN)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._stop)

    def _stop(self, _number: int, _frame: object) -> None:
        if not self.stopping:
            self.stopping, self._stopped_at = True, self._clock.monotonic()

    def wait(self, seconds: float) -> None:
        """Wait until something happened, for so long at most."""
        for descriptor, _event in self._poll.poll(max(0, int(seconds * 1000))):
            if descriptor == self._alive:
                self.main_gone = True
                self._poll.unregister(descriptor)
            else:
                os.read(self._wake, 4096)

    @property
    def main_held(self) -> bool:
        """Whether a script's process is known to be there right now; never of the exec form, which holds nothing."""
        if self._alive is None or self.main_gone:
            return False
        try:
            return os.read(self._alive, PIPE_BYTES) != b""  # the end of a FIFO is that nobody holds it
        except BlockingIOError:
            return True

    def insist(self, work: Callable[[], object], seconds: float) -> str | None:
        """Have some work done, however often it must be tried, for so many seconds; why it could not be.

        Less long when told to end, and where what is asked is refused: that is no matter of waiting.
        """
        began, pauses, pause = self._clock.monotonic(), iter(PAUSES_SECONDS), 0.0
        problem = f"there was no answer within {seconds:.0f} s"
        while True:
            errand = self.attempt(work, began + seconds - self._clock.monotonic())
            if not errand.done:
                return problem
            if errand.error is None:
                return None
            problem, pause = sentence(errand.error), next(pauses, pause)
            is_away = isinstance(errand.error, Fault) and errand.error.code in AWAY
            until = began + (seconds if is_away else min(seconds, REFUSED_SECONDS))
            if self._left(until) <= pause:
                return problem
            self._pause(pause)

    def attempt(self, work: Callable[[], object], seconds: float) -> Errand:
        """Begin some work that may block for long, and wait for its end, for so many seconds, or until told to end."""
        until = self._clock.monotonic() + seconds
        errand = self.beside(work)
        while not errand.done and (left := self._left(until)) > 0:
            self.wait(min(left, 1.0))
        return errand

    def beside(self, work: Callable[[], object]) -> Errand:
        """Begin some work that may block for long, whose end wakes."""
        return Errand(work, lambda: os.write(self._wake, b"."))

    def _pause(self, seconds: float) -> None:
        until = self._clock.monotonic() + seconds
        while (left := self._left(until)) > 0:
            self.wait(left)

    def _left(self, until: float) -> float:
        """Seconds until some time, or until this process must have ended."""
        if self.stopping:
            until = min(until, self._stopped_at + STOP_SECONDS)
        return until - self._clock.monotonic()


def _open_fifo(path: Path) -> int | None:
    """A FIFO, to be read; None where a program has put something else in its place, before a second sidecar came."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC)
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
    return None


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
