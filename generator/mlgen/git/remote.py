"""A branch of a repository elsewhere: a few objects are fetched by their ids, new commits are pushed. Never a clone.

Two ways to the same answers. Where the host gives single objects (partial clone: GitHub, GitLab, Gitea and others),
the tip's commit and the trees on the way to the paths that are asked for, so that the cost does not grow with the
ledger. Elsewhere the tip with all its files, without history, and from then on what is new.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from mlgen.diagnostic import CannotAnswer
from mlgen.git.command import GitError, RefBroken, RefMoved
from mlgen.git.host import NAME, Host
from mlgen.git.objects import Object, Reader
from mlgen.git.repository import Repository, init_bare
from mlgen.git.tree import read_tree
from mlgen.git.url import PROTOCOLS

# Given for one call, not written down: a later command must not take missing objects for promised ones, and fetch them.
_SINGLE = (f"remote.{NAME}.promisor=true", f"remote.{NAME}.partialclonefilter=tree:0")
_NO_FILTER = b"filtering not recognized by server"
_NO_IDS = re.compile(rb"not our ref|unadvertised object|does not allow")
# What git says without a push: the ref is not where the lease says.
_STALE = ("stale info", "fetch first", "non-fast-forward")
# What a host says when another push holds the ref. Or when the ref cannot be: so a few tries are enough.
_LOCK = re.compile(r"cannot lock ref|failed to update ref|incorrect old value|Unable to create '.*\.lock'")
_PAUSES_SECONDS = (0.2, 0.8)
_TOO_LARGE = re.compile(rb"(error:|HTTP) 413\b")
_OTHER_FORMAT = b"does not support this repository's hash algorithm"
_HELLO_SECONDS = 30.0  # for the smallest question: curl alone would wait for a silent host for 5 minutes


def open_remote(
    url: str,
    *,
    secret: Path | None,
    scratch: Path,
    environ: Mapping[str, str] | None = None,
    timeout_seconds: float | None = None,
    secret_name: str = "",
    protocols: Sequence[str] = PROTOCOLS,
) -> Remote:
    """The repository at a URL; nothing is asked of it yet.

    secret: a folder with the files of the ledger's Secret, read at each call (see `credentials.presented`).
    secret_name: what errors call it. scratch: a folder that may be thrown away, of this process alone while it writes.
    environ: the process's. timeout_seconds: from now on, for all that is asked; None: as long as the host answers.
    protocols: "file" among them only for a path that no stranger wrote: the repository there may name programs.
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
        protocols=protocols,
    )
    return Remote(host, environ)


