"""Gates, the one small language of a spec: read, typed, split and evaluated here for checks, pods and local runs.

gate    := and ("or" and)*
and     := not ("and" not)*
not     := "not" not | "(" gate ")" | operand op operand | operand ["not"] "in" "[" literal ("," literal)* "]"
operand := ref | literal          op := == != < <= > >=
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from mlgen.values import Type, parse_number

MAX_DEPTH = 32
MAX_LENGTH = 2000  # characters: a gate is read by people


class GateError(Exception):
    """A gate that cannot be read or does not fit its types. start, end: offsets in the gate's text."""

    def __init__(self, message: str, start: int, end: int, fix: str = "") -> None:
        super().__init__(message)
        self.message, self.start, self.end, self.fix = message, start, end, fix


@dataclass(frozen=True, slots=True)
class Ref:
    """`params.x` (owner "params") or `task.out` (owner: the task)."""

    owner: str
    name: str
    start: int = 0
    end: int = 0

    def __str__(self) -> str:
        return f"{self.owner}.{self.name}"

    @property
    def key(self) -> tuple[str, str]:
        return self.owner, self.name


@dataclass(frozen=True, slots=True)
class Literal:
    value: str | int | float | bool
    start: int = 0
    end: int = 0

    def __str__(self) -> str:
        return json.dumps(self.value, ensure_ascii=False)


Operand = Ref | Literal


