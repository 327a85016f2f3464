"""`mlgen run --explain-cache`: what each task would be taken from, or what keeps it from being taken."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

from mlgen.cli.clock import SystemClock
from mlgen.cli.ledgers.records import Records
from mlgen.cli.options import Format
from mlgen.cli.output import answer_json
from mlgen.cli.projects.workspace import Workspace
from mlgen.diagnostic import visible
from mlgen.local import host, job
from mlgen.local.params import parse_arguments
from mlgen.plan.model import Image, Plan, Task
from mlgen.runtime import documents
from mlgen.runtime.cache.explained import Answer, Change, Explained, Explainer
from mlgen.runtime.pod.contract import Platform
from mlgen.runtime.protocol import TaskDocument
from mlgen.store import locate

MOST_ITEMS = 10  # of a task that are told
WIDTH = 60  # characters of a part that are shown
WORDS = {Answer.HIT: "cached", Answer.MISS: "runs", Answer.RUNS: "runs", Answer.UNKNOWN: "not known yet"}


def explain(
    records: Records, source: Workspace, plan: Plan, given: list[str], form: Format, *, engine: str | None = None
) -> None:
    """Answer for each task of a run with these arguments. Nothing runs, and nothing is written.

    engine: the name of the container engine that would run it.
    """
    arguments = parse_arguments(
        plan,
        given,
        project=source.root,
        cwd=Path.cwd(),
        has=(lambda path: source.files.kind(path) in ("file", "folder")) if records.in_cluster else None,
    )

    def digest(name: str) -> str:
        location = arguments.inputs[name]
        if location.digest is not None:
            return location.digest
        at, key = locate(location.uri)
        return records.open_at(at).measure_artifact(key).digest

    def files(task: Task) -> dict[str, str]:
        folders = task.code.folders if task.code else ()
        return {name: sha for folder in folders for name, sha in source.files.listing(folder).items()}

    explainer = Explainer(
        plan=plan,
        store=records.store,
        now=SystemClock().now(),
        document=_documents(records, plan, engine),
        params=arguments.params,
        digest=digest,
        files=files,
    )
    found = list(explainer.explain())
    if form is Format.JSON:
        tasks = [_json(one) for one in found]
        answer_json({"pipeline": plan.name, "env": records.environment.name, "tasks": tasks})
    else:
        sys.stdout.write("".join(visible(line) + "\n" for one in found for line in _lines(one)))


def _documents(records: Records, plan: Plan, engine: str | None) -> Callable[[Task], TaskDocument]:
    """What each task is, as the run's engine would have it."""
    env, artifacts = records.environment.name, records.environment.artifacts
    if records.in_cluster:
        return partial(documents.of_task, pipeline=plan.name, env=env, artifacts=artifacts, platform=Platform())
    images: Mapping[Image, Image] = {}
    if engine is not None:
        from mlgen.local.containers.client import find  # here: most runs have no container
        from mlgen.local.containers.images import check, here

        check(plan)
        images = here(plan, find(engine, os.environ))
    machine = cache(partial(host.parts, os.environ))

    def document(task: Task) -> TaskDocument:
        run_in = images[task.image] if engine is not None and task.image is not None else None
        return job.document(plan, task, env=env, artifacts=artifacts, run_in=run_in, machine=machine)

    return document


def _lines(one: Explained) -> list[str]:
    if not one.items:
        return _of_one(one)
    told = f"{one.task}  {WORDS[one.answer]}: {one.why or f'all of its {len(one.items):,} items'}"
    # What runs comes first: why it does is what was asked.
    items = sorted(one.items, key=lambda item: item.answer is Answer.HIT)
    lines = [f"  {line}" for item in items[:MOST_ITEMS] for line in _of_one(item)]
    more = len(items) - MOST_ITEMS
    return [told, *lines, *([f"  and {more:,} items more: --format json has all"] if more > 0 else [])]


def _of_one(one: Explained) -> list[str]:
    if one.answer is Answer.HIT and one.entry is not None:
        record = one.entry.record
        return [f"{one.task}  cached: {record.run} made it, {record.ended_at} ({record.run_id})"]
    why = one.why
    if not why and one.entry is not None:
        why = f"since {one.entry.record.run}, {one.entry.record.ended_at}, there changed:"
    return [f"{one.task}  {WORDS[one.answer]}: {why}", *(f"  {_change(change)}" for change in one.changes)]


def _change(change: Change) -> str:
    if change.before is None:
        return f"{change.part}: new, {_cut(change.after)}"
    if change.after is None:
        return f"{change.part}: gone, it was {_cut(change.before)}"
    return f"{change.part}: {_cut(change.before)} → {_cut(change.after)}"


def _cut(text: str | None) -> str:
    text = text or ""
    if len(text) == 64 or text.startswith("sha256:"):
        return text[:19] + "…"
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"


def _json(one: Explained) -> dict[str, Any]:
    found: dict[str, Any] = {"task": one.task, "answer": str(one.answer), "why": one.why}
    found["key"] = one.key.digest if one.key else None
    record = one.entry.record if one.entry else None
    about = {"run": record.run, "runId": record.run_id, "endedAt": record.ended_at} if record else None
    found["entry"] = about
    if one.items:
        found["items"] = [_json(item) for item in one.items]
    found["changes"] = [{"part": c.part, "before": c.before, "after": c.after} for c in one.changes]
    return found
