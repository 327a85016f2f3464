"""What changes of mlgen.yaml, mlgen.lock and policies are told as."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from mlgen.review.change import Effect, line
from mlgen.review.files import lock_changes, policy_changes
from mlgen.review.make import make_part
from mlgen.review.project import environment_changes, project_changes
from mlgen.review.rules import read_rules
from mlgen.spec.external import ExternalSecrets, Identity
from mlgen.spec.project import S3, Environment, GpuPool, Ledger, Limits, Project, Spot
from tests.review.states import DIGEST, OTHER, SPEC, prod, side
from tests.strategies import load

FULL = Environment(
    "prod", "ml-prod", "s3://a/b", S3("https://s3.example", "eu-1", "s3"), (("ml-data", S3("https://o.example")),),
    Ledger("https://git.example/l.git", "ledger", "token", "task", 10, "signers"), "runner", 1000, "runtime:1",
    ("ghcr",), (("a100", GpuPool("nvidia.com/gpu", (("pool", "a100"),), ({"key": "gpu"},), 60)),), ("ghcr.io/acme/",),
    Limits(8, 1 << 38, 86400), False, 3600, 3600, (("team", "risk"),),
)  # fmt: skip

CHANGED: dict[str, tuple[dict[str, Any], str]] = {
    "namespace": ({"namespace": "ml-risk"}, "runs: prod.namespace ml-prod → ml-risk"),
    "artifacts": ({"artifacts": "s3://a/c"}, "runs: prod.artifacts s3://a/b → s3://a/c"),
    "s3": ({"s3": S3("https://s3.example", "eu-1", None)}, "runs: prod.s3.secret removed, was s3"),
    "buckets": ({"buckets": ()}, "runs: prod.buckets.ml-data.endpoint removed, was https://o.example"),
    "ledger": (
        {"ledger": replace(FULL.ledger, url="ssh://x/y")},
        "runs: prod.ledger.url https://git.example/l.git → ssh://x/y",
    ),
    "interval": ({"ledger": replace(FULL.ledger, interval_seconds=90)}, "runs: prod.ledger.interval 10s → 1m30s"),
    "signers": ({"ledger": replace(FULL.ledger, signers=None)}, "rules: prod.ledger.signers removed, was signers"),
    "service_account": ({"service_account": "x"}, "runs: prod.service_account runner → x"),
    "user": ({"user": 0}, "runs: prod.user 1000 → 0"),
    "runtime_image": ({"runtime_image": "runtime:2"}, "runs: prod.runtime_image runtime:1 → runtime:2"),
    "image_pull_secrets": ({"image_pull_secrets": ("a", "b")}, "runs: prod.image_pull_secrets ghcr → a, b"),
    "gpus": (
        {"gpus": (("a100", replace(FULL.gpus[0][1], tolerations=())),)},
        'runs: prod.gpus.a100.tolerations removed, was [{"key":"gpu"}]',
    ),
    "registries": ({"registries": ("ghcr.io/",)}, "rules: prod.registries ghcr.io/acme/ → ghcr.io/"),
    "limit_cpu": ({"limit_cpu": True}, "resources: prod.limit_cpu false → true"),
    "limits": ({"limits": Limits(16, 1 << 38, 86400)}, "rules: prod.limits.gpu 8 → 16"),
    "memory": ({"limits": Limits(8, 1 << 39, 86400)}, "rules: prod.limits.memory 256Gi → 512Gi"),
    "queue_seconds": ({"queue_seconds": 7200}, "resources: prod.queue 1h → 2h"),
    "staging_seconds": ({"staging_seconds": 60}, "resources: prod.staging 1h → 1m"),
    "labels": ({"labels": (("team", "fraud"),)}, "metadata: prod.labels.team risk → fraud"),
    "spot": (
        {"spot": Spot((("karpenter.sh/capacity-type", "spot"),))},
        "resources: prod.spot.node_selector.karpenter.sh/capacity-type new: spot",
    ),
    "workspaces": (
        {"workspaces": (("fast", "premium-rwo"),)},
        "resources: prod.workspaces.fast new: premium-rwo",
    ),
    "priorities": ({"priorities": (("high", "ml-prod"),)}, "resources: prod.priorities.high new: ml-prod"),
    "queues": ({"queues": (("default", "ml-batch"),)}, "resources: prod.kueue.queues.default new: ml-batch"),
    "identity": (
        {"identity": Identity("gcp", "x@y")},
        "runs: prod.identity.cloud new: gcp\nruns: prod.identity.name new: x@y",
    ),
    "external_secrets": (
        {"external_secrets": ExternalSecrets(others=("mine",))},
        "runs: prod.external_secrets.others new: mine\nruns: prod.external_secrets.refresh new: 15m",
    ),
    "triggers": ({"triggers": True}, "runs: prod.triggers new: true"),
    "pin": ({"pin": "1" * 40}, f"none: prod.pin new: {'1' * 12}"),
}


@pytest.mark.parametrize("name", CHANGED)
def test_each_setting_of_an_environment_is_told(name: str) -> None:
    changes, expected = CHANGED[name]
    found = environment_changes(FULL, replace(FULL, **changes))
    assert [f"{change.effect}: {line(change)}" for change in found] == expected.split("\n")


def test_no_setting_is_forgotten() -> None:
    assert {field.name for field in fields(Environment)} - {"name"} <= set(CHANGED)
    parts: tuple[Any, ...] = (FULL.s3, FULL.ledger, FULL.limits, FULL.gpus[0][1])
    for one in parts:
        for field in fields(one):
            assert environment_changes(FULL, _without(FULL, one, field.name)), field.name


def _without(environment: Environment, part: Any, name: str) -> Environment:
    other: Any = replace(part, **{name: None})
    if part is environment.gpus[0][1]:
        return replace(environment, gpus=(("a100", other),))
    (field,) = [field.name for field in fields(environment) if getattr(environment, field.name) is part]
    changes: dict[str, Any] = {field: other}
    return replace(environment, **changes)


def test_environments_come_and_go() -> None:
    old, new = Project(environments=(FULL,)), Project("https://g", (Environment("local"), prod()))
    assert [line(change) for change in project_changes(old, replace(old, environments=()))] == [
        "prod is no environment any more (namespace ml-prod)"
    ]
    assert [line(change) for change in project_changes(Project(environments=()), new)] == [
        "repository new: https://g",
        "local is a new environment (not rendered)",
        "prod is a new environment (namespace ml-prod)",
    ]


def test_the_lock_is_told_by_images() -> None:
    found = lock_changes({"a:1": DIGEST, "b:1": DIGEST}, {"a:1": OTHER, "c:1": DIGEST}, [load(SPEC)])
    assert [line(change) for change in found] == [
        "a:1 sha256:aaaaaaaaaaaa… → sha256:bbbbbbbbbbbb…",
        "b:1 removed, was sha256:aaaaaaaaaaaa…",
        "c:1 new: sha256:aaaaaaaaaaaa…",
    ]
    assert {change.effect for change in found} == {Effect.NONE}
    # One that tasks use reaches their runs.
    (change,) = lock_changes({}, {"ghcr.io/acme/churn:1.8@" + DIGEST: OTHER}, [load(SPEC)])
    assert (change.effect, change.note) == (Effect.RUNS, "used by 4 tasks of the specs that changed")


POLICY = b"""\
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: gpu}
spec:
  failurePolicy: Fail
  validations: [{expression: "true"}, {expression: "false"}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: gpu}
