"""What callers see of a task or pipeline in a version: whether a change of it breaks them."""

from __future__ import annotations

from collections.abc import Iterator

from mlgen.spec.checks.context import listed
from mlgen.spec.model import Out, Param, TaskFile
from mlgen.values import accepts


def broken(old: TaskFile, new: TaskFile) -> Iterator[str]:
    """In which ways a caller of the old one may not be one of the new one, each as a part of a sentence."""
    for name in sorted({*old.ins, *new.ins}):
        if name not in new.ins:
            yield f"the in {name} is gone"
        elif name not in old.ins:
            if new.ins[name].is_required:
                yield f"the in {name} is new, and has no default"
        else:
            yield from _in(name, old.ins[name], new.ins[name])
    for name, out in sorted(old.outs.items()):
        yield from _out(name, out, new.outs.get(name))


def _in(name: str, old: Param, new: Param) -> Iterator[str]:
    if old.type and new.type and not accepts(new.type, old.type):
        yield f"the in {name} was {old.type}, and is {new.type}"
    if new.is_required and not old.is_required:
        yield f"the in {name} must be given now"
    elif old.default is not None and new.default is not None and old.default != new.default:
        yield f"the default of {name} was {old.default[:40]}, and is {new.default[:40]}"
    lost = sorted(set(old.choices) - set(new.choices)) if new.choices else []
    if lost:
        yield f"the in {name} may no longer be {listed(lost)}"
    elif new.choices and not old.choices:
        yield f"the in {name} may only be {listed(new.choices)} now"
    for word, was, now, sign in (("least", old.minimum, new.minimum, 1), ("most", old.maximum, new.maximum, -1)):
        if now is not None and (was is None or (now - was) * sign > 0):
            yield f"the in {name} may be {now:g} at {word} now"


def _out(name: str, old: Out, new: Out | None) -> Iterator[str]:
    if new is None:
        yield f"the out {name} is gone"
        return
    if old.type and new.type and not accepts(old.type, new.type):
        yield f"the out {name} was {old.type}, and is {new.type}"
    if new.optional and not old.optional:
        yield f"the out {name} may be missing now"
