"""`mlgen-runtime start`: in a CronJob's pod, creates the PipelineRun of the time for which the pod was started.

The run's name is a function of that time, so that a start that is told twice is one run. The API server is asked by the
standard library, with the token of the pod's own account: mlgen's client of clusters takes half a second to import.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from mlgen.diagnostic import CannotAnswer
from mlgen.runtime.pod import contract as pod
from mlgen.schedules import cron
from mlgen.schedules.model import Concurrency, Schedule

FOLDER, FILE = "/mlgen-start", "start.json"
LABEL = "mlgen.dev/schedule"  # of the runs that a schedule started: the name of its CronJob
TIME = "mlgen.dev/scheduled-for"  # their annotation: RFC 3339, UTC
TRIES, PAUSE_SECONDS = 6, 2.0
CANCEL = {"spec": {"status": "CancelledRunFinally"}}

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Start:
    """What a pod is to start. run: the PipelineRun without a name. job: the name of the Job that the pod is of."""

    cron_job: str
    pipeline: str
    schedule: Schedule
    run: Object
    job: str

    @staticmethod
    def read(data: bytes, job: str) -> Start:
        """Raises CannotAnswer for what another version has written."""
        try:
            found = json.loads(data)
            schedule = Schedule.from_json(found["schedule"])
            cron.parse(schedule.cron)
            return Start(str(found["cronJob"]), str(found["pipeline"]), schedule, dict(found["run"]), job)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            why = "`mlgen render` and the runtime image that mlgen.yaml names must be of versions that fit"
            raise CannotAnswer("bad-invocation", f"what this pod was given cannot be read: {error}", why=why) from None


class Server(Protocol):
    """An API server. An answer is its HTTP status and its JSON; OSError where there is none."""

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Object]: ...


def start(what: Start, server: Server, now: datetime, pause: Callable[[float], object] = time.sleep) -> str:
    """Create the run of the time; a line of what was done. Raises CannotAnswer where the cluster refuses it."""
    scheduled = scheduled_for(what, now)
    name = what.schedule.run_name(what.pipeline, scheduled)
    run = named(what, name, scheduled)
    runs = f"/apis/tekton.dev/v1/namespaces/{quote(str(run['metadata']['namespace']))}/pipelineruns"
    asking = _Asking(server, pause)
    at = f"{scheduled:%Y-%m-%dT%H:%M:%SZ}"
    said = ""
    if what.schedule.concurrency is not Concurrency.ALLOW:
        there = asking.items(runs, what)
        if name in {one["metadata"]["name"] for one in there}:
            return f"{name} is there already, for {at}"
        going = sorted(one["metadata"]["name"] for one in there if not _ended(one))
        if going and what.schedule.concurrency is Concurrency.FORBID:
            return f"{name} is not started, for {at}: {', '.join(going)} still goes on, and `concurrency` is forbid"
        for other in going:
            asking.answer("PATCH", f"{runs}/{quote(other)}", CANCEL, fine=(200, 404))
        said = f", in place of {', '.join(going)}" if going else ""
    status, _ = asking.answer("POST", runs, run, fine=(200, 201, 409))
    return f"{name} is there already, for {at}" if status == 409 else f"{name} is started, for {at}{said}"


def scheduled_for(what: Start, now: datetime) -> datetime:
    """The time that a Job is for: Kubernetes has it in the name, in minutes. Of one that people made: the latest."""
    schedule, read = what.schedule, cron.parse(what.schedule.cron)
    match = re.fullmatch(rf"{re.escape(what.cron_job)}-([0-9]{{1,9}})", what.job)
    if match:
        named_time = datetime.fromtimestamp(60 * int(match[1]), UTC)
        if named_time in cron.between(read, schedule.zone, named_time - timedelta(minutes=1), named_time):
            return named_time
    found = cron.latest(read, schedule.zone, now)
    if found is None:
        raise CannotAnswer("never-due", f'no time of "{schedule.cron}" has come yet')
    return found


def named(what: Start, name: str, scheduled: datetime) -> Object:
    """The PipelineRun of a time."""
    metadata = what.run["metadata"]
    notes = {**metadata.get("annotations", {}), TIME: f"{scheduled:%Y-%m-%dT%H:%M:%SZ}"}
    given = {key: pod.escape(text) for key, text in what.schedule.arguments(scheduled).items()}
    params = {one["name"]: one["value"] for one in what.run["spec"].get("params", [])} | given
    spec = {**what.run["spec"], "params": [{"name": key, "value": text} for key, text in sorted(params.items())]}
    if not params:
        del spec["params"]
    return {**what.run, "metadata": {**metadata, "name": name, "annotations": notes}, "spec": spec}


def _ended(run: Object) -> bool:
    return bool((run.get("status") or {}).get("completionTime"))


@dataclass(frozen=True, slots=True)
class _Asking:
    server: Server
    pause: Callable[[float], object]

    def items(self, runs: str, what: Start) -> list[Object]:
        labels = what.run["metadata"]["labels"]
        wanted = f"mlgen.dev/pipeline={what.pipeline},mlgen.dev/env={labels['mlgen.dev/env']},{LABEL}"
        _, found = self.answer("GET", f"{runs}?labelSelector={quote(wanted)}", None, fine=(200,))
        return list(found.get("items") or [])

    def answer(self, method: str, path: str, body: object, *, fine: tuple[int, ...]) -> tuple[int, Object]:
        """An answer that is fine; asked again where the server is not there, or busy."""
        problem = ""
        for left in reversed(range(TRIES)):
            try:
                status, found = self.server.ask(method, path, body)
            except OSError as error:
                problem = str(error)
            else:
                if status in fine:
                    return status, found
                problem = f"{status} {found.get('message', '')}".strip()
                if status != 429 and status < 500:
                    raise CannotAnswer("cluster-refused", f"the cluster refuses the run: {problem}", fix=_fix(status))
            if left:
                self.pause(PAUSE_SECONDS)
        raise CannotAnswer("cluster-unreachable", f"the API server does not answer: {problem}")


def _fix(status: int) -> str:
    if status == 404:
        return "install Tekton, and apply tekton/<env>/manifests"
    return "apply tekton/<env>/manifests whole: Role and RoleBinding of the schedule are there" if status == 403 else ""


def main() -> str:
    """The start of this pod. Raises CannotAnswer."""
    try:
        data = (Path(FOLDER) / FILE).read_bytes()
    except OSError as error:
        raise CannotAnswer("bad-invocation", f"nothing is to be started: {error}") from None
    from mlgen.runtime.pod.api_server import InCluster  # here: what renders a start asks nobody

    return start(Start.read(data, os.environ.get("MLGEN_JOB", "")), InCluster(os.environ), datetime.now(UTC))
