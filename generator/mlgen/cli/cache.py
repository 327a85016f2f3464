"""Folders of the user's cache: what may be thrown away at any time."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def cached(kind: str, *identity: object) -> Path:
    """The place of what belongs to an identity, such as a repository and a branch. Nothing is made there.

    Never in the project: what a clone brings there could be taken for ours.
    """
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    name = hashlib.sha256("\n".join(map(str, identity)).encode(errors="surrogateescape")).hexdigest()[:32]
    return Path(home) / "mlgen" / kind / name
