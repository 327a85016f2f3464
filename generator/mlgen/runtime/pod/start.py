"""`mlgen-runtime start`: in a CronJob's pod, creates the PipelineRun of the time for which the pod was started.

In a pod that an event made, that of the event: see `event_start`.

The run's name is a function of that time, so that a start that is told twice is one run. The API server is asked by the
standard library, with the token of the pod's own account: mlgen's client of clusters takes half a second to import.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Mapping
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
    notes = {TIME: f"{scheduled:%Y-%m-%dT%H:%M:%SZ}"}
    run = named(what.run, name, notes, what.schedule.arguments(scheduled))
    asking = Asking(server, pause)
    return create(run, LABEL, what.schedule.concurrency, f"for {scheduled:%Y-%m-%dT%H:%M:%SZ}", asking)


def create(run: Object, label: str, concurrency: Concurrency, words: str, asking: Asking) -> str:
    """Create a run, by the word of what starts it on those that still go on; a line of what was done.

    label: of the runs that were started in the same way. words: what it is for.
    """
    name, labels = str(run["metadata"]["name"]), run["metadata"]["labels"]
    runs = f"/apis/tekton.dev/v1/namespaces/{quote(str(run['metadata']['namespace']))}/pipelineruns"
    said = ""
    if concurrency is not Concurrency.ALLOW:
        wanted = ",".join(f"{key}={labels[key]}" for key in ("mlgen.dev/pipeline", "mlgen.dev/env")) + f",{label}"
        _, found = asking.answer("GET", f"{runs}?labelSelector={quote(wanted)}", None, fine=(200,))
        there = list(found.get("items") or [])
        if name in {one["metadata"]["name"] for one in there}:
            return f"{name} is there already, {words}"
        going = sorted(one["metadata"]["name"] for one in there if not _ended(one))
        if going and concurrency is Concurrency.FORBID:
            return f"{name} is not started, {words}: {', '.join(going)} still goes on, and `concurrency` is forbid"
        for other in going:
            asking.answer("PATCH", f"{runs}/{quote(other)}", CANCEL, fine=(200, 404))
        said = f", in place of {', '.join(going)}" if going else ""
    status, _ = asking.answer("POST", runs, run, fine=(200, 201, 409))
    return f"{name} is there already, {words}" if status == 409 else f"{name} is started, {words}{said}"


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


def named(run: Object, name: str, notes: Mapping[str, str], texts: Mapping[str, str]) -> Object:
    """A PipelineRun of that name, with annotations and the texts of params."""
    metadata = run["metadata"]
    notes = {**metadata.get("annotations", {}), **notes}
    given = {key: pod.escape(text) for key, text in texts.items()}
    params = {one["name"]: one["value"] for one in run["spec"].get("params", [])} | given
    spec = {**run["spec"], "params": [{"name": key, "value": text} for key, text in sorted(params.items())]}
    if not params:
        del spec["params"]
    return {**run, "metadata": {**metadata, "name": name, "annotations": notes}, "spec": spec}


def _ended(run: Object) -> bool:
    return bool((run.get("status") or {}).get("completionTime"))


@dataclass(frozen=True, slots=True)
class Asking:
    server: Server
    pause: Callable[[float], object]

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
    return (
        "apply tekton/<env>/manifests whole: Role and RoleBinding of what starts it are there" if status == 403 else ""
    )


def main() -> str:
    """The start of this pod. Raises CannotAnswer."""
    try:
        data = (Path(FOLDER) / FILE).read_bytes()
    except OSError as error:
        raise CannotAnswer("bad-invocation", f"nothing is to be started: {error}") from None
    from mlgen.runtime.pod import event_start  # here: it needs this file
    from mlgen.runtime.pod.api_server import InCluster  # here: what renders a start asks nobody

    if event_start.is_meant(data):
        return event_start.start(event_start.Start.read(data), event_start.event(), InCluster(os.environ))
    return start(Start.read(data, os.environ.get("MLGEN_JOB", "")), InCluster(os.environ), datetime.now(UTC))
