"""`mlgen run FILE --backfill PARAM=FIRST..LAST`: a run for each date, those that are complete left alone."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from mlgen.cli.backfilling import dates, known
from mlgen.cli.backfilling.known import Turn
from mlgen.cli.backfilling.pool import Ended, Pool
from mlgen.cli.ledgers.records import Records
from mlgen.cli.options import Format
from mlgen.cli.output import answer_json, answer_of_a_deed, note
from mlgen.cli.runs_text import table
from mlgen.diagnostic import CannotAnswer, Misuse, visible
from mlgen.ledger.records.task import State
from mlgen.local import rundirs
from mlgen.local.params import parse_arguments
from mlgen.plan.model import Plan
from mlgen.values import Type, argument_problem

_TAKEN = "error[run-exists]"
MOST_NAMED = 63 - len("-2026-10-31-r9999")  # characters: a run has at most 63


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for. given: `name=value`s of the command line. more: options that each run gets as they are."""

    file: Path
    text: str
    step: str
    parallel: int
    given: Sequence[str]
    name: str | None = None
    more: Sequence[str] = ()
    form: Format = Format.TEXT


@dataclass
class _Row:
    turn: Turn
    state: str | None = None
    uid: str | None = None
    code: int = 0
    seconds: float | None = None

    @property
    def ok(self) -> bool:
        return self.state == State.COMPLETE and self.code == 0

    @property
    def is_unfinished(self) -> bool:
        """Whether only its finally failed."""
        return self.state == State.COMPLETE and self.code != 0


@dataclass(frozen=True, slots=True)
class _Look:
    """What a date is by now: another command may have it since. names: of each date's first run."""

    records: Records
    plan: Plan
    names: Mapping[str, str]

    def before(self, turn: Turn) -> Turn:
        """Of one that is about to be started. In a cluster only who creates a run learns whether it is there."""
        if self.records.in_cluster or not rundirs.is_taken(self.records.workspace.root, turn.run):
            return turn
        return self.now(turn)

    def after(self, ended: Ended) -> Turn:
        """Of one of which there was no run: then the name may be another command's run."""
        found = self.now(ended.turn)
        if found == ended.turn and self.records.in_cluster and any(_TAKEN in line for line in ended.tail):
            return replace(found, goes_on=True)
        return found

    def now(self, turn: Turn) -> Turn:
        with suppress(CannotAnswer):  # no reason to leave runs alone that go on: a name is given once anyway
            return known.turns(self.records, self.plan, {turn.value: self.names[turn.value]})[0]
        return turn


@dataclass
class _Report:
    look: _Look
    rows: dict[str, _Row] = field(default_factory=dict)

    def start(self, turn: Turn) -> Turn | None:
        turn = self.look.before(turn)
        if self._is_known(turn):
            return None
        note(f"{turn.value}  {turn.run} started{', taking up an earlier one' if turn.resumes else ''}")
        return turn

    def _is_known(self, turn: Turn) -> bool:
        if turn.done or turn.goes_on:
            self.rows[turn.value] = row = _of_before(turn)
            note(f"{turn.value}  {turn.run} {_state(row)}, by another command")
        return turn.done or turn.goes_on

    def end(self, ended: Ended) -> Turn | None:
        turn = ended.turn
        if ended.uid is None and (since := self.look.after(ended)) != turn:
            return None if self._is_known(since) else since
        self.rows[turn.value] = row = _Row(turn, ended.state, ended.uid, ended.code, ended.seconds)
        note(f"{turn.value}  {turn.run} {_state(row)}  ({ended.seconds:.1f} s)")
        for line in () if row.ok else ended.tail:
            note(f"{turn.value}  | {line}")
        return None


