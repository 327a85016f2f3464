"""Nodes → functions that give values. Errors travel as exceptions; `&&`, `||` and macros absorb them as CEL says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mlgen.policy.cel import operators
from mlgen.policy.cel import pairs as two
from mlgen.policy.cel.library import TABLE
from mlgen.policy.cel.macros import shape
from mlgen.policy.cel.meter import METER
from mlgen.policy.cel.recall import recalled
from mlgen.policy.cel.signatures import Implementation
from mlgen.policy.cel.steps import (
    SPECIAL,
    Frame,
    Step,
    binary,
    equals_text,
    is_null,
    list_of,
    map_of,
    of_two,
    optional_field,
    otherwise,
    refused,
    unary,
    unknown,
    variable,
    whole,
)
from mlgen.policy.cel.values import NONE, CelError, NotEvaluated, Partial, TypeValue, equal
from mlgen.policy.cel.wire import Call, Const, Fold, Ident, ListOf, MapOf, Node, Select

TYPES = {
    name: TypeValue(kind)
    for name, kind in {
        "bool": "bool", "int": "int", "uint": "uint", "double": "double", "string": "string", "bytes": "bytes",
        "list": "list", "map": "map", "null_type": "null_type", "type": "type",
        "google.protobuf.Timestamp": "google.protobuf.Timestamp",
        "google.protobuf.Duration": "google.protobuf.Duration", "optional_type": "optional_type",
    }.items()
}  # fmt: skip


_WHOLE = frozenset({"object", "oldObject", "params", "variables"})


def build(node: Node) -> Step:
    """The function of an expression: takes a frame `[scope]`, gives its value, raises CelError or NotEvaluated."""
    builder = _Builder()
    step = builder.build(node, {})
    empty = [None] * builder.slots
    if not empty:
        return step
    return lambda frame: step([frame[0], *empty])


_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "_+_": operators.add,
    "_-_": operators.subtract,
    "_*_": operators.multiply,
    "_/_": operators.divide,
    "_%_": operators.modulo,
    "_<_": operators.less,
    "_<=_": operators.less_equal,
    "_>_": operators.greater,
    "_>=_": operators.greater_equal,
    "@in": operators.within,
    "_[_]": operators.index,
    "_[?_]": operators.optional_index,
    "_==_": equal,
    "_!=_": lambda a, b: not equal(a, b),
}


class _Builder:
    def __init__(self) -> None:
        self.slots = 0

    def build(self, node: Node, names: dict[str, int]) -> Step:
        match node:
            case Const(value):
                return lambda frame: value
            case Ident(name):
                return self.guarded(node, self.ident(name, names), names)
            case Select():
                return self.guarded(node, self.select(node, names), names)
            case Call():
                return self.call(node, names)
            case ListOf():
                return self.list(node, names)
            case MapOf():
                return self.map(node, names)
            case Fold():
                return self.fold(node, names)

    def guarded(self, node: Node, step: Step, names: dict[str, int]) -> Step:
        """What may be known in part only is no value."""
        root = node
        while isinstance(root, Select):
            root = root.operand
        apart = isinstance(root, Ident) and (root.name in names or root.name in _WHOLE)
        return step if apart else whole(step)

    def part(self, node: Node, names: dict[str, int]) -> Step:
        """What a field is taken of: it alone may be known in part."""
        match node:
            case Ident(name):
                return self.ident(name, names)
            case Select():
                return self.select(node, names)
        return self.build(node, names)

    def slot(self, names: dict[str, int], name: str) -> dict[str, int]:
        self.slots += 1
        return {**names, name: self.slots}

    def ident(self, name: str, names: dict[str, int]) -> Step:
        at = names.get(name)
        if at is not None:
            return lambda frame: frame[at]
        if name in TYPES:
            kind = TYPES[name]
            return lambda frame: kind
        first, *rest = name.split(".")  # the checker joins the path of what is declared by its path
        if rest and first == "variables":
            return variable(rest[0])
        if rest:
            node: Node = Ident(first)
            for part in rest:
                node = Select(node, part, False)
            return self.build(node, names)

        def root(frame: Frame) -> Any:
            METER.spent += 1
            found = frame[0].roots.get(name, NONE)
            if isinstance(found, NotEvaluated):
                raise found
            if found is NONE:
                raise CelError(f"no such attribute(s): {name}")
            return found

        return root

    def select(self, node: Select, names: dict[str, int]) -> Step:
        field_name = node.name
        path = _path(replace(node, test=False), names)
        if path is not None and path in TYPES:
            kind = TYPES[path]
            return lambda frame: kind
        if isinstance(node.operand, Ident) and node.operand.name == "variables" and "variables" not in names:
            if node.test:
                return lambda frame: True
            return variable(field_name)
        operand = self.part(node.operand, names)

        def select(frame: Frame) -> Any:
            METER.spent += 1
            found = operand(frame)
            if type(found) is dict:
                try:
                    return found[field_name]
                except KeyError:
                    raise CelError(f"no such key: {field_name}") from None
            if type(found) is Partial:
                return found.get(field_name)
            return operators.select(found, field_name)

        def test(frame: Frame) -> bool:
            METER.spent += 1
            found = operand(frame)
            return operators.has(found, field_name)

        return test if node.test else select

    def call(self, node: Call, names: dict[str, int]) -> Step:
        name = node.function
        pairs = two.of(node)
        if pairs is not None:
            return self.pairs(pairs, names)
        if node.target is not None:
            path = _path(node.target, names)
            if path is not None and TABLE.has(f"{path}.{name}", False):
                return self.function(f"{path}.{name}", False, [self.build(a, names) for a in node.args])
            return self.function(name, True, [self.build(a, names) for a in (node.target, *node.args)])
        if name == "_?._":  # its second argument is a name, not a value
            operand, key = self.build(node.args[0], names), node.args[1]
            assert isinstance(key, Const)
            return optional_field(operand, str(key.value))
        if name in ("_==_", "_!=_") and Const(None) in node.args:
            left, right = (self.part(a, names) for a in node.args)
            return is_null(left, right, name == "_==_")
        args = [self.build(a, names) for a in node.args]
        if name in SPECIAL:
            return SPECIAL[name](*args)
        if name == "-_":
            (only,) = args
            return lambda frame: operators.negate(only(frame))
        return self.operator(node, args) if name in _BINARY else self.function(name, False, args)

    def operator(self, node: Call, args: list[Step]) -> Step:
        right = node.args[1]
        if node.function in ("_==_", "_!=_") and isinstance(right, Const) and isinstance(right.value, str):
            return equals_text(args[0], right.value, node.function == "_==_")
        return binary(_BINARY[node.function], *args)

    def function(self, name: str, member: bool, args: list[Step]) -> Step:
        if not TABLE.has(name, member):
            reason = f"the function {name} is not known here"
            return unknown(reason)
        known: dict[tuple[type, ...], Implementation] = {}
        by_elements = TABLE.by_elements(name, member)
        if name in ("or", "orValue") and member:
            return otherwise(name, *args)

        if len(args) == 1 and not by_elements:
            return unary(name, member, args[0])
        if len(args) == 2 and not by_elements:
            return of_two(name, member, *args)

        def call(frame: Frame) -> Any:
            METER.spent += 1
            values = [a(frame) for a in args]
            kinds = tuple(map(type, values))
            found = None if by_elements and list in kinds else known.get(kinds)
            if found is None:
                found = TABLE.find(name, member, values)
                if found is None:
                    raise CelError(refused(name, values))
                known[kinds] = found
            return found(*values)

        return call

    def list(self, node: ListOf, names: dict[str, int]) -> Step:
        return list_of([self.build(e, names) for e in node.elements], node.optional)

    def map(self, node: MapOf, names: dict[str, int]) -> Step:
        if node.message:
            return unknown(f"{node.message} is not known here")
        return map_of([(self.build(e.key, names), self.build(e.value, names), e.optional) for e in node.entries])

    def pairs(self, node: two.Pairs, names: dict[str, int]) -> Step:
        over = self.build(node.over, names)
        inner = self.slot(self.slot(names, node.first), node.second)
        at = (inner[node.first], inner[node.second])
        predicate = self.build(node.predicate, inner) if node.predicate is not None else None
        if node.transform is None:
            assert predicate is not None
            return two.quantifier(over, at, predicate, node.kind)
        return two.transform(over, at, predicate, self.build(node.transform, inner), node.kind)

    def fold(self, node: Fold, names: dict[str, int]) -> Step:
        found = shape(node)
        if found is None:
            return unknown("a macro is not known here")
        over = self.build(node.over, names)
        if found.kind == "bind":
            init = self.build(node.init, names)
            inner = self.slot(names, node.accu)
            at = inner[node.accu]
            result = self.build(node.result, inner)

            def bind(frame: Frame) -> Any:
                frame[at] = init(frame)
                return result(frame)

            return bind
        inner = self.slot(names, node.var)
        at = inner[node.var]
        predicate = None
        if found.predicate is not None:
            predicate = recalled(found.predicate, self.build(found.predicate, inner), node.var, at)
        transform = self.build(found.transform, inner) if found.transform is not None else None
        return found.loop(over, at, predicate, transform)


def _path(node: Node, names: dict[str, int]) -> str | None:
    """`a.b.c`, where it is one and `a` is no variable of a macro."""
    parts = []
    while isinstance(node, Select) and not node.test:
        parts.append(node.name)
        node = node.operand
    if not isinstance(node, Ident) or node.name in names:
        return None
    return ".".join([node.name, *reversed(parts)])
