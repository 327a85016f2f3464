"""The functions that nodes become: each takes a frame and gives a value. Errors travel as exceptions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlgen.policy.cel import operators
from mlgen.policy.cel.library import TABLE
from mlgen.policy.cel.meter import METER
from mlgen.policy.cel.operators import NO_OVERLOAD
from mlgen.policy.cel.signatures import Implementation
from mlgen.policy.cel.values import NONE, CelError, NotEvaluated, Optional, Partial, Uint, Wordless, type_name

Frame = list[Any]  # [0] the Scope, then the variables of macros
Step = Callable[[Frame], Any]

_SILENT = frozenset({"contains", "startsWith", "endsWith", "matches", "find", "findAll"})  # of strings


def refused(name: str, values: list[Any]) -> str:
    """The error of a function that does not take these values."""
    if name == "size":
        return f"{NO_OVERLOAD}: size"
    if name in _SILENT:
        return NO_OVERLOAD
    if name == "duration" and len(values) == 1 and type(values[0]) is int:
        return "type conversion error from 'int' to 'google.protobuf.Duration'"
    return f"{NO_OVERLOAD}: {name}({', '.join(map(type_name, values))})"


def whole(step: Step) -> Step:
    def whole(frame: Frame) -> Any:
        found = step(frame)
        if type(found) is Partial:
            raise NotEvaluated(f"{found.name} is known in part only")
        return found

    return whole


def unknown(reason: str) -> Step:
    def step(frame: Frame) -> Any:
        raise NotEvaluated(reason)

    return step


def is_null(left: Step, right: Step, wanted: bool) -> Step:
    """== and != with null on a side: what is known in part is not null."""

    def step(frame: Frame) -> bool:
        METER.spent += 1
        return (left(frame) is None and right(frame) is None) is wanted

    return step


def variable(name: str) -> Step:
    def step(frame: Frame) -> Any:
        scope = frame[0]
        found = scope.done.get(name)  # None is a value, too: it is looked up the long way
        return scope.variable(name) if found is None or type(found) in _RAISED else found

    return step


_RAISED = frozenset({CelError, Wordless, NotEvaluated})


def equals_text(operand: Step, text: str, wanted: bool) -> Step:
    """== and != with a text that the author wrote."""

    def step(frame: Frame) -> bool:
        METER.spent += 1
        value = operand(frame)
        return (type(value) is str and value == text) is wanted

    return step


def optional_field(operand: Step, name: str) -> Step:
    """operand.?name: what policies do most."""

    def step(frame: Frame) -> Optional:
        METER.spent += 1
        value = operand(frame)
        if type(value) is Optional:
            if value is NONE:
                return NONE
            value = value.value
        if type(value) is dict:
            return Optional(value[name]) if name in value else NONE
        return operators.optional_index(value, name)

    return step


def unary(name: str, member: bool, argument: Step) -> Step:
    """A function of one value, whose overload does not depend on what is in it."""
    known: dict[type, Implementation] = {}

    def step(frame: Frame) -> Any:
        METER.spent += 1
        value = argument(frame)
        found = known.get(type(value))
        if found is None:
            found = TABLE.find(name, member, [value])
            if found is None:
                raise CelError(refused(name, [value]))
            known[type(value)] = found
        return found(value)

    return step


def of_two(name: str, member: bool, first: Step, second: Step) -> Step:
    """As `unary`, of two values."""
    known: dict[tuple[type, type], Implementation] = {}

    def step(frame: Frame) -> Any:
        METER.spent += 1
        a, b = first(frame), second(frame)
        kinds = (type(a), type(b))
        found = known.get(kinds)
        if found is None:
            found = TABLE.find(name, member, [a, b])
            if found is None:
                raise CelError(refused(name, [a, b]))
            known[kinds] = found
        return found(a, b)

    return step


def binary(operator: Callable[[Any, Any], Any], left: Step, right: Step) -> Step:
    def step(frame: Frame) -> Any:
        METER.spent += 1
        return operator(left(frame), right(frame))

    return step


def negation(operand: Step) -> Step:
    def step(frame: Frame) -> bool:
        METER.spent += 1
        value = operand(frame)
        if value is True:
            return False
        if value is False:
            return True
        raise CelError(NO_OVERLOAD)

    return step


def choose(condition: Step, yes: Step, no: Step) -> Step:
    def step(frame: Frame) -> Any:
        METER.spent += 1
        value = condition(frame)
        if value is True:
            return yes(frame)
        if value is False:
            return no(frame)
        raise CelError(NO_OVERLOAD)

    return step


def short(left: Step, right: Step, ends: bool) -> Step:
    """`&&` (ends: False) and `||` (ends: True). The first error stands; what is not known outweighs an error."""

    def step(frame: Frame) -> bool:
        first: CelError | NotEvaluated | None = None
        try:
            value = left(frame)
            if value is ends:
                return value is True
            if type(value) is not bool:
                first = CelError(NO_OVERLOAD)
        except (CelError, NotEvaluated) as error:
            first = error
        try:
            value = right(frame)
            if value is ends:
                return value is True
            if type(value) is not bool:
                first = first or CelError(NO_OVERLOAD)
        except NotEvaluated:
            raise
        except CelError as error:
            first = first or error
        if first is not None:
            raise first
        return not ends

    return step


def conjunction(left: Step, right: Step) -> Step:
    return short(left, right, False)


def disjunction(left: Step, right: Step) -> Step:
    return short(left, right, True)


def otherwise(name: str, optional: Step, other: Step) -> Step:
    """The right side of `or` and `orValue` is evaluated only where it is needed."""

    def step(frame: Frame) -> Any:
        METER.spent += 1
        value = optional(frame)
        if type(value) is not Optional:
            raise CelError(NO_OVERLOAD)
        if value is NONE:
            return other(frame)
        return value if name == "or" else value.value

    return step


def list_of(steps: list[Step], optional: frozenset[int]) -> Step:
    """optional: the indices of elements that are left out where they have no value."""

    def make(frame: Frame) -> list[Any]:
        METER.spent += 10
        if not optional:
            return [s(frame) for s in steps]
        found = []
        for number, step in enumerate(steps):
            value = step(frame)
            if number not in optional:
                found.append(value)
            elif value is not NONE:
                found.append(value.value)
        return found

    return make


def map_of(entries: list[tuple[Step, Step, bool]]) -> Step:
    """entries: key, value, and whether the value is optional."""

    def make(frame: Frame) -> dict[Any, Any]:
        METER.spent += 30
        found: dict[Any, Any] = {}
        for key_step, value_step, optional in entries:
            key, value = key_step(frame), value_step(frame)
            if optional:
                if value is NONE:
                    continue
                value = value.value
            if type(key) not in (str, int, Uint, bool):
                raise NotEvaluated(f"a map with a key of the type {type_name(key)}")
            if key in found and operators.key_of(found, key) is NONE:
                raise NotEvaluated("a map has true or false beside 1 or 0 among its keys")
            found[key] = value
        return found

    return make


SPECIAL: dict[str, Callable[..., Step]] = {"_&&_": conjunction, "_||_": disjunction, "_?_:_": choose, "!_": negation}