def backfill(records: Records, plan: Plan, wanted: Wanted, *, has: Callable[[str], bool] | None = None) -> int:
    """Run what is left of a range of dates; the exit code. has: as of `parse_arguments`.

    Raises Misuse where no run could be meant, before any begins.
    """
    asked = dates.read(wanted.text, wanted.step)
    values = [one.isoformat() for one in asked.dates]
    _check_param(plan, wanted, asked.param, values)
    given = [*wanted.given, f"{asked.param}={values[0]}"]
    parse_arguments(plan, given, project=records.workspace.root, cwd=Path.cwd(), has=has)
    start = wanted.name or known.prefix(plan, wanted.given)
    if len(start) > MOST_NAMED:
        raise Misuse("bad-name", f"{start}-{values[0]} is too long for a run's name", fix="give a shorter one: --name")
    names = {value: f"{start}-{value}" for value in values}
    turns = known.turns(records, plan, names)
    report = _Report(_Look(records, plan, names), {turn.value: _of_before(turn) for turn in turns})
    waiting = [turn for turn in turns if not turn.done and not turn.goes_on]
    with ExitStack() as stack:
        scratch = stack.enter_context(TemporaryDirectory(prefix="mlgen-backfill-"))
        pool = Pool(lambda turn: _arguments(records, wanted, asked.param, turn), Path(scratch))
        whole = pool.run(waiting, wanted.parallel, on_start=report.start, on_end=report.end)
    rows = list(report.rows.values())
    with answer_of_a_deed():
        if wanted.form is Format.JSON:
            answer_json({"param": asked.param, "env": records.environment.name, **_json(rows)})
        else:
            sys.stdout.write(_text(rows, partial(_mend, plan, wanted, records.environment.name)))
    return 130 if not whole else 0 if all(row.ok for row in rows) else 1


def _check_param(plan: Plan, wanted: Wanted, param: str, values: Sequence[str]) -> None:
    """Raises Misuse for a param that cannot hold each of the dates."""
    texts = [p.name for p in plan.params if p.type is Type.STRING]
    found = next((p for p in plan.params if p.name == param), None)
    if found is None or found.type is not Type.STRING:
        what = f'"{param[:80]}" is no param of {plan.name}' if found is None else f'"{param}" is of type {found.type}'
        fix = f"name a param of type string: {', '.join(texts)}" if texts else "give the spec one, of type string"
        raise Misuse("bad-option", f"--backfill: {what}, so that it can hold no date", fix=fix)
    if any(one.partition("=")[0] == param for one in wanted.given):
        raise Misuse("bad-option", f"{param} is given by -p and by --backfill", fix="leave one of them out")
    for value in values:
        if problem := argument_problem(found, value):
            raise Misuse("bad-argument", f'param "{param}": {problem}', fix="take a range of dates that it may have")


def _arguments(records: Records, wanted: Wanted, param: str, turn: Turn) -> list[str]:
    given = [*wanted.given, f"{param}={turn.value}"]
    found = ["run", str(wanted.file), "--env", records.environment.name, "--name", turn.run, "--format", "json"]
    found += [part for one in given for part in ("-p", one)]
    found += ["--resume", turn.resumes] if turn.resumes is not None else []
    return [*found, *wanted.more]


def _of_before(turn: Turn) -> _Row:
    return _Row(turn, State.COMPLETE if turn.done else None, turn.uid, code=int(turn.unfinished))


def _state(row: _Row) -> str:
    if row.turn.goes_on:
        return "still runs"
    if row.state is None:
        return "not run"
    return f"{row.state}, its finally failed" if row.is_unfinished else str(row.state)


def _json(rows: Sequence[_Row]) -> dict[str, object]:
    runs = [
        {
            "value": row.turn.value,
            "run": row.turn.run,
            "uid": row.uid,
            "state": row.state,
            "before": row.turn.done or row.turn.goes_on,
            "resumes": row.turn.resumes,
            "finallyFailed": row.is_unfinished,
        }
        for row in rows
    ]
    return {"runs": runs, "complete": sum(row.ok for row in rows), "failed": sum(not row.ok for row in rows)}


def _mend(plan: Plan, wanted: Wanted, env: str, run: str) -> str:
    """How the finally of a run is run again, once it is mended: nothing of the run itself failed."""
    where = "" if env == "local" else f" --env {env}"
    what = f"--resume {run} --from {plan.tasks[-1].name} --name {known.next_try(run)}"
    return f"finally of {run} runs again, after the last task, by: mlgen run {wanted.file}{where} {what}"


def _text(rows: Sequence[_Row], mend: Callable[[str], str]) -> str:
    cells = [("DATE", "RUN", "STATE", "TOOK")]
    for row in rows:
        took = "before" if row.turn.done else "" if row.seconds is None else f"{row.seconds:.1f} s"
        cells.append((row.turn.value, row.turn.run, _state(row), took))
    lines = table(cells)
    changed = sum(row.turn.changed for row in rows)
    if changed:
        lines.append(f"{changed} complete before the spec changed; another --name runs them anew")
    lines += [mend(row.turn.run) for row in rows if row.is_unfinished]
    lines.append(f"{sum(row.ok for row in rows)} of {len(rows)} complete")
    return "".join(visible(line) + "\n" for line in lines)
