"""Policies in `mlgen check`, at the lines that cause what they say; and `mlgen policy test`."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlgen.cli.main import run
from mlgen.cli.policies import policing
from mlgen.cli.policies.binding import reads_name
from mlgen.cli.policies.subjects import rendered, rendered_task
from mlgen.cli.projects.workspace import Workspace
from mlgen.policy.load import load

ROOT = Path(__file__).parents[2]
DIGEST = "@sha256:" + "0" * 64
PROJECT = """\
version: 1
environments:
  dev:
    namespace: ml-dev
    artifacts: s3://ml-artifacts/dev
    ledger: {url: "https://git.example/ledger.git"}
    runtime_image: ghcr.io/acme/mlgen%(digest)s
    gpus:
      default: {resource: nvidia.com/gpu, tolerations: [{key: nvidia.com/gpu, operator: Exists}]}
      bare: {resource: nvidia.com/gpu}
    labels: {cost-center: cc-1}
  prod:
    namespace: ml-prod
    artifacts: s3://ml-artifacts/prod
    ledger: {url: "https://git.example/ledger.git"}
    runtime_image: ghcr.io/acme/mlgen%(digest)s
    service_account: mlgen-runner
    gpus:
      default: {resource: nvidia.com/gpu, tolerations: [{key: nvidia.com/gpu, operator: Exists}]}
      bare: {resource: nvidia.com/gpu}
    labels: {cost-center: cc-1, team: ml}
"""
SPEC = """\
version: 1
name: churn
owner: risk
defaults:
  image: ghcr.io/acme/churn%(digest)s
  env: {MODE: fast}
params:
  source: {type: string, default: "s3://data/a.csv"}
tasks:
  prepare:
    run: echo "$source"
    in: [params.source]
    out: {data: file}
  train:
    run: echo
    in: [prepare.data]
    gpu: 1
    timeout: 2h
    retries: 1
  judge:
    use: ./judge.yaml
    in: {limit: {value: low}}
finally:
  tell: {run: echo}
"""
JUDGE = """\
version: 1
kind: task
name: judge
in: {limit: {type: string}}
run: echo "$limit"
image: ghcr.io/acme/judge%(digest)s
"""
PARAMS = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: mlgen-policies, namespace: %(namespace)s}
data:
  artifacts: s3://ml-artifacts/%(env)s
  registries: ghcr.io/acme/
  platformImages: ghcr.io/tektoncd/ cgr.dev/chainguard/busybox@
  digests: required
  cpuLimits: optional
  serviceAccounts: default mlgen-runner mlgen-ledger-dev mlgen-ledger-prod
  labels: mlgen.dev/owner cost-center
  gpuResources: nvidia.com/gpu
  gpuTolerations: nvidia.com/gpu
  gpuTimeout: 24h
  gpuRetries: "1"
  gpus: "2"
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that all policies are content with."""
    given = {"digest": DIGEST}
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "policies").mkdir()
    (tmp_path / "mlgen.yaml").write_text(PROJECT % given)
    (tmp_path / "pipelines" / "churn.yaml").write_text(SPEC % given)
    (tmp_path / "pipelines" / "judge.yaml").write_text(JUDGE % given)
    for path in (ROOT / "policies").glob("*.yaml"):
        (tmp_path / "policies" / path.name).write_bytes(path.read_bytes())
    texts = [PARAMS % {"env": env, "namespace": f"ml-{env}"} for env in ("dev", "prod")]
    (tmp_path / "policies" / "params.yaml").write_text("---\n".join(texts))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def check(project: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[], list[dict[str, Any]]]:
    def found() -> list[dict[str, Any]]:
        run(["check", "pipelines/churn.yaml", "--format", "json"])
        findings: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["findings"]
        return findings

    return found


Check = Callable[[], list[dict[str, Any]]]


def test_a_project_that_keeps_the_rules_has_no_finding(check: Check) -> None:
    assert check() == []


