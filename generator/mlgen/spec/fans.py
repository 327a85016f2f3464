"""Fans as written: `sweep` and `for` read to axes, counted without being built."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import TypedDict

from mlgen.diagnostic import Diagnostic
from mlgen.spec.model import Axis, Draw, Fan, Pick, Place, Ref, Setting, Task
from mlgen.spec.searches import read_search
from mlgen.values import Type, to_text, type_of

MAX_ITEMS = 2000  # of a fan: each is a pod and a record (decision 0031)
WAYS = ("grid", "list", "random", "search")
DRAWN = ("random", "search")  # ways in which `trials` says how many
PICK = re.compile(r"(?P<end>max|min) (?P<metric>[a-z][a-z0-9_]*)")
RANGE_RULE = "as Python's range: {range: 5} is 0 to 4, {range: [1, 11]} is 1 to 10, {range: [0, 100, 20]} has a step"

ReadRef = Callable[[str, Place], "Ref | None"]


class FanKeys(TypedDict, total=False):
    """The fields of a Task that say that it runs many times."""

    fan: Fan | None
    pick: Setting | None
    parallel: Setting | None
    failures: Setting | None


def read_fan(data: dict[str, object], place: Place, ref: ReadRef, found: list[Diagnostic]) -> FanKeys:
    """What a task's map says of its fan. ref: reads a reference, and tells what is none."""
    reader = _Reader(ref, found)
    return FanKeys(
        fan=reader.fan(data, place),
        pick=reader.pick(data.get("pick"), place / "pick"),
        parallel=_count(data.get("parallel"), place / "parallel", 1),
        failures=_count(data.get("failures"), place / "failures", 0),
    )


def _count(value: object, place: Place, least: int) -> Setting | None:
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= least
    return Setting(value, place) if whole else None  # else: told with the shape


