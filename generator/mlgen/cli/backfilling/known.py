"""The run of each date: what it is called, whether the ledger has it, and which one it takes up."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from mlgen.cli.ledgers.history import answered
from mlgen.cli.ledgers.records import Records
from mlgen.ledger.index.history import History
from mlgen.ledger.questions.query import LAST
from mlgen.ledger.questions.read import Run
from mlgen.ledger.records.task import State
from mlgen.local import rundirs
from mlgen.plan.model import Plan
from mlgen.schedules import model as schedules


@dataclass(frozen=True, slots=True)
class Turn:
    """One date. run: the name of the run that is to be made, or of the one that `done` or `goes_on`.

    resumes: the uid of an earlier try that did not succeed, which is taken up. changed: of one that is done, whether
    the spec is another since; unfinished: whether a task of its `finally` failed.
    """

    value: str
    run: str
    uid: str | None = None
    done: bool = False
    goes_on: bool = False
    changed: bool = False
    unfinished: bool = False
    resumes: str | None = None


def prefix(plan: Plan, given: Sequence[str]) -> str:
    """What the names of a backfill's runs begin with: others where it is given other params."""
    return schedules.prefix(plan.name, list(given))


def turns(records: Records, plan: Plan, names: Mapping[str, str]) -> list[Turn]:
    """The turn of each value. names: value -> the name of its first run, those after it are called `…-r2`…"""
    records.catch_up()
    env = records.environment.name

    def question(history: History) -> tuple[list[Run], dict[str, set[str]]]:
        # One look for all: what begins like the first name does is nearly all of them.
        begins = _common(names.values())
        rest = "WHERE r.pipeline = ? AND r.env = ? AND r.name >= ? AND r.name < ?"
        of = (plan.name, env, begins, begins + LAST)
        failed = "SELECT r.uid, e.task FROM execution e JOIN run r ON r.id = e.run"
        tasks: dict[str, set[str]] = {}
        for uid, task in history.select(f"{failed} {rest} AND e.counts AND e.state != '{State.COMPLETE}'", *of):
            tasks.setdefault(uid, set()).add(task)
        return history.select_runs(rest, *of), tasks

    found: dict[str, list[tuple[int, Run]]] = {}
    runs, failed = answered(records, lambda opened: question(opened.history))
    for run in runs:
        name, number = _parts(run.name)
        found.setdefault(name, []).append((number, run))
    going = [] if records.in_cluster else [folder.run for folder in rundirs.unended(records.workspace.root)]
    found_turns = [_turn(plan, value, name, found.get(name, []), going) for value, name in names.items()]
    # run.json speaks of `tasks` alone: what else failed was of `finally`.
    of_tasks = {run.uid: set(run.record.tasks) if run.record else set() for run in runs}
    late = {uid for uid, tasks in failed.items() if tasks - of_tasks[uid]}
    return [replace(turn, unfinished=turn.done and turn.uid in late) for turn in found_turns]


def next_try(run: str) -> str:
    """The name of the run that takes up this one."""
    name, number = _parts(run)
    return f"{name}-r{number + 1}"


def _turn(plan: Plan, value: str, name: str, tries: list[tuple[int, Run]], going: Sequence[str]) -> Turn:
    for running in going:
        if _parts(running)[0] == name:
            return Turn(value, running, goes_on=True)
    tries = sorted(tries, key=lambda one: (one[0], one[1].ended))
    complete = [run for _, run in tries if run.state is State.COMPLETE]
    if complete:
        done = complete[-1]
        changed = done.record is not None and done.record.spec_digest != plan.spec_digest
        return Turn(value, done.name, done.uid, done=True, changed=changed)
    if not tries:
        return Turn(value, name)
    _, last = tries[-1]
    if last.record is None:
        return Turn(value, last.name, last.uid, goes_on=True)
    return Turn(value, next_try(last.name), resumes=last.uid)


def _parts(name: str) -> tuple[str, int]:
    """The name of a date's first run, and which try this is, from 1."""
    match = re.fullmatch(r"(.+)-r([0-9]{1,6})", name)
    return (match[1], int(match[2])) if match else (name, 1)


def _common(names: Iterable[str]) -> str:
    """How all names begin."""
    first, last = min(names), max(names)
    at = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[:at]
