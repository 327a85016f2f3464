"""Runs for people: a list, and one run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from mlgen.cli import trials, words
from mlgen.diagnostic import visible
from mlgen.gates import Ref
from mlgen.ledger.questions.listing import Listing, Wanted, metrics, values_of
from mlgen.ledger.questions.query import summary
from mlgen.ledger.questions.read import Execution, Run, moment
from mlgen.ledger.questions.where import COLUMNS
from mlgen.ledger.records.artifact import Artifact, place
from mlgen.ledger.records.run import TaskStatus
from mlgen.ledger.records.task import TaskRecord
from mlgen.local.schedule import NONE, STOPPING
from mlgen.reports import markdown
from mlgen.runtime.reused import REUSED
from mlgen.values import to_quoted_text, to_short_text

MAX_CELL = 60  # characters of a value
NO_COMMIT = "none: uncommitted changes, or outside Git"  # a record does not say which
MORE = ", …"
SHORT = 12  # hex digits of a digest that people compare by eye


def listing(found: Listing, wanted: Wanted, *, width: int | None) -> str:
    """A table of runs, with a column for what was asked of each. width: of the terminal; None: as wide as it gets."""
    asked = [ref for ref in found.asked if str(ref) not in COLUMNS]
    left = table(_rows(found, asked))
    room = None if width is None else width - max(map(len, left)) - 2
    others = ["METRICS"]
    for run in found.runs:
        others.append(_fitting({name: v for name, v in metrics(run).items() if not _is_asked(name, asked)}, room))
    lines = [_cut(line, width) for line in (table(zip(left, others, strict=True)) if any(others[1:]) else left)]
    if found.more:
        lines.append(f"and {found.more} {'after' if wanted.best else 'before'} these: --limit")
    if not found.runs:
        lines = [_nothing(wanted)]
    return to_lines([*lines, ledger(found.ledger)])


def listing_markdown(found: Listing, wanted: Wanted) -> str:
    """The same for a comment of a pull request, nothing cut off."""
    asked = [ref for ref in found.asked if str(ref) not in COLUMNS]
    head, *rows = _rows(found, asked)
    others = (_pairs({n: v for n, v in metrics(run).items() if not _is_asked(n, asked)}) for run in found.runs)
    lines = [*markdown.table((*head, "METRICS"), ((*row, other) for row, other in zip(rows, others, strict=True)))]
    more = ["", f"And {found.more} more."] if found.more else []
    return to_lines([*(lines if rows else [_nothing(wanted)]), *more, "", f"Ledger {found.ledger or 'empty'}"])


def _rows(found: Listing, asked: Sequence[Ref]) -> list[tuple[str, ...]]:
    """A head, and what each run was; with a cell for each thing that was asked for."""
    rows: list[tuple[str, ...]] = [("RUN", "PIPELINE", "STATE", "ENDED", "TOOK", *map(str, asked))]
    for run in found.runs:
        cells = (_value(values_of(run, ref)) for ref in asked)
        rows.append((run.name, run.pipeline, _state(run), _time(run.ended), _seconds(run.started, run.ended), *cells))
    return rows


def _nothing(wanted: Wanted) -> str:
    if replace(wanted, limit=None) == Wanted():
        return "no runs yet: `mlgen run FILE`"
    is_of_pipeline = replace(wanted, limit=None) == Wanted(pipeline=wanted.pipeline)
    return f"no runs of {wanted.pipeline}" if is_of_pipeline else "no such runs"


def _value(values: Mapping[str, Any]) -> str:
    """One value as it is; of several tasks, each with its name."""
    texts = [clip(shown(value) if isinstance(value, list) else to_short_text(value)) for value in values.values()]
    return texts[0] if len(texts) == 1 else ", ".join(f"{t}={v}" for t, v in zip(values, texts, strict=True)) or "-"


def _is_asked(metric: str, asked: Sequence[Ref]) -> bool:
    return any(ref.owner == "metrics" and ref.name in (metric, metric.partition(".")[2]) for ref in asked)


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


def run(found: Run, commit: str | None, *, whys: Mapping[str, str], logs: str | None, makers: Mapping[str, str]) -> str:
    """What a run did. whys: of skipped tasks, where that is known here.

    logs: what follows `mlgen logs RUN TASK` to show them; None where they are not kept here.
    makers: as of `words.of_record`.
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
    lines = [f"{found.name}  {_state(found)}", *table([(word, text) for word, text in facts if text]), ""]
    counted, recorded = {e.path for e in found.outcomes}, {e.record.task for e in found.outcomes}
    told = set[str]()
    for execution in found.outcomes:
        if execution.record.item is not None:
            if execution.record.task not in told:
                told.add(execution.record.task)
                lines += trials.of_task(found, execution.record.task, logs=logs, makers=makers)
            continue
        lines += _task(execution, logs=logs, makers=makers)
        for other in found.executions:
            if other.record.task == execution.record.task and other.path not in counted:
                lines.append(f"  before: {_attempt(other.record, makers)}")
    for name, task in about["tasks"].items():
        if task["status"] == NONE:
            lines.append(f"{name}  {_skip(found, task['reason'], whys.get(name, ''))}")
        elif name not in recorded and (untold := words.without_records(TaskStatus(**task))):
            lines.append(f"{name}  {untold}")
    return to_lines([*lines, "", ledger(commit)])


