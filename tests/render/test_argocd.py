"""What Argo CD is told of an environment: one repository, one namespace, the kinds that are rendered, and no more."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlgen.cli.projects.sources import rendering_of
from mlgen.cli.projects.workspace import Workspace
from mlgen.render.argocd import KINDS, application_name, argocd_manifests
from mlgen.spec.project import ArgoCD, Environment, Project
from tests.cli.test_main import mlgen

ROOT = Path(__file__).parents[2]
URL = "https://git.example/acme/ml.git"
LONG = "a" * 80
PROD = Environment("prod", namespace="ml-prod")
ASKED = Project(URL, (PROD,), ArgoCD())


def made(project: Project = ASKED, environment: Environment = PROD, folder: str = "") -> tuple[Any, Any]:
    """The AppProject and the Application, as a YAML reader has them."""
    app_project, application, _ = (yaml.safe_load(one.bytes) for one in argocd_manifests(project, environment, folder))
    return app_project, application


def test_it_syncs_the_manifests_of_one_environment_and_never_its_runs() -> None:
    app_project, application = made()
    assert [one.path for one in argocd_manifests(ASKED, PROD)] == [
        "prod/argocd/appproject-ml-prod-0d21ddaca3.yaml",
        "prod/argocd/application-ml-prod-0d21ddaca3.yaml",
        "prod/cluster/namespace-ml-prod.yaml",
    ]
    assert application["spec"]["project"] == app_project["metadata"]["name"] == "ml-prod-0d21ddaca3"
    assert application["spec"]["source"] == {
        "repoURL": URL, "targetRevision": "main", "path": "tekton/prod/manifests",
    }  # fmt: skip
    where = {"server": "https://kubernetes.default.svc", "namespace": "ml-prod"}
    assert (application["spec"]["destination"], app_project["spec"]["destinations"]) == (where, [where])
    assert app_project["spec"]["sourceRepos"] == [URL]


def test_a_merge_cannot_take_policies_and_pod_security_off_the_namespace() -> None:
    """Both go by its labels: it is no object, and no setting, of what a merge changes."""
    app_project, application = made()
    assert app_project["spec"]["clusterResourceWhitelist"] == []
    assert "managedNamespaceMetadata" not in application["spec"]["syncPolicy"]
    assert [o for o in application["spec"]["syncPolicy"]["syncOptions"] if o.startswith("CreateNamespace")] == []
    namespace = yaml.safe_load(argocd_manifests(ASKED, PROD)[-1].bytes)
    assert (namespace["kind"], namespace["metadata"]) == (
        "Namespace",
        {"name": "ml-prod", "labels": {"mlgen.dev/env": "prod", "pod-security.kubernetes.io/enforce": "restricted"}},
    )


def test_what_it_deletes_by_itself_is_what_left_git() -> None:
    _, application = made()
    policy = application["spec"]["syncPolicy"]
    assert policy["automated"] == {"prune": True, "selfHeal": True}, "and never all of it: allowEmpty is not set"
    assert "finalizers" not in application["metadata"], "a deleted Application leaves runs, and their CronJob, alone"
    assert "ignoreDifferences" not in application["spec"], "what is rendered is what the cluster stores"


def test_it_may_write_every_kind_that_is_rendered_and_no_other() -> None:
    workspace = Workspace(ROOT)
    files = rendering_of(workspace, workspace.project.rendered, None).files
    found = {
        (data["apiVersion"].rpartition("/")[0], data["kind"])
        for path, text in files.items()
        if "/manifests/" in path and (data := yaml.safe_load(text))
    }
    assert found == set(KINDS)


def test_a_cluster_elsewhere_goes_by_the_name_that_argo_cd_has_for_it() -> None:
    settings = ArgoCD(namespace="gitops", revision="release", clusters=(("prod", "prod-eu"),))
    app_project, application = made(replace(ASKED, argocd=settings))
    where = {"name": "prod-eu", "namespace": "ml-prod"}
    assert (application["spec"]["destination"], app_project["spec"]["destinations"]) == (where, [where])
    assert application["spec"]["source"]["targetRevision"] == "release"
    assert {one["metadata"]["namespace"] for one in (app_project, application)} == {"gitops"}


def test_a_project_deeper_in_its_repository_says_so() -> None:
    _, application = made(folder="teams/risk")
    assert application["spec"]["source"]["path"] == "teams/risk/tekton/prod/manifests"


@pytest.mark.parametrize("project", [replace(ASKED, argocd=None), replace(ASKED, repository=None)])
def test_nobody_is_told_who_was_not_asked_for(project: Project) -> None:
    assert argocd_manifests(project, PROD) == []


@pytest.mark.parametrize(
    ("url", "environment", "name"),
    [
        ("https://git.example/acme/ML_models.git", "prod", "ml-models-prod"),
        ("git@git.example:ml.git", "dev", "ml-dev"),
        ("https://git.example/acme/ml/", "dev", "ml-dev"),
        ("https://git.example/", "dev", "git-example-dev"),
        (f"https://git.example/{LONG}", "prod", LONG[:52]),
    ],
)
def test_names_are_those_of_kubernetes_and_of_people(url: str, environment: str, name: str) -> None:
    head, _, digest = application_name(url, "", environment).rpartition("-")
    assert (head, len(digest)) == (name, 10)
    assert len(name) + 11 <= 63


def test_no_project_takes_over_anothers_application() -> None:
    """All are in one namespace of Argo CD's, and who applies one over another is told nothing."""
    host = "https://git.example"
    projects = [
        (f"{host}/acme/ml", "", "prod"),
        (f"{host}/other/ml", "", "prod"),
        ("https://elsewhere.example/acme/ml", "", "prod"),
        (f"{host}/acme/ml", "teams/risk", "prod"),
        (f"{host}/acme/ml", "", "dev"),
        (f"{host}/acme/ml-prod", "", "dev"),
    ]
    assert len({application_name(*one) for one in projects}) == len(projects)
    assert application_name(f"{host}/acme/ml.git", "", "prod") == application_name(*projects[0])


