"""A kubeconfig that leads to a server, as a user has one."""

from __future__ import annotations

import json
from pathlib import Path


def write(folder: Path, server: str, **user: object) -> Path:
    """The file. user: how it logs in."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "clusters": [{"name": "it", "cluster": {"server": server}}],
        "users": [{"name": "it", "user": user}],
    }
    file = folder / "kubeconfig"
    file.write_text(json.dumps(config))
    return file
