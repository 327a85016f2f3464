"""`mlgen run --env` and `mlgen logs --env` as their user has them: a real cluster, a real ledger, and few rights."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.cluster import ROOT, kubectl
from tests.e2e.lab import ENV, Lab, Project

pytestmark = pytest.mark.together

SPEC = """
params:
  word: {type: string}
  how: {choices: [well, badly, silently, slowly], default: well}
inputs:
  raw: data.txt
tasks:
  make:
    run: |
      cat "$raw" > "$copy"
      echo "making $word"
      case $how in
        badly) echo "it broke here" >&2; exit 7;;
        silently) exit 0;;
        slowly) sleep 600;;
      esac
      printf %s "$word" > "$said"
    in: [inputs.raw, params.word, params.how]
    out: {copy: file, said: string}
  big:
    if: params.how == "badly"
    run: "true"
    in: [make.said]
finally:
  tell: {run: 'echo "it went: $MLGEN_RUN_STATUS"'}
"""
RUN = ("run", "pipelines/demo.yaml", "--env", ENV, "--format", "json")
NASTY = "a $$b $HOME '\\\" é"


def demo(lab: Lab, name: str, *, fold: str = "run") -> Project:
    project = lab.project(name, fold=fold)
    (project.root / "data.txt").write_text("bytes\n")
    project.pipeline("demo", SPEC)
    return project


def mlgen(project: Project, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mlgen", *arguments],
        cwd=project.root,
        env={**project.environ(), **environ},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def statuses(answer: dict[str, Any]) -> dict[str, str]:
    return {name: task["status"] for name, task in answer["tasks"].items()}


def test_a_run_is_followed_told_and_kept_by_one_who_may_do_no_more(lab: Lab) -> None:
    project = demo(lab, "run-well")
    rights = {"KUBECONFIG": str(_one_who_may_run(project))}
    done = mlgen(project, *RUN, "-p", f"word={NASTY}", "--name", "demo-one", **rights)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["run"], answer["state"]) == ("demo-one", "COMPLETE")
    assert statuses(answer) == {"make": "Succeeded", "big": "None"}
    assert answer["ledger"], done.stderr
    assert "uploaded input data.txt" in done.stderr
    assert re.search(r'big +skipped: its gate was false: params.how == "badly"', done.stderr)
    told = json.loads(mlgen(project, "runs", "show", "demo-one", "--env", ENV, "--format", "json").stdout)
    assert (told["uid"], told["params"]["word"]) == (answer["uid"], NASTY)
    facets = [record["run"]["facets"]["mlgen_task"] for record in told["records"]]
    assert [facet["values"] for facet in facets if facet["task"] == "make"] == [{"said": NASTY}]
    logs = mlgen(project, "logs", "demo-one", "--env", ENV, **rights)
    assert logs.stdout == f"== make, attempt 1 ==\nmaking {NASTY}\n\n== tell, attempt 1 ==\nit went: Completed\n"
    again = mlgen(project, *RUN, "-p", "word=x", "--name", "demo-one", **rights)
    assert (again.returncode, "run-exists" in again.stderr) == (2, True)


def _one_who_may_run(project: Project) -> Path:
    """A kubeconfig of an account that has the README's Role and nothing else."""
    readme = (ROOT / "README.md").read_text()
    [text] = re.findall(r"```yaml\n(apiVersion: rbac.*?)```", readme, re.DOTALL)
    at = ("-n", project.name)
    kubectl("create", *at, "-f", "-", given=yaml.safe_load(text))
    kubectl("create", *at, "serviceaccount", "scientist")
    kubectl(
        "create", *at, "rolebinding", "scientist", "--role=mlgen-runs", f"--serviceaccount={project.name}:scientist"
    )
    config: dict[str, Any] = json.loads(kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json"))
    config["users"][0]["user"] = {"token": kubectl("create", *at, "token", "scientist").strip()}
    path = project.root / "home" / "scientist"
    path.write_text(json.dumps(config))
    return path


def test_a_failure_shows_the_line_that_says_why(lab: Lab) -> None:
    project = demo(lab, "run-badly")
    for how, said in (
        ("badly", "failed, exit code 7"),
        ("silently", 'failed: out "said" was not written'),
    ):
        done = mlgen(project, *RUN, "-p", "word=x", "-p", f"how={how}")
        assert done.returncode == 1, done.stderr
        assert json.loads(done.stdout)["state"] == "FAIL"
        assert said in done.stderr
        assert "-pod" not in done.stderr
    done = mlgen(project, *RUN, "-p", "word=x", "-p", f"raw={project.artifacts}/none.txt")
    assert (done.returncode, "none.txt" in done.stderr) == (1, True), done.stderr
    assert re.search(r'make +failed: in "raw"', done.stderr)
    assert "big   not started: make failed" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["interrupted", "terminated"])
