"""What a check may know besides the spec: the project, the repository's files, the lock. And how a name is guessed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from heapq import nlargest

from mlgen.spec import fans
from mlgen.spec.model import Files, Out, Pipeline, Ref, Task
from mlgen.spec.project import Project
from mlgen.values import Type


@dataclass(frozen=True, slots=True)
class Context:
    """lock: image reference -> digest, of mlgen.lock. sources: the repositories that `use` may name."""

    files: Files
    project: Project = field(default_factory=Project)
    lock: Mapping[str, str] = field(default_factory=dict)
    sources: Collection[str] = ()


MOST = 12  # names that a finding lists
LONGEST, COMPARED = 80, 50  # characters and names that are compared in full, to guess one


def listed(names: Iterable[str]) -> str:
    """Names in their order, for a sentence; a long list is cut."""
    every = list(names)
    text = ", ".join(every[:MOST])
    return text + (f" and {len(every) - MOST} more" if len(every) > MOST else "") if every else "none"


def a(kind: str) -> str:
    """ "an integer", "a model": a type in a sentence."""
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def near(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant. Long names are not compared, nor many: it takes squares of time."""
    names = sorted(n for n in known if len(n) <= LONGEST)
    if len(name) > LONGEST:
        return None
    if len(names) > COMPARED:  # a slip of the pen leaves most of a name's begin and end
        names = nlargest(COMPARED, names, key=lambda other: _same_ends(name, other))
    return next(iter(get_close_matches(name, names)), None)


def _same_ends(one: str, other: str) -> int:
    """How many characters two names have in common at their begins and ends."""
    return _same_begin(one, other) + _same_begin(one[::-1], other[::-1])


def _same_begin(one: str, other: str) -> int:
    shorter = min(len(one), len(other))
    return next((at for at in range(shorter) if one[at] != other[at]), shorter)


def out_of(pipeline: Pipeline, ref: Ref) -> Out | None:
    """The out that a reference means; None for other owners and for what is not there."""
    task = pipeline.tasks.get(ref.owner)
    return task.outs.get(ref.name) if task else None


def type_of(pipeline: Pipeline, owner: str, name: str) -> Type | None:
    """The type of `owner.name`, of a fan without a winner that of one item; None where it cannot be told (that is said
    elsewhere)."""
    if owner == "params":
        param = pipeline.params.get(name)
        return param.type if param else None
    if owner == "inputs":
        given = pipeline.inputs.get(name)
        return given.type if given else None
    task: Task | None = pipeline.tasks.get(owner)
    axis = fans.variable(task, name)
    if axis is not None:
        return axis.type
    out = task.outs.get(name) if task else None
    return out.type if out else None


def type_read(pipeline: Pipeline, owner: str, name: str) -> Type | None:
    """As `type_of`, but of a fan without a winner what its readers get: a list of values, a folder of artifacts."""
    kind = type_of(pipeline, owner, name)
    if kind is None or not fans.is_many(pipeline.tasks.get(owner)):
        return kind
    return Type.DIRECTORY if kind.is_artifact else Type.JSON
