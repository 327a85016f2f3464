"""Pipeline, Tasks and PipelineRun → the Pods that Tekton makes of them, in the fields that policies read.

A Pod is the only object in which a GPU stands beside its toleration, and a limit beside the label of whose it is; but
none is there when a pull request is reviewed. What only a run knows is left as it is written: `$(params.x)` of a
result, the five random letters of a run's name, uids. Volumes and mounts of Tekton's own are there, its arguments too.

Source: tektoncd/pipeline v1.15 pkg/pod/{pod,entrypoint,script}.go; defaults of the API server: k8s.io/kubernetes
pkg/apis/core/v1/defaults.go. `tests/e2e/test_pods.py` compares with pods of a real cluster.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlgen.spec.quantities import duration_seconds

Object = Mapping[str, Any]
Data = dict[str, Any]

RUN_SUFFIX = "xxxxx"  # what the API server adds to a run's generateName, five letters and digits
DEADLINE_FACTOR = 1.5
# As Tekton's release has them; the digests are those of an installation, and of no policy's concern.
NO_DIGEST = f"sha256:{'0' * 64}"
ENTRYPOINT_IMAGE = f"ghcr.io/tektoncd/pipeline/entrypoint:v1.15.0@{NO_DIGEST}"
SHELL_IMAGE = f"cgr.dev/chainguard/busybox@{NO_DIGEST}"

_ENTRYPOINT = "/tekton/bin/entrypoint"
_LEFT_OUT = ("kubectl.kubernetes.io/last-applied-configuration",)  # annotations that Tekton does not hand on
# Taken whole from the more special of two templates; Tekton merges no other key than env and volumes.
_TEMPLATE = (
    "nodeSelector", "tolerations", "affinity", "securityContext", "runtimeClassName", "automountServiceAccountToken",
    "schedulerName", "hostNetwork", "hostUsers", "dnsPolicy", "dnsConfig", "enableServiceLinks", "priorityClassName",
    "imagePullSecrets", "hostAliases", "topologySpreadConstraints",
)  # fmt: skip
_IMPLICIT = ("workspace", "home", "results", "steps", "artifacts")
_TOLERATED_SECONDS = 300
# What the admission plugin DefaultTolerationSeconds adds before policies look.
_ADDED_TOLERATIONS = [
    {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute",
     "tolerationSeconds": _TOLERATED_SECONDS}
    for key in ("not-ready", "unreachable")
]  # fmt: skip
_SECURITY: Data = {  # of Tekton's own containers, by its flag set-security-context
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
_CONTAINER: Data = {"terminationMessagePolicy": "File", "imagePullPolicy": "IfNotPresent"}


@dataclass(frozen=True, slots=True)
class Projected:
    """A Pod as it will be. task: the pipeline's name for it. attempt: 0, or the last retry."""

    task: str
    attempt: int
    pod: Data


def pods(pipeline: Object, tasks: Iterable[Object], run: Object) -> Iterator[Projected]:
    """The pods of a run: of each task the first, and the last retry where there is one.

    tasks: the Tasks that the Pipeline refers to by name. All are plain data, as `render` makes them; nothing of them
    is changed, and parts of them are in the pods.
    """
    by_name = {task["metadata"]["name"]: task for task in tasks}
    spec = pipeline["spec"]
    for entry in (*spec.get("tasks", ()), *spec.get("finally", ())):
        task = by_name[entry["taskRef"]["name"]]
        first = _pod(entry, task, pipeline, run)
        yield Projected(entry["name"], 0, first)
        if retries := entry.get("retries", 0):
            meta = first["metadata"]
            again = {**first, "metadata": {**meta, "name": f"{meta['name']}-retry{retries}"}}
            yield Projected(entry["name"], retries, again)


