"""What became of a run, as the API tells it from outside: the records that no pod could put. Pure.

The same objects give the same bytes: all times are the API's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from mlgen.canonical import Json
from mlgen.cluster import failure, view
from mlgen.cluster.api import Object
from mlgen.cluster.belonging import PLAN_DIGEST, Gathered
from mlgen.cluster.numbers import item_of
from mlgen.cluster.shape import Unfit
from mlgen.cluster.view import NONE, SUCCEEDED, Attempt, Objects
from mlgen.ledger.records.entry import Entry, from_bytes, to_bytes
from mlgen.ledger.records.fields import DIGEST, TASK, BadRecord
from mlgen.ledger.records.run import RunRecord, TaskStatus
from mlgen.ledger.records.task import Item, RecordTooLarge, Source, State, TaskRecord, reconciled_run_id
from mlgen.runtime.ending import CANCELLED
from mlgen.runtime.fans.model import FanDocument
from mlgen.runtime.pod import contract as pod
from mlgen.runtime.reused import RESUMES, REUSED, REUSED_TASKS
from mlgen.values import parse, parse_json

EVICTED = "PodEvicted"
# What was taken away, rather than failed: the sidecar of such a pod, where it had the time, says the same.
_ABORTED = (CANCELLED, EVICTED)

_RECORD = "record"  # the finally task that has no record of its own, as gates have none
_RUN_PARAM, _VALUES_PARAM = "mlgen-run", "mlgen-values"
_PIPELINE_LABEL, _SPEC_DIGEST = "mlgen.dev/pipeline", "mlgen.dev/spec-digest"


@dataclass(frozen=True, slots=True)
class Outside:
    """entries: a reconciled record of each attempt that had ended at a time, and of the run. unfit: what has none.

    complete: whether the run and all its attempts had ended then, so that nothing will be added.
    """

    entries: tuple[Entry, ...]
    unfit: tuple[Unfit, ...]
    complete: bool


def outside(gathered: Gathered, env: str, *, ended_before: datetime) -> Outside:
    """The records of a run of an environment, as far as it had ended at a time."""
    objects = gathered.objects
    name, is_over = objects.run["metadata"]["name"], _has_ended(objects.run, ended_before)
    if why := _stranger(objects.run):
        return Outside((), (Unfit(name, why),), is_over)
    entries: list[Entry] = []
    unfit: list[Unfit] = []
    complete = is_over
    for task_run in objects.task_runs:
        found = view.attempts(task_run)
        complete = complete and all(_ended(one, ended_before) for one in found) and _is_over(task_run)
        if not _is_recorded(task_run):
            continue
        for attempt in found:
            if _ended(attempt, ended_before):
                what = f"{task_run['metadata']['name']}, attempt {attempt.number}"
                _add(what, partial(_task_record, objects, task_run, attempt, env), entries, unfit)
    if is_over and gathered.whole:
        _add(name, partial(_run_record, objects, env), entries, unfit)
    return Outside(tuple(entries), tuple(unfit), complete)


def _stranger(run: Object) -> str:
    """Why a run is none that mlgen rendered; "" where it is."""
    labels, notes = run["metadata"].get("labels") or {}, run["metadata"].get("annotations") or {}
    if not labels.get(_PIPELINE_LABEL):
        return f"it has no label {_PIPELINE_LABEL}"
    for note in (_SPEC_DIGEST, PLAN_DIGEST):
        if not DIGEST.fullmatch(notes.get(note, "")):
            return f"its annotation {note} is {'no digest' if note in notes else 'missing'}"
    return ""


def _add(name: str, make: Callable[[], Entry], entries: list[Entry], unfit: list[Unfit]) -> None:
    try:
        entry = make()
        from_bytes(to_bytes(entry))  # what Tekton takes for a name or a value need not be one of the ledger's
        entries.append(entry)
    except (ValueError, BadRecord, RecordTooLarge) as error:
        unfit.append(Unfit(name, str(error)))


def _is_over(thing: Object) -> bool:
    return view.condition(thing)[0] is not None


def _has_ended(run: Object, before: datetime) -> bool:
    ended = view.ended_at(run.get("status") or {})
    return _is_over(run) and bool(ended) and datetime.fromisoformat(ended) <= before


def _ended(attempt: Attempt, before: datetime) -> bool:
    ended = attempt.succeeded is not None and bool(attempt.ended_at)
    return ended and datetime.fromisoformat(attempt.ended_at) <= before


def _is_recorded(task_run: Object) -> bool:
    names = {param["name"] for param in _params(task_run)}
    if view.looks_for(task_run) is not None:
        return bool(view.hits([task_run]))  # only of a hit it makes a record
    return view.task_of(task_run) != _RECORD and _RUN_PARAM in names


def _params(thing: Object) -> list[Object]:
    return list((thing.get("spec") or {}).get("params") or ())


def _task_record(objects: Objects, task_run: Object, attempt: Attempt, env: str) -> TaskRecord:
    about, run = task_run["metadata"], objects.run["metadata"]
    notes = run.get("annotations") or {}
    status = [*(task_run["status"].get("retriesStatus") or ()), task_run["status"]][attempt.number]
    document = _document(status)
    state, fan = _state(attempt), document.get("fan")
    return TaskRecord(
        run_id=reconciled_run_id(about["uid"], attempt.number),
        env=env,
        pipeline=run["labels"][_PIPELINE_LABEL],
        run=run["name"],
        run_uid=run["uid"],
        task=view.looks_for(task_run) or view.task_of(task_run),
        attempt=attempt.number,
        started_at=attempt.started_at or about.get("creationTimestamp") or attempt.ended_at,
        ended_at=attempt.ended_at,
        state=state,
        exit_code=_exit_code(status),
        reason=attempt.reason,
        engine="tekton",
        spec_digest=notes[_SPEC_DIGEST],
        plan_digest=notes[PLAN_DIGEST],
        params=_values(_params(task_run)),
        error=None if state is State.COMPLETE else _error(attempt),
        source=_source(notes),
        image=document.get("image"),
        image_digest=document.get("imageDigest"),
        code_digest=document.get("codeDigest"),
        tekton={
            "namespace": about["namespace"],
            "pipelineRun": run["name"],
            "pipelineRunUid": run["uid"],
            "taskRun": about["name"],
            "taskRunUid": about["uid"],
            "pod": attempt.pod or None,
            "podUid": _pod_uid(objects, attempt),
        },
        reconciled=True,
        item=_item(task_run, fan) if isinstance(fan, dict) else None,
    )


def _item(task_run: Object, fan: Object) -> Item | None:
    """Which item of a fan a TaskRun is; its values as far as they are among its params."""
    index = item_of(task_run)
    if index is None:
        return None
    given = {param["name"]: param.get("value") for param in _params(task_run)}
    about = FanDocument.from_json(fan)
    texts = {name: pod.unescape(str(given[name])) for name, _ in about.variables if name in given}
    texts |= {name: str(parse_json(texts[name])) for name in about.coded if name in texts}
    values = {name: parse(type_, texts[name]) for name, type_ in about.variables if name in texts}
    return Item(index, about.of if about.of is not None else index + 1, values)


def _state(attempt: Attempt) -> State:
    if attempt.succeeded:
        return State.FAIL if attempt.borne else State.COMPLETE
    return State.ABORT if attempt.reason in _ABORTED else State.FAIL


def _error(attempt: Attempt) -> str:
    """In one line, without what logs would say: they may be gone, and the bytes must not depend on that."""
    told = failure.explain(attempt, lambda _container: ())
    return f"{told.message}: {told.why}" if told.why else told.message


def _exit_code(status: Object) -> int | None:
    """Of the author's program. For a step that it ended itself, Tekton says 1, and there is no container then."""
    for step in status.get("steps") or ():
        ended = step.get("terminated") or {}
        if step.get("name") == view.MAIN and ended.get("containerID"):
            return ended.get("exitCode") if ended.get("reason") in ("Completed", "OOMKilled") else None
    return None


