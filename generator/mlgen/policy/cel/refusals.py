"""What the API server says against an expression that type-checks: its validators, and constants it folds.

Source: k8s.io/apiserver/pkg/cel/environment/base.go, github.com/google/cel-go/cel/validator.go, ext/formatting.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from mlgen.policy.cel.evaluate import build
from mlgen.policy.cel.front import DYN, Flaw
from mlgen.policy.cel.library import regex, text_format
from mlgen.policy.cel.meter import METER, TooCostly
from mlgen.policy.cel.pairs import parts
from mlgen.policy.cel.scope import Scope
from mlgen.policy.cel.values import CelError, NotEvaluated
from mlgen.policy.cel.wire import Call, Checked, Const, Ident, ListOf, MapOf, Node, Select, Type

_NO_TEXT = "error during formatting: no clause takes it"
_FOLDING = 100_000  # what may be spent on a constant
_FOLDED = frozenset({"int", "uint", "double", "bool", "string", "bytes", "timestamp", "duration"})


def refusals(checked: Checked, known: Mapping[str, Type]) -> list[Flaw]:
    """The flaws of a checked expression. known: the types of `request` and `namespaceObject`, by path."""
    objects = {path[:end] for path in known for end, c in enumerate(path) if c == "."}
    walk = _Walk(checked, frozenset(known), frozenset(objects))
    return list(walk.below(checked.root, False))


class _Walk:
    def __init__(self, checked: Checked, leaves: frozenset[str], objects: frozenset[str]) -> None:
        self.checked, self.leaves, self.objects = checked, leaves, objects

    def flaw(self, node: Node, message: str) -> Flaw:
        return Flaw(message, self.checked.starts.get(node.id, 0))

    def type(self, node: Node) -> Type:
        return self.checked.types.get(node.id, DYN)

    def below(self, node: Node, formatted: bool) -> Iterator[Flaw]:
        """formatted: whether the node is below an argument of `format`, where lists may mix types."""
        match node:
            case Call():
                yield from self.call(node)
                formatted = formatted or (node.function == "format" and node.target is not None)
            case ListOf() if not formatted:
                yield from self.alike(node.elements, node.optional)
            case MapOf() if not formatted:
                yield from self.alike(tuple(e.key for e in node.entries), frozenset())
                optional = frozenset(n for n, e in enumerate(node.entries) if e.optional)
                yield from self.alike(tuple(e.value for e in node.entries), optional)
            case Select():
                yield from self.field(node)
        for part in parts(node):
            yield from self.below(part, formatted)

    def alike(self, elements: tuple[Node, ...], optional: frozenset[int]) -> Iterator[Flaw]:
        first: Type | None = None
        for number, element in enumerate(elements):
            kind = self.type(element)
            params = kind.get("params")
            if number in optional and isinstance(params, list) and params:
                kind = params[0]
            if first is None:
                first = kind
            elif kind != first:
                yield self.flaw(element, f"expected type '{written(first)}' but found '{written(kind)}'")
                return

    def field(self, node: Select) -> Iterator[Flaw]:
        path = _path(node)
        if path and path.rpartition(".")[0] in self.objects and path not in self.leaves | self.objects:
            yield self.flaw(node, f"undefined field '{node.name}'")

    def call(self, node: Call) -> Iterator[Flaw]:
        name, args = node.function, node.args
        if name == "matches" and args and isinstance(args[-1], Const):
            pattern = str(args[-1].value)
            yield from self.tried(args[-1], "invalid matches argument", lambda _: regex.search("", pattern))
        elif name in _FOLDED and len(args) == 1 and _constant(args[0]):
            yield from self.tried(args[0], "", lambda _: build(node)([Scope({}, {})]))
        elif name == "format" and isinstance(node.target, Const) and len(args) == 1 and isinstance(args[0], ListOf):
            kinds = [self.type(e) for e in args[0].elements]
            yield from (self.flaw(e, _NO_TEXT) for e in args[0].elements if self.no_text(e))
            for flaw in text_format.flaws(str(node.target.value), kinds):
                at = args[0].elements[flaw[0]] if flaw[0] >= 0 else node.target
                yield self.flaw(at, flaw[1])

    def no_text(self, node: Node) -> bool:
        """Whether a value of `format` is one that no clause takes, though its type is dyn to our checker."""
        if isinstance(node, ListOf):
            return bool(node.optional)
        if isinstance(node, MapOf):
            return any(entry.optional for entry in node.entries)
        path = _path(node)
        return path in self.objects

    def tried(self, node: Node, message: str, function: Callable[[Node], object]) -> Iterator[Flaw]:
        METER.spent, METER.limit = 0, _FOLDING
        try:
            function(node)
        except CelError as error:
            yield self.flaw(node, message or str(error))
        except (NotEvaluated, TooCostly):
            return


def _path(node: Node) -> str | None:
    names: list[str] = []
    while isinstance(node, Select):
        names.append(node.name)
        node = node.operand
    return ".".join([node.name, *reversed(names)]) if isinstance(node, Ident) else None


def _constant(node: Node) -> bool:
    """Whether the API server folds it before any request is there."""
    if isinstance(node, Call):
        return node.function == "dyn" and all(map(_constant, node.args))
    return isinstance(node, Const) or (isinstance(node, ListOf | MapOf) and all(map(_constant, parts(node))))


def written(kind: Type) -> str:
    """A type as the checker writes it: list(string)."""
    name, params = str(kind["type_name"]), kind.get("params")
    name = "null" if name == "null_type" else name
    return f"{name}({', '.join(map(written, params))})" if isinstance(params, list) else name