def _pod(entry: Object, task: Object, pipeline: Object, run: Object) -> Data:
    spec, given = task["spec"], run["spec"]
    special: Object = next((s for s in given.get("taskRunSpecs", ()) if s["pipelineTaskName"] == entry["name"]), {})
    common = given.get("taskRunTemplate", {})
    template = {**common.get("podTemplate", {}), **special.get("podTemplate", {})}
    steps, sidecars = list(_steps(spec)), spec.get("sidecars", ())
    account = special.get("serviceAccountName") or common.get("serviceAccountName") or "default"
    body: Data = {
        "restartPolicy": "Never",
        "initContainers": _init_containers(steps, sidecars),
        "containers": [*_ordered(steps, spec), *(_container(s, "sidecar-") for s in sidecars)],
        "serviceAccountName": account,
        "serviceAccount": account,
        "volumes": [*_volumes(steps, sidecars), *spec.get("volumes", ()), *template.get("volumes", ())],
        "activeDeadlineSeconds": int(duration_seconds(entry["timeout"]) * DEADLINE_FACTOR),
        "dnsPolicy": "ClusterFirst",
        "schedulerName": "default-scheduler",
        "terminationGracePeriodSeconds": 30,
        "enableServiceLinks": True,
        "securityContext": {},
        "priority": 0,
        "preemptionPolicy": "PreemptLowerPriority",
        **{key: template[key] for key in _TEMPLATE if key in template},
    }
    body["tolerations"] = [*body.get("tolerations", ()), *_ADDED_TOLERATIONS]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": _metadata(entry, task, pipeline, run), "spec": body}


def _metadata(entry: Object, task: Object, pipeline: Object, run: Object) -> Data:
    own, its = run["metadata"], task["metadata"]
    name = own.get("name") or own["generateName"] + RUN_SUFFIX
    task_run = f"{name}-{entry['name']}"
    annotations = {**its.get("annotations", {}), **own.get("annotations", {})}
    return {
        "name": f"{task_run}-pod",
        "namespace": its["namespace"],
        "annotations": {key: text for key, text in annotations.items() if key not in _LEFT_OUT},
        "labels": {
            **its.get("labels", {}),
            **own.get("labels", {}),
            "app.kubernetes.io/managed-by": "tekton-pipelines",
            "tekton.dev/memberOf": "tasks" if entry in pipeline["spec"].get("tasks", ()) else "finally",
            "tekton.dev/pipeline": pipeline["metadata"]["name"],
            "tekton.dev/pipelineRun": name,
            "tekton.dev/pipelineTask": entry["name"],
            "tekton.dev/task": its["name"],
            "tekton.dev/taskRun": task_run,
        },
    }


def _steps(spec: Object) -> Iterator[Data]:
    """The steps with what the stepTemplate says of all of them; only a step's own env is added to the template's."""
    template = spec.get("stepTemplate", {})
    for step in spec["steps"]:
        yield {**template, **{key: value for key, value in step.items() if value not in ({}, [])}}


def _ordered(steps: Sequence[Data], spec: Object) -> Iterator[Data]:
    """The steps' containers: Tekton's entrypoint waits for the step before, then starts the step's own program."""
    names = ",".join(result["name"] for result in spec.get("results", ()))
    for index, step in enumerate(steps):
        container = _container(step, "step-")
        wait = ["-wait_file", f"/tekton/run/{index - 1}/out"] if index else []
        if not index and spec.get("sidecars"):
            wait = ["-wait_file", "/tekton/downward/ready", "-wait_file_content"]
        command = container.get("command", [])
        container["args"] = [
            *wait,
            *("-post_file", f"/tekton/run/{index}/out", "-termination_path", "/tekton/termination"),
            *("-step_metadata_dir", f"/tekton/run/{index}/status"),
            *(("-on_error", step["onError"]) if "onError" in step else ()),
            *(("-timeout", step["timeout"]) if "timeout" in step else ()),
            *(("-results", names) if names else ()),
            *(("-entrypoint", command[0]) if command else ()),
            "--",
            *command[1:],
            *container.get("args", ()),
        ]
        container["command"] = [_ENTRYPOINT]
        container["terminationMessagePath"] = "/tekton/termination"
        container["volumeMounts"] = [*container.get("volumeMounts", ()), *_mounts(index, len(steps))]
        yield container


def _mounts(index: int, count: int) -> Iterator[Data]:
    for other in range(count):
        mount: Data = {"name": f"tekton-internal-run-{other}", "mountPath": f"/tekton/run/{other}"}
        yield mount if other == index else {**mount, "readOnly": True}
    yield {"name": "tekton-internal-bin", "mountPath": "/tekton/bin", "readOnly": True}
    for name in _IMPLICIT:
        path = "/workspace" if name == "workspace" else f"/tekton/{name}"
        mount = {"name": f"tekton-internal-{name}", "mountPath": path}
        yield {**mount, "readOnly": True} if name == "steps" else mount


