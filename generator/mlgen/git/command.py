"""How git is started, and what its refusals mean."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from mlgen.diagnostic import CannotAnswer

# The user's own settings. Every other GIT_* variable could point git at another repository, or at a program.
_KEPT = frozenset({"GIT_CONFIG_GLOBAL", "GIT_EXEC_PATH", "GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM"})
# How the user told git to ask for credentials. Only where the user's own are asked for.
OF_USER = frozenset({"GIT_ASKPASS", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT"})
IDENTITY = ("mlgen", "mlgen@localhost")
_SET = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",  # a look at the work tree does not write the author's index
    "GIT_NO_REPLACE_OBJECTS": "1",  # refs/replace/ could show other records than the commit has
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",  # outranks all config: an object that is missing is never fetched
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_COMMITTER_NAME": IDENTITY[0],  # of a reflog's line
    "GIT_COMMITTER_EMAIL": IDENTITY[1],
    "LC_ALL": "C",
}
_CONFIG = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "protocol.ext.allow=never",
    "safe.bareRepository=explicit",  # a folder in a work tree that looks like a bare repository is none
    "gc.auto=0",
    "maintenance.auto=false",
    "core.filesRefLockTimeout=1000",  # ms that git itself waits for another process's lock
    "core.bigFileThreshold=1m",  # bytes of a file from which on it is passed through, not held whole
)
# Of what is no file git holds an object whole, and 400 KB that a host sends may be a commit of 400 MB. With a limit
# that is an error of git's, not the death of our container. Source: setrlimit(2), RLIMIT_DATA; git-config(1).
_FRUGAL = ("pack.threads=1", "core.deltaBaseCacheLimit=8m", "pack.windowMemory=8m")
_LIMITED = ("sh", "-c", 'ulimit -d "$0" && exec git "$@"')  # in KiB; for what git starts, too

# What is acknowledged must survive a power cut; by default git leaves loose objects and refs to the system.
_DURABLE = ("core.fsync=committed", "core.fsyncMethod=batch", "core.fsyncObjectFiles=true")

# What it says beside the reason, such as of settings for older versions. Of a broken ref it says nothing else.
_ASIDE = re.compile(r"(warning|hint): (?!ignoring broken ref)")
_LOCKED = re.compile(r"Unable to create '([^']*\.lock)': File exists")
_TOO_LARGE = re.compile(r"[Oo]ut of memory|malloc failed|Cannot allocate memory|cannot create thread")
_MOVED = re.compile(r"is at [0-9a-f]+ but expected|reference already exists|unable to resolve reference")


class GitError(CannotAnswer):
    """A git command said no; its text is what git said. Whoever cannot say more lets it pass, as an answer."""

    def __init__(self, said: str) -> None:
        super().__init__("git-refused", "git cannot use the repository", why=said, fix="`git fsck` may say more")

    def __str__(self) -> str:
        return self.why


class RefBroken(GitError):
    """A ref is there, and no commit can be found by it."""


class RefMoved(GitError):
    """A ref is not where it was expected: somebody else moved it."""


class RefLocked(GitError):
    """A ref is locked, by a process at work or by one that was killed. lock: the lock's file."""

    def __init__(self, message: str, lock: str) -> None:
        super().__init__(message)
        self.lock = lock


def scrubbed(environ: Mapping[str, str] | None, *, kept: Collection[str] = ()) -> dict[str, str]:
    """The environment that git gets. environ None: the process's own, which a child inherits anyhow.

    kept: names that stay beside those that always do.
    """
    found = os.environ if environ is None else environ
    stay = {*_KEPT, *kept}
    return {name: value for name, value in found.items() if not name.startswith("GIT_") or name in stay} | _SET


def start(
    arguments: Sequence[str],
    *,
    environ: Mapping[str, str],
    cwd: Path,
    durable: bool = False,
    own_group: bool = False,
    memory_mib: int | None = None,
) -> subprocess.Popen[bytes]:
    """A git process with pipes to all three streams. environ: scrubbed. Raises CannotAnswer "git-missing".

    own_group: in a process group of its own, which can be killed with all that git starts.
    memory_mib: which it and each process that it starts may have, for what a stranger may have made.
    """
    settings = (*_CONFIG, *(_DURABLE if durable else ()), *(() if memory_mib is None else _FRUGAL))
    config = [part for setting in settings for part in ("-c", setting)]
    if memory_mib is not None and shutil.which("git", path=environ.get("PATH")) is None:
        raise _missing()  # sh would only say so in its own words
    program = ("git",) if memory_mib is None else (*_LIMITED, str(memory_mib << 10))
    pipe = subprocess.PIPE
    try:
        return subprocess.Popen(
            [*program, *config, *arguments],
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            env=dict(environ),
            cwd=cwd,
            start_new_session=own_group,
        )
    except OSError as error:
        if error.filename != "git":  # the folder is what is missing
            raise
        raise _missing() from None


def _missing() -> CannotAnswer:
    return CannotAnswer(
        "git-missing",
        "the program git cannot be started",
        why="mlgen keeps records, and reads what belongs to a project, with Git",
        fix="install git (2.34 or later) so that it is found on PATH",
    )


def run(
    arguments: Sequence[str],
    *,
    environ: Mapping[str, str],
    cwd: Path,
    data: bytes = b"",
    durable: bool = False,
) -> bytes:
    """What a git command prints, given `data` on its stdin.

    Raises RefMoved, RefLocked, GitError; CannotAnswer "git-missing", "disk-full".
    """
    with start(arguments, environ=environ, cwd=cwd, durable=durable) as process:
        out, err = process.communicate(data)
    if process.returncode:
        raise refusal(err)
    return out


@contextmanager
def printing(process: subprocess.Popen[bytes]) -> Iterator[IO[bytes]]:
    """What a git process prints, as it comes; it is ended where its reader has had enough. Raises as `run`."""
    assert process.stdout is not None
    try:
        yield process.stdout
        _, err = process.communicate()
    finally:
        process.kill()
        process.communicate()
    if process.returncode:
        raise refusal(err)


def refusal(stderr: bytes) -> Exception:
    """The exception that a failed command's stderr means."""
    told = [line for line in stderr.decode(errors="replace").splitlines() if not _ASIDE.match(line)]
    said = "\n".join(told).strip() or "git ended without a word: it was killed, or may not write a file as large"
    if "No space left on device" in said or "Disk quota exceeded" in said:
        return CannotAnswer(
            "disk-full",
            "no space left on the disk of the Git repository",
            why="nothing was half written: Git's objects and refs appear whole or not at all",
            fix="make room and run the same command again",
        )
    if _TOO_LARGE.search(said):
        return RefBroken(f"what is there takes git more memory than it may have: {said}")
    if locked := _LOCKED.search(said):
        return RefLocked(said, locked[1])
    return RefMoved(said) if _MOVED.search(said) else GitError(said)
