"""Runs for people: a list, one run, two side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from mlgen.cli import words
from mlgen.diagnostic import visible
from mlgen.ledger.artifact import Artifact, place
from mlgen.ledger.query import summary
from mlgen.ledger.read import Execution, History, Run, moment
from mlgen.ledger.record import State, TaskRecord
from mlgen.local.schedule import NONE, STOPPING
from mlgen.values import to_short_text

MAX_CELL = 60  # characters of a value
NO_COMMIT = "none: uncommitted changes, or outside Git"  # a record does not say which
MORE = ", …"
SHORT = 12  # hex digits of a digest that people compare by eye


def listing(history: History, *, pipeline: str | None, limit: int, width: int | None) -> str:
    """A table of runs, the latest first. width: columns of the terminal; None: as wide as it gets."""
    chosen = [run for run in history.runs if pipeline in (None, run.pipeline)]
    rows = [("RUN", "PIPELINE", "STATE", "ENDED", "TOOK")]
    metrics = ["METRICS"]
    for run in chosen[:limit]:
        rows.append((run.name, run.pipeline, _state(run), _time(run.ended), _seconds(run.started, run.ended)))
    left = _table(rows)
    room = None if width is None else width - max(map(len, left)) - 2
    for run in chosen[:limit]:
        metrics.append(
            _fitting({f"{e.record.task}.{n}": v for e in run.outcomes for n, v in e.record.metrics.items()}, room)
        )
    lines = [_cut(line, width) for line in (_table(zip(left, metrics, strict=True)) if any(metrics[1:]) else left)]
    if len(chosen) > limit:
        lines.append(f"and {len(chosen) - limit} before these: --limit")
    if not chosen:
        lines = ["no runs yet: `mlgen run FILE`" if pipeline is None else f"no runs of {pipeline}"]
    return _lines([*lines, _ledger(history.commit)])


def _fitting(values: dict[str, Any], room: int | None) -> str:
    """As many whole pairs as there is room for: half a number would be another number."""
    text = _pairs(values)
    if room is None or len(text) <= room:
        return text
    shown = dict(values)
    while shown and len(_pairs(shown)) + len(MORE) > room:
        shown.popitem()
    return _pairs(shown) + MORE if shown else MORE.strip(" ,")


def _cut(line: str, width: int | None) -> str:
    return line if width is None or len(line) <= width else f"{line[: width - 1]}…"


def run(history: History, found: Run, *, whys: Mapping[str, str], logs: str | None) -> str:
    """What a run did. whys: of skipped tasks, where that is known here.

    logs: what follows `mlgen logs RUN TASK` to show them; None where they are not kept here.
    """
    about: Any = summary(found)
    facts = [
        ("pipeline", f"{found.pipeline} in {found.env}"),
        ("uid", found.uid),
        ("time", f"{_time(found.started)}, {_seconds(found.started, found.ended)}"),
        ("params", _pairs(about["params"])),
        ("commit", about["commit"] or NO_COMMIT),
        ("spec", about["specDigest"]),
    ]
    lines = [f"{found.name}  {_state(found)}", *_table([(word, text) for word, text in facts if text]), ""]
    counted = {e.path for e in found.outcomes}
    for execution in found.outcomes:
        lines += _task(execution, logs=logs)
        for other in found.executions:
            if other.record.task == execution.record.task and other.path not in counted:
                lines.append(f"  before: {_attempt(other.record)}")
    for name, task in about["tasks"].items():
        if task["status"] == NONE:
            lines.append(f"{name}  {_skip(found, task['reason'], whys.get(name, ''))}")
    return _lines([*lines, "", _ledger(history.commit)])


def _task(execution: Execution, *, logs: str | None) -> list[str]:
    record = execution.record
    lines = [f"{record.task}  {_attempt(record)}"]
    if logs is not None:
        lines.append(f"  log      mlgen logs {record.run} {record.task}{logs}")
    lines += [f"  in       {_artifact(artifact)}" for artifact in record.inputs]
    lines += [f"  out      {_artifact(artifact)}" for artifact in record.outputs]
    lines += [f"  metric   {name} = {to_short_text(value)}" for name, value in record.metrics.items()]
    lines += [f"  value    {name} = {_clip(to_short_text(value))}" for name, value in record.values.items()]
    if record.image:
        lines.append(f"  image    {record.image}{f' ({_short(record.image_digest)})' if record.image_digest else ''}")
    return [*lines, f"  record   {execution.path}"]


def _attempt(record: TaskRecord) -> str:
    return f"{words.of_record(record)}, {_seconds(moment(record.started_at), moment(record.ended_at))}"


def _skip(run: Run, reason: str, because: str) -> str:
    assert run.record is not None, "it names the tasks that did not run"
    about = (run.record.tasks, run.record.state)
    if not reason:
        return words.untold(*about)
    return words.skip(reason, because or (words.blame(*about) if reason == STOPPING else ""))


TABLES = {"madeBy": "made by"}  # what a table of a comparison is called for people


def comparison(found: dict[str, Any]) -> str:
    """Two runs side by side; a line that differs begins with a star."""
    a, b = found["a"], found["b"]
    rows = [("", "", a["run"], b["run"]), _row("state", {"a": a["state"], "b": b["state"]}, "")]
    for table, entries in found.items():
        if table in ("a", "b", "ledger") or not entries:
            continue
        rows.append(("", TABLES.get(table, table), "", ""))
        rows += [_row(f"  {name.removesuffix('Digest')}", sides, table) for name, sides in entries.items()]
    same = [] if any(row[0] for row in rows) else ["no differences"]
    return _lines([*_table(rows), *same, _ledger(found["ledger"])])


def _row(name: str, sides: dict[str, Any], table: str) -> tuple[str, str, str, str]:
    a, b = (_cell(name, sides[side], table) for side in ("a", "b"))
    return ("*" if sides["a"] != sides["b"] else "", name, a, b)


def _cell(name: str, value: Any, table: str) -> str:
    if value is None:
        return NO_COMMIT if name == "  commit" else "-"
    if table == "states":
        return State(value).word if value in tuple(State) else words.skip("" if value == NONE else value, "")
    is_digest = table not in ("params", "values") and isinstance(value, str) and value.startswith("sha256:")
    return _short(value) if is_digest else _clip(to_short_text(value))


def _artifact(artifact: Artifact) -> str:
    return f"{artifact.name}  {_short(artifact.digest)}  {artifact.size_bytes:,} bytes  {place(artifact.uri)}"


def _short(digest: str) -> str:
    return f"sha256:{digest.removeprefix('sha256:')[:SHORT]}"


def _state(run: Run) -> str:
    return str(run.state) if run.state else "(no end yet)"


def _time(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%SZ")


def _seconds(start: datetime, end: datetime) -> str:
    return f"{(end - start).total_seconds():.1f} s"


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={_clip(to_short_text(value))}" for name, value in values.items())


def _clip(text: str) -> str:
    return text if len(text) <= MAX_CELL else text[: MAX_CELL - 1] + "…"


def _ledger(commit: str | None) -> str:
    return f"ledger  {commit or 'empty'}"


def _table(rows: Iterable[Sequence[str]]) -> list[str]:
    shown = [[visible(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)] if shown else []
    return ["  ".join(f"{c:{w}}" for c, w in zip(row, widths, strict=True)).rstrip() for row in shown]


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{visible(line)}\n" for line in lines)
