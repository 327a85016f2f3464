"""Docker or Podman, by its own command: where it is, what it can, and how it is asked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlgen.diagnostic import CannotAnswer, visible
from mlgen.local import guardian

NAMES = ("docker", "podman")
LABEL = "mlgen.dev/run-uid"
SECONDS = 60  # for an answer that needs no download
# Where Podman looks for the program that `--init` needs; without it each start with `--init` fails.
# Source: containers/common pkg/config, helper_binaries_dir.
_CATATONIT = (
    "/usr/libexec/podman/catatonit",
    "/usr/local/libexec/podman/catatonit",
    "/usr/lib/podman/catatonit",
    "/usr/local/lib/podman/catatonit",
)


@dataclass(frozen=True, slots=True)
class Client:
    """A container engine that answered. environ: what its command gets, the user's own variables.

    user: of the programs in containers, "uid:gid". flags: what every container is started with on this machine.
    limits: whether an amount of memory can be enforced.
    """

    name: str
    program: str
    environ: Mapping[str, str] = field(repr=False)
    user: str
    flags: tuple[str, ...]
    limits: bool

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a short command of it. Raises CannotAnswer when it does not come to an end."""
        return _ask([self.program, *arguments], self.environ)

    def answer(self, *arguments: str) -> str:
        """What a short command prints. Raises CannotAnswer "container-engine" with its own words."""
        done = self.ask(*arguments)
        if done.returncode:
            raise CannotAnswer("container-engine", f"{self.name} {arguments[0]}: {_last_line(done.stderr)}")
        return done.stdout


def find(name: str, environ: Mapping[str, str]) -> Client:
    """The engine of that name, once it answered. Raises CannotAnswer where it is missing or does not answer."""
    program = shutil.which(name, path=environ.get("PATH", os.defpath))
    if program is None:
        raise CannotAnswer(
            "container-engine",
            f"{name} is not installed, or not in PATH",
            fix=f"install {name}, or leave --engine out: tasks then run as processes of this machine",
        )
    # The guardian ends whatever carries a run's uid: a client that this process lends it must not.
    own = {key: text for key, text in environ.items() if key != guardian.VARIABLE}
    done = _ask([program, "info", "--format", "{{json .}}"], own)
    try:
        told = json.loads(done.stdout) if done.returncode == 0 else None
    except ValueError:
        told = None
    if not isinstance(told, dict) or told.get("ServerErrors"):
        raise CannotAnswer(
            "container-engine",
            f"{name} does not answer: {_last_line(done.stderr) or 'it says nothing of itself'}",
            fix=f"see what `{name} info` says; does its daemon or machine run, and may you use it?",
        )
    return _docker(program, own, told) if name == "docker" else _podman(program, own, told)


def _docker(program: str, environ: Mapping[str, str], told: dict[str, Any]) -> Client:
    options = told.get("SecurityOptions")
    rootless = any("rootless" in str(option) for option in options) if isinstance(options, list) else False
    # Of a daemon without root, root in a container is the user outside.
    user = "0:0" if rootless else _user()
    return Client("docker", program, environ, user, ("--init",), told.get("MemoryLimit") is True)


def _podman(program: str, environ: Mapping[str, str], told: dict[str, Any]) -> Client:
    host = told.get("host")
    host = host if isinstance(host, dict) else {}
    security = host.get("security")
    rootless = isinstance(security, dict) and security.get("rootless") is True
    flags = ["--userns", "keep-id"] if rootless else []
    if shutil.which("catatonit", path=environ.get("PATH")) or any(map(os.path.exists, _CATATONIT)):
        flags.append("--init")
    controllers = host.get("cgroupControllers")
    limits = isinstance(controllers, list) and "memory" in controllers
    return Client("podman", program, environ, _user(), tuple(flags), limits)


def _user() -> str:
    return f"{os.getuid()}:{os.getgid()}"


def _ask(command: Sequence[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
            start_new_session=True,  # Ctrl-C is for mlgen, which says what follows from it
        )
    except subprocess.TimeoutExpired:
        what = f"{os.path.basename(command[0])} {command[1]}"
        raise CannotAnswer("container-engine", f"{what} did not answer within {SECONDS} s") from None
    except OSError as error:
        raise CannotAnswer("container-engine", f"{command[0]} cannot be started: {error.strerror or error}") from None


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return visible(lines[-1][:500]) if lines else ""
