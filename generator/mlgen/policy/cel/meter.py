"""What an evaluation has cost so far, in the API server's units."""

from __future__ import annotations


class TooCostly(Exception):
    """An evaluation may cost more than the API server allows. No `||` and no macro absorbs it, there as here."""


class Meter:
    """One for the process: it is read and set at each step of each expression, and nothing here runs in threads.

    limit: what may be spent; loops, and whatever makes long texts and lists, look at it.
    """

    __slots__ = ("limit", "spent")

    def __init__(self) -> None:
        self.spent = self.limit = 0

    def pay(self, cost: int) -> None:
        """Raises TooCostly."""
        self.spent += cost
        if self.spent > self.limit:
            raise TooCostly


METER = Meter()
