"""How many pods a job takes: ours, and those of the Argo Workflow that Kubeflow Pipelines makes of the same job.

python bench/kfp_pods.py COMPILER

COMPILER: a program that reads a PipelineJob (protobuf's JSON) and writes an Argo Workflow (YAML): some lines of Go
around argocompiler.Compile of kubeflow/pipelines' backend/src/v2/compiler, which no package brings. Nothing runs: pods
are counted in what is written, every trial and item once, no attempt twice, each gate open.
"""

from __future__ import annotations

import json
import subprocess
import sys
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

import peers
import specs

HERE = Path(__file__).resolve().parent
IMAGE = "registry.example/train@sha256:" + "0" * 64
TRAIN = "run: train, in: [make.data], out: {model: model, auc: metric}"
CHAIN = """
  make: {run: make, out: {data: dataset}}
  clean: {run: clean, in: [make.data], out: {rows: dataset}}
  train: {run: train, in: [clean.rows], out: {model: model}}
  validate: {run: validate, in: [train.model], out: {auc: metric}}
"""
REPORT = "run: report, in: [train.model, validate.auc]"
GRID = "{grid: {rate: [0.1, 0.2, 0.3, 0.4], depth: [2, 4, 8]}}"
JOBS = {  # as peer_kfp_jobs.py has them -> what, the tasks of our spec, how often each loop of theirs turns
    "chain": ("a chain of five tasks", f"{CHAIN}  report: {{{REPORT}}}\n", []),
    "gate": ("the same, the last behind a gate", f"{CHAIN}  report: {{if: validate.auc >= 0.9, {REPORT}}}\n", []),
    "sweep": (
        "a sweep of 12 trials, four at a time, its winner validated",
        "  make: {run: make, out: {data: dataset}}\n"
        f"  train: {{{TRAIN}, sweep: {GRID}, parallel: 4, pick: max auc}}\n"
        "  validate: {run: validate, in: [train.model], out: {auc: metric}}\n",
        [12],
    ),
    "shards": (
        "a loop over 20 shards, and a task that reads what all left",
        "  count: {run: count, for: {number: {range: 20}}, out: {rows: integer}}\n"
        "  total: {run: total, in: [count.rows], out: {sum: integer}}\n",
        [20],
    ),
    "nested": (
        "a loop of 4 around a loop of 5",
        "  fold: {run: fold, for: {rate: [0.1, 0.2, 0.3, 0.4], number: {range: 5}}, out: {auc: metric}}\n",
        [4, 5],
    ),
}


def main() -> None:
    compiler = Path(sys.argv[1]).resolve()
    kfp = peers.find_or_make().kfp
    if kfp is None:
        raise SystemExit("kfp cannot be installed")
    print("| job | mlgen | Kubeflow Pipelines | to it |\n|---|--:|--:|--:|")
    with TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "kfp").mkdir()
        subprocess.run([kfp, HERE / "peer_kfp_jobs.py", root / "kfp"], check=True)
        for name, (what, tasks, turns) in JOBS.items():
            ours = _ours(root / name, name, tasks)
            theirs = _theirs(compiler, root / "kfp" / f"{name}.yaml", turns)
            print(f"| {what} | {ours} | {theirs} | {ours / theirs:.2f} |")


def _ours(root: Path, name: str, tasks: str) -> int:
    """Pods of the rendered Pipeline: one a task, of a matrix one a combination."""
    (root / "pipelines").mkdir(parents=True)
    (root / "mlgen.yaml").write_text(specs.PROJECT % specs.DIGEST)
    spec = f"version: 1\nname: {name}\ndefaults: {{image: {IMAGE}}}\ntasks:\n{tasks}"
    (root / "pipelines" / f"{name}.yaml").write_text(spec)
    command = [sys.executable, "-m", "mlgen", "render", "--env", "bench"]
    subprocess.run(command, cwd=root, check=True, stdout=subprocess.DEVNULL)
    [file] = (root / "tekton" / "bench" / "manifests").glob("pipeline-*.yaml")
    spec = yaml.safe_load(file.read_text())["spec"]
    return sum(_combinations(task) for task in [*spec["tasks"], *spec.get("finally", [])])


def _combinations(task: dict[str, Any]) -> int:
    matrix = task.get("matrix", {})
    return prod(len(param["value"]) for param in matrix.get("params", [])) * len(matrix.get("include", [None]))


def _theirs(compiler: Path, file: Path, turns: list[int]) -> int:
    """Pods of the compiled Workflow: one a template with a container, wherever a DAG comes to it.

    turns: how often each loop turns, from outside in.
    """
    spec = next(yaml.safe_load_all(file.read_text()))
    job = json.dumps({"pipelineSpec": spec, "runtimeConfig": {}})
    made = subprocess.run([compiler], input=job, check=True, capture_output=True, text=True).stdout
    workflow = yaml.safe_load(made)["spec"]
    templates = {template["name"]: template for template in workflow["templates"]}

    def pods(name: str, left: list[int]) -> int:
        if "dag" not in templates[name]:
            assert "container" in templates[name], templates[name].keys()
            return 1
        found = 0
        for task in templates[name]["dag"]["tasks"]:
            count, inner = (left[0], left[1:]) if "withSequence" in task else (1, left)
            found += count * pods(task["template"], inner)
        return found

    return pods(workflow["entrypoint"], turns)


if __name__ == "__main__":
    main()
