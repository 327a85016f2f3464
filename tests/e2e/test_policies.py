"""The starter set on a real cluster: it answers as `mlgen policy test` and `mlgen check` do, by server-side dry runs.

Policies are bound to one namespace of ours, each to objects that carry its own label: so one is asked at a time.
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlgen.policy.cases import Case, read_cases, resources
from mlgen.policy.pods import pods
from mlgen.spec.document import read
from tests.e2e import api, sentinel
from tests.e2e.cluster import ROOT, kubectl, needs_cluster, render
from tests.e2e.settings import need

pytestmark = needs_cluster

POLICIES = sorted(path for path in (ROOT / "policies").glob("*.yaml") if path.name != "params.yaml")
LABEL = "mlgen.dev/e2e-policy"
ACCOUNTS = {"mlgen-runner", "mlgen-ledger-dev", "mlgen-ledger-prod", "cluster-admin", "admin"}
Data = dict[str, Any]


@dataclass(frozen=True)
class Bound:
    """A namespace in which policies hold. suffix: of the names of policies and bindings."""

    namespace: str
    suffix: str

    def ask(self, policy: str, data: Data, old: Data | None = None) -> str | None:
        """What the API server says against an object by one policy; None where it would take it."""
        sent = copy.deepcopy(data)
        metadata = sent["metadata"]
        metadata["namespace"] = self.namespace
        metadata["labels"] = {**(metadata.get("labels") or {}), LABEL: policy}
        group, version, plural = resources(sent)
        path = f"/apis/{group}/{version}" if group else f"/api/{version}"
        status, answer = _send("POST", f"{path}/namespaces/{self.namespace}/{plural}?dryRun=All", sent)
        if status < 300:
            return None
        name = f"mlgen-{policy}-{self.suffix}"
        head = f"ValidatingAdmissionPolicy '{name}' with binding '{name}' denied request: "
        assert head in answer["message"], answer["message"]
        return str(answer["message"].split(head, 1)[1])

    def ask_all(self, objects: list[Data]) -> set[tuple[str, str | None]]:
        """What each policy says against each object of the kinds that it is for."""
        pairs = [(path.stem, data) for path in POLICIES for data in objects if resources(data)[2] in _judged(path)]
        with ThreadPoolExecutor(16) as pool:
            return set(pool.map(lambda pair: (pair[0], self.ask(*pair)), pairs))

    def give(self, params: Data) -> None:
        """Let these be the params; waits until the API server has seen them."""
        given = {"labels": "mlgen.dev/owner", **params, "e2e": uuid.uuid4().hex}
        metadata = {"name": "mlgen-policies", "namespace": self.namespace}
        kubectl(
            "apply", "-f", "-", given={"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": given}
        )
        probe = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "probe"}, "data": {"e2e": given["e2e"]}}
        self.wait(lambda: self.ask("probe", probe) is None)

    def wait(self, look: Any) -> None:
        until = time.monotonic() + 60
        while not look():
            assert time.monotonic() < until, "the API server does not see what was applied"
            time.sleep(0.2)


def _send(method: str, path: str, body: Data) -> tuple[int, Data]:
    client = api._client()
    headers = {"Content-Type": "application/json"}
    client.update_params_for_auth(headers, [], ["BearerToken"], path, method, None)
    answer = client.rest_client.pool_manager.request(
        method, client.configuration.host + path, body=json.dumps(body), headers=headers, timeout=30
    )
    return answer.status, json.loads(answer.data)


PROBE = """\
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: mlgen-probe}
spec:
  paramKind: {apiVersion: v1, kind: ConfigMap}
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]
  validations: [{expression: "object.data.e2e == params.data.e2e", message: another}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: mlgen-probe}
spec:
  policyName: mlgen-probe
  validationActions: [Deny]
  paramRef: {name: mlgen-policies, parameterNotFoundAction: Deny}
