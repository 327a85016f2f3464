"""Code and files uploaded below an environment's artifacts, with progress on stderr: for `publish` and `run --env`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

from mlgen.cli.ledgers.records import Records
from mlgen.cli.output import coloured, note
from mlgen.diagnostic import visible
from mlgen.runtime.publish import Item, Published, publish
from mlgen.worktree import Tree

SHOWN = 8  # names of what is on its way, on a terminal


def upload(records: Records, items: Sequence[Item], files: Tree) -> Published:
    """Publish what is not there yet in an environment's artifacts. Raises as `publish` does."""
    with _scratch() as scratch, _Progress() as progress:
        return publish(
            items,
            store=records.store,
            files=files,
            scratch=scratch,
            on_missing=progress.missing,
            on_end=progress.ended,
        )


@contextmanager
def _scratch() -> Iterator[Path]:
    folder = Path(mkdtemp(prefix="mlgen-publish-"))
    try:
        yield folder
    finally:
        # Under another name first: after an interrupt, threads that still copy find no folder to copy into.
        gone = folder.rename(f"{folder}.gone")
        rmtree(gone)


class _Progress(AbstractContextManager["_Progress"]):
    """A live picture on a terminal, a line for each upload elsewhere; nothing where nothing goes up."""

    def __init__(self) -> None:
        self._missing: list[str] = []
        self._done: set[str] = set()
        self._began = 0.0
        self._live: Any = None

    def __exit__(self, *about: Any) -> None:
        if self._live is not None:
            with suppress(OSError):
                self._live.__exit__(*about)

    def missing(self, items: Sequence[Item]) -> None:
        self._missing, self._began = [str(item) for item in items], time.monotonic()
        if coloured(sys.stderr):
            # Here: rich costs 0.12 s, and only a terminal shows what it draws.
            from rich.console import Console
            from rich.live import Live

            self._live = Live(get_renderable=self._picture, console=Console(stderr=True), transient=True)
            self._live.__enter__()

    def ended(self, item: Item) -> None:
        self._done.add(str(item))
        if self._live is None:
            note(f"uploaded {item}")

    def _picture(self) -> Any:
        from rich.text import Text  # here, as above; and the [brackets] of a path are no markup

        seconds = time.monotonic() - self._began
        head = f"uploading  {len(self._done)} of {len(self._missing)}  {seconds:.1f} s"
        waiting = [name for name in self._missing if name not in self._done][:SHOWN]
        return Text("\n".join([head, *(f"  {visible(name)}" for name in waiting)]))
