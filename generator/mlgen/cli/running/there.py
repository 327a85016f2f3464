"""A run in a cluster."""

from __future__ import annotations

from functools import partial

from mlgen.cli.cluster import request as requests
from mlgen.cli.cluster import run as cluster_run
from mlgen.cli.ledgers.records import Records
from mlgen.cli.projects.workspace import Workspace
from mlgen.cli.running import given
from mlgen.cli.running.wanted import Wanted
from mlgen.plan.model import Plan

NO_CACHE = "mlgen.dev/no-cache"


def run(records: Records, source: Workspace, plan: Plan, wanted: Wanted) -> int:
    """Create the run, and follow it unless it is to be left alone; the exit code."""
    commit, resumed, texts = given.commit(source, plan), None, list(wanted.given)
    if wanted.ask:
        from mlgen.cli.resuming import resumption  # here: most runs take up no other

        resumed = resumption.resume(
            records,
            plan,
            wanted.ask,
            texts,
            engine="tekton",
            has=requests.has(source),
            misfit=partial(requests.misfit, plan),
            parts=partial(requests.has_parts, plan),
        )
        resumed.tell()
        texts = list(resumed.given)
    name = given.name(plan, wanted.name)
    request = requests.make(source, plan, records.environment, texts, name=name, commit=commit, resumed=resumed)
    if wanted.no_cache:
        request.run["metadata"]["annotations"][NO_CACHE] = "true"
    choices = cluster_run.Choices(wanted.detach, wanted.logs, wanted.form, given.shown_commit(commit, source))
    return cluster_run.run(records, plan, request, choices)
