"""A question about runs, in the grammar of gates, as a condition of SQL: `metrics.auc > 0.9 and state == "COMPLETE"`.

What is compared goes to SQLite as a parameter. A comparison with something that a run does not have is false, and so
is its opposite: nothing is concluded from what never happened.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from mlgen.diagnostic import Misuse
from mlgen.gates import (
    And,
    Compare,
    Dialect,
    Gate,
    GateError,
    In,
    Literal,
    Not,
    Operand,
    Or,
    Ref,
    check_types,
    operands,
    parse,
    refs,
)
from mlgen.ledger.index.history import History
from mlgen.ledger.questions.query import MOST_COMPARED
from mlgen.ledger.records.task import State
from mlgen.values import Type

MOST_SHOWN = 120  # characters of an expression with a mistake in it
COLUMNS = {"state": "r.state", "pipeline": "r.pipeline", "env": "r.env", "run": "r.name"}
OF_TASKS = ("metrics", "values")
FACTS = (*OF_TASKS, "params", "labels")
OFFERED = "metrics.NAME, metrics.TASK.NAME, params.NAME, values.NAME, labels.NAME, state, pipeline, env, run, owner"
_SQL = {"==": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_DIALECT = Dialect(
    "condition",
    r"(?!(?:and|or|not|in|true|false)(?![A-Za-z0-9_-]))[a-z][a-z0-9_-]*(?:\.[A-Za-z_][A-Za-z0-9_-]*){0,2}(?![A-Za-z0-9_.-])",
    OFFERED,
    "ask for less, and let `--format json` tell the rest",
)


@dataclass(frozen=True, slots=True)
class Condition:
    """sql: about a run `r`, with a `?` for each of the parameters. asked: what it reads."""

    sql: str
    parameters: tuple[object, ...] = ()
    asked: tuple[Ref, ...] = ()


@dataclass(frozen=True, slots=True)
class Fact:
    """Where a reference is found: rows of `fact`. task: "" is any."""

    kind: str
    name: str
    task: str


def condition(history: History, text: str) -> Condition:
    """Raises Misuse "bad-condition", with the place in the text."""
    try:
        gate = parse(text, _DIALECT)
        asked = refs(gate)
        types = {ref.key: _types(history, ref) for ref in asked}
        for error in check_types(gate, lambda ref: types[ref.key]):
            raise error
        _check_states(gate)
    except GateError as error:
        raise _misuse(text, error) from None
    sql, parameters = _to_sql(gate, negated=False)
    return Condition(sql, tuple(parameters), asked)


def number(history: History, text: str) -> tuple[Ref, Fact]:
    """A number of runs by its name, such as metrics.auc, or just auc. Raises Misuse "bad-condition"."""
    full = text if text.partition(".")[0] in FACTS else f"metrics.{text}"
    if not re.fullmatch(_DIALECT.reference, full) or "." not in full:
        raise _misuse(full, GateError(f"{full} is no name", 0, len(full), "write metrics.NAME or metrics.TASK.NAME"))
    owner, _, name = full.partition(".")
    ref = Ref(owner, name, 0, len(full))
    try:
        type_ = _types(history, ref)
    except GateError as error:
        raise _misuse(full, error) from None
    if type_ is not None and not type_.is_number:
        raise _misuse(full, GateError(f"{full} is a {type_}: only numbers are sorted by", 0, len(full)))
    fact = fact_of(ref)
    assert fact is not None, "what has a name of its own is a fact"
    return ref, fact


def fact_of(ref: Ref) -> Fact | None:
    """Where a reference is found; None where that is a column of runs."""
    if ref.owner in OF_TASKS:
        task, _, name = ref.name.rpartition(".")
        return Fact(ref.owner, name, task)
    return None if str(ref) in COLUMNS else Fact(ref.owner, ref.name, "")


def _misuse(text: str, error: GateError) -> Misuse:
    """What is wrong, with the place marked in the text, or in the part of it around the place."""
    first = max(0, error.start - MOST_SHOWN // 2)
    shown = "".join(c if c.isprintable() else " " for c in text[first : first + MOST_SHOWN])
    marks = "^" * max(1, min(error.end - first, len(shown)) - (error.start - first))
    why = f"{shown}\n{' ' * (error.start - first)}{marks}"
    return Misuse("bad-condition", error.message, why=why, fix=error.fix)


def _types(history: History, ref: Ref) -> Type | None:
    """The type that a reference has in all runs; None where it differs, or none has it. Raises GateError."""
    if str(ref) in (*COLUMNS, "owner"):
        return Type.STRING
    if ref.owner not in FACTS or not ref.name:
        message, fix = _unknown(history, ref)
        raise GateError(message, ref.start, ref.end, fix)
    found = _found(history, ref)
    if found == {Type.JSON.value}:
        raise GateError(f"{ref} is a list or a map: only texts, numbers and booleans compare", ref.start, ref.end)
    return Type(found.pop()) if len(found) == 1 else None


def _found(history: History, ref: Ref) -> set[str]:
    """The types that a fact has, over all runs."""
    fact = fact_of(ref)
    assert fact is not None, "what is no column is a fact"
    query = "SELECT DISTINCT type FROM name WHERE kind = ? AND name = ? AND (? = '' OR task = ?)"
    return {type_ for (type_,) in history.select(query, fact.kind, fact.name, fact.task, fact.task)}


def _unknown(history: History, ref: Ref) -> tuple[str, str]:
    """What is wrong, and what may be meant."""
    known = list(_known(history))
    last = str(ref).rpartition(".")[2]
    near = [name for name in known if name.rpartition(".")[2] == last and name != str(ref)]
    near = near or get_close_matches(str(ref), known, n=3)
    fix = f"did you mean {', '.join(near[:3])}?" if near else f"ask for {OFFERED}"
    if not near and not ref.name:
        fix += f'; a text stands in quotes: "{ref}"'
    return f"no run has {ref}", fix


def _known(history: History) -> Iterator[str]:
    """All that can be asked for, as it is written."""
    yield from (*COLUMNS, "owner")
    query = f"SELECT DISTINCT kind, name, task FROM name WHERE kind <> 'outs' ORDER BY kind, name LIMIT {MOST_COMPARED}"
    found = history.select(query)
    yield from dict.fromkeys(f"{kind}.{name}" for kind, name, _ in found)
    yield from (f"{kind}.{task}.{name}" for kind, name, task in found if task)


def _check_states(gate: Gate) -> None:
    """Raises GateError for a state that there is none of: it would never be true."""
    if isinstance(gate, Not):
        _check_states(gate.part)
    elif isinstance(gate, And | Or):
        for part in gate.parts:
            _check_states(part)
    elif any(isinstance(side, Ref) and str(side) == "state" for side in operands(gate)):
        for side in operands(gate):
            if isinstance(side, Literal) and side.value not in tuple(State):
                raise GateError(f"{side} is no state", side.start, side.end, f"one of {', '.join(State)}")


def notes(history: History, asked: Iterable[Ref]) -> tuple[str, ...]:
    """What people should know of that which was asked for: that no run has it, or that several tasks do."""
    if not history.select("SELECT 1 FROM run LIMIT 1"):
        return ()
    return tuple(dict.fromkeys(note for ref in asked if (note := _note(history, ref))))


def _note(history: History, ref: Ref) -> str:
    fact = fact_of(ref)
    # The names of labels are known as those of metrics are; of the owner there is no name.
    if fact is not None and fact.kind in FACTS and not _found(history, ref):
        return "; ".join(_unknown(history, ref))
    if fact is None or fact.kind not in OF_TASKS or fact.task:
        return ""
    query = "SELECT DISTINCT task FROM name WHERE kind = ? AND name = ? ORDER BY task LIMIT 5"
    tasks = [task for (task,) in history.select(query, fact.kind, fact.name)]
    if len(tasks) < 2:
        return ""
    return f"{ref} is of {', '.join(tasks)}: any of them counts; {fact.kind}.{tasks[0]}.{fact.name} is of one"


def _to_sql(gate: Gate, *, negated: bool) -> tuple[str, list[object]]:
    """Negations go down to the comparisons, so that what is not there is false on either side of a `not`."""
    match gate:
        case Not():
            return _to_sql(gate.part, negated=not negated)
        case And() | Or():
            word = " AND " if isinstance(gate, And) != negated else " OR "
            parts = [_to_sql(part, negated=negated) for part in gate.parts]
            return f"({word.join(sql for sql, _ in parts)})", [one for _, found in parts for one in found]
        case In():
            op = "!=" if gate.negated else "=="
            each = tuple(Compare(op, gate.left, choice) for choice in gate.choices)
            return _to_sql(And(each) if gate.negated else Or(each), negated=negated)
        case Compare():
            op = _OPPOSITE[gate.op] if negated else gate.op
            return _comparison(_SQL[op], gate.left, gate.right)


def _comparison(op: str, *sides: Operand) -> tuple[str, list[object]]:
    """Typed: a number never equals a text, though SQLite may compare them."""
    tables: list[str] = []
    tests: list[str] = []
    found: list[object] = []
    values: list[tuple[str, list[object]]] = []
    types: list[tuple[str, list[object]]] = []
    for side in sides:
        if isinstance(side, Literal):
            values.append(("?", [int(side.value) if isinstance(side.value, bool) else side.value]))
            types.append(("?", [_type(side)]))
        elif (fact := fact_of(side)) is None:
            values.append((COLUMNS[str(side)], []))
            types.append(("?", ["string"]))
        else:
            f = f"f{len(tables)}"
            tables.append(f"fact {f}")
            tests.append(f"{f}.run = r.id AND {f}.kind = ? AND {f}.name = ?")
            found += [fact.kind, fact.name]
            if fact.task:
                tests.append(f"{f}.task = ?")
                found.append(fact.task)
            values.append((f"{f}.value", []))
            types.append((f"{f}.type", []))
    for (left, of_left), (right, of_right), between in ((*types, "="), (*values, op)):
        tests.append(f"{left} {between} {right}")
        found += [*of_left, *of_right]
    test = " AND ".join(tests)
    return (f"EXISTS (SELECT 1 FROM {', '.join(tables)} WHERE {test})" if tables else f"({test})"), found


def _type(literal: Literal) -> str:
    if isinstance(literal.value, bool):
        return "boolean"
    return "string" if isinstance(literal.value, str) else "number"