def test_a_command_that_is_told_to_end_cancels_its_run(lab: Lab, number: signal.Signals) -> None:
    project = demo(lab, f"run-{number.name[3:].lower()}")
    command = [sys.executable, "-m", "mlgen", *RUN, "-p", "word=x", "-p", "how=slowly", "--logs"]
    running = subprocess.Popen(
        command, cwd=project.root, env=project.environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stderr is not None
    told = ""
    while "making x" not in told:
        line = running.stderr.readline()
        assert line, told
        told += line
    running.send_signal(number)
    out, err = running.communicate(timeout=300)
    answer = json.loads(out)
    assert (running.returncode, answer["state"]) == (130, "ABORT"), told + err
    assert answer["tasks"]["make"] == {"status": "Failed", "reason": "TaskRunCancelled"}
    assert answer["ledger"], "record runs in a cancelled run"


def test_detached_it_goes_on_and_is_followed_by_its_logs(lab: Lab) -> None:
    project = demo(lab, "run-detached")
    done = mlgen(project, *RUN[:4], "-p", "word=hi", "--detach")
    assert done.returncode == 0, done.stderr
    run = done.stdout.strip()
    assert re.fullmatch(r"demo-[a-z0-9]{5}", run)
    followed = mlgen(project, "logs", run, "--env", ENV, "-f")
    assert followed.stdout.splitlines() == ["make | making hi", "tell | it went: Completed"], followed.stderr
    mlgen(project, "ledger", "reconcile", "--env", ENV)
    kubectl("delete", "pipelinerun", run, "-n", project.name)
    until = time.monotonic() + 60
    while kubectl("get", "pods", "-n", project.name, "-o", "name") and time.monotonic() < until:
        time.sleep(1)
    kept = mlgen(project, "logs", run, "make", "--env", ENV)
    assert kept.stdout == "making hi\n", kept.stderr


def test_nothing_is_created_where_it_could_not_run(lab: Lab) -> None:
    project = demo(lab, "run-not")

    def refused(exit_code: int, said: str, *arguments: str, **environ: str) -> None:
        done = mlgen(project, *RUN, *arguments, **environ)
        assert (done.returncode, said in done.stderr) == (exit_code, True), done.stderr

    refused(2, 'param "word" (string) is required')
    refused(2, "cannot hold $(date)", "-p", "word=$(date)")
    nowhere = project.root / "home" / "nowhere"
    refused(3, "no-kubeconfig", "-p", "word=x", KUBECONFIG=str(nowhere))
    config = kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json")
    nowhere.write_text(re.sub(r'"server": "[^"]*"', '"server": "https://127.0.0.1:9"', config))
    refused(3, "cluster-unreachable", "-p", "word=x", KUBECONFIG=str(nowhere))
    spec = project.root / "pipelines" / "demo.yaml"
    spec.write_text(spec.read_text().replace("making", "building"))
    refused(3, "not the same: script of make", "-p", "word=x")
    assert kubectl("get", "pipelineruns", "-n", project.name, "-o", "name") == ""
