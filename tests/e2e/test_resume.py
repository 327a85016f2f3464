"""`mlgen run --resume` and `--backfill` on a real cluster: only what must run has pods."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.e2e.cluster import kubectl
from tests.e2e.lab import ENV, Lab, Project
from tests.e2e.run import start, wait_for

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
        timeout=1200,
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


def landed(project: Project, run: str) -> dict[str, Any]:
    """The records of a run, once what waits in the bucket has landed, as the CronJob has it each minute."""
    mlgen(project, "ledger", "fold", "--env", ENV, "--format", "json")
    return records(project, run)


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
    wait_for(
        "the record of `last`, which may come after the run's last fold", lambda: "last" in landed(project, "line-two")
    )
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


# What failed for want of time is given more: that alone leaves tasks what they were.
MANY = """
tasks:
  make: {run: "echo '[1, 2, 3]' > \\"$parts\\"", out: {parts: json}}
  train:
    run: |
      if [ "$x" = 1 ]; then sleep 20; fi
      echo "m$x" > "$model"
      echo "0.$x" > "$auc"
    out: {model: model, auc: metric}
    sweep: {grid: {x: [1, 2, 3, 4, 5]}}
    parallel: 3
    pick: max auc
    timeout: TIME
  each:
    run: |
      if [ "$part" = 3 ]; then sleep 20; fi
      echo "p$part" > "$said"
    out: {said: string}
    for: {part: make.parts}
    timeout: TIME
  use:
    run: |
      [ "$(cat "$model")" = m5 ] && [ "$said" = '["p1","p2","p3"]' ]
    in: [train.model, each.said]
"""


def test_items_that_succeeded_have_no_pods_again(lab: Lab) -> None:
    project = lab.project("resume-items")
    project.pipeline("line", MANY.replace("TIME", "10s"))
    mlgen(project, *RUN, "--name", "items-one", code=1)
    before = items(project, "items-one")
    done = {label for label, facet in before.items() if facet["state"] == "COMPLETE"}
    assert {"train[1]", "train[2]", "each[0]", "each[1]"} <= done
    assert {"train[0]", "each[2]"} & before.keys() > set()
    assert not {"train[0]", "each[2]"} & done

    project.pipeline("line", MANY.replace("TIME", "2m"))
    answer, said = mlgen(project, *RUN, "--resume", "items-one", "--name", "items-two")
    assert "make reused" in said
    assert answer["state"] == "COMPLETE"
    after = items(project, "items-two")
    assert after.keys() >= {f"train[{i}]" for i in range(5)} | {f"each[{i}]" for i in range(3)}
    assert {label for label, facet in after.items() if facet.get("cached")} == done | {"make"}
    for label in done - {"make"}:
        assert after[label]["originalRunId"] == before[label]["runId"]
        assert after[label]["outputs"] == before[label]["outputs"]
    assert len(tasks_with_pods(project, "items-two")) == 8 - len(done - {"make"}) + 2
    told, _ = mlgen(project, "runs", "show", "items-two", "--env", ENV, "--format", "json")
    first, _ = mlgen(project, "runs", "show", "items-one", "--env", ENV, "--format", "json")
    assert told["resumes"] == first["uid"], "by the run's own record, not by who reconciles"
    assert told["tasks"]["train"] == {"status": "Succeeded", "reason": "Succeeded"}

    answer, said = mlgen(project, *RUN, "--resume", "items-two", "--from", "use", "--name", "items-three")
    assert "items-two: make, each, train reused" in said
    assert tasks_with_pods(project, "items-three") == ["record", "use"]
    assert answer["tasks"]["train"] == {"status": "Succeeded", "reason": "Reused"}


def items(project: Project, run: str) -> dict[str, Any]:
    """What the records of a run say, of items as `train[3]`."""
    told, _ = mlgen(project, "runs", "show", run, "--env", ENV, "--format", "json")
    found = {}
    for one in told["records"]:
        facet = one["run"]["facets"]["mlgen_task"]
        label = f"{facet['task']}[{facet['item']['index']}]" if "item" in facet else facet["task"]
        found[label] = facet | {"runId": one["run"]["runId"], "outputs": one["outputs"]}
    return found


SEARCHED = """
tasks:
  train:
    sweep: {search: {x: {min: 10, max: 90}}, trials: TRIALS, seed: 3}
    parallel: 2
    pick: max auc
    run: |
      if [ "$MLGEN_INDEX" = 2 ]; then sleep 20; fi
      echo "0.$x" > "$auc"
    out: {auc: metric}
    timeout: TIME
  use: {run: 'test -n "$x"', in: [train.x]}
"""


def test_a_search_goes_on(lab: Lab) -> None:
    project = lab.project("resume-search")
    project.pipeline("line", SEARCHED.replace("TRIALS", "4").replace("TIME", "10s"))
    mlgen(project, *RUN, "--name", "search-one", code=1)
    before = items(project, "search-one")
    done = {label for label, facet in before.items() if facet["state"] == "COMPLETE"}
    assert {"train[0]", "train[1]"} <= done
    project.pipeline("line", SEARCHED.replace("TRIALS", "5").replace("TIME", "2m"))
    mlgen(project, *RUN, "--resume", "search-one", "--name", "search-two")
    after = items(project, "search-two")
    assert {label for label, facet in after.items() if facet.get("cached")} == done
    assert after["train[2]"]["item"]["values"] == before["train[2]"]["item"]["values"], "asked again, the same answer"
    assert [after[f"train[{i}]"]["item"]["of"] for i in range(5)] == [5] * 5


TRAINING = """
tasks:
  train:
    run: |
      n=$(cat "$state/step" 2>/dev/null || echo 0)
      echo "$n" > "$began"
      while [ "$n" -lt 20 ]; do
        n=$((n + 1)); echo "$n" > "$state/step.tmp"; mv "$state/step.tmp" "$state/step"; echo "step $n"; sleep 1
      done
    out: {began: integer}
    checkpoint: {name: state, every: 2s}
    memory: MEMORY
"""


def test_a_training_that_was_killed_goes_on_from_its_checkpoint(lab: Lab) -> None:
    project = lab.project("resume-checkpoint")
    project.pipeline("line", TRAINING.replace("MEMORY", "32Mi"))
    run = start(project, "line")
    pod = run.says("train", "step 8\n")["metadata"]["name"]
    kubectl("exec", "-n", project.name, pod, "-c", "step-main", "--", "sh", "-c", "kill -9 -1")
    assert run.settled() == "Failed"
    assert run.told().only("train")["exitCode"] == -1
    project.pipeline("line", TRAINING.replace("MEMORY", "48Mi"))
    answer, _ = mlgen(project, *RUN, "--resume", run.name, "--name", "goes-on")
    assert answer["state"] == "COMPLETE"
    facet = items(project, "goes-on")["train"]
    assert facet["values"]["began"] >= 6
    log = project.mlgen("logs", "goes-on", "train", "--env", ENV)
    assert "step 5\n" not in log
    assert "step 20" in log


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
