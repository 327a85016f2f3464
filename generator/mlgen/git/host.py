"""One call of git at a time to a host elsewhere, with a limit in time, and what its refusals mean."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mlgen.diagnostic import CannotAnswer
from mlgen.git import command
from mlgen.git.command import GitError, RefBroken
from mlgen.git.credentials import has_credentials, presented
from mlgen.git.url import PROTOCOLS, check_url, masked

NAME = "mlgen-ledger"  # of the remote, in settings that live as long as one call: a URL may look like an option
_SETTINGS = (
    "protocol.version=2",
    "http.followRedirects=false",  # the token would go along
    # A push of more is sent without its length, which some web servers refuse (lighttpd before CGI: 411). Held once, of
    # the memory that git may have; what a fold pushes at a time has fewer bytes before it is packed.
    "http.postBuffer=16m",
    "http.lowSpeedLimit=1000",  # bytes a second, and
    "http.lowSpeedTime=30",  # seconds: whoever is not there any more, or might as well not be
    "fetch.writeCommitGraph=false",
    "fetch.unpackLimit=1",  # a pack a fetch, which can be counted, not up to 100 files
    "fetch.recurseSubmodules=false",
    "push.recurseSubmodules=no",
    "push.gpgSign=false",
    "push.followTags=false",
    "push.useForceIfIncludes=false",
)
NO_FILTER = b"filtering not recognized by server"  # what git says, on its way to fetch all that there is
MEMORY_MIB = 64  # beside our own process, in a container of 128
_KILLED_SECONDS = 1.0  # in which pipes are closed whose writers were killed
_TLS_OF_USER = ("GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_SSL_CERT", "GIT_SSL_KEY")

# In this order: a text may say several, and of ssh always "Could not read from remote repository", at its end.
_CREDENTIALS = re.compile(
    r"Authentication failed|could not read (Username|Password)|(returned error:|HTTP) 40[13]\b"
    r"|Permission denied \(|Permission to \S+ denied|User permission denied|[Aa]ccess denied|marked as read only"
    r"|not allowed to (push|pull|upload|download)|No user exists for uid"
)
_UNTRUSTED = re.compile(
    r"SSL certificate problem|certificate verif|certificate has expired|[Ss]elf.signed certificate|issuer certificate"
    r"|certificate subject name|Host key verification failed|CAfile"
)
_MOVED_AWAY = re.compile(r"returned error: 30[12378]|unable to update url base")
_NO_REPOSITORY = re.compile(
    r"repository '.*' not found|returned error: 404|[Rr]epository not found|not appear to be a git repository"
    r"|[Rr]epository .*does not exist|could not be found"
)
_UNREACHABLE = re.compile(
    r"[Cc]ould not resolve|Failed to connect|unable to access|Connection (refused|timed out|reset|closed)|[Tt]imed out"
    r"|RPC failed|disconnect|hung up|early EOF|returned error: [45]\d\d|No route to host|Operation too slow"
    r"|Network is unreachable|Could not read from remote repository"
)


@dataclass(frozen=True, slots=True)
class Done:
    """How a call ended."""

    code: int
    out: bytes
    err: bytes


@dataclass(frozen=True, slots=True)
class Host:
    """A repository's URL, and how it is asked.

    secret, scratch: as for `presented`. secret_name: of the Kubernetes Secret, "" where there is none.
    environ: scrubbed. memory_mib: of each process of git.
    deadline: of time.monotonic; None: a call takes as long as the host sends something.
    """

    url: str
    secret: Path | None
    secret_name: str
    scratch: Path
    environ: Mapping[str, str] = field(repr=False)
    timeout_seconds: float | None
    deadline: float | None
    memory_mib: int

    @staticmethod
    def at(
        url: str,
        *,
        secret: Path | None,
        secret_name: str,
        scratch: Path,
        environ: Mapping[str, str] | None,
        timeout_seconds: float | None,
        memory_mib: int = MEMORY_MIB,
    ) -> Host:
        """Raises Misuse "bad-git-url"."""
        check_url(url)
        kept = {*_TLS_OF_USER, *(() if has_credentials(secret) else command.OF_USER)}
        clean = command.scrubbed(environ, kept=kept) | {"GIT_ALLOW_PROTOCOL": ":".join(PROTOCOLS)}
        del clean["GIT_CONFIG_NOSYSTEM"]  # where the machine's own certificates and credential helpers are named
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        return Host(url, secret, secret_name, scratch, clean, timeout_seconds, deadline, memory_mib)

    def run(self, git_dir: Path | None, *arguments: str, at_most_seconds: float | None = None) -> bytes:
        """What a command prints that reads from the host. Raises as `call` and `fault`."""
        done = self.call(git_dir, *arguments, at_most_seconds=at_most_seconds)
        if done.code:
            raise self.fault(done.err, "read")
        return done.out

    def call(
        self,
        git_dir: Path | None,
        *arguments: str,
        settings: Sequence[str] = (),
        data: bytes = b"",
        at_most_seconds: float | None = None,
    ) -> Done:
        """The end of a command that asks the host, by the name NAME. git_dir None: in no repository.

        at_most_seconds: for this call, if the deadline is not sooner. Raises CannotAnswer "git-unreachable" when the
        time is up: all that git started is killed then.
        """
        with presented(self.secret, self.scratch) as (own, variables):
            every = (f"remote.{NAME}.url={self.url}", *_SETTINGS, *own, *settings)
            config = [part for setting in every for part in ("-c", setting)]
            where = ["--git-dir", str(git_dir or os.devnull)]  # a folder around scratch may be a stranger's repository
            environ = {**self.environ, **variables}
            limit, seconds = self._limit(at_most_seconds)
            process = command.start(
                [*config, *where, *arguments],
                environ=environ,
                cwd=self.scratch,
                own_group=True,
                memory_mib=self.memory_mib,
            )
            with process:
                try:
                    out, err = process.communicate(data, seconds)
                except BaseException as error:
                    _kill_group(process)
                    err = b""
                    with suppress(subprocess.TimeoutExpired):  # what left the group may still hold a pipe
                        err = process.communicate(timeout=_KILLED_SECONDS)[1]
                    if isinstance(error, subprocess.TimeoutExpired):
                        said = f"no answer in {limit:g} s"
                        raise (self.too_much(said) if NO_FILTER in err else self.unreachable(said)) from None
                    raise
            return Done(process.returncode, out, err)

    def _limit(self, at_most_seconds: float | None) -> tuple[float | None, float | None]:
        """(the limit that holds for a call, the seconds that are left of it)."""
        if self.deadline is None:
            return at_most_seconds, at_most_seconds
        left = max(0.0, self.deadline - time.monotonic())
        if at_most_seconds is not None and at_most_seconds < left:
            return at_most_seconds, at_most_seconds
        return self.timeout_seconds, left

    def fault(self, stderr: bytes, may: str) -> Exception:
        """The exception that a refusal means. may: what the host should have let us do, in a word.

        CannotAnswer "git-denied", "git-untrusted", "git-no-repository", "git-unreachable"; of what is not the host's
        doing, as for commands here.
        """
        said, told = self.said(stderr), _told(stderr)
        refusal = command.refusal(_not_of_host(stderr))
        if isinstance(refusal, RefBroken):
            return RefBroken(f"{self.shown}: {'; '.join(str(refusal).splitlines())}")
        if _CREDENTIALS.search(told):
            return self.denied(said, may)
        if _UNTRUSTED.search(told):
            return CannotAnswer(
                "git-untrusted",
                f"who answers at {self.shown} is not known to be that host",
                why=said,
                fix=f"have the host's certificate authority trusted here, or its key in known_hosts{self._of_secret}",
            )
        if _MOVED_AWAY.search(told):
            return CannotAnswer(
                "git-no-repository",
                f"{self.shown} answers with another URL, which mlgen does not follow",
                why=f"{said}: a token would be sent along",
                fix="write the URL that it names as ledger.url",
            )
        if _NO_REPOSITORY.search(told):
            return CannotAnswer(
                "git-no-repository",
                f"there is no Git repository at {self.shown}",
                why=f"{said}; or {self.who} may not see it",
                fix=f"check ledger.url, make the repository (empty), or let {self.who} read it",
            )
        if _UNREACHABLE.search(told):
            return self.unreachable(said)
        return GitError(f"{self.shown}: {said}") if type(refusal) is GitError else refusal

    def denied(self, said: str, may: str) -> CannotAnswer:
        """The host does not let us do what `may` names."""
        if self.secret_name:
            mend = f"put a token (or key) that may {may} there into {self.who}"
        else:
            mend = f"give git {_of_user(self.url)}; `git ls-remote {self.shown}` must work"
        if self.secret is not None and not has_credentials(self.secret):
            said += (
                f"; {self.secret} has neither username and password nor ssh-privatekey and known_hosts that can be read"
            )
        return CannotAnswer("git-denied", f"{self.shown} does not let {self.who} {may}", why=said, fix=mend)

    def unreachable(self, said: str) -> CannotAnswer:
        return CannotAnswer(
            "git-unreachable",
            f"{self.shown} cannot be reached",
            why=said,
            fix="check ledger.url and the way to that host; what could not be done now can be done again",
        )

    def too_much(self, said: str) -> CannotAnswer:
        """The host gives no single objects, and all that it has could not be fetched."""
        return CannotAnswer(
            "git-no-filter",
            f"{self.shown} gives a ledger only as a whole, and it has grown too large for that",
            why=said,
            fix="let the host give single objects (`git config uploadpack.allowFilter true` in the repository there), "
            "or fold with a person's time and memory: `mlgen ledger fold --env ...`",
        )

    @property
    def who(self) -> str:
        """Whose credentials are presented, for people."""
        return f'the secret "{self.secret_name}"' if self.secret_name else "this user"

    @property
    def _of_secret(self) -> str:
        return f' of the secret "{self.secret_name}"' if self.secret_name else ""

    @property
    def shown(self) -> str:
        """The URL without a user."""
        return masked(self.url)

    def said(self, stderr: bytes) -> str:
        """What git said, on one line, without users in URLs."""
        return _told(stderr)[:600] or "git ended without a word"


def _told(stderr: bytes) -> str:
    """All that was said, on one line: what it was about stands at the end, and a host may greet with a page of text."""
    lines = [line.strip() for line in masked(stderr.decode(errors="replace")).splitlines()]
    return "; ".join(line for line in lines if line and not line.startswith(("hint:", "notice:", "warning:", "@")))


def _of_user(url: str) -> str:
    """How a user's own git comes to have credentials for a host."""
    if url.startswith(("http://", "https://")):
        return "credentials for it (`git config --global credential.helper store` keeps what git asks for once)"
    return "a key that the host knows (`ssh-add`)"


def _not_of_host(stderr: bytes) -> bytes:
    """What git said here: the host's own words, such as of a full disk there, stand behind "remote:"."""
    return b"\n".join(line for line in stderr.splitlines() if not line.startswith(b"remote:"))


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