"""


@pytest.fixture(scope="module")
def bound() -> Iterator[Bound]:
    need("KUBECONFIG")
    sentinel.keep()
    suffix = uuid.uuid4().hex[:6]
    made = Bound(f"mlgen-e2e-policies-{suffix}", suffix)
    items = [one for path in POLICIES for one in _bound(path.stem, path.read_text(), made)]
    items += _bound("probe", PROBE, made)
    names = [f"{item['kind'].lower()}/{item['metadata']['name']}" for item in items]
    # A pod whose account is not there is refused before any policy is asked.
    named = {case.object["spec"].get("serviceAccountName") for path in POLICIES for case in _pods(path.stem)}
    accounts = [_account(name, made.namespace) for name in sorted(ACCOUNTS | named - {None, "default"})]
    kubectl("create", "namespace", made.namespace)
    kubectl("label", "namespace", made.namespace, "mlgen.dev/env=dev")
    try:
        kubectl("wait", "-n", made.namespace, "--for=create", "serviceaccount/default", "--timeout=60s")
        kubectl("apply", "-f", "-", given={"apiVersion": "v1", "kind": "List", "items": [*items, *accounts]})
        made.wait(lambda: _active(made))
        yield made
    finally:
        kubectl("delete", "--ignore-not-found", *names)
        kubectl("delete", "namespace", made.namespace, "--wait=false")


@cache
def _judged(path: Path) -> frozenset[str]:
    """The resources that a policy is for: tasks, pods and so on."""
    policies = [one for one in yaml.safe_load_all(path.read_text()) if one["kind"] == "ValidatingAdmissionPolicy"]
    rules = [rule for one in policies for rule in one["spec"]["matchConstraints"]["resourceRules"]]
    found = frozenset(resource for rule in rules for resource in rule["resources"])
    assert "*" not in found
    return found


def _bound(stem: str, text: str, bound: Bound) -> list[Data]:
    """Policy and binding under names of their own, for one label in one namespace alone."""
    items = list(yaml.safe_load_all(text))
    for item in items:
        item["metadata"]["name"] += f"-{bound.suffix}"
        if "policyName" in item["spec"]:
            item["spec"]["policyName"] += f"-{bound.suffix}"
            item["spec"]["matchResources"] = {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": bound.namespace}},
                "objectSelector": {"matchLabels": {LABEL: stem}},
            }
    return items


def _account(name: str, namespace: str) -> Data:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}


def _active(bound: Bound) -> bool:
    """Whether the last of the policies answers; they become active within a second or so of each other."""
    data = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "probe"}, "data": {"e2e": "none"}}
    pod = _pod({"nvidia.com/gpu": "1"})
    return bound.ask("probe", data) is not None and all(
        bound.ask(policy, pod) is not None for policy in ("artifacts", "gpu", "images", "labels", "limits")
    )


def _pod(limits: Data, **spec: Any) -> Data:
    container = {"name": "main", "image": "x", "resources": {"limits": limits}}
    metadata = {"name": "by-hand"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container], **spec}}


def _pods(stem: str) -> list[Case]:
    return [case for case in _cases(stem) if case.object["kind"] == "Pod"]


def _cases(stem: str) -> list[Case]:
    path = ROOT / "policies" / "tests" / f"{stem}.yaml"
    cases, findings = read_cases(read(str(path), path.read_bytes()))
    assert not findings
    # What a dry run cannot ask: an update of what is not there; a namespace that is another's.
    labels = {"mlgen.dev/env": "dev"}
    return [
        case
        for case in cases
        if case.operation == "CREATE"
        and labels.items() <= case.namespace["metadata"]["labels"].items()
        and case.object["metadata"]["namespace"] == "ml-dev"
    ]


@pytest.mark.parametrize("stem", [path.stem for path in POLICIES])
def test_the_cluster_answers_each_case_as_its_author_expects(bound: Bound, stem: str) -> None:
    cases = _cases(stem)
    assert cases
    for params in {json.dumps(dict(case.params), sort_keys=True): case.params for case in cases}.values():
        bound.give(dict(params))
        for case in (case for case in cases if case.params == params):
            said = bound.ask(stem, case.object)
            # The API server tells of the first rule that says no.
            assert said == (case.denied[0] if case.denied else None), case.name


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_the_cluster_takes_what_this_repository_renders(bound: Bound, tmp_path: Path, environment: str) -> None:
    objects = _objects(ROOT, environment, tmp_path)
    bound.give(_params(ROOT, environment))
    assert {data["kind"] for data in objects} >= {"Task", "Pipeline", "PipelineRun", "CronJob", "Pod"}
    assert {(stem, said) for stem, said in bound.ask_all(objects) if said is not None} == set()


def _objects(project: Path, environment: str, out: Path) -> list[Data]:
    """All that an environment renders to, and the pods of it."""
    manifests, runs = render(project, environment, out)
    found = [m for m in (*manifests, *runs) if m["kind"] in ("Task", "Pipeline", "PipelineRun", "CronJob")]
    tasks = [m for m in found if m["kind"] == "Task"]
    for run in runs:
        (pipeline,) = [
            m for m in found if m["kind"] == "Pipeline" and m["metadata"]["name"] == run["spec"]["pipelineRef"]["name"]
        ]
        found += [one.pod for one in pods(pipeline, tasks, run)]
    return found


def _params(project: Path, environment: str) -> Data:
    every = yaml.safe_load_all((project / "policies" / "params.yaml").read_text())
    (found,) = [one["data"] for one in every if one["metadata"]["namespace"] == f"ml-{environment}"]
    return dict(found)


BAD = """\
version: 1
name: bad
defaults: {image: "docker.io/library/python:3.12@sha256:%(digest)s", memory: 256Mi}
tasks:
  foreign: {run: echo, image: "quay.io/evil/img@sha256:%(digest)s"}
  tagged: {run: echo, image: "docker.io/library/python:3.12"}
  told: {run: echo, env: {DB_PASSWORD: hunter2}}  # not a secret
  loud: {run: "curl -u ml:glpat-aaaaaaaaaaaaaaaaaaaa https://example.com"}  # not a secret
  bare: {run: echo, gpu: "bare:1"}
  long: {run: echo, gpu: 1, timeout: 48h}
  many: {run: echo, gpu: 4}
  stubborn: {run: echo, gpu: 1, retries: 5}