def _task(execution: Execution, *, logs: str | None, makers: Mapping[str, str]) -> list[str]:
    record = execution.record
    lines = [f"{record.task}  {_attempt(record, makers)}"]
    if logs is not None and record.reason != REUSED:
        lines.append(f"  log      mlgen logs {record.run} {record.task}{logs}")
    lines += [f"  in       {_artifact(artifact)}" for artifact in record.inputs]
    lines += [f"  out      {_artifact(artifact)}" for artifact in record.outputs]
    lines += [f"  metric   {name} = {to_short_text(value)}" for name, value in record.metrics.items()]
    lines += [f"  value    {name} = {clip(to_short_text(value))}" for name, value in record.values.items()]
    if record.image:
        lines.append(f"  image    {record.image}{f' ({short(record.image_digest)})' if record.image_digest else ''}")
    return [*lines, f"  record   {execution.path}"]


def _attempt(record: TaskRecord, makers: Mapping[str, str]) -> str:
    return f"{words.of_record(record, makers)}, {_seconds(moment(record.started_at), moment(record.ended_at))}"


def _skip(run: Run, reason: str, because: str) -> str:
    assert run.record is not None, "it names the tasks that did not run"
    about = (run.record.tasks, run.record.state)
    if not reason:
        return words.untold(*about)
    return words.skip(reason, because or (words.blame(*about) if reason == STOPPING else ""))


def _artifact(artifact: Artifact) -> str:
    return f"{artifact.name}  {short(artifact.digest)}  {artifact.size_bytes:,} bytes  {place(artifact.uri)}"


def short(digest: str) -> str:
    """A digest that people compare by eye."""
    return f"sha256:{digest.removeprefix('sha256:')[:SHORT]}"


def _state(run: Run) -> str:
    return str(run.state) if run.state else "(no end yet)"


def _time(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%SZ")


def _seconds(start: datetime, end: datetime) -> str:
    return f"{(end - start).total_seconds():.1f} s"


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={clip(shown(value))}" for name, value in values.items())


def shown(value: Any) -> str:
    """A value; of all items of a task, from which to which it goes."""
    numbers = [v for v in value if isinstance(v, int | float)] if isinstance(value, list) else []
    if not numbers or len(numbers) < len(value):
        return to_quoted_text(value)
    low, high = to_short_text(min(numbers)), to_short_text(max(numbers))
    return low if low == high else f"{low}..{high}"


def clip(text: str) -> str:
    """A value that may be long."""
    return text if len(text) <= MAX_CELL else text[: MAX_CELL - 1] + "…"


def ledger(commit: str | None) -> str:
    """What an answer rests on."""
    return f"ledger  {commit or 'empty'}"


def table(rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of columns that are as wide as they must be."""
    shown = [[visible(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)] if shown else []
    return ["  ".join(f"{c:{w}}" for c, w in zip(row, widths, strict=True)).rstrip() for row in shown]


def to_lines(lines: Iterable[str]) -> str:
    """What is printed."""
    return "".join(f"{visible(line)}\n" for line in lines)
