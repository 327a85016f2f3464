"""What the engine waits for, all at one place: signals, ended children, threads that are done, output to read, time."""

from __future__ import annotations

import os
import selectors
import signal
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Thread
from types import FrameType, TracebackType
from typing import Any

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Wakeups:
    """While it is entered, a signal to stop is counted instead of raised, and everything wakes `wait`.

    Only the main thread can enter it, as with all signal handlers of Python.
    """

    def __init__(self) -> None:
        self.interrupts = 0
        self._selector = selectors.DefaultSelector()
        self._done: deque[Callable[[], None]] = deque()
        self._threads: list[Thread] = []

    def __enter__(self) -> Wakeups:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._selector.register(self._reader, selectors.EVENT_READ)
        self._before: dict[int, Any] = {}
        for number in STOPPING:
            # A run under nohup has asked that the end of its terminal be ignored.
            if not (number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN):
                self._before[number] = signal.signal(number, self._count)
        self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, _nothing)  # a handler, else nothing is written
        self._wakeup_before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(self._wakeup_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._selector.close()
        os.close(self._reader)
        # A thread that was given up may still write: its number must not become another file's.
        if not any(thread.is_alive() for thread in self._threads):
            os.close(self._writer)

    def _count(self, _number: int, _frame: FrameType | None) -> None:
        self.interrupts += 1

    def watch(self, descriptor: int, on_readable: Callable[[], object]) -> None:
        """Call back from `wait` when there is something to read."""
        self._selector.register(descriptor, selectors.EVENT_READ, on_readable)

    def unwatch(self, descriptor: int) -> None:
        self._selector.unregister(descriptor)

    def in_thread(self, work: Callable[[], Callable[[], None]]) -> None:
        """Do what may take long beside the loop; what the work returns is called from `wait`, in the main thread.

        A daemon thread: one that hangs on a dead disk must not keep an interrupted run from ending.
        """

        def body() -> None:
            try:
                done = work()
            except Exception as error:  # it is raised where the work is waited for
                done = partial(_raise, error)
            self._done.append(done)
            with suppress(BlockingIOError):  # so many wakeups wait that one more says nothing
                os.write(self._writer, b"\0")

        self._threads.append(Thread(target=body, daemon=True))
        self._threads[-1].start()

    def call(self, what: Callable[[], None]) -> None:
        """From any thread: have it called from `wait`, in the main one."""
        self._done.append(what)
        with suppress(BlockingIOError):
            os.write(self._writer, b"\0")

    def wait(self, timeout_seconds: float | None) -> None:
        """Wait until something happened, or for the time given; call what asked to be called."""
        for key, _ in self._selector.select(timeout_seconds):
            if key.fd == self._reader:
                _drain(self._reader)
            else:
                key.data()
        while self._done:
            self._done.popleft()()


def _raise(error: Exception) -> None:
    raise error


def _nothing(_number: int, _frame: FrameType | None) -> None:
    pass


def _drain(descriptor: int) -> None:
    try:
        while len(os.read(descriptor, 4096)) == 4096:
            pass
    except BlockingIOError:
        pass