class Remote:
    """What a fold needs of a repository (`git.Branches`), elsewhere.

    Methods raise CannotAnswer "git-unreachable", "git-denied", "git-no-repository", "git-untrusted", "git-missing",
    "disk-full", and GitError.
    """

    def __init__(self, host: Host, environ: Mapping[str, str] | None) -> None:
        self._host, self._environ = host, environ
        self._found: Repository | None = None
        self._whole: bool | None = None

    @property
    def shown(self) -> str:
        """The URL, for people."""
        return self._host.shown

    @property
    def scratch(self) -> Path:
        return self._host.scratch

    def checked_out(self, _branch: str) -> None:
        """None: a repository that is pushed to has no work tree that would be disturbed."""

    def tip(self, ref: str) -> str | None:
        """The id of the commit that a ref points to there, now; None where there is no such ref."""
        found = self._host.run(None, "ls-remote", "--refs", NAME, ref, at_most_seconds=_HELLO_SECONDS).decode()
        names = (line.partition("\t") for line in found.splitlines())
        return next((oid for oid, _, name in names if name == ref), None)

    @contextmanager
    def reader(self) -> Iterator[RemoteReader]:
        """One process that reads what was fetched; use it in a `with`."""
        reader = RemoteReader(self)
        try:
            yield reader
        finally:
            reader.close()

    def commit(self, files: Mapping[str, bytes], *, parent: str | None, message: str, seconds: int) -> str:
        """As `Repository.commit`. The trees on the way to the files must have been read: `RemoteReader.files`."""
        return self.local().commit(files, parent=parent, message=message, seconds=seconds)

    def move_ref(self, ref: str, new: str, *, old: str | None) -> None:
        """Let a ref there point to a commit, if it still points to `old` (None: if it does not exist yet).

        Returns only when the host said so, or is found to have done it. Raises RefMoved; CannotAnswer
        "git-push-refused" as well.
        Source: git-push(1), --force-with-lease; the host compares once more, under its lock.
        """
        for seconds in (*_PAUSES_SECONDS, None):
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
                    raise RefMoved(f"{ref} is at {tip} but expected {old}") from None
                if seconds is None or not _LOCK.search(fault.why):
                    raise
                time.sleep(seconds)

    def _tip_after(self, fault: CannotAnswer, ref: str) -> str | None:
        """The tip after a push that failed. Raises what it failed of where the host cannot be asked."""
        try:
            return self.tip(ref)
        except CannotAnswer:
            raise fault from None

    def _push(self, ref: str, new: str, old: str | None) -> None:
        lease = f"--force-with-lease={ref}:{old or ''}"
        arguments = ("push", "--porcelain", "--no-verify", lease, NAME, f"{new}:{ref}")
        done = self._host.call(self.local().git_dir, *arguments)
        refused = re.search(rb"^!\t[^\t]*\t\[[a-z ]+\] ?\(?(.*?)\)?$", done.out, re.MULTILINE)
        if done.code == 0:
            return
        if refused is None:
            if _OTHER_FORMAT in done.err:  # an empty repository says only now that its ids are SHA-256
                self.forget()
                self.local("0" * 64)
                raise RefMoved(f"{ref} wants commits with other ids")
            if _TOO_LARGE.search(done.err):
                raise self._push_refused(ref, self._host.said(done.err))
            raise self._host.fault(done.err, "push")
        reason = refused[1].decode(errors="replace")
        if reason in _STALE:
            raise RefMoved(f"{ref}: {reason}")
        said = _remote_words(done.err)
        raise self._push_refused(ref, ": ".join(part for part in (reason, said) if part))

    def _push_refused(self, ref: str, why: str) -> CannotAnswer:
        return CannotAnswer(
            "git-push-refused",
            f"{self.shown} refuses a push to {ref}",
            why=why,
            fix=f"let {self._host.who} push there: the host's rules for branches, its hooks and its limits decide",
        )

    def local(self, oid: str | None = None) -> Repository:
        """The repository in scratch, made if there is none. oid: of an object of the host's, which has its format."""
        if self._found is None:
            form = None if oid is None else "sha256" if len(oid) == 64 else "sha1"
            self._found = init_bare(self._objects, self._environ, object_format=form)
        return self._found

    def forget(self) -> None:
        """Throw away what is in scratch."""
        self._found = self._whole = None
        shutil.rmtree(self._objects, ignore_errors=True)

    @property
    def _objects(self) -> Path:
        return self._host.scratch / "objects.git"

    def fetch_objects(self, oids: Sequence[str], ref: str) -> bool:
        """Fetch just these objects: the tip of a ref, or trees and files of it. False where the host gives no such.

        A host that knows no filter sends a commit with all its files: then the ref in scratch points to it.
        """
        arguments = ("fetch", "--stdin", "--quiet", "--no-tags", "--no-write-fetch-head", "--depth=1", NAME)
        data = "".join(f"{oid}\n" for oid in oids).encode()
        repository = self.local(oids[0])
        done = self._host.call(repository.git_dir, *arguments, settings=_SINGLE, data=data)
        if done.code and not _NO_IDS.search(done.err):
            raise self._host.fault(done.err, "read")
        if done.code == 0 and _NO_FILTER in done.err and repository.resolve(oids[0]) == oids[0]:
            repository.move_ref(ref, oids[0], old=None)
            self._whole = True
        return done.code == 0

    def fetch_whole(self, ref: str) -> None:
        """Fetch all files of a ref's tip, or what is new of them, and let the same ref in scratch point there."""
        arguments = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--depth=1", "--update-shallow", NAME)
        self._host.run(self.local().git_dir, *arguments, f"+{ref}:{ref}")
        self._whole = True

    def is_whole(self, ref: str) -> bool:
        """Whether all files of an earlier tip are in scratch: then the host is told so, and sends what is new."""
        if self._whole is None:
            self._whole = self.local().tip(ref) is not None
        return self._whole


