"""Tells what an engine could not that was killed or gave up: its attempts as ABORT, its run as its folder shows it."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mlgen.diagnostic import CannotAnswer
from mlgen.ledger.records import entry
from mlgen.ledger.records.fields import BadRecord
from mlgen.ledger.records.run import RunRecord, TaskStatus
from mlgen.ledger.records.task import RecordTooLarge, State, TaskRecord
from mlgen.local import guardian, rundir, rundirs, shorttmp
from mlgen.local.containers.client import NAMES, find
from mlgen.local.containers.container import sweep
from mlgen.local.rundir import AttemptFolder, RunFolder, Started
from mlgen.local.schedule import FAILED, NONE, STOPPING, SUCCEEDED, state_of
from mlgen.local.whole import is_whole, write
from mlgen.runtime.attempts.retrying import Policy, refusal
from mlgen.runtime.cache.recorded import digest_of
from mlgen.runtime.clock import Clock, timestamp
from mlgen.runtime.ending import ENGINE_LOST, Ending, cause_of_record, record_of
from mlgen.runtime.regular import Unreadable
from mlgen.runtime.stage_in import staged_inputs

CUT_OFF = "the engine was gone before this ended; told by the next command"

# What the files of a run raise that another version wrote or that a task of it changed.
UNREADABLE = (AttributeError, KeyError, TypeError, ValueError, BadRecord, RecordTooLarge, Unreadable, PermissionError)


@dataclass(frozen=True, slots=True)
class Recovered:
    """A run that was told of now. cut_off: it had not ended. fault: why its engine could not go on, where known.

    told: False where its files cannot be understood, and fault says why: the next command tries again.
    """

    run: str
    cut_off: bool
    fault: str | None
    told: bool = True


def recover(project: Path, *, spool: Callable[[bytes], object], clock: Clock) -> list[Recovered]:
    """Finish the telling of every run that nobody works on; those that it told of.

    Ends what such a run left running, writes ABORT records for attempts that have none, puts all its records and
    run.json into the spool, and marks it as told. Safe to repeat, to interrupt and to run twice at once: the bytes of
    each record are fixed in the run's folder before they are put. A run that an engine works on is left alone.
    project: the folder of mlgen.yaml. spool: makes a record's bytes durable; the same bytes again are fine.
    A run whose files cannot be understood is left as it is, and keeps no other from being told of.
    Raises what the spool raises.
    """
    found = []
    for folder, _lock in rundirs.unfinished(project):
        try:
            started = folder.read_start()
            if started is not None:
                cut_off = _recover(folder, started, spool, timestamp(clock.now()))
                found.append(Recovered(started.run, cut_off, folder.fault()))
        except UNREADABLE as error:
            fault = f"{error} (written by another mlgen, or changed; remove {folder.path / rundir.LOCK} to leave it so)"
            found.append(Recovered(folder.run, True, fault, told=False))
            continue
        folder.forget_code()
        folder.finish()
    return found


def _recover(folder: RunFolder, started: Started, spool: Callable[[bytes], object], now: str) -> bool:
    """Whether it had not ended: something had to be written for it."""
    guardian.sweep(started.uid)
    _remove_containers(folder, started.uid)
    records: list[TaskRecord] = []
    policies: dict[str, Policy | None] = {}
    fault = folder.fault()
    error = f"the engine could not go on before this ended: {fault}" if fault else CUT_OFF
    attempts = list(folder.attempts())
    cut_off = not all(map(is_whole, [folder.run_json, *(a.record for a in attempts)]))
    for attempt in attempts:
        data = _fixed_record(attempt, error, now)
        if data is not None:
            spool(data)
            found = entry.from_bytes(data)
            if not isinstance(found, TaskRecord):
                raise BadRecord(f"{attempt.record} is no task's record")
            records.append(found)
            told = attempt.read_start()
            policies[found.task] = told.document.retry if told else None
    spool(_fixed_run(folder, started, records, policies, now))
    return cut_off


def _remove_containers(folder: RunFolder, uid: str) -> None:
    """End what an engine's containers still run, where its guardian was killed as well."""
    starts = [attempt.read_start() for attempt in folder.attempts()]
    for name in sorted({start.execution.engine for start in starts if start is not None} & set(NAMES)):
        with suppress(CannotAnswer):  # an engine that is gone runs nothing
            sweep(find(name, os.environ), uid)


