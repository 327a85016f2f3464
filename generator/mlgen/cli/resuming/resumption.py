"""What a run that takes up another reuses and runs: decided from the plan, the ledger and the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from mlgen.canonical import Json
from mlgen.cli.ledgers.records import Records
from mlgen.cli.output import note
from mlgen.cli.resuming import base
from mlgen.cli.resuming.ask import Ask
from mlgen.cli.resuming.items import Left
from mlgen.cli.resuming.taken import Before, take
from mlgen.diagnostic import Misuse
from mlgen.ledger.questions.read import Run
from mlgen.ledger.records.task import State, TaskRecord
from mlgen.local.fanned import FanResults
from mlgen.local.params import parse_arguments
from mlgen.local.schedule import GATE_FALSE, SUCCEEDED
from mlgen.plan.known import Known, Past, Texts, downstream, know, upstream
from mlgen.plan.model import OutRef, Plan, Task
from mlgen.plan.text import task_json
from mlgen.runtime import plans
from mlgen.runtime.outs import StagingError
from mlgen.runtime.reused import Items, texts_of

MOST_TOLD = 20  # tasks, in a line each


@dataclass(frozen=True, slots=True)
class Resumption:
    """run, uid: of the one that is taken up; before: the uids of those that this one took up in turn, the latest first.

    given: the arguments, as on the command line; asked: which of them somebody gave, now or then. notes: what is to be
    said of the rest.

    known: of tasks and gate tasks that need not run, what their readers get. reused: the records of those tasks; of
    fans, items: also of those that run for others of their items.
    left_out: tasks, finally tasks among them, that are not asked for. again: task -> why it runs.
    """

    run: str
    uid: str
    given: tuple[str, ...]
    known: Mapping[str, Texts]
    reused: Mapping[str, TaskRecord]
    left_out: frozenset[str]
    again: Mapping[str, str]
    items: Mapping[str, Items] = field(default_factory=dict)
    before: tuple[str, ...] = ()
    asked: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that do not run at all, as what they leave is known."""
        return tuple(name for name in self.known if name in self.reused or name in self.items)

    def tell(self) -> None:
        """What is reused and what runs, for people, and with which arguments that nobody gave."""
        for line in self.notes:
            note(line)
        count = len(self.tasks)
        reused = ", ".join(self.tasks) if count <= MOST_TOLD else f"{count} tasks"
        note(f"from {self.run}: {f'{reused} reused' if count else 'nothing is reused'}")
        for name, why in list(self.again.items())[:MOST_TOLD]:
            note(f"runs again: {name} ({why})")
        if len(self.again) > MOST_TOLD:
            note(f"runs again: {len(self.again) - MOST_TOLD} more")


def resume(
    records: Records,
    plan: Plan,
    ask: Ask,
    given: Sequence[str],
    *,
    engine: str,
    has: Callable[[str], bool] | None = None,
    misfit: Callable[[str, Texts], str | None] = lambda _task, _texts: None,
    parts: Callable[[Task], bool] = lambda _task: True,
) -> Resumption:
    """Decide what runs again. given: `name=value`s of the command line. has: as of `parse_arguments`.

    engine: of the new run, as records call it. misfit: why it cannot hand on what a task left, None if it can.
    parts: whether it can run a fan for a part of its items.
    Raises Misuse where what was asked for cannot be, with what is missing and why; CannotAnswer.
    """
    ask.check(plan)
    taken_up = base.find(records, plan, ask)
    run = taken_up.run
    project, cwd = records.workspace.root, Path.cwd()
    taken = take(plan, Before.of(records, plan, run), given, project=project, cwd=cwd)
    arguments = parse_arguments(plan, taken.given, project=project, cwd=cwd, has=has)
    found = {e.record.task: e.record for e in run.outcomes if e.record.item is None}
    looking = _Looking(records, plan, run, engine)
    past = {task.name: looking.past(task, found.get(task.name)) for task in plan.tasks}
    items: dict[str, Items] = {}

    def there(name: str) -> str | None:
        about, task = past[name], plan.task(name)
        assert isinstance(about, Past), "asked only of what is known else"
        if task.fan is None:
            return looking.gone(found[name]) or misfit(name, about.texts)
        try:
            items[name], why = looking.items(task, past)
        except StagingError as error:  # of its lists, which the run will tell again
            return str(error)
        if why is not None and not parts(task):
            del items[name]
        elif why is None:
            other = looking.other(task, items[name], about)
            past[name] = Past(about.about, FanResults(task, items[name].outcomes), other)
        return why

    known = know(plan, past, params=arguments.params, changed=taken.changed, asked=_asked(plan, ask), there=there)
    others = [one.other for one in past.values() if isinstance(one, Past) and one.other is not None]
    chosen = _chosen(plan, run, ask, known, given=taken.given, found=found, others=others)
    left = {name: one for name, one in items.items() if name not in chosen.left_out}
    return replace(chosen, items=left, before=taken_up.before, asked=taken.asked, notes=taken.notes)


def _asked(plan: Plan, ask: Ask) -> set[str]:
    if ask.start is not None:
        return {ask.start} | downstream(plan, ask.start)
    return {ask.only} if ask.only is not None else set()