@dataclass(frozen=True, slots=True)
class Compare:
    op: str
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class In:
    left: Operand
    choices: tuple[Literal, ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class Not:
    part: Gate


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Gate, ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[Gate, ...]


Gate = Compare | In | Not | And | Or

OPS: Mapping[str, Callable[[object, object], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
ORDERED = frozenset({"<", "<=", ">", ">="})

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>"(?:[^"\\]|\\.)*")
    | (?P<ref>[a-z][a-z0-9-]*\.[A-Za-z_][A-Za-z0-9_-]*)
    | (?P<number>[-+]?(?:\.[0-9]|[0-9])[A-Za-z0-9_.]*(?:(?<=[eE])[-+][0-9]+)?)
    | (?P<word>[A-Za-z_][A-Za-z0-9_-]*)
    | (?P<op>==|!=|<=|>=|<|>)
    | (?P<mark>[()\[\],])
    | (?P<bad>\S)
    )""",
    re.VERBOSE,
)
_WORDS = frozenset({"and", "or", "not", "in", "true", "false"})


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


def _tokens(text: str) -> Iterator[_Token]:
    position = 0
    while match := _TOKEN.match(text, position):
        kind = match.lastgroup or ""
        start, position = match.span(kind)
        yield _Token(kind, match[kind], start, position)
    yield _Token("end", "the end", len(text), len(text))


class _Reader:
    def __init__(self, text: str) -> None:
        self.text, self.tokens, self.at, self.depth = text, list(_tokens(text)), 0, 0

    @property
    def here(self) -> _Token:
        return self.tokens[self.at]

    def take(self) -> _Token:
        token = self.here
        self.at = min(self.at + 1, len(self.tokens) - 1)
        return token

    def word(self, word: str) -> bool:
        if self.here.kind in ("word", "mark") and self.here.text == word:
            self.take()
            return True
        return False

    def fail(self, message: str, token: _Token | None = None, fix: str = "") -> GateError:
        token = token or self.here
        return GateError(message, token.start, max(token.end, token.start + 1), fix)

    def gate(self) -> Gate:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.fail(f"the gate is nested more than {MAX_DEPTH} deep")
        parts = [self.conjunction()]
        while self.word("or"):
            parts.append(self.conjunction())
        self.depth -= 1
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def conjunction(self) -> Gate:
        parts = [self.negation()]
        while self.word("and"):
            parts.append(self.negation())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def negation(self) -> Gate:
        count = 0
        while self.word("not"):
            count += 1
        gate = self.comparison()
        return Not(gate) if count % 2 else gate

    def comparison(self) -> Gate:
        if self.word("("):
            gate = self.gate()
            if not self.word(")"):
                raise self.fail(f'")" is missing before {_quote(self.here)}')
            return gate
        left = self.operand()
        if self.here.kind == "op":
            op = self.take().text
            right = self.operand()
            if self.here.kind == "op":
                raise self.fail("comparisons do not chain", fix='join two comparisons with "and"')
            return Compare(op, left, right)
        negated = self.word("not")
        if self.word("in"):
            return In(left, self.choices(), negated)
        if negated:
            raise self.fail(f'"in" is missing before {_quote(self.here)}')
        raise self.fail(
            "a bare value is no gate",
            _Token("", "", left.start, left.end),
            f"compare it: {left} == true" if isinstance(left, Ref) else "compare it with something",
        )

    def choices(self) -> tuple[Literal, ...]:
        if not self.word("["):
            raise self.fail(f'"[" is missing before {_quote(self.here)}', fix='write: x in ["a", "b"]')
        found: list[Literal] = []
        while True:
            item = self.operand()
            if isinstance(item, Ref):
                raise self.fail("a list holds literals only", _Token("", "", item.start, item.end))
            found.append(item)
            if self.word("]"):
                return tuple(found)
            if not self.word(","):
                raise self.fail(f'"," or "]" is missing before {_quote(self.here)}')

    def operand(self) -> Operand:
        token = self.take()
        match token.kind:
            case "ref":
                owner, name = token.text.split(".", 1)
                return Ref(owner, name, token.start, token.end)
            case "string":
                try:
                    return Literal(str(json.loads(token.text)), token.start, token.end)
                except ValueError:
                    raise self.fail("the string is not a JSON string", token) from None
            case "number":
                try:
                    return Literal(parse_number(token.text), token.start, token.end)
                except ValueError as error:
                    raise self.fail(str(error), token) from None
            case "word" if token.text in ("true", "false"):
                return Literal(token.text == "true", token.start, token.end)
            case "word" if token.text not in _WORDS:
                fix = f'quote it: "{token.text}", or name its owner: params.{token.text}'
                raise self.fail(f'"{token.text}" is neither a reference nor a string', token, fix)
            case "bad" if token.text in "'\"":
                raise self.fail("strings stand in double quotes", token, 'write "text"')
            case "bad" | "op" if token.text in ("=", "&", "|", "!"):
                raise self.fail(f'"{token.text}" is no operator', token, "the operators: == != < <= > >= in and or not")
        raise self.fail(f"a reference or a literal is missing before {_quote(token)}", token)


def _quote(token: _Token) -> str:
    return token.text if token.kind == "end" else f'"{token.text}"'


@lru_cache(maxsize=4096)
def parse_gate(text: str) -> Gate:
    """The gate that a text is. Raises GateError."""
    if len(text) > MAX_LENGTH:
        raise GateError(f"the gate is longer than {MAX_LENGTH} characters", 0, len(text), "compute it in a task")
    reader = _Reader(text)
    gate = reader.gate()
    if reader.here.kind != "end":
        fix = "the operators: == != < <= > >= in and or not" if reader.here.kind == "bad" else ""
        raise reader.fail(f"{_quote(reader.here)} does not belong here", fix=fix)
    return gate


def operands(gate: Gate) -> Iterator[Operand]:
    """All references and literals of a gate, in the order of its text."""
    match gate:
        case Compare():
            yield gate.left
            yield gate.right
        case In():
            yield gate.left
            yield from gate.choices
        case Not():
            yield from operands(gate.part)
        case And() | Or():
            for part in gate.parts:
                yield from operands(part)


def refs(gate: Gate) -> tuple[Ref, ...]:
    """The references of a gate, in the order of its text, each as often as it stands there."""
    return tuple(o for o in operands(gate) if isinstance(o, Ref))


def conjuncts(gate: Gate) -> tuple[Gate, ...]:
    """The gate split at its top-level `and`s; all must be true."""
    if isinstance(gate, And):
        return tuple(c for part in gate.parts for c in conjuncts(part))
    return (gate,)


def to_text(gate: Gate) -> str:
    """The gate's text in one spelling: `parse_gate(to_text(g))` equals g but for offsets."""
    match gate:
        case Compare():
            return f"{gate.left} {gate.op} {gate.right}"
        case In():
            word = "not in" if gate.negated else "in"
            return f"{gate.left} {word} [{', '.join(map(str, gate.choices))}]"
        case Not():
            return f"not {_grouped(gate.part)}"
        case And():
            return " and ".join(_grouped(p) for p in gate.parts)
        case Or():
            return " or ".join(_grouped(p) for p in gate.parts)


