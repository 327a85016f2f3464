"""Macros of two variables, which Google's library does not know: found in what it takes for calls, and their loops.

Source: github.com/google/cel-go/ext/comprehensions.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from mlgen.policy.cel.meter import METER
from mlgen.policy.cel.operators import NO_OVERLOAD, iterable, key_of
from mlgen.policy.cel.values import NONE, CelError, NotEvaluated
from mlgen.policy.cel.wire import Call, Fold, Ident, ListOf, MapOf, Node, Select

Step = Callable[[list[Any]], Any]
NAMES = {
    "all": "all",
    "exists": "exists",
    "existsOne": "exists_one",
    "exists_one": "exists_one",
    "transformList": "list",
    "transformMap": "map",
    "transformMapEntry": "entry",
}
_TRANSFORMS = ("list", "map", "entry")


@dataclass(frozen=True, slots=True)
class Pairs:
    """over.kind(first, second, predicate), or (first, second, predicate?, transform)."""

    kind: str
    over: Node
    first: str
    second: str
    predicate: Node | None
    transform: Node | None


def of(node: Call) -> Pairs | None:
    """The macro that a call is; None for a call."""
    kind = NAMES.get(node.function)
    if kind is None or node.target is None or len(node.args) not in (3, 4):
        return None
    first, second, *rest = node.args
    if not isinstance(first, Ident) or not isinstance(second, Ident):
        return None
    if kind not in _TRANSFORMS:
        return Pairs(kind, node.target, first.name, second.name, rest[0], None) if len(rest) == 1 else None
    predicate = rest[0] if len(rest) == 2 else None
    return Pairs(kind, node.target, first.name, second.name, predicate, rest[-1])


def found(node: Node) -> bool:
    """Whether there is such a macro anywhere below."""
    if isinstance(node, Call) and of(node) is not None:
        return True
    return any(found(part) for part in parts(node))


def free(node: Node, names: frozenset[str]) -> Iterator[Ident]:
    """The identifiers that are neither among the names nor variables of a macro around them."""
    if isinstance(node, Ident):
        if node.name not in names:
            yield node
        return
    pairs = of(node) if isinstance(node, Call) else None
    if pairs is not None:
        yield from free(pairs.over, names)
        for part in (pairs.predicate, pairs.transform):
            if part is not None:
                yield from free(part, names | {pairs.first, pairs.second})
        return
    if isinstance(node, Fold):
        inner = names | {node.var, node.accu}
        yield from free(node.over, names)
        for part in (node.init, node.condition, node.step, node.result):
            yield from free(part, inner)
        return
    for part in parts(node):
        yield from free(part, names)


def parts(node: Node) -> tuple[Node, ...]:
    match node:
        case Select():
            return (node.operand,)
        case Call():
            return (*((node.target,) if node.target is not None else ()), *node.args)
        case ListOf():
            return node.elements
        case MapOf():
            return tuple(part for entry in node.entries for part in (entry.key, entry.value))
        case Fold():
            return (node.over, node.init, node.condition, node.step, node.result)
    return ()


def _items(value: Any) -> list[tuple[Any, Any]]:
    iterable(value, "unsupported comprehension range type: {}")
    return list(value.items()) if type(value) is dict else list(enumerate(value))


def quantifier(over: Step, at: tuple[int, int], predicate: Step, kind: str) -> Step:
    """all, exists, existsOne."""
    ends = {"all": False, "exists": True}.get(kind)

    def loop(frame: list[Any]) -> bool:
        error: CelError | NotEvaluated | None = None
        count = 0
        for first, second in _items(over(frame)):
            METER.pay(3)
            frame[at[0]], frame[at[1]] = first, second
            try:
                value = predicate(frame)
            except (CelError, NotEvaluated) as raised:
                if ends is None or error is None or (isinstance(raised, NotEvaluated) and isinstance(error, CelError)):
                    error = raised
                continue
            if value is ends:
                return value is True
            if type(value) is not bool:
                error = error or CelError(NO_OVERLOAD)
            count += value is True
        if error is not None:
            raise error
        return count == 1 if ends is None else not ends

    return loop


def transform(over: Step, at: tuple[int, int], predicate: Step | None, each: Step, kind: str) -> Step:
    """transformList, transformMap, transformMapEntry."""

    def loop(frame: list[Any]) -> Any:
        values: list[Any] = []
        entries: dict[Any, Any] = {}
        for key, item in _items(over(frame)):
            METER.pay(12)
            frame[at[0]], frame[at[1]] = key, item
            if predicate is not None:
                value = predicate(frame)
                if value is False:
                    continue
                if value is not True:
                    raise CelError(NO_OVERLOAD)
            made = each(frame)
            if kind == "list":
                values.append(made)
                continue
            for k, v in made.items() if kind == "entry" else ((key, made),):
                if key_of(entries, k) is not NONE:
                    raise NotEvaluated("a macro makes the same key twice")
                entries[k] = v
        return values if kind == "list" else entries

    return loop
