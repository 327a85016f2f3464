"""Tekton's files in a pod, as its entrypoint writes them (pkg/entrypoint/entrypointer.go; tried on 1.15).

The author's program can write to the folder of its own step, so nothing here trusts what it finds there: no link is
followed, no more is read than an exit code has, and no other number is taken for one.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from mlgen.runtime.ending import SIGNALLED
from mlgen.runtime.regular import Unreadable, open_regular

SUCCEEDED, FAILED = "out", "out.err"  # in a step's run folder, when it ended; later steps wait for either

LARGEST = 255  # of exit codes
_EXIT_CODE = re.compile(rb"-?[0-9]{1,10}\s*")


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


def exit_code(path: Path, *, beneath: Path | None = None) -> int | None:
    """The exit code of a step, 0 to 255, or SIGNALLED; None where none can be read.

    beneath: the step's run folder, where it is known. Stage-out knows a link of Tekton's to it alone; what a program
    could have that lead to is the code of another step.
    """
    try:
        with open_regular(path, beneath=beneath) as stream:
            text = stream.read(16)
    except (FileNotFoundError, Unreadable):
        return None
    # A process that ended with 256 would end with 0.
    if not _EXIT_CODE.fullmatch(text) or int(text) > LARGEST:
        return None
    return max(int(text), SIGNALLED)
