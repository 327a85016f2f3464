"""Steps and sidecars of a Task → the containers and volumes of its pod, as Tekton makes them.

Source: tektoncd/pipeline v1.15 pkg/pod/{pod,entrypoint,script}.go; defaults of the API server: k8s.io/kubernetes
pkg/apis/core/v1/defaults.go.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

Object = Mapping[str, Any]
Data = dict[str, Any]

RANDOM = "xxxxx"  # five letters and digits that nobody knows before
NO_DIGEST = f"sha256:{'0' * 64}"


@dataclass(frozen=True, slots=True)
class Images:
    """What Tekton puts into pods: as it releases them, but for digests, which each release has anew."""

    entrypoint: str = f"ghcr.io/tektoncd/pipeline/entrypoint:v1.15.0@{NO_DIGEST}"
    shell: str = f"cgr.dev/chainguard/busybox@{NO_DIGEST}"


RELEASED = Images()


def images_given(text: str) -> Images | None:
    """The images in what Tekton's controller is given: `-entrypoint-image X -shell-image Y`.

    text: that, or the beginnings of image names; None where these are none of those that Tekton releases.
    """
    words = text.split()
    given = dict(pairwise(words))
    known = {"entrypoint": given.get("-entrypoint-image"), "shell": given.get("-shell-image")}
    found = replace(RELEASED, **{name: image for name, image in known.items() if image})
    unsaid = [getattr(RELEASED, name) for name, image in known.items() if not image]
    return found if all(any(_begins(image, word) for word in words) for image in unsaid) else None


def _begins(image: str, word: str) -> bool:
    return image.startswith(word) if word.endswith(("/", "@")) else image == word


_ENTRYPOINT = "/tekton/bin/entrypoint"
_IMPLICIT = ("workspace", "home", "results", "steps", "artifacts")
_SECURITY: Data = {  # of Tekton's own containers, by its flag set-security-context
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
_READY_MOUNT: Data = {"name": "tekton-internal-downward", "mountPath": "/tekton/downward", "readOnly": True}
_CONTAINER: Data = {"terminationMessagePolicy": "File", "imagePullPolicy": "IfNotPresent"}
_LATEST = re.compile(r"[^:@]*(?::[0-9]+/[^:@]*)?(?::latest)?")  # no tag or this one, and no digest


def merged(spec: Object) -> Iterator[Data]:
    """The steps with what the stepTemplate says of all of them; only a step's own env is added to the template's."""
    template = spec.get("stepTemplate", {})
    for step in spec["steps"]:
        yield {**template, **{key: value for key, value in step.items() if value not in ({}, [])}}


def ordered(steps: Sequence[Data], spec: Object) -> Iterator[Data]:
    """The steps' containers: Tekton's entrypoint waits for the step before, then starts the step's own program."""
    names = ",".join(result["name"] for result in spec.get("results", ()))
    for index, step in enumerate(steps):
        container = container_of(step, "step-", index)
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
        ready = [_READY_MOUNT] if not index and spec.get("sidecars") else []
        container["volumeMounts"] = [*container.get("volumeMounts", ()), *ready, *_mounts(index, len(steps))]
        yield container


def _mounts(index: int, count: int) -> Iterator[Data]:
    yield {"name": f"tekton-creds-init-home-{index}", "mountPath": "/tekton/creds"}
    for other in range(count):
        mount: Data = {"name": f"tekton-internal-run-{other}", "mountPath": f"/tekton/run/{other}"}
        yield mount if other == index else {**mount, "readOnly": True}
    yield {"name": "tekton-internal-bin", "mountPath": "/tekton/bin", "readOnly": True}
    for name in _IMPLICIT:
        path = "/workspace" if name == "workspace" else f"/tekton/{name}"
        mount = {"name": f"tekton-internal-{name}", "mountPath": path}
        yield {**mount, "readOnly": True} if name == "steps" else mount


def container_of(step: Object, prefix: str, index: int) -> Data:
    """A step or sidecar as a container, with what the API server fills in."""
    kept = ("image", "workingDir", "env", "envFrom", "volumeMounts", "securityContext", "command", "args", "ports")
    found: Data = {"name": f"{prefix}{step['name']}", **_CONTAINER, "terminationMessagePath": "/dev/termination-log"}
    found |= {key: step[key] for key in kept if key in step}
    if _LATEST.fullmatch(str(step.get("image", ""))):
        found["imagePullPolicy"] = "Always"
    found["resources"] = _resources(step.get("computeResources", {}))
    if "script" in step:
        found["command"] = [_script_path(prefix, index)]
        mount = {"name": "tekton-internal-scripts", "mountPath": "/tekton/scripts", "readOnly": True}
        found["volumeMounts"] = [*found.get("volumeMounts", ()), mount]
    return found


def with_defaults(container: Object) -> Data:
    """A container of a pod as somebody wrote it, with what the API server fills in."""
    pull = "Always" if _LATEST.fullmatch(str(container.get("image", ""))) else "IfNotPresent"
    found: Data = {**_CONTAINER, "terminationMessagePath": "/dev/termination-log", "imagePullPolicy": pull, **container}
    return {**found, "resources": _resources(container.get("resources", {}))}


def _script_path(prefix: str, index: int) -> str:
    return f"/tekton/scripts/{'script' if prefix == 'step-' else 'sidecar-script'}-{index}-{RANDOM}"


def _resources(given: Object) -> Data:
    """Requests follow limits where they are not given. Source: SetDefaults_Pod."""
    limits = given.get("limits", {})
    requests = {**limits, **given.get("requests", {})}
    return {**({"limits": limits} if limits else {}), **({"requests": requests} if requests else {})}


def init_containers(steps: Sequence[Data], sidecars: Sequence[Object], images: Images) -> list[Data]:
    names = [f"step-{step['name']}" for step in steps]
    prepare = {
        **_own("prepare", images.entrypoint, ("bin", "steps")),
        "command": ["/ko-app/entrypoint", "init", "/ko-app/entrypoint", _ENTRYPOINT, *names],
        "workingDir": "/",
    }
    scripts = [
        (step["script"], _script_path(prefix, index))
        for prefix, all_ in (("step-", steps), ("sidecar-", sidecars))
        for index, step in enumerate(all_)
        if "script" in step
    ]
    if not scripts:
        return [prepare]
    placed = {
        **_own("place-scripts", images.shell, ("scripts", "bin")),
        "command": ["sh"],
        "args": ["-c", "".join(_place(script, path) for script, path in scripts)],
    }
    return [prepare, placed]


def _own(name: str, image: str, folders: tuple[str, ...]) -> Data:
    """One of Tekton's own init containers."""
    return {
        "name": name,
        "image": image,
        "securityContext": _SECURITY,
        "resources": {},
        "volumeMounts": [{"name": f"tekton-internal-{name}", "mountPath": f"/tekton/{name}"} for name in folders],
        **_CONTAINER,
        "terminationMessagePath": "/dev/termination-log",
    }


def _place(script: str, path: str) -> str:
    text = base64.b64encode(script.encode()).decode()
    return (
        f'scriptfile="{path}"\ntouch ${{scriptfile}} && chmod +x ${{scriptfile}}\n'
        f"cat > ${{scriptfile}} << '_EOF_'\n{text}\n_EOF_\n{_ENTRYPOINT} decode-script \"${{scriptfile}}\"\n"
    )


def volumes(steps: Sequence[Data], sidecars: Sequence[Object]) -> Iterator[Data]:
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
