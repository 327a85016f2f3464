"""Pipeline, Tasks and PipelineRun → the Pods that Tekton makes of them, in the fields that policies read.

A Pod is the only object in which a GPU stands beside its toleration, and a limit beside the label of whose it is; but
none is there when a pull request is reviewed. What only a run knows is left as it is written, `$(params.x)` of another
task's result; five random letters are `xxxxx`, and each uid is nought.

Source: tektoncd/pipeline v1.15 pkg/pod/{pod,entrypoint,script}.go; defaults of the API server: k8s.io/kubernetes
pkg/apis/core/v1/defaults.go. `tests/e2e/test_policy_pods.py` compares with pods of a real cluster.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mlgen.policy.containers import (
    RANDOM,
    RELEASED,
    Images,
    container_of,
    init_containers,
    merged,
    ordered,
    volumes,
    with_defaults,
)
from mlgen.policy.filled import UID, filled
from mlgen.policy.stored import labels_of_job
from mlgen.spec.quantities import duration_seconds

Object = Mapping[str, Any]
Data = dict[str, Any]

DEADLINE_FACTOR = 1.5
RELEASE = "v1.15.0"

_LEFT_OUT = ("kubectl.kubernetes.io/last-applied-configuration",)  # annotations that Tekton does not hand on
# Taken whole from the more special of two templates; Tekton merges no other key than env and volumes.
_TEMPLATE = (
    "nodeSelector", "tolerations", "affinity", "securityContext", "runtimeClassName", "automountServiceAccountToken",
    "schedulerName", "hostNetwork", "hostUsers", "dnsPolicy", "dnsConfig", "enableServiceLinks", "priorityClassName",
    "imagePullSecrets", "hostAliases", "topologySpreadConstraints",
)  # fmt: skip
_TOLERATED_SECONDS = 300
# What the admission plugin DefaultTolerationSeconds adds before policies look.
_ADDED_TOLERATIONS = [
    {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute",
     "tolerationSeconds": _TOLERATED_SECONDS}
    for key in ("not-ready", "unreachable")
]  # fmt: skip
RANDOM_MINUTE = "29000000"  # of a CronJob's next Job: the minutes since 1970
_DEFAULTS: Data = {
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
    "terminationGracePeriodSeconds": 30,
    "enableServiceLinks": True,
    "securityContext": {},
    "priority": 0,
    "preemptionPolicy": "PreemptLowerPriority",
}


@dataclass(frozen=True, slots=True)
class Projected:
    """A Pod as it will be. task: the pipeline's name for it. attempt: 0, or the last retry."""

    task: str
    attempt: int
    pod: Data


def pods(pipeline: Object, tasks: Iterable[Object], run: Object, images: Images = RELEASED) -> Iterator[Projected]:
    """The pods of a run: of each task the first, and the last retry where there is one. images: Tekton's own.

    tasks: the Tasks that the Pipeline refers to by name. All are plain data, as `render` makes them; nothing of them
    is changed, and parts of them are in the pods.
    """
    by_name = {task["metadata"]["name"]: task for task in tasks}
    spec = pipeline["spec"]
    for entry in (*spec.get("tasks", ()), *spec.get("finally", ())):
        task = by_name[entry["taskRef"]["name"]]
        first = _pod(entry, filled(task, entry, run, _run_name(run)), pipeline, run, images)
        yield Projected(entry["name"], 0, first)
        if retries := entry.get("retries", 0):
            meta = first["metadata"]
            again = {**first, "metadata": {**meta, "name": f"{meta['name']}-retry{retries}"}}
            yield Projected(entry["name"], retries, again)


def _run_name(run: Object) -> str:
    own = run["metadata"]
    return str(own.get("name") or own["generateName"] + RANDOM)


