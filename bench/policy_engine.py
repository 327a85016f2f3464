"""What a verdict costs: python bench/policy_engine.py [OBJECTS]

Judges Tasks of some steps by our own policies, as manifests that differ only in their names. Prints cpu seconds to load
the policies, and microseconds for each object that all of them are asked of.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "generator"))

STEP: dict[str, Any] = {
    "image": f"registry.example/a@sha256:{'0' * 64}",
    "computeResources": {"limits": {"cpu": "1", "memory": "1Gi"}},
    "env": [{"name": f"V{n}", "value": str(n)} for n in range(8)],
    "script": "echo hello\n" * 20,
}


def task(number: int) -> dict[str, Any]:
    steps = [{**STEP, "name": f"step-{n}"} for n in range(3)]
    metadata = {"name": f"task-{number}", "namespace": "ml-prod", "labels": {"mlgen.dev/env": "prod"}}
    return {"apiVersion": "tekton.dev/v1", "kind": "Task", "metadata": metadata, "spec": {"steps": steps}}


def main(objects: int) -> None:
    from mlgen.policy.judge import Judge, Request
    from mlgen.policy.load import load

    files = {path.name: path.read_bytes() for path in (ROOT / "policies").glob("*.yaml")}
    start = time.process_time()
    policies, findings = load(files)
    loaded = time.process_time() - start
    labels = {"kubernetes.io/metadata.name": "ml-prod", "mlgen.dev/env": "prod"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ml-prod", "labels": labels}}
    judge = Judge(policies)
    requests = [Request(task(n), ("tekton.dev", "v1", "tasks"), namespace=namespace) for n in range(objects)]
    start = time.process_time()
    said = sum(len(judge.judge(request)) for request in requests)
    spent = time.process_time() - start
    print(f"{len(policies.policies)} policies loaded in {loaded:.2f} s cpu, {len(findings)} findings")
    print(f"{objects:,} tasks judged: {spent / objects * 1e6:.0f} us each, {said / objects:.1f} verdicts each")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
