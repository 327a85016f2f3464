"""What `mlgen diff` says of runs in flight, held against a real Tekton: a removed pipeline, an account that changes."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.e2e import api
from tests.e2e.api import Json
from tests.e2e.cluster import kubectl
from tests.e2e.lab import ENV, Lab, Project
from tests.e2e.run import start, wait_for
from tests.revisions import commit

pytestmark = pytest.mark.together

SLOW = """
tasks:
  first:
    run: |
      echo "first waits"
      until [ -e "$TMPDIR/go" ]; do sleep 0.2; done
      echo one > "$word"
    out: {word: string}
  second: {run: 'echo "$word"', in: [first.word]}
"""


def told(project: Project) -> Json:
    """What `diff` says of the environment's objects."""
    answer = json.loads(project.mlgen("diff", "--base", "HEAD", "--format", "json"))
    (objects,) = answer["parts"][0]["objects"]
    return objects  # type: ignore[no-any-return]


def sync(project: Project, argocd: list[dict[str, str]]) -> None:
    """Do what Argo CD is said to do."""
    project.apply()
    for act in argocd:
        if act["act"] == "prune":
            kubectl("delete", "-n", act["namespace"], act["kind"], act["name"], "--wait=true")


def go(project: Project, pod: Json) -> None:
    """Let a waiting task go on."""
    at = ("-n", project.name, pod["metadata"]["name"], "-c", "step-main")
    kubectl("exec", *at, "--", "touch", "/mlgen/tmp/go")


def there(project: Project) -> set[tuple[str, str]]:
    kinds = {"Pipeline": "pipelines", "Task": "tasks"}
    path = f"/apis/tekton.dev/v1/namespaces/{project.name}"
    lists = {kind: api.get(f"{path}/{names}")["items"] for kind, names in kinds.items()}
    return {(kind, one["metadata"]["name"]) for kind, items in lists.items() for one in items}


def test_a_pipeline_that_goes_while_it_runs(lab: Lab) -> None:
    project = lab.project("diff-gone")
    project.pipeline("kept", "tasks: {one: {run: 'true'}}\n")
    project.pipeline("slow", SLOW)
    commit(project.root)
    run = start(project, "slow")
    waiting = run.says("first", "first waits")
    pending = yaml.safe_load((project.root / "tekton" / ENV / "runs" / "slow.yaml").read_text())
    pending["metadata"] |= {"name": "slow-pending"}
    del pending["metadata"]["generateName"]
    pending["spec"]["status"] = "PipelineRunPending"
    kubectl("create", "-f", "-", given=pending)
    before = there(project)
    (project.root / "pipelines" / "slow.yaml").unlink()
    answer = told(project)
    assert answer["inFlight"] == [
        "Runs of slow in flight go on to their end; one that Tekton has not looked at yet fails with "
        "CouldntGetPipeline."
    ]
    sync(project, answer["argocd"])
    pruned = {(act["kind"], act["name"]) for act in answer["argocd"] if act["act"] == "prune"}
    assert pruned == {("Pipeline", "slow")}
    assert there(project) == before - pruned
    kept = {(act["kind"], act["name"]) for act in answer["argocd"] if act["act"] == "keep"}
    assert kept == {name for name in before if name[1].startswith("slow-")}
    # The one that waited was not looked at; the other has its graph in its status.
    unpend = '[{"op":"remove","path":"/spec/status"}]'
    kubectl("patch", "-n", project.name, "pipelinerun", "slow-pending", "--type=json", "-p", unpend)
    path = f"/apis/tekton.dev/v1/namespaces/{project.name}/pipelineruns/slow-pending"
    reason = wait_for("the pending run's end", lambda: _reason(api.get(path)))
    assert reason == "CouldntGetPipeline"
    go(project, waiting)
    assert run.done() == "Succeeded"
    assert {one["task"] for one in run.told().executions} == {"first", "second"}


def _reason(run: Json) -> str | None:
    found = [c for c in run.get("status", {}).get("conditions", ()) if c["status"] == "False"]
    return found[0]["reason"] if found else None


def test_an_account_that_changes_while_a_pipeline_runs(lab: Lab) -> None:
    project = lab.project("diff-account")
    project.pipeline("slow", SLOW)
    commit(project.root)
    run = start(project, "slow")
    waiting = run.says("first", "first waits")
    config = yaml.safe_load((project.root / "mlgen.yaml").read_text())
    config["environments"][ENV]["service_account"] = "other"
    (project.root / "mlgen.yaml").write_text(yaml.safe_dump(config))
    answer = told(project)
    assert [sentence.partition(",")[0] for sentence in answer["inFlight"]] == [
        "Runs in flight keep the account default"
    ]
    assert answer["argocd"] == []
    sync(project, answer["argocd"])
    go(project, waiting)
    assert run.done() == "Succeeded"
    accounts = {pod["spec"]["serviceAccountName"] for pod in run.pods()}
    assert accounts == {"default"}, "also of the pod that came after the sync"
