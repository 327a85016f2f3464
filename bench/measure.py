"""Runs a command and says what it cost."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile


@dataclass(frozen=True, slots=True)
class Usage:
    """Of a process and all that it waited for. rss_bytes: the most that any one of them held."""

    cpu_seconds: float
    wall_seconds: float
    rss_bytes: int


def measure(command: Sequence[str | Path], *, cwd: Path, env: dict[str, str]) -> Usage:
    """Run a command to its end. Raises RuntimeError with what it said when it fails. Source: wait4(2)."""
    with TemporaryFile() as said:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said
        )
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            text = said.read().decode(errors="replace")[-2000:]
            raise RuntimeError(f"{' '.join(map(str, command))[:500]} ended with {process.returncode}:\n{text}")
    return Usage(used.ru_utime + used.ru_stime, wall, used.ru_maxrss * 1024)