def _pod_uid(objects: Objects, attempt: Attempt) -> str | None:
    """Of the attempt's pod, where it is still there."""
    return next((str(o["metadata"]["uid"]) for o in objects.pods if o["metadata"]["name"] == attempt.pod), None)


def _document(status: Object) -> Object:
    """What the task was, from its own spec; empty where Tekton never had it.

    Not as a TaskDocument: one of another version is better told of in part than not at all.
    """
    for step in (status.get("taskSpec") or {}).get("steps") or ():
        for variable in step["env"]:  # MLGEN_TASK alone is taken in
            found = parse_json(pod.unescape(variable.get("value", "")))
            return found if isinstance(found, dict) else {}
    return {}


def _values(params: list[Object]) -> dict[str, Json]:
    """The params of the run, from what a task of it was given."""
    found: dict[str, Json] = {}
    for param in params:
        if param["name"] == _VALUES_PARAM:
            for text in param.get("value") or ():
                ref, type_, value, _ = pod.read_value(pod.unescape(text))
                if ref.startswith("params."):
                    found[ref.removeprefix("params.")] = parse(type_, value)
    return found


def _source(notes: Mapping[str, str]) -> Source | None:
    commit, path = notes.get("mlgen.dev/commit"), notes.get("mlgen.dev/source")
    return Source(commit, path, notes.get("mlgen.dev/repository") or None) if commit and path else None