def _container(step: Object, prefix: str) -> Data:
    """A step or sidecar as a container, with what the API server fills in."""
    kept = ("image", "workingDir", "env", "envFrom", "volumeMounts", "securityContext", "command", "args", "ports")
    found: Data = {"name": f"{prefix}{step['name']}", **_CONTAINER, "terminationMessagePath": "/dev/termination-log"}
    found |= {key: step[key] for key in kept if key in step}
    found["resources"] = _resources(step.get("computeResources", {}))
    if "script" in step:
        found["command"] = [f"/tekton/scripts/{_script_name(step, prefix)}"]
        mounts = found.get("volumeMounts", ())
        scripts = {"name": "tekton-internal-scripts", "mountPath": "/tekton/scripts", "readOnly": True}
        found["volumeMounts"] = [*mounts, scripts]
    return found


def _script_name(step: Object, prefix: str) -> str:
    return f"{'script' if prefix == 'step-' else 'sidecar-script'}-{step['name']}"


def _resources(given: Object) -> Data:
    """Requests follow limits where they are not given. Source: SetDefaults_Pod."""
    limits = given.get("limits", {})
    requests = {**limits, **given.get("requests", {})}
    return {**({"limits": limits} if limits else {}), **({"requests": requests} if requests else {})}


def _init_containers(steps: Sequence[Data], sidecars: Sequence[Object]) -> list[Data]:
    names = [f"step-{step['name']}" for step in steps]
    found = [
        _own("prepare", ENTRYPOINT_IMAGE, ["/ko-app/entrypoint", "init", "/ko-app/entrypoint", _ENTRYPOINT, *names])
    ]
    scripts = [(s["script"], _script_name(s, prefix)) for prefix, all_ in (("step-", steps), ("sidecar-", sidecars))
               for s in all_ if "script" in s]  # fmt: skip
    if scripts:
        placed = _own("place-scripts", SHELL_IMAGE, ["sh"])
        placed["args"] = ["-c", "".join(_place(script, name) for script, name in scripts)]
        found.append(placed)
    return found


def _own(name: str, image: str, command: list[str]) -> Data:
    mount = {"name": "tekton-internal-bin", "mountPath": "/tekton/bin"}
    where = ("steps", "/tekton/steps") if name == "prepare" else ("scripts", "/tekton/scripts")
    other = {"name": f"tekton-internal-{where[0]}", "mountPath": where[1]}
    return {
        "name": name,
        "image": image,
        "command": command,
        "securityContext": _SECURITY,
        "resources": {},
        "volumeMounts": [mount, other],
        **_CONTAINER,
        "terminationMessagePath": "/dev/termination-log",
    }


def _place(script: str, name: str) -> str:
    path, text = f"/tekton/scripts/{name}", base64.b64encode(script.encode()).decode()
    return (
        f'scriptfile="{path}"\ntouch ${{scriptfile}} && chmod +x ${{scriptfile}}\n'
        f"cat > ${{scriptfile}} << '_EOF_'\n{text}\n_EOF_\n{_ENTRYPOINT} decode-script \"${{scriptfile}}\"\n"
    )


def _volumes(steps: Sequence[Data], sidecars: Sequence[Object]) -> Iterator[Data]:
    scripts = any("script" in one for one in (*steps, *sidecars))
    names = [*_IMPLICIT, *(["scripts"] if scripts else []), "bin"]
    for name in names:
        yield {"name": f"tekton-internal-{name}", "emptyDir": {}}
    if sidecars:
        ready = {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.annotations['tekton.dev/ready']"}}
        yield {
            "name": "tekton-internal-downward",
            "downwardAPI": {"defaultMode": 420, "items": [{"path": "ready", **ready}]},
        }
    for index in range(len(steps)):
        yield {"name": f"tekton-creds-init-home-{index}", "emptyDir": {"medium": "Memory"}}
        yield {"name": f"tekton-internal-run-{index}", "emptyDir": {}}
