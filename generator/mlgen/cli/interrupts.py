"""What a user, or a CI job that is cancelled, interrupts: SIGINT and SIGTERM alike."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import Any, NoReturn


class Interrupted(KeyboardInterrupt):
    """Asked to stop; as a KeyboardInterrupt it ends a command that does not expect it with 130."""


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM as an interrupt, where it would else end this process alone, or, of a container's first one, nothing.

    What was started, such as git and what talks to a host for it, is ended on the way out.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _interrupted(_number: int, _frame: FrameType | None) -> NoReturn:
    raise Interrupted


class Interrupts(AbstractContextManager["Interrupts"]):
    """While it is entered, a signal raises Interrupted; `held` ones do when they are let go, unless a second comes."""

    def __init__(self) -> None:
        self._held, self._count = False, 0

    def __enter__(self) -> Interrupts:
        self._before = {n: signal.signal(n, self._interrupt) for n in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_about: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def hold(self) -> None:
        """What begins now is to be finished: the first signal waits."""
        self._held, self._count = True, 0

    def let_go(self) -> None:
        """Raises Interrupted when a signal waits."""
        self._held = False
        if self._count:
            self._raise()

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        self._count += 1
        if not self._held or self._count > 1:
            self._raise()

    def _raise(self) -> NoReturn:
        self._count = 0
        raise Interrupted