spec: {policyName: gpu, validationActions: [Deny]}
"""


@pytest.mark.parametrize(
    ("old", "new", "weaker"),
    [
        (b"[Deny]", b"[Warn]", "weaker: gpu no longer denies"),
        (b"failurePolicy: Fail", b"failurePolicy: Ignore", "weaker: gpu lets pass what it cannot judge"),
        (b', {expression: "false"}', b"", "weaker: gpu has 1 validations, and had 2"),
        (b"{name: gpu}\nspec:\n", b"{name: gpus}\nspec:\n", "weaker: gpu is gone"),
        (b"  failure", b"  matchConditions: [{name: x, expression: 'a'}]\n  failure",
         "weaker: gpu has more conditions under which it does not apply"),
        (b'"false"', b'"false || x"', ""),
        (b"kind: V", b"kind: *V", "weaker: cannot be read any more"),
    ],
)  # fmt: skip
def test_a_policy_that_refuses_less_is_told(old: bytes, new: bytes, weaker: str) -> None:
    other = POLICY.replace(old, new)
    assert other != POLICY
    (change,) = _policies({"policies/gpu.yaml": POLICY}, {"policies/gpu.yaml": other})
    assert (change.effect, change.note) == (Effect.RULES, weaker)
    assert change.lines


def _policies(before: dict[str, bytes], after: dict[str, bytes]) -> Any:
    return policy_changes(before, after, {data: read_rules(data) for data in (*before.values(), *after.values())})


def test_policies_come_and_go() -> None:
    assert [line(c) for c in _policies({}, {"policies/gpu.yaml": POLICY})] == ["policies/gpu.yaml is new"]
    assert [line(c) for c in _policies({"policies/gpu.yaml": POLICY}, {})] == [
        "policies/gpu.yaml removed (weaker: gpu no longer denies; gpu is gone)"
    ]


PARAMS = b"""\
apiVersion: v1
kind: ConfigMap
metadata: {namespace: ml-dev, name: mlgen-policies}
data:
  gpuRetries: "1"
  images: |
    a
    b
