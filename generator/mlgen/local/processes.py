"""The processes of a run: each task a process group of its own, all of them known to the run's guardian."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mlgen.diagnostic import CannotAnswer
from mlgen.local import guardian
from mlgen.local.containers.client import LABEL, Client
from mlgen.local.containers.container import sweep as sweep_containers
from mlgen.local.guardian import kill_group

Process = subprocess.Popen[bytes]


class Processes:
    """Starts and ends the groups, and tells the guardian, which ends them should this engine be killed.

    A guardian that somebody killed is started again. at: called at named points, where a test may end this process.
    client: the container engine that programs run by, whose containers are ended likewise.
    """

    def __init__(self, uid: str, at: Callable[[str], None], client: Client | None = None) -> None:
        self._uid, self._at, self._client = uid, at, client
        self._groups: dict[int, Process] = {}
        self._guardian = self._start_guardian()

    def spawn(self, args: Sequence[str], *, cwd: Path, env: Mapping[str, str], output: int) -> Process:
        """Start a program as the leader of a new session, so of a group, with no terminal to ask at.

        output: file descriptor for both its stdout and its stderr. Raises OSError when it cannot be started.
        """
        process = subprocess.Popen(
            args, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
        self._groups[process.pid] = process
        self._at("spawned")
        self._tell(f"+{process.pid}\n")
        return process

    def end(self, process: Process) -> int:
        """Kill what an ended leader left running in its group, and reap it; its exit code, or minus a signal's."""
        kill_group(process.pid)
        self._groups.pop(process.pid, None)
        self._tell(f"-{process.pid}\n")
        return process.wait()  # last: until here its number, and so its group's, is nobody else's

    def close(self) -> None:
        """End all groups that are left, and processes that left theirs: of the run, none stays."""
        for process in self._groups.values():
            kill_group(process.pid)
            process.wait()
        if self._client is not None:
            sweep_containers(self._client, self._uid)
        if not self._written("ended\n"):
            guardian.sweep(self._uid)
        assert self._guardian.stdin is not None
        self._guardian.stdin.close()
        self._guardian.wait()

    def _start_guardian(self) -> Process:
        client = self._client
        containers = [] if client is None else [client.program, f"{LABEL}={self._uid}"]
        return subprocess.Popen(
            [sys.executable, "-I", "-S", guardian.__file__, self._uid, *containers],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            # It must not carry the uid of a run that this one may be part of; a client's variables have none.
            env={} if client is None else dict(client.environ),
            bufsize=0,
            start_new_session=True,  # so that no Ctrl-C reaches it
        )

    def _tell(self, line: str) -> None:
        if self._written(line):
            return
        self._guardian.wait()
        self._guardian = self._start_guardian()
        if not self._written("".join(f"+{group}\n" for group in sorted(self._groups))):
            raise CannotAnswer(
                "guardian-lost",
                "the process that ends a run's tasks should mlgen be killed does not stay alive",
                why=f"it was started twice, as {sys.executable} {guardian.__file__}",
            )

    def _written(self, line: str) -> bool:
        assert self._guardian.stdin is not None
        try:
            self._guardian.stdin.write(line.encode())
        except BrokenPipeError:
            self._guardian.stdin.close()
            return False
        return True


def has_ended(process: Process) -> bool:
    """Whether the leader has ended. It is not reaped yet, so its number and its group's stay taken."""
    if not hasattr(os, "waitid"):  # macOS before Python 3.13
        return process.poll() is not None
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def terminate(process: Process) -> None:
    """Ask a group to end. SIGCONT: a stopped process would never hear of it."""
    kill_group(process.pid, signal.SIGTERM)
    kill_group(process.pid, signal.SIGCONT)


def kill(process: Process) -> None:
    """Make a group end."""
    kill_group(process.pid)
