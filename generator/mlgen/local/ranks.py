"""The processes of one task on several nodes, here on one machine: started together, ended together.

Run as `python -I -S ranks.py <file>`: like the guardian it imports nothing of mlgen. It is the leader of the task's
process group, and all ranks are in that group. The file is JSON (`group.Group`): the command, and of each rank its
working directory and the variables that are its own.

Rank 0 decides: when it ends well the others have a while to end, too. The first rank that ends otherwise before that
has the rest of the group told to end. How it came out goes to the file's "ended"; whoever started this process kills
what is left of the group.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from typing import IO, Any

CHUNK = 1 << 16
MOST_OF_A_LINE = 1 << 16  # bytes: a longer one is cut, so that one rank's cannot fill the memory
MOST_CHUNKS = 64  # that a pipe can hold, and more


class _Rank:
    """A process, and what it printed of a line that has not ended."""

    def __init__(self, number: int, process: subprocess.Popen[bytes]) -> None:
        self.number, self.process, self.line = number, process, b""
        assert process.stdout is not None
        self.output: IO[bytes] = process.stdout
        os.set_blocking(self.output.fileno(), False)

    def take(self) -> bool | None:
        """Print what there is, each line behind its rank. Whether there was something; None: there never will be."""
        try:
            chunk = os.read(self.output.fileno(), CHUNK)
        except BlockingIOError:
            return False
        *lines, self.line = (self.line + chunk).split(b"\n")
        if self.line and (not chunk or len(self.line) > MOST_OF_A_LINE):
            lines.append(self.line)
            self.line = b""
        self._print(lines)
        return True if chunk else None

    def drain(self) -> None:
        """Print what is in the pipe, but not what a process that stays may print for ever."""
        for _ in range(MOST_CHUNKS):
            if not self.take():
                break
        if self.line:
            self._print([self.line])

    def _print(self, lines: list[bytes]) -> None:
        data = b"".join(b"[%d] %s\n" % (self.number, line) for line in lines)
        while data:
            data = data[os.write(1, data) :]


class _Group:
    """All ranks, and the wait for what happens next to one of them."""

    def __init__(self, ranks: list[_Rank]) -> None:
        self._ranks = ranks
        self._selector = selectors.DefaultSelector()
        for rank in ranks:
            self._selector.register(rank.output, selectors.EVENT_READ, rank)
        # A signal's arrival is a byte here, so that the first to end is seen before others end because of it.
        self._woken, wake = socket.socketpair()
        for end in (self._woken, wake):
            end.setblocking(False)
        self._wake = wake
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        self._selector.register(self._woken, selectors.EVENT_READ)

    def verdict(self) -> tuple[int, int]:
        """Wait for the end that decides: (rank, its exit code, minus a signal's number for one)."""
        while True:
            codes = {rank.number: rank.process.poll() for rank in self._ranks}
            failed = [(number, code) for number, code in codes.items() if code]
            if codes[0] == 0 or failed:
                return (0, 0) if codes[0] == 0 else failed[0]
            self._wait(None)

    def end(self, *, failed: bool, grace_seconds: float) -> None:
        """Let the others end, or have them end; never longer than the grace."""
        if failed:
            os.killpg(0, signal.SIGTERM)
            os.killpg(0, signal.SIGCONT)
        until = time.monotonic() + grace_seconds
        while any(rank.process.poll() is None for rank in self._ranks) and (left := until - time.monotonic()) > 0:
            self._wait(left)
        for rank in self._ranks:
            rank.drain()

    def _wait(self, seconds: float | None) -> None:
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                self._woken.recv(CHUNK)
            elif key.data.take() is None:
                self._selector.unregister(key.fileobj)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _start(told: dict[str, Any]) -> list[_Rank]:
    """Raises OSError where the command cannot be started."""
    # Another process may take the port before rank 0 does: then that fails, and says so.
    meet = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    ranks = []
    for number, rank in enumerate(told["ranks"]):
        env = {**os.environ, **rank["env"], **meet}
        process = subprocess.Popen(
            told["command"], cwd=rank["cwd"], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        ranks.append(_Rank(number, process))
    return ranks


def main(path: str) -> int:
    """Run the ranks; the exit code of the one that decided."""
    # A handler, not SIG_IGN, which the ranks would inherit: the whole group is told to end, and this ends last.
    signal.signal(signal.SIGTERM, lambda *_: None)
    with open(path, encoding="utf-8") as file:
        told = json.load(file)
    try:
        group = _Group(_start(told))
    except OSError as error:
        _tell(told["ended"], {"problem": str(error.strerror or error)})
        return 127
    rank, code = group.verdict()
    _tell(told["ended"], {"rank": rank, "exitCode": code})
    group.end(failed=code != 0, grace_seconds=told["graceSeconds"])
    return code if code >= 0 else 128 - code


def _tell(path: str, ended: dict[str, object]) -> None:
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        json.dump(ended, file)
    os.replace(f"{path}.new", path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
