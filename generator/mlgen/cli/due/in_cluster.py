"""A due run in a cluster: as its CronJob or its event's pod would make it, under the same name, so that it is one."""

from __future__ import annotations

import io
from contextlib import redirect_stdout

from mlgen.cli.cluster import request as cluster_request
from mlgen.cli.cluster import run as cluster_run
from mlgen.cli.cluster.kube import connect
from mlgen.cli.due.due import Row
from mlgen.cli.due.starts import Due
from mlgen.cli.ledgers.records import Records
from mlgen.cli.options import Format
from mlgen.cli.projects.workspace import Workspace
from mlgen.cluster.api import PIPELINE_RUNS, ApiError, Unreachable
from mlgen.cluster.refusals import fault_of
from mlgen.diagnostic import Misuse
from mlgen.runtime.pod.start import CANCEL
from mlgen.schedules.model import Concurrency


def start(source: Workspace, records: Records, one: Due) -> Row:
    """Create the run and leave it to the cluster."""
    environment = records.environment
    assert environment.namespace is not None, "it is in a cluster"
    api = connect()
    labels = f"mlgen.dev/pipeline={one.plan.name},mlgen.dev/env={environment.name},{one.label[0]}"
    try:
        there = list(api.items(PIPELINE_RUNS, environment.namespace, labels=labels))
        if one.run in {run["metadata"]["name"] for run in there}:
            return Row(one, "known", told="the cluster has it")
        going = [run["metadata"]["name"] for run in there if not (run.get("status") or {}).get("completionTime")]
        if going and one.concurrency is Concurrency.FORBID:
            return Row(one, "left-out", told=f"{', '.join(going)} goes on")
        for name in going if one.concurrency is Concurrency.REPLACE else ():
            api.patch(PIPELINE_RUNS, environment.namespace, name, CANCEL)
    except (ApiError, Unreachable) as error:
        raise fault_of(error, api.server) from None
    given = [f"{key}={text}" for key, text in one.given]
    request = cluster_request.make(source, one.plan, environment, given, name=one.run, commit=source.commit)
    metadata = request.run["metadata"]
    metadata["labels"] = {**metadata["labels"], one.label[0]: one.label[1]}
    metadata["annotations"] = {**metadata["annotations"], **dict(one.notes)}
    try:
        with redirect_stdout(io.StringIO()):  # the answer is one, of all that is due
            code = cluster_run.run(records, one.plan, request, cluster_run.Choices(True, False, Format.JSON, ""))
    except Misuse as error:
        if error.code != "run-exists":  # by the cluster itself, since we looked
            raise
        return Row(one, "known", told="the cluster has it")
    return Row(one, "started", None, code, "started in the cluster")
