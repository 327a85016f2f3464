"""The loop that runs a plan: one thread that starts processes, waits for whatever happens next, and tells of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mlgen.ledger.records import entry
from mlgen.ledger.records.run import RunRecord, TaskStatus
from mlgen.ledger.records.task import State, TaskRecord
from mlgen.local.active import Active, Parts, Run
from mlgen.local.again import Queue, Waiting, may_follow, pause_seconds
from mlgen.local.attempt import Attempt
from mlgen.local.events import Noted, Skipped
from mlgen.local.fanned import FanResults, FanRun, items_of
from mlgen.local.job import Job
from mlgen.local.reusing import tell_reused
from mlgen.local.rundir import RunFolder
from mlgen.local.rundir import Started as RunStarted
from mlgen.local.schedule import FAILED, NONE, STOPPING, SUCCEEDED, Schedule, state_of
from mlgen.local.whole import write
from mlgen.plan.model import Task
from mlgen.runtime import statuses
from mlgen.runtime.clock import timestamp
from mlgen.runtime.ending import CANCELLED, PRUNED
from mlgen.runtime.outs import StagingError
from mlgen.spec.quantities import duration_text


class Engine:
    """The state of one run while it runs."""

    def __init__(self, job: Job, folder: RunFolder, started: RunStarted, secrets: dict[str, str], parts: Parts) -> None:
        self.schedule = Schedule(job.plan, job.arguments.params, known=job.known, left_out=job.left_out)
        self._job, self._folder, self._started, self._parts = job, folder, started, parts
        self._queue = Queue()
        self._fans: dict[str, FanRun] = {}  # that have begun and not ended
        run = Run(job, folder, started, secrets, self.schedule, lambda name: self._fans[name].told)
        self._active = Active(run, parts, self._recorded)

    @property
    def interrupted(self) -> bool:
        return self._active.interrupted

    def run_tasks(self) -> RunRecord:
        """Run `tasks` to their end; what became of them."""
        tell_reused(self._job, self._folder, self._started, self.schedule, self._parts)
        self._loop(self.schedule.take)
        ended = self.schedule.statuses
        s = self._started
        return RunRecord(
            run=s.run,
            uid=s.uid,
            pipeline=s.pipeline,
            env=s.env,
            state=state_of(ended),
            started_at=s.started_at,
            ended_at=timestamp(self._parts.clock.now()),
            params=s.params,
            tasks={name: ended[name] for name in s.tasks},
            spec_digest=s.spec_digest,
            commit=s.commit,
            labels=s.labels,
            owner=s.owner,
            resumes=s.resumes,
            given=s.given,
        )

    def tell_run(self, run: RunRecord) -> None:
        """Fix what became of the run, before its finally tasks start."""
        data = entry.to_bytes(run)
        write(self._folder.run_json, data)
        self._parts.at("run-told")
        self._parts.spooler.put(data)

    def run_finally(self, run: RunRecord) -> None:
        """Run the finally tasks, which learn how `tasks` ended; an interrupted run has none."""
        if self.interrupted:
            for task in self._job.plan.finally_tasks:
                self.schedule.conclude(task.name, TaskStatus(NONE, STOPPING))
            return
        tasks, left_out = statuses.text(run.tasks)
        self._active.about_run = {"MLGEN_RUN_STATUS": self.schedule.aggregate, "MLGEN_TASKS": tasks}
        if left_out and self._job.plan.finally_tasks:
            self._parts.on_event(Noted(left_out))
        waiting = iter(self.schedule.finally_tasks())
        for name, status in self.schedule.finally_statuses.items():
            self._tell_skip(name, status.reason)
        self._loop(lambda: next(waiting, None))
        for task in waiting:
            self.schedule.conclude(task.name, TaskStatus(NONE, STOPPING))

    def _loop(self, take: Callable[[], Task | None]) -> None:
        while True:
            self._active.hear_interrupts()
            if self.interrupted:
                self.schedule.stop()
            self._try_again()
            while self._end_fan() or self._start_one(take):
                pass
            self._tell_skips()
            if not self._active and not self._queue:
                return
            self._parts.wakeups.wait(self._patience())
            self._active.look_after()

    def _try_again(self) -> None:
        """Begin the attempts that waited for long enough, before any new task; of an interrupted run none."""
        for waiting in self._queue.drop() if self.interrupted else ():
            if waiting.item is not None:
                self._fans[waiting.task.name].give_up(waiting.item)
            else:
                self._fail(waiting.task.name, CANCELLED)
        while len(self._active) < self._job.slots and (due := self._queue.take(self._parts.clock.monotonic())):
            self._active.begin(due.task, due.number, due.item, due.texts)

    def _fail(self, name: str, reason: str) -> None:
        if name in self._started.tasks:
            self.schedule.fail(name, reason)
        else:
            self.schedule.conclude(name, TaskStatus(FAILED, reason))

    def _start_one(self, take: Callable[[], Task | None]) -> bool:
        """Start what may start next: a task before a further item, as others may wait for it. Whether there was one."""
        if self.interrupted or len(self._active) >= self._job.slots:
            return False
        task = take()
        if task is not None:
            if task.fan is None:
                self._active.begin(task, 0)
            else:
                self._begin_fan(task)
            return True
        for fan in self._fans.values() if not self.schedule.stopping else ():
            if (found := fan.next()) is not None:
                self._active.begin(fan.task, 0, *found)
                return True
        return False

    def _begin_fan(self, task: Task) -> None:
        try:
            known = self._job.items.get(task.name)
            self._fans[task.name] = FanRun(task, items_of(task, self.schedule.read), known.outcomes if known else ())
        except StagingError as error:  # told as of a task that runs once, by a record
            self._active.begin(task, 0, problem=str(error))

    def _end_fan(self) -> bool:
        """Conclude a fan that has ended, if there is one."""
        stopping = self.interrupted or self.schedule.stopping
        fan = next((fan for fan in self._fans.values() if fan.ended(stopping=stopping)), None)
        if fan is None:
            return False
        name, status = fan.task.name, fan.status()
        del self._fans[name]
        self._folder.note_concluded(name, status.status if status else NONE, status.reason if status else STOPPING)
        self._parts.at("concluded")
        if status is None:
            self.schedule.leave(name)
        elif status.status == SUCCEEDED:
            self.schedule.succeed(name, FanResults(fan.task, fan.told), status.reason)
        else:
            self.schedule.fail(name, status.reason)
        if status is not None:
            self._parts.on_event(fan.concluded(status))
        return True

    def _tell_skips(self) -> None:
        for name, reason in self.schedule.skipped_news():
            self._tell_skip(name, reason)

    def _tell_skip(self, name: str, reason: str) -> None:
        because = self.schedule.whys[name]
        self._folder.note_skipped(name, reason, because)
        self._parts.on_event(Skipped(name, reason, because))

    def _patience(self) -> float | None:
        """Seconds until something is to be done though nothing happens; None: nothing is."""
        times = [self._active.next_at(), self._queue.next_at if len(self._active) < self._job.slots else None]
        known = [time for time in times if time is not None]
        return max(0.0, min(known) - self._parts.clock.monotonic()) if known else None

    def _recorded(
        self, attempt: Attempt, record: TaskRecord, texts: Mapping[str, str | None], *, retried: bool
    ) -> None:
        name = attempt.task.name
        if retried:
            self._wait_for(attempt, record.attempt + 1, pause_seconds(attempt, record))
        elif attempt.item is not None:
            aborted = record.state is State.ABORT and record.reason != PRUNED
            cut_off = aborted or (self.interrupted and may_follow(attempt, record))
            self._fans[name].end(record, texts, cut_off=cut_off)
        elif name not in self._started.tasks:
            status = SUCCEEDED if record.state is State.COMPLETE else FAILED
            self.schedule.conclude(name, TaskStatus(status, record.reason))
        elif record.state is State.COMPLETE:
            self.schedule.succeed(name, texts)
        else:
            self.schedule.fail(name, CANCELLED if self.interrupted and may_follow(attempt, record) else record.reason)

    def _wait_for(self, attempt: Attempt, number: int, seconds: int) -> None:
        """Have a task tried again, after so long."""
        if not seconds:
            self._active.begin(attempt.task, number, attempt.item, attempt.texts)
            return
        at = self._parts.clock.monotonic() + seconds
        self._queue.add(Waiting(attempt.task, number, at, attempt.item, attempt.texts))
        self._parts.on_event(Noted(f"{attempt.name}: tried again in {duration_text(seconds)}"))
