"""What became of a run in a cluster, for people and programs; and the ledger's commit that tells of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from mlgen.cli import words
from mlgen.cli.elsewhere import reached
from mlgen.cli.records import Records
from mlgen.cluster.events import Outcome
from mlgen.diagnostic import visible
from mlgen.git import branch_ref
from mlgen.ledger.record import run_folder
from mlgen.plan.model import Out, Plan, Task
from mlgen.runtime import pod
from mlgen.runtime.texts import read_result, split_pointer
from mlgen.values import parse, to_short_text


def ledger_commit(records: Records, outcome: Outcome) -> str | None:
    """The ledger's commit, where it has the run.json of the run. Raises CannotAnswer where it cannot be asked."""
    ended = datetime.fromisoformat(outcome.ended_at) if outcome.ended_at else datetime.now(UTC)
    # The record goes by the clock of its pod.
    days = [(ended + timedelta(days=days)).isoformat() for days in (0, -1, 1)]
    env = records.environment.name
    paths = [f"{run_folder(day, env, outcome.run, outcome.uid)}/run.json" for day in days]
    with reached(records.ledger) as remote, remote.reader() as look:
        tip = remote.tip(branch_ref(records.branch))
        return tip if tip is not None and look.files(tip, paths) else None


def text(plan: Plan, outcome: Outcome, *, env: str, artifacts: str, commit: str, ledger: str) -> str:
    """How each task ended, what it handed on and where what it made lies. commit, ledger: in words."""
    names = [task.name for task in plan.all_tasks]
    ours = [name for name, ending in outcome.endings.items() if name not in names and ending.failure]
    width = max(map(len, [*names, *ours]))
    lines = [f"{outcome.run}  {outcome.state}"]
    if outcome.error:
        lines.append(f"  {outcome.error}")
    for task in plan.all_tasks:
        lines.append(f"  {task.name:{width}}  {_ended(plan, outcome, task.name)}")
        lines += [f"  {'':{width}}    {line}" for line in _made(task, outcome, artifacts)]
    lines += [f"  {name:{width}}  {_ended(plan, outcome, name)}" for name in ours]
    failed = [name for name, ending in outcome.endings.items() if ending.failure and ending.failure.log]
    lines += [f"logs    mlgen logs {outcome.run}{name} --env {env}" for name in [f" {name}" for name in failed] or [""]]
    lines += [f"commit  {commit}", f"ledger  {ledger}"]
    return "".join(visible(line) + "\n" for line in lines)


def _ended(plan: Plan, outcome: Outcome, task: str) -> str:
    ending = outcome.endings.get(task)
    if ending is not None:
        attempt = f", attempt {ending.attempt + 1}" if ending.attempt else ""
        return words.of_failure(ending.state, ending.failure) + attempt
    status = outcome.tasks.get(task) or outcome.others.get(task)
    because = words.blame(outcome.tasks, outcome.state)
    return words.why_skipped(plan, task, status.reason if status else "", because)


def _made(task: Task, outcome: Outcome, artifacts: str) -> Iterator[str]:
    """Values and metrics first, as of a run on this machine; then artifacts."""
    found = outcome.results.get(task.name, {})
    told: list[tuple[bool, str]] = []
    for out in task.outs:
        with suppress(ValueError):  # a text that no pod of ours wrote
            if (result := _result(out, found.get(out.name))) is not None:
                shown = (
                    f": {artifacts}/{split_pointer(result)[0]}" if out.type.is_artifact else f" = {_short(out, result)}"
                )
                told.append((out.type.is_artifact, f"{out.name}{shown}"))
    return (line for _, line in sorted(told, key=lambda pair: pair[0]))


def _result(out: Out, result: str | None) -> str | None:
    """The text of an out, which stage-out escaped for its way into other pods."""
    return None if result is None else read_result(pod.unescape(result), optional=out.optional)


def _short(out: Out, result: str) -> str:
    return to_short_text(parse(out.type, result))
