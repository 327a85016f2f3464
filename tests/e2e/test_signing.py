"""Pods sign what they fold, with a key that the ledger's Secret holds; who knew the ledger before an epoch goes on."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from typing import Any

import pytest
import yaml

from tests.e2e.cluster import kubectl
from tests.e2e.lab import ENV, LEDGER_SECRET, Lab, Project
from tests.e2e.settings import need
from tests.ssh_keys import allowed, new_key

pytestmark = pytest.mark.together

SPEC = """
tasks:
  make:
    run: echo 1 > "$model"
    out: {model: model}
"""


def mlgen(project: Project, *arguments: str, **environ: str) -> Any:
    command = [sys.executable, "-m", "mlgen", *arguments, "--env", ENV, "--format", "json"]
    environ = {**project.environ(), **environ}
    done = subprocess.run(command, cwd=project.root, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_pods_sign_and_readers_take_a_signed_epoch(lab: Lab) -> None:
    ledger = {"url": need("MLGEN_E2E_GIT_REPOSITORY"), "secret": LEDGER_SECRET, "fold": "task", "interval": "1s"}
    project = lab.project("signing")
    config = yaml.safe_load((project.root / "mlgen.yaml").read_text())
    config["environments"][ENV]["ledger"] = {**ledger, "branch": project.name, "signers": "ledger-signers"}
    (project.root / "mlgen.yaml").write_text(yaml.safe_dump(config))
    key = new_key(project.root / "home" / "key")
    (project.root / "ledger-signers").write_text(allowed(key, "pods"))
    data = {"ssh-signingkey": base64.b64encode(key.read_bytes()).decode()}
    kubectl("-n", project.name, "patch", "secret", LEDGER_SECRET, "-p", json.dumps({"data": data}))
    project.pipeline("demo", SPEC)
    for name in ("demo-one", "demo-two"):
        assert mlgen(project, "run", "pipelines/demo.yaml", "--name", name)["state"] == "COMPLETE"
    verified = mlgen(project, "ledger", "verify")
    assert verified["findings"] == []
    assert {part["how"] for part in verified["stretches"]} == {"signed"}
    begun = mlgen(project, "ledger", "epoch", "--drop", "demo-one", "--yes", MLGEN_LEDGER_SIGNING_KEY=str(key))
    assert (begun["epoch"], len(begun["dropped"]), begun["kept"]) == (1, 2, 2)
    assert mlgen(project, "ledger", "verify")["findings"] == []
    assert [run["run"] for run in mlgen(project, "runs", "list")["runs"]] == ["demo-two"]
