"""The Plan: typed, frozen, with no string left to parse. Both engines read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mlgen import canonical
from mlgen.gates import Gate
from mlgen.schedules.model import Schedule
from mlgen.search.model import Search
from mlgen.triggers.model import Trigger
from mlgen.values import Type


@dataclass(frozen=True, slots=True)
class ParamRef:
    name: str

    def __str__(self) -> str:
        return f"params.{self.name}"


@dataclass(frozen=True, slots=True)
class InputRef:
    name: str

    def __str__(self) -> str:
        return f"inputs.{self.name}"


@dataclass(frozen=True, slots=True)
class OutRef:
    task: str
    out: str

    def __str__(self) -> str:
        return f"{self.task}.{self.out}"


@dataclass(frozen=True, slots=True)
class Value:
    """A literal. text: as it stands in an environment variable; `values.parse(type, text)` is its value."""

    type: Type
    text: str


Source = ParamRef | InputRef | OutRef | Value


@dataclass(frozen=True, slots=True)
class Param:
    """An argument of a run. default, choices: texts of values; default None: required."""

    name: str
    type: Type
    default: str | None
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Input:
    """Bytes that exist before the run. uri None: required at run time; without a scheme: a path in the repository."""

    name: str
    type: Type
    uri: str | None
    digest: str | None

    @property
    def path(self) -> str | None:
        """Where it lies in the repository; None for a URI, and for what only a run is told."""
        return None if self.uri is None or "://" in self.uri else self.uri


@dataclass(frozen=True, slots=True)
class In:
    """What enters a task. type: of what is read. optional: the source is an optional out, so it may be unset.

    late: the source is an out of a late task (`Task.late`), so it is no result. many: of all items of a fan, in order:
    of a value a json list, of an artifact a folder; type is that of one.
    """

    name: str
    source: Source
    type: Type
    optional: bool = False
    late: bool = False
    many: bool = False


@dataclass(frozen=True, slots=True)
class Out:
    """What a task leaves. max_bytes: of a string or json out's text, None for the others."""

    name: str
    type: Type
    optional: bool = False
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """The author's text for `sh -e`, unchanged."""

    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """A command and its arguments, every element literal."""

    args: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Image:
    """reference: as the author wrote it. digest: sha256:… from it or from mlgen.lock; None: unpinned."""

    reference: str
    digest: str | None


@dataclass(frozen=True, slots=True)
class Code:
    """Folders of the repository whose contents are laid into the working directory, in order."""

    folders: tuple[str, ...]
    digest: str


@dataclass(frozen=True, slots=True)
class Size:
    """An amount of bytes. text: the quantity as Kubernetes would store it."""

    text: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Gpu:
    pool: str
    count: int


@dataclass(frozen=True, slots=True)
class Workspace:
    """A volume claimed for a task's pod. kind: of mlgen.yaml's `workspaces`."""

    kind: str
    size: Size


@dataclass(frozen=True, slots=True)
class SecretRef:
    """An environment variable filled from a key of a secret; locally from the variable of that name."""

    variable: str
    secret: str
    key: str


@dataclass(frozen=True, slots=True)
class Retry:
    """After which failures a task is tried again, and how long after (decision 0035).

    backoff_seconds: before the first; doubled before each further one. infrastructure, codes: after a failure that is
    not the program's own, and after these exit codes of it, sorted. Both None: after any failure.
    """

    backoff_seconds: int = 0
    infrastructure: bool | None = None
    codes: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A folder that survives attempts, at the variable `name`."""

    name: str
    every_seconds: int


@dataclass(frozen=True, slots=True)
class Condition:
    """One conjunct of a gate; a task runs when all of its conditions are true.

    evaluator None: `params` alone, == != in of strings and booleans, which Tekton's `when` decides.
    Otherwise the task (or gate task) of that name evaluates it and leaves result `if-<index>`.
    """

    text: str
    gate: Gate
    evaluator: str | None = None
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A condition of some other task that this task evaluates when it ends: result `if-<index>`, "true" or "false"."""

    index: int
    text: str
    gate: Gate
    types: tuple[tuple[str, Type], ...]  # of each reference of the gate: "params.x" or "task.out"


@dataclass(frozen=True, slots=True)
class Variable:
    """What differs between the items of a fan: a variable of the task, and a value that a winner hands on."""

    name: str
    type: Type


@dataclass(frozen=True, slots=True)
class Pick:
    """Which item is the winner. metric: an out of the task."""

    metric: str
    highest: bool


@dataclass(frozen=True, slots=True)
class Fan:
    """A task that runs once an item (decision 0031). Items are numbered from 0; the first variable is the
    outermost loop.

    rows: of each item the text of each variable, where they are known beforehand; None: they come from `lists`, or
    `search` proposes them.
    lists: of each variable its texts, or the json out that is the list.
    parallel: items at once, None without a bound. failures: failed items that the task bears.
    """

    kind: str  # "sweep" or "for"
    variables: tuple[Variable, ...]
    rows: tuple[tuple[str, ...], ...] | None
    lists: tuple[OutRef | tuple[str, ...], ...] = ()
    parallel: int | None = None
    failures: int = 0
    pick: Pick | None = None
    search: Search | None = None

    @property
    def of(self) -> int | None:
        """How many items there are; None: only the run knows."""
        if self.search is not None:
            return self.search.trials
        return None if self.rows is None else len(self.rows)


