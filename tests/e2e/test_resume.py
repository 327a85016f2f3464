"""`mlgen run --resume` and `--backfill` on a real cluster: only what must run has pods."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.e2e.cluster import kubectl
from tests.e2e.lab import ENV, Lab, Project
from tests.e2e.run import wait_for

pytestmark = pytest.mark.together

SPEC = """
params:
  since: {type: string, default: "2026-10-01"}
  word: {type: string, default: "a $x"}
tasks:
  make: {run: 'echo rows > "$rows"; printf %s "$word" > "$said"', in: [params.word], out: {rows: file, said: string}}
  train:
    run: cat "$rows" > "$model"; echo 0.90 > "$auc"
    in: [make.rows, params.since]
    out: {model: model, auc: metric}
  judge:
    if: train.auc > 0.5 or make.said == "other"
    run: test "$said" = 'a $x'; cat "$model"; BROKEN
    in: [train.model, make.said]
  tell: {run: 'true', after: [judge]}
finally:
  last: {run: 'echo "$MLGEN_TASKS"'}
"""
RUN = ("run", "pipelines/line.yaml", "--env", ENV, "--format", "json")


def mlgen(project: Project, *arguments: str, code: int = 0) -> tuple[Any, str]:
    done = subprocess.run(
        [sys.executable, "-m", "mlgen", *arguments],
        cwd=project.root,
        env=project.environ(),
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout or "null"), done.stderr


def tasks_with_pods(project: Project, run: str) -> list[str]:
    pods = kubectl("get", "pods", "-n", project.name, "-l", f"tekton.dev/pipelineRun={run}", "-o", "json")
    return sorted(pod["metadata"]["labels"]["tekton.dev/pipelineTask"] for pod in json.loads(pods)["items"])


def records(project: Project, run: str) -> dict[str, Any]:
    told, _ = mlgen(project, "runs", "show", run, "--env", ENV, "--format", "json")
    return {one["run"]["facets"]["mlgen_task"]["task"]: one for one in told["records"]}


def test_a_mended_spec_runs_what_failed_in_pods_and_nothing_else(lab: Lab) -> None:
    project = lab.project("resume")
    project.pipeline("line", SPEC.replace("BROKEN", "exit 7"))
    answer, _ = mlgen(project, *RUN, "--name", "line-one", code=1)
    assert answer["tasks"]["judge"]["status"] == "Failed"
    assert tasks_with_pods(project, "line-one") == ["if-judge", "judge", "last", "make", "record", "train"]
    project.pipeline("line", SPEC.replace("BROKEN", "true"))
    answer, said = mlgen(project, *RUN, "--resume", "line-one", "--name", "line-two")
    assert "line-one: make, train reused" in said
    assert "judge (it failed)" in said
    assert tasks_with_pods(project, "line-two") == ["judge", "last", "record", "tell"]
    reused = {"status": "Succeeded", "reason": "Reused"}
    assert (answer["state"], answer["tasks"]["make"], answer["tasks"]["train"]) == ("COMPLETE", reused, reused)
    wait_for("the record of `last`, which ends with the run's own", lambda: "last" in records(project, "line-two"))
    told, _ = mlgen(project, "runs", "show", "line-two", "--env", ENV, "--format", "json")
    assert (told["state"], told["tasks"]) == ("COMPLETE", answer["tasks"])
    facets = records(project, "line-two")
    assert facets.keys() == {"make", "train", "judge", "tell", "last"}
    assert facets["train"]["run"]["facets"]["mlgen_task"]["cached"] is True
    before = records(project, "line-one")
    assert facets["train"]["outputs"] == before["train"]["outputs"]
    assert facets["judge"]["inputs"][0]["name"] == before["train"]["outputs"][0]["name"]
    assert mlgen(project, "logs", "line-two", "last", "--env", ENV)[0]["make"] == reused
    verified = subprocess.run(
        [sys.executable, "-m", "mlgen", "ledger", "verify", "--env", ENV, "--artifacts", "--cluster"],
        cwd=project.root,
        env=project.environ(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr
    _once_more(project)


def _once_more(project: Project) -> None:
    """A run that a killed command left pending goes on by the same command; `--only` has one pod, and `record`'s."""
    command = (*RUN, "--resume", "line-two", "--only", "judge", "--name", "line-three")
    program = "import os\nfrom mlgen.cluster import start\nfrom mlgen.cli.main import run\n"
    program += f"start.release = lambda *_, **__: os.kill(os.getpid(), 9)\nrun({[*command]!r})\n"
    killed = subprocess.run([sys.executable, "-c", program], cwd=project.root, env=project.environ(), check=False)
    assert killed.returncode == -9
    at = ("-n", project.name, "pipelinerun", "line-three", "-o", "jsonpath={.spec.status}")
    assert kubectl("get", *at) == "PipelineRunPending"
    answer, _ = mlgen(project, *command)
    assert {name: task["reason"] for name, task in answer["tasks"].items()} == {
        "make": "Reused",
        "train": "Reused",
        "judge": "Succeeded",
        "tell": "NotAskedFor",
    }
    assert tasks_with_pods(project, "line-three") == ["judge", "record"]


def test_a_backfill_has_a_run_for_each_date_two_at_once(lab: Lab) -> None:
    project = lab.project("backfill")
    project.pipeline(
        "daily", 'params: {since: {type: string}}\ntasks:\n  make: {run: echo "$since", in: [params.since]}\n'
    )
    command = ("run", "pipelines/daily.yaml", "--env", ENV, "--backfill", "since=2026-10-01..2026-10-03")
    answer, said = mlgen(project, *command, "--parallel", "2", "--format", "json")
    assert [(one["run"], one["state"]) for one in answer["runs"]] == [
        (f"daily-2026-10-0{day}", "COMPLETE") for day in (1, 2, 3)
    ]
    assert said.index("daily-2026-10-02 started") < said.index("COMPLETE")
    answer, _ = mlgen(project, *command, "--format", "json")
    assert [one["before"] for one in answer["runs"]] == [True] * 3
