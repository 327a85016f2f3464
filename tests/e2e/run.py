"""A run in the cluster: started, waited for, disturbed, and asked what became of it."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import obstore
import yaml

from tests.e2e import api
from tests.e2e.api import Json
from tests.e2e.cluster import kubectl
from tests.e2e.lab import ENV, Project

PATIENCE_SECONDS = 300  # for anything: many runs share few cores
END_SECONDS = 60  # for a pod, once its task is over: 30 s of grace and what the kubelet takes
MAIN, SIDECAR = "step-main", "sidecar-results"

T = TypeVar("T")


def wait_for(what: str, look: Callable[[], T | None], *, seconds: float = PATIENCE_SECONDS) -> T:
    """What `look` gives as soon as it gives something."""
    until = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < until, f"waited {seconds:.0f} s for {what}"
        time.sleep(1)
    return found


def start(project: Project, pipeline: str, *, timeouts: dict[str, str] | None = None, **params: str) -> Run:
    """Create the rendered PipelineRun. params: as the manifest holds them, with every `$` doubled."""
    run = yaml.safe_load((project.root / "tekton" / ENV / "runs" / f"{pipeline}.yaml").read_text())
    given = {p["name"]: p["value"] for p in run["spec"].get("params", [])} | params
    run["spec"]["params"] = [{"name": name, "value": value} for name, value in given.items()]
    run["spec"]["timeouts"] = timeouts or run["spec"]["timeouts"]
    made = json.loads(kubectl("create", "-o", "json", "-f", "-", given=run))["metadata"]
    return Run(project, made["name"], made["uid"])


@dataclass(frozen=True)
class Told:
    """What ledger and spool tell of a run. executions: the `mlgen_task` facets, by start, with `outputs` and `error`
    beside them. run, reconciled: run.json and run.reconciled.json."""

    executions: list[Json]
    run: Json | None
    reconciled: Json | None

    def of(self, task: str) -> list[Json]:
        return [e for e in self.executions if e["task"] == task]

    def only(self, task: str) -> Json:
        """The task's one execution: one record, no more and no less."""
        found = self.of(task)
        assert len(found) == 1, f"{task} has {len(found)} records: {json.dumps(found, indent=1)}"
        return found[0]

    def statuses(self) -> tuple[str, dict[str, str]]:
        """State of the run, and status of each task, by run.json."""
        assert self.run is not None, "there is no run.json"
        return self.run["state"], {name: task["status"] for name, task in self.run["tasks"].items()}


@dataclass(frozen=True)
class Run:
    project: Project
    name: str
    uid: str

    def status(self) -> Json:
        path = f"/apis/tekton.dev/v1/namespaces/{self.project.name}/pipelineruns/{self.name}"
        found: Json = api.get(path).get("status", {})
        return found

    def done(self) -> str:
        """Wait for the end; Tekton's reason."""

        def look() -> Json | None:
            status = self.status()
            return status if "completionTime" in status else None

        reason: str = wait_for(f"the end of {self.name}", look)["conditions"][0]["reason"]
        return reason

    def settled(self) -> str:
        """Wait for the end of the run and of its pods, none of which may stay up; Tekton's reason."""
        reason = self.done()
        wait_for(f"the end of the pods of {self.name}: {self._up()}", lambda: not self._up(), seconds=END_SECONDS)
        return reason

    def _up(self) -> list[str]:
        ended = ("Succeeded", "Failed")
        return [pod["metadata"]["name"] for pod in self.pods() if pod["status"]["phase"] not in ended]

    def task_reason(self, task: str) -> str | None:
        """Tekton's reason for the end of a task; None while it has not ended."""
        path = f"/apis/tekton.dev/v1/namespaces/{self.project.name}/taskruns"
        runs = api.get(path, labelSelector=self._label(task))["items"]
        ended = [t for t in runs if "completionTime" in t.get("status", {})]
        return next((str(t["status"]["conditions"][0]["reason"]) for t in ended), None)

    def reconcile(self) -> None:
        """What the CronJob does each minute, without the time that it gives pods."""
        self.project.mlgen("ledger", "reconcile", "--env", ENV, "--grace", "1s")

    def pods(self, task: str | None = None) -> list[Json]:
        """The pods of the run, or of one task, by age."""
        path = f"/api/v1/namespaces/{self.project.name}/pods"
        found: list[Json] = api.get(path, labelSelector=self._label(task))["items"]
        return sorted(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def _label(self, task: str | None) -> str:
        run = f"tekton.dev/pipelineRun={self.name}"
        return f"{run},tekton.dev/pipelineTask={task}" if task else run

    def pod(self, task: str) -> Json:
        """The latest pod of a task, as soon as there is one."""
        return wait_for(f"a pod of {task}", lambda: self.pods(task))[-1]

    def says(self, task: str, text: str, *, container: str = MAIN) -> Json:
        """Wait until a task's program has printed a text; its pod."""

        def look() -> Json | None:
            pod = self.pod(task)
            return pod if text in self.log(pod, container) else None

        return wait_for(f'"{text}" from {task}', look)

    def log(self, pod: Json, container: str = MAIN) -> str:
        """What a container has printed so far; nothing where it has not begun."""
        return api.log(self.project.name, pod["metadata"]["name"], container)

    def stop(self, how: str) -> None:
        """Ask Tekton to stop the run. how: `spec.status` of the PipelineRun."""
        patch = json.dumps({"spec": {"status": how}})
        kubectl("patch", "pipelinerun", self.name, "-n", self.project.name, "--type=merge", "-p", patch)

    def told(self) -> Told:
        """What ledger and spool tell, each record once, wherever it is."""
        everything = [*self.project.landed().values(), *self.project.spooled()]
        once = {json.dumps(record, sort_keys=True): record for record in everything}.values()
        events = [record for record in once if record.get("eventType") is not None]
        executions = [_execution(event) for event in events]
        ours = [e for e in executions if e["tekton"]["pipelineRunUid"] == self.uid]
        runs = [r for r in once if r.get("eventType") is None and r["uid"] == self.uid]
        own = [r for r in runs if not r.get("reconciled")]
        reconciled = [r for r in runs if r.get("reconciled")]
        assert len(own) <= 1, own
        assert len(reconciled) <= 1, reconciled
        executions_by_start = sorted(ours, key=lambda e: (str(e["startedAt"]), e["attempt"]))
        return Told(executions_by_start, next(iter(own), None), next(iter(reconciled), None))

    def bytes_of(self, output: Json) -> bytes:
        """An artifact that is a file, from the bucket, after its digest was compared with what the record says."""
        key = output["uri"].removeprefix(f"{self.project.artifacts}/")
        data = bytes(obstore.get(self.project.bucket(), key).bytes())
        assert "sha256:" + hashlib.sha256(data).hexdigest() == output["sha256"], output
        return data


def _execution(event: Json) -> Json:
    facets = event["run"]["facets"]
    outputs = {}
    for dataset in event["outputs"]:
        about = dataset["facets"]["mlgen_artifact"]
        digest = about["sha256"]
        digest = digest if digest.startswith("sha256:") else f"sha256:{digest}"
        uri = dataset["name"] if "://" in dataset["name"] else f"{dataset['namespace']}/{dataset['name']}"
        outputs[about["name"]] = {"uri": uri, "sha256": digest}
    error = facets.get("errorMessage", {}).get("message", "")
    return {**facets["mlgen_task"], "runId": event["run"]["runId"], "outputs": outputs, "error": error}
