"""What an evaluation has cost so far, in the API server's units."""

from __future__ import annotations


class Meter:
    """One for the process: it is read and set at each step of each expression, and nothing here runs in threads."""

    __slots__ = ("spent",)

    def __init__(self) -> None:
        self.spent = 0


METER = Meter()
