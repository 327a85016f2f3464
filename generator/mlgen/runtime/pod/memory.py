"""Whether the kernel ended processes for want of memory: no pod is told why its program was killed."""

from __future__ import annotations

from pathlib import Path


def oom_kills(kernel: Path) -> int | None:
    """How many processes the node's kernel has ended for want of memory since it began; None where it does not say.

    kernel: /proc/vmstat, which no container has one of its own of. So another pod's can be among them, and a count
    that grew is evidence only beside a program that was killed.
    Source: proc_vmstat(5), oom_kill, since Linux 4.13.
    """
    try:
        counts = dict(line.split() for line in kernel.read_text().splitlines())
        return int(counts["oom_kill"])
    except (OSError, KeyError, ValueError):
        return None


def grew(before: str | None, now: int | None) -> bool | None:
    """Whether the count grew; None where one of the two is not known. before: as text, empty for unknown."""
    if not before or now is None:
        return None
    return now > int(before)
