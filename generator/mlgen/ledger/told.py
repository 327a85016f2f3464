"""What is told already: which executions and runs have a record, on the ledger's branch or in the spool."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from mlgen.diagnostic import CannotAnswer
from mlgen.git import Branches, GitError, Look, branch_ref
from mlgen.git.tree import read_tree
from mlgen.ledger.faults import broken
from mlgen.ledger.folding.spool import Spool, id_in
from mlgen.ledger.records.entry import Entry, record_from_bytes
from mlgen.ledger.records.fields import BadRecord
from mlgen.ledger.records.run import RunRecord
from mlgen.ledger.records.task import TaskRecord, pod_run_id, run_folder

# How far the clocks of nodes may be from the API server's; and how long after the last of `tasks` the finally task
# `record` may have got its pod.
SKEW = timedelta(hours=1)
RECORD_DELAY = timedelta(days=2)

MOST_READ = 5000  # of what waits: some seconds of a bucket's time
_NAME = re.compile(r"[a-z0-9.-]{1,255}")
_RUN_NAMES = ("run.json", "run.reconciled.json")
Identity = tuple[str, int] | str


def missing(
    entries: Sequence[Entry], spool: Spool, repository: Branches, branch: str, *, most_read: int = MOST_READ
) -> list[Entry]:
    """Those of some reconciled records whose execution, or run, has no record at all.

    The keys of waiting records and the branch are asked first. Only for the rest the records are read, and the branch
    is asked again: one that is being folded meanwhile is in the spool until it is on the branch.
    Raises CannotAnswer, "ledger-broken" among others, and "ledger-waits" where too many wait to be read.
    """
    if not entries:
        return []
    keys = spool.waiting()
    ids = set(map(id_in, keys))
    left = _not_on_branch([entry for entry in entries if ids.isdisjoint(_ids(entry))], repository, branch)
    if not left or not keys:
        return left
    if len(keys) > most_read:
        raise CannotAnswer(
            "ledger-waits",
            f"{len(keys):,} records wait in the spool, and may tell of what no other record does: {left[0].path}",
            why=f"more than {most_read:,} are not read to find out; what no pod told is told once fewer wait",
            fix="`mlgen ledger fold` lands them, as the CronJob does each minute",
        )
    waiting = set(_identities(spool, keys))
    return _not_on_branch([entry for entry in left if _identity(entry) not in waiting], repository, branch)


def _not_on_branch(entries: list[Entry], repository: Branches, branch: str) -> list[Entry]:
    if not entries:
        return []
    try:
        with repository.reader() as look:
            tip = look.get(branch_ref(branch))
            return entries if tip is None else _not_on(look, tip.oid, entries)
    except GitError as error:
        raise broken(branch, str(error)) from None


def _identity(entry: Entry) -> Identity:
    """What a record tells of: an attempt of a TaskRun, or a run."""
    if isinstance(entry, RunRecord):
        return entry.uid
    return str((entry.tekton or {}).get("taskRunUid")), entry.attempt


def _ids(entry: Entry) -> list[str]:
    """The runIds that a record of it has: reconciled, or by the pod that is known; there may have been another one."""
    if isinstance(entry, RunRecord):
        return [entry.uid]
    about = entry.tekton or {}
    by_pod = [pod_run_id(str(about["taskRunUid"]), str(about["podUid"]))] if about.get("podUid") else []
    return [entry.run_id, *by_pod]


def _identities(spool: Spool, keys: Sequence[str]) -> Iterator[Identity]:
    for data in spool.get_all(keys):
        with suppress(BadRecord):
            if isinstance(data, bytes):
                yield _identity(record_from_bytes(data))


def _not_on(look: Look, tip: str, entries: list[Entry]) -> list[Entry]:
    """Those that no file of a commit tells of. All are asked for at once: each question costs a trip to the host."""
    folders = {folder for entry in entries for folder in _folders(entry)}
    trees = look.files(tip, sorted(folders))
    names = {folder: names_in(folder, data, len(tip) // 2) for folder, data in trees.items()}
    doubtful: dict[str, list[str]] = {}  # what may tell of the execution, by the path of its reconciled record
    left = []
    for entry in entries:
        paths = list(_alike(entry, names))
        if paths and isinstance(entry, TaskRecord) and not _is_named(entry, paths):
            doubtful[entry.path] = paths
        if not paths or entry.path in doubtful:
            left.append(entry)
    files = look.files(tip, sorted({path for paths in doubtful.values() for path in paths})) if doubtful else {}
    told = {path: _told(data) for path, data in files.items()}
    return [e for e in left if _identity(e) not in {told.get(path) for path in doubtful.get(e.path, ())}]


def names_in(folder: str, data: bytes, id_bytes: int) -> list[str]:
    """The names in a folder's tree that a record may have, sorted; others cannot all be asked for. Raises GitError."""
    try:
        return sorted(filter(_NAME.fullmatch, read_tree(data, id_bytes)))
    except ValueError:
        raise GitError(f"{folder} is no folder there") from None


def _folders(entry: Entry) -> Iterator[str]:
    """Where records of the same execution, or run, may lie: the day is that of their own end."""
    late = RECORD_DELAY if isinstance(entry, RunRecord) else SKEW
    day = (datetime.fromisoformat(entry.started_at) - SKEW).date()
    last = (datetime.fromisoformat(entry.ended_at) + late).date()
    while day <= last:
        yield run_folder(day.isoformat(), entry.env, entry.run, _run_uid(entry))
        day += timedelta(days=1)


def _run_uid(entry: Entry) -> str:
    return entry.uid if isinstance(entry, RunRecord) else entry.run_uid


def _alike(entry: Entry, names: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Paths of files with the name that a record of the same execution, or run, would have."""
    for folder in _folders(entry):
        for name in names.get(folder, ()):
            if isinstance(entry, RunRecord):
                alike = name in _RUN_NAMES
            else:
                alike = name.startswith(f"{entry.path.rpartition('/')[2].rpartition('-')[0]}-{entry.attempt}.")
            if alike:
                yield f"{folder}/{name}"


def _is_named(entry: TaskRecord, paths: Sequence[str]) -> bool:
    """Whether the names alone say that one is of the same execution: by runId, reconciled or by the pod that is known.

    A TaskRun that was deleted and made again has another uid, and records of the same name otherwise.
    """
    return any(path.endswith(f".{one[:8]}.json") for path in paths for one in _ids(entry))


def _told(data: bytes) -> Identity | None:
    try:
        return _identity(record_from_bytes(data))
    except BadRecord:
        return None
