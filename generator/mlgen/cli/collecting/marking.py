"""What says which artifacts of an environment are kept: ledgers, what waits for them, and the files of the repository.

Whatever of it cannot be read might name any artifact: then the question is not answered.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from mlgen import git
from mlgen.cli.ledgers.records import Records, open_records
from mlgen.cli.output import note
from mlgen.cli.projects.workspace import Workspace
from mlgen.diagnostic import CannotAnswer
from mlgen.git import GitError, Repository
from mlgen.ledger.faults import broken
from mlgen.ledger.folding.spool import Spool
from mlgen.ledger.gc.keeping import INPUTS, Locate, Survey, code_place, run_places
from mlgen.ledger.records.entry import from_bytes
from mlgen.ledger.records.fields import BadRecord, NewerFormat
from mlgen.ledger.records.imported import ImportedEvent
from mlgen.ledger.stream import KNOWN, Stored, stream, stream_imported
from mlgen.local import rundirs
from mlgen.local.recover import UNREADABLE
from mlgen.spec.project import Environment
from mlgen.store import Folder, Store, TooLarge

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_URI = re.compile(r"""[^\s"'`<>\\{}\[\],@]+""")
_S3 = re.compile(r"\A(?i:s3[an]?)://")  # Spark and Hadoop have two more names for it
RENDERED = "tekton"


def sharing(workspace: Workspace, env: Environment) -> list[Environment]:
    """The environments whose artifacts lie where this one's do, itself among them.

    Raises CannotAnswer "artifacts-nested" where one's lie below another's: its pipelines look like runs there.
    """
    known = {e.name: e for e in (Environment("local"), *workspace.project.environments, env)}.values()
    here = _place(workspace, env)
    for other in known:
        there = _place(workspace, other)
        if there != here and (f"{there}/".startswith(f"{here}/") or f"{here}/".startswith(f"{there}/")):
            raise CannotAnswer(
                "artifacts-nested",
                f"the artifacts of {other.name} and of {env.name} lie one below the other: {there}, {here}",
                why="what one keeps cannot be told from what the other does",
                fix="give each a prefix of its own, or one and the same",
            )
    return [other for other in known if _place(workspace, other) == here]


def _place(workspace: Workspace, env: Environment) -> str:
    if "://" in env.artifacts and not env.artifacts.startswith("file://"):
        # Whatever its endpoint: one store may have several addresses.
        return env.artifacts.rstrip("/")
    return os.path.realpath(workspace.root / env.artifacts.removeprefix("file://"))


def locate_in(store: Store, workspace: Workspace) -> Locate:
    """How the URIs of records lead to keys of a store; see `Locate`."""
    if isinstance(store, Folder):
        roots = {os.path.abspath(store.root), os.path.realpath(store.root)}

        def in_folder(uri: str) -> str | None:
            path = os.path.normpath(os.path.join(workspace.root, uri.removeprefix("file://")))
            return next((key for root in roots if (key := _below(root, path)) is not None), None)

        return in_folder
    return lambda uri: _below(store.uri, _S3.sub("s3://", uri).rstrip("/"))


def _below(root: str, path: str) -> str | None:
    """The key of a path below a root; "" of the root itself and of what it lies in."""
    if path.startswith(f"{root}/"):
        return path[len(root) + 1 :]
    return "" if f"{root}/".startswith(f"{path}/") else None


@dataclass
class Source:
    """A ledger, as far as it was read. records: of an environment that has it. commit: None where it has none.

    is_other: whether it is read only because its runs may have read what is to go.
    """

    records: Records
    is_other: bool = False
    commit: str | None = None

    def news(self) -> Iterator[Stored]:
        """The files that came since the last time; all of them, the first time.

        Raises CannotAnswer "ledger-behind" where only an older state can be read, and what reading raises.
        """
        try:
            yield from self._news()
        except CannotAnswer as fault:
            if not self.is_other:
                raise
            env = self.records.environment.name
            why = f"runs of {env} may have read what is to go, so its ledger is read as well; {fault.why}"
            fix = f"{fault.fix}\nif mlgen.yaml has {env} for nothing, take it out there"
            raise CannotAnswer(fault.code, f"the ledger of {env}: {fault.message}", why=why, fix=fix) from None

    def _news(self) -> Iterator[Stored]:
        tip = self.records.tip()
        if tip == self.commit:
            return
        repository = self.records.repository
        here = repository.tip(git.branch_ref(self.records.branch)) if repository else None
        if repository is None or here is None or (here != tip and self.records.tip() != here):
            raise CannotAnswer(
                "ledger-behind",
                f'what can be read of the ledger "{self.records.branch}" is not what it has now',
                why=f"it has {tip or 'nothing'}, and {here or 'nothing'} can be read",
                fix="run it again, when the ledger's host is there",
            )
        with self._git_errors():
            yield from stream(repository, here, since=self.commit)
            yield from stream_imported(repository, here, since=self.commit)
            self._refuse_unknown(repository, here)
        self.commit = here

    def _refuse_unknown(self, repository: Repository, commit: str) -> None:
        """What only a newer mlgen reads may refer to anything."""
        names = repository.tree_files(commit, "runs", since=self.commit)
        odd = next((f.path for f in names if not KNOWN.fullmatch(f.path)), None)
        if odd is not None:
            raise unread(odd, "it has a name that this mlgen does not know")

    @contextmanager
    def _git_errors(self) -> Iterator[None]:
        try:
            yield
        except GitError as error:
            raise broken(self.records.branch, str(error)) from None


