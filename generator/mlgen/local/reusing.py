"""What need not run, told before anything does: a run that is cut off has it, to be resumed itself."""

from __future__ import annotations

from collections.abc import Sequence

from mlgen.ledger.records.task import TaskRecord
from mlgen.local.active import Parts
from mlgen.local.events import Reused
from mlgen.local.job import Job
from mlgen.local.rundir import AttemptStarted, RunFolder, Started
from mlgen.local.schedule import SUCCEEDED, Schedule
from mlgen.local.whole import write
from mlgen.plan.model import Task
from mlgen.runtime.ending import fix
from mlgen.runtime.reused import REUSED, record_in


def tell_reused(job: Job, folder: RunFolder, started: Started, schedule: Schedule, parts: Parts) -> None:
    """Keep a record in this run of all that earlier ones made for it, and say so."""

    def tell(task: Task, originals: Sequence[TaskRecord]) -> None:
        for original in originals:
            record = record_in(original, into)
            attempt = folder.attempt(task.name, record.attempt, record.item.index if record.item else None)
            attempt.path.mkdir()
            kept = fix(record)
            write(attempt.record, kept.data)  # first: an attempt that was started and has no record was cut off
            execution = job.execution(task, record.attempt, schedule, started, record.item)
            attempt.write_start(AttemptStarted(job.document(task), execution, record.started_at))
            parts.at("reused")
            parts.spooler.put(kept.data)

    into = job.into(started)
    for task in job.plan.tasks:
        if task.name in job.reused:
            tell(task, [job.reused[task.name]])
            parts.on_event(Reused(task.name, job.reused[task.name].run))
        elif task.name in job.items:
            items = job.items[task.name]
            tell(task, items.records)
            if task.name in job.known:
                folder.note_concluded(task.name, SUCCEEDED, REUSED)
                parts.on_event(Reused(task.name, items.records[0].run if items.records else ""))
