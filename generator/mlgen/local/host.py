"""What programs of this machine are, as far as a cache key can tell: no image says it here (decision 0033).

The Python that a task would find first, and the packages installed for it: an upgrade is another key. Nothing is run,
and other programs of the machine are not looked at.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path

from mlgen import canonical

PYTHONS = ("python3", "python")


def parts(environ: Mapping[str, str]) -> dict[str, str]:
    """The parts of each key on this machine. environ: of the author's program."""
    found = {"machine": f"{platform.system()} {platform.machine()}"}
    python = _python(environ.get("PATH", os.defpath))
    if python is not None:
        found["python"] = _interpreter(python)
        packages = sorted(set(_packages(python.parent.parent)))
        found["packages"] = f"{len(packages)} of {canonical.digest(packages)}"
    return found


def _python(path: str) -> Path | None:
    candidates = (Path(folder) / name for folder in path.split(os.pathsep) if folder for name in PYTHONS)
    return next((one for one in candidates if os.access(one, os.X_OK) and one.is_file()), None)


def _interpreter(python: Path) -> str:
    """The real program, and what changes when it is another at the same place."""
    real = python.resolve()
    about = real.stat()
    return f"{real} {canonical.digest([about.st_size, about.st_mtime_ns])}"


def _packages(prefix: Path) -> Iterator[str]:
    """Names and versions as installers write them, `numpy-2.0.0.dist-info`; of editable ones only the name."""
    for folder in (*prefix.glob("lib/python3*/site-packages"), *prefix.glob("lib/python3/dist-packages")):
        try:
            names = os.listdir(folder)
        except OSError:  # not for us to read: then no program of ours can, either
            continue
        yield from (name for name in names if name.endswith((".dist-info", ".egg-info", ".egg-link", ".pth")))