def _run_record(objects: Objects, env: str) -> RunRecord:
    about, status = objects.run["metadata"], objects.run["status"]
    notes = about.get("annotations") or {}
    entries = [t for t in (status.get("pipelineSpec") or {}).get("tasks") or () if _is_task(t)]
    pieces = view.pieces(objects.run)
    names = [t["name"] for t in entries if t["name"] in pieces]
    settled = view.settled(objects, names)
    ends = [one.ended_at for t in objects.task_runs if view.task_of(t) in settled for one in view.attempts(t)]
    ended_at = max((end for end in ends if end), key=datetime.fromisoformat, default=view.ended_at(status))
    return RunRecord(
        run=about["name"],
        uid=about["uid"],
        pipeline=about["labels"][_PIPELINE_LABEL],
        env=env,
        # Of a run whose Pipeline was not found no task is known.
        state=view.state_of(objects.run, [settled.get(name) for name in names] or [None]),
        started_at=status.get("startTime") or about.get("creationTimestamp") or ended_at,
        ended_at=ended_at,
        params=_values(entries[0]["params"]) if entries else {},
        tasks={name: settled.get(name, TaskStatus(NONE, "")) for name in names} | _reused(notes),
        spec_digest=notes[_SPEC_DIGEST],
        commit=notes.get("mlgen.dev/commit") or None,
        labels=_labels(notes),
        owner=about["labels"].get("mlgen.dev/owner") or None,
        reconciled=True,
        resumes=next(iter(pod.resumed_by(notes.get(RESUMES, ""))), None),
    )


def _reused(notes: Mapping[str, str]) -> dict[str, TaskStatus]:
    """The tasks that are no part of a run, as an earlier one made what they leave."""
    names = notes.get(REUSED_TASKS, "").split(",")
    return {name: TaskStatus(SUCCEEDED, REUSED) for name in names if TASK.fullmatch(name)}


def _labels(notes: Mapping[str, str]) -> dict[str, str]:
    """The labels that people gave; none where the annotation is not as mlgen writes it."""
    found: object = None
    with suppress(ValueError):
        found = parse_json(notes.get("mlgen.dev/labels") or "{}")
    return {str(name): str(text) for name, text in found.items()} if isinstance(found, dict) else {}


def _is_task(entry: Object) -> bool:
    """Whether an entry of a Pipeline's `tasks` is an author's, not a gate."""
    names = {param["name"] for param in entry.get("params") or ()}
    return _RUN_PARAM in names and view.LOOKUP_PARAM not in names
