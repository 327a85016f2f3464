"""The guardian of a run: a process that outlives a killed engine for a moment, and ends what the run started.

Run as `python -I -S guardian.py <run uid>` with one end of a pipe as its stdin: it imports nothing of mlgen and
as little else as it can. Lines on stdin: `+<process group>` and `-<process group>`. At the end of the input,
however it came about, it kills every group still registered and every process whose environment carries
MLGEN_RUN_UID=<run uid> (Linux): those forked but not yet registered, and those that left their group with setsid.
The line `ended` says that the engine saw all its tasks end: then one look suffices, else it keeps looking for a
while, since a process between fork and exec does not carry the variable yet.

With further arguments, the command of a container engine and a label, it removes the run's containers too: their
processes may be those of a daemon, of another user or in a machine of their own.
"""

from __future__ import annotations

import os
import signal
import sys
import time

VARIABLE = "MLGEN_RUN_UID"
INTERVAL_SECONDS = 0.05
QUIET_LOOKS = 20  # looks in a row that find nothing: 1 s, far more than a fork needs to reach its exec
CONTAINER_LOOKS = 4
MOST_LOOKS = 200  # a process that even SIGKILL does not end waits for a dead disk: nobody should wait for it


def carriers(variable: bytes) -> list[int]:
    """The other processes whose environment holds `variable` ("NAME=value"). None where there is no /proc."""
    found = []
    try:
        names = [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []
    for name in names:
        try:
            with open(f"/proc/{name}/environ", "rb", buffering=0) as stream:
                environ = stream.read()
        except OSError:  # it ended, or is another user's
            continue
        if variable in environ.split(b"\0") and int(name) != os.getpid():
            found.append(int(name))
    return found


def kill_group(group: int, number: int = signal.SIGKILL) -> None:
    """Send a signal to a process group that may be gone."""
    try:  # noqa: SIM105 (contextlib would double the time that this process needs to start)
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # PermissionError: macOS, for a group of zombies
        pass


def sweep(uid: str, quiet_looks: int = 1) -> None:
    """Kill all carriers of a run's uid, until `quiet_looks` looks in a row find none."""
    quiet = 0
    for _ in range(MOST_LOOKS):
        found = carriers(f"{VARIABLE}={uid}".encode())
        for process in found:
            try:  # noqa: SIM105 (as above)
                os.kill(process, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
        quiet = 0 if found else quiet + 1
        if quiet >= quiet_looks:
            return
        time.sleep(INTERVAL_SECONDS)


def remove_containers(program: str, label: str) -> None:
    """Remove all containers with a label, until a second look finds none."""
    for _ in range(CONTAINER_LOOKS):
        found = _said([program, "ps", "--all", "--quiet", "--filter", f"label={label}"])
        if found:
            _said([program, "rm", "--force", *found])
        else:
            time.sleep(INTERVAL_SECONDS)


def _said(command: list[str]) -> list[str]:
    import subprocess  # here: a run without containers, as most are, waits for no import of it

    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.split()


def main(uid: str, program: str | None = None, label: str = "") -> None:
    """Follow the engine until its end of the pipe closes, then end what is left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    ended = False
    for line in sys.stdin:
        if line.startswith("+"):
            groups.add(int(line[1:]))
        elif line.startswith("-"):
            groups.discard(int(line[1:]))
        else:
            ended = line == "ended\n"
    for group in groups:
        kill_group(group)
    sweep(uid, 1 if ended else QUIET_LOOKS)
    if program is not None and not ended:
        remove_containers(program, label)


if __name__ == "__main__":
    main(*sys.argv[1:])
