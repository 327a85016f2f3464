"""Runs at once, a process each, so that what ends one ends no other; never more than so many."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlgen.cli.backfilling.known import Turn

PAUSE_SECONDS = 0.05  # between looks
TAIL_LINES = 5  # of what a run that failed said


@dataclass(frozen=True, slots=True)
class Ended:
    """A run's process ended. state: COMPLETE, FAIL or ABORT; None where there was no run. code: its exit code."""

    turn: Turn
    uid: str | None
    state: str | None
    code: int
    seconds: float
    tail: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Going:
    turn: Turn
    process: subprocess.Popen[bytes]
    out: Path
    err: Path
    began: float


class Pool:
    """arguments: of `mlgen` for a turn. scratch: an empty folder."""

    def __init__(self, arguments: Callable[[Turn], Sequence[str]], scratch: Path) -> None:
        self._arguments, self._scratch = arguments, scratch
        self._going: list[_Going] = []

    def run(
        self,
        turns: Iterable[Turn],
        at_once: int,
        *,
        on_start: Callable[[Turn], Turn | None],
        on_end: Callable[[Ended], Turn | None],
    ) -> bool:
        """Run all; whether none was interrupted: the first signal asks those that go on to end and starts no more.

        on_start: what is started of a turn, None where nothing is. on_end: what is to be started after all.
        """
        waiting, interrupted = list(turns), False
        while waiting or self._going:
            try:
                while waiting and len(self._going) < at_once and not interrupted:
                    if (turn := on_start(waiting.pop(0))) is not None:
                        self._start(turn)
                time.sleep(PAUSE_SECONDS)
                for ended in self._ended():
                    if (turn := on_end(ended)) is not None and not interrupted:
                        waiting.insert(0, turn)
            except KeyboardInterrupt:
                interrupted = True
                waiting.clear()
                self._interrupt()
        return not interrupted

    def _start(self, turn: Turn) -> None:
        out, err = (self._scratch / f"{turn.run}.{kind}" for kind in ("out", "err"))
        with out.open("wb") as stdout, err.open("wb") as stderr:
            # A session of its own: Ctrl-C reaches it once, by us. Without a terminal nobody is asked anything.
            process = subprocess.Popen(
                [sys.executable, "-m", "mlgen", *self._arguments(turn)],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env={**os.environ, "NO_COLOR": "1"},
                start_new_session=True,
            )
        self._going.append(_Going(turn, process, out, err, time.monotonic()))

    def _interrupt(self) -> None:
        for going in self._going:
            with suppress(ProcessLookupError):
                going.process.send_signal(signal.SIGINT)

    def _ended(self) -> list[Ended]:
        over = [going for going in self._going if going.process.poll() is not None]
        self._going = [going for going in self._going if going not in over]
        return [_told(going) for going in over]


def _told(going: _Going) -> Ended:
    answer: Any = {}
    with suppress(ValueError):
        answer = json.loads(going.out.read_bytes() or b"{}")
    lines = going.err.read_bytes().decode(errors="replace").splitlines()
    code = going.process.returncode
    seconds = time.monotonic() - going.began
    return Ended(going.turn, answer.get("uid"), answer.get("state"), code, seconds, tuple(lines[-TAIL_LINES:]))
