"""The attempts that go on, each from the making of its folder to its record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from mlgen.ledger.records.task import Item, TaskRecord
from mlgen.local import savings, searched
from mlgen.local.again import may_follow
from mlgen.local.attempt import Attempt
from mlgen.local.containers.command import INSIDE, reference
from mlgen.local.containers.container import Container
from mlgen.local.containers.container import name as container_name
from mlgen.local.events import Ended, Noted, OnEvent, Started
from mlgen.local.job import Job
from mlgen.local.processes import Processes, has_ended, kill, terminate
from mlgen.local.rundir import RunFolder
from mlgen.local.rundir import Started as RunStarted
from mlgen.local.schedule import Schedule
from mlgen.local.spooler import Spooler
from mlgen.local.wakeups import Wakeups
from mlgen.plan.model import Task
from mlgen.runtime.attempts.retrying import Cause
from mlgen.runtime.cache.around import Asked
from mlgen.runtime.clock import Clock, timestamp
from mlgen.runtime.ending import CANCELLED, TIMED_OUT, Ending
from mlgen.runtime.fans import trials
from mlgen.runtime.fans.outcomes import Outcome
from mlgen.runtime.stage_in import OpenStore
from mlgen.runtime.stage_out import Staged
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


class OnRecord(Protocol):
    """Told when an attempt has its record. texts: its results. retried: whether another attempt follows."""

    def __call__(
        self, attempt: Attempt, record: TaskRecord, texts: Mapping[str, str | None], *, retried: bool
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class Run:
    """The run whose attempts these are. told: what is known of a search's trials, by its task."""

    job: Job
    folder: RunFolder
    started: RunStarted
    secrets: Mapping[str, str]
    schedule: Schedule
    told: Callable[[str], Sequence[Outcome]]


class Active:
    """Attempts that have begun and have no record yet. about_run: what only finally tasks are told."""

    def __init__(self, run: Run, parts: Parts, on_record: OnRecord) -> None:
        self.interrupted = False
        self.about_run: dict[str, str] = {}
        self._run, self._parts, self._on_record = run, parts, on_record
        self._active: dict[tuple[str, int | None], Attempt] = {}
        self._interrupts_seen = 0
        self._give_up_at: float | None = None

    def __len__(self) -> int:
        return len(self._active)

    def begin(
        self,
        task: Task,
        number: int,
        item: Item | None = None,
        texts: Mapping[str, str] | None = None,
        problem: str | None = None,
    ) -> None:
        """item, texts: of a fan. problem: why it cannot run, known before it begins."""
        job = self._run.job
        folder = self._run.folder.attempt(task.name, number, item.index if item else None)
        attempt = Attempt(
            task=task,
            document=job.document(task),
            execution=job.execution(task, number, self._run.schedule, self._run.started, item),
            folder=folder,
            kept_code=self._run.folder.code(task.code.digest) if task.code else None,
            secrets={ref.variable: self._run.secrets[ref.variable] for ref in task.secrets},
            started_at=timestamp(self._parts.clock.now()),
            began=self._parts.clock.monotonic(),
            item=item,
            texts=texts or {},
            grace_seconds=job.grace_seconds,
        )
        problem = problem or job.unreadable(task, self._run.schedule)
        if job.client is not None and task.image is not None:
            name = container_name(job.run, task.name, attempt.execution.run_id)
            attempt.container, attempt.image = Container(job.client, name), reference(task.image)
        parts = self._parts
        attempt.saving = savings.saving_of(attempt, parts.store, parts.clock, parts.wakeups, parts.on_event)
        attempt.earlier_checkpoints = savings.earlier(attempt, job.taken_up)
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
            self._conclude(attempt, attempt.stopped(None, timestamp(self._parts.clock.now())))
            return
        for line in attempt.notes:
            self._parts.on_event(Noted(f"{attempt.name}: {line}"))
        if problem is None and attempt.hit is not None:
            self._recorded(attempt, attempt.take(timestamp(self._parts.clock.now())))
            return
        if problem is None:
            self._parts.at("staged")
            tree = attempt.folder.tree if attempt.container is None else INSIDE
            about = {**self.about_run, **attempt.variables}
            if attempt.task.fan is not None and attempt.task.fan.search is not None:
                about |= trials.variables(tree)
                attempt.watcher = searched.watcher(attempt, self._run.told(attempt.task.name))
            env = self._run.job.variables(attempt.task, attempt.execution, tree, attempt.secrets, about)
            problem = attempt.launch(self._parts.processes, env, self._parts.wakeups)
            self._parts.at("launched")
        if problem is not None:
            cause = Cause.INFRASTRUCTURE if attempt.log is None else Cause.PROGRAM
            self._conclude(attempt, attempt.failed(problem, cause, timestamp(self._parts.clock.now())))
        else:
            attempt.deadline = self._parts.clock.monotonic() + attempt.task.timeout_seconds

    def look_after(self) -> None:
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
            self._conclude(attempt, attempt.ended(exit_code, timestamp(self._parts.clock.now())))
            return
        now = timestamp(self._parts.clock.now())  # beside the loop: its engine is asked twice, a tenth of a second each
        ask = partial(attempt.ended_container, container, exit_code, now)
        self._parts.wakeups.in_thread(lambda: partial(self._told_by_engine, attempt, ask()))

    def _told_by_engine(self, attempt: Attempt, ending: Ending) -> None:
        if self._active.get(attempt.key) is attempt:  # else given up
            self._conclude(attempt, ending)

    def _ask_to_end(self, attempt: Attempt, why: str) -> None:
        assert attempt.process is not None
        attempt.asked_to_end = attempt.asked_to_end or why
        attempt.deadline = self._parts.clock.monotonic() + self._run.job.grace_seconds
        terminate(attempt.process)

    def hear_interrupts(self) -> None:
        """The first asks all programs to end and starts no more; the second does not wait for them."""
        if self._parts.wakeups.interrupts == self._interrupts_seen:
            return
        again, self._interrupts_seen = self.interrupted, self._parts.wakeups.interrupts
        self.interrupted = True
        now = self._parts.clock.monotonic()
        self._give_up_at = now if again else now + self._run.job.grace_seconds
        for attempt in self._active.values():
            if attempt.process is not None and again:
                kill(attempt.process)
            elif attempt.process is not None:
                self._ask_to_end(attempt, CANCELLED)

    def _give_up(self) -> None:
        """Tell of what is still being staged without waiting for it; its thread finds nobody who listens."""
        for attempt in [a for a in self._active.values() if a.process is None]:
            self._recorded(attempt, attempt.give_up(timestamp(self._parts.clock.now())))

    def next_at(self) -> float | None:
        """When something is to be done for one of them though nothing happens, by the monotonic clock."""
        deadlines = [a.deadline for a in self._active.values() if a.deadline is not None]
        if self._give_up_at is not None and any(a.process is None for a in self._active.values()):
            deadlines.append(self._give_up_at)
        now = self._parts.clock.monotonic()
        deadlines += [now + left for left in savings.seconds_left(self._active.values())]
        deadlines += [now + left for left in searched.seconds_left(list(self._active.values()))]
        return min(deadlines, default=None)

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
        self._on_record(attempt, record, staged.texts, retried=retried)