@dataclass(frozen=True, slots=True)
class Cache:
    """That what an earlier execution made may be taken (decision 0033). key: what else must be the same."""

    max_age_seconds: int | None = None
    key: ParamRef | Value | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """A node of the graph. All times in seconds, cpu in thousandths of a core."""

    name: str
    run: Script | Command
    ins: tuple[In, ...]
    outs: tuple[Out, ...]
    reads: tuple[str, ...]  # tasks of which it or its gate reads an out, sorted
    after: tuple[str, ...]  # tasks it only waits for, sorted
    conditions: tuple[Condition, ...]
    evaluates: tuple[Evaluation, ...]
    image: Image | None
    code: Code | None
    cpu_millis: int
    memory: Size
    disk: Size | None
    shm: Size | None
    gpu: Gpu | None
    timeout_seconds: int
    retries: int
    env: tuple[tuple[str, str], ...]
    secrets: tuple[SecretRef, ...]
    file: str = ""  # the task file or nested pipeline that it comes from; not part of the digest
    group: tuple[str, ...] = ()  # the tasks that use the pipelines it lies in, outermost first; not part of the digest
    fan: Fan | None = None
    cache: Cache | None = None
    retry: Retry | None = None  # None: after any failure, at once
    idempotent: bool = True
    checkpoint: Checkpoint | None = None
    spot: bool = False
    workspace: Workspace | None = None
    priority: str | None = None
    queue: str | None = None
    nodes: int = 1  # processes of the program that are one execution, each on a node of its own in a cluster

    @property
    def looked_up(self) -> bool:
        """Whether in a cluster a pod of its own looks for it in the cache, so that a hit takes no GPU."""
        return self.cache is not None and self.gpu is not None and self.fan is None

    @property
    def lookup_name(self) -> str:
        """What that pod is called in the pipeline."""
        return f"cache-{self.name}"

    @property
    def late(self) -> bool:
        """Whether its outs are not results of one TaskRun, so that who reads them looks into the bucket."""
        return self.fan is not None or self.looked_up

    @property
    def needs(self) -> tuple[str, ...]:
        return tuple(sorted({*self.reads, *self.after}))

    def out(self, name: str) -> Out:
        return next(out for out in self.outs if out.name == name)

    def type_of(self, name: str) -> Type:
        """The type of an out, or of a fan's variable."""
        found = {variable.name: variable.type for variable in (self.fan.variables if self.fan else ())}
        return found[name] if name in found else self.out(name).type


@dataclass(frozen=True, slots=True)
class GateTask:
    """A pod that only evaluates: for a gate over several tasks, or one with no producer upstream."""

    name: str
    consumer: str
    reads: tuple[str, ...]
    evaluates: tuple[Evaluation, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """All of a pipeline. tasks: topological, by name among equals; params, inputs, finally_tasks: by name."""

    name: str
    description: str
    owner: str
    labels: tuple[tuple[str, str], ...]
    params: tuple[Param, ...]
    inputs: tuple[Input, ...]
    tasks: tuple[Task, ...]
    finally_tasks: tuple[Task, ...]
    gate_tasks: tuple[GateTask, ...]
    source: str = ""  # the spec's path below the repository; not part of the digest
    spec_digest: str = ""  # of the spec's bytes; not part of the digest
    schedules: tuple[Schedule, ...] = ()  # by their digests; not part of the plan's: when says nothing of what
    triggers: tuple[Trigger, ...] = ()  # as schedules

    @property
    def all_tasks(self) -> tuple[Task, ...]:
        return self.tasks + self.finally_tasks

    def task(self, name: str) -> Task:
        return next(task for task in self.all_tasks if task.name == name)

    def param(self, name: str) -> Param:
        return next(param for param in self.params if param.name == name)

    def input(self, name: str) -> Input:
        return next(input_ for input_ in self.inputs if input_.name == name)

    def edges(self) -> Iterator[tuple[str, str, str]]:
        """(from, to, label) of tasks: label is the out's name, "if" for a gate, "after" for an order alone."""
        for task in self.tasks:
            data = {(i.source.task, i.source.out) for i in task.ins if isinstance(i.source, OutRef)}
            lists = task.fan.lists if task.fan else ()
            data |= {(source.task, source.out) for source in lists if isinstance(source, OutRef)}
            for producer, out in sorted(data):
                yield producer, task.name, out
            for producer in task.reads:
                if producer not in {p for p, _ in data}:
                    yield producer, task.name, "if"
            for producer in task.after:
                yield producer, task.name, "after"

    @property
    def digest(self) -> str:
        """The digest of the canonical plan JSON: equal for equal meaning, whatever comments and order say."""
        from mlgen.plan.text import to_json  # here: text.py reads these types

        return canonical.digest(to_json(self))
