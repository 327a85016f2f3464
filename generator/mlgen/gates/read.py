"""Text to gate.

gate    := and ("or" and)*
and     := not ("and" not)*
not     := "not" not | "(" gate ")" | operand op operand | operand ["not"] "in" "[" literal ("," literal)* "]"
operand := ref | literal          op := == != < <= > >=
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from mlgen.gates.nodes import And, Compare, Gate, In, Literal, Not, Operand, Or, Ref, to_text
from mlgen.values import parse_number, parse_string

MAX_DEPTH = 32
MAX_LENGTH = 2000  # characters in the one spelling of `to_text`, which is read again: a gate is read by people
OPERATORS = "the operators: == != < <= > >= in and or not"
_LIST = 'write: x in ["a", "b"]'


class GateError(Exception):
    """A gate that cannot be read or does not fit its types. start, end: offsets in the gate's text.

    bare: the reference that stands alone; who knows its type can say what to compare it with.
    """

    def __init__(self, message: str, start: int, end: int, fix: str = "", bare: Ref | None = None) -> None:
        super().__init__(message)
        self.message, self.start, self.end, self.fix, self.bare = message, start, end, fix, bare


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a reader of expressions makes of them, where that differs: gates of a spec, questions to a ledger.

    noun: what it calls them. reference: a pattern; what is before its first dot is the owner. operands: what may be
    compared. refuge: what to do instead of one that is too large.
    """

    noun: str
    reference: str
    operands: str
    refuge: str


GATE = Dialect("gate", r"[a-z][a-z0-9-]*\.[A-Za-z_][A-Za-z0-9_-]*", "params.NAME, TASK.OUT", "compute it in a task")
_TOKEN = r"""\s*(?:
      (?P<string>"(?:[^"\\]|\\.)*")
    | (?P<ref>@reference@)
    | (?P<number>[-+]?(?:\.[0-9]|[0-9])[A-Za-z0-9_.]*(?:(?<=[eE])[-+][0-9]+)?)
    | (?P<word>[A-Za-z_][A-Za-z0-9_-]*)
    | (?P<slip>=>|=<|<>|===|!==|&&|\|\|)
    | (?P<op>==|!=|<=|>=|<|>)
    | (?P<mark>[()\[\],])
    | (?P<bad>\S)
    )"""
# What other languages write, and what people mistake for it.
_MEANT = {
    "=": "==", "===": "==", "!==": "!=", "<>": "!=", "=>": ">=", "=<": "<=", "&": "and", "&&": "and", "|": "or",
    "||": "or", "!": "not", "AND": "and", "OR": "or", "NOT": "not", "IN": "in",
}  # fmt: skip
_QUOTED = re.compile(r"'([^']*)'")
_WORDS = frozenset({"and", "or", "not", "in", "true", "false"})


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


@lru_cache
def _pattern(reference: str) -> re.Pattern[str]:
    return re.compile(_TOKEN.replace("@reference@", reference), re.VERBOSE)


def _tokens(text: str, reference: str) -> Iterator[_Token]:
    position = 0
    while match := _pattern(reference).match(text, position):
        kind = match.lastgroup or ""
        start, position = match.span(kind)
        yield _Token("bad" if kind == "slip" else kind, match[kind], start, position)
    yield _Token("end", "the end", len(text), len(text))


