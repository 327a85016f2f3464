"""What became of a run: run.json, beside the records of its tasks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from mlgen import canonical
from mlgen.canonical import Json
from mlgen.ledger.records.fields import DIGEST, NAME, RUN_ID, TASK, BadRecord, Fields, NewerFormat
from mlgen.ledger.records.task import RecordTooLarge, State, run_folder

FORMAT = 1
MAX_BYTES = 1 << 20  # run.json names every task: 1,000 skipped ones take 90 KB, and a record's 64 KiB would not do
COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """status: Succeeded, Failed or None (skipped or never started). reason: Tekton's words, empty where unknown."""

    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class Given:
    """Which arguments somebody gave; the others are as the spec has them. inputs: name -> where it lay."""

    params: tuple[str, ...] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as a whole. state, ended_at and tasks speak of `tasks`, not of `finally`. Times: RFC 3339 in UTC.

    labels, owner: of the spec and mlgen.yaml, as the run began; of a record by an earlier mlgen, none.
    resumes: the uid of the run of which it reused what need not run again. given: None where nobody kept it, as of runs
    in a cluster.
    reconciled: written from outside, because the run itself could not; dropped once its own is there.
    """

    run: str
    uid: str
    pipeline: str
    env: str
    state: State
    started_at: str
    ended_at: str
    params: Mapping[str, Json]
    tasks: Mapping[str, TaskStatus]
    spec_digest: str
    commit: str | None = None
    reconciled: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    owner: str | None = None
    resumes: str | None = None
    given: Given | None = None

    @property
    def path(self) -> str:
        """Its path in the ledger (design §8): the day is that of the run's end."""
        name = "run.reconciled.json" if self.reconciled else "run.json"
        return f"{run_folder(self.ended_at, self.env, self.run, self.uid)}/{name}"


def to_json(run: RunRecord) -> dict[str, Json]:
    """run.json (design §8)."""
    return {
        "run": run.run,
        "uid": run.uid,
        "pipeline": run.pipeline,
        "env": run.env,
        "state": str(run.state),
        "startedAt": run.started_at,
        "endedAt": run.ended_at,
        "params": dict(run.params),
        "tasks": {name: {"status": t.status, "reason": t.reason} for name, t in run.tasks.items()},
        "specDigest": run.spec_digest,
        "commit": run.commit,
        "labels": dict(run.labels),
        "owner": run.owner,
        **({"reconciled": True} if run.reconciled else {}),
        **({"resumes": run.resumes} if run.resumes is not None else {}),
        **({"given": _given_json(run.given)} if run.given is not None else {}),
    }


def _given_json(given: Given) -> dict[str, Json]:
    return {"params": list(given.params), "inputs": dict(given.inputs)}


def to_bytes(run: RunRecord) -> bytes:
    """The bytes that are kept: canonical JSON and a newline. Raises RecordTooLarge, BadRecord."""
    try:
        data = canonical.encode(to_json(run)) + b"\n"
    except ValueError as error:  # NaN, or text that is not Unicode
        raise BadRecord(f"run.json of {run.run} cannot be written: {error}") from None
    if len(data) > MAX_BYTES:
        sizes = {name: len(canonical.encode(value)) for name, value in run.params.items()}
        largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
        raise RecordTooLarge(
            f"run.json of {run.run} would have {len(data):,} bytes, more than {MAX_BYTES:,}: shorten the params "
            f"{', '.join(largest)}, or make them inputs"
        )
    return data


def of_fields(data: Fields) -> RunRecord:
    """The run that a run.json tells of. Unknown fields are ignored. Raises BadRecord, NewerFormat."""
    version = data.optional_integer("version")  # absent in the first format
    if version is not None and version > FORMAT:
        raise NewerFormat(f"run.json has format {version}, and this mlgen reads up to {FORMAT}: upgrade mlgen")
    tasks = {}
    for name in data.mapping("tasks"):
        if not TASK.fullmatch(name):
            raise BadRecord(f"tasks has the key {name[:80]!r}, which is no task's name")
        task = data.object("tasks").object(name)
        tasks[name] = TaskStatus(task.text("status"), task.text("reason"))
    state = data.text("state")
    if state not in tuple(State):
        raise BadRecord(f"state is {state[:40]!r}, not one of {', '.join(State)}")
    labels = Fields(data.optional_mapping("labels") or {}, data, "labels")
    return RunRecord(
        run=data.text("run", NAME),
        uid=data.text("uid", RUN_ID),
        pipeline=data.text("pipeline", TASK),
        env=data.text("env", NAME),
        state=State(state),
        started_at=data.time("startedAt"),
        ended_at=data.time("endedAt"),
        params=data.mapping("params"),
        tasks=tasks,
        spec_digest=data.text("specDigest", DIGEST),
        commit=data.optional_text("commit", COMMIT),
        reconciled=data.get("reconciled") is True,
        labels={name: labels.text(name) for name in data.optional_mapping("labels") or ()},
        owner=data.optional_text("owner"),
        resumes=data.optional_text("resumes", RUN_ID),
        given=_given(data),
    )


def _given(data: Fields) -> Given | None:
    if data.optional_mapping("given") is None:
        return None
    given = data.object("given")
    params = given.get("params")
    if not isinstance(params, list) or not all(isinstance(name, str) for name in params):
        raise BadRecord("given.params is no list of names")
    inputs = Fields(given.optional_mapping("inputs") or {}, given, "inputs")
    return Given(tuple(map(str, params)), {name: inputs.text(name) for name in given.optional_mapping("inputs") or ()})