class _Reader:
    def __init__(self, ref: ReadRef, found: list[Diagnostic]) -> None:
        self.ref, self.found = ref, found

    def pick(self, value: object, place: Place) -> Setting | None:
        if not isinstance(value, str):
            return None
        match = PICK.fullmatch(value)
        if match:
            return Setting(Pick(match["metric"], match["end"] == "max"), place)
        why = "readers get what the best trial left: the one with the highest or lowest metric"
        message = f'"{value[:80]}" does not say which trial is the best'
        self.found.append(place.finding("bad-pick", message, why, "write max or min and a metric, such as: max auc"))
        return None

    def fan(self, data: dict[str, object], place: Place) -> Fan | None:
        sweep, loop = data.get("sweep"), data.get("for")
        if isinstance(sweep, dict):
            return self.sweep(sweep, place / "sweep")
        if not isinstance(loop, dict):
            return None
        here = place / "for"
        return Fan("for", "grid", here, tuple(self.axis(n, v, here / n, loop=True) for n, v in loop.items()))

    def sweep(self, data: dict[str, object], place: Place) -> Fan:
        given = [way for way in WAYS if way in data]
        way = given[0] if len(given) == 1 else None
        value = data.get(way) if way else None
        axes: tuple[Axis, ...] = ()
        if isinstance(value, dict):
            read = self.domain if way in DRAWN else self.axis
            axes = tuple(read(name, item, place / str(way) / name) for name, item in value.items())
        elif isinstance(value, list):
            axes = self.columns(value, place / "list")
        seed = data.get("seed")
        return Fan(
            "sweep",
            way if axes else None,
            place,
            axes,
            _count(data.get("trials"), place / "trials", 1),
            seed if isinstance(seed, int) and seed >= 0 else 0,
            read_search(data, place, self.found) if way == "search" else None,
        )

    def axis(self, name: str, value: object, place: Place, *, loop: bool = False) -> Axis:
        if isinstance(value, list):
            return self.listed(name, value, place)
        if isinstance(value, str) and loop:
            return Axis(name, place, self.ref(value, place), Type.JSON)
        bounds = value.get("range") if isinstance(value, dict) else None
        return Axis(name, place, self.range(bounds, place / "range"), Type.INTEGER)

    def listed(self, name: str, value: list[object], place: Place) -> Axis:
        texts = tuple(_text(item, place / i) for i, item in enumerate(value))
        return Axis(name, place, texts, agreed(value))

    def range(self, value: object, place: Place) -> range | None:
        bounds = value if isinstance(value, list) else [0, value]
        whole = [b for b in bounds if isinstance(b, int) and not isinstance(b, bool)]
        if value is None or value == [] or len(whole) < len(bounds):
            return None  # told with the shape
        if not 2 <= len(whole) <= 3 or 0 in whole[2:]:
            message = "the range has no end" if len(whole) < 2 else "the range has a step of 0"
            if len(whole) > 3:
                message = f"the range has {len(whole)} numbers"
            self.found.append(place.finding("bad-loop", message, RANGE_RULE, "write [from, up to and without, step]"))
            return None
        return range(*whole)

    def domain(self, name: str, value: object, place: Place) -> Axis:
        if isinstance(value, list):
            return self.listed(name, value, place)
        data = value if isinstance(value, dict) else {}
        low, high = data.get("min"), data.get("max")
        if not _is_number(low) or not _is_number(high):
            return Axis(name, place, None, None)
        whole = isinstance(low, int) and isinstance(high, int) and data.get("type") != "number"
        kind = Type.INTEGER if whole or data.get("type") == "integer" else Type.NUMBER
        return Axis(name, place, Draw(low, high, data.get("log") is True), kind)  # type: ignore[arg-type]  # numbers

    def columns(self, rows: list[object], place: Place) -> tuple[Axis, ...]:
        """The values of a list of trials by name; names by the first trial, what only others have after them."""
        cells: dict[str, list[tuple[object, Place]]] = {}  # each is looked at once: a spec may have 40,000 names
        for index, row in enumerate(rows):
            for name, value in row.items() if isinstance(row, dict) else ():
                cells.setdefault(name, []).append((value, place / index / name))
        return tuple(
            Axis(name, found[0][1], tuple(_text(*cell) for cell in found), agreed([value for value, _ in found]))
            for name, found in cells.items()
        )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: object, place: Place) -> str:
    """The text of an item: a number as the file has it."""
    plain_number = isinstance(value, int | float) and not isinstance(value, bool)
    return place.document.text(place.route) if plain_number else to_text(value)  # type: ignore[arg-type]  # JSON


def agreed(values: list[object]) -> Type | None:
    """The type that values share; None where they differ. Of none: json, which anything would be."""
    kinds = {type_of(value) for value in values}  # type: ignore[arg-type]  # a Document holds JSON values only
    if kinds == {Type.INTEGER, Type.NUMBER}:
        return Type.NUMBER
    if not kinds:
        return Type.JSON
    return kinds.pop() if len(kinds) == 1 else None


def count(fan: Fan) -> int | None:
    """How many items a fan has; None where only a run knows, or where it could not be read."""
    if fan.way in DRAWN:
        return int(str(fan.trials.value)) if fan.trials else None
    lengths = [len(axis.values) if isinstance(axis.values, tuple | range) else None for axis in fan.axes]
    if not lengths or None in lengths:
        return None
    known = [length for length in lengths if length is not None]
    return known[0] if fan.way == "list" else math.prod(known)


def is_many(task: Task | None) -> bool:
    """Whether readers of a task's outs get those of all its items."""
    return task is not None and task.fan is not None and task.pick is None


def variable(task: Task | None, name: str) -> Axis | None:
    """A variable of a fan that its winner hands on; None where there is no winner, or no such variable."""
    if task is None or task.fan is None or task.pick is None:
        return None
    return task.fan.by_name.get(name)


def refs(fan: Fan | None) -> list[Ref]:
    """The lists of a fan that a task leaves."""
    return [axis.values for axis in fan.axes if isinstance(axis.values, Ref)] if fan else []
