"""`mlgen logs` of runs in a cluster: from their pods while they live, else from the bucket where they are kept."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from tempfile import TemporaryDirectory

from mlgen.cli import words
from mlgen.cli.asked import which
from mlgen.cli.clock import SystemClock
from mlgen.cli.cluster.kube import connect
from mlgen.cli.cluster.ledger import RECORD
from mlgen.cli.cluster.silence import Silence, Why
from mlgen.cli.ledgers.history import ask
from mlgen.cli.ledgers.records import Records
from mlgen.cli.output import note
from mlgen.cluster import logs, podlogs, view
from mlgen.cluster.api import PIPELINE_RUNS, Api, ApiError, Object, Unreachable
from mlgen.cluster.events import Ended, Event, Failure, Moved, Noted, Printed, Skipped, Waits
from mlgen.cluster.follow import Follower
from mlgen.cluster.logs import Log
from mlgen.cluster.refusals import fault_of
from mlgen.diagnostic import CannotAnswer, Misuse, visible
from mlgen.ledger.questions.query import find_runs
from mlgen.store import StoreError

LOST = " (Tekton deletes its pod then, and what it had printed)"
SHOWN = 5  # runs that are offered where none has the name


@dataclass(frozen=True, slots=True)
class _Run:
    """api: where it still is; None: only the ledger knows of it."""

    name: str
    uid: str
    api: Api | None


def show(records: Records, run: str | None, task: str | None, *, follow: bool) -> None:
    """Print the logs of a run, attempt by attempt. follow: until it has ended, line by line as they are printed."""
    for word, text in (("run", run), ("task", task)):
        if text is not None and not (logs.NODE if word == "task" else logs.NAME).fullmatch(text):
            raise Misuse("bad-name", f'"{text[:80]}" is no name of a {word}', fix="letters, digits and -, at most 63")
    found = _find(records, run)
    if run is None:
        note(f"the latest run: {found.name}")
    if follow and found.api is not None:
        _follow(found.api, str(records.environment.namespace), found, task)
        return
    pods = _pods(records, found)
    chosen = logs.logs_of(pods, _kept(records, found), task=task)
    chosen.sort(key=lambda log: log.task == RECORD)  # last: no author wrote it
    printed: set[tuple[str, int]] = set()
    for log in chosen:
        if _print(records, found, log, titled=len(chosen) > 1, first=not printed):
            printed.add((log.task, log.attempt))
    silence = Silence(
        records.environment.name, str(records.environment.namespace), found.name, found.uid, found.api, tuple(pods)
    )
    if not _tell_silent(silence, task, chosen, printed):
        raise _none(silence, task)


def _tell_silent(silence: Silence, task: str | None, chosen: list[Log], printed: set[tuple[str, int]]) -> bool:
    """Say of each execution that is asked for, and that printed nothing, why; whether there was any at all."""
    kept = {(log.task, log.attempt) for log in chosen}
    whys: Mapping[tuple[str, int], Why] = {}
    if silence.api is not None or kept - printed or not kept:
        whys = {at: why for at, why in silence.whys.items() if _is_asked(task, at[0])}
    for name, attempt in sorted((kept | whys.keys()) - printed):
        at = (name, attempt)
        why = whys.get(at)
        if why is None and silence.whys:
            continue  # a pod of ours that went well
        what = "printed nothing" if at in kept else "left no log"
        because = f": it {why.words}" if why else ""
        lost = LOST if why and why.deleted and at not in kept else ""
        number = f", attempt {attempt + 1}," if attempt else ""
        note(f"{name}{number} {what}{because}{lost}")
    return bool(kept or whys)


def _find(records: Records, wanted: str | None) -> _Run:
    """The run that is meant: of those in the cluster, else of those in the ledger. Without a name, the latest."""
    env, namespace = records.environment.name, str(records.environment.namespace)
    known: list[_Run] = []
    try:
        api = connect()
        known = [_Run(one["metadata"]["name"], one["metadata"]["uid"], api) for one in logs.runs(api, namespace, env)]
    except CannotAnswer as fault:
        if wanted is None:
            raise
        note(f"the cluster cannot be asked ({fault.message}); what the ledger and the bucket have is told")
    if wanted is None:
        if not known:
            raise Misuse("unknown-run", f"the cluster has no runs of {env}", fix=f"`mlgen runs list --env {env}`")
        return known[-1]
    return _only(wanted, _meant(wanted, known) or _told(records, wanted), known, env)


def _meant(wanted: str, runs: Iterable[_Run]) -> list[_Run]:
    """Of just that name or uid, else those whose uid begins so."""
    found = list(runs)
    exact = [one for one in found if wanted in (one.name, one.uid)]
    return exact or [one for one in found if len(wanted) >= 4 and one.uid.startswith(wanted)]


def _told(records: Records, wanted: str) -> list[_Run]:
    try:
        found = ask(records.environment.name, lambda history: find_runs(history, wanted))
    except CannotAnswer as fault:
        note(f"the ledger cannot be asked either: {fault.message}")
        return []
    return [_Run(one.name, one.uid, None) for one in found]


def _only(wanted: str, found: list[_Run], known: list[_Run], env: str) -> _Run:
    if len(found) > 1:
        names = ", ".join(f"{one.uid} ({one.name})" for one in found[:SHOWN])
        raise Misuse("ambiguous-run", f'"{wanted}" may be any of {len(found)} runs', fix=f"say one of {names}")
    if not found:
        here = [one.name for one in known]
        near = get_close_matches(wanted, here, n=3) or here[: -SHOWN - 1 : -1]
        fix = f"the cluster has: {', '.join(near)}" if near else f"`mlgen runs list --env {env}` has those that ended"
        raise Misuse("unknown-run", f'neither cluster nor ledger has a run "{wanted}"', fix=fix)
    return found[0]


def _follow(api: Api, namespace: str, run: _Run, task: str | None) -> None:
    try:
        stored = api.get(PIPELINE_RUNS, namespace, run.name)
    except (ApiError, Unreachable) as error:
        raise fault_of(error, api.server) from None

    hear = Hearing(task)
    follower = Follower(
        api, stored, tasks=(), finals=(), on_event=hear, clock=SystemClock(), logs=lambda name: _is_asked(task, name)
    )
    follower.follow()


def _is_asked(task: str | None, node: str) -> bool:
    """Whether a node is the task, or the item, that was asked for; None: all are."""
    return task is None or view.is_of(task, node)


@dataclass
class Hearing:
    """Prints what a task prints, or with its name what each does; on stderr, why one prints nothing. task: or None."""

    task: str | None
    _told: set[str] = field(default_factory=set)

    def __call__(self, event: Event) -> None:
        if isinstance(event, Printed):
            head = "" if self.task == event.task else f"{event.task} | "
            sys.stdout.write(f"{head}{visible(event.line)}\n")
            sys.stdout.flush()
        elif isinstance(event, Noted):
            note(event.text)
        elif _is_asked(self.task, event.task):
            for line in _silent(event):
                if line not in self._told:
                    self._told.add(line)
                    note(line)


def _silent(event: Event) -> Iterator[str]:
    """Why a task prints nothing now, or never will."""
    match event:
        case Moved(task=task, phase=phase) if phase != view.RUNS:
            yield f"{task} {phase}"
        case Waits(task=task, why=why, fix=fix):
            yield f"{task} waits: {why}"
            yield from (f"   fix  {line}" for line in fix.splitlines())
        case Ended(task=task, state=state, failure=Failure(log=None) as why):
            yield f"{task} {words.of_failure(state, why)}"
            yield from (f"   why  {line}" for line in why.why.splitlines())
            yield from (f"   fix  {line}" for line in why.fix.splitlines())
        case Skipped(task=task, reason=reason):
            yield f"{task} {words.skip(reason, '')}"


def _pods(records: Records, run: _Run) -> list[Object]:
    return logs.pods(run.api, str(records.environment.namespace), run.uid) if run.api is not None else []


def _kept(records: Records, run: _Run) -> list[str]:
    """The keys of the logs that are kept; none where the bucket cannot be asked and there may be pods."""
    try:
        return records.store.keys(podlogs.log_folder(run.uid))
    except CannotAnswer as fault:
        if run.api is None:
            raise
        note(f"logs of pods that are gone cannot be shown: {fault.message}")
        return []


def _none(silence: Silence, task: str | None) -> Misuse:
    run = silence.run
    if task and (skipped := silence.skipped(task)):
        return Misuse("no-log", f'"{task}" has no log in {run}: {skipped}')
    if task and (known := silence.tasks) and task not in known:
        return Misuse("no-log", f'{run} has no task "{task}"', fix=which(task, known))
    what = f'no log of "{task}" in {run}' if task else f"no log of {run}"
    why = "a task leaves one once it has begun; those of pods that ended are kept by `mlgen ledger reconcile`"
    return Misuse("no-log", f"there is {what}", why=why, fix=f"`mlgen runs show {run} --env {silence.env}`")


def _print(records: Records, run: _Run, log: Log, *, titled: bool, first: bool) -> bool:
    """Print a log, with a title of its own; whether there was anything in it."""
    chunks = _living(run.api, log) if run.api is not None and log.pod is not None else _stored(records, log)
    begun = False
    for chunk in filter(None, chunks):
        if titled and not begun:
            sys.stdout.write(f"{'' if first else chr(10)}== {log.task}, attempt {log.attempt + 1} ==\n")
            sys.stdout.flush()
        begun = True
        sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()
    return begun


def _living(api: Api, log: Log) -> Iterator[bytes]:
    assert log.pod is not None
    try:
        yield from podlogs.printed(api, log.pod)
    except (ApiError, Unreachable) as error:
        raise fault_of(error, api.server) from None


def _stored(records: Records, log: Log) -> Iterator[bytes]:
    with TemporaryDirectory(prefix="mlgen-log-") as scratch:
        path = Path(scratch) / "log"
        try:
            records.store.get_artifact(log.key, path)
        except StoreError as error:
            note(f"the log of {log.task} cannot be read: {error}")
            return
        with path.open("rb") as stream:
            yield from iter(lambda: stream.read(1 << 16), b"")
