"""The hook that Argo CD runs before a sync: it asks for all that the manifests pin, and for nothing else."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlgen.cli.projects.workspace import Workspace
from mlgen.render.published import published_manifests
from mlgen.runtime.pod.invocation import PublishedPod, read_invocation
from mlgen.runtime.publish import wanted
from tests.cli.test_main import mlgen
from tests.render.test_argocd import URL, project

ROOT = Path(__file__).parents[2]


def job(environment: str = "prod") -> Any:
    workspace = Workspace(ROOT)
    plans = workspace.plans(workspace.specs(None))
    (found,) = published_manifests(plans, next(e for e in workspace.project.rendered if e.name == environment))
    return yaml.safe_load(found.bytes)


def test_it_asks_for_all_that_is_pinned_and_can_read_what_it_is_given() -> None:
    workspace = Workspace(ROOT)
    plans = workspace.plans(workspace.specs(None))
    (container,) = job()["spec"]["template"]["spec"]["containers"]
    environ = {one["name"]: one.get("value", "") for one in container["env"]}
    environ["MLGEN_TASK"] = environ["MLGEN_TASK"].replace("$$", "$")
    found = read_invocation(container["args"], environ)
    assert isinstance(found, PublishedPod)
    whose: dict[str, str] = {}  # what two pipelines pin is told as the first one's, by their names
    for plan in sorted(plans, key=lambda plan: plan.name):
        whose |= {item.key: f"{item} of {plan.name}" for item in wanted([plan]) if item.key not in whose}
    assert found.pinned == whose
    assert {what.rpartition(" of ")[2] for what in whose.values()} >= {"breast-cancer", "tiny-llm"}
    assert (found.document.artifacts, found.document.env) == ("s3://ml-artifacts/prod", "prod")


def test_kubernetes_makes_nothing_of_a_path(tmp_path: Path) -> None:
    here = project(tmp_path, f"repository: {URL}\nargocd: {{}}")
    spec = only(here, "breast-cancer.yaml")
    (here / "pipelines" / "breast-cancer").rename(here / "pipelines" / "a $(HOME) b")
    spec.write_text(spec.read_text().replace("code: ./breast-cancer", "code: './a $(HOME) b'"))
    assert mlgen("render", cwd=here).returncode == 0
    (hook,) = hooks(here)
    data = yaml.safe_load((here / "tekton/prod/manifests" / hook).read_text())
    (container,) = data["spec"]["template"]["spec"]["containers"]
    assert any("a $$(HOME) b of breast-cancer" in argument for argument in container["args"])


def test_it_is_a_hook_of_the_runs_own_account_under_a_name_of_its_content() -> None:
    found, other = job(), job("dev")
    assert found["metadata"]["annotations"]["argocd.argoproj.io/hook"] == "PreSync"
    pod = found["spec"]["template"]["spec"]
    assert (pod["serviceAccountName"], pod["automountServiceAccountToken"]) == ("mlgen-runner", False)
    assert pod["imagePullSecrets"] == [{"name": "ghcr"}]
    assert found["metadata"]["name"] == job()["metadata"]["name"] != other["metadata"]["name"]
    assert "secretKeyRef" not in json.dumps(found["spec"]), "workload identity"
    assert "secretKeyRef" in json.dumps(other["spec"])


def test_names_are_those_of_kubernetes() -> None:
    workspace = Workspace(ROOT)
    plans = workspace.plans(workspace.specs(None))
    long = replace(workspace.project.rendered[0], name="a" * 40 + "-" + "b" * 22)
    (found,) = published_manifests(plans, long)
    name = yaml.safe_load(found.bytes)["metadata"]["name"]
    assert re.fullmatch(r"mlgen-published-a{30}-[0-9a-f]{10}", name)
    assert len(f"{name}-x7k2p") <= 63


def only(project: Path, name: str) -> Path:
    """The spec of that name, the project's only one from now on."""
    for spec in (project / "pipelines").glob("*.yaml"):
        if spec.name != name:
            spec.unlink()
    return project / "pipelines" / name


def hooks(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.glob("tekton/prod/manifests/job-*"))


def test_only_a_rendering_of_all_specs_changes_it(tmp_path: Path) -> None:
    here = project(tmp_path, f"repository: {URL}\nargocd: {{}}")
    assert mlgen("render", cwd=here).returncode == 0
    (before,) = hooks(here)
    (here / "pipelines" / "breast-cancer" / "extra.py").write_text("pass\n")
    assert mlgen("render", "pipelines/breast-cancer.yaml", cwd=here).returncode == 0
    assert hooks(here) == [before]
    differs = mlgen("render", "--check", cwd=here)
    assert (differs.returncode, before in differs.stdout) == (1, True)
    assert mlgen("render", cwd=here).returncode == 0
    (after,) = hooks(here)
    assert after != before


@pytest.mark.parametrize("head", ["", f"repository: {URL}"])
def test_without_argo_cd_there_is_none(tmp_path: Path, head: str) -> None:
    here = project(tmp_path, head)
    assert mlgen("render", cwd=here).returncode == 0
    assert hooks(here) == []


def test_what_pins_nothing_has_none(tmp_path: Path) -> None:
    here = project(tmp_path, f"repository: {URL}\nargocd: {{}}")
    only(here, "hello.yaml")
    assert mlgen("render", cwd=here).returncode == 0
    assert hooks(here) == []
