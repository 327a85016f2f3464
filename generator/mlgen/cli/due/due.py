"""`mlgen run --due`: each run that is due is started once, by the schedule's word on those that still go on."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mlgen.cli.due import claims
from mlgen.cli.due.starts import TIMES, Due, again, read_since, starts
from mlgen.cli.ledgers.records import Records
from mlgen.cli.options import Format
from mlgen.cli.output import answer_json, answer_of_a_deed, note
from mlgen.cli.projects.sources import sound_plans_in
from mlgen.cli.projects.workspace import Workspace
from mlgen.cli.runs_text import table
from mlgen.diagnostic import visible
from mlgen.ledger.records.task import State
from mlgen.plan.model import Plan
from mlgen.runtime.clock import Clock
from mlgen.schedules.model import Concurrency

MOST_STARTED = 100  # by one command: a slip in --since is no thousand runs
TAIL_LINES = 5  # of what a run that failed said
INTERRUPTED = 130
START = "_start"  # no run is called so


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for. more: options that each run gets as they are."""

    files: Sequence[Path] | None
    since: str | None
    dry_run: bool
    more: Sequence[str] = ()
    form: Format = Format.TEXT


@dataclass(frozen=True, slots=True)
class Row:
    """What became of a time. state: of its run, at its end.

    did: "started", "known", "left-out" or "would-start"; "later": as many as one command starts were started.
    """

    due: Due
    did: str
    state: str | None = None
    code: int = 0
    told: str = ""


@dataclass
class Report:
    rows: list[Row] = field(default_factory=list)

    @property
    def code(self) -> int:
        codes = [row.code for row in self.rows]
        return INTERRUPTED if INTERRUPTED in codes else 1 if any(codes) else 0

    @property
    def started(self) -> int:
        return sum(row.did in ("started", "would-start") for row in self.rows)

    def add(self, row: Row) -> None:
        self.rows.append(row)
        note(f"{row.due.at}  {row.due.run} {_words(row)}")


def due(workspace: Workspace, source: Workspace, records: Records, wanted: Wanted, clock: Clock) -> int:
    """Start what is due; the exit code: 1 where a run failed, or a spec cannot run."""
    now = clock.now()
    since = read_since(wanted.since, now) if wanted.since is not None else None
    plans, unsound = sound_plans(source, records, wanted)
    if not records.in_cluster and not wanted.dry_run:
        claims.tidy(workspace.root, TIMES, now.timestamp())
    report = start_all(
        workspace, source, records, starts(records, [plan for plan in plans if plan.schedules], now, since), wanted
    )
    with answer_of_a_deed():
        if wanted.form is Format.JSON:
            answer_json({"env": records.environment.name, "due": [row_json(row) for row in report.rows]})
        else:
            sys.stdout.write(text(report.rows, "nothing is due"))
    return report.code or unsound


def sound_plans(source: Workspace, records: Records, wanted: Wanted) -> tuple[list[Plan], int]:
    """The plans of what may start, and the exit code of what may not: a spec with an error keeps none of the others."""
    plans, unsound = sound_plans_in(source, records.environment, wanted.files)
    for path in unsound:
        note(f"{visible(path)} has errors, and starts nothing: mlgen check {shlex.quote(visible(path))}")
    return plans, 1 if unsound else 0


def start_all(
    workspace: Workspace, source: Workspace, records: Records, found: Sequence[Due], wanted: Wanted
) -> Report:
    """Start what is to be there, each where it is not."""
    report = Report()
    for one in found:
        if one.known:
            report.rows.append(Row(one, "known", told=one.known))
        elif report.started >= MOST_STARTED:
            report.rows.append(Row(one, "later"))
        elif wanted.dry_run:
            report.rows.append(Row(one, "would-start"))
        elif records.in_cluster:
            from mlgen.cli.due import in_cluster  # here: runs on this machine need none of it

            report.add(in_cluster.start(source, records, one))
        else:
            row = _here(workspace, records, one, wanted.more)
            report.add(row)
            if row.code == INTERRUPTED:
                break
    return report


