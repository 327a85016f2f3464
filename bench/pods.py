"""Measures what mlgen adds to a task in a cluster: python bench/pods.py [--rounds 10]

Three Tasks whose program does nothing take turns: a bare one, and what mlgen renders with `fold: run` and `fold: task`.
It wants what tests/e2e want (tests/e2e/settings.py); cpu of whole pods where this machine is the node.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "generator")]

from tests.e2e import api  # noqa: E402 - the path to it is made above
from tests.e2e.cluster import BUSYBOX, kubectl  # noqa: E402
from tests.e2e.lab import Lab, Project  # noqa: E402

SPEC = "tasks:\n  empty: {run: ':'}\n"
OURS = ("step-stage-in", "step-stage-out", "sidecar-results")
USED = re.compile(r"mlgen-runtime [a-z-]+: ([0-9.]+) s of cpu, ([0-9]+) MiB")


@dataclass(slots=True)
class Kind:
    """A way to run an empty task. wall: seconds from its creation until the TaskRun is done."""

    title: str
    project: Project
    task: str
    params: list[dict[str, Any]] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    used: dict[str, list[tuple[float, int]]] = field(default_factory=dict)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    with TemporaryDirectory(prefix="mlgen-bench-") as folder:
        lab = Lab(Path(folder))
        try:
            kinds = [bare(lab), rendered(lab, "run"), rendered(lab, "task")]
            for number in range(-1, rounds):  # the first round is not counted: images are pulled
                for kind in kinds:
                    print(f"round {number + 1}: {kind.title}", file=sys.stderr)
                    measure(kind, count=number >= 0)
        finally:
            lab.close()
    print("\n".join(table(kinds)))


def bare(lab: Lab) -> Kind:
    """The same program in a Task of one step."""
    project = lab.project("bare")
    step = {"name": "main", "image": BUSYBOX, "script": "#!/bin/sh\n:\n"}
    step["computeResources"] = {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "32Mi"}}  # type: ignore[assignment]
    restricted = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    step["securityContext"] = restricted  # type: ignore[assignment]
    metadata = {"name": "bare", "namespace": project.name}
    kubectl(
        "create",
        "-f",
        "-",
        given={"apiVersion": "tekton.dev/v1", "kind": "Task", "metadata": metadata, "spec": {"steps": [step]}},
    )
    return Kind("bare Tekton", project, "bare")


def rendered(lab: Lab, fold: str) -> Kind:
    """The Task that mlgen renders."""
    project = lab.project(f"fold-{fold}", fold=fold)
    project.pipeline("idle", SPEC)
    names = kubectl("get", "tasks", "-n", project.name, "-o", "name").split()
    [task] = [name.rpartition("/")[2] for name in names if "/idle-empty-" in name]
    run = [{"name": "mlgen-run", "value": "idle-bench"}, {"name": "mlgen-run-uid", "value": str(uuid.uuid4())}]
    return Kind(f"mlgen, fold: {fold}", project, task, [*run, {"name": "mlgen-values", "value": []}])


def measure(kind: Kind, *, count: bool) -> None:
    """Run the task once."""
    digest = f"sha256:{'0' * 64}"
    user = {"runAsNonRoot": True, "runAsUser": 1000, "fsGroup": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
    run = {
        "apiVersion": "tekton.dev/v1",
        "kind": "TaskRun",
        "metadata": {
            "name": f"{kind.task[:30]}-{uuid.uuid4().hex[:8]}",
            "namespace": kind.project.name,
            "annotations": {
                "mlgen.dev/spec-digest": digest,
                "mlgen.dev/plan-digest": digest,
                "mlgen.dev/source": "bench",
            },
        },
        "spec": {
            "taskRef": {"name": kind.task},
            "params": kind.params,
            "podTemplate": {
                "securityContext": user,
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
            },
        },
    }
    path = f"/apis/tekton.dev/v1/namespaces/{kind.project.name}/taskruns"
    began = time.perf_counter()
    kubectl("create", "-f", "-", given=run)
    cpu = PodCpu()
    while True:
        status = api.get(f"{path}/{run['metadata']['name']}").get("status", {})  # type: ignore[index]
        if "podName" in status:
            cpu.look(kind.project.name, status["podName"])
        if "completionTime" in status:
            break
        time.sleep(0.05)
    wall = time.perf_counter() - began
    condition = status["conditions"][0]
    if condition["status"] != "True":
        raise SystemExit(f"{kind.title}: {json.dumps(condition)}")
    pod = f"/api/v1/namespaces/{kind.project.name}/pods/{status['podName']}"
    while api.get(pod)["status"]["phase"] == "Running":
        cpu.look(kind.project.name, status["podName"])
        time.sleep(0.05)
    if not count:
        return
    kind.wall.append(wall)
    if cpu.seconds is not None:
        kind.cpu.append(cpu.seconds)
    for container in OURS if kind.params else ():
        log = kubectl("logs", "-n", kind.project.name, status["podName"], "-c", container)
        if told := USED.search(log):
            kind.used.setdefault(container, []).append((float(told[1]), int(told[2])))


class PodCpu:
    """The cpu seconds of a pod as the kernel counts them, last seen before its group of processes is removed."""

    def __init__(self) -> None:
        self.seconds: float | None = None
        self._file: Path | None = None

    def look(self, namespace: str, pod: str) -> None:
        if self._file is None:
            uid = api.get(f"/api/v1/namespaces/{namespace}/pods/{pod}")["metadata"]["uid"]
            for root, name in (("/sys/fs/cgroup/cpuacct", "cpuacct.usage"), ("/sys/fs/cgroup", "cpu.stat")):
                found = [
                    p
                    for p in Path(root).glob(f"kubepods*/**/*{name}")
                    if p.parent.name.endswith((uid, f"{uid.replace('-', '_')}.slice"))
                ]
                self._file = found[0] if found else None
                if found:
                    break
        if self._file is not None:
            try:
                text = self._file.read_text()
            except OSError:
                return
            microseconds = re.match(r"usage_usec (\d+)", text)
            self.seconds = int(microseconds[1]) / 1e6 if microseconds else int(text) / 1e9


def table(kinds: list[Kind]) -> list[str]:
    """Rows of markdown. Medians; what is added is against the first."""
    lines = [
        "| empty task | TaskRun done, median | least | added | cpu of the pod | added |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    base_wall = statistics.median(kinds[0].wall)
    base_cpu = statistics.median(kinds[0].cpu) if kinds[0].cpu else None
    for kind in kinds:
        wall = statistics.median(kind.wall)
        cpu = statistics.median(kind.cpu) if kind.cpu else None
        cells = [kind.title, f"{wall:.2f} s", f"{min(kind.wall):.2f} s", f"{wall - base_wall:+.2f} s"]
        cells += ["", ""] if cpu is None or base_cpu is None else [f"{cpu:.2f} s", f"{cpu - base_cpu:+.2f} s"]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| container | cpu, median | memory, most |", "|---|--:|--:|"]
    for kind in kinds:
        for container, used in kind.used.items():
            cpu = statistics.median(seconds for seconds, _ in used)
            lines.append(f"| {container}, {kind.title} | {cpu:.2f} s | {max(mebi for _, mebi in used)} MiB |")
    return lines


if __name__ == "__main__":
    main()
