"""Who may push next: one push an interval, however many fold at once.

A Git host advises, or enforces, so many pushes a minute; a hundred tasks may end in one. So each interval of time has a
key in the store, `_ledger/turns/<ledger>/<its start, in seconds since 1970>`, and whoever puts it first has the push of
that interval. What it lands is everyone's. Nothing has to be given back: a kill with a turn costs one interval.

Turns only spread pushes out. That nothing is lost or doubled rests on the push itself, which compares and swaps; so it
does not matter when a store's conditional puts, or a clock, are not to be trusted. A clock that is off by more than a
little is noticed by the time that the store gives to a key, and the store's time is believed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from mlgen.ledger.folding.spool import FOLDER
from mlgen.store import Store, claim, forget

TURNS = f"{FOLDER}/turns"
_SKEW_SECONDS = 5  # which clocks may differ by
_KEPT = 20  # turns that have passed before they are swept up
_MOST = 1000  # that are swept up at once, in one request: where none may be deleted, they are many


def ahead(interval_seconds: int) -> int:
    """How many pushes may be made ahead of their time: those of a minute, so that a run's end waits for none."""
    return max(1, 60 // interval_seconds)


class Clock(Protocol):
    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...


class Turns(Protocol):
    """`Unpaced` and `Paced` have it."""

    def is_free(self) -> bool:
        """Whether `take` may say yes now: a look that costs little, before much is done for a push."""

    def take(self) -> bool:
        """Whether a push may be made now. One, and only where it says so."""

    def pause(self) -> bool:
        """Wait until there may be a turn; False, soon, where that is too late for the caller."""


class Unpaced:
    """Of a repository on this machine, whose only limit is the disk."""

    def is_free(self) -> bool:
        return True

    def take(self) -> bool:
        return True

    def pause(self) -> bool:
        return False


@dataclass(slots=True)
class Paced:
    """ledger: says which one, the same for all that push to it. who: a text that nobody else has.

    ahead: how many coming intervals' pushes may be made at once, of which there are fewer then. until: of the clock's
    monotonic, after which no push is begun and nobody waits.
    Methods raise what the store's raise.
    """

    store: Store
    ledger: str
    interval_seconds: int
    who: str
    clock: Clock
    sleep: Callable[[float], None]
    until: float
    ahead: int = 0
    _taken: int = 0
    _skew_seconds: float = field(default=0.0, init=False)

    def is_free(self) -> bool:
        return any(self.store.item(self._key(start)) is None for start in self._starts)

    def take(self) -> bool:
        if self.clock.monotonic() >= self.until:
            return False
        for start in self._starts:
            if self._claim(start):
                if self._is_other_time(start):  # only once: the store's time is not other than the store's
                    return self.take()
                self._sweep()
                return True
        return False

    def pause(self) -> bool:
        """Waits for the next interval, and a little more: not all who wait should wake at once."""
        spread = int(hashlib.sha256(self.who.encode()).hexdigest()[:4], 16) / 0xFFFF * min(2, self.interval_seconds)
        seconds = self._start + self.interval_seconds - self._now + spread
        left = self.until - self.clock.monotonic()
        if seconds >= left:
            return False
        self.sleep(seconds)
        return True

    @property
    def _now(self) -> float:
        return self.clock.now().timestamp() + self._skew_seconds

    @property
    def _start(self) -> int:
        return int(self._now // self.interval_seconds) * self.interval_seconds

    @property
    def _starts(self) -> range:
        return range(self._start, self._start + (self.ahead + 1) * self.interval_seconds, self.interval_seconds)

    def _key(self, start: int) -> str:
        return f"{self._folder}/{start}"

    @property
    def _folder(self) -> str:
        return f"{TURNS}/{hashlib.sha256(self.ledger.encode()).hexdigest()[:16]}"

    def _claim(self, start: int) -> bool:
        self._taken += 1  # so that our own turn is not ours again
        return claim(self.store, self._key(start), f"{self.who} {self._taken}\n".encode())

    def _is_other_time(self, start: int) -> bool:
        """Whether a turn was taken at a time that is not the store's. It is given back then, if that may be."""
        key = self._key(start)
        item = self.store.item(key)
        if item is None or self._skew_seconds:
            return False
        skew = item.kept_at.timestamp() - self._now
        if abs(skew) <= max(_SKEW_SECONDS, self.interval_seconds):
            return False
        self._skew_seconds = skew
        forget(self.store, [key])
        return True

    def _sweep(self) -> None:
        """Forget the turns that have passed; those of a clock that was off and of a process that was killed, too."""
        # Also those far ahead, of a clock that was off; not those that others, or we, took ahead of their time.
        old, far = -2 * self.interval_seconds, (ahead(self.interval_seconds) + 2) * self.interval_seconds
        keys = self.store.keys(self._folder)
        passed = [key for key in keys if not old < _start_of(key) - self._now < far]
        if len(passed) >= _KEPT:
            forget(self.store, passed[:_MOST])


def _start_of(key: str) -> float:
    name = key.rpartition("/")[2]
    return float(name) if name.isdecimal() and len(name) < 16 else float("nan")