class RemoteReader:
    """Reads a remote's tip, and files at paths of it. It fetches what it needs."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._open: Reader | None = None
        self._of: Repository | None = None
        self._ref = ""

    def close(self) -> None:
        if self._open is not None:
            self._open.__exit__()
            self._open = None

    def get(self, name: str) -> Object | None:
        """The commit that a ref, by its full name, points to there, now; None where there is no such ref.

        Raises RefBroken where it is no commit.
        """
        self._ref = name
        tip = self._remote.tip(name)
        if tip is None:
            return None
        (found,) = self._bring([tip])
        if found.kind != "commit":
            raise RefBroken(f"{name} of {self._remote.shown} is {tip}, which is a {found.kind}, not a commit")
        return found

    def files(self, commit: str, paths: Iterable[str]) -> dict[str, bytes]:
        """The bytes at those of the paths that the commit which `get` gave last has."""
        (found,) = self._bring([commit])
        wanted = {path: path.split("/") for path in paths}
        here = {"": _tree_of(found)}  # folder or file -> its object, a level of the tree at a time
        for depth in range(max(map(len, wanted.values()), default=0)):
            needed = {"/".join(parts[:depth]) for parts in wanted.values() if len(parts) > depth} & here.keys()
            trees = zip(sorted(needed), self._bring([here[folder] for folder in sorted(needed)]), strict=True)
            children = {folder: read_tree(tree.data, len(tree.oid) // 2) for folder, tree in trees}
            for parts in wanted.values():
                child = children.get("/".join(parts[:depth]), {}).get(parts[depth]) if len(parts) > depth else None
                if child is not None:
                    here["/".join(parts[: depth + 1])] = child
        there = [path for path in wanted if path in here]
        return {path: one.data for path, one in zip(there, self._bring([here[path] for path in there]), strict=True)}

    def _bring(self, oids: Sequence[str]) -> list[Object]:
        """The objects of ids, fetched where they are not here yet. Raises GitError for what the host does not give."""
        if not oids:
            return []
        found = list(self._here(oids[0]).get_all(oids))
        missing = sorted({oid for oid, one in zip(oids, found, strict=True) if one is None})
        if not missing:
            return [one for one in found if one is not None]
        if self._remote.is_whole(self._ref) or not self._remote.fetch_objects(missing, self._ref):
            self._remote.fetch_whole(self._ref)
        found = list(self._here(oids[0]).get_all(oids))
        if None in found:
            raise GitError(f"{self._remote.shown} does not give {oids[found.index(None)]}")
        return [one for one in found if one is not None]

    def _here(self, oid: str) -> Reader:
        repository = self._remote.local(oid)
        if self._open is None or repository is not self._of:  # it was made anew, with ids of the other length
            self.close()
            self._open, self._of = repository.reader(), repository
        return self._open


def _tree_of(commit: Object) -> str:
    return commit.data[len("tree ") :].partition(b"\n")[0].decode()


def _remote_words(stderr: bytes) -> str:
    """What the host said about a push, on one line."""
    lines = re.findall(r"^(?:remote|error): *(.+?)\s*$", stderr.decode(errors="replace"), re.MULTILINE)
    return "; ".join(line for line in lines if not line.startswith("failed to push"))[:600]
