"""A run that is killed where it passes a named point."""

from __future__ import annotations

import signal
import subprocess
import sys

PROGRAM = """
import os, signal
from mlgen.cli.main import run
from mlgen.local import run as local
count = 0
def at(point):
    global count
    count += point == POINT
    if count == NUMBER:
        os.kill(os.getpid(), signal.SIGKILL)
local.run.__kwdefaults__["at"] = at
run(WORDS)
"""


def killed_at(point: str, number: int, *words: str) -> None:
    """Have a command line of `mlgen` killed when its engine comes to that point for the number-th time."""
    program = PROGRAM.replace("POINT", repr(point)).replace("NUMBER", str(number)).replace("WORDS", repr([*words]))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