# file, what is replaced in it, by what; file and text of the place, the message, environments
CHURN, JUDGES, MLGEN = "pipelines/churn.yaml", "pipelines/judge.yaml", "mlgen.yaml"
BOTH = "environments dev, prod"
CASES = {
    "an image of `defaults`, for all tasks once": (
        (CHURN, f"ghcr.io/acme/churn{DIGEST}", f"quay.io/x{DIGEST}"),
        (CHURN, f"quay.io/x{DIGEST}", f"image from elsewhere than ghcr.io/acme/: quay.io/x{DIGEST}", BOTH),
    ),
    "an image of a task file": (
        (JUDGES, f"ghcr.io/acme/judge{DIGEST}", "ghcr.io/acme/judge:1"),
        (JUDGES, "ghcr.io/acme/judge:1", "image without a digest: ghcr.io/acme/judge:1", BOTH),
    ),
    "our own image, of mlgen.yaml": (
        (MLGEN, f"ghcr.io/acme/mlgen{DIGEST}\n    service", "ghcr.io/acme/mlgen:1\n    service"),
        (MLGEN, "ghcr.io/acme/mlgen:1", None, "environment prod"),
    ),
    "a variable": (
        (CHURN, "{MODE: fast}", "{MODE: fast, API_KEY: abc}"),
        (CHURN, "abc", "variable with a secret written down: API_KEY", BOTH),
    ),
    "a literal for a task file": (
        (CHURN, "{value: low}", "{value: glpat-aaaaaaaaaaaaaaaaaaaa}"),
        (CHURN, "{value: glpat-aaaaaaaaaaaaaaaaaaaa}", "variable with a secret written down: limit", BOTH),
    ),
    "a script": (
        (CHURN, 'run: echo "$source"', "run: curl https://ml:hunter2@example.com  # not a secret"),
        (CHURN, "curl https://ml:hunter2@example.com", "script or argument with a secret written down: main", BOTH),
    ),
    "a default of a param": (
        (CHURN, '"s3://data/a.csv"}', '"https://ml:hunter2@example.com"}  # not a secret'),
        (CHURN, "source", "param with a secret written down: source", BOTH),
    ),
    "GPUs": ((CHURN, "gpu: 1", "gpu: 4"), (CHURN, "4", None, BOTH)),
    "a pool": ((CHURN, "gpu: 1", 'gpu: "bare:1"'), (CHURN, '"bare:1"', None, BOTH)),
    "a timeout": (
        (CHURN, "timeout: 2h", "timeout: 48h"),
        (CHURN, "48h", "a step with a GPU ends after 24h at the latest: main (48h0m0s)", BOTH),
    ),
    "retries": (
        (CHURN, "retries: 1", "retries: 3"),
        (CHURN, "3", "a task with a GPU is retried 1 times at most: train (3)", BOTH),
    ),
    "no owner": ((CHURN, "owner: risk\n", ""), (CHURN, "churn", "missing label: mlgen.dev/owner", BOTH)),
    "no cost centre": (
        (MLGEN, "{cost-center: cc-1}", "{use: x}"),
        (MLGEN, None, "missing label: cost-center", "environment dev"),
    ),
    "an account": (
        (MLGEN, "service_account: mlgen-runner", "service_account: admin"),
        (MLGEN, "admin", None, "environment prod"),
    ),
    "a prefix": (
        (MLGEN, "s3://ml-artifacts/prod", "s3://ml-artifacts/dev"),
        (MLGEN, "s3://ml-artifacts/dev", None, "environment prod"),
    ),
    "a namespace": (
        (MLGEN, "namespace: ml-prod", "namespace: default"),
        (MLGEN, "default", "namespace default is no environment of mlgen", "environment prod"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_place_is_what_causes_the_finding(project: Path, check: Check, case: str) -> None:
    (file, old, new), (where, marked, message, environments) = CASES[case]
    path = project / file
    assert path.read_text().count(old) == 1
    path.write_text(path.read_text().replace(old, new))
    if case == "a namespace":  # which has params of its own, and no other finding
        params = project / "policies" / "params.yaml"
        params.write_text(params.read_text().replace("namespace: ml-prod", "namespace: default"))
    found = [one for one in check() if one["code"] == "policy"]
    told = [one for one in found if message in (None, one["message"])]
    assert told, found
    one = told[0]
    assert one["file"] == where
    line = (project / where).read_text().splitlines()[one["line"] - 1]
    assert marked is None or line[one["column"] - 1 : one["endColumn"] - 1] == marked
    assert environments in one["why"]
    assert one["fix"]
    assert one["related"][0]["file"].startswith("policies/")
    places = {(f["message"], f["file"], f["line"]) for f in found}
    assert len(places) == len(found), "one cause is told once"


def test_a_policy_that_nobody_here_has_seen_finds_its_place_too(project: Path, check: Check) -> None:
    (project / "policies" / "own.yaml").write_text(
        """\
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: own}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
  validations:
    - expression: "object.spec.containers.all(c, !c.?env.orValue([]).exists(e, e.name == 'MODE'))"
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: own}
spec: {policyName: own, validationActions: [Warn]}
"""
    )
    (one,) = check()
    line = (project / CHURN).read_text().splitlines()[one["line"] - 1]
    assert (one["code"], line[one["column"] - 1 : one["endColumn"] - 1]) == ("policy-warning", "fast")
    assert one["message"].startswith("failed expression: object.spec")


@pytest.mark.parametrize(
    ("operations", "expression", "code"),
    [
        ("[UPDATE]", "false", "policy"),
        ("[CREATE, UPDATE]", "oldObject == null", "policy-not-evaluated"),
        ("[UPDATE]", "object.spec == oldObject.spec", "policy-not-evaluated"),
        ("[UPDATE]", "request.operation == 'UPDATE'", None),
        ("[CREATE, UPDATE]", "oldObject == null || object.kind == 'Pipeline'", None),
        ("[DELETE]", "false", None),
    ],
)
def test_what_a_later_sync_is_asked_is_asked_here(
    operations: str, expression: str, code: str | None, project: Path, check: Check
) -> None:
    (project / "policies" / "own.yaml").write_text(
        f"""\
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: own}}
spec:
  matchConstraints:
    resourceRules: [{{apiGroups: [tekton.dev], apiVersions: [v1], operations: {operations}, resources: [pipelines]}}]
  validations:
    - {{expression: "{expression}", message: "not so"}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{name: own}}
spec: {{policyName: own, validationActions: [Deny]}}
"""
    )
    found = check()
    assert {one["code"] for one in found} == ({code} if code else set())
    assert all(one["file"] == (CHURN if code == "policy" else "policies/own.yaml") for one in found)


def test_a_secret_is_told_and_never_shown(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = project / CHURN
    spec.write_text(spec.read_text().replace("MODE: fast", 'API_KEY: "correct horse battery"'))
    for form in ("text", "json", "github", "sarif", "junit", "gitlab", "markdown"):
        assert run(["check", "pipelines/churn.yaml", "--format", form]) == 1
        told = capsys.readouterr().out
        assert "with a secret written down" in told
        assert "horse" not in told


def test_without_any_params_each_binding_and_each_environment_is_told(project: Path, check: Check) -> None:
    (project / "policies" / "params.yaml").unlink()
    found = check()
    assert {one["code"] for one in found} == {"missing-params"}
    assert {one["line"] for one in found if one["file"] == MLGEN} == {4, 13}
    assert all("policies/params.yaml" in one["fix"] for one in found if one["file"] == MLGEN)


def test_an_environment_without_params_is_told_once(project: Path, check: Check) -> None:
    config = project / MLGEN
    config.write_text(config.read_text().replace("namespace: ml-dev", "namespace: risk-dev"))
    (one,) = check()
    assert (one["code"], one["file"], one["line"]) == ("missing-params", MLGEN, 4)
    assert one["message"] == "policies/ has no ConfigMap mlgen-policies for the namespace risk-dev"
    assert "mlgen-artifacts, mlgen-gpu, mlgen-gpu-retries and 5 more" in one["why"]
    assert one["fix"].startswith("no environment has the namespace ml-dev: write `namespace: risk-dev` there; or copy")
    assert (one["related"][0]["file"], one["related"][0]["line"]) == ("policies/params.yaml", 3)


def test_the_object_that_is_refused_is_named(project: Path, check: Check) -> None:
    spec = project / CHURN
    spec.write_text("# a comment\n" + spec.read_text())
    (project / "policies" / "own.yaml").write_text(OWN % ("tasks", "!object.metadata.name.contains('-record-')", "{}"))
    (one,) = check()
    assert (one["line"], one["column"]) == (3, 7), "the name of the spec, as nothing in it is to blame"
    assert one["why"].startswith("policy own warns of Task churn-record-")


OWN = """\
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: own}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: ["*"], apiVersions: [v1], operations: [CREATE], resources: [%s]}]
  validations: [{expression: "%s", message: nobody may}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: own}
spec: {policyName: own, validationActions: [Warn], matchResources: {namespaceSelector: %s}}
"""
NAMESPACE = """\
apiVersion: v1
kind: Namespace
metadata: {name: ml-%s, labels: {tier: %s}}
"""


@pytest.mark.parametrize(
    ("selector", "environments"),
    [
        ("{matchLabels: {tier: gold}}", "dev prod"),
        ("{matchExpressions: [{key: tier, operator: DoesNotExist}]}", "dev prod"),
        ("{matchLabels: {tier: gold, mlgen.dev/env: prod}}", "prod"),
        ("{matchLabels: {mlgen.dev/env: other}}", ""),
    ],
)
def test_labels_that_only_the_cluster_knows_are_no_pass(
    project: Path, check: Check, selector: str, environments: str
) -> None:
    own = project / "policies" / "own.yaml"
    own.write_text(OWN % ("pipelines", "false", selector))
    found = check()
    assert [one["code"] for one in found] == ["policy-not-evaluated"] * len(environments.split())
    assert all(
        f"tier of the namespace ml-{env}" in "".join(o["message"] for o in found) for env in environments.split()
    )
    own.write_text(OWN % ("deployments", "false", selector))
    assert check() == [], "of no object that is rendered"
    own.write_text(OWN % ("pipelines", "false", selector))
    (project / "policies" / "namespaces.yaml").write_text(
        f"{NAMESPACE % ('dev', 'gold')}---\n{NAMESPACE % ('prod', 'gold')}"
    )
    assert all(one["code"] == "policy-warning" for one in check())


def test_labels_of_a_namespace_in_an_expression_are_no_pass(project: Path, check: Check) -> None:
    expression = "!('tier' in namespaceObject.metadata.labels)"
    (project / "policies" / "own.yaml").write_text(OWN % ("pipelines", expression, "{}"))
    assert {one["code"] for one in check()} == {"policy-not-evaluated"}
    (project / "policies" / "namespaces.yaml").write_text(f"{NAMESPACE % ('dev', 'a')}---\n{NAMESPACE % ('prod', 'b')}")
    assert {one["code"] for one in check()} == {"policy-warning"}


def test_what_kubectl_unpacks_is_no_pass(project: Path, check: Check) -> None:
    (project / "policies" / "list.yaml").write_text("apiVersion: v1\nkind: List\nitems: [{}, {}]\nmetadata: {}\n")
    (one,) = check()
    assert (one["code"], one["file"], one["line"]) == ("policy-not-evaluated", "policies/list.yaml", 2)
    assert "2 objects" in one["message"]


def test_params_that_no_api_server_stores_are_told_where_they_stand(project: Path, check: Check) -> None:
    params = project / "policies" / "params.yaml"
    text = params.read_text()
    params.write_text(text.replace('gpuRetries: "1"', "gpuRetries: 1", 1))
    (one,) = check()
    assert (one["code"], one["line"], one["fix"]) == ("wrong-type", 15, 'write "1"')
    params.write_text(text.replace("\ndata:", "\nstringData:", 1))
    assert {one["code"] for one in check()} >= {"unknown-key"}
    params.write_text(text.replace("  cpuLimits: optional", "  cpuLimits: [a]", 1))
    assert "wrong-type" in {one["code"] for one in check()}


def test_policies_are_read_here_and_specs_at_the_pin(project: Path, check: Check) -> None:
    def git(*words: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        return subprocess.run(["git", *who, *words], cwd=project, check=True, capture_output=True, text=True).stdout

    git("init", "-q")
    git("add", ".")
    path = project / CHURN
    good = path.read_text()
    path.write_text(good.replace("retries: 1", "retries: 3"))
    git("commit", "-qam", "too many")
    path.write_text(good)
    pin = git("rev-parse", "HEAD").strip()
    config = project / MLGEN
    config.write_text(config.read_text().replace("  prod:\n", f'  prod:\n    pin: "{pin}"\n'))
    (one,) = [one for one in check() if one["code"] == "policy"]
    assert one["file"] == MLGEN
    assert "retried 1 times" in one["message"]


def test_where_all_environments_are_pinned_a_change_is_judged_before_it_is_promoted(
    project: Path, check: Check
) -> None:
    def git(*words: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
        return subprocess.run(["git", *who, *words], cwd=project, check=True, capture_output=True, text=True).stdout

    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "good")
    pin = git("rev-parse", "HEAD").strip()
    config = project / MLGEN
    config.write_text(re.sub(r"(?m)^  (dev|prod):$", rf'  \1:\n    pin: "{pin}"', config.read_text()))
    assert check() == []
    path = project / CHURN
    path.write_text(path.read_text().replace("retries: 1", "retries: 3"))
    (one,) = check()
    assert (one["code"], one["severity"], one["file"]) == ("policy-warning", "warning", CHURN)
    assert "retried 1 times" in one["message"]
    assert "all environments are pinned" in one["why"]


def test_our_own_policies_pass_their_cases(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    assert run(["policy", "test", "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["findings"] == []
    assert told["summary"]["passed"] == told["summary"]["cases"] > 80
    assert all(rule["denied"] and rule["allowed"] for rule in told["rules"])


@pytest.mark.parametrize(
    ("expression", "reads"),
    [
        ("object.spec.steps.all(s, has(s.image))", False),
        ("object.metadata.?labels[?'a'].orValue('') != ''", False),
        ("object.metadata.namespace != 'default' && request.operation == 'CREATE'", False),
        ("object.metadata.name != 'a'", True),
        ("object . metadata . name != 'a'", True),
        ("object['metadata']['name'] != 'a'", True),
        ("request.name != 'a'", True),
        ("dyn(object).kind == 'Pod'", True),
        ("object.exists(k, k == 'spec')", True),
    ],
)
def test_what_may_rest_on_a_name_is_asked_of_a_retry_too(expression: str, reads: bool) -> None:
    text = f"""\
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: own}}
spec:
  matchConstraints:
    resourceRules: [{{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}}]
  validations: [{{expression: "{expression}"}}]
"""
    policies, _ = load({"policies/own.yaml": text.encode()})
    assert reads_name(policies.policies[0]) is reads


@pytest.mark.parametrize(
    ("given", "codes"),
    [
        ("-entrypoint-image localhost:5000/entrypoint:1 -nop-image a -shell-image localhost:5000/busybox:1", set()),
        ("ghcr.io/tektoncd/ -shell-image localhost:5000/busybox:1", set()),
        ("localhost:5000/", {"policy-not-evaluated"}),
        ("-entrypoint-image localhost:5000/entrypoint:1", {"policy-not-evaluated"}),
    ],
)
def test_tektons_own_images_are_what_params_say(project: Path, check: Check, given: str, codes: set[str]) -> None:
    params = project / "policies" / "params.yaml"
    params.write_text(params.read_text().replace("ghcr.io/tektoncd/ cgr.dev/chainguard/busybox@", given))
    found = check()
    assert {one["code"] for one in found} == codes
    assert all(one["file"] == "policies/params.yaml" and "kubectl" in one["fix"] for one in found)
    assert len(found) == 2 * len(codes), "once for each environment"


def test_a_limit_of_cpu_is_an_environments_to_give(project: Path, check: Check) -> None:
    params = project / "policies" / "params.yaml"
    params.write_text(params.read_text().replace("cpuLimits: optional", "cpuLimits: required"))
    config = project / MLGEN
    found = check()
    assert [(one["code"], one["line"]) for one in found] == [("policy", 3), ("policy", 12)], (
        "once each, not at each task"
    )
    assert all("`limit_cpu: true`" in one["fix"] for one in found)
    config.write_text(config.read_text().replace("    labels:", "    limit_cpu: true\n    labels:"))
    assert check() == [], "all containers have one: the author's, ours, those of records and of jobs"


def test_one_task_alone_is_as_among_all_others() -> None:
    """A place is found by trying; with all tasks of a pipeline anew for each, one spec held `check` for minutes."""
    workspace = Workspace(ROOT)
    for plan in workspace.plans(workspace.specs(None)):
        for environment in workspace.project.rendered:
            tasks = [(data, task) for data, task in rendered(plan, environment) if data["kind"] == "Task"]
            assert all(rendered_task(plan, environment, task) == data for data, task in tasks)


def test_what_is_not_tried_any_more_is_told_all_the_same(
    project: Path, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policing, "MOST_MADE", 0)
    spec = project / CHURN
    spec.write_text(spec.read_text().replace("retries: 1", "retries: 9"))
    found = check()
    assert found
    assert all("retried 1 times" in one["message"] and one["file"] == CHURN for one in found)


@pytest.mark.parametrize(
    "pointer",
    ["/metadata", "/kind", "/apiVersion", "/metadata/namespace", "/spec/list/-1", "/spec/list/\u0661", "/spec/list/00"],
)
def test_a_change_that_leaves_no_object_is_told_at_its_pointer(
    project: Path, capsys: pytest.CaptureFixture[str], pointer: str
) -> None:
    (project / "policies" / "own.yaml").write_text(OWN % ("tasks", "true", "{}"))
    (project / "policies" / "tests").mkdir()
    case = {"name": "a", "object": {"apiVersion": "v1", "kind": "X", "spec": {"list": [1]}}, "change": {pointer: None}}
    (project / "policies" / "tests" / "own.yaml").write_text(json.dumps({"cases": [case]}))
    assert run(["policy", "test", "policies/own.yaml", "--format", "json"]) == 1
    assert [one["code"] for one in json.loads(capsys.readouterr().out)["findings"]] == ["policy-case"]


def test_a_value_that_no_rule_can_read_is_told_where_it_stands(project: Path, check: Check) -> None:
    params = project / "policies" / "params.yaml"
    params.write_text(params.read_text().replace('gpus: "2"', "gpus: x", 1))
    found = check()
    assert {(one["file"], one["line"]) for one in found} == {("policies/params.yaml", 16)}
    assert all("a value that the rule can read" in one["fix"] for one in found)
    assert len(found) <= 2, "at most one for each rule of the policy, none for each task"


@pytest.mark.parametrize("name", ["other.yaml", ".other.yaml"])
def test_what_another_engine_would_ask_is_no_pass(project: Path, check: Check, name: str) -> None:
    (project / "policies" / name).write_text(
        "apiVersion: kyverno.io/v1\nkind: ClusterPolicy\nmetadata: {name: other}\n"
    )
    (one,) = check()
    assert (one["code"], one["file"], one["line"]) == ("policy-not-evaluated", f"policies/{name}", 3)
