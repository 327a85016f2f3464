"""How ssh-keygen is started: without the user's files, agent and terminal."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlgen.diagnostic import CannotAnswer
from mlgen.git import command
from mlgen.git.credentials import named_user

_SECONDS = 20.0  # of one call, of which the usual one takes 0.01


def keygen(
    arguments: Sequence[str], folder: Path, environ: Mapping[str, str] | None, data: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """A call of ssh-keygen, in a folder, given `data` on its stdin. Raises CannotAnswer "no-ssh-keygen".

    environ: the process's; None: its own.
    """
    path = command.scrubbed(environ).get("PATH") or os.defpath
    if shutil.which("ssh-keygen", path=path) is None:
        raise CannotAnswer(
            "no-ssh-keygen",
            "the program ssh-keygen cannot be started",
            why="Git's signatures with SSH keys are made and checked with it",
            fix="install OpenSSH's client (8.9 or later) so that ssh-keygen is found on PATH",
        )
    with named_user(folder) as before:
        try:
            return subprocess.run(
                [*before, "ssh-keygen", *arguments],
                input=data,
                capture_output=True,
                cwd=folder,
                env={"PATH": path, "LC_ALL": "C", "TZ": "UTC0", "SSH_ASKPASS_REQUIRE": "never"},
                timeout=_SECONDS,
                start_new_session=True,  # without a terminal to ask at
                check=False,
            )
        except subprocess.TimeoutExpired:
            said = f"ssh-keygen did not end within {_SECONDS:g} s".encode()
            return subprocess.CompletedProcess(arguments, 1, b"", said)


def words(stderr: bytes) -> str:
    """What ssh-keygen said, on one line."""
    lines = (line.strip() for line in stderr.decode(errors="replace").splitlines())
    return "; ".join(line for line in lines if line and not line.startswith("Signing data"))[:300]