class _Reader:
    def __init__(self, text: str, dialect: Dialect) -> None:
        self.text, self.dialect, self.at, self.depth = text, dialect, 0, 0
        self.tokens = list(_tokens(text, dialect.reference))

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
            message = f"the {self.dialect.noun} is nested more than {MAX_DEPTH} deep"
            raise self.fail(message, fix=self.dialect.refuge)
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
                raise self.fail(f'")" is missing before {_quote(self.here)}', fix='close the parenthesis with ")"')
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
        if self.here.kind == "bad":
            raise self.fail(f'"{self.here.text}" is no operator', fix=_mend(self.here))
        if negated:
            raise self.fail(f'"in" is missing before {_quote(self.here)}', fix=_LIST.replace("in", "not in"))
        fix = f"compare it with a value: {left} == …" if isinstance(left, Ref) else "compare it with a reference"
        bare = left if isinstance(left, Ref) else None
        raise GateError(f"a bare value is no {self.dialect.noun}", left.start, left.end, fix, bare)

    def choices(self) -> tuple[Literal, ...]:
        if not self.word("["):
            raise self.fail(f'"[" is missing before {_quote(self.here)}', fix=_LIST)
        found: list[Literal] = []
        while True:
            item = self.operand()
            if isinstance(item, Ref):
                fix = "join comparisons: params.x == 1 or params.x == train.best"
                raise self.fail("a list holds literals only", _Token("", "", item.start, item.end), fix)
            found.append(item)
            if self.word("]"):
                return tuple(found)
            if not self.word(","):
                raise self.fail(f'"," or "]" is missing before {_quote(self.here)}', fix=_LIST)

    def operand(self) -> Operand:
        token = self.take()
        match token.kind:
            case "ref":
                owner, _, name = token.text.partition(".")
                return Ref(owner, name, token.start, token.end)
            case "string":
                try:
                    return Literal(parse_string(str(json.loads(token.text))), token.start, token.end)
                except json.JSONDecodeError as error:
                    raise self.fail(f"the string is not a JSON string: {error.msg}", token) from None
                except ValueError as error:
                    raise self.fail(str(error), token) from None
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
            case "bad" if token.text == '"':
                raise self.fail("the string that begins here is not closed", token, "close it with a double quote")
            case "bad" if token.text == "'":
                raise self.single_quoted(token)
            case "bad" if token.text in _MEANT:
                raise self.fail(f'"{token.text}" is no operator', token, _mend(token))
        fix = f'write {self.dialect.operands}, a number, true, false or "text"'
        raise self.fail(f"a reference or a literal is missing before {_quote(token)}", token, fix)

    def single_quoted(self, token: _Token) -> GateError:
        """The error for a text in single quotes, with what was meant by it."""
        quoted = _QUOTED.match(self.text, token.start)
        if not quoted:
            return self.fail("strings stand in double quotes", token, 'write "text"')
        whole = _Token("", "", *quoted.span())
        if quoted[1] in ("true", "false") or is_number(quoted[1]):
            return self.fail(f"{quoted[0]} is neither a number nor a string", whole, unquoted(quoted[1]))
        return self.fail("strings stand in double quotes", whole, f"write {json.dumps(quoted[1], ensure_ascii=False)}")


def unquoted(text: str) -> str:
    """How to mend a number or boolean that stands in quotes."""
    return f"write {text}: {'booleans' if text in ('true', 'false') else 'numbers'} stand without quotes"


def is_number(text: str) -> bool:
    """Whether a text is a number as gates have them."""
    try:
        parse_number(text)
    except ValueError:
        return False
    return True


def _mend(token: _Token) -> str:
    """What was probably meant by what cannot stand at its place."""
    meant = _MEANT.get(token.text, token.text.lower())
    if meant in _MEANT.values() and meant != token.text:
        return f"write {meant}"
    return OPERATORS if token.kind == "bad" else ""


def _quote(token: _Token) -> str:
    return token.text if token.kind == "end" else f'"{token.text}"'


def parse_gate(text: str) -> Gate:
    """The gate that a text is. Raises GateError."""
    return parse(text, GATE)


@lru_cache(maxsize=4096)
def parse(text: str, dialect: Dialect) -> Gate:
    """The expression that a text is, in the grammar of gates. Raises GateError."""
    message = f"the {dialect.noun} is longer than {MAX_LENGTH} characters"
    too_long = GateError(message, 0, len(text), dialect.refuge)
    if len(text) > MAX_LENGTH:
        raise too_long
    reader = _Reader(text, dialect)
    gate = reader.gate()
    here = reader.here
    if here.kind != "end":
        raise reader.fail(f"{_quote(here)} does not belong here", fix=_mend(here))
    if len(to_text(gate)) > MAX_LENGTH:
        raise too_long
    return gate
