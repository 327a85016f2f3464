"""Macros of two variables told by those of one, so that a checker that does not know them can type-check them.

Of a list, `l.all(i, v, p)` is `l.all(v, [0].all(i, p))`; of a map, `m.all(k, v, p)` is `m.all(k, [m[k]].all(v, p))`.
Which of them it is only the type says, so both are told; where all tellings are mistyped, so is what was written.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from mlgen.policy.cel import pairs as two
from mlgen.policy.cel.macros import shape
from mlgen.policy.cel.values import Uint
from mlgen.policy.cel.wire import Call, Const, Fold, Ident, ListOf, MapOf, Node, Select

MOST = 4  # macros of two variables in one expression: sixteen tellings
_BINARY = {"_+_", "_-_", "_*_", "_/_", "_%_", "_<_", "_<=_", "_>_", "_>=_", "_==_", "_!=_", "_&&_", "_||_"}


class Untold(Exception):
    """The expression has something that cannot be written."""


def tellings(root: Node) -> Iterator[str]:
    """The texts; none where there are too many. Raises Untold."""
    count = _count(root)
    if count > MOST:
        raise Untold
    for maps in product((False, True), repeat=count):
        yield _Writer(iter(maps)).text(root)


def _count(node: Node) -> int:
    own = isinstance(node, Call) and two.of(node) is not None
    return own + sum(map(_count, two.parts(node)))


class _Writer:
    def __init__(self, maps: Iterator[bool]) -> None:
        self.maps = maps

    def text(self, node: Node) -> str:
        match node:
            case Const(value):
                return _constant(value)
            case Ident(name):
                return name
            case Select(operand, name, test):
                found = f"{self.text(operand)}.{name}"
                return f"has({found})" if test else found
            case Call():
                pairs = two.of(node)
                return self.call(node) if pairs is None else self.pairs(pairs)
            case ListOf(elements, optional):
                return f"[{', '.join('?' * (n in optional) + self.text(e) for n, e in enumerate(elements))}]"
            case MapOf(entries, message):
                if message:
                    raise Untold
                written = [f"{'?' * e.optional}{self.text(e.key)}: {self.text(e.value)}" for e in entries]
                return f"{{{', '.join(written)}}}"
            case Fold():
                return self.fold(node)

    def call(self, node: Call) -> str:
        name, args = node.function, [self.text(a) for a in node.args]
        if node.target is not None:
            return f"{self.text(node.target)}.{name}({', '.join(args)})"
        if name in _BINARY or name == "@in":
            return f"({args[0]} {'in' if name == '@in' else name.strip('_')} {args[1]})"
        forms = {"!_": "(!{0})", "-_": "(-{0})", "_?_:_": "({0} ? {1} : {2})", "_[_]": "{0}[{1}]", "_[?_]": "{0}[?{1}]"}
        if name in forms:
            return forms[name].format(*args)
        if name == "_?._":
            key = node.args[1]
            if not isinstance(key, Const):
                raise Untold
            return f"{args[0]}.?{key.value}"
        return f"{name}({', '.join(args)})"

    def fold(self, node: Fold) -> str:
        found = shape(node)
        if found is None:
            raise Untold
        if found.kind == "bind":
            return f"[{self.text(node.init)}].map({node.accu}, {self.text(node.result)})[0]"
        parts = [self.text(p) for p in (found.predicate, found.transform) if p is not None]
        return f"{self.text(node.over)}.{found.kind}({node.var}, {', '.join(parts)})"

    def pairs(self, node: two.Pairs) -> str:
        over, first, second, of_map = self.text(node.over), node.first, node.second, next(self.maps)
        over = f"(true ? {over} : {'{}' if of_map else '[]'})"  # type-checks for the one, and for what is dyn
        outer, inner, other = (first, second, f"[{over}[{first}]]") if of_map else (second, first, "[0]")
        asked = self.text(node.predicate) if node.predicate is not None else "true"
        if node.transform is None:
            return f"{over}.{node.kind}({outer}, {other}.all({inner}, {asked}))"
        each = f"{other}.map({inner}, {self.text(node.transform)})[0]"
        made = f"{over}.map({outer}, {other}.all({inner}, {asked}), {each})"
        if node.kind == "list":
            return made
        key = f"{over}.map({outer}, {outer})[0]" if of_map else "0"
        return f"{{{key}: {made}[0]}}" if node.kind == "map" else f"{made}[0]"


def _constant(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case Uint():
            return f"{int(value)}u"
        case int():
            return str(value) if value >= 0 else f"({value})"
        case float():
            found = repr(value)
            if "n" in found:  # inf, nan
                raise Untold
            return f"({found if '.' in found or 'e' in found else found + '.0'})"
        case str():
            return '"' + "".join(c if c.isascii() and c.isalnum() else f"\\U{ord(c):08x}" for c in value) + '"'
        case bytes():
            return 'b"' + "".join(f"\\x{b:02x}" for b in value) + '"'
    raise Untold
