"""What the engine is asked to do: everything that a run depends on, given once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from mlgen.ledger.records.run import Given
from mlgen.ledger.records.task import Item, TaskRecord, local_run_id
from mlgen.ledger.records.task import Source as Commit
from mlgen.local import environment, guardian, host, shorttmp
from mlgen.local.arguments import Arguments
from mlgen.local.containers.client import Client
from mlgen.local.rundir import Started
from mlgen.local.schedule import Schedule
from mlgen.plan.model import Image, InputRef, OutRef, ParamRef, Plan, Source, Task
from mlgen.runtime.documents import of_task
from mlgen.runtime.outs import StagingError
from mlgen.runtime.pod import contract as pod
from mlgen.runtime.protocol import Execution, TaskDocument, Tree, with_parts
from mlgen.runtime.reused import Into, Items
from mlgen.runtime.texts import read_result, result

ENGINE = "local"


@dataclass(frozen=True)
class Job:
    """One run of a plan on this machine.

    project: the folder of mlgen.yaml. env: the environment's name. artifacts: where its artifacts lie, as records
    name it. environ: the user's environment. kept_secrets: those of a file, name -> text, for variables that the
    environment does not have. code: of each `Code.folders` of the plan, posix path -> file.
    labels: of the spec and the environment.
    commit: of HEAD, where the work tree equals it for this pipeline. repository: its web URL.
    known: of tasks and gate tasks that need not run, the texts that their readers get. reused: the records of those
    tasks, by the runs that made what they leave; items: of fans, known ones and those of which some items need not run.
    left_out: tasks that were not asked for. resumes: a run's uid; before: of those that this one took up in turn.
    look: whether tasks that may be cached are looked for; what they make is kept all the same.
    given: which arguments somebody gave, None where that is not known.
    slots: tasks that run at one time. grace_seconds: between asking a task to end and making it.
    client: the container engine that runs the tasks' programs; None: they are processes of this machine.
    images: each image of the plan as that engine has it.
    """

    plan: Plan
    arguments: Arguments
    run: str
    uid: str
    project: Path
    artifacts: str
    environ: Mapping[str, str]
    env: str = "local"
    kept_secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    code: Mapping[tuple[str, ...], Mapping[str, Path]] = field(default_factory=dict)
    commit: str | None = None
    repository: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    known: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)
    reused: Mapping[str, TaskRecord] = field(default_factory=dict)
    items: Mapping[str, Items] = field(default_factory=dict)
    left_out: frozenset[str] = frozenset()
    resumes: str | None = None
    before: tuple[str, ...] = ()
    given: Given | None = None
    slots: int = 1
    grace_seconds: float = 10.0
    client: Client | None = None
    images: Mapping[Image, Image] = field(default_factory=dict)
    look: bool = True

    @property
    def taken_up(self) -> tuple[str, ...]:
        """The uids of all runs that may have left a checkpoint for this one, the latest first."""
        return () if self.resumes is None else (self.resumes, *self.before)

    def started(self, started_at: str) -> Started:
        """What recovery must know of the run."""
        return Started(
            run=self.run,
            uid=self.uid,
            pipeline=self.plan.name,
            env=self.env,
            started_at=started_at,
            params=self.arguments.values(self.plan),
            spec_digest=self.plan.spec_digest,
            plan_digest=self.plan.digest,
            commit=self.commit,
            tasks={task.name: task.retries for task in self.plan.tasks},
            labels=dict(self.labels),
            owner=self.plan.owner or None,
            resumes=self.resumes,
            given=self.given,
        )

    def into(self, started: Started) -> Into:
        """What the records of tasks that are not run again say of this run."""
        source = Commit(self.commit, self.plan.source, self.repository) if self.commit else None
        return Into(
            run=self.run,
            uid=self.uid,
            at=started.started_at,
            params=started.params,
            spec_digest=started.spec_digest,
            plan_digest=started.plan_digest,
            source=source,
        )

    def document(self, task: Task) -> TaskDocument:
        """What a task is. Where its program runs in no container, without an image: a record must not say so."""
        if task.name not in self._documents:
            self._documents[task.name] = self._document(task)
        return self._documents[task.name]

    @cached_property
    def _documents(self) -> dict[str, TaskDocument]:
        """By task: all items of a fan have the same, and making it takes as long as there are items."""
        return {}

    def _document(self, task: Task) -> TaskDocument:
        run_in = self.images[task.image] if self.client is not None and task.image is not None else None
        where = {"env": self.env, "artifacts": self.artifacts}
        return document(self.plan, task, **where, run_in=run_in, machine=lambda: self.host)

    @cached_property
    def _inherited(self) -> dict[str, str]:
        return environment.inherited(self.environ)

    @cached_property
    def host(self) -> dict[str, str]:
        """What stands for an image in keys of the cache."""
        return host.parts(self.environ)

    def execution(
        self, task: Task, attempt: int, schedule: Schedule, started: Started, item: Item | None = None
    ) -> Execution:
        """What this run decides about an attempt of a task, or of an item of it, whose parents are done.

        Of an in that cannot be read there is no text: see `unreadable`.
        """
        params = self.arguments.params
        return Execution(
            run=self.run,
            run_uid=self.uid,
            run_id=local_run_id(self.uid, task.name, attempt, item.index if item else None),
            attempt=attempt,
            ins={i.name: result(self._known_text(i.source, schedule), optional=i.optional) for i in task.ins},
            gate_values={f"params.{name}": params[name] for name in _params_read(task)},
            params=started.params,
            spec_digest=started.spec_digest,
            plan_digest=started.plan_digest,
            commit=self.commit,
            engine=ENGINE if self.client is None else self.client.name,
            source=self.plan.source,
            repository=self.repository,
            item=item,
        )

    def unreadable(self, task: Task, schedule: Schedule) -> str | None:
        """Why an in of a task cannot be read, as a list of all items that no variable could hold; None: all can."""
        try:
            for item in task.ins:
                self._text(item.source, schedule)
        except StagingError as error:
            return str(error)
        return None

    def _known_text(self, source: Source, schedule: Schedule) -> str | None:
        try:
            return self._text(source, schedule)
        except StagingError:
            return None

    def _text(self, source: Source, schedule: Schedule) -> str | None:
        match source:
            case ParamRef():
                return self.arguments.params[source.name]
            case InputRef():
                return str(self.arguments.inputs[source.name])
            case OutRef():
                return schedule.results[source.task][source.out]
            case _:
                return source.text

    def variables(
        self, task: Task, execution: Execution, tree: Tree, secrets: Mapping[str, str], about_run: Mapping[str, str]
    ) -> dict[str, str]:
        """The environment of the author's program. about_run: MLGEN_RUN_STATUS and MLGEN_TASKS of a finally task.

        tree: as the program sees it; in a container it has a pod's variables, and none of this machine's.
        """
        if self.client is None:
            found = {**self._inherited, **dict(task.env), **secrets}
            found.setdefault("TMPDIR", str(shorttmp.lead_to(tree.tmp, execution.run_id)))
        else:
            found = {**pod.HOME, **dict(task.env), **secrets}
        for item in task.ins:
            text = read_result(execution.ins[item.name], optional=item.optional)
            if text is None:
                found.pop(item.name, None)
            else:
                found[item.name] = str(tree.input(item.name)) if item.type.is_artifact else text
        for out in task.outs:
            found[out.name] = str(tree.output(out.name))
        if task.checkpoint is not None:
            found[task.checkpoint.name] = str(tree.checkpoint)
        # The guardian knows a run's processes by this variable, so no author's may replace it.
        return {**found, **about_run, guardian.VARIABLE: self.uid}


def document(
    plan: Plan, task: Task, *, env: str, artifacts: str, run_in: Image | None, machine: Callable[[], Mapping[str, str]]
) -> TaskDocument:
    """What a task is on this machine. run_in: its image as a container engine has it, None where its program is a
    process of this machine. machine: what stands for an image in keys of the cache then.
    """
    whole = of_task(task, pipeline=plan.name, env=env, artifacts=artifacts, plan=plan)
    if run_in is None:
        return replace(with_parts(whole, machine()), image=None, image_digest=None)
    if run_in.digest is None:
        whole = replace(whole, cache=None)  # nobody can tell what it is
    return replace(with_parts(whole, {"image": run_in.digest or ""}), image_digest=run_in.digest)


def _params_read(task: Task) -> set[str]:
    refs = (ref for evaluation in task.evaluates for ref, _ in evaluation.types)
    keyed = {task.cache.key.name} if task.cache and isinstance(task.cache.key, ParamRef) else set[str]()
    return keyed | {ref.partition(".")[2] for ref in refs if ref.startswith("params.")}
