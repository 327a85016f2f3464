"""What became of a run in a cluster, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from mlgen.cli import words
from mlgen.cluster import view
from mlgen.cluster.events import Outcome
from mlgen.cluster.failure import is_echo
from mlgen.cluster.view import CACHED
from mlgen.diagnostic import visible
from mlgen.ledger.records.task import State
from mlgen.plan.model import Out, Plan, Task
from mlgen.runtime.pod import contract as pod
from mlgen.runtime.reused import REUSED
from mlgen.runtime.texts import read_result, split_pointer
from mlgen.values import parse, to_short_text


def text(plan: Plan, outcome: Outcome, *, env: str, artifacts: str, commit: str, ledger: Sequence[str]) -> str:
    """How each task ended, what it handed on and where what it made lies. commit, ledger: in words, line by line."""
    names = [task.name for task in plan.all_tasks]
    endings = {name: ending for name, ending in outcome.endings.items() if not is_echo(name, ending.failure)}
    ours = [name for name, ending in endings.items() if name not in names and ending.failure]
    width = max(map(len, [*names, *ours]))
    lines = [f"{outcome.run}  {outcome.state}"]
    if outcome.error:
        lines.append(f"  {outcome.error}")
    for task in plan.all_tasks:
        lines.append(f"  {task.name:{width}}  {_ended(plan, outcome, task.name)}")
        lines += [f"  {'':{width}}    {line}" for line in _made(task, outcome, artifacts)]
    lines += [f"  {name:{width}}  {_ended(plan, outcome, name)}" for name in ours]
    failed = [name for name, ending in endings.items() if ending.failure and ending.failure.log]
    lines += [f"logs    mlgen logs {outcome.run}{name} --env {env}" for name in [f" {name}" for name in failed] or [""]]
    lines.append(f"commit  {commit}")
    lines += [f"{'' if at else 'ledger':6}  {line}" for at, line in enumerate(ledger)]
    return "".join(visible(line) + "\n" for line in lines)


def _ended(plan: Plan, outcome: Outcome, task: str) -> str:
    ending = outcome.endings.get(task)
    if ending is not None:
        attempt = f", attempt {ending.attempt + 1}" if ending.attempt else ""
        return words.of_failure(ending.state, ending.failure) + attempt
    status = outcome.tasks.get(task) or outcome.others.get(task)
    if status is not None and status.reason == REUSED:
        return "reused"
    if status is not None and status.reason == CACHED:
        return "succeeded, cached"
    states = [one.state for node, one in outcome.endings.items() if view.base_of(node) == task]
    if states:  # of items
        counts = {state.word: states.count(state) for state in State}
        return ", ".join(f"{count:,} {word}" for word, count in counts.items() if count)
    if status is not None and status.status == "Succeeded":
        return f"succeeded, {words.items(0)}"
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