def project(folder: Path, head: str) -> Path:
    """A copy of our own pipelines below another mlgen.yaml."""
    shutil.copytree(ROOT / "pipelines", folder / "pipelines")
    rest = (ROOT / "mlgen.yaml").read_text().partition("\nenvironments:")[2]
    (folder / "mlgen.yaml").write_text(f"version: 1\n{head}\nenvironments:{rest}")
    return folder


def rendered(folder: Path) -> list[str]:
    files = [one.relative_to(folder / "tekton").as_posix() for one in folder.glob("tekton/*/*/*")]
    shown = [re.sub(r"-[0-9a-f]{10}[.]yaml$", ".yaml", file) for file in files]
    return sorted(file for file in shown if file.split("/")[1] in ("argocd", "cluster"))


ONE = ["argocd/application-ml", "argocd/appproject-ml", "cluster/namespace-ml"]
BOTH = [f"{env}/{name}-{env}.yaml" for env in ("dev", "prod") for name in ONE]


def test_render_keeps_it_true_to_mlgen_yaml(tmp_path: Path) -> None:
    here = project(tmp_path, f"repository: {URL}\nargocd: {{}}")
    assert mlgen("render", cwd=here).returncode == 0
    assert rendered(here) == BOTH
    assert mlgen("render", "--check", cwd=here).returncode == 0
    config = (here / "mlgen.yaml").read_text()

    (here / "mlgen.yaml").write_text(config.replace("argocd: {}", "argocd: {revision: release}"))
    differs = mlgen("render", "--env", "prod", "--check", cwd=here)
    assert differs.returncode == 1
    assert "targetRevision: release" in differs.stdout
    assert "appproject" not in differs.stdout

    (here / "mlgen.yaml").write_text(config.replace("argocd: {}\n", ""))
    assert mlgen("render", cwd=here).returncode == 0
    assert rendered(here) == []


def test_an_environment_that_is_no_more_takes_its_application_along(tmp_path: Path) -> None:
    here = project(tmp_path, f"repository: {URL}\nargocd: {{}}")
    assert mlgen("render", cwd=here).returncode == 0
    config = (here / "mlgen.yaml").read_text()
    start, end = config.index("  dev:"), config.index("  prod:")
    (here / "mlgen.yaml").write_text(config[:start] + config[end:])
    assert mlgen("render", cwd=here).returncode == 0
    assert rendered(here) == BOTH[3:]


def test_the_path_is_told_from_the_repositorys_root(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / "teams" / "risk").mkdir(parents=True)
    here = project(tmp_path / "teams" / "risk", f"repository: {URL}\nargocd: {{}}")
    assert mlgen("render", cwd=here).returncode == 0
    [file] = (here / "tekton/prod/argocd").glob("application-ml-prod-*.yaml")
    text = file.read_text()
    assert "path: teams/risk/tekton/prod/manifests\n" in text


def test_init_lays_it_down(tmp_path: Path) -> None:
    done = mlgen("init", str(tmp_path / "new"))
    assert done.returncode == 0, done.stderr
    assert rendered(tmp_path / "new") == BOTH[:3]
    assert mlgen("render", "--env", "dev", cwd=tmp_path / "new").returncode == 0
    assert mlgen("render", "--env", "dev", "--check", cwd=tmp_path / "new").returncode == 0


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("argocd: {}", "mlgen.yaml:2:1: error[missing-key]: Argo CD is asked for, and mlgen.yaml has no `repository`"),
        ("repository: https://git.example/acme/*\nargocd: {}", "mlgen.yaml:2:13: error[bad-uri]:"),
        ("repository: https://user:pw@git.example/ml\nargocd: {}", "mlgen.yaml:2:13: error[bad-uri]:"),
        ("repository: file:///srv/ml.git\nargocd: {}", "mlgen.yaml:2:13: error[bad-uri]:"),
        (f"repository: {URL}\nargocd: {{revision: 'a b'}}", "mlgen.yaml:3:20: error[bad-name]:"),
        (f"repository: {URL}\nargocd: {{namespace: Argo_CD}}", "mlgen.yaml:3:21: error[bad-name]:"),
        (f"repository: {URL}\nargocd: {{clusters: {{prd: eu}}}}", "mlgen.yaml:3:21: error[unknown-environment]:"),
        (f"repository: {URL}\nargocd: {{clusters: {{prod: 'x y'}}}}", "mlgen.yaml:3:27: error[bad-name]:"),
        (f"repository: {URL}\nargocd: {{revison: main}}", "mlgen.yaml:3:10: error[unknown-key]:"),
        ("repo: x\nargocd: {}", "mlgen.yaml:2:1: error[unknown-key]:"),
    ],
)
def test_what_is_wrong_is_told_at_its_place(tmp_path: Path, head: str, said: str) -> None:
    done = mlgen("check", cwd=project(tmp_path, head))
    assert done.returncode == 1
    assert said in done.stdout
    assert done.stdout.count("error[") == 1
    assert "pw@" not in done.stdout


def test_a_repository_of_records_alone_may_be_any_text(tmp_path: Path) -> None:
    assert "error" not in mlgen("check", cwd=project(tmp_path, "repository: somewhere")).stdout.splitlines()[0]
