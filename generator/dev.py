"""Makes .venv from the locked packages, then runs a verb of the justfile in it: python3 generator/dev.py VERB …

Standard library only, and no syntax newer than Python 3.7: it must be able to say that Python is too old.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "generator" / "locks" / "dev.txt"
STAMP = VENV / "made-from.json"


def main() -> None:
    """Bring .venv up to date and become `just` with the given arguments (none: it lists the verbs)."""
    if sys.version_info < (3, 11):  # noqa: UP036 - whoever has an older one must read why
        sys.exit("mlgen needs Python 3.11 or newer; this is {}.{} ({})".format(*sys.version_info[:2], sys.executable))
    env = environment()
    make_venv(env)
    os.execve(VENV / "bin" / "just", ["just", "--justfile", str(ROOT / "justfile"), *sys.argv[1:]], env)


def environment() -> dict[str, str]:
    """Our environment with .venv's programs first, and without what would keep Python from storing byte-code.

    Where nothing is stored, every start of mlgen compiles all it imports again: about twice the time.
    """
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONDONTWRITEBYTECODE", "PYTHONHOME", "PYTHONPATH")}
    env["VIRTUAL_ENV"] = str(VENV)
    env["PATH"] = os.pathsep.join([str(VENV / "bin"), env.get("PATH", os.defpath)])
    return env


def make_venv(env: dict[str, str]) -> None:
    """Bring .venv up to date: the locked packages, each verified by its hash, and mlgen itself in editable form."""
    base = {
        "python": sys.version,
        "root": str(ROOT),  # a virtual environment does not survive a move
        "lock": digest(LOCK),
    }
    wanted = {**base, "project": digest(ROOT / "pyproject.toml")}
    found = read_stamp() if PYTHON.exists() else {}
    if found == wanted:
        return
    pip: list[str | Path] = [PYTHON, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input", "install"]
    if {key: found.get(key) for key in base} != base:
        if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
            sys.exit(
                f"this Python cannot make virtual environments ({sys.executable}): "
                "install its venv module (on Debian and Ubuntu: apt install python3-venv)"
            )
        print("making .venv from generator/locks/dev.txt: once, a minute or two", file=sys.stderr)
        python = getattr(sys, "_base_executable", sys.executable)  # not .venv's own, which is about to go
        run([python, "-m", "venv", "--clear", VENV], env)
        run([*pip, "--require-hashes", "--no-deps", "--only-binary=:all:", "--requirement", LOCK], env)
    run([*pip, "--no-deps", "--no-build-isolation", "--editable", ROOT], env)
    run([PYTHON, "-m", "compileall", "-q", ROOT / "generator" / "mlgen"], env)
    STAMP.write_text(json.dumps(wanted))


def read_stamp() -> dict[str, str]:
    """What .venv was made from; empty when making it was broken off."""
    try:
        stamp: dict[str, str] = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    return stamp


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run(command: list[str | Path], env: dict[str, str]) -> None:
    """Run a command with its output on stderr, for stdout is the verb's; end here when it fails."""
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
    if done.returncode:
        sys.exit("making .venv failed at: " + " ".join(map(str, command)))


if __name__ == "__main__":
    main()
