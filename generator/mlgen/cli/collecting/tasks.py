"""`mlgen gc tasks`: Tasks in the cluster that no Pipeline and no unfinished run uses. Only says so without --delete."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlgen.cli.clock import SystemClock
from mlgen.cli.ledgers.records import environment_of
from mlgen.cli.options import EnvOption, Format, FormatOption
from mlgen.cli.output import answer_json, answer_of_a_deed, note
from mlgen.cli.projects.workspace import Workspace
from mlgen.diagnostic import Misuse, visible
from mlgen.spec.project import Environment
from mlgen.spec.quantities import DURATION_RULE, duration_seconds

if TYPE_CHECKING:  # the other verbs of `gc` ask no cluster
    from mlgen.cluster.superseded import Collector, Fate, Stored

FIRST = 40  # names that people are shown
ROLE = 'the guide "Argo CD", "Tasks that nothing uses any more"'  # where the rights stand

DeleteOption = Annotated[bool, typer.Option("--delete", help="Do it. Without: only say what would go.")]
OlderOption = Annotated[
    str,
    typer.Option(
        "--older-than", metavar="TIME", help="Since a Task was made, and since its Pipeline was changed, at least."
    ),
]


def tasks(
    *, env: EnvOption, older_than: OlderOption = "1h", delete: DeleteOption = False, form: FormatOption = Format.TEXT
) -> None:
    """Delete Tasks of an environment that no Pipeline and no unfinished run uses any more.

    A Task is named by its content and outlives the Pipeline that named it, for runs in flight keep their version.
    Before each one is deleted, all that may use it is asked for again. Tasks of others are never touched.
    """
    environment = environment_of(Workspace.around().project, env)
    if environment.namespace is None:
        fix = "name an environment with a `namespace`: a run on this machine has no Tasks"
        raise Misuse("bad-option", f'"{env}" has no Tasks in a cluster', fix=fix)
    sweep = _sweep(environment, environment.namespace, _older(older_than), delete=delete)
    with answer_of_a_deed():
        if form is Format.JSON:
            answer_json(_answer(sweep))
        else:
            sys.stdout.write("".join(visible(line) + "\n" for line in _lines(sweep)))


@dataclass
class _Sweep:
    """What was found and done. server: that was asked, so that the wrong one is noticed.

    goes: that go, or went. left: that were to go, and stayed, with the reason.
    """

    env: str
    namespace: str
    server: str
    deleted: bool
    fates: dict[Stored, Fate] = field(default_factory=dict)
    goes: list[Stored] = field(default_factory=list)
    left: list[tuple[Stored, str]] = field(default_factory=list)


def _sweep(environment: Environment, namespace: str, grace: timedelta, *, delete: bool) -> _Sweep:
    # Here: with what they import they take longer to load than `gc artifacts` takes to look at a folder.
    from mlgen.cli.cluster.kube import connect
    from mlgen.cluster.api import ApiError, Unreachable
    from mlgen.cluster.refusals import fault_of
    from mlgen.cluster.superseded import Collector, Fate

    api, clock = connect(), SystemClock()
    collector = Collector(api, namespace, environment.name, clock.now(), grace, clock.monotonic)
    sweep = _Sweep(environment.name, namespace, api.server, delete)
    try:
        sweep.fates = collector.look()
        going = [task for task, fate in sweep.fates.items() if fate is Fate.GOES]
        if not delete:
            sweep.goes = going
        for task in going if delete else ():
            if reason := _delete(collector, task):
                sweep.left.append((task, reason))
            else:
                sweep.goes.append(task)
    except (ApiError, Unreachable) as error:
        if sweep.goes and delete:
            note(f"{len(sweep.goes)} Tasks were deleted before this; the same command does the rest")
        raise fault_of(error, api.server, role=ROLE) from None
    return sweep


def _delete(collector: Collector, task: Stored) -> str:
    """Why a Task stayed; "" where it is deleted."""
    from mlgen.cluster.superseded import Fate  # here, as above

    if collector.look_again(task) is not Fate.GOES:
        return "something uses it since"
    return "" if collector.delete(task) else "somebody else deleted or changed it"


def _older(text: str) -> timedelta:
    try:
        return timedelta(seconds=0 if text in ("0", "0s") else duration_seconds(text))
    except ValueError as error:
        raise Misuse("bad-option", f"--older-than: {error}", fix=DURATION_RULE) from None


def _answer(sweep: _Sweep) -> dict[str, Any]:
    counts = Counter(str(fate) for fate in sweep.fates.values())
    return {
        "env": sweep.env,
        "namespace": sweep.namespace,
        "server": sweep.server,
        "deleted": sweep.deleted,
        "goes": [_json(task) for task in sweep.goes],
        "left": [{**_json(task), "reason": reason} for task, reason in sweep.left],
        "used": counts["used"],
        "young": counts["young"],
        "foreign": [task.name for task, fate in sweep.fates.items() if fate == "foreign"],
    }


def _json(task: Stored) -> dict[str, str]:
    return {"name": task.name, "pipeline": task.pipeline, "task": task.task, "createdAt": task.created_at}


WHY = {
    "used": "a Pipeline or an unfinished run uses them",
    "young": "made, or their Pipeline changed, less than --older-than ago",
}


def _lines(sweep: _Sweep) -> Iterator[str]:
    """The same in words."""
    found = _answer(sweep)
    done = "deleted" if sweep.deleted else "would go"
    yield f"{done:9} {_counted(len(sweep.goes))} in namespace {sweep.namespace} of {sweep.server}"
    yield from (f"            {task.name}  made {task.created_at}" for task in sweep.goes[:FIRST])
    if sweep.goes[FIRST:]:
        yield f"            and {len(sweep.goes) - FIRST:,} more; --format json names all"
    yield from (f"stays     {task.name}: {reason}" for task, reason in sweep.left)
    for fate, why in WHY.items():
        if found[fate]:
            yield f"{fate:9} {_counted(found[fate])}: {why}"
    if found["foreign"]:
        yield f"foreign   {_counted(len(found['foreign']))}: our label, but a name that mlgen gives to none; they stay"
    if not sweep.deleted and sweep.goes:
        yield "nothing was deleted: --delete does it"


def _counted(count: int) -> str:
    return "nothing" if not count else f"{count:,} Task{'' if count == 1 else 's'}"
