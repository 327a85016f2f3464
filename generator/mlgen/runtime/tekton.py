"""Tekton's files in a pod, as its entrypoint writes them (pkg/entrypoint/entrypointer.go; tried on 1.15).

The author's program can write to the folder of its own step, so nothing here trusts what it finds there.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from mlgen.runtime.ending import SIGNALLED
from mlgen.runtime.regular import Unreadable, open_regular

SUCCEEDED, FAILED = "out", "out.err"  # in a step's run folder, when it ended; later steps wait for either


def ended(run: Path) -> bool:
    """Whether a step with `onError: continue` ended by itself, whatever its exit code: the next one begins."""
    return os.path.lexists(run / SUCCEEDED)


def skipped(run: Path) -> bool:
    """Whether a step could not run, or not to its end: the next one is skipped."""
    return os.path.lexists(run / FAILED)


def skip_after(run: Path) -> None:
    """Have the steps that wait for this one skipped, since its own entrypoint died and will never tell them."""
    with suppress(OSError):  # it is there; or the folder cannot be written, and then Tekton or reconcile ends the pod
        os.close(os.open(run / FAILED, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644))


def exit_code(path: Path) -> int | None:
    """The exit code of a step; None where none can be read."""
    try:
        with open_regular(path) as stream:
            return max(int(stream.read(16)), SIGNALLED)
    except (FileNotFoundError, NotADirectoryError, Unreadable, ValueError):
        return None
