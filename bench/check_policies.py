"""`mlgen check` of many pipelines with all policies: python bench/check_policies.py [PIPELINES] [TASKS] [ENVIRONMENTS]

Every object of each environment, and the pods of it, are judged by every policy. Prints cpu seconds with policies and
without, the least of some rounds, and how many objects were judged.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import specs
from measure import measure

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 2
PARAMS = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: mlgen-policies, namespace: %s}
data:
  artifacts: s3://bench/artifacts
  registries: registry.example/
  platformImages: ghcr.io/tektoncd/ cgr.dev/chainguard/busybox@
  digests: required
  cpuLimits: optional
  serviceAccounts: default mlgen-ledger-dev mlgen-ledger-prod
  labels: mlgen.dev/owner cost-center
"""


def lay_out(folder: Path, pipelines: int, tasks: int, environments: int) -> None:
    specs.pipelines(folder, tasks, pipelines)
    for path in (folder / "pipelines").glob("*.yaml"):
        path.write_text(path.read_text().replace("\nparams:", "\nowner: bench\nparams:", 1))
    one = specs.PROJECT % specs.DIGEST
    body = one.partition("  bench:\n")[2]
    names = ("dev", "prod", "qa", "lab")[:environments]
    texts = [
        f"  {n}:\n{body.replace('namespace: bench', f'namespace: ml-{n}')}    labels: {{cost-center: x}}\n"
        for n in names
    ]
    (folder / "mlgen.yaml").write_text("version: 1\nenvironments:\n" + "".join(texts))
    shutil.copytree(ROOT / "policies", folder / "policies")
    (folder / "policies" / "params.yaml").write_text("---\n".join(PARAMS % f"ml-{name}" for name in names))


def main(pipelines: int, tasks: int, environments: int) -> None:
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "generator")}
    command = [sys.executable, "-m", "mlgen", "check"]
    with TemporaryDirectory() as name:
        folder = Path(name)
        lay_out(folder, pipelines, tasks, environments)
        judged = [measure(command, cwd=folder, env=env) for _ in range(ROUNDS)]
        shutil.rmtree(folder / "policies")
        plain = [measure(command, cwd=folder, env=env) for _ in range(ROUNDS)]
    # Of each environment: the five objects of the ledger's job; of each pipeline in it: Pipeline, PipelineRun, and of
    # each task and of record a Task, a pod and a retry's pod.
    objects = environments * (5 + pipelines * (2 + 3 * (tasks + 1)))
    with_, without = (min(u.cpu_seconds for u in usages) for usages in (judged, plain))
    memory = max(u.rss_bytes for u in judged) >> 20
    print(
        f"{pipelines} pipelines of {tasks} tasks, environments: {environments}, objects: {objects:,}: "
        f"{with_:.2f} s cpu, {memory} MiB"
    )
    print(f"without policies: {without:.2f} s cpu")


if __name__ == "__main__":
    main(*(int(word) for word in (*sys.argv[1:], *("500", "5", "2")[len(sys.argv) - 1 :])))
