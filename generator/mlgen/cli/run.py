"""`mlgen run FILE`: a pipeline run on this machine or in a cluster, its records in the ledger."""

from __future__ import annotations

import os
import random
import re
import sys
import uuid
from collections.abc import Callable, Container
from dataclasses import replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from mlgen.cli import words
from mlgen.cli.clock import SystemClock
from mlgen.cli.ledgers.records import Records, open_records
from mlgen.cli.main import new_app
from mlgen.cli.options import EnvOption, Format, FormatOption, SpecFileOrNone
from mlgen.cli.output import answer_json, answer_of_a_deed
from mlgen.cli.progress import Progress
from mlgen.cli.projects.secrets import kept_secrets
from mlgen.cli.projects.sources import plan_in
from mlgen.cli.projects.workspace import LOCK_FILE, PROJECT_FILE, Workspace
from mlgen.cli.resuming import resumption
from mlgen.cli.resuming.base import Ask
from mlgen.cli.run_json import to_json
from mlgen.diagnostic import Misuse, visible
from mlgen.ledger.records.entry import from_bytes
from mlgen.ledger.records.task import State, TaskRecord
from mlgen.local import rundir
from mlgen.local.containers.client import Client
from mlgen.local.events import Outcome
from mlgen.local.job import ENGINE, Job
from mlgen.local.params import parse_arguments
from mlgen.local.run import run as run_locally
from mlgen.local.rundir import RunFolder
from mlgen.plan.model import Image, Plan
from mlgen.render.names import given_labels
from mlgen.runtime import plans
from mlgen.search.ask import check_available
from mlgen.store import BUCKETS
from mlgen.values import to_short_text

app = new_app()

RUN_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # of Kubernetes' generated names: they spell no word
SUFFIX_LENGTH = 5


class Engine(StrEnum):
    """Whose containers run the tasks of a run on this machine."""

    DOCKER = "docker"
    PODMAN = "podman"


