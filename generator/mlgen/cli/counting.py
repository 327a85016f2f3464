"""How far long work has come: one line on a terminal's stderr, nothing elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager, suppress
from typing import Any

from mlgen.cli.output import coloured


class Counting(AbstractContextManager["Counting"]):
    """Shows, while it is entered, what is done, for how long, and how far it has come. what: a word."""

    def __init__(self, what: str) -> None:
        self._what, self._said, self._began = what, "", time.monotonic()
        self._live: Any = None

    def __enter__(self) -> Counting:
        if coloured(sys.stderr):
            # Here: rich costs 0.12 s, and only a terminal shows what it draws.
            from rich.console import Console
            from rich.live import Live

            self._live = Live(get_renderable=self._picture, console=Console(stderr=True), transient=True)
            self._live.__enter__()
        return self

    def __exit__(self, *about: Any) -> None:
        if self._live is not None:
            with suppress(OSError):
                self._live.__exit__(*about)

    def say(self, text: str) -> None:
        """How far it has come, in a few words."""
        self._said = text

    def _picture(self) -> Any:
        from rich.text import Text  # here, as above; and [brackets] are no markup

        return Text(f"{self._what}  {self._said}  {time.monotonic() - self._began:.0f} s")