---
apiVersion: v1
kind: ConfigMap
metadata: {namespace: ml-prod, name: mlgen-policies, labels: {team: x}}
data: {gpuRetries: "1"}
"""


def test_params_of_policies_are_told_in_words() -> None:
    def told(*pairs: tuple[bytes, bytes]) -> Any:
        other = PARAMS
        for old, new in pairs:
            assert old in other
            other = other.replace(old, new, 1)
        return _policies({"policies/params.yaml": PARAMS}, {"policies/params.yaml": other})

    found = told((b'gpuRetries: "1"', b'gpuRetries: "0"\n  more: x'), (b"    b\n", b"    c\n"))
    assert [line(change) for change in found] == [
        "policies/params.yaml changed",
        "ml-dev/mlgen-policies gpuRetries 1 → 0",
        "ml-dev/mlgen-policies images changed (+1 -1 lines)",
        "ml-dev/mlgen-policies more new: x",
    ]
    assert {change.effect for change in found} == {Effect.RULES}
    assert found[0].lines == ()
    assert found[2].lines[1:] == (" a", "-b", "+c")
    found = told((b"namespace: ml-prod", b"namespace: ml-live"))
    assert [line(change) for change in found[1:]] == ["ml-live/mlgen-policies is new", "ml-prod/mlgen-policies removed"]
    assert found[0].lines
    # What is no value is told by lines, and with it all.
    assert told((b"team: x", b"team: y"))[0].lines
    assert told((b"team: x", b"team: y"), (b'"1"', b'"2"'))[0].lines
    for other in (b"data: [x]", b"data: {gpuRetries: 1}", b"data: {gpuRetries: '2'}\nimmutable: true"):
        (change,) = told((b'data: {gpuRetries: "1"}', other))
        assert change.lines


def test_what_could_not_be_rendered_before_is_told_as_new_and_said_to_be() -> None:
    over = side(load(SPEC), limits=Limits(gpu=0))
    found = make_part(over, side(load(SPEC)), [("prod", "prod")])
    assert [str(note) for note in found.notes] == [
        "churn could not be rendered for prod at old: its objects there are told as new."
    ]
    assert {change.old for change in found.environments[0].objects if change.pipeline} == {None}
    assert found.problems == ()


def test_a_pool_that_comes_or_goes_is_a_rule() -> None:
    one = replace(FULL, gpus=(*FULL.gpus, ("more", FULL.gpus[0][1])))
    assert {change.effect for change in environment_changes(FULL, one)} == {Effect.RULES}
    assert {change.effect for change in environment_changes(one, FULL)} == {Effect.RULES}


def test_any_bytes_are_a_file_of_policies() -> None:
    for data in (b"", b"\xff", b"- a", b"a: &x [*x]", b"a: !!python/none x", b"[" * 100_000, b"x" * (2 << 20)):
        read_rules(data)
