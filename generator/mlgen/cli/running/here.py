"""A run on this machine."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from mlgen.cli.clock import SystemClock
from mlgen.cli.ledgers.records import Records
from mlgen.cli.options import Format
from mlgen.cli.output import answer_json, answer_of_a_deed
from mlgen.cli.progress import Progress
from mlgen.cli.projects.secrets import kept_secrets
from mlgen.cli.projects.workspace import Workspace
from mlgen.cli.run_json import to_json
from mlgen.cli.running import given, told
from mlgen.cli.running.wanted import Engine, Wanted
from mlgen.diagnostic import CannotAnswer
from mlgen.ledger.records.task import TaskRecord
from mlgen.local import rundirs
from mlgen.local.containers.client import Client
from mlgen.local.events import Outcome
from mlgen.local.job import ENGINE, Job
from mlgen.local.params import given_of, parse_arguments
from mlgen.local.run import run as run_locally
from mlgen.plan.model import Image, Plan
from mlgen.render.names import given_labels
from mlgen.runtime import plans
from mlgen.search.ask import check_available


def run(records: Records, workspace: Workspace, plan: Plan, wanted: Wanted) -> int:
    """Run a plan, say what became of it; the exit code."""
    resumed = None
    if wanted.ask:
        from mlgen.cli.resuming import resumption  # here: most runs take up no other

        resumed = resumption.resume(records, plan, wanted.ask, wanted.given, engine=wanted.engine or ENGINE)
    if any(task.fan and task.fan.search for task in plan.tasks):
        check_available()
    client, images = _containers(wanted.engine, plan)
    texts = list(wanted.given) if resumed is None else resumed.given
    names = {text.partition("=")[0] for text in texts} if resumed is None else resumed.asked
    arguments = parse_arguments(plan, texts, project=workspace.root, cwd=Path.cwd())
    job = Job(
        plan=plan,
        arguments=arguments,
        run=given.name(plan, wanted.name, taken=[folder.run for folder in rundirs.kept(workspace.root)]),
        uid=str(uuid.uuid4()),
        project=workspace.root,
        artifacts=records.environment.artifacts,
        environ=os.environ,
        kept_secrets=kept_secrets(workspace, plan),
        env=wanted.env,
        code=given.code(workspace, plan),
        commit=given.commit(workspace, plan),
        repository=workspace.project.repository,
        labels=given_labels(plan, records.environment),
        slots=os.cpu_count() or 1,
        client=client,
        images=images,
        look=not wanted.no_cache,
        given=given_of(arguments, names),
    )
    if resumed is not None:
        resumed.tell()
        job = replace(
            job,
            known=resumed.known,
            reused=resumed.reused,
            items=resumed.items,
            left_out=resumed.left_out,
            resumes=resumed.uid,
            before=resumed.before,
        )
    outcome = _run(records, job)
    with answer_of_a_deed():  # what became of the run is the exit code, whether somebody reads it or not
        if wanted.form is Format.JSON:
            answer_json(to_json(outcome.run, outcome.uid, outcome.state, outcome.tasks, outcome.ledger))
        else:
            commit = given.shown_commit(job.commit, workspace)
            sys.stdout.write(told.text(plan, outcome, commit=commit, makers=lambda some: _makers(records, some)))
    return 130 if outcome.interrupted else 0 if outcome.ok else 1


def _makers(records: Records, cached: Sequence[TaskRecord]) -> Mapping[str, str]:
    """Who made what was taken from the cache, as far as the ledger can be asked: how the run went is told anyhow."""
    if cached:
        # Here: most runs take nothing from the cache, and asking loads SQLite.
        from mlgen.cli.ledgers.history import answered
        from mlgen.ledger.questions import query

        with suppress(CannotAnswer):
            return answered(records, lambda found: query.makers(found.history, cached))
    return {}


def _run(records: Records, job: Job) -> Outcome:
    records.recover()
    plans.keep(job.plan, records.store)
    clock = SystemClock()
    with Progress(job.run, [task.name for task in job.plan.all_tasks]) as on_event:
        return run_locally(
            job,
            store=records.store,
            open_at=records.open_at,
            spool=records.put,
            fold=lambda: records.fold(clock.now()).commit,
            clock=clock,
            on_event=on_event,
        )


def _containers(engine: Engine | None, plan: Plan) -> tuple[Client | None, dict[Image, Image]]:
    """The container engine that was asked for, and the plan's images as it has them."""
    if engine is None:
        return None, {}
    # Here: most runs have no container.
    from mlgen.local.containers import client, images

    images.check(plan)
    found = client.find(engine, os.environ)
    return found, images.bring(plan, found, tell=lambda line: print(line, file=sys.stderr, flush=True))
