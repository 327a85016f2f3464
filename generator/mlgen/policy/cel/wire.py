"""The checked expression as Google's library serializes it (cel.expr.CheckedExpr) → nodes.

A reader of Protobuf's wire format in forty lines: the library that would read it takes 40 ms to import.
Source: cel-spec/proto/cel/expr/{syntax,checked}.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from mlgen.policy.cel.values import Uint


@dataclass(frozen=True, slots=True)
class Const:
    value: object
    id: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Ident:
    name: str
    id: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Select:
    """operand.name; test: has(operand.name)."""

    operand: Node
    name: str
    test: bool
    id: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    function: str
    target: Node | None
    args: tuple[Node, ...]
    id: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class ListOf:
    """optional: the indices of elements written with `?`."""

    elements: tuple[Node, ...]
    optional: frozenset[int]
    id: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Entry:
    key: Node
    value: Node
    optional: bool


@dataclass(frozen=True, slots=True)
class MapOf:
    """message: the name of a message that is built, for which there is none among policies."""

    entries: tuple[Entry, ...]
    message: str
    id: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Fold:
    """A macro, expanded."""

    var: str
    var2: str
    over: Node
    accu: str
    init: Node
    condition: Node
    step: Node
    result: Node
    id: int = field(default=0, compare=False)


Node: TypeAlias = "Const | Ident | Select | Call | ListOf | MapOf | Fold"
Type = dict[str, object]  # as the configuration of an environment spells it: {"type_name": …, "params": […]}


@dataclass(frozen=True, slots=True)
class Checked:
    """root: the expression. types and starts (offsets of characters): by the id of a node; none where unchecked."""

    root: Node
    types: Mapping[int, Type]
    starts: Mapping[int, int]

    @property
    def type(self) -> Type | None:
        return self.types.get(self.root.id)


def read(serialized: bytes) -> Checked:
    """The nodes of what `Expression.serialize` gives."""
    anything = _fields(serialized)
    kind = bytes(_one(anything, 1)).decode()
    parts = _fields(_one(anything, 2))
    if kind.endswith("ParsedExpr"):
        return Checked(_node(_one(parts, 2)), {}, _starts(_one(parts, 3)))
    pairs = [_fields(_bytes(entry)) for entry in parts.get(3, ())]
    types = {_int(pair, 1): _type(_one(pair, 2)) for pair in pairs}
    return Checked(_node(_one(parts, 4)), types, _starts(_one(parts, 5)))


def _starts(source: bytes) -> dict[int, int]:
    pairs = [_fields(_bytes(entry)) for entry in _fields(source).get(4, ())]
    return {_int(pair, 1): _int(pair, 2) for pair in pairs}


_Value: TypeAlias = "int | bytes"
_Fields = dict[int, list[_Value]]


def _fields(data: bytes) -> _Fields:
    found: _Fields = {}
    for number, value in _pairs(data):
        found.setdefault(number, []).append(value)
    return found


def _pairs(data: bytes) -> Iterator[tuple[int, _Value]]:
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
        else:
            size = {1: 8, 5: 4}.get(wire)
            if size is None:
                size, at = _varint(data, at)
            yield number, data[at : at + size]
            at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def _bytes(value: _Value) -> bytes:
    assert isinstance(value, bytes)
    return value


def _one(fields: _Fields, number: int) -> bytes:
    return _bytes(fields[number][-1]) if number in fields else b""


def _int(fields: _Fields, number: int) -> int:
    value = fields[number][-1] if number in fields else 0
    assert isinstance(value, int)
    return value


def _text(fields: _Fields, number: int) -> str:
    return _one(fields, number).decode()


def _node(data: bytes) -> Node:
    fields = _fields(data)
    for number, build in _BUILD.items():
        if number in fields:
            return build(_one(fields, number), _int(fields, 2))
    raise ValueError("an expression of no kind")


def _const(data: bytes, id_: int) -> Const:
    number, value = next(_pairs(data))
    match number:
        case 2:
            return Const(bool(value), id_)
        case 3:
            assert isinstance(value, int)
            return Const(value - (1 << 64) if value >> 63 else value, id_)
        case 4:
            assert isinstance(value, int)
            return Const(Uint(value), id_)
        case 5:
            return Const(struct.unpack("<d", _bytes(value))[0], id_)
        case 6:
            return Const(_bytes(value).decode(), id_)
        case 7:
            return Const(_bytes(value), id_)
    return Const(None, id_)


def _select(data: bytes, id_: int) -> Select:
    fields = _fields(data)
    return Select(_node(_one(fields, 1)), _text(fields, 2), bool(_int(fields, 3)), id_)


def _call(data: bytes, id_: int) -> Call:
    fields = _fields(data)
    target = _node(_one(fields, 1)) if 1 in fields else None
    return Call(_text(fields, 2), target, tuple(_node(_bytes(a)) for a in fields.get(3, ())), id_)


def _list(data: bytes, id_: int) -> ListOf:
    fields = _fields(data)
    optional = set()
    for packed in fields.get(2, ()):
        if isinstance(packed, int):
            optional.add(packed)
            continue
        at = 0
        while at < len(packed):
            index, at = _varint(packed, at)
            optional.add(index)
    return ListOf(tuple(_node(_bytes(e)) for e in fields.get(1, ())), frozenset(optional), id_)


def _map(data: bytes, id_: int) -> MapOf:
    fields = _fields(data)
    entries = []
    for item in fields.get(2, ()):
        entry = _fields(_bytes(item))
        key: Node = _node(_one(entry, 3)) if 3 in entry else Const(_text(entry, 2))
        entries.append(Entry(key, _node(_one(entry, 4)), bool(_int(entry, 5))))
    return MapOf(tuple(entries), _text(fields, 1), id_)


def _fold(data: bytes, id_: int) -> Fold:
    f = _fields(data)
    nodes = [_node(_one(f, number)) for number in (2, 4, 5, 6, 7)]
    over, init, condition, step, result = nodes
    return Fold(_text(f, 1), _text(f, 8), over, _text(f, 3), init, condition, step, result, id_)


_BUILD: dict[int, Callable[[bytes, int], Node]] = {
    3: _const,
    4: lambda data, id_: Ident(_text(_fields(data), 1), id_),
    5: _select,
    6: _call,
    7: _list,
    8: _map,
    9: _fold,
}

_PRIMITIVES = {1: "bool", 2: "int", 3: "uint", 4: "double", 5: "string", 6: "bytes"}


def _type(data: bytes) -> Type:
    """A type of the checker; what it does not know, and what only other languages have, is dyn."""
    fields = _fields(data)
    if 3 in fields:
        return {"type_name": _PRIMITIVES.get(_int(fields, 3), "dyn")}
    if 5 in fields:
        return {"type_name": {2: "timestamp", 3: "duration"}.get(_int(fields, 5), "dyn")}
    if 6 in fields:
        return {"type_name": "list", "params": [_type(_one(_fields(_one(fields, 6)), 1))]}
    if 7 in fields:
        pair = _fields(_one(fields, 7))
        return {"type_name": "map", "params": [_type(_one(pair, 1)), _type(_one(pair, 2))]}
    if 14 in fields:
        abstract = _fields(_one(fields, 14))
        params = [_type(_bytes(p)) for p in abstract.get(2, ())]
        return {"type_name": _text(abstract, 1), **({"params": params} if params else {})}
    if 2 in fields:
        return {"type_name": "null_type"}
    return {"type_name": "dyn"}
