"""A spec as typed, frozen data that still knows its places: what checks read and plans are made from.

Built also from specs with mistakes: what could not be read is None or absent, and was told already, so that a
check speaks of one cause once. `Plan` (mlgen.plan) is the form without gaps.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from mlgen.diagnostic import Diagnostic, Related, Span
from mlgen.gates import Gate, GateError
from mlgen.schedules.model import Concurrency, Scheduled
from mlgen.search.model import Prune
from mlgen.spec.document import Document
from mlgen.triggers.model import Field, Kind, Test
from mlgen.values import Type

Route = tuple[str | int, ...]


class Files(Protocol):
    """The author's repository, as checks and plans may see it. Paths are posix, below the project's folder."""

    def kind(self, path: str) -> str | None:
        """ "file", "folder", "escape" for a link that leaves the repository, or None."""

    def beside(self, path: str) -> Collection[str]:
        """The names in the folder that a path is in, for a guess at what was meant; none where it is no folder."""

    def sha256(self, path: str) -> str:
        """The digest of a file or folder, "sha256:" and 64 hex digits."""

    def listing(self, folder: str) -> Mapping[str, str]:
        """The files of a folder that Git tracks or would: posix path below it -> 64 hex digits of sha256."""


@dataclass(frozen=True, slots=True)
class Place:
    """A value of a file: the one bridge from the model to lines and columns."""

    document: Document
    route: Route

    def __truediv__(self, part: str | int) -> Place:
        return Place(self.document, (*self.route, part))

    @property
    def value(self) -> object:
        found: Any = self.document.data
        for part in self.route:
            found = found[part]
        return found

    @property
    def span(self) -> Span:
        return self.document.span(self.route)

    @property
    def key_span(self) -> Span:
        return self.document.key_span(self.route)

    def inner(self, start: int, end: int) -> Span:
        return self.document.inner_span(self.route, start, end)

    def finding(
        self, code: str, message: str, why: str = "", fix: str = "", related: tuple[Related, ...] = ()
    ) -> Diagnostic:
        """A finding that points at this value."""
        return Diagnostic(code, message, self.span, why, fix, related)

    def key_finding(
        self, code: str, message: str, why: str = "", fix: str = "", related: tuple[Related, ...] = ()
    ) -> Diagnostic:
        """A finding that points at this value's key."""
        return Diagnostic(code, message, self.key_span, why, fix, related)


@dataclass(frozen=True, slots=True)
class Setting:
    """A key of a task or of `defaults`, read: value is of the type that the key has (see `read_setting`)."""

    value: object
    place: Place


@dataclass(frozen=True, slots=True)
class Param:
    """type None: it could not be told. default and choices are texts. optional: who calls may leave it out."""

    name: str
    place: Place
    type: Type | None
    default: str | None = None
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    description: str = ""
    optional: bool = False

    @property
    def is_required(self) -> bool:
        return self.default is None and not self.optional


@dataclass(frozen=True, slots=True)
class Input:
    name: str
    place: Place
    type: Type | None
    uri: str | None
    digest: str | None


@dataclass(frozen=True, slots=True)
class Ref:
    """`params.x`, `inputs.x` or `task.out`, read."""

    owner: str
    name: str
    place: Place

    def __str__(self) -> str:
        return f"{self.owner}.{self.name}"


@dataclass(frozen=True, slots=True)
class Literal:
    type: Type
    text: str


@dataclass(frozen=True, slots=True)
class In:
    """source None: it could not be read."""

    name: str
    place: Place
    source: Ref | Literal | None
    keyed: bool  # written as a map's key, so that the name has a place of its own


