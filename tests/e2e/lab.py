"""Projects on a real cluster: each with a namespace, a prefix in the bucket and a branch of the ledger of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import obstore
import yaml
from obstore.store import S3Store

from tests.e2e.cluster import BUSYBOX, ROOT, Manifest, kubectl
from tests.e2e.proxy import Proxy
from tests.e2e.settings import need

ENV = "e2e"
LABEL = "mlgen.dev/e2e"  # on every namespace of ours: the machine and process that made it
REGION = "us-east-1"
S3_SECRET, LEDGER_SECRET = "s3-credentials", "ledger-token"


@dataclass
class Lab:
    """Where the tests of one session make their projects."""

    scratch: Path
    projects: list[Project] = field(default_factory=list)

    def project(
        self,
        name: str,
        *,
        s3: str | None = None,
        git: str | None = None,
        fold: str = "run",
        settings: dict[str, Any] | None = None,
        s3_keys: tuple[str, str] | None = None,
    ) -> Project:
        """A new project, whose namespace enforces Pod Security `restricted`.

        name: a word that its namespace shows. s3, git: URLs in place of the servers' own, of a proxy. settings: keys
        of the environment that differ. s3_keys: what the secret in the cluster holds, if not what is right.
        """
        own = f"mlgen-e2e-{name}-{uuid.uuid4().hex[:6]}"
        project = Project(own, self.scratch / own)
        self.projects.append(project)
        keys = s3_keys or (need("MLGEN_E2E_S3_ACCESS_KEY"), need("MLGEN_E2E_S3_SECRET_KEY"))
        kubectl("create", "-f", "-", given=_surroundings(own, keys))
        kubectl("wait", "-n", own, "--for=create", "serviceaccount/default", "--timeout=60s")
        environment = {
            "namespace": own,
            "artifacts": project.artifacts,
            "s3": {"endpoint": s3 or need("MLGEN_E2E_S3_ENDPOINT"), "region": REGION, "secret": S3_SECRET},
            "ledger": {
                "url": git or need("MLGEN_E2E_GIT_REPOSITORY"),
                "branch": own,
                "secret": LEDGER_SECRET,
                "fold": fold,
            },
            "runtime_image": need("MLGEN_E2E_RUNTIME_IMAGE"),
            **(settings or {}),
        }
        project.lay_down({"version": 1, "environments": {ENV: environment}})
        return project

    def proxy(self, upstream: str) -> Proxy:
        return Proxy(upstream, need("MLGEN_E2E_HOST"))

    def close(self) -> None:
        """Remove all that was made; MLGEN_E2E_KEEP keeps it, for a look at what went wrong."""
        if not os.environ.get("MLGEN_E2E_KEEP"):
            remove([project.name for project in self.projects])


@dataclass(frozen=True)
class Project:
    """A user's repository with one environment, and that environment's namespace, bucket prefix and ledger branch."""

    name: str
    root: Path

    @property
    def artifacts(self) -> str:
        return f"s3://{need('MLGEN_E2E_S3_BUCKET')}/{self.name}"

    def lay_down(self, config: dict[str, Any]) -> None:
        (self.root / "pipelines").mkdir(parents=True)
        (self.root / "home").mkdir()
        (self.root / "mlgen.yaml").write_text(yaml.safe_dump(config))
        (self.root / ".gitignore").write_text("home/\n")
        subprocess.run(["git", "init", "-q", "-b", "main"], cwd=self.root, check=True)
        parts = urlsplit(config["environments"][ENV]["ledger"]["url"])
        who = f"{need('MLGEN_E2E_GIT_USER')}:{need('MLGEN_E2E_GIT_TOKEN')}"
        (self.root / "home" / "credentials").write_text(f"{parts.scheme}://{who}@{parts.netloc}\n")
        (self.root / "home" / ".gitconfig").write_text(
            f'[credential]\n\thelper = "store --file={self.root}/home/credentials"\n'
        )

    def pipeline(self, name: str, text: str) -> None:
        """Write a spec and put what it renders into the cluster. text: its keys but version, name and defaults."""
        head = {
            "version": 1,
            "name": name,
            "defaults": {"image": BUSYBOX, "cpu": "10m", "memory": "32Mi", "timeout": "3m"},
        }
        (self.root / "pipelines" / f"{name}.yaml").write_text(yaml.safe_dump(head) + text)
        self.apply()

    def apply(self) -> None:
        """What Argo CD would do. The CronJob is left out, so that nothing is reconciled but when a test says so."""
        self.mlgen("render", "--env", ENV)
        files = sorted((self.root / "tekton" / ENV / "manifests").glob("*.yaml"))
        manifests: list[Manifest] = [yaml.safe_load(file.read_text()) for file in files]
        items = [m for m in manifests if m["kind"] != "CronJob"]
        kubectl("apply", "-f", "-", given={"apiVersion": "v1", "kind": "List", "items": items})

    def mlgen(self, *arguments: str, exit_code: int = 0) -> str:
        """What mlgen prints here, as its user would run it, with the bucket's keys and the user's own Git."""
        done = subprocess.run(
            [sys.executable, "-m", "mlgen", *arguments],
            cwd=self.root,
            env=self.environ(),
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == exit_code, f"mlgen {' '.join(arguments)}: {done.returncode}\n{done.stderr}"
        return done.stdout

    def environ(self) -> dict[str, str]:
        return {
            **{name: os.environ[name] for name in ("PATH", "KUBECONFIG", "LANG") if name in os.environ},
            "HOME": str(self.root / "home"),
            "PYTHONPATH": str(ROOT / "generator"),
            "AWS_ACCESS_KEY_ID": need("MLGEN_E2E_S3_ACCESS_KEY"),
            "AWS_SECRET_ACCESS_KEY": need("MLGEN_E2E_S3_SECRET_KEY"),
        }

    def bucket(self) -> S3Store:
        """The project's prefix, by the client library alone, and past any proxy."""
        return _bucket(self.name)

    def put(self, key: str, data: bytes) -> str:
        """Put what exists before a run below the project's prefix; its URI."""
        obstore.put(self.bucket(), key, data)
        return f"{self.artifacts}/{key}"

    def keys(self, below: str = "") -> list[str]:
        """The keys below a folder of the project's prefix, sorted."""
        return sorted(meta["path"] for page in self.bucket().list(below or None) for meta in page)

    def spooled(self) -> list[dict[str, Any]]:
        """What waits in the spool, read by the client library alone."""
        keys = self.keys("_ledger/spool")
        return [json.loads(bytes(obstore.get(self.bucket(), key).bytes())) for key in keys]

    def landed(self) -> dict[str, dict[str, Any]]:
        """Path -> content of what is on the ledger's branch, read by Git alone."""
        if not _git(self.root, "ls-remote", repository(), f"refs/heads/{self.name}"):
            return {}
        ref = f"refs/heads/{self.name}"
        _git(self.root, "fetch", "-q", repository(), f"+{ref}:{ref}")
        paths = _git(self.root, "ls-tree", "-r", "--name-only", "-z", self.name, "runs").split("\0")
        return {path: json.loads(_git(self.root, "show", f"{self.name}:{path}")) for path in paths if path}


