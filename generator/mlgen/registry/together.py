"""Many questions at once, each with an end: a host that hangs, or drips, holds up nobody else."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def together(
    ask: Callable[[A], B], questions: Sequence[A], *, at_once: int, seconds: float
) -> Iterator[tuple[A, B | Exception | None]]:
    """(question, its answer, or what `ask` raised, or None when it took longer than `seconds`), as they come.

    A thread that takes longer is left to itself: names are looked up, and headers read, without an end that one could
    set. It is a daemon, and ends with the program.
    """
    answers: queue.SimpleQueue[tuple[int, B | Exception]] = queue.SimpleQueue()

    def one(index: int) -> None:
        try:
            answers.put((index, ask(questions[index])))
        except Exception as error:  # whoever asked for all of it sorts them
            answers.put((index, error))

    waiting = list(range(len(questions)))[::-1]
    running: dict[int, float] = {}  # until when
    while waiting or running:
        while waiting and len(running) < at_once:
            index = waiting.pop()
            running[index] = time.monotonic() + seconds
            threading.Thread(target=one, args=(index,), daemon=True).start()
        try:
            index, answer = answers.get(timeout=max(0.0, min(running.values()) - time.monotonic()))
        except queue.Empty:
            now = time.monotonic()
            for late in [i for i, until in running.items() if until <= now]:
                del running[late]
                yield questions[late], None
            continue
        if running.pop(index, None) is not None:
            yield questions[index], answer