@dataclass(frozen=True, slots=True)
class Out:
    name: str
    place: Place
    type: Type | None
    optional: bool = False
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class GateText:
    """A gate; gate None: it could not be read, and error says why."""

    text: str
    gate: Gate | None
    place: Place
    error: GateError | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What runs: a script or a command with arguments."""

    script: str | None
    args: tuple[str, ...] | None
    place: Place


@dataclass(frozen=True, slots=True)
class TaskFile:
    """A reusable task: a task's keys, with types (as params have) instead of refs.

    nested: the pipeline that a caller uses as if it were a task; then there is neither step nor settings.
    """

    path: str
    place: Place
    name: str | None
    ins: Mapping[str, Param]
    outs: Mapping[str, Out]
    step: Step | None
    settings: Mapping[str, Setting]
    outs_known: bool = True
    description: str = ""
    nested: Pipeline | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """A task that uses a pipeline. name: as it is in the plan. place: of its `use`."""

    name: str
    place: Place


@dataclass(frozen=True, slots=True)
class Draw:
    """A range of numbers to draw from, both its ends included."""

    minimum: float
    maximum: float
    log: bool


@dataclass(frozen=True, slots=True)
class Axis:
    """What one name of a fan goes through: texts, whole numbers, a json out, or what is drawn from.

    values None: it could not be read. type None: it could not be told, as of values that do not agree.
    """

    name: str
    place: Place
    values: tuple[str, ...] | range | Ref | Draw | None
    type: Type | None


@dataclass(frozen=True, slots=True)
class SearchKeys:
    """How a search is made (decision 0032). startup: trials drawn at random before the sampler learns."""

    sampler: str = "tpe"
    startup: int = 10
    prune: Prune | None = None


@dataclass(frozen=True, slots=True)
class Fan:
    """`sweep` or `for` as written. way: "grid", "list", "random" or "search"; None where it could not be read.

    axes: by the order of the file, the first is the outermost loop. Of a list all have as many values as it has rows,
    but for rows that lack one, and so is what check tells.
    """

    kind: str  # "sweep" or "for"
    way: str | None
    place: Place
    axes: tuple[Axis, ...]
    trials: Setting | None = None
    seed: int = 0
    search: SearchKeys | None = None
    by_name: Mapping[str, Axis] = field(init=False, repr=False, compare=False)  # a reader may name each of 40,000

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {axis.name: axis for axis in self.axes})


@dataclass(frozen=True, slots=True)
class Pick:
    """Which item is the winner."""

    metric: str
    highest: bool


@dataclass(frozen=True, slots=True)
class Task:
    """A task or finally task as written. ins_known, outs_known: False where a part could not be read, so that
    nothing is concluded from what is missing there. callers: of a task that was laid in from a nested pipeline, the
    outermost first."""

    name: str
    place: Place
    final: bool
    step: Step | None = None
    use: Setting | None = None
    ins: tuple[In, ...] = ()
    outs: Mapping[str, Out] = field(default_factory=dict)
    ins_known: bool = True
    outs_known: bool = True
    after: tuple[Setting, ...] = ()
    gate: GateText | None = None
    own: Mapping[str, Setting] = field(default_factory=dict)  # settings written at the task
    settings: Mapping[str, Setting] = field(default_factory=dict)  # with defaults or the task file's laid under
    file: TaskFile | None = None
    callers: tuple[Caller, ...] = ()
    fan: Fan | None = None
    pick: Setting | None = None  # of a Pick
    parallel: Setting | None = None
    failures: Setting | None = None


@dataclass(frozen=True, slots=True)
class ScheduledParam:
    """What a schedule gives a param: a text, or what of the time. Neither: it could not be read."""

    name: str
    place: Place
    text: str | None = None
    of_time: Scheduled | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a pipeline starts by itself, as written; cron None: it could not be read. catch_up in seconds."""

    place: Place
    cron: Setting | None
    zone: Setting | None
    concurrency: Concurrency
    catch_up: Setting | None
    params: tuple[ScheduledParam, ...] = ()


@dataclass(frozen=True, slots=True)
class TriggerParam:
    """What a trigger gives a param: a text, or a field of the event. Neither: it could not be read."""

    name: str
    place: Place
    text: str | None = None
    field: Field | None = None


@dataclass(frozen=True, slots=True)
class Trigger:
    """Which events start a pipeline, as written; kind None: it could not be read. id, tests: as far as they could.

    secret: a Setting of a SecretKey. events: Settings of texts, of a webhook.
    """

    place: Place
    kind: Kind | None
    what: Setting | None
    secret: Setting | None
    concurrency: Concurrency
    events: tuple[Setting, ...] = ()
    id: Field | None = None
    tests: tuple[tuple[Place, Test], ...] = ()
    params: tuple[TriggerParam, ...] = ()


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A spec. tasks and finally_tasks: in the order of the file. outs: what it leaves to who uses it as a task.

    known: the sections ("params", "inputs", "tasks") that were read whole; nothing is concluded from what is missing
    in another one.
    """

    path: str
    place: Place
    name: str | None
    description: str
    owner: Setting | None
    labels: Mapping[str, str]
    params: Mapping[str, Param]
    inputs: Mapping[str, Input]
    tasks: Mapping[str, Task]
    finally_tasks: Mapping[str, Task]
    known: frozenset[str] = frozenset({"params", "inputs", "tasks"})
    outs: tuple[In, ...] = ()
    schedules: tuple[Schedule, ...] = ()
    triggers: tuple[Trigger, ...] = ()

    @property
    def all_tasks(self) -> tuple[Task, ...]:
        return (*self.tasks.values(), *self.finally_tasks.values())
