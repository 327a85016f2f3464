"""What listens for events and what each starts: the least rights, Triggers' own rules, nothing where nobody asked."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from mlgen.plan.model import Plan
from mlgen.render.argocd import KINDS, argocd_manifests
from mlgen.render.cronjob import MAX_NAME
from mlgen.render.rendering import render_all
from mlgen.render.starts import start_manifests
from mlgen.render.triggered import KINDS as ASKED
from mlgen.render.triggered import MAX_LISTENER, listener_manifests
from mlgen.runtime.pod.event_start import ANNOTATION, Start
from mlgen.runtime.pod.start import FILE
from mlgen.spec.project import ArgoCD, Environment, Project
from tests.spec.texts import plan_of
from tests.strategies import environment

SPEC = """\
version: 1
name: NAME
params: {file: {type: string}, rows: 3}
on: ON
tasks: {tell: {run: echo, image: busybox, in: [params.file, params.rows]}}
"""
OBJECT = '{object: "s3://ml-data/in/*.csv", params: {file: {object: uri}}}'
GITHUB = "{webhook: github, secret: hooks/key, events: [push], params: {file: {body: after}}}"
GITLAB = "{webhook: gitlab, secret: hooks/key, params: {file: {body: after}}}"
BEARER = "{webhook: bearer, secret: hooks/key, params: {file: {body: after}}}"
EVENT = "{event: dev.x, params: {file: {data: file}, rows: {data: rows}}}"
LISTENING = environment(triggers=True)


def plan(on: str, name: str = "told") -> Plan:
    return plan_of(SPEC.replace("ON", on).replace("NAME", name).encode(), name=name)


def objects(on: str, env: Environment = LISTENING) -> dict[str, Any]:
    return {str(m.data["kind"]): yaml.safe_load(m.bytes) for m in start_manifests(plan(on), env)}


def listener(env: Environment = LISTENING) -> dict[str, Any]:
    return {str(m.data["kind"]): yaml.safe_load(m.bytes) for m in listener_manifests(env)}


def test_nothing_where_the_environment_does_not_ask() -> None:
    quiet = environment()
    assert start_manifests(plan(EVENT), quiet) == []
    assert listener_manifests(quiet) == []
    loud, silent = render_all([plan(EVENT)], [LISTENING]).files, render_all([plan(EVENT)], [quiet]).files
    assert {path for path in loud if path not in silent} == {
        "prod/cluster/clusterrole-mlgen-events-ml-prod-prod.yaml",
        "prod/cluster/clusterrolebinding-mlgen-events-ml-prod-prod.yaml",
        "prod/manifests/eventlistener-mlgen-prod.yaml",
        *(f"prod/manifests/{kind}-mlgen-events-prod.yaml" for kind in ("role", "rolebinding", "serviceaccount")),
        *(f"prod/manifests/{kind}-mlgen-start-told-prod.yaml" for kind in ("role", "rolebinding", "serviceaccount")),
        *(
            f"prod/manifests/{kind}-told-{plan(EVENT).triggers[0].digest}-prod.yaml"
            for kind in ("configmap", "trigger")
        ),
    }
    assert all(loud[path] == data for path, data in silent.items())


def test_who_listens_reads_triggers_and_makes_jobs() -> None:
    found = listener()
    assert found["Role"]["rules"] == [
        {
            "apiGroups": ["triggers.tekton.dev"],
            "resources": ["eventlisteners", "interceptors", "triggerbindings", "triggers", "triggertemplates"],
            "verbs": ["get", "list", "watch"],
        },
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create"]},
    ]
    [rule] = found["ClusterRole"]["rules"]
    assert rule["resources"] == ["clusterinterceptors", "clustertriggerbindings"]  # and no Secrets
    assert rule["verbs"] == ["get", "list", "watch"]
    account = found["ServiceAccount"]["metadata"]["name"]
    assert found["ServiceAccount"]["automountServiceAccountToken"] is True  # Triggers' pod asks for none
    for binding in ("RoleBinding", "ClusterRoleBinding"):
        assert found[binding]["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": "ml-prod"}]
        assert found[binding]["roleRef"]["kind"] == binding.removesuffix("Binding")
    assert found["EventListener"]["spec"]["serviceAccountName"] == account
    assert "namespace" not in found["ClusterRole"]["metadata"]


def test_it_listens_for_the_triggers_of_its_environment() -> None:
    spec = listener()["EventListener"]["spec"]
    labels = spec["labelSelector"]["matchLabels"]
    assert labels.items() <= objects(EVENT)["Trigger"]["metadata"]["labels"].items()
    other = objects(EVENT, environment(name="dev", triggers=True))["Trigger"]["metadata"]["labels"]
    assert not labels.items() <= other.items()
    # What Triggers' webhook allows of its pod: event_listener_validation.go, podSpecMask and containerFieldMask.
    pod = spec["resources"]["kubernetesResource"]["spec"]["template"]["spec"]
    assert pod.keys() <= {"serviceAccountName", "containers", "tolerations", "nodeSelector", "securityContext"}
    [container] = pod["containers"]
    assert {key for key in container if container[key]} <= {"resources", "env", "securityContext"}
    assert pod["securityContext"]["runAsNonRoot"] is True


@pytest.mark.parametrize("on", [OBJECT, GITHUB, GITLAB, BEARER, EVENT])
def test_a_trigger_is_as_the_webhook_of_triggers_wants_it(on: str) -> None:
    trigger = objects(on)["Trigger"]
    assert trigger["apiVersion"] == "triggers.tekton.dev/v1beta1"
    spec = trigger["spec"]
    assert spec["template"].keys() == {"spec"}  # spec or ref
    assert [binding.keys() for binding in spec["bindings"]] == [{"name", "value", "kind"}]
    [job] = spec["template"]["spec"]["resourcetemplates"]
    assert (job["kind"], job["apiVersion"]) == ("Job", "batch/v1")
    assert json.dumps(job).count("$(") == 1  # the one param, which is declared
    assert spec["template"]["spec"]["params"] == [{"name": "event"}]
    for one in spec["interceptors"]:
        assert one.keys() == {"ref", "params"}
        assert one["ref"]["kind"] == "ClusterInterceptor"
    assert "$(tt.params" not in json.dumps(spec["interceptors"])


def test_its_pod_is_that_of_who_starts_the_pipeline() -> None:
    found = objects(EVENT)
    [job] = found["Trigger"]["spec"]["template"]["spec"]["resourcetemplates"]
    template = job["spec"]["template"]
    assert template["metadata"]["annotations"] == {ANNOTATION: "$(tt.params.event)"}
    pod = template["spec"]
    assert pod["serviceAccountName"] == found["ServiceAccount"]["metadata"]["name"] == "mlgen-start-told-prod"
    assert pod["volumes"][0]["configMap"]["name"] == found["ConfigMap"]["metadata"]["name"]
    assert pod["containers"][0]["args"] == ["start"]
    assert "MLGEN_JOB" not in json.dumps(pod)  # which is of times
    assert found["Role"]["rules"][0]["verbs"] == ["create"]
    what = Start.read(found["ConfigMap"]["data"][FILE].encode())
    assert what.trigger == plan(EVENT).triggers[0]
    assert what.run["metadata"]["labels"]["mlgen.dev/trigger"] == found["Trigger"]["metadata"]["name"]


def test_who_sends_is_asked_first() -> None:
    first = {name: objects(on)["Trigger"]["spec"]["interceptors"][0] for name, on in
             {"github": GITHUB, "gitlab": GITLAB, "bearer": BEARER}.items()}  # fmt: skip
    secret = {"name": "secretRef", "value": {"secretName": "hooks", "secretKey": "key"}}
    assert first["github"]["params"] == [secret, {"name": "eventTypes", "value": ["push"]}]
    assert first["gitlab"]["params"] == [secret]
    assert 'compareSecret("key", "hooks")' in first["bearer"]["params"][0]["value"]
    asked = objects(EVENT.replace("params", "secret: hooks/key, params"))["Trigger"]["spec"]["interceptors"]
    assert "compareSecret" in json.dumps(asked[0])


def test_the_rights_of_times_and_events_are_one() -> None:
    schedule = 'schedule: {cron: "0 3 * * *", concurrency: allow, params: {file: x}}\n'
    text = schedule + SPEC.replace("NAME", "told").replace(
        "ON", EVENT.replace("params", "concurrency: replace, params", 1)
    )
    both = plan_of(text.encode(), name="told")
    [role] = [m.data for m in start_manifests(both, LISTENING) if m.data["kind"] == "Role"]
    assert role["rules"] == [
        {"apiGroups": ["tekton.dev"], "resources": ["pipelineruns"], "verbs": ["create", "list", "patch"]}
    ]
    [role] = [m.data for m in start_manifests(both, environment()) if m.data["kind"] == "Role"]
    assert role["rules"] == [{"apiGroups": ["tekton.dev"], "resources": ["pipelineruns"], "verbs": ["create"]}]


@pytest.mark.parametrize("length", [1, 39, 40])
def test_several_triggers_of_a_pipeline_have_their_own(length: int) -> None:
    name, env = "a" * length, environment(name="production", triggers=True)
    events = f"[{EVENT}, {EVENT.replace('dev.x', 'dev.y')}]"
    made = plan_of(SPEC.replace("ON", events).replace("NAME", name).replace("tell:", "t:").encode(), name=name)
    triggers = [m.name for m in start_manifests(made, env) if m.data["kind"] == "Trigger"]
    assert len(set(triggers)) == 2


def test_long_names_fit() -> None:
    name, env = "a" * 35, environment(name="e" * 40, triggers=True)
    made = plan_of(SPEC.replace("ON", EVENT).replace("NAME", name).encode(), name=name)
    for one in start_manifests(made, env):
        assert len(one.name) <= (MAX_NAME if one.data["kind"] in ("Trigger", "ConfigMap") else 63)
    assert all(len(m.name) <= MAX_LISTENER for m in listener_manifests(env) if m.data["kind"] == "EventListener")


def test_argo_cd_may_sync_them_where_they_are() -> None:
    argocd = ArgoCD()
    for env in (environment(), LISTENING):
        [project] = [
            m.data["spec"]
            for m in argocd_manifests(Project("https://git.example/r", (env,), argocd), env)
            if m.data["kind"] == "AppProject"
        ]
        assert isinstance(project, dict)
        allowed = {(one["group"], one["kind"]) for one in project["namespaceResourceWhitelist"]}
        assert allowed == {*KINDS, *(ASKED if env.triggers else ())}
        assert project["clusterResourceWhitelist"] == []
    synced = {
        (str(m.data["apiVersion"]).rpartition("/")[0].removeprefix("v1"), str(m.data["kind"]))
        for m in (*listener_manifests(LISTENING), *start_manifests(plan(EVENT), LISTENING))
        if "/manifests/" in m.path
    }
    assert synced <= {*KINDS, *ASKED}
