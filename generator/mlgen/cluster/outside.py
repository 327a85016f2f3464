"""What became of a run, as the API tells it from outside: the records that no pod could put. Pure.

The same objects give the same bytes: all times are the API's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mlgen.canonical import Json
from mlgen.cluster import failure, view
from mlgen.cluster.api import Object
from mlgen.cluster.view import NONE, Attempt, Objects
from mlgen.ledger.entry import Entry, from_bytes, to_bytes
from mlgen.ledger.fields import BadRecord
from mlgen.ledger.record import RecordTooLarge, Source, State, TaskRecord, reconciled_run_id
from mlgen.ledger.run import RunRecord, TaskStatus
from mlgen.runtime import pod
from mlgen.runtime.ending import CANCELLED
from mlgen.values import parse

TASK_RUN_UID_LABEL = "tekton.dev/taskRunUID"
EVICTED = "PodEvicted"
# What was taken away, rather than failed: the sidecar of such a pod, where it had the time, says the same.
_ABORTED = (CANCELLED, EVICTED)

_RECORD = "record"  # the finally task that has no record of its own, as gates have none
_RUN_PARAM, _VALUES_PARAM = "mlgen-run", "mlgen-values"


@dataclass(frozen=True, slots=True)
class Unfit:
    """An object that no record can be made of, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Outside:
    """entries: a reconciled record of each attempt that had ended at a time, and of the run. unfit: what has none.

    complete: whether the run and all its attempts had ended then, so that nothing will be added.
    """

    entries: tuple[Entry, ...]
    unfit: tuple[Unfit, ...]
    complete: bool


def slim(thing: Object) -> Object:
    """A PipelineRun, TaskRun or pod without what nobody here asks for: of a run of a thousand tasks all are held."""
    metadata = {key: value for key, value in thing["metadata"].items() if key != "managedFields"}
    status = thing.get("status") or {}
    kept: Object = {"metadata": metadata, "status": _slim_status(status)}
    params = (thing.get("spec") or {}).get("params")
    return {**kept, "spec": {"params": params}} if params else kept


_BULKY = ("provenance", "artifacts", "taskSpec", "retriesStatus", "pipelineSpec")


def _slim_status(status: Object) -> Object:
    kept = {key: value for key, value in status.items() if key not in _BULKY}
    if "taskSpec" in status:
        kept["taskSpec"] = {"steps": [{"env": [e]} for e in _document_variables(status)][:1]}
    if "retriesStatus" in status:
        kept["retriesStatus"] = [_slim_status(one) for one in status["retriesStatus"]]
    if "pipelineSpec" in status:
        tasks = status["pipelineSpec"].get("tasks") or ()
        kept["pipelineSpec"] = {"tasks": [{"name": t["name"], "params": t.get("params") or []} for t in tasks]}
    return kept


def _document_variables(status: Object) -> Iterator[Object]:
    for step in (status.get("taskSpec") or {}).get("steps") or ():
        yield from (e for e in step.get("env") or () if e.get("name") == "MLGEN_TASK")


def outside(objects: Objects, env: str, *, ended_before: datetime) -> Outside:
    """The records of a run of an environment, as far as it had ended at a time."""
    entries: list[Entry] = []
    unfit: list[Unfit] = []
    complete = True
    for task_run in objects.task_runs:
        found = view.attempts(task_run)
        complete = complete and all(_ended(one, ended_before) for one in found) and _is_over(task_run)
        if not _is_recorded(task_run):
            continue
        for attempt in found:
            if _ended(attempt, ended_before):
                name = f"{task_run['metadata']['name']}, attempt {attempt.number}"
                _add(name, lambda t=task_run, a=attempt: _task_record(objects, t, a, env), entries, unfit)
    if not _is_over(objects.run) or datetime.fromisoformat(_run_end(objects.run)) > ended_before:
        return Outside(tuple(entries), tuple(unfit), False)
    _add(objects.run["metadata"]["name"], lambda: _run_record(objects, env), entries, unfit)
    return Outside(tuple(entries), tuple(unfit), complete)


def _add(name: str, make: Any, entries: list[Entry], unfit: list[Unfit]) -> None:
    try:
        entry: Entry = make()
        from_bytes(to_bytes(entry))  # labels are anybody's, and some would lead to another path
        entries.append(entry)
    except (AttributeError, KeyError, TypeError, ValueError, BadRecord, RecordTooLarge) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        unfit.append(Unfit(name, reason))


def _is_over(thing: Object) -> bool:
    return view.condition(thing)[0] is not None


def _ended(attempt: Attempt, before: datetime) -> bool:
    ended = attempt.succeeded is not None and bool(attempt.ended_at)
    return ended and datetime.fromisoformat(attempt.ended_at) <= before


