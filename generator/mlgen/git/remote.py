"""A branch of a repository elsewhere: a few objects are fetched by their ids, new commits are pushed. Never a clone.

Two ways to the same answers. Where the host gives single objects (partial clone: GitHub, GitLab, Gitea and others),
the tip's commit and the trees on the way to the paths that are asked for, so that the cost does not grow with the
ledger. Elsewhere the tip with all its files, without history, and from then on what is new.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from mlgen.diagnostic import CannotAnswer
from mlgen.git.ancestry import Ancestry
from mlgen.git.command import RefMoved
from mlgen.git.host import MEMORY_MIB, NAME, Host
from mlgen.git.remote_reader import RemoteReader
from mlgen.git.scratch import Scratch
from mlgen.git.signing import Signer

# What git says without a push: the ref is not where the lease says.
_STALE = ("stale info", "fetch first", "non-fast-forward")
# What a host says when another push holds the ref. Or when the ref cannot be: so a few tries are enough.
_LOCK = re.compile(r"cannot lock ref|failed to update ref|incorrect old value|Unable to create '.*\.lock'")
_PAUSES_SECONDS = (0.2, 0.8)
_TOO_LARGE = re.compile(rb"(error:|HTTP) 41[13]\b")
_OTHER_FORMAT = b"does not support this repository's hash algorithm"
_SAID_BYTES = 1 << 18  # of a refusal, in which records are looked for by their paths
_HELLO_SECONDS = 30.0  # for the smallest question: curl alone would wait for a silent host for 5 minutes


def open_remote(
    url: str,
    *,
    secret: Path | None,
    scratch: Path,
    environ: Mapping[str, str] | None = None,
    timeout_seconds: float | None = None,
    secret_name: str = "",
    memory_mib: int = MEMORY_MIB,
    signer: Signer | None = None,
) -> Remote:
    """The repository at a URL; nothing is asked of it yet.

    secret: a folder with the files of the ledger's Secret, read at each call (see `credentials.presented`).
    secret_name: what errors call it. scratch: a folder that may be thrown away, of this process alone while it writes.
    environ: the process's. timeout_seconds: from now on, for all that is asked; None: as long as the host answers.
    memory_mib: which each process of git may have; to read all files of a million, some 150.
    signer: of new commits; None: they are not signed.
    Raises Misuse "bad-git-url".
    """
    scratch.mkdir(parents=True, exist_ok=True)
    host = Host.at(
        url,
        secret=secret,
        secret_name=secret_name,
        scratch=scratch.resolve(),
        environ=environ,
        timeout_seconds=timeout_seconds,
        memory_mib=memory_mib,
    )
    return Remote(host, Scratch(host, environ), Ancestry(host, environ), signer)


class PushRefused(CannotAnswer):
    """A host does not take a push. said: all that it said about it, for whoever looks for names in it; never shown."""

    said = ""


class Remote:
    """What a fold needs of a repository (`git.Branches`), elsewhere.

    Methods raise CannotAnswer "git-unreachable", "git-denied", "git-no-repository", "git-untrusted", "git-missing",
    "disk-full", and GitError.
    """

    def __init__(self, host: Host, scratch: Scratch, ancestry: Ancestry, signer: Signer | None) -> None:
        self._host, self.scratch, self.ancestry, self._signer = host, scratch, ancestry, signer

    @property
    def shown(self) -> str:
        """The URL, for people."""
        return self._host.shown

    def checked_out(self, _branch: str) -> None:
        """None: a repository that is pushed to has no work tree that would be disturbed."""

    def tip(self, ref: str) -> str | None:
        """The id of the commit that a ref points to there, now; None where there is no such ref."""
        found = self._host.run(None, "ls-remote", "--refs", NAME, ref, at_most_seconds=_HELLO_SECONDS).decode()
        names = (line.partition("\t") for line in found.splitlines())
        return next((oid for oid, _, name in names if name == ref), None)

    def pointed_at(self, ref: str) -> dict[str, str]:
        """The commits that a branch and a tag of a name point to there, now: by their full names, those that there are.

        ref: without `*`, `?` and `[`.
        """
        names = (f"refs/tags/{ref}", f"refs/tags/{ref}^{{}}", f"refs/heads/{ref}")
        said = self._host.run(None, "ls-remote", NAME, *names, at_most_seconds=_HELLO_SECONDS).decode()
        found = {name: oid for oid, _, name in (line.partition("\t") for line in said.splitlines()) if name in names}
        peeled = found.pop(names[1], None)  # of a tag with a message, the commit that it is of
        return found | {names[0]: peeled} if peeled else found

    @contextmanager
    def reader(self) -> Iterator[RemoteReader]:
        """One process that reads what was fetched; use it in a `with`."""
        reader = RemoteReader(self.scratch, self.tip, self.shown)
        try:
            yield reader
        finally:
            reader.close()

    def commit(self, files: Mapping[str, bytes], *, parent: str | None, message: str, seconds: int) -> str:
        """As `Repository.commit`. The trees on the way to the files must have been read: `RemoteReader.files`."""
        here = replace(self.scratch.repository(), signer=self._signer)
        return here.commit(files, parent=parent, message=message, seconds=seconds)

    def fetch_history(self, git_dir: Path, ref: str, *, with_files: bool) -> None:
        """Bring a ref with all commits and folders that it leads to into a repository here, under its own name.

        with_files: also their files' bytes, of all commits; else none, where the host has partial clones.
        """
        # Given for the one call: a later command must not take a missing object for one that it may fetch.
        partial = (f"remote.{NAME}.promisor=true", f"remote.{NAME}.partialclonefilter=blob:none")
        how = ("--refetch", "--no-filter") if with_files else ("--filter=blob:none",)
        arguments = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", *how, NAME, f"+{ref}:{ref}")
        done = self._host.call(git_dir, *arguments, settings=() if with_files else partial)
        if done.code:
            raise self._host.fault(done.err, "read")

    def move_ref(self, ref: str, new: str, *, old: str | None) -> None:
        """Let a ref there point to a commit, if it still points to `old` (None: if it does not exist yet).

        Returns only when the host said so, or is found to have done it. Raises RefMoved; CannotAnswer
        "git-push-refused" as well.
        Source: git-push(1), --force-with-lease; the host compares once more, under its lock.
        """
        for is_last in (False, True):
            try:
                self._push(ref, new, old)
                return
            except CannotAnswer as fault:
                if fault.code == "git-denied":
                    raise
                tip = self._tip_after(fault, ref)
                if tip == new:  # only the answer was lost
                    return
                if tip != old:
                    raise _moved(ref, tip, old) from None
                if is_last or not _LOCK.search(fault.why):
                    raise
            self._await_other(ref, old)

    def _await_other(self, ref: str, old: str | None) -> None:
        """While another push holds the ref, look whether it moves: another try of ours is one more push for the host.

        Raises RefMoved when it does.
        """
        for seconds in _PAUSES_SECONDS:
            time.sleep(seconds)
            tip = self.tip(ref)
            if tip != old:
                raise _moved(ref, tip, old)

    def _tip_after(self, fault: CannotAnswer, ref: str) -> str | None:
        """The tip after a push that failed. Raises what it failed of where the host cannot be asked."""
        try:
            return self.tip(ref)
        except CannotAnswer:
            raise fault from None

    def _push(self, ref: str, new: str, old: str | None) -> None:
        lease = f"--force-with-lease={ref}:{old or ''}"
        arguments = ("push", "--porcelain", "--no-verify", lease, NAME, f"{new}:{ref}")
        done = self._host.call(self.scratch.repository().git_dir, *arguments)
        refused = re.search(rb"^!\t[^\t]*\t\[[a-z ]+\] ?\(?(.*?)\)?$", done.out, re.MULTILINE)
        if done.code == 0:
            return
        if refused is None:
            if _OTHER_FORMAT in done.err:  # an empty repository says only now that its ids are SHA-256
                self.scratch.forget()
                self.scratch.repository("0" * 64)
                raise RefMoved(f"{ref} wants commits with other ids")
            if _TOO_LARGE.search(done.err):
                raise self._push_refused(ref, self._host.said(done.err), done.err)
            raise self._host.fault(done.err, "push")
        reason = refused[1].decode(errors="replace")
        if reason in _STALE:
            raise RefMoved(f"{ref}: {reason}")
        said = _remote_words(done.err)
        raise self._push_refused(ref, ": ".join(part for part in (reason, said) if part), done.err)

    def _push_refused(self, ref: str, why: str, said: bytes) -> PushRefused:
        refused = PushRefused(
            "git-push-refused",
            f"{self.shown} refuses a push to {ref}",
            why=why,
            fix=f"let {self._host.who} push there: the host's rules for branches, its hooks and its limits decide",
        )
        refused.said = said[:_SAID_BYTES].decode(errors="replace")
        return refused


def _moved(ref: str, tip: str | None, old: str | None) -> RefMoved:
    return RefMoved(f"{ref} is at {tip} but expected {old}")


def _remote_words(stderr: bytes) -> str:
    """What the host said about a push, on one line."""
    lines = re.findall(r"^(?:remote|error): *(.+?)\s*$", stderr.decode(errors="replace"), re.MULTILINE)
    return "; ".join(line for line in lines if not line.startswith("failed to push"))[:600]
