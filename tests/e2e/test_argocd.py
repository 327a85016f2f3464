"""mlgen by Git alone: a real Argo CD syncs what is rendered, and neither runs, nor hands, nor time make it drift.

One Application, and these tests in their order: each goes on from what the one before it left.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator

import pytest
import yaml

from tests.e2e import api
from tests.e2e.api import Json
from tests.e2e.argocd import Site, guide, site
from tests.e2e.cluster import kubectl
from tests.e2e.lab import Lab
from tests.e2e.run import wait_for
from tests.e2e.settings import need

REFRESHES = 10
LARGE = 270_000  # characters: client-side apply keeps 262,144 bytes at most

SLOW = """
params: {code: {type: integer, default: 0}}
tasks:
  first:
    run: |
      echo "v1 waits"
      until [ -e "$TMPDIR/go" ]; do sleep 0.2; done
      printf v1 > "$word"
    out: {word: string}
  second:
    run: |
      printf "$word, v1" > "$said"
      exit "$code"
    in: [first.word, params.code]
    out: {said: string}
"""


@pytest.fixture(scope="module")
def gitops(lab: Lab) -> Iterator[Site]:
    need("MLGEN_E2E_ARGOCD_NAMESPACE")
    with site(lab) as found:
        yield found


def go(found: Site, pod: Json) -> None:
    """Let a waiting task go on."""
    at = ("-n", found.project.name, pod["metadata"]["name"], "-c", "step-main")
    kubectl("exec", *at, "--", "touch", "/mlgen/tmp/go")


def resources(application: Json, kind: str) -> list[Json]:
    return [one for one in application["status"]["resources"] if one["kind"] == kind]


def test_nothing_is_synced_whose_code_was_not_published(gitops: Site) -> None:
    """`line`, which `mlgen init` lays down, has code and an input. Nobody presses a button afterwards."""
    commit = gitops.push("As init made it")
    gitops.apply(gitops.env)
    told = wait_for("the hook's end", lambda: gitops.hook_says("error[unpublished]"))
    assert "2 of 2 are not in" in told
    assert "code src of line" in told
    assert f"`mlgen publish --env {gitops.env}`" in told
    assert gitops.stored() == {}, "the cluster keeps the version that it has"
    wait_for("what the guide's command says", lambda: "Job mlgen-published-" in gitops.at_night())
    gitops.mlgen("publish", "--env", gitops.env)
    gitops.synced(commit)


def test_it_is_synced_and_stays_so(gitops: Site) -> None:
    """Nothing drifts: what is rendered is what the cluster stores."""
    gitops.spec("slow", SLOW)
    (gitops.root / "pipelines" / "large.yaml").write_text(
        yaml.safe_dump({"version": 1, "name": "large", "description": "x" * LARGE})
        + "tasks: {one: {run: 'true', image: busybox}}\n"
    )
    commit = gitops.push("Pipelines")
    first = gitops.synced(commit)
    before = gitops.stored()
    assert {kind for kind, _ in before} | {"Job"} == {one["kind"] for one in resources_of_git(gitops)}
    assert len(json.dumps(before["Pipeline", "large"])) > 262_144
    for _ in range(REFRESHES):
        found = gitops.refresh()
        assert found["status"]["sync"] == {**found["status"]["sync"], "status": "Synced", "revision": commit}
        assert found["status"]["health"]["status"] == "Healthy"
    assert found["status"]["operationState"]["startedAt"] == first["status"]["operationState"]["startedAt"], "no sync"
    after = gitops.stored()
    assert versions(after) == versions(before)
    labels = api.get(f"/api/v1/namespaces/{gitops.project.name}")["metadata"]["labels"]
    assert labels["mlgen.dev/env"] == gitops.env
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert "mlgen.dev/e2e" in labels, "what others put there stays"


def resources_of_git(found: Site) -> list[Json]:
    return [yaml.safe_load(one.read_text()) for one in (found.root / "tekton" / found.env / "manifests").iterdir()]


def versions(stored: dict[tuple[str, str], Json]) -> dict[tuple[str, str], str]:
    """Of a CronJob its generation: the rest changes each minute, as it runs."""
    which = {"CronJob": "generation"}
    return {key: one["metadata"][which.get(key[0], "resourceVersion")] for key, one in stored.items()}


def test_a_run_in_flight_ends_with_its_own_version(gitops: Site) -> None:
    old = gitops.tasks("slow")
    run = gitops.start("slow")
    waiting = run.says("first", "v1 waits")
    gitops.spec("slow", SLOW.replace("v1", "v2"))
    commit = gitops.push("Second version")
    gitops.synced(commit)
    new = gitops.tasks("slow")
    assert {task for task in old if old[task] != new[task]} == {"first", "second"}

    gc = ("gc", "tasks", "--env", gitops.env, "--older-than", "0", "--delete", "--format", "json")
    rights = gitops.collector()
    assert json.loads(gitops.mlgen(*gc, KUBECONFIG=rights))["goes"] == [], "a run uses them"
    go(gitops, waiting)
    failing = gitops.start("slow", code="3")
    assert run.done() == "Succeeded"
    path = f"/apis/tekton.dev/v1/namespaces/{gitops.project.name}/taskruns"
    task_runs = api.get(path, labelSelector=f"tekton.dev/pipelineRun={run.name}")["items"]
    used = {one["metadata"]["labels"]["tekton.dev/pipelineTask"]: one["spec"]["taskRef"]["name"] for one in task_runs}
    assert used == old
    told = run.told().only("second")
    assert told["values"] == {"said": "v1, v1"}
    pipeline = gitops.stored()["Pipeline", "slow"]["metadata"]
    assert told["planDigest"] != pipeline["annotations"]["mlgen.dev/plan-digest"]

    go(gitops, failing.says("first", "v2 waits"))
    assert failing.done() == "Failed"
    assert failing.told().only("second")["planDigest"] == pipeline["annotations"]["mlgen.dev/plan-digest"]
    application = gitops.synced(commit)
    assert [
        one for one in resources(application, "PipelineRun") if one.get("status") or one.get("requiresPruning")
    ] == []

    went = json.loads(gitops.mlgen(*gc, KUBECONFIG=rights))["goes"]
    assert {one["name"] for one in went} == {old["first"], old["second"]}
    gitops.synced(commit)
    assert set(new.values()) <= {name for kind, name in gitops.stored() if kind == "Task"}


def test_what_is_changed_by_hand_is_put_back(gitops: Site) -> None:
    before = gitops.stored()
    tasks = gitops.tasks("slow")
    at = ("-n", gitops.project.name, "--type=json", "-p")
    default = [{"op": "replace", "path": "/spec/params/0/default", "value": "7"}]
    script = [{"op": "replace", "path": "/spec/steps/1/script", "value": "#!/bin/sh\necho mine"}]
    kubectl("patch", "pipeline", "slow", *at, json.dumps(default))
    kubectl("patch", "task", tasks["first"], *at, json.dumps(script))
    kubectl("delete", "task", tasks["second"], "-n", gitops.project.name)

    def look() -> bool:
        now = gitops.stored()
        keys = [("Pipeline", "slow"), ("Task", tasks["first"]), ("Task", tasks["second"])]
        return all(key in now and now[key]["spec"] == before[key]["spec"] for key in keys)

    wait_for("what was changed by hand", look)


def test_a_sync_of_named_resources_goes_past_the_hook(gitops: Site) -> None:
    """As the guide says for a rollback while the bucket is away; here nothing was published."""
    with (gitops.root / "src" / "fit.py").open("a") as stream:
        stream.write("# changed\n")
    commit = gitops.push("Not published")
    wait_for("the hook's end", lambda: gitops.hook_says("error[unpublished]"))
    gitops.patch({"status": {"operationState": {"phase": "Terminating"}}})  # argocd app terminate-op

    def ended() -> bool:
        return str(gitops.application()["status"]["operationState"]["phase"]) in ("Failed", "Error")

    wait_for("the end of the operation", ended)
    named = [("Pipeline", "line"), *(("Task", name) for name in rendered_tasks(gitops, "line"))]
    chosen = [{"group": "tekton.dev", "kind": kind, "name": name} for kind, name in named]
    gitops.patch({"operation": {"initiatedBy": {"username": "e2e"}, "sync": {"resources": chosen}}})
    gitops.synced(commit)
    assert set(named) <= gitops.stored().keys()
    gitops.mlgen("publish", "--env", gitops.env)


def rendered_tasks(found: Site, pipeline: str) -> list[str]:
    tasks = [one["metadata"] for one in resources_of_git(found) if one["kind"] == "Task"]
    return [about["name"] for about in tasks if about["labels"]["mlgen.dev/pipeline"] == pipeline]


def test_a_removed_pipeline_is_pruned_and_its_tasks_are_collected(gitops: Site) -> None:
    tasks = set(gitops.tasks("line").values())
    (gitops.root / "pipelines" / "line.yaml").unlink()
    commit = gitops.push("Without line")
    gitops.synced(commit)
    stored = gitops.stored()
    assert ("Pipeline", "line") not in stored
    assert tasks <= {name for kind, name in stored if kind == "Task"}, "runs in flight may use them"
    gc = ("gc", "tasks", "--env", gitops.env, "--older-than", "0", "--delete", "--format", "json")
    assert tasks <= {one["name"] for one in json.loads(gitops.mlgen(*gc))["goes"]}
    assert not tasks & {name for kind, name in gitops.stored() if kind == "Task"}
    gitops.synced(commit)


def refused(found: Site, said: str, *strays: Json) -> None:
    """Commit files beside the manifests, wait until Argo CD says no, and take them out again."""
    file = found.root / "tekton" / found.env / "manifests" / "mine.yaml"
    file.write_text(yaml.safe_dump_all(strays))
    assert "mine.yaml" in found.mlgen("render", "--check", exit_code=1), "the review says it, too"
    found.push("Mine", render=False)

    def look() -> bool:
        return said in json.dumps(found.refresh()["status"].get("operationState", {}))

    wait_for(said, look)
    assert said in found.at_night()
    file.unlink()
    found.synced(found.push("Mended", render=False))


def test_what_no_pipeline_renders_to_is_refused_and_the_next_commit_mends_it(gitops: Site) -> None:
    """Who may merge may not make a Secret, or a ClusterRole, nor change the labels by which policies hold in the
    namespace; and nobody has to press a button afterwards."""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mine", "namespace": gitops.project.name}}
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": gitops.project.name},
        "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}],
    }
    labels = {"mlgen.dev/env": "other", "pod-security.kubernetes.io/enforce": "privileged"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": gitops.project.name, "labels": labels}}
    before = api.get(f"/api/v1/namespaces/{gitops.project.name}")["metadata"]["labels"]
    refused(gitops, "resource :Namespace is not permitted in project", namespace, secret, role)
    assert api.get(f"/api/v1/namespaces/{gitops.project.name}")["metadata"]["labels"] == before
    assert kubectl("get", "clusterrole", gitops.project.name, "--ignore-not-found") == ""
    assert kubectl("get", "secret", "mine", "-n", gitops.project.name, "--ignore-not-found") == ""


def test_what_another_application_keeps_is_not_taken_over(gitops: Site) -> None:
    """Such as what the policies are told of this very environment, which the platform's Application keeps."""
    namespace = gitops.project.name
    about = {"name": "mlgen-policies", "namespace": namespace}
    theirs = {"argocd.argoproj.io/tracking-id": f"ml-policies:/ConfigMap:{namespace}/mlgen-policies"}
    kept = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {**about, "annotations": theirs},
        "data": {"gpus": "2"},
    }
    kubectl("create", "-f", "-", given=kept)
    mine = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "data": {"gpus": "64"}}
    refused(gitops, "Shared resource found", mine)
    assert api.get(f"/api/v1/namespaces/{namespace}/configmaps/mlgen-policies")["data"] == {"gpus": "2"}


