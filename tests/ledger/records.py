"""Records to test with: whole ones, small ones, and one of every kind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import NAMESPACE_DNS, UUID, uuid5

from mlgen.ledger.records.artifact import Artifact
from mlgen.ledger.records.run import RunRecord, TaskStatus
from mlgen.ledger.records.task import Source, State, TaskRecord, local_run_id

DIGEST = "sha256:" + "ab" * 32


def uid(name: str) -> str:
    """A run's uid that is the same in every test run."""
    return str(uuid5(NAMESPACE_DNS, name))


def artifact(name: str, uri: str | None = None, digest: str = DIGEST, kind: str = "dataset") -> Artifact:
    return Artifact(name, uri or f".mlgen/artifacts/churn/r1/{name}", digest, 12, "text/csv", kind)


def task(run: str = "r1", name: str = "train", attempt: int = 0, **changes: Any) -> TaskRecord:
    """A record of the local engine, complete unless changed."""
    base = TaskRecord(
        run_id=local_run_id(uid(run), name, attempt),
        env="local",
        pipeline="churn",
        run=run,
        run_uid=uid(run),
        task=name,
        attempt=attempt,
        started_at="2026-11-28T10:00:00Z",
        ended_at="2026-11-28T10:00:05.123Z",
        state=State.COMPLETE,
        exit_code=0,
        reason="Succeeded",
        engine="local",
        spec_digest=DIGEST,
        plan_digest=DIGEST,
    )
    return replace(base, **changes)


def full() -> TaskRecord:
    """A record with every field in use, as a pod would write it."""
    task_run = str(UUID(int=7))
    return task(
        inputs=(artifact("features", "s3://ml-artifacts/prod/churn/r1/prepare.0a/features"),),
        outputs=(artifact("model", "s3://ml-artifacts/prod/churn/r1/train.0b/model", kind="model"),),
        params={"epochs": 20, "since": "2026-01-01", "deep": {"a": [1, None, True]}},
        metrics={"auc": 0.91},
        values={"rows": 100},
        error="",
        source=Source("c" * 40, "pipelines/churn.yaml", "https://git.example/acme/ml"),
        image="ghcr.io/acme/churn:1.8",
        image_digest=DIGEST,
        code_digest=DIGEST,
        usage={"maxRssBytes": 1024},
        tekton={"namespace": "ml-prod", "taskRun": "r1-train", "taskRunUid": task_run, "pod": "p", "podUid": "u"},
    )


def run(name: str = "r1", **changes: Any) -> RunRecord:
    base = RunRecord(
        run=name,
        uid=uid(name),
        pipeline="churn",
        env="local",
        state=State.COMPLETE,
        started_at="2026-11-28T10:00:00Z",
        ended_at="2026-11-28T10:00:06Z",
        params={"epochs": 20},
        tasks={"train": TaskStatus("Succeeded", "Succeeded"), "register": TaskStatus("None", "Results were missing")},
        spec_digest=DIGEST,
    )
    return replace(base, **changes)


def every_kind() -> list[TaskRecord]:
    """One record of each kind that mlgen writes."""
    return [
        task(),
        full(),
        task(state=State.FAIL, exit_code=1, reason="Failed", error="train ended with exit code 1"),
        task(state=State.ABORT, exit_code=None, reason="Cancelled", error="the run was stopped"),
        task(state=State.ABORT, exit_code=-1, reason="NodeLost", reconciled=True),
        task(source=Source("d" * 64, "a folder/ü.yaml")),
    ]
