"""The job before a sync: a rule that refused its pod would keep everything from being synced."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlgen.cli.policies.policed import policy_files
from mlgen.cli.policies.subjects import Plain, namespace
from mlgen.cli.projects.workspace import Workspace
from mlgen.policy.cases import resources
from mlgen.policy.judge import Judge, Request
from mlgen.policy.load import load
from mlgen.render.published import published_manifests

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("env", ["dev", "prod"])
def test_our_own_policies_take_it_and_its_pod(env: str) -> None:
    workspace = Workspace(ROOT)
    environment = next(one for one in workspace.project.rendered if one.name == env)
    (manifest,) = published_manifests(workspace.plans(workspace.specs(None)), environment)
    job = Plain()(manifest.data)
    template, name = job["spec"]["template"], job["metadata"]["name"]
    # As the Job controller makes it.
    labels = {**template["metadata"]["labels"], "batch.kubernetes.io/job-name": name, "job-name": name}
    about = {"generateName": f"{name}-", "name": f"{name}-x7k2p", "namespace": environment.namespace, "labels": labels}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": template["spec"]}
    policies, found = load(policy_files(workspace)[0])
    assert found == []
    for thing in (job, pod):
        resource = resources(thing)
        verdicts = Judge(policies).judge(Request(thing, resource, namespace=namespace(environment)))
        assert [(one.policy.name, one.message) for one in verdicts] == []
