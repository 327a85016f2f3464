"""Runs side by side: for people, and for a comment of a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mlgen.cli import words
from mlgen.cli.runs_text import NO_COMMIT, clip, ledger, short, table, to_lines
from mlgen.ledger.records.task import State
from mlgen.local.schedule import NONE
from mlgen.reports import markdown
from mlgen.values import to_short_text

TABLES = {"madeBy": "made by"}  # what a table of a comparison is called for people

Sides = Mapping[str, Any]  # by letter
Row = tuple[bool, str, list[str]]  # whether the runs differ, its name, a cell for each run


def to_text(found: dict[str, Any]) -> str:
    """A line that differs begins with a star."""
    runs = _runs(found)
    rows = [("", "", *(run["run"] for run in runs.values()))]
    rows += [_line(state) for state in _state(found)]
    for name, entries in _tables(found):
        rows.append(("", name, *("" for _ in runs)))
        rows += [_line((differs, f"  {entry}", cells)) for differs, entry, cells in entries]
    same = [] if any(row[0] for row in rows) else ["no differences"]
    left_out = _left_out(found)
    return to_lines([*table(rows), *same, *([left_out] if left_out else []), ledger(found["ledger"])])


def to_markdown(found: dict[str, Any]) -> str:
    """What differs as a table; what is the same folded away below it."""
    runs = _runs(found)
    differing: list[list[str]] = []
    same: list[list[str]] = []
    for name, entries in [("", _state(found)), *_tables(found)]:
        for differs, entry, cells in entries:
            (differing if differs else same).append([f"{name}: {entry}" if name else entry, *cells])
    head = ["", *(run["run"] for run in runs.values())]
    lines = [*markdown.table(head, differing)] if differing else ["No differences."]
    if left_out := _left_out(found):
        lines += ["", f"{left_out}."]
    if same:
        lines += ["", f"<details><summary>{len(same)} the same</summary>", ""]
        lines += [*markdown.table(head, same), "", "</details>"]
    return to_lines([*lines, "", f"Ledger {found['ledger']}"])


def changed(found: Mapping[str, Any]) -> dict[str, Any]:
    """A comparison without what is the same. `same`: how many entries that were."""
    kept: dict[str, Any] = {}
    same = 0
    for key, entries in found.items():
        if not _is_table(key, entries):
            kept[key] = entries
            continue
        kept[key] = {name: sides for name, sides in entries.items() if _differ(list(sides.values()))}
        same += len(entries) - len(kept[key])
    return {**kept, "same": same}


def _left_out(found: Mapping[str, Any]) -> str | None:
    return f"{found['same']:,} the same, left out" if found.get("same") else None


def _is_table(key: str, entries: object) -> bool:
    return len(key) > 1 and isinstance(entries, dict)


def _differ(values: list[Any]) -> bool:
    return any(value != values[0] for value in values)


def _runs(found: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if len(key) == 1}


def _states(runs: Sides) -> Sides:
    return {letter: run["state"] for letter, run in runs.items()}


def _state(found: Mapping[str, Any]) -> list[Row]:
    """The row of states; none where only what differs is asked for, and they do not."""
    row = _row("state", _states(_runs(found)), "")
    return [row] if row[0] or "same" not in found else []


def _tables(found: Mapping[str, Any]) -> Iterator[tuple[str, list[Row]]]:
    for key, entries in found.items():
        if _is_table(key, entries) and entries:
            yield TABLES.get(key, key), [_row(name.removesuffix("Digest"), e, key) for name, e in entries.items()]


def _row(name: str, sides: Sides, key: str) -> Row:
    values = list(sides.values())
    return _differ(values), name, [_cell(name, value, key) for value in values]


def _line(row: Row) -> tuple[str, ...]:
    differs, name, cells = row
    return ("*" if differs else "", name, *cells)


def _cell(name: str, value: Any, table: str) -> str:
    if value is None:
        return NO_COMMIT if name == "commit" else "-"
    if table == "states":
        return State(value).word if value in tuple(State) else words.skip("" if value == NONE else value, "")
    is_digest = table not in ("params", "values") and isinstance(value, str) and value.startswith("sha256:")
    return short(value) if is_digest else clip(to_short_text(value))