def _is_recorded(task_run: Object) -> bool:
    names = {param["name"] for param in _params(task_run)}
    return view.task_of(task_run) != _RECORD and _RUN_PARAM in names


def _params(thing: Object) -> list[Object]:
    return list((thing.get("spec") or {}).get("params") or ())


def _task_record(objects: Objects, task_run: Object, attempt: Attempt, env: str) -> TaskRecord:
    about, run = task_run["metadata"], objects.run["metadata"]
    notes = run.get("annotations") or {}
    status = [*(task_run["status"].get("retriesStatus") or ()), task_run["status"]][attempt.number]
    document = _document(status)
    made = _pod_uid(objects, about["uid"], attempt)
    state = _state(attempt)
    return TaskRecord(
        run_id=reconciled_run_id(about["uid"], attempt.number),
        env=env,
        pipeline=run["labels"]["mlgen.dev/pipeline"],
        run=run["name"],
        run_uid=run["uid"],
        task=view.task_of(task_run),
        attempt=attempt.number,
        started_at=attempt.started_at or about["creationTimestamp"],
        ended_at=attempt.ended_at,
        state=state,
        exit_code=_exit_code(status),
        reason=attempt.reason,
        engine="tekton",
        spec_digest=notes["mlgen.dev/spec-digest"],
        plan_digest=notes["mlgen.dev/plan-digest"],
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
            "podUid": made,
        },
        reconciled=True,
    )


def _state(attempt: Attempt) -> State:
    if attempt.succeeded:
        return State.COMPLETE
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
            return ended["exitCode"] if ended.get("reason") in ("Completed", "OOMKilled") else None
    return None


def _pod_uid(objects: Objects, task_run_uid: str, attempt: Attempt) -> str | None:
    """Of the attempt's pod, where it is still there: one of that name may be another's, made after it."""
    for one in objects.pods:
        about = one["metadata"]
        if about["name"] == attempt.pod and (about.get("labels") or {}).get(TASK_RUN_UID_LABEL) == task_run_uid:
            return str(about["uid"])
    return None


def _document(status: Object) -> Object:
    """What the task was, from its own spec; empty where Tekton never had it.

    Not as a TaskDocument: one of another version is better told of in part than not at all.
    """
    for one in _document_variables(status):
        found = json.loads(_unescaped(one["value"]))
        return found if isinstance(found, dict) else {}
    return {}


def _unescaped(text: str) -> str:
    """The inverse of `pod.escape`: what Kubernetes makes of it in a pod."""
    return text.replace("$$", "$")


def _values(params: list[Object]) -> dict[str, Json]:
    """The params of the run, from what a task of it was given."""
    found: dict[str, Json] = {}
    for param in params:
        if param["name"] == _VALUES_PARAM:
            for text in param["value"]:
                ref, type_, value, _ = pod.read_value(_unescaped(text))
                if ref.startswith("params."):
                    found[ref.removeprefix("params.")] = parse(type_, value)
    return found


def _source(notes: Mapping[str, str]) -> Source | None:
    commit = notes.get("mlgen.dev/commit")
    return Source(commit, notes["mlgen.dev/source"], notes.get("mlgen.dev/repository") or None) if commit else None


def _run_end(run: Object) -> str:
    status = run["status"]
    return str(status.get("completionTime") or status["conditions"][0]["lastTransitionTime"])


def _run_record(objects: Objects, env: str) -> RunRecord:
    about, status = objects.run["metadata"], objects.run["status"]
    notes = about.get("annotations") or {}
    entries = [t for t in (status.get("pipelineSpec") or {}).get("tasks") or () if _is_task(t)]
    names = [t["name"] for t in entries]
    settled = view.settled(objects, names)
    ends = [one.ended_at for t in objects.task_runs if view.task_of(t) in settled for one in view.attempts(t)]
    ended_at = max((end for end in ends if end), key=datetime.fromisoformat, default=_run_end(objects.run))
    return RunRecord(
        run=about["name"],
        uid=about["uid"],
        pipeline=about["labels"]["mlgen.dev/pipeline"],
        env=env,
        # Of a run whose Pipeline was not found no task is known.
        state=view.state_of(objects.run, [settled.get(name) for name in names] or [None]),
        started_at=status.get("startTime") or about["creationTimestamp"],
        ended_at=ended_at,
        params=_values(entries[0]["params"]) if entries else {},
        tasks={name: settled.get(name, TaskStatus(NONE, "")) for name in names},
        spec_digest=notes["mlgen.dev/spec-digest"],
        commit=notes.get("mlgen.dev/commit") or None,
        reconciled=True,
    )


def _is_task(entry: Object) -> bool:
    """Whether an entry of a Pipeline's `tasks` is an author's, not a gate."""
    return any(param["name"] == _RUN_PARAM for param in entry["params"])
