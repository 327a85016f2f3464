"""A project with one environment in a cluster, whose servers run on this machine."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cluster.apiserver import NAMESPACE


def lay_down(folder: Path, *, s3: str, ledger: str) -> None:
    """Write its mlgen.yaml. s3: the endpoint. ledger: the repository's URL."""
    environment = {
        "namespace": NAMESPACE,
        "artifacts": "s3://ml-artifacts/lab",
        "s3": {"endpoint": s3, "region": "us-east-1", "secret": "s3-credentials"},
        "ledger": {"url": ledger, "secret": "ledger-token"},
        "runtime_image": "mlgen-runtime@sha256:" + "0" * 64,
    }
    (folder / "mlgen.yaml").write_text(json.dumps({"version": 1, "environments": {"lab": environment}}))
