"""What happened: one record for each execution of a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import quote
from uuid import UUID, uuid5

from mlgen.canonical import Json
from mlgen.ledger.records.artifact import Artifact

MAX_BYTES = 64 * 1024
INPUTS_WITHIN, BYTES_OF_INPUT = 32, 1024
MOST_BYTES = 4 << 20  # of any record: what is more is not read to find out


class State(StrEnum):
    """How an execution, or a run, ended."""

    COMPLETE = "COMPLETE"
    FAIL = "FAIL"
    ABORT = "ABORT"

    @property
    def word(self) -> str:
        """What people are told."""
        return {"COMPLETE": "succeeded", "FAIL": "failed", "ABORT": "aborted"}[self]


@dataclass(frozen=True, slots=True)
class Source:
    """The commit and path that the spec had, known only when the work tree equalled HEAD. repository: its web URL."""

    commit: str
    path: str
    repository: str | None = None

    @property
    def url(self) -> str:
        if self.repository is None:
            return f"urn:git:{self.commit}:{quote(self.path)}"
        return f"{self.repository.rstrip('/').removesuffix('.git')}/blob/{self.commit}/{quote(self.path)}"


@dataclass(frozen=True, slots=True)
class Item:
    """Which of a fan's executions (decision 0031). index: from 0. of: how many. values: of the fan's variables.

    pick: which one is the winner, "max auc"; None: none is picked.
    reports: of a search's trial (decision 0032), a step and the metric there.
    """

    index: int
    of: int
    values: Mapping[str, Json] = field(default_factory=dict)
    pick: str | None = None
    reports: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """One execution of a task. Times: RFC 3339 in UTC, ending in Z. Digests: "sha256:" and 64 hex digits.

    run_id: a UUID, the idempotency key (`local_run_id` and its kin). run_uid: of the run that it is part of.
    exit_code: of the author's program, -1 for a signal, None when it never ended. error: a sentence for people.
    reconciled: written from outside, because no pod could tell; dropped once the pod's own is there.
    item: of a task that runs many times. original_run_id: of the execution that made the outputs, where this one
    did not run its program but found them made. cause: of a failure, where its spec asks
    (`runtime.attempts.retrying.Cause`).
    """

    run_id: str
    env: str
    pipeline: str
    run: str
    run_uid: str
    task: str
    attempt: int
    started_at: str
    ended_at: str
    state: State
    exit_code: int | None
    reason: str
    engine: str
    spec_digest: str
    plan_digest: str
    inputs: tuple[Artifact, ...] = ()
    outputs: tuple[Artifact, ...] = ()
    params: Mapping[str, Json] = field(default_factory=dict)
    metrics: Mapping[str, Json] = field(default_factory=dict)
    values: Mapping[str, Json] = field(default_factory=dict)
    error: str | None = None
    source: Source | None = None
    image: str | None = None
    image_digest: str | None = None
    code_digest: str | None = None
    cache_key: str | None = None
    usage: Mapping[str, Json] | None = None
    tekton: Mapping[str, Json] | None = None
    reconciled: bool = False
    item: Item | None = None
    original_run_id: str | None = None
    cause: str | None = None

    @property
    def index(self) -> int | None:
        """Which item of its task it is; None for a task that runs once."""
        return self.item.index if self.item is not None else None

    @property
    def part(self) -> tuple[str, int]:
        """What several attempts are of: a task, or an item of it. In the order of tasks and items."""
        return self.task, -1 if self.item is None else self.item.index

    @property
    def label(self) -> str:
        """What people call that: `train`, or `train[3]`."""
        return self.task if self.item is None else f"{self.task}[{self.item.index}]"

    @property
    def path(self) -> str:
        """Its path in the ledger (design §8): the day is that of the event's time."""
        folder = run_folder(self.ended_at, self.env, self.run, self.run_uid)
        item = f".{self.item.index}" if self.item is not None else ""
        return f"{folder}/{self.task}{item}-{self.attempt}.{self.run_id[:8]}.json"


def most_bytes(record: TaskRecord) -> int:
    """How many bytes a record may have: MAX_BYTES, and room for each input beyond what fits into these.

    A task that reads what all items of another left names each of up to 2,000, as lineage is asked for each.
    """
    return MAX_BYTES + BYTES_OF_INPUT * max(0, len(record.inputs) - INPUTS_WITHIN)


def run_folder(time: str, env: str, run: str, run_uid: str) -> str:
    """The folder of a run's records of one day."""
    return f"runs/{time[:4]}/{time[5:7]}/{time[8:10]}/{env}/{run}.{run_uid[:8]}"


def local_run_id(run_uid: str, task: str, attempt: int, index: int | None = None) -> str:
    """The runId of an execution by the local engine. index: of a fan's item."""
    item = "" if index is None else f"/{index}"
    return str(uuid5(UUID(run_uid), f"{task}{item}/{attempt}"))


def pod_run_id(task_run_uid: str, pod_uid: str) -> str:
    """The runId of an execution by a pod."""
    return str(uuid5(UUID(task_run_uid), pod_uid))


def reconciled_run_id(task_run_uid: str, attempt: int) -> str:
    """The runId of an execution that no pod could tell of."""
    return str(uuid5(UUID(task_run_uid), f"attempt-{attempt}"))


class RecordTooLarge(ValueError):
    """A record over MAX_BYTES; the message names its largest parts."""
