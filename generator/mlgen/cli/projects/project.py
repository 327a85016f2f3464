"""A project's own two files, mlgen.yaml and mlgen.lock, and where the files of each environment are read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

from mlgen import canonical, diagnostic
from mlgen.cli import output
from mlgen.cli.projects import folder, pins, revisions
from mlgen.cli.projects.folder import Folder
from mlgen.diagnostic import CannotAnswer, Diagnostic, Findings, Span
from mlgen.spec.checks import platform
from mlgen.spec.checks.context import Context
from mlgen.spec.document import Document, read
from mlgen.spec.load import load_lock, load_project
from mlgen.spec.model import Place
from mlgen.spec.project import Environment, Project
from mlgen.spec.sources import Locked, build_locked, fault

PROJECT_FILE, LOCK_FILE = folder.PROJECT_FILE, "mlgen.lock"


@dataclass
class Configured(Folder):
    """A project's folder with what mlgen.yaml and mlgen.lock say of it."""

    _project_of: Self | None = None  # whose mlgen.yaml holds here
    _project_data: bytes | None = None  # of a mlgen.yaml that nobody has written yet
    _written: Self | None = None  # the one with the mlgen.yaml that lies there meanwhile
    _sources: dict[str, Self] = field(default_factory=dict)
    _faults: dict[str, Diagnostic | None] = field(default_factory=dict)

    def to_show(self) -> Self:
        """The same, of which nothing is made but a picture of changes: a literal secret in it hinders nobody then.

        Else no one could review the commit that takes it out, nor any after it that is compared with one before.
        """
        self._shows_only = True
        return self

    def refuses(self, found: Iterable[Diagnostic]) -> bool:
        """Whether nothing is to be made of files with these findings."""
        if (self._around or self)._shows_only:
            found = (finding for finding in found if finding.code != "literal-secret")
        return diagnostic.failed(found)

    def afresh(self) -> Self:
        """The same folder with nothing read yet, for who looks again after a while."""
        found = type(self)(self.root)
        found.repository, found._shows_only = self.repository, self._shows_only
        output.source = found._source
        return found

    def at(self, revision: str) -> Self:
        """The same project as a commit has it, mlgen.yaml included; an empty one where the commit has none.

        Nothing is checked out. Raises as `revisions.commit_of`, and CannotAnswer "no-repository".
        """
        commit = revisions.commit_of(revisions.repository_of(self.repository, self.root), revision)
        return type(self)(self.root, commit, _around=self._around or self)

    def source_of(self, environment: Environment) -> Self:
        """Where an environment's specs, task files, code and lock are read: at its pin, with the mlgen.yaml from here.

        Without a pin: this workspace. One workspace for all that are pinned to the same commit.
        Raises Findings where the commit is not here, CannotAnswer "shallow-clone" where that is for want of history.
        """
        if environment.pin is None:
            return self
        if environment.pin not in self._sources:
            found = pins.commit_of(self.repository, environment.name, environment.pin, self.pin_of(environment))
            if isinstance(found, Diagnostic):
                raise Findings([found])
            source = type(self)(self.root, found, _around=self._around or self, _project_of=self._project_of or self)
            self._sources[found] = source
        return self._sources[environment.pin]

    def source_for(self, name: str) -> Self:
        """As `source_of`, by an environment's name, also where mlgen.yaml has errors; for an unknown one from here."""
        environment = self.project_as_read.environment(name)
        return self.source_of(environment) if environment else self

    @property
    def project_as_read(self) -> Project:
        """mlgen.yaml as far as it can be read, errors or not; its images pinned by the lock of each environment."""
        return self._pinned_project

    @cached_property
    def _pinned_project(self) -> Project:
        return self._project[0].pinned(self._lock_of)

    def _lock_of(self, environment: Environment) -> dict[str, str]:
        return source._lock[0] if (source := self._readable(environment)) else {}

    def _readable(self, environment: Environment) -> Self | None:
        """As `source_of`; None where its commit cannot be read, which is told where its specs are wanted."""
        try:
            return self.source_of(environment)
        except (Findings, CannotAnswer):
            return None

    def unpinned(self) -> list[Diagnostic]:
        """The images of mlgen.yaml by a tag that the lock of their environment does not have."""
        found = list[Diagnostic]()
        for e in self.project_as_read.environments:
            if e.runtime_image is not None and "@" not in e.runtime_image and self._readable(e):
                place = Place(self._project_document, ("environments", e.name, "runtime_image"))
                found.append(platform.unpinned(place, "" if e.pin is None else pins.lock_there(e.name, e.pin)))
        return found

    def pin_of(self, environment: Environment) -> Span:
        """Where mlgen.yaml, as it lies there, pins an environment; where it does not, the environment's name."""
        return pins.span((self._written or self)._project_document, environment.name)

    def _source(self, path: str) -> bytes:
        return self.files.read(path)

    @cached_property
    def _project(self) -> tuple[Project, list[Diagnostic]]:
        if self._project_of is not None:
            return self._project_of._project
        lost, is_there = self.optional(PROJECT_FILE)
        if not is_there:
            return Project(), lost
        project, found = load_project(self._project_document)
        return project, pins.refined(found, self._project_document, self.repository)

    @cached_property
    def _project_document(self) -> Document:
        if self._project_of is not None:
            return self._project_of._project_document
        return read(PROJECT_FILE, self.project_data)

    @property
    def project_data(self) -> bytes:
        """The bytes of mlgen.yaml."""
        return self.data(PROJECT_FILE) if self._project_data is None else self._project_data

    def with_project(self, data: bytes) -> Self:
        """The same files with another mlgen.yaml, which nobody has written yet."""
        return type(self)(self.root, self.commit, _around=self._around or self, _project_data=data, _written=self)

    @property
    def is_written(self) -> bool:
        """Whether mlgen.yaml lies there as it is read here."""
        return self._written is None

    @cached_property
    def _lock(self) -> tuple[dict[str, str], list[Diagnostic]]:
        lost, is_there = self.optional(LOCK_FILE)
        return load_lock(self._read(LOCK_FILE)[0]) if is_there else ({}, lost)

    @cached_property
    def locked(self) -> dict[str, Locked]:
        """The sources of mlgen.lock, as far as they can be read."""
        return build_locked(self._read(LOCK_FILE)[0]) if self.optional(LOCK_FILE)[1] else {}

    @cached_property
    def _context(self) -> Context:
        # A commit that an environment is pinned to has its own sources, whatever mlgen.yaml says by now.
        sources = self._project[0].sources if self._project_of is None else self.locked
        return Context(self.files, self._project[0], self._lock[0], frozenset(sources))

    def source_fault(self, name: str) -> Diagnostic | None:
        """Why the files in vendor/ of a source are not to be used; it is told at the source in mlgen.yaml."""
        if name not in self._faults:
            wanted = None if self._project_of else self._project[0].sources.get(name)
            span = Span(LOCK_FILE, 1, 1, 1, 2)
            if wanted is not None:
                span = Place(self._project_document, ("sources", name)).key_span
            self._faults[name] = fault(name, wanted, self.locked, self.files, span)
        return self._faults[name]

    @property
    def project(self) -> Project:
        """As `project_as_read`. Raises Findings when mlgen.yaml has errors."""
        found = self._project[1]
        if self.refuses(found):
            raise Findings(found)
        return self._pinned_project

    @property
    def lock(self) -> dict[str, str]:
        """The digests of mlgen.lock. Raises Findings when it has errors."""
        lock, found = self._lock
        if diagnostic.failed(found):
            raise Findings(found)
        return lock

    def document(self, path: str) -> Document:
        """A file's document, whatever it says. Raises CannotAnswer "unreadable"."""
        return self._read(path)[0]

    def _read(self, path: str) -> tuple[Document, str]:
        """A file's document, and the digest of its bytes."""
        data = self.data(path)
        return read(path, data), canonical.digest_bytes(data)
