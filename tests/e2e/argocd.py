"""A repository that a real Argo CD syncs: made by `mlgen init`, rendered, pushed to a branch of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.e2e import api
from tests.e2e.api import Json
from tests.e2e.cluster import BUSYBOX, ROOT, kubectl
from tests.e2e.lab import ENV, Lab, Project, repository
from tests.e2e.run import Run, wait_for
from tests.e2e.settings import need

REFRESH = "argocd.argoproj.io/refresh"
PLURALS = {
    "ConfigMap": "api/v1/{}/configmaps",
    "CronJob": "apis/batch/v1/{}/cronjobs",
    "Pipeline": "apis/tekton.dev/v1/{}/pipelines",
    "Role": "apis/rbac.authorization.k8s.io/v1/{}/roles",
    "RoleBinding": "apis/rbac.authorization.k8s.io/v1/{}/rolebindings",
    "ServiceAccount": "api/v1/{}/serviceaccounts",
    "Task": "apis/tekton.dev/v1/{}/tasks",
}


@dataclass(frozen=True)
class Site:
    """A user's repository and the Application that syncs it. env: an environment of its mlgen.yaml, in the namespace
    of `project`."""

    project: Project
    root: Path
    env: str

    @property
    def branch(self) -> str:
        return f"{self.project.name}-site"

    @property
    def app(self) -> str:
        return self.app_of(self.env)

    def app_of(self, env: str) -> str:
        """The name of an environment's Application, as it was rendered."""
        (file,) = (self.root / "tekton" / env / "argocd").glob("application-*.yaml")
        return str(yaml.safe_load(file.read_text())["metadata"]["name"])

    def configure(self, **more: dict[str, Any]) -> None:
        """Write mlgen.yaml. more: environments beside the first one, by the keys in which they differ from it."""
        given = yaml.safe_load((self.project.root / "mlgen.yaml").read_text())["environments"][ENV]
        environments = {self.env: given, **{name: {**given, **keys} for name, keys in more.items()}}
        settings = {"namespace": need("MLGEN_E2E_ARGOCD_NAMESPACE"), "revision": self.branch}
        config = {"version": 1, "repository": repository(), "argocd": settings, "environments": environments}
        (self.root / "mlgen.yaml").write_text(json.dumps(config))  # YAML would have aliases

    def spec(self, name: str, text: str) -> None:
        """Write a spec. text: its keys but version, name and defaults."""
        defaults = {"image": BUSYBOX, "cpu": "10m", "memory": "32Mi", "timeout": "5m"}
        head = yaml.safe_dump({"version": 1, "name": name, "defaults": defaults})
        (self.root / "pipelines" / f"{name}.yaml").write_text(head + text)

    def mlgen(self, *arguments: str, exit_code: int = 0, **environ: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "mlgen", *arguments],
            cwd=self.root, env={**self.project.environ(), **environ},
            capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip
        assert done.returncode == exit_code, f"mlgen {' '.join(arguments)}: {done.returncode}\n{done.stderr}"
        return done.stdout

    def push(self, message: str, *, render: bool = True) -> str:
        """What a merge does; the commit."""
        if render:
            self.mlgen("render")
        self.git("add", "-A")
        who = ("-c", "user.name=e2e", "-c", "user.email=e2e@example.com")
        self.git(*who, "commit", "-q", "-m", message)
        self.git("push", "-q", "origin", f"HEAD:refs/heads/{self.branch}")
        return self.git("rev-parse", "HEAD").strip()

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.root, env=self.project.environ(), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"git {arguments[0]}: {done.stderr}"
        return done.stdout

    def apply(self, env: str) -> None:
        """What an administrator of Argo CD, and of the cluster, does once."""
        for folder in ("cluster", "argocd"):
            kubectl("apply", "-f", str(self.root / "tekton" / env / folder))

    def application(self, name: str = "") -> Json:
        at = f"/apis/argoproj.io/v1alpha1/namespaces/{need('MLGEN_E2E_ARGOCD_NAMESPACE')}/applications"
        return api.get(f"{at}/{name or self.app}")

    def patch(self, patch: Json) -> None:
        """What the program `argocd` does to the Application."""
        at = ("-n", need("MLGEN_E2E_ARGOCD_NAMESPACE"))
        kubectl("patch", *at, "application", self.app, "--type=merge", "-p", json.dumps(patch))

    def refresh(self, name: str = "") -> Json:
        """Let Argo CD compare Git and the cluster anew, manifests included; the Application after that."""
        name = name or self.app
        at = ("-n", need("MLGEN_E2E_ARGOCD_NAMESPACE"))
        kubectl("annotate", *at, "application", name, f"{REFRESH}=hard", "--overwrite")

        def look() -> Json | None:
            found = self.application(name)
            return None if REFRESH in found["metadata"].get("annotations", {}) else found

        return wait_for(f"the refresh of {name}", look)

    def synced(self, commit: str, name: str = "") -> Json:
        """Wait until all of a commit is in the cluster, and well."""
        found: Json = {}

        def look() -> Json | None:
            found.update(self.refresh(name))
            status = found.get("status", {})
            state = (
                status.get("sync", {}).get("revision"),
                status.get("sync", {}).get("status"),
                status.get("health", {}).get("status"),
                status.get("operationState", {}).get("phase"),
            )
            return found if state == (commit, "Synced", "Healthy", "Succeeded") else None

        try:
            return wait_for(f"the sync of {commit}", look)
        except AssertionError as error:
            raise AssertionError(f"{error}: {json.dumps(found.get('status'), indent=1)}") from None

    def hook_says(self, text: str) -> str:
        """The log of a PreSync hook, if a text is in it; else nothing."""
        pods = api.get(f"/api/v1/namespaces/{self.project.name}/pods", labelSelector="batch.kubernetes.io/job-name")
        names = [one["metadata"]["name"] for one in pods["items"]]
        logs = [api.log(self.project.name, name, "published") for name in names if name.startswith("mlgen-published")]
        return next((log for log in logs if text in log), "")

    def at_night(self) -> str:
        """What the guide's command for 3 a.m. says."""
        command = guide("night").replace("-n argocd", f"-n {need('MLGEN_E2E_ARGOCD_NAMESPACE')}")
        command = re.sub("application [^ ]+", f"application {self.app}", command)
        return subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=True).stdout

    def stored(self, namespace: str = "") -> dict[tuple[str, str], Json]:
        """Kind and name -> the object in the cluster, of all kinds that are rendered, and of this environment."""
        where = f"namespaces/{namespace or self.project.name}"
        found = {}
        for kind, path in PLURALS.items():
            items = api.get("/" + path.format(where), labelSelector=f"mlgen.dev/env={self.env}")["items"]
            found.update({(kind, one["metadata"]["name"]): one for one in items})
        return found

    def tasks(self, pipeline: str) -> dict[str, str]:
        """Task of a Pipeline -> the Task that the Pipeline in the cluster names."""
        spec = self.stored()["Pipeline", pipeline]["spec"]
        return {one["name"]: one["taskRef"]["name"] for one in [*spec["tasks"], *spec["finally"]]}

    def collector(self) -> str:
        """A kubeconfig of an account that has the guide's Role for `gc tasks` and nothing else."""
        at = ("-n", self.project.name)
        role = yaml.safe_load(guide("role"))
        kubectl("create", *at, "-f", "-", given=role)
        kubectl("create", *at, "serviceaccount", "collector")
        given = (f"--role={role['metadata']['name']}", f"--serviceaccount={self.project.name}:collector")
        kubectl("create", *at, "rolebinding", "collector", *given)
        config: Json = json.loads(kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json"))
        config["users"][0]["user"] = {"token": kubectl("create", *at, "token", "collector").strip()}
        path = self.project.root / "home" / "collector"
        path.write_text(json.dumps(config))
        return str(path)

    def start(self, pipeline: str, **params: str) -> Run:
        run = yaml.safe_load((self.root / "tekton" / self.env / "runs" / f"{pipeline}.yaml").read_text())
        given = {one["name"]: one["value"] for one in run["spec"].get("params", [])} | params
        run["spec"]["params"] = [{"name": name, "value": value} for name, value in given.items()]
        made = json.loads(kubectl("create", "-o", "json", "-f", "-", given=run))["metadata"]
        return Run(self.project, made["name"], made["uid"])


def guide(kind: str) -> str:
    """A block of the guide."""
    text = (ROOT / "generator/guides/argocd.md").read_text()
    (found,) = re.findall(rf"^```[a-z]+ {kind}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return str(found)


@contextmanager
def site(lab: Lab) -> Iterator[Site]:
    """A repository with an Application; both are gone at the end. Its namespace and bucket are the lab's to remove."""
    at = ("-n", need("MLGEN_E2E_ARGOCD_NAMESPACE"))
    project = lab.project("argocd", fold="cron")
    env = project.name.removeprefix("mlgen-e2e-")
    found = Site(project, project.root.with_name(f"{project.name}-site"), env)
    found.root.mkdir()
    found.mlgen("init")
    found.git("init", "-q", "-b", "main")
    found.git("remote", "add", "origin", repository())
    found.configure()
    kubectl("create", "-f", "-", given=_credentials(project.name))
    try:
        yield found
    finally:
        selector = ("-l", f"mlgen.dev/env in ({env},{env}-two)")
        kubectl("delete", *at, "applications,appprojects", *selector, "--ignore-not-found", "--wait=false")
        kubectl("delete", *at, "secret", project.name, "--ignore-not-found")
        found.git("push", "-q", "origin", f":refs/heads/{found.branch}")


def _credentials(name: str) -> Json:
    """How Argo CD gets at the repository."""
    metadata = {
        "name": name,
        "namespace": need("MLGEN_E2E_ARGOCD_NAMESPACE"),
        "labels": {"argocd.argoproj.io/secret-type": "repository"},
    }
    data = {"type": "git", "url": repository()}
    who = {"username": need("MLGEN_E2E_GIT_USER"), "password": need("MLGEN_E2E_GIT_TOKEN")}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data | who}
