"""The items of a task that runs many times: one row of texts each, the same wherever and whenever they are made."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Context, Decimal

from mlgen import values
from mlgen.plan.model import Fan, OutRef, Pick, Variable
from mlgen.search.model import Dimension, Search
from mlgen.spec import model as spec
from mlgen.values import Type

Row = tuple[str, ...]

# Of our own: the same digits on every machine, which the exp and log of C libraries do not promise.
_EXACT = Context(prec=34, rounding=ROUND_HALF_EVEN)
_DIGITS = 6  # significant ones of a drawn number, and of its distance from other draws of its range


def fan(task: spec.Task) -> Fan | None:
    """The fan of a task that `check` found no error in; None for one that runs once."""
    found = task.fan
    if found is None:
        return None
    known = not found.search and not any(isinstance(axis.values, spec.Ref) for axis in found.axes)
    pick = task.pick.value if task.pick else None
    search = _search(found, found.search, task) if found.search else None
    parallel = int(str(task.parallel.value)) if task.parallel else None
    return Fan(
        kind=found.kind,
        variables=tuple(Variable(axis.name, axis.type or Type.JSON) for axis in found.axes),
        rows=tuple(_rows(found)) if known else None,
        lists=() if known or found.search else tuple(_list(axis) for axis in found.axes),
        parallel=search.parallel if search else parallel,
        failures=int(str(task.failures.value)) if task.failures else 0,
        pick=Pick(pick.metric, pick.highest) if isinstance(pick, spec.Pick) else None,
        search=search,
    )


def _search(found: spec.Fan, keys: spec.SearchKeys, task: spec.Task) -> Search:
    assert task.pick is not None, "checked"
    assert isinstance(task.pick.value, spec.Pick), "checked"
    assert found.trials is not None, "checked"
    trials, parallel = int(str(found.trials.value)), int(str(task.parallel.value)) if task.parallel else 1
    return Search(
        space=tuple(_dimension(axis) for axis in found.axes),
        trials=trials,
        metric=task.pick.value.metric,
        highest=task.pick.value.highest,
        parallel=min(parallel, trials),
        seed=found.seed,
        sampler=keys.sampler,
        startup=keys.startup,
        prune=keys.prune,
    )


def _dimension(axis: spec.Axis) -> Dimension:
    assert axis.type is not None, f"{axis.name} was checked"
    if isinstance(axis.values, spec.Draw):
        draw = axis.values
        return Dimension(axis.name, axis.type, (), float(draw.minimum), float(draw.maximum), draw.log)
    # In the one spelling that a record's value has again: trials are told by their values.
    choices = dict.fromkeys(values.to_text(values.parse(axis.type, text)) for text in _texts(axis))
    return Dimension(axis.name, axis.type, tuple(choices))


def _list(axis: spec.Axis) -> OutRef | Row:
    return OutRef(axis.values.owner, axis.values.name) if isinstance(axis.values, spec.Ref) else _texts(axis)


def _texts(axis: spec.Axis) -> Row:
    assert isinstance(axis.values, tuple | range), f"{axis.name} was checked"
    return tuple(str(value) for value in axis.values)


def _rows(found: spec.Fan) -> Iterator[Row]:
    if found.way == "random":
        assert found.trials is not None, "checked"
        for index in range(int(str(found.trials.value))):
            yield tuple(drawn(axis, found.seed, index) for axis in found.axes)
    else:
        columns = [_texts(axis) for axis in found.axes]
        yield from zip(*columns, strict=True) if found.way == "list" else itertools.product(*columns)


def rows_of(columns: list[Row]) -> Iterator[Row]:
    """The rows of lists that the run knows: every combination, the first list is the outermost loop."""
    return itertools.product(*columns)


def drawn(axis: spec.Axis, seed: int, index: int) -> str:
    """The text of a variable in trial `index`: of its name, the seed and the index alone, so that a trial or variable
    more changes no other draw.

    sha256 of "<seed>/<index>/<name>" gives 53 bits u in [0, 1). Of choices: the one at u; of whole numbers each is
    as likely; of numbers min + u·(max - min), with log exp of that between the logarithms.
    """
    digest = hashlib.sha256(f"{seed}/{index}/{axis.name}".encode()).digest()
    bits = int.from_bytes(digest[:7], "big") >> 3
    if isinstance(axis.values, tuple):
        return axis.values[bits * len(axis.values) >> 53]
    assert isinstance(axis.values, spec.Draw), f"{axis.name} was checked"
    u = _EXACT.divide(Decimal(bits), Decimal(1 << 53))
    return _whole(axis.values, u) if axis.type is Type.INTEGER else _number(axis.values, u)


def _between(low: Decimal, high: Decimal, u: Decimal, *, log: bool) -> Decimal:
    if not log:
        return _EXACT.add(low, _EXACT.multiply(u, _EXACT.subtract(high, low)))
    return _EXACT.exp(_between(_EXACT.ln(low), _EXACT.ln(high), u, log=False))


def _whole(draw: spec.Draw, u: Decimal) -> str:
    low, high = int(draw.minimum), int(draw.maximum)
    value = int(_between(Decimal(low), Decimal(high + 1), u, log=draw.log).to_integral_value("ROUND_FLOOR"))
    return str(min(max(value, low), high))


def _number(draw: spec.Draw, u: Decimal) -> str:
    low, high = Decimal(repr(draw.minimum)), Decimal(repr(draw.maximum))
    value = _between(low, high, u, log=draw.log)
    finest = min(value.adjusted(), _EXACT.subtract(high, low).adjusted()) - _DIGITS + 1
    rounded = value.quantize(Decimal(1).scaleb(finest), context=_EXACT)
    return values.to_text(float(min(max(rounded, low), high)))