"""
PROJECT = """\
version: 1
environments:
  dev:
    namespace: ml-dev
    artifacts: s3://elsewhere
    ledger: {url: "https://git.example/ml/ledger.git"}
    runtime_image: registry.example/mlgen@sha256:%(digest)s
    service_account: admin
    gpus:
      bare: {resource: nvidia.com/gpu}
      default: {resource: nvidia.com/gpu, tolerations: [{key: nvidia.com/gpu, operator: Exists}]}
"""


def test_the_cluster_refuses_with_the_words_of_check(bound: Bound, tmp_path: Path) -> None:
    given = {"digest": "0" * 64}
    project = tmp_path / "project"
    subprocess.run([sys.executable, "-m", "mlgen", "init", str(project)], env=_env(), check=True, capture_output=True)
    params = project / "policies" / "params.yaml"
    params.write_text(params.read_text().replace("digests: optional", "digests: required"))
    (project / "mlgen.yaml").write_text(PROJECT % given)
    (project / "pipelines" / "line.yaml").unlink()
    (project / "pipelines" / "bad.yaml").write_text(BAD % given)
    command = [sys.executable, "-m", "mlgen", "check", "--format", "json"]
    done = subprocess.run(command, cwd=project, env=_env(), check=False, capture_output=True, text=True)
    findings = [f for f in json.loads(done.stdout)["findings"] if f["code"] == "policy"]
    told = {(Path(f["related"][0]["file"]).stem, f["message"]) for f in findings}
    assert len({stem for stem, _ in told}) == 7, (
        "all but isolation, limits, namespace, plan-digest, rights: no spec breaks those"
    )
    bound.give(_params(project, "dev"))
    objects = _objects(project, "dev", tmp_path / "out")
    refused = bound.ask_all(objects)
    assert told <= refused
    # Beside these only what check says once, of the Task: a pod's containers have other names, and retries are its own.
    others = {(stem, said) for stem, said in refused - told if said is not None}
    assert {stem for stem, _ in others} <= {stem for stem, _ in told}


def _env() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "generator")}


def test_a_pod_by_hand_with_a_gpu_and_no_toleration_is_refused(bound: Bound) -> None:
    bound.give(_params(ROOT, "dev"))
    kept: Data = {"activeDeadlineSeconds": 60}
    said = bound.ask("gpu", _pod({"nvidia.com/gpu": "1"}, **kept))
    assert said is not None
    assert said.startswith("a pod with a GPU tolerates no taint of GPU nodes")
    tolerated = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert bound.ask("gpu", _pod({"nvidia.com/gpu": "1"}, tolerations=tolerated, **kept)) is None


def test_without_params_nothing_is_taken(bound: Bound) -> None:
    kubectl("delete", "-n", bound.namespace, "configmap", "mlgen-policies", "--ignore-not-found")
    probe = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "probe"}, "data": {"e2e": "none"}}
    wanted = "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction"
    bound.wait(lambda: bound.ask("probe", probe) == wanted)
    assert bound.ask("images", _pod({})) == wanted