@app.command()
def run(
    file: SpecFileOrNone = None,
    *,
    param: Annotated[
        list[str] | None,
        typer.Option("-p", metavar="NAME=VALUE", help="A param, or an input's path or URI. Repeatable."),
    ] = None,
    env: EnvOption = "local",
    detach: Annotated[bool, typer.Option("--detach", help="In a cluster: do not follow the run to its end.")] = False,
    name: Annotated[str | None, typer.Option("--name", metavar="RUN", help="The run's name.")] = None,
    engine: Annotated[
        Engine | None,
        typer.Option("--engine", help="On this machine: run each task in the image that it declares, by this engine."),
    ] = None,
    logs: Annotated[bool, typer.Option("--logs", help="In a cluster: show what the tasks print, as they do.")] = False,
    resume: Annotated[
        str | None, typer.Option("--resume", metavar="RUN", help="Run only what failed in RUN, or changed since.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="TASK", help="Run a task and all after it, reusing the rest.")
    ] = None,
    only: Annotated[
        str | None, typer.Option("--only", metavar="TASK", help="Run one task, reusing what is before it.")
    ] = None,
    dates: Annotated[
        str | None,
        typer.Option("--backfill", metavar="PARAM=FIRST..LAST", help="A run for each date of a range, both included."),
    ] = None,
    step: Annotated[str | None, typer.Option("--step", help="From date to date: 1d (default), 2w, 1mo, 1y.")] = None,
    parallel: Annotated[
        int | None, typer.Option("--parallel", metavar="N", min=1, max=32, help="Of a backfill: runs at once.")
    ] = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Run every task; what they make can be taken by later runs.")
    ] = False,
    explain_cache: Annotated[
        bool,
        typer.Option(
            "--explain-cache", help="Run nothing: say which tasks would be cached, and what changed for others."
        ),
    ] = False,
    due: Annotated[
        bool, typer.Option("--due", help="Start the runs that schedules ask for by now, each once; for a crontab.")
    ] = False,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Of --due: every time since then, not the latest.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Of --due: start nothing, say what would be.")] = False,
    form: FormatOption = Format.TEXT,
) -> None:
    """Run a pipeline: on this machine, or in the cluster of an environment with a namespace.

    Exit 1 if it failed, 130 if it was interrupted. Its records land on the ledger's branch; the work tree is never
    touched. In a cluster the pipeline must be there as it is rendered; the run is followed to its end.
    """
    ask = Ask(resume, start, only)
    if due:
        _refuse_with_due(param, ask, name=name, dates=dates, detach=detach, logs=logs, explain=explain_cache)
        raise typer.Exit(_due(file, env, since, engine, form, dry_run=dry_run, no_cache=no_cache))
    if since is not None or dry_run:
        raise Misuse("bad-option", "--since and --dry-run are for --due", fix="leave them out, or add --due")
    if file is None:
        raise Misuse("bad-option", "no spec is named", fix="name one: mlgen run pipelines/hello.yaml")
    workspace = Workspace.around([file])
    source = workspace.source_for(env)
    plan = plan_in(workspace, env, file)
    records = open_records(workspace, env)
    if explain_cache:
        from mlgen.cli.explaining import explain  # here: a run needs none of it

        explain(records, source, plan, param or [], form)
        return
    if dates is not None or step is not None or parallel is not None:
        _refuse_with_backfill(dates, ask, detach=detach, logs=logs)
        from mlgen.cli.backfilling import backfill as backfilling  # here: a single run needs none of it

        wanted = backfilling.Wanted(
            file=file,
            text=dates or "",
            step=step or "1d",
            parallel=parallel or 1,
            given=param or [],
            name=None if name is None else _name(plan, name, taken=()),
            more=[*([] if engine is None else ["--engine", engine]), *(["--no-cache"] if no_cache else [])],
            form=form,
        )
        raise typer.Exit(backfilling.backfill(records, plan, wanted, has=_has(records, source)))
    if records.in_cluster and engine is not None:
        raise Misuse("bad-option", f"--engine is for runs on this machine, and {env} is a cluster", fix="leave it out")
    if records.in_cluster:
        raise typer.Exit(
            _in_cluster(
                records,
                source,
                plan,
                param or [],
                name,
                ask=ask,
                detach=detach,
                logs=logs,
                form=form,
                look=not no_cache,
            )
        )
    if detach or logs:
        option = "--detach" if detach else "--logs"
        raise Misuse("bad-option", f"{option} is for runs in a cluster", fix="leave it out: `mlgen logs` shows them")
    resumed = (
        resumption.resume(
            records,
            plan,
            ask,
            param or [],
            engine=engine or ENGINE,
        )
        if ask
        else None
    )
    given = param or [] if resumed is None else resumed.given
    if any(task.fan and task.fan.search for task in plan.tasks):
        check_available()
    client, images = _containers(engine, plan)
    arguments = parse_arguments(plan, given, project=workspace.root, cwd=Path.cwd())
    job = Job(
        plan=plan,
        arguments=arguments,
        run=_name(plan, name, taken=[folder.run for folder in rundir.kept(workspace.root)]),
        uid=str(uuid.uuid4()),
        project=workspace.root,
        artifacts=records.environment.artifacts,
        environ=os.environ,
        kept_secrets=kept_secrets(workspace, plan),
        env=env,
        code=_code(workspace, plan),
        commit=_commit(workspace, plan),
        repository=workspace.project.repository,
        labels=given_labels(plan, records.environment),
        slots=os.cpu_count() or 1,
        client=client,
        images=images,
        look=not no_cache,
    )
    if resumed is not None:
        resumed.tell()
        job = replace(job, known=resumed.known, reused=resumed.reused, left_out=resumed.left_out, resumes=resumed.uid)
    records.recover()
    plans.keep(plan, records.store)
    clock = SystemClock()
    with Progress(job.run, [task.name for task in plan.all_tasks]) as on_event:
        outcome = run_locally(
            job,
            store=records.store,
            open_at=records.open_at,
            spool=records.put,
            fold=lambda: records.fold(clock.now()).commit,
            clock=clock,
            on_event=on_event,
        )
    with answer_of_a_deed():  # what became of the run is the exit code, whether somebody reads it or not
        if form is Format.JSON:
            answer_json(to_json(outcome.run, outcome.uid, outcome.state, outcome.tasks, outcome.ledger))
        else:
            sys.stdout.write(_text(plan, outcome, commit=job.commit or _no_commit(workspace)))
    raise typer.Exit(130 if outcome.interrupted else 0 if outcome.ok else 1)


