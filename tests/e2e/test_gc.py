"""Artifacts thrown away in a real bucket, told from a ledger on a real Git server."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mlgen import git
from mlgen.cli.main import run as mlgen
from mlgen.ledger.folding.fold import fold
from mlgen.ledger.folding.spool import Spool
from mlgen.ledger.gc.collected import collected
from mlgen.ledger.records.artifact import Artifact
from mlgen.store import Store, open_store
from tests.e2e.settings import need
from tests.git_host import secret
from tests.ledger import records

NOW = datetime.now(UTC)
LATER = NOW + timedelta(days=50)  # the time that gc is told: what is put now is old then


@dataclass(frozen=True)
class Lab:
    """An environment whose prefix and branch no other test has."""

    uri: str
    store: Store
    remote: git.Remote
    branch: str

    def run(self, name: str, ended: datetime, *, reads: tuple[Artifact, ...] = (), scratch: Path) -> Artifact:
        """A run whose one task made a folder; the folder."""
        folder = scratch / name / "out"
        (folder / "deep" / "er").mkdir(parents=True)
        (folder / "a ü+%.csv").write_text(name)
        (folder / "deep" / "er" / "b").write_bytes(b"")
        key = f"churn/{name}/train.12345678/out"
        made = self.store.put_artifact(key, folder)
        out = Artifact("out", f"{self.uri}/{key}", made.digest, made.size_bytes, made.media_type, "directory")
        at = f"{ended:%Y-%m-%dT%H:%M:%SZ}"
        spool = Spool(self.store)
        spool.put(records.task(name, env="lab", ended_at=at, inputs=reads, outputs=(out,)))
        spool.put(records.run(name, env="lab", ended_at=at))
        return out


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    endpoint, url = need("MLGEN_E2E_S3_ENDPOINT"), need("MLGEN_E2E_GIT_REPOSITORY")
    user = (need("MLGEN_E2E_GIT_USER"), need("MLGEN_E2E_GIT_TOKEN"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", need("MLGEN_E2E_S3_ACCESS_KEY"))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", need("MLGEN_E2E_S3_SECRET_KEY"))
    monkeypatch.setenv("MLGEN_LEDGER_SECRET", str(secret(tmp_path / "secret", user)))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    name = f"gc-{uuid.uuid4().hex[:8]}"
    uri = f"s3://{need('MLGEN_E2E_S3_BUCKET')}/{name}"
    environment = {
        "namespace": "ml",
        "artifacts": uri,
        "s3": {"endpoint": endpoint, "region": "us-east-1", "secret": "s3"},
        "ledger": {"url": url, "branch": name, "secret": "ledger-token"},
        "runtime_image": f"runtime@{records.DIGEST}",
    }
    (tmp_path / "mlgen.yaml").write_text(json.dumps({"version": 1, "environments": {"lab": environment}}))
    monkeypatch.chdir(tmp_path)
    store = open_store(uri, options={"endpoint": endpoint, "region": "us-east-1"}, base=tmp_path)
    yield Lab(uri, store, git.open_remote(url, secret=tmp_path / "secret", scratch=tmp_path / "scratch"), name)
    store.discard([item.key for item in store.listing()])
    scheme, _, rest = url.partition("://")
    there, git_dir = f"{scheme}://{user[0]}:{user[1]}@{rest}", tmp_path / "empty.git"
    subprocess.run(["git", "init", "-q", "--bare", git_dir], check=True)
    subprocess.run(["git", "--git-dir", git_dir, "push", "-q", there, f":{git.branch_ref(name)}"], check=True)


def test_artifacts_of_old_runs_go(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read = lab.run("read", NOW, scratch=tmp_path)
    gone = lab.run("gone", NOW, scratch=tmp_path)
    new = lab.run("new", LATER, reads=(read,), scratch=tmp_path)
    lab.store.put("churn/gone/started.12345678.json", b"{}")
    fold(Spool(lab.store), lab.remote, lab.branch, now=NOW)
    everything = {item.key for item in lab.store.listing()}

    def gc(*arguments: str) -> Any:
        capsys.readouterr()
        assert mlgen(["gc", "artifacts", "--env", "lab", *arguments, "--format", "json"]) == 0
        return json.loads(capsys.readouterr().out)

    assert gc("--keep-days", "0", "--keep-runs", "1")["goes"]["artifacts"] == 0  # all is young
    monkeypatch.setattr("mlgen.cli.gc.SystemClock.now", lambda _self: LATER)
    found = gc("--keep-days", "30")
    assert [one["uri"] for one in found["goes"]["named"] if one["kind"] == "out"] == [gone.uri]
    assert {item.key for item in lab.store.listing()} == everything
    gc("--keep-days", "30", "--delete")
    left = {item.key for item in lab.store.listing() if not item.key.startswith("_ledger/")}
    assert not any(key.startswith("churn/gone/") for key in left)
    assert set(collected(lab.store)) == {gone.uri}
    for one in (read, new):
        lab.store.get_artifact(one.uri.removeprefix(f"{lab.uri}/"), tmp_path / one.digest[7:15], digest=one.digest)
    assert gc("--keep-days", "30", "--delete")["goes"]["artifacts"] == 0
