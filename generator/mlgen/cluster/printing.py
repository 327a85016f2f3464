"""What the programs of a run print, line by line as they print it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from mlgen.cluster.api import Api, ApiError, Unreachable
from mlgen.cluster.events import Printed
from mlgen.cluster.failure import STEP
from mlgen.cluster.view import MAIN, Attempt

AGAIN_SECONDS = 1.0
NOT_YET = 400  # how a log is refused whose container has yet to start
LONGEST_LINE_BYTES = 16 * 1024  # one without an end is told in pieces


@dataclass
class Printing:
    """Reads logs in threads of its own, of each attempt once. tell: gets each line, in some thread."""

    api: Api
    namespace: str
    tell: Callable[[Printed], object]
    _threads: dict[str, threading.Thread] = field(default_factory=dict)
    _closed: threading.Event = field(default_factory=threading.Event)

    def start(self, attempt: Attempt) -> None:
        """Tell what an attempt's program prints, to its end; nothing of a pod without an author's program."""
        if attempt.pod in self._threads or not attempt.step(MAIN):
            return
        self._threads[attempt.pod] = threading.Thread(target=self._run, args=(attempt,), daemon=True)
        self._threads[attempt.pod].start()

    @property
    def goes_on(self) -> bool:
        """Whether there may be more lines."""
        return any(thread.is_alive() for thread in self._threads.values())

    def close(self) -> None:
        """Begin no other connection."""
        self._closed.set()

    def _run(self, attempt: Attempt) -> None:
        for line in lines(self._chunks(attempt)):
            self.tell(Printed(attempt.task, line))

    def _chunks(self, attempt: Attempt) -> Iterator[bytes]:
        """The log from its first byte, once, over as many connections as it takes."""
        told = 0
        while not self._closed.is_set():
            seen = 0
            try:
                for chunk in self.api.log(self.namespace, attempt.pod, STEP + MAIN, follow=True):
                    seen += len(chunk)
                    if seen > told:
                        yield chunk[max(0, len(chunk) - (seen - told)) :]
                        told = seen
                return
            except ApiError as refused:
                if refused.status != NOT_YET or attempt.succeeded is not None:
                    return
            except Unreachable:
                pass
            self._closed.wait(AGAIN_SECONDS)


def lines(chunks: Iterator[bytes]) -> Iterator[str]:
    """Text by lines, without their ends; what is not UTF-8 is shown as such."""
    held = b""
    for chunk in chunks:
        *whole, held = (held + chunk).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)
        if len(held) > LONGEST_LINE_BYTES:
            yield held.decode(errors="replace")
            held = b""
    if held:
        yield held.decode(errors="replace")
