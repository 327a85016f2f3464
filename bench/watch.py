"""Runs a command and says what it cost, the memory of its children apart."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

_LOOK_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Watched:
    """How a command ended. child_bytes: the most that any one process that it started held."""

    out: bytes
    wall_seconds: float
    cpu_seconds: float
    own_bytes: int
    child_bytes: int


def watch(command: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str]) -> Watched:
    """Run a command to its end. Raises RuntimeError with what it said when it fails.

    Memory is what the kernel says at a hundred looks a second, of children that run another program. What wait4(2)
    tells of a child includes the moment in which it was still a copy of its parent, and Python is larger than git.
    """
    own, children = 0, 0
    with TemporaryFile() as out, TemporaryFile() as said:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=cwd, env=dict(env), stdin=subprocess.DEVNULL, stdout=out, stderr=said)
        try:
            while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
                own = max(own, _most(process.pid))
                others = (pid for pid in _below(process.pid) if _program(pid) != _program(process.pid))
                children = max([children, *map(_most, others)])
                time.sleep(_LOOK_SECONDS)
        except BaseException:
            process.kill()
            raise
        wall, (_, status, used) = time.perf_counter() - began, ended
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        said.seek(0)
        if process.returncode:
            text = said.read().decode(errors="replace")[-2000:]
            raise RuntimeError(f"{' '.join(map(str, command))[:500]} ended with {process.returncode}:\n{text}")
        return Watched(out.read(), wall, used.ru_utime + used.ru_stime, own, children)


def _below(pid: int) -> Iterator[int]:
    with suppress(OSError):  # it has ended
        for thread in os.listdir(f"/proc/{pid}/task"):
            for child in map(int, _text(Path(f"/proc/{pid}/task/{thread}/children")).split()):
                yield child
                yield from _below(child)


def _most(pid: int) -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", _text(Path(f"/proc/{pid}/status")))
    return int(found[1]) * 1024 if found else 0


def _program(pid: int) -> str:
    return _text(Path(f"/proc/{pid}/comm"))


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # it has ended
        return ""