def _in_cluster(
    records: Records,
    source: Workspace,
    plan: Plan,
    given: list[str],
    name: str | None,
    *,
    ask: Ask,
    detach: bool,
    logs: bool,
    form: Format,
    look: bool,
) -> int:
    # Here: a run on this machine needs none of it.
    from mlgen.cli.cluster import request as cluster_request
    from mlgen.cli.cluster import run as cluster_run

    if detach and logs:
        raise Misuse("options", "--detach and --logs exclude each other", fix="give one of them")
    commit, resumed = _commit(source, plan), None
    if ask:
        has = cluster_request.has(source)
        resumed = resumption.resume(
            records, plan, ask, given, engine="tekton", has=has, misfit=partial(cluster_request.misfit, plan)
        )
        resumed.tell()
        given = list(resumed.given)
    named = _name(plan, name, taken=())
    request = cluster_request.make(source, plan, records.environment, given, name=named, commit=commit, resumed=resumed)
    if not look:
        request.run["metadata"]["annotations"]["mlgen.dev/no-cache"] = "true"
    shown = commit or _no_commit(source)
    return cluster_run.run(records, plan, request, cluster_run.Choices(detach, logs, form, shown))


def _containers(engine: Engine | None, plan: Plan) -> tuple[Client | None, dict[Image, Image]]:
    """The container engine that was asked for, and the plan's images as it has them."""
    if engine is None:
        return None, {}
    # Here: most runs have no container.
    from mlgen.local.containers import client, images

    images.check(plan)
    found = client.find(engine, os.environ)
    return found, images.bring(plan, found, tell=lambda line: print(line, file=sys.stderr, flush=True))


def _due(
    file: Path | None,
    env: str,
    since: str | None,
    engine: Engine | None,
    form: Format,
    *,
    dry_run: bool,
    no_cache: bool,
) -> int:
    from mlgen.cli.due import due  # here: a single run needs none of it

    files = [file] if file is not None else None
    workspace = Workspace.around(files)
    records = open_records(workspace, env)
    if records.in_cluster and engine is not None:
        raise Misuse("bad-option", f"--engine is for runs on this machine, and {env} is a cluster", fix="leave it out")
    more = [*([] if engine is None else ["--engine", engine]), *(["--no-cache"] if no_cache else [])]
    wanted = due.Wanted(files, since, dry_run, more, form)
    return due.due(workspace, workspace.source_for(env), records, wanted, SystemClock())


def _refuse_with_due(
    param: list[str] | None, ask: Ask, *, name: str | None, dates: str | None, detach: bool, logs: bool, explain: bool
) -> None:
    if param or ask or name or dates or detach or logs or explain:
        fix = "give --due alone, with --env, --since and --dry-run: params and names are the schedule's"
        raise Misuse("bad-option", "other options exclude --due", fix=fix)


def _refuse_with_backfill(dates: str | None, ask: Ask, *, detach: bool, logs: bool) -> None:
    if dates is None:
        raise Misuse("bad-option", "--step and --parallel are for --backfill", fix="leave them out, or add --backfill")
    if ask or detach or logs:
        given = "--detach and --logs" if detach or logs else "--resume, --from and --only"
        fix = "leave them out: what a date's run lacks is resumed by itself"
        raise Misuse("bad-option", f"{given} are for a single run, not for --backfill", fix=fix)