def _pod(entry: Object, task: Object, pipeline: Object, run: Object, images: Images) -> Data:
    spec, given = task["spec"], run["spec"]
    special: Object = next((s for s in given.get("taskRunSpecs", ()) if s["pipelineTaskName"] == entry["name"]), {})
    common = given.get("taskRunTemplate", {})
    template = {**common.get("podTemplate", {}), **special.get("podTemplate", {})}
    steps, sidecars = list(merged(spec)), spec.get("sidecars", ())
    account = special.get("serviceAccountName") or common.get("serviceAccountName") or "default"
    body: Data = {
        "restartPolicy": "Never",
        "initContainers": init_containers(steps, sidecars, images),
        "containers": [*ordered(steps, spec), *(container_of(s, "sidecar-", i) for i, s in enumerate(sidecars))],
        "serviceAccountName": account,
        "serviceAccount": account,
        "volumes": [*volumes(steps, sidecars), *spec.get("volumes", ()), *template.get("volumes", ())],
        "activeDeadlineSeconds": int(duration_seconds(entry["timeout"]) * DEADLINE_FACTOR),
        **_DEFAULTS,
        **{key: template[key] for key in _TEMPLATE if key in template},
    }
    body["tolerations"] = [*body.get("tolerations", ()), *_ADDED_TOLERATIONS]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": _metadata(entry, task, pipeline, run), "spec": body}


def _metadata(entry: Object, task: Object, pipeline: Object, run: Object) -> Data:
    own, its, graph = run["metadata"], task["metadata"], pipeline["metadata"]
    name = _run_name(run)
    task_run = f"{name}-{entry['name']}"
    annotations = {**its.get("annotations", {}), **graph.get("annotations", {}), **own.get("annotations", {})}
    return {
        "name": f"{task_run}-pod",
        "namespace": its["namespace"],
        "annotations": {
            **{key: text for key, text in annotations.items() if key not in _LEFT_OUT},
            "pipeline.tekton.dev/release": RELEASE,
        },
        "ownerReferences": [
            {
                "apiVersion": "tekton.dev/v1",
                "kind": "TaskRun",
                "name": task_run,
                "uid": UID,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
        "labels": {
            **its.get("labels", {}),
            **graph.get("labels", {}),
            **own.get("labels", {}),
            "app.kubernetes.io/managed-by": "tekton-pipelines",
            "tekton.dev/memberOf": "tasks" if entry in pipeline["spec"].get("tasks", ()) else "finally",
            "tekton.dev/pipeline": pipeline["metadata"]["name"],
            "tekton.dev/pipelineRun": name,
            "tekton.dev/pipelineRunUID": UID,
            "tekton.dev/pipelineTask": entry["name"],
            "tekton.dev/task": its["name"],
            "tekton.dev/taskRun": task_run,
            "tekton.dev/taskRunUID": UID,
        },
    }


def pod_of_job(job: Object) -> Data:
    """The Pod that the cluster makes of a Job, or of the next Job of a CronJob.

    Source: k8s.io/kubernetes pkg/controller/job/job_controller.go; in a Job that is stored the API server has put
    these labels into the template already.
    """
    own, spec = job["metadata"], job["spec"]
    name = str(own.get("name") or own["generateName"] + RANDOM)
    if job["kind"] == "CronJob":
        name, spec = f"{name}-{RANDOM_MINUTE}", spec["jobTemplate"]["spec"]
    template = spec["template"]
    metadata = template.get("metadata", {})
    labels = {**metadata.get("labels", {}), **labels_of_job(name)}
    account = template["spec"].get("serviceAccountName", "default")
    body = {**_DEFAULTS, "serviceAccountName": account, "serviceAccount": account, **template["spec"]}
    body["containers"] = [with_defaults(one) for one in body["containers"]]
    body["tolerations"] = [*body.get("tolerations", ()), *_ADDED_TOLERATIONS]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": UID, "controller": True}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **metadata,
            "name": f"{name}-{RANDOM}",
            "generateName": f"{name}-",
            "namespace": job["metadata"]["namespace"],
            "labels": labels,
            "finalizers": ["batch.kubernetes.io/job-tracking"],
            "ownerReferences": [{**owner, "blockOwnerDeletion": True}],
        },
        "spec": body,
    }