def test_argo_cd_takes_what_the_guide_says_of_policies(gitops: Site) -> None:
    documents = list(yaml.safe_load_all(guide("policies")))
    for document in documents:
        document["metadata"]["namespace"] = need("MLGEN_E2E_ARGOCD_NAMESPACE")
    items = {"apiVersion": "v1", "kind": "List", "items": documents}
    kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", given=items)


def test_an_environment_more_and_one_less(gitops: Site) -> None:
    """A new one has its own project and namespace; of one that is no more nothing is deleted behind anybody's back."""
    env, namespace = f"{gitops.env}-two", f"{gitops.project.name}-two"
    gitops.configure(**{env: {"namespace": namespace}})
    commit = gitops.push("Another environment")
    gitops.apply(env)
    name = gitops.app_of(env)
    try:
        gitops.synced(commit, name)
        gitops.synced(commit)
        labels = api.get(f"/api/v1/namespaces/{namespace}")["metadata"]["labels"]
        assert labels["pod-security.kubernetes.io/enforce"] == "restricted"

        gitops.configure()
        commit = gitops.push("Without it")
        assert not (gitops.root / "tekton" / env / "manifests").exists() or not list(
            (gitops.root / "tekton" / env / "manifests").iterdir()
        )
        gitops.synced(commit)

        def look() -> str:
            told = gitops.refresh(name)["status"].get("conditions", [])
            return next((one["message"] for one in told if one["type"] == "ComparisonError"), "")

        assert "app path does not exist" in wait_for("the ComparisonError", look)
        at = ("-n", need("MLGEN_E2E_ARGOCD_NAMESPACE"))
        kubectl("delete", *at, "application", name)
        assert kubectl("get", "pipeline,cronjob", "-n", namespace, "-o", "name").split() != []
    finally:
        kubectl("delete", "namespace", namespace, "--ignore-not-found", "--wait=false")
        shutil.rmtree(gitops.root / "tekton" / env, ignore_errors=True)