def _chosen(
    plan: Plan,
    run: Run,
    ask: Ask,
    known: Known,
    *,
    given: tuple[str, ...],
    found: Mapping[str, TaskRecord],
    others: Sequence[str],
) -> Resumption:
    """others: of fans that are known, what of them is another now, in words."""
    texts, again, left_out = known.texts, known.again, frozenset[str]()
    if ask.only is not None:
        before = upstream(plan, ask.only)
        texts = {name: one for name, one in texts.items() if name in before}
        left_out = frozenset(t.name for t in plan.all_tasks if t.name not in before and t.name != ask.only)
        again = {name: why for name, why in again.items() if name not in left_out}
    wanted = ask.start or ask.only
    if wanted is not None:
        _refuse_unknown(plan, run, ask, wanted, {n: why for n, why in again.items() if n not in _asked(plan, ask)})
    elif not again:
        fix = "--from TASK runs a task and all after it again; without --resume, everything"
        shut = [name for name in known.resting if name in found and found[name].state is State.COMPLETE]
        whys = [f"the gate of {', '.join(sorted(shut))} is false now, so that nothing more would run"] if shut else []
        whys += [f"{other}, and no task reads it" for other in others]
        message = f"all that {run.name} did is known" + ("" if whys else ", and nothing of it has changed")
        raise Misuse("nothing-to-run", message, why="\n".join(whys), fix=fix)
    reused = {task.name: found[task.name] for task in plan.tasks if task.name in texts and task.fan is None}
    return Resumption(run.name, run.uid, given, texts, reused, left_out, again)


def _refuse_unknown(plan: Plan, run: Run, ask: Ask, wanted: str, missing: Mapping[str, str]) -> None:
    if not missing:
        return
    first = next(iter(missing))
    what = f"{len(missing)} tasks" if missing.keys() - {first} else f'"{first}"'
    is_only = ask.only is not None
    fix = f"--resume {run.name} {'alone ' if ask.resume else ''}runs again whatever has to"
    if not is_only and first in upstream(plan, wanted):
        fix += f"; or begin there: --from {first}"
    raise Misuse(
        "not-known",
        f'{what} would have to run as well{" before" if is_only else " beside"} "{wanted}": not known from {run.name}',
        why="\n".join(f"{name}: {why}" for name, why in list(missing.items())[:MOST_TOLD]),
        fix=fix,
    )


@dataclass(frozen=True)
class _Looking:
    """Looks at what a run left, in ledger and store."""

    records: Records
    plan: Plan
    run: Run
    engine: str
    _plans: dict[str, Mapping[str, Mapping[str, Json]] | None] = field(default_factory=dict)

    def past(self, task: Task, record: TaskRecord | None) -> Past | str:
        """What the run has of a task, or why it has nothing."""
        if task.fan is not None:
            return self._past_of_fan(task)
        if record is None:
            return self._without_record(task.name)
        if record.state is not State.COMPLETE:
            return "it failed" if record.state is State.FAIL else "it was cut off"
        if record.engine != self.engine:
            return f"it ran by the engine {record.engine}"
        texts = texts_of(record, task, self.records.environment.artifacts)
        if isinstance(texts, str):
            return texts
        about = self._about(task, record.plan_digest)
        return about if isinstance(about, str) else Past(about, texts)

    def _past_of_fan(self, task: Task) -> Past | str:
        """As of any task; what its items left is looked at last, by `items`."""
        records = self._items_of(task)
        if any(record.engine != self.engine for record in records.values()):
            return f"it ran by the engine {next(iter(records.values())).engine}"
        digests = {e.record.plan_digest for e in self.run.outcomes if not records or e.record.task == task.name}
        if (not records and not self._succeeded(task.name)) or len(digests) != 1:
            return self._without_record(task.name)
        about = self._about(task, digests.pop())
        return about if isinstance(about, str) else Past(about, {})

    def items(self, task: Task, past: Mapping[str, Past | str]) -> tuple[Items, str | None]:
        """As `Left.known`. past: of the tasks before it, which are known."""

        def read(source: OutRef) -> str | None:
            about = past[source.task]
            assert isinstance(about, Past), "all before it is known"
            return about.texts[source.out]

        return self._left(task).known(task, read)

    def other(self, task: Task, items: Items, past: Past) -> str | None:
        """As `Left.other`."""
        before = past.about.get("fan")
        assert isinstance(before, Mapping), "known fans were fans"
        return self._left(task).other(task, items, before)

    def _left(self, task: Task) -> Left:
        artifacts = self.records.environment.artifacts
        return Left(self._items_of(task), self._succeeded(task.name), artifacts, self.gone)

    def _items_of(self, task: Task) -> dict[int, TaskRecord]:
        records = [e.record for e in self.run.outcomes if e.record.task == task.name]
        return {record.item.index: record for record in records if record.item is not None}

    def _succeeded(self, task: str) -> bool:
        status = self.run.record.tasks.get(task) if self.run.record else None
        return status is not None and status.status == SUCCEEDED

    def _about(self, task: Task, digest: str) -> Mapping[str, Json] | str:
        """A task's JSON in the plan of a digest, or why there is none."""
        if digest == self.plan.digest:
            return cast("Mapping[str, Json]", task_json(task))
        tasks = self._kept(digest)
        if tasks is None:
            return "the spec changed, and the plan that it ran by is not kept"
        return tasks.get(task.name, "it is new")

    def _kept(self, digest: str) -> Mapping[str, Mapping[str, Json]] | None:
        if digest not in self._plans:
            self._plans[digest] = plans.kept(digest, self.records.store)
        return self._plans[digest]

    def _without_record(self, task: str) -> str:
        status = self.run.record.tasks.get(task) if self.run.record else None
        if status is None:
            return "it is new"
        return "its gate was false" if status.reason == GATE_FALSE else "it was not started"

    def gone(self, record: TaskRecord) -> str | None:
        """Which of the bytes that a task made are not there any more; None where all are."""
        artifacts = self.records.environment.artifacts
        for artifact in record.outputs:
            if not self.records.store.has(artifact.uri.removeprefix(f"{artifacts}/")):
                return f"its {artifact.name} is not there any more"
        return None
