"""The loop that runs a plan: one thread that starts processes, waits for whatever happens next, and tells of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from mlgen.ledger.records import entry
from mlgen.ledger.records.run import RunRecord, TaskStatus
from mlgen.ledger.records.task import Item, State, TaskRecord
from mlgen.local import savings, searched
from mlgen.local.again import Queue, Waiting, may_follow, pause_seconds
from mlgen.local.attempt import Attempt
from mlgen.local.containers.command import INSIDE, reference
from mlgen.local.containers.container import Container
from mlgen.local.containers.container import name as container_name
from mlgen.local.events import Ended, Noted, OnEvent, Reused, Skipped, Started
from mlgen.local.fanned import FanResults, FanRun, items_of
from mlgen.local.job import Job
from mlgen.local.processes import Processes, has_ended, kill, terminate
from mlgen.local.rundir import AttemptStarted, RunFolder
from mlgen.local.rundir import Started as RunStarted
from mlgen.local.schedule import FAILED, NONE, STOPPING, SUCCEEDED, Schedule, state_of
from mlgen.local.spooler import Spooler
from mlgen.local.wakeups import Wakeups
from mlgen.local.whole import write
from mlgen.plan.model import Task
from mlgen.runtime.attempts.retrying import Cause
from mlgen.runtime.cache.around import Asked
from mlgen.runtime.clock import Clock, timestamp
from mlgen.runtime.ending import CANCELLED, PRUNED, TIMED_OUT, Ending, fix
from mlgen.runtime.fans import trials
from mlgen.runtime.outs import StagingError
from mlgen.runtime.reused import REUSED, record_in
from mlgen.runtime.stage_in import OpenStore
from mlgen.runtime.stage_out import Staged
from mlgen.spec.quantities import duration_text
from mlgen.store import Store


@dataclass(frozen=True, slots=True)
class Parts:
    """What the engine works with. at: called at named points, where a test may end the process."""

    store: Store
    open_at: OpenStore
    spooler: Spooler
    processes: Processes
    wakeups: Wakeups
    clock: Clock
    on_event: OnEvent
    at: Callable[[str], None]


class Engine:
    """The state of one run while it runs."""

    def __init__(self, job: Job, folder: RunFolder, started: RunStarted, secrets: dict[str, str], parts: Parts) -> None:
        self.schedule = Schedule(job.plan, job.arguments.params, known=job.known, left_out=job.left_out)
        self.interrupted = False
        self._job, self._folder, self._started, self._secrets, self._parts = job, folder, started, secrets, parts
        self._active: dict[tuple[str, int | None], Attempt] = {}
        self._queue = Queue()
        self._fans: dict[str, FanRun] = {}  # that have begun and not ended
        self._interrupts_seen = 0
        self._give_up_at: float | None = None
        self._about_run: dict[str, str] = {}  # what only finally tasks are told

    def run_tasks(self) -> RunRecord:
        """Run `tasks` to their end; what became of them."""
        self._reuse()
        self._loop(self.schedule.take)
        statuses = self.schedule.statuses
        s = self._started
        return RunRecord(
            run=s.run,
            uid=s.uid,
            pipeline=s.pipeline,
            env=s.env,
            state=state_of(statuses),
            started_at=s.started_at,
            ended_at=self._now(),
            params=s.params,
            tasks={name: statuses[name] for name in s.tasks},
            spec_digest=s.spec_digest,
            commit=s.commit,
            labels=s.labels,
            owner=s.owner,
            resumes=s.resumes,
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
        tasks = {name: {"status": s.status, "reason": s.reason} for name, s in run.tasks.items()}
        self._about_run = {"MLGEN_RUN_STATUS": self.schedule.aggregate, "MLGEN_TASKS": json.dumps(tasks)}
        waiting = iter(self.schedule.finally_tasks())
        for name, status in self.schedule.finally_statuses.items():
            self._tell_skip(name, status.reason)
        self._loop(lambda: next(waiting, None))
        for task in waiting:
            self.schedule.conclude(task.name, TaskStatus(NONE, STOPPING))

    def _reuse(self) -> None:
        """Tell of what need not run, before anything does: a run that is cut off has it, to be resumed itself."""
        job = self._job
        for task in job.plan.tasks:
            if task.name in job.reused:
                self._tell_reused(task, [job.reused[task.name]])
                self._parts.on_event(Reused(task.name, job.reused[task.name].run))
            elif task.name in job.items:
                items = job.items[task.name]
                self._tell_reused(task, items.records)
                if task.name in job.known:
                    self._folder.note_concluded(task.name, SUCCEEDED, REUSED)
                    self._parts.on_event(Reused(task.name, items.records[0].run if items.records else ""))

    def _tell_reused(self, task: Task, originals: Sequence[TaskRecord]) -> None:
        job, document = self._job, self._job.document(task)
        into = job.into(self._started)
        for original in originals:
            record = record_in(original, into)
            folder = self._folder.attempt(task.name, record.attempt, record.item.index if record.item else None)
            folder.path.mkdir()
            kept = fix(record)
            write(folder.record, kept.data)  # first: an attempt that was started and has no record was cut off
            execution = job.execution(task, record.attempt, self.schedule, self._started, record.item)
            folder.write_start(AttemptStarted(document, execution, record.started_at))
            self._parts.at("reused")
            self._parts.spooler.put(kept.data)

    def _now(self) -> str:
        return timestamp(self._parts.clock.now())

    def _loop(self, take: Callable[[], Task | None]) -> None:
        while True:
            self._hear_interrupts()
            self._try_again()
            while self._end_fan() or self._start_one(take):
                pass
            self._tell_skips()
            if not self._active and not self._queue:
                return
            self._parts.wakeups.wait(self._patience())
            self._look_after()

    def _try_again(self) -> None:
        """Begin the attempts that waited for long enough, before any new task; of an interrupted run none."""
        for waiting in self._queue.drop() if self.interrupted else ():
            if waiting.item is not None:
                self._fans[waiting.task.name].give_up(waiting.item)
            else:
                self._fail(waiting.task.name, CANCELLED)
        while len(self._active) < self._job.slots and (due := self._queue.take(self._parts.clock.monotonic())):
            self._begin(due.task, due.number, due.item, due.texts)

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
                self._begin(task, 0)
            else:
                self._begin_fan(task)
            return True
        for fan in self._fans.values() if not self.schedule.stopping else ():
            if (found := fan.next()) is not None:
                self._begin(fan.task, 0, *found)
                return True
        return False

    def _begin_fan(self, task: Task) -> None:
        try:
            known = self._job.items.get(task.name)
            self._fans[task.name] = FanRun(task, items_of(task, self.schedule.read), known.outcomes if known else ())
        except StagingError as error:  # told as of a task that runs once, by a record
            self._begin(task, 0, problem=str(error))

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
            self.schedule.succeed(name, FanResults(fan.task, fan.told))
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

    def _begin(
        self,
        task: Task,
        number: int,
        item: Item | None = None,
        texts: Mapping[str, str] | None = None,
        problem: str | None = None,
    ) -> None:
        """item, texts: of a fan. problem: why it cannot run, known before it begins."""
        job = self._job
        folder = self._folder.attempt(task.name, number, item.index if item else None)
        attempt = Attempt(
            task=task,
            document=job.document(task),
            execution=job.execution(task, number, self.schedule, self._started, item),
            folder=folder,
            kept_code=self._folder.code(task.code.digest) if task.code else None,
            secrets={ref.variable: self._secrets[ref.variable] for ref in task.secrets},
            started_at=self._now(),
            began=self._parts.clock.monotonic(),
            item=item,
            texts=texts or {},
            grace_seconds=job.grace_seconds,
        )
        problem = problem or job.unreadable(task, self.schedule)
        if job.client is not None and task.image is not None:
            name = container_name(job.run, task.name, attempt.execution.run_id)
            attempt.container, attempt.image = Container(job.client, name), reference(task.image)
        parts = self._parts
        attempt.saving = savings.saving_of(attempt, parts.store, parts.clock, parts.wakeups, parts.on_event)
        attempt.earlier_checkpoints = savings.earlier(attempt, job.resumes)
        self._active[attempt.key] = attempt
        attempt.begin()
        self._parts.at("started")
        self._parts.on_event(Started(task.name, number, item))
        if problem is not None:
            self._staged_in(attempt, problem)
            return
        asked = Asked(self._parts.store, self._parts.clock.now(), job.look, attempt.notes.append)
        stage = partial(attempt.stage_in, self._parts.open_at, asked)
        if attempt.moves_bytes:
            self._parts.wakeups.in_thread(lambda: partial(self._staged_in, attempt, stage()))
        else:
            self._staged_in(attempt, stage())

    def _staged_in(self, attempt: Attempt, problem: str | None) -> None:
        if self._active.get(attempt.key) is not attempt:  # given up
            return
        if self.interrupted:
            self._conclude(attempt, attempt.stopped(None, self._now()))
            return
        for line in attempt.notes:
            self._parts.on_event(Noted(f"{attempt.name}: {line}"))
        if problem is None and attempt.hit is not None:
            self._recorded(attempt, attempt.take(self._now()))
            return
        if problem is None:
            self._parts.at("staged")
            tree = attempt.folder.tree if attempt.container is None else INSIDE
            about = {**self._about_run, **attempt.variables}
            if attempt.task.fan is not None and attempt.task.fan.search is not None:
                about |= trials.variables(tree)
                attempt.watcher = searched.watcher(attempt, self._fans[attempt.task.name].told)
            env = self._job.variables(attempt.task, attempt.execution, tree, attempt.secrets, about)
            problem = attempt.launch(self._parts.processes, env, self._parts.wakeups)
            self._parts.at("launched")
        if problem is not None:
            cause = Cause.INFRASTRUCTURE if attempt.log is None else Cause.PROGRAM
            self._conclude(attempt, attempt.failed(problem, cause, self._now()))
        else:
            attempt.deadline = self._parts.clock.monotonic() + attempt.task.timeout_seconds

    def _look_after(self) -> None:
        """Take notice of programs that ended, or should have."""
        now = self._parts.clock.monotonic()
        for attempt in list(self._active.values()):
            if attempt.process is None:
                continue
            if has_ended(attempt.process):
                process, attempt.process, attempt.deadline = attempt.process, None, None
                exit_code = self._parts.processes.end(process)
                self._parts.at("ended")
                self._ended(attempt, exit_code)
            elif attempt.deadline is not None and now >= attempt.deadline:
                if attempt.asked_to_end is None:
                    self._ask_to_end(attempt, TIMED_OUT)
                else:
                    kill(attempt.process)
                    attempt.deadline = None
        searched.look(list(self._active.values()))
        savings.begin_due(self._active.values(), self._parts.wakeups)
        if self._give_up_at is not None and now >= self._give_up_at:
            self._give_up()

    def _ended(self, attempt: Attempt, exit_code: int) -> None:
        if (container := attempt.container) is None:
            self._conclude(attempt, attempt.ended(exit_code, self._now()))
            return
        now = self._now()  # beside the loop: its engine is asked twice, a tenth of a second each
        ask = partial(attempt.ended_container, container, exit_code, now)
        self._parts.wakeups.in_thread(lambda: partial(self._told_by_engine, attempt, ask()))

    def _told_by_engine(self, attempt: Attempt, ending: Ending) -> None:
        if self._active.get(attempt.key) is attempt:  # else given up
            self._conclude(attempt, ending)

    def _ask_to_end(self, attempt: Attempt, why: str) -> None:
        assert attempt.process is not None
        attempt.asked_to_end = attempt.asked_to_end or why
        attempt.deadline = self._parts.clock.monotonic() + self._job.grace_seconds
        terminate(attempt.process)

    def _hear_interrupts(self) -> None:
        """The first asks all programs to end and starts no more; the second does not wait for them."""
        if self._parts.wakeups.interrupts == self._interrupts_seen:
            return
        again, self._interrupts_seen = self.interrupted, self._parts.wakeups.interrupts
        self.interrupted = True
        self.schedule.stop()
        now = self._parts.clock.monotonic()
        self._give_up_at = now if again else now + self._job.grace_seconds
        for attempt in self._active.values():
            if attempt.process is not None and again:
                kill(attempt.process)
            elif attempt.process is not None:
                self._ask_to_end(attempt, CANCELLED)

    def _give_up(self) -> None:
        """Tell of what is still being staged without waiting for it; its thread finds nobody who listens."""
        for attempt in [a for a in self._active.values() if a.process is None]:
            self._recorded(attempt, attempt.give_up(self._now()))

    def _patience(self) -> float | None:
        deadlines = [a.deadline for a in self._active.values() if a.deadline is not None]
        if self._give_up_at is not None and any(a.process is None for a in self._active.values()):
            deadlines.append(self._give_up_at)
        now = self._parts.clock.monotonic()
        if self._queue.next_at is not None and len(self._active) < self._job.slots:
            deadlines.append(self._queue.next_at)
        deadlines += [now + left for left in savings.seconds_left(self._active.values())]
        deadlines += [now + left for left in searched.seconds_left(list(self._active.values()))]
        return max(0.0, min(deadlines) - now) if deadlines else None

    def _conclude(self, attempt: Attempt, ending: Ending) -> None:
        if attempt.log is not None:
            attempt.log.close()
            attempt.log = None
        stage = partial(attempt.stage_out, self._parts.store, ending)
        if attempt.moves_bytes:
            self._parts.wakeups.in_thread(lambda: partial(self._recorded, attempt, stage()))
        else:
            self._recorded(attempt, stage())

    def _recorded(self, attempt: Attempt, staged: Staged) -> None:
        name = attempt.task.name
        if self._active.get(attempt.key) is not attempt:  # given up
            return
        staged, kept = attempt.write_record(staged)
        self._parts.at("recorded")
        self._parts.spooler.put(kept.data, partial(attempt.keep_entry, self._parts.store, staged))
        for line in (line for line in kept.told if not line.startswith("params")):  # told when the run began
            self._parts.on_event(Noted(f"{attempt.name}: {line}"))
        del self._active[attempt.key]
        record = staged.record
        retried = not self.interrupted and may_follow(attempt, record)
        seconds = self._parts.clock.monotonic() - attempt.began
        told = Ended(
            task=name,
            attempt=record.attempt,
            state=record.state,
            exit_code=record.exit_code,
            error=record.error,
            log=attempt.folder.log,
            seconds=seconds,
            retried=retried,
            cached=record.original_run_id is not None,
            item=attempt.item,
        )
        self._parts.on_event(told)
        if retried:
            self._wait_for(attempt, record.attempt + 1, pause_seconds(attempt, record))
        elif attempt.item is not None:
            aborted = record.state is State.ABORT and record.reason != PRUNED
            cut_off = aborted or (self.interrupted and may_follow(attempt, record))
            self._fans[name].end(record, staged.texts, cut_off=cut_off)
        elif name not in self._started.tasks:
            status = SUCCEEDED if record.state is State.COMPLETE else FAILED
            self.schedule.conclude(name, TaskStatus(status, record.reason))
        elif record.state is State.COMPLETE:
            self.schedule.succeed(name, staged.texts)
        else:
            self.schedule.fail(name, CANCELLED if self.interrupted and may_follow(attempt, record) else record.reason)

    def _wait_for(self, attempt: Attempt, number: int, seconds: int) -> None:
        """Have a task tried again, after so long."""
        if not seconds:
            self._begin(attempt.task, number, attempt.item, attempt.texts)
            return
        at = self._parts.clock.monotonic() + seconds
        self._queue.add(Waiting(attempt.task, number, at, attempt.item, attempt.texts))
        self._parts.on_event(Noted(f"{attempt.name}: tried again in {duration_text(seconds)}"))
