"""The CronJob that reconciles and folds: small rights, the project's own words, names that fit."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings

from mlgen.cli.projects.workspace import Workspace
from mlgen.render.cronjob import MAX_NAME, cron_manifests, cron_name, project_text
from mlgen.render.files import scope_of, write
from mlgen.render.rendering import render_all
from mlgen.spec.project import S3, Environment, Ledger
from tests.strategies import environment, environments, load

LEDGER = Ledger("https://git.example/acme/ledger.git", secret="ledger-token", fold="cron")


def objects(given_environment: Environment, *others: Environment) -> dict[str, Any]:
    """The objects by kind, as a YAML reader has them."""
    found = cron_manifests(given_environment, [given_environment, *others])
    return {str(m.data["kind"]): yaml.safe_load(m.bytes) for m in found}


def test_it_may_do_what_it_does_and_nothing_else() -> None:
    found = objects(environment())
    rights = {
        (group, resource): rule["verbs"]
        for rule in found["Role"]["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    assert rights == {
        ("tekton.dev", "pipelineruns"): ["list"],
        ("tekton.dev", "taskruns"): ["list"],
        ("", "pods"): ["list", "delete"],
        ("", "pods/log"): ["get"],
    }
    name = found["ServiceAccount"]["metadata"]["name"]
    assert found["RoleBinding"]["subjects"] == [{"kind": "ServiceAccount", "name": name, "namespace": "ml-prod"}]
    assert found["RoleBinding"]["roleRef"]["name"] == found["Role"]["metadata"]["name"]
    pod = found["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert (pod["serviceAccountName"], found["ServiceAccount"]["automountServiceAccountToken"]) == (name, False)


@settings(deadline=None)
@given(environments())
def test_its_objects_belong_together_and_are_synced_like_any_other(given_environment: Environment) -> None:
    found = objects(given_environment)
    assert set(found) == {"ServiceAccount", "Role", "RoleBinding", "ConfigMap", "CronJob"}
    for data in found.values():
        assert data["metadata"]["name"] == cron_name(given_environment.name)
        assert data["metadata"]["namespace"] == given_environment.namespace
        assert data["metadata"]["labels"]["mlgen.dev/env"] == given_environment.name
        assert "annotations" not in data["metadata"]  # no Prune=false: it is to go with its file


def test_secrets_are_named_and_never_read() -> None:
    pod = objects(environment(s3=S3(secret="s3-keys"), ledger=LEDGER))["CronJob"]["spec"]["jobTemplate"]["spec"][
        "template"
    ]["spec"]
    [container] = pod["containers"]
    keys = {e["name"]: e["valueFrom"]["secretKeyRef"] for e in container["env"] if "valueFrom" in e}
    assert keys == {k: {"name": "s3-keys", "key": k} for k in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    assert {"name": "MLGEN_LEDGER_SECRET", "value": "/mlgen-secrets/ledger"} in container["env"]
    assert [v["secret"]["secretName"] for v in pod["volumes"] if "secret" in v] == ["ledger-token"]

    bare = objects(environment())["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert [e["name"] for e in bare["containers"][0]["env"]] == ["HOME", "TMPDIR"]


@pytest.mark.parametrize("name", ["a", "prod", "e" * 39, "e" * 40, "prod-" * 12 + "abc", "prod-" * 12 + "abd"])
def test_its_name_leaves_room_for_its_jobs(name: str) -> None:
    made = cron_name(name)
    assert len(made) <= MAX_NAME
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", made)
    assert made != cron_name(name + "x")


@settings(deadline=None)
@given(environments())
def test_the_project_that_it_is_given_says_what_ours_says(
    tmp_path_factory: Any, given_environment: Environment
) -> None:
    root: Path = tmp_path_factory.mktemp("config")
    given_environment = replace(given_environment, artifacts="s3://ml-artifacts/prod")
    twin = replace(given_environment, name="twin")
    (root / "mlgen.yaml").write_text(project_text([given_environment, twin]))
    read = Workspace(root).project.environment(given_environment.name)
    assert read is not None
    for key in ("namespace", "artifacts", "s3", "ledger", "runtime_image"):
        assert getattr(read, key) == getattr(given_environment, key)


def test_whose_records_wait_in_the_same_spool_is_told() -> None:
    sharing, other = environment(name="prod-risk", ledger=LEDGER), environment(name="dev", artifacts="s3://b/dev")
    text = objects(environment(), sharing, other)["ConfigMap"]["data"]["mlgen.yaml"]
    assert sorted(yaml.safe_load(text)["environments"]) == ["prod", "prod-risk"]


def test_it_is_rendered_with_any_spec_and_without_one(tmp_path: Path) -> None:
    spec = {"version": 1, "name": "churn", "tasks": {"train": {"run": "a", "image": "python:3.11"}}}
    plans = [load(spec)]
    one = render_all(plans, [environment()])
    assert one.files.keys() > render_all([], [environment()]).files.keys()
    write(tmp_path, one.files, scope_of(plans, [environment()], whole=True))
    moved = environment(namespace=None)
    changes = write(tmp_path, {}, scope_of([], [moved], whole=False))
    assert len(changes.removed) == 5, "an environment's own objects go, whichever spec was rendered"