def repository() -> str:
    return need("MLGEN_E2E_GIT_REPOSITORY")


def remove(projects: list[str]) -> None:
    """Remove projects' namespaces, prefixes and branches; what is already gone is passed over."""
    if not projects:
        return
    kubectl("delete", "namespace", "--wait=false", "--ignore-not-found", *projects)
    for name in projects:
        bucket = _bucket(name)
        keys = [meta["path"] for page in bucket.list() for meta in page]
        if keys:
            obstore.delete(bucket, keys)
    found = [line.split("\t")[1] for line in _git(Path(), "ls-remote", "--heads", repository()).splitlines()]
    gone = [ref for ref in found if ref.removeprefix("refs/heads/") in projects]
    if gone:
        _git(Path(), "push", "-q", repository(), *(f":{ref}" for ref in gone))


def owner() -> str:
    """This process, as a label's value."""
    return f"{socket.gethostname()[:40].strip('-.')}.{os.getpid()}"


def abandoned() -> list[str]:
    """Projects of test sessions of this machine that were killed."""
    machine, _, _ = owner().rpartition(".")
    items = json.loads(kubectl("get", "namespaces", "-l", LABEL, "-o", "json"))["items"]
    found = []
    for meta in (item["metadata"] for item in items):
        where, _, pid = meta["labels"][LABEL].rpartition(".")
        if where == machine and not Path(f"/proc/{pid}").exists() and "deletionTimestamp" not in meta:
            found.append(meta["name"])
    return found


def _surroundings(name: str, s3_keys: tuple[str, str]) -> Manifest:
    """A namespace and the two secrets of an environment in it."""
    restricted = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    namespace = {"name": name, "labels": {LABEL: owner(), **restricted}}
    git = {"username": need("MLGEN_E2E_GIT_USER"), "password": need("MLGEN_E2E_GIT_TOKEN")}
    secrets = {
        S3_SECRET: dict(zip(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), s3_keys, strict=True)),
        LEDGER_SECRET: git,
    }
    items: list[Manifest] = [{"apiVersion": "v1", "kind": "Namespace", "metadata": namespace}]
    for secret, data in secrets.items():
        metadata = {"name": secret, "namespace": name}
        items.append({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})
    return {"apiVersion": "v1", "kind": "List", "items": items}


def _bucket(prefix: str) -> S3Store:
    return S3Store(
        need("MLGEN_E2E_S3_BUCKET"),
        prefix=prefix,
        endpoint=need("MLGEN_E2E_S3_ENDPOINT"),
        region=REGION,
        access_key_id=need("MLGEN_E2E_S3_ACCESS_KEY"),
        secret_access_key=need("MLGEN_E2E_S3_SECRET_KEY"),
        client_options={"allow_http": True},
    )


def _git(folder: Path, *arguments: str) -> str:
    """What git prints, with the token for the ledger's server."""
    who = f"{need('MLGEN_E2E_GIT_USER')}:{need('MLGEN_E2E_GIT_TOKEN')}"
    helper = f"!f() {{ echo username={who.partition(':')[0]}; echo password={who.partition(':')[2]}; }}; f"
    done = subprocess.run(
        ["git", "-c", "credential.helper=", "-c", "credential.helper=" + helper, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"git {arguments[0]}: {done.stderr}"
    return done.stdout
