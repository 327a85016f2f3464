"""What a macro asks of each element, asked once of equal elements: most variables of most containers are the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlgen.policy.cel.meter import METER
from mlgen.policy.cel.needs import Need, Seen, walk
from mlgen.policy.cel.pairs import free, parts
from mlgen.policy.cel.steps import Frame, Step
from mlgen.policy.cel.wire import Call, Ident, Node, Select

MOST_TEXT = 500  # characters: of longer texts few are equal, and all are kept
MOST = 10_000  # answers that are kept of one macro
_WORTH = 3  # calls in what is asked: less is as soon asked as looked up
_TYPES = frozenset({"string", "int", "uint", "double", "bool", "bytes", "list", "map", "null_type", "type"})


def recalled(asked: Node, step: Step, name: str, at: int) -> Step:
    """The same step, which recalls its answers where they rest on some texts only.

    asked: what is evaluated for each element. name: the macro's variable, at: its place in the frame.
    """
    outer: list[str] = []
    for reached in _outer(asked, name):
        if reached is None:
            return step
        outer.append(reached)
    if sum(isinstance(node, Call) for node in _all(asked)) < _WORTH:
        return step
    need = Need()
    walk(asked, {name: Seen((need,))}).used()
    if need.whole or need.item is not None or any(n.parts or n.item for n in need.parts.values()):
        return step
    return _recalling(step, at, tuple(need.parts), tuple(dict.fromkeys(outer)))


_ABSENT = object()


def _recalling(step: Step, at: int, fields: tuple[str, ...], outer: tuple[str, ...]) -> Step:
    known: dict[tuple[Any, ...], tuple[Any, int]] = {}

    def recalling(frame: Frame) -> Any:
        item = frame[at]
        if type(item) is not dict:
            return step(frame)
        get, done = item.get, frame[0].done
        key = (*[get(name, _ABSENT) for name in fields], *[done.get(name, _ABSENT) for name in outer])
        try:
            answer = known.get(key)
        except TypeError:  # a list or a map is no part of a key
            return step(frame)
        if answer is not None:
            METER.spent += answer[1]
            return answer[0]
        before = METER.spent
        value = step(frame)  # errors are not kept
        if len(known) < MOST and _kept(key, len(fields)):
            known[key] = (value, METER.spent - before)
        return value

    return recalling


def _kept(key: tuple[Any, ...], fields: int) -> bool:
    """Texts only, for 1 and True are one key; a variable that is not there yet might become anything."""
    if not all(type(part) is str or (part is _ABSENT and n < fields) for n, part in enumerate(key)):
        return False
    return all(part is _ABSENT or len(part) <= MOST_TEXT for part in key)


def _outer(asked: Node, name: str) -> Iterator[str | None]:
    """The variables of the policy that are read; None for anything else that is not the element's."""
    count = sum(isinstance(node, Select) and node.operand == Ident("variables") for node in _all(asked))
    for ident in free(asked, _TYPES | {name}):
        if ident.name != "variables":
            yield None
    for node in _all(asked):
        if isinstance(node, Select) and node.operand == Ident("variables"):
            yield None if node.test else node.name
    if sum(ident.name == "variables" for ident in free(asked, frozenset({name}))) != count:
        yield None


def _all(node: Node) -> Iterator[Node]:
    yield node
    for part in parts(node):
        yield from _all(part)
