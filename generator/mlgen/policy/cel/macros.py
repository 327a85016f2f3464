"""Macros, which the parser expands to folds, seen again as what the author wrote, and their loops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from mlgen.policy.cel.meter import METER
from mlgen.policy.cel.operators import NO_OVERLOAD, iterable
from mlgen.policy.cel.values import CelError, NotEvaluated
from mlgen.policy.cel.wire import Call, Const, Fold, Ident, ListOf, Node

Step = Callable[[list[Any]], Any]
Kind = Literal["all", "exists", "exists_one", "map", "bind"]


@dataclass(frozen=True, slots=True)
class Shape:
    """kind `map` is also filter, whose transform is the variable itself."""

    kind: Kind
    predicate: Node | None = None
    transform: Node | None = None

    def loop(self, over: Step, at: int, predicate: Step | None, transform: Step | None) -> Step:
        match self.kind:
            case "all" | "exists":
                assert predicate is not None
                return _quantifier(over, at, predicate, self.kind == "exists")
            case "exists_one":
                assert predicate is not None
                return _exists_one(over, at, predicate)
        assert transform is not None
        return _map(over, at, predicate, transform)


def shape(node: Fold) -> Shape | None:
    """What a fold was written as; None for what is no macro of Kubernetes'."""
    if node.var2 and node.var2 != node.var:
        return None
    accu, step = node.accu, node.step
    match node.condition, node.init:
        case Const(False), _ if isinstance(node.over, ListOf) and not node.over.elements:
            return Shape("bind")
        case _, Const(True) if isinstance(step, Call) and step.function == "_&&_" and step.args[0] == Ident(accu):
            return Shape("all", step.args[1])
        case _, Const(False) if isinstance(step, Call) and step.function == "_||_" and step.args[0] == Ident(accu):
            return Shape("exists", step.args[1])
        case _, Const(0) if isinstance(step, Call) and step.function == "_?_:_":
            return Shape("exists_one", step.args[0])
        case _, ListOf(elements=()) if isinstance(step, Call):
            if step.function == "_?_:_":
                predicate, grown = step.args[0], step.args[1]
            else:
                predicate, grown = None, step
            if isinstance(grown, Call) and grown.function == "_+_" and grown.args[0] == Ident(accu):
                items = grown.args[1]
                if isinstance(items, ListOf) and len(items.elements) == 1 and not items.optional:
                    return Shape("map", predicate, items.elements[0])
    return None


def _quantifier(over: Step, at: int, predicate: Step, ends: bool) -> Step:
    def loop(frame: list[Any]) -> bool:
        error: CelError | NotEvaluated | None = None
        for item in iterable(over(frame)):
            METER.pay(2)
            frame[at] = item
            try:
                value = predicate(frame)
                if value is ends:
                    return value is True
                if type(value) is not bool:
                    error = error or CelError(NO_OVERLOAD)
            except CelError as found:
                error = error or found
            except NotEvaluated as found:
                error = found if error is None or isinstance(error, CelError) else error
        if error is not None:
            raise error
        return not ends

    return loop


def _exists_one(over: Step, at: int, predicate: Step) -> Step:
    def loop(frame: list[Any]) -> bool:
        count, error = 0, None
        for item in iterable(over(frame)):
            METER.pay(3)
            frame[at] = item
            try:
                value = predicate(frame)
                if value is True:
                    count += 1
                elif value is not False:
                    error = CelError(NO_OVERLOAD)
            except CelError as found:
                error = found
        if error is not None:
            raise error
        return count == 1

    return loop


def _map(over: Step, at: int, predicate: Step | None, transform: Step) -> Step:
    def loop(frame: list[Any]) -> list[Any]:
        found: list[Any] = []
        error: CelError | None = None
        for item in iterable(over(frame)):
            METER.pay(12)
            frame[at] = item
            try:
                value = True if predicate is None else predicate(frame)
                if type(value) is not bool:
                    raise CelError(NO_OVERLOAD)
            except CelError as caught:
                error = caught  # the accumulator's own is lost
                continue
            if value:
                try:
                    found.append(transform(frame))
                except CelError as caught:
                    error = error or caught
        if error is not None:
            raise error
        return found

    return loop