def unread(path: str, reason: str) -> CannotAnswer:
    """A file that may refer to any artifact cannot be read."""
    return CannotAnswer(
        "ledger-unread",
        f"{path} cannot be read here: {reason}",
        why="it may refer to any artifact, so none may be thrown away",
        fix="upgrade mlgen if a newer one wrote it; else `mlgen ledger verify` says what is wrong",
    )


@dataclass
class Marking:
    """Reads all sources into a survey, the first time and again.

    spool: beside the artifacts. others: of environments whose artifacts lie elsewhere.
    """

    survey: Survey
    ledgers: list[Source]
    spool: Spool
    others: list[Records]
    _read: set[tuple[str, str]] = field(default_factory=set)

    def first(self, said: Callable[[str], None]) -> None:
        """All that is there. said: takes how far it has come, in words."""
        count = 0
        # What waits first: it leaves the spool only for a branch, which is read later.
        self._waiting(self.spool)
        for other in self.others:
            try:
                self._waiting(other.spool)
            except CannotAnswer as fault:  # one machine seldom has the keys of every bucket
                note(f"{fault.message}: what records that wait there refer to is not known here")
        for ledger in self.ledgers:
            for stored in ledger.news():
                self._take(stored, keep=False)
                count += 1
                said(f"{count:,} records")

    def again(self) -> None:
        """What came since: all of it is kept."""
        self._waiting(self.spool)
        for ledger in self.ledgers:
            for stored in ledger.news():
                self._take(stored, keep=True)

    def _take(self, stored: Stored, *, keep: bool) -> None:
        try:
            if stored.path.startswith("runs/"):
                (self.survey.keep if keep else self.survey.add)(stored.entry())
            else:
                self.survey.keep_imported(stored.imported())
        except BadRecord as error:
            raise unread(stored.path, str(error)) from None

    def _waiting(self, spool: Spool) -> None:
        """What waits, and what no fold could land."""
        keys = [key for key in (*spool.waiting(), *spool.dead()) if (spool.store.uri, key) not in self._read]
        for key, data in zip(keys, spool.get_all(keys), strict=True):
            self._read.add((spool.store.uri, key))
            if data is not None and not isinstance(data, TooLarge):
                self._keep(key, data)

    def _keep(self, key: str, data: bytes) -> None:
        try:
            entry = from_bytes(data)
        except NewerFormat as error:
            raise unread(key, str(error)) from None
        except BadRecord:  # no fold will ever take it for a record
            note(f"{key} is no record, and counts for nothing")
            return
        if isinstance(entry, ImportedEvent):
            self.survey.keep_imported(entry)
        else:
            self.survey.keep(entry)


def open_marking(records: Records, envs: list[Environment], *, models: bool) -> Marking:
    """All that may refer to an environment's artifacts. envs: those that share them.

    A run in a cluster may read any bucket, one on this machine any folder as well.
    """
    workspace = records.workspace
    names = {env.name for env in envs}
    known = {e.name: e for e in (Environment("local"), *workspace.project.environments, *envs)}.values()
    able = [e for e in known if e.name in names or not isinstance(records.store, Folder) or e.namespace is None]
    ledgers: dict[tuple[str | None, str], Source] = {}
    others: dict[str, Records] = {}
    for env in able:
        at = records if env.name == records.environment.name else open_records(workspace, env.name)
        ledgers.setdefault((env.ledger.url, env.ledger.branch), Source(at, is_other=at is not records))
        if env.name not in names:
            others.setdefault(_place(workspace, env), at)
    survey = Survey(locate_in(records.store, workspace), names, models=models)
    return Marking(survey, list(ledgers.values()), records.spool, list(others.values()))


def keep_pinned(workspace: Workspace, survey: Survey) -> None:
    """Keep what the repository's manifests and specs name: code and inputs by digest, artifacts by URI."""
    for text in _texts(workspace):
        for digest in _DIGEST.findall(text):
            survey.marked.add(code_place(digest))
            survey.marked.add(f"{INPUTS}/{digest}")
        for word in set(_URI.findall(text)):
            if "/" in word.strip("./"):  # not "/" and "..", as scripts have them: all lies below those
                survey.keep_uri(word)


def _texts(workspace: Workspace) -> Iterator[str]:
    files = workspace.worktree
    try:
        rendered = files.files(RENDERED) if files.kind(RENDERED) == "folder" else {}
        paths = [*workspace.listed, *(f"{RENDERED}/{name}" for name in rendered if name.endswith(".yaml"))]
        for path in paths:
            yield files.read(path).decode(errors="replace")
    except ValueError as error:
        fix = "replace it by a file; what specs and manifests name is kept, so all of them must be read"
        raise CannotAnswer("unreadable", str(error), fix=fix) from None


def keep_running(workspace: Workspace, survey: Survey) -> None:
    """Keep what runs on this machine have made so far that are not told completely."""
    for folder in rundirs.unended(workspace.root):
        try:
            started = folder.read_start()
        except UNREADABLE:
            note(f"{folder.path} cannot be read, and may be a run that goes on: all is kept")
            survey.marked.add("")
            continue
        if started is not None:
            survey.marked.update(map(hash, run_places(started.pipeline, started.run, started.uid)))