def _here(workspace: Workspace, records: Records, one: Due, more: Sequence[str]) -> Row:
    """A run on this machine, to its end."""
    root, pipeline = workspace.root, one.plan.name
    # One at a time looks at what goes on, or two that look at once would both see nothing.
    with (
        claims.claim(root, one.kind, pipeline, START, wait=True) as starting,
        claims.claim(root, one.kind, pipeline, one.run) as claim,
    ):
        if starting is None or claim is None:
            return Row(one, "known", told="another command starts it")
        one = again(records, one)  # who had the claim before may have started it
        if one.known:
            return Row(one, "known", told=one.known)
        others = [run for run in claims.going(root, one.kind, pipeline, but=one.run) if run != START]
        if others and one.concurrency is Concurrency.FORBID:
            return Row(one, "left-out", told=f"{', '.join(others)} goes on")
        if one.concurrency is Concurrency.REPLACE:
            for other in others:
                claims.end(root, one.kind, pipeline, other)
        process = _process(root, records, one, more, claim)
        claim.held_by(process.pid)
        starting.release()
        return _ended(one, process)


def _process(
    root: Path, records: Records, one: Due, more: Sequence[str], claim: claims.Claim
) -> subprocess.Popen[bytes]:
    given = [part for key, text in one.given for part in ("-p", f"{key}={text}")]
    command = ["run", one.plan.source, "-C", str(root), "--env", records.environment.name, "--name", one.run]
    # A session of its own: Ctrl-C reaches it once, by us. Without a terminal nobody is asked anything.
    return subprocess.Popen(
        [sys.executable, "-m", "mlgen", *command, *given, *more, "--format", "json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "NO_COLOR": "1"},
        start_new_session=True,
        pass_fds=[claim.descriptor],
    )


def _ended(one: Due, process: subprocess.Popen[bytes]) -> Row:
    interrupted = False
    while True:
        try:
            out, err = process.communicate()
            break
        except KeyboardInterrupt:
            interrupted = True
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)
    state: str | None = None
    with suppress(ValueError, AttributeError):
        state = json.loads(out or b"{}").get("state")
    if state != State.COMPLETE:
        for line in err.decode(errors="replace").splitlines()[-TAIL_LINES:]:
            note(f"{one.at}  | {line}")
    return Row(one, "started", state, INTERRUPTED if interrupted else process.returncode)


def _words(row: Row) -> str:
    match row.did:
        case "known":
            return f"is there already: {row.told}"
        case "left-out":
            return f"is left out: {row.told}, and `concurrency` is forbid"
        case "would-start":
            return "would be started"
    return row.state or row.told or "did not begin"


def row_json(row: Row) -> dict[str, object]:
    return {
        "pipeline": row.due.plan.name,
        "scheduledFor": row.due.at,
        "run": row.due.run,
        "did": row.did,
        "state": row.state,
        "why": row.told or None,
    }


def text(rows: Sequence[Row], nothing: str) -> str:
    if not rows:
        return f"{nothing}\n"
    cells = [("FOR", "RUN", "")] + [(row.due.at, row.due.run, _words(row)) for row in rows if row.did != "later"]
    return "".join(visible(line) + "\n" for line in [*table(cells), *_counts(rows)])


def _counts(rows: Sequence[Row]) -> Iterator[str]:
    """How many of each, where that is more than one sees; and how the rest are started."""
    found = Counter(row.did for row in rows)
    told = {"started": "started", "would-start": "would be started", "left-out": "left out", "known": "there already"}
    if len(rows) > 1:
        yield ", ".join(f"{found[did]:,} {word}" for did, word in told.items() if found[did])
    if found["later"]:
        are = "is" if found["later"] == 1 else "are"
        fix = f"one command starts {MOST_STARTED}; say the same again for the rest"
        yield f"{found['later']:,} more {are} due: {fix}"
