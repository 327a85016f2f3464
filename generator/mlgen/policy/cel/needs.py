"""What an expression's value can rest on: the parts of its roots that it may read, and a key made of them.

Two objects with equal keys get the same answer, in words and cost: so that what many objects have in common is judged
once. An over-estimate: what is not understood is read as a whole.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from mlgen.policy.cel import pairs as two
from mlgen.policy.cel.macros import shape
from mlgen.policy.cel.values import NotEvaluated, Partial
from mlgen.policy.cel.wire import Call, Const, Fold, Ident, ListOf, MapOf, Node, Select

Take = Callable[[Any], Any]
ROOTS = ("object", "oldObject", "request", "namespaceObject", "params")  # and authorizer, which is never known


@dataclass(slots=True, eq=False)
class Need:
    """What is read of a value: its type always; a text or number, then, is read.

    whole: all of it. keys: of a map, its keys. parts: of a map, by key. item: of each element of a list.
    """

    whole: bool = False
    keys: bool = False
    parts: dict[str, Need] = field(default_factory=dict)
    item: Need | None = None

    @property
    def read(self) -> bool:
        return self.whole or self.keys or bool(self.parts)

    def part(self, name: str) -> Need:
        return self.parts.setdefault(name, Need())

    def each(self) -> Need:
        self.keys = True
        self.item = self.item or Need()
        return self.item

    def taker(self) -> Take:
        """The function that gives what is read of a value, as plain data."""
        if self.whole:
            return _whole
        item = self.item.taker() if self.item is not None else None
        parts = tuple((name, None if need.whole else need.taker()) for name, need in self.parts.items())
        keys = self.keys

        def take(value: Any) -> Any:
            kind = type(value)
            if kind is dict:
                found = [
                    (value[name] if inner is None else inner(value[name])) if name in value else ...
                    for name, inner in parts
                ]
                return (tuple(value), *found) if keys else tuple(found)
            if kind is list:
                return [] if item is None else [item(each) for each in value]
            if kind is Partial:
                known = {name: (inner or _whole)(value.known[name]) for name, inner in parts if name in value.known}
                return known, [name in value.unknown for name, _ in parts]
            return ("unknown", str(value)) if isinstance(value, NotEvaluated) else value

        return take


def _whole(value: Any) -> Any:
    # Nothing comes of one that is known in part but that it is so.
    return str(value) if isinstance(value, NotEvaluated | Partial) else value


@dataclass(frozen=True, slots=True)
class Seen:
    """What a value may be: one of some parts of the roots; or a list or map that was made of such."""

    needs: tuple[Need, ...] = ()
    made: tuple[Seen, ...] = ()

    def used(self) -> None:
        for need in self.needs:
            need.whole = True
        for inner in self.made:
            inner.used()

    def part(self, name: str) -> Seen:
        return union([Seen(tuple(need.part(name) for need in self.needs)), *self.made])

    def each(self) -> Seen:
        return union([Seen(tuple(need.each() for need in self.needs)), *self.made])


def union(seen: Iterable[Seen]) -> Seen:
    needs: dict[Need, None] = {}
    made: dict[Seen, None] = {}
    for one in seen:
        needs.update(dict.fromkeys(one.needs))
        made.update(dict.fromkeys(one.made))
    return Seen(tuple(needs), tuple(made))


NOTHING = Seen()
_KEPT = frozenset({"orValue", "or", "value", "optional.of", "dyn", "_+_"})
Names = Mapping[str, Seen]


def walk(node: Node, names: Names) -> Seen:
    """What a node's value may be; what it reads meanwhile is marked. names: of roots, `variables.x`, macros."""
    match node:
        case Ident(name):
            return _ident(name, names)
        case Select(operand, name, test):
            if isinstance(operand, Ident) and operand.name == "variables" and "variables" not in names:
                return names.get(f"variables.{name}", NOTHING)
            part = walk(operand, names).part(name)
            return NOTHING if test else part
        case Call():
            return _call(node, names)
        case ListOf():
            return Seen((), tuple(walk(e, names) for e in node.elements))
        case MapOf():
            for entry in node.entries:
                walk(entry.key, names).used()
            return Seen((), tuple(walk(entry.value, names) for entry in node.entries))
        case Fold():
            return _fold(node, names)
    return NOTHING


def _ident(name: str, names: Names) -> Seen:
    found = names.get(name)
    first, *rest = name.split(".")
    if found is None and rest:  # the checker joins the path of what is declared by its path
        found = names.get(first, NOTHING)
        for part in rest:
            found = found.part(part)
    return found or NOTHING


def _call(node: Call, names: Names) -> Seen:
    pairs = two.of(node)
    if pairs is not None:
        return _pairs(pairs, names)
    args = [walk(a, names) for a in ((node.target, *node.args) if node.target is not None else node.args)]
    return _value(node, args)


def _value(node: Call, args: list[Seen]) -> Seen:
    name = node.function
    key = node.args[0] if name == "@in" else node.args[-1] if node.args else None
    text = key.value if isinstance(key, Const) and isinstance(key.value, str) else None
    found = NOTHING
    if name in ("_?._", "_[_]", "_[?_]") and isinstance(key, Const):
        found = args[0].part(text) if text is not None else args[0].each()
    elif name == "_?_:_":
        args[0].used()
        found = union(args[1:])
    elif name == "size" and len(args) == 1:
        args[0].each()
    elif name == "@in" and text is not None:
        args[1].part(text)
        args[1].each().used()
    elif name in _KEPT or (isinstance(node.target, Ident) and f"{node.target.name}.{name}" in _KEPT):
        found = union(args)
    elif name != "hasValue":
        for one in args:
            one.used()
    return found


def _fold(node: Fold, names: Names) -> Seen:
    found = shape(node)
    if found is None:  # it is not evaluated
        return NOTHING
    if found.kind == "bind":
        return walk(node.result, {**names, node.accu: walk(node.init, names)})
    each = walk(node.over, names).each()
    inner = {**names, node.var: each}
    if found.predicate is not None:
        walk(found.predicate, inner).used()
    return NOTHING if found.transform is None else Seen((), (walk(found.transform, inner),))


def _pairs(node: two.Pairs, names: Names) -> Seen:
    walk(node.over, names).used()
    inner = {**names, node.first: NOTHING, node.second: NOTHING}
    for part in (node.predicate, node.transform):
        if part is not None:
            walk(part, inner).used()
    return NOTHING


class Reading:
    """What some expressions read of their roots; `add` them first, in the order in which they may name each other."""

    def __init__(self) -> None:
        self._roots = {name: Need() for name in ROOTS}
        self._names = {name: Seen((need,)) for name, need in self._roots.items()}
        self._takers: tuple[tuple[str, Take], ...] | None = None

    def add(self, node: Node) -> None:
        walk(node, self._names).used()

    def add_variable(self, name: str, node: Node) -> None:
        self._names[f"variables.{name}"] = walk(node, self._names)

    def key(self, roots: Mapping[str, Any]) -> bytes | None:
        """Equal for all that the expressions cannot tell apart; None where no key can be made."""
        if self._takers is None:
            self._takers = tuple((n, need.taker()) for n, need in self._roots.items() if need.read)
        taken = [take(roots.get(name)) for name, take in self._takers]
        try:
            data = marshal.dumps(taken, 2)  # 2: later versions write equal values in more than one way
        except ValueError:  # a type of no plain data, or nested too deep
            return None
        return blake2b(data, digest_size=16).digest()