def _grouped(gate: Gate) -> str:
    return f"({to_text(gate)})" if isinstance(gate, And | Or) else to_text(gate)


def check_types(gate: Gate, type_of: Callable[[Ref], Type | None]) -> list[GateError]:
    """What does not fit: one error a comparison. A ref of type None is unknown, and said elsewhere."""
    match gate:
        case Not():
            return check_types(gate.part, type_of)
        case And() | Or():
            return [e for part in gate.parts for e in check_types(part, type_of)]
        case Compare():
            sides, op = [gate.left, gate.right], gate.op
        case In():
            sides, op = [gate.left, *gate.choices], "in"
    kinds = [_kind(side, type_of) for side in sides]
    if None in kinds:
        return []
    start, end = sides[0].start, sides[-1].end
    for side, kind in zip(sides, kinds, strict=True):
        if kind in ("json", "artifact"):
            fix = "hand a value or metric on beside it and compare that"
            return [
                GateError(
                    f"{side} is {'json' if kind == 'json' else 'an artifact'}: a gate compares values",
                    side.start,
                    side.end,
                    fix,
                )
            ]
    if len(set(kinds)) > 1:
        other = next(i for i, kind in enumerate(kinds) if kind != kinds[0])
        return [
            GateError(f"{sides[0]} is a {kinds[0]}, {sides[other]} a {kinds[other]}: they never compare", start, end)
        ]
    if op in ORDERED and kinds[0] != "number":
        return [GateError(f'"{op}" orders numbers only, and {sides[0]} is a {kinds[0]}', start, end, "use == != or in")]
    return []


def _kind(side: Operand, type_of: Callable[[Ref], Type | None]) -> str | None:
    if isinstance(side, Literal):
        if isinstance(side.value, bool):
            return "boolean"
        return "string" if isinstance(side.value, str) else "number"
    found = type_of(side)
    if found is None:
        return None
    if found.is_artifact:
        return "artifact"
    return "number" if found.is_number else str(found)


def evaluate(gate: Gate, read: Callable[[Ref], object | None]) -> bool:
    """Whether the gate is true. `read` gives a parsed value, or None for one that does not exist.

    A gate that reads what does not exist (an out of a skipped task, an optional out not written) is false
    as a whole, also under `not` and `or`: nothing is concluded from something that never happened.
    """
    found = {ref.key: read(ref) for ref in refs(gate)}
    return None not in found.values() and _holds(gate, found)


def _holds(gate: Gate, found: Mapping[tuple[str, str], object]) -> bool:
    def value(side: Operand) -> object:
        return side.value if isinstance(side, Literal) else found[side.key]

    match gate:
        case Compare():
            return OPS[gate.op](value(gate.left), value(gate.right))
        case In():
            return (value(gate.left) in [c.value for c in gate.choices]) != gate.negated
        case Not():
            return not _holds(gate.part, found)
        case And():
            return all(_holds(p, found) for p in gate.parts)
        case Or():
            return any(_holds(p, found) for p in gate.parts)