def _fixed_record(attempt: AttemptFolder, error: str, now: str) -> bytes | None:
    """The bytes of an attempt's record, made now if there were none; None for one that never began."""
    if not is_whole(attempt.record):
        started = attempt.read_start()
        if started is None:
            return None
        shorttmp.forget(attempt.tree.tmp, started.execution.run_id)
        ending = Ending(State.ABORT, ENGINE_LOST, None, error, started.started_at, now)
        inputs, key = staged_inputs(attempt.tree), digest_of(started.document, attempt.tree)
        write(
            attempt.record,
            entry.to_bytes(record_of(started.document, started.execution, ending, inputs=inputs, cache_key=key)),
        )
    return attempt.record.read_bytes()


def _fixed_run(
    folder: RunFolder, started: Started, records: list[TaskRecord], policies: dict[str, Policy | None], now: str
) -> bytes:
    """The bytes of run.json, made now if there were none. policies: of tasks that have one."""
    if not is_whole(folder.run_json):
        last: dict[str, TaskRecord] = {}
        for record in sorted((r for r in records if r.item is None), key=lambda r: r.attempt):
            last[record.task] = record
        skipped = {name: reason for name, (reason, _why) in folder.skipped().items()}
        told = {name: TaskStatus(status, reason) for name, (status, reason) in folder.concluded().items()}
        cut = {r.task: _cut_fan(r.task, records) for r in records if r.item is not None and r.task not in told}
        known = {**cut, **told}
        tasks = {name: known.get(name) or _status(last.get(name), skipped.get(name)) for name in started.tasks}
        settled = not cut and all(
            name in skipped or name in told or (name in last and _final(last[name], retries, policies.get(name)))
            for name, retries in started.tasks.items()
        )
        run = RunRecord(
            run=started.run,
            uid=started.uid,
            pipeline=started.pipeline,
            env=started.env,
            state=state_of(tasks) if settled else State.ABORT,
            started_at=started.started_at,
            ended_at=max((r.ended_at for r in records if r.task in started.tasks), default=now) if settled else now,
            params=started.params,
            tasks=tasks,
            spec_digest=started.spec_digest,
            commit=started.commit,
            labels=started.labels,
            owner=started.owner,
            resumes=started.resumes,
            given=started.given,
        )
        write(folder.run_json, entry.to_bytes(run))
    return folder.run_json.read_bytes()


def _cut_fan(task: str, records: list[TaskRecord]) -> TaskStatus:
    """How a task is told that ran many times, and of which nobody knows how it ended."""
    reasons = {r.reason for r in records if r.task == task and r.state is State.ABORT}
    return TaskStatus(FAILED, ENGINE_LOST if ENGINE_LOST in reasons or not reasons else min(reasons))


def _final(record: TaskRecord, retries: int, policy: Policy | None) -> bool:
    """Whether no other attempt would have followed."""
    if record.state is not State.FAIL or record.attempt >= retries or policy is None:
        return record.state is State.COMPLETE or (record.state is State.FAIL and record.attempt >= retries)
    cause = cause_of_record(record)
    began = record.exit_code is not None
    return cause is not None and refusal(policy, cause, record.exit_code, began=began) is not None


def _status(record: TaskRecord | None, skipped: str | None) -> TaskStatus:
    if record is None:
        return TaskStatus(NONE, skipped or STOPPING)
    return TaskStatus(SUCCEEDED if record.state is State.COMPLETE else FAILED, record.reason)