def _has(records: Records, source: Workspace) -> Callable[[str], bool] | None:
    """What a spec names, where it is not read from the folder."""
    return (lambda path: source.files.kind(path) in ("file", "folder")) if records.in_cluster else None


def _no_commit(workspace: Workspace) -> str:
    return "none: uncommitted changes" if workspace.repository else "none: outside Git"


def _name(plan: Plan, given: str | None, *, taken: Container[str]) -> str:
    if given is None:
        return f"{plan.name}-{''.join(random.choices(ALPHABET, k=SUFFIX_LENGTH))}"
    if not RUN_NAME.fullmatch(given):
        fix = "a letter, then letters, digits and -, at most 63, not ending in -"
        raise Misuse("bad-name", f'"{given[:80]}" is no name for a run', fix=fix)
    if given in taken:
        raise Misuse("run-exists", f'there is a run "{given}" already', fix="choose another name, or leave --name out")
    return given


def _code(workspace: Workspace, plan: Plan) -> dict[tuple[str, ...], dict[str, Path]]:
    """Where the files of each task's code lie; what goes into one folder comes from several."""
    folders = {task.code.folders for task in plan.all_tasks if task.code is not None}
    return {key: {n: p for folder in key for n, p in workspace.worktree.files(folder).items()} for key in folders}


def _commit(workspace: Workspace, plan: Plan) -> str | None:
    """The commit that this plan was made from: that of a pin, or HEAD where it has all its files as they are now."""
    if workspace.commit is not None:
        return workspace.commit
    repository = workspace.repository
    if repository is None or repository.work_tree is None:
        return None
    local = [item.uri for item in plan.inputs if item.uri is not None and not item.uri.startswith(BUCKETS)]
    code = [folder for task in plan.all_tasks if task.code is not None for folder in task.code.folders]
    paths = {plan.source, PROJECT_FILE, LOCK_FILE, *workspace.task_files, *local, *code}
    below = workspace.root.relative_to(repository.work_tree.resolve())
    return repository.head() if repository.is_clean(sorted((below / path).as_posix() for path in paths)) else None


def _text(plan: Plan, outcome: Outcome, *, commit: str) -> str:
    """The answer for people: how each task ended, what it measured, and where what it made lies."""
    records = _last_records(RunFolder(outcome.folder))
    statuses = {**outcome.tasks, **outcome.finally_tasks}
    width = max(map(len, statuses))
    lines = [f"{outcome.run}  {outcome.state}"]
    for task in plan.all_tasks:
        record = records.get(task.name)
        if record is None:
            reason = words.skip(statuses[task.name].reason, outcome.whys.get(task.name, ""))
            lines.append(f"  {task.name:{width}}  {reason}")
            continue
        lines.append(f"  {task.name:{width}}  {words.of_record(record)}")
        told = {**record.metrics, **record.values}
        lines += [f"  {'':{width}}    {name} = {to_short_text(value)}" for name, value in told.items()]
        lines += [f"  {'':{width}}    {a.name}: {a.uri}" for a in record.outputs]
    failed = [name for name, record in records.items() if record.state is State.FAIL]
    lines += [f"logs    mlgen logs {outcome.run}{name}" for name in [f" {name}" for name in failed] or [""]]
    lines.append(f"commit  {commit}")
    lines.append(f"ledger  {outcome.ledger or 'not written yet: the records wait'}")
    return "".join(visible(line) + "\n" for line in lines)


def _last_records(folder: RunFolder) -> dict[str, TaskRecord]:
    found = {}
    for attempt in folder.attempts():
        record = from_bytes(attempt.record.read_bytes())
        if isinstance(record, TaskRecord):
            found[record.task] = record
    return found
