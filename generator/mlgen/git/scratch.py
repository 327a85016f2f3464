"""The objects of a repository elsewhere that are here: those that were fetched, and new ones on their way there."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlgen.git.command import RefBroken
from mlgen.git.host import NAME, NO_FILTER, Host
from mlgen.git.repository import Repository, init_bare

# Given for one call, not written down: a later command must not take missing objects for promised ones, and fetch them.
_SINGLE = (f"remote.{NAME}.promisor=true", f"remote.{NAME}.partialclonefilter=tree:0")
_FETCH = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--depth=1")
# A host that gives all it has looks at a million objects first, and says a few bytes meanwhile.
_PATIENT = "http.lowSpeedTime=300"  # seconds
_NO_IDS = re.compile(rb"not our ref|unadvertised object|does not allow")


class Scratch:
    """A bare repository in the host's scratch folder. It may be thrown away at any time.

    Methods raise what `Host.call` and `Host.fault` say, and GitError.
    """

    def __init__(self, host: Host, environ: Mapping[str, str] | None) -> None:
        """environ: the process's, for what is done here alone."""
        self._host, self._environ = host, environ
        self._found: Repository | None = None
        self._whole: bool | None = None

    @property
    def folder(self) -> Path:
        """Where it lies, with what else is kept of the host."""
        return self._host.scratch

    def repository(self, oid: str | None = None) -> Repository:
        """The repository, made if there is none. oid: of an object of the host's, which tells the format of ids."""
        if self._found is None:
            form = None if oid is None else "sha256" if len(oid) == 64 else "sha1"
            self._found = init_bare(self._objects, self._environ, object_format=form)
        return self._found

    def forget(self) -> None:
        """Throw away all objects."""
        self._found = self._whole = None
        shutil.rmtree(self._objects, ignore_errors=True)

    @property
    def _objects(self) -> Path:
        return self.folder / "objects.git"

    def fetch_objects(self, oids: Sequence[str], ref: str) -> bool:
        """Fetch just these objects: the tip of a ref, or trees and files of it. False where the host gives no such.

        A host that knows no filter sends a commit with all its files: then the ref in scratch points to it.
        """
        data = "".join(f"{oid}\n" for oid in oids).encode()
        repository = self.repository(oids[0])
        settings = (*_SINGLE, _PATIENT)
        done = self._host.call(repository.git_dir, *_FETCH, "--stdin", NAME, settings=settings, data=data)
        if done.code and not _NO_IDS.search(done.err):
            raise self._fault(done.err)
        if done.code == 0 and NO_FILTER in done.err and repository.resolve(oids[0]) == oids[0]:
            repository.move_ref(ref, oids[0], old=None)
            self._whole = True
        return done.code == 0

    def fetch_whole(self, ref: str, *, to: str | None = None) -> None:
        """Fetch all files of a ref's tip, or what is new of them. to: the ref in scratch that then points there."""
        arguments = (*_FETCH, "--update-shallow", NAME, f"+{ref}:{to or ref}")
        done = self._host.call(self.repository().git_dir, *arguments, settings=(_PATIENT,))
        if done.code:
            raise self._fault(done.err)
        self._whole = True

    def _fault(self, stderr: bytes) -> Exception:
        fault = self._host.fault(stderr, "read")
        if NO_FILTER in stderr and isinstance(fault, RefBroken):  # the memory that git may have is too little
            return self._host.too_much(str(fault))
        return fault

    def is_whole(self, ref: str) -> bool:
        """Whether all files of an earlier tip are in scratch: then the host is told so, and sends what is new."""
        if self._whole is None:
            self._whole = self.repository().tip(ref) is not None
        return self._whole
