"""What a trial reports while it runs: a line `<step> <value>` each time, in the file that $MLGEN_REPORT names.

A file and lines, so that every language can do it: `echo "$epoch $auc" >> "$MLGEN_REPORT"`. A trial should stop once
something lies at the path $MLGEN_PRUNE. One that then ends with 0 and leaves no metric is pruned.
"""

from __future__ import annotations

import math
import os
import stat
from contextlib import suppress
from pathlib import Path

from mlgen.search.model import Report

VARIABLE, STOP_VARIABLE = "MLGEN_REPORT", "MLGEN_PRUNE"
FILE, STOP_FILE = "report", "prune"
MAX_REPORTS, MAX_BYTES = 500, 32 * 1024  # of a trial, whose record holds them; what comes after is not read
MAX_STEP = 1 << 31


def read(text: str) -> tuple[Report, ...]:
    """Reports by step. Of one step the first counts, as with Optuna; a line not yet ended, or that is none, is none."""
    found: dict[int, float] = {}
    for line in text.split("\n")[:-1]:
        if len(found) == MAX_REPORTS:
            break
        words = line.split()
        if len(words) != 2:
            continue
        with suppress(ValueError):
            step, value = int(words[0]), float(words[1])
            if 0 <= step <= MAX_STEP and math.isfinite(value):
                found.setdefault(step, value)
    return tuple(sorted(found.items()))


def read_file(path: Path) -> tuple[Report, ...]:
    """The same, of a file; none where there is none that a program may have made: the author's code wrote it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return ()
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return ()
        return read(os.read(descriptor, MAX_BYTES).decode(errors="replace"))
    except OSError:
        return ()
    finally:
        os.close(descriptor)
