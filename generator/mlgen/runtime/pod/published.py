"""Whether all that manifests pin lies in the bucket: asked in a pod of its own, before Argo CD syncs them."""

from __future__ import annotations

from collections.abc import Mapping
from multiprocessing.pool import ThreadPool

from mlgen.diagnostic import CannotAnswer
from mlgen.store import Store

AT_ONCE = 16  # questions; each waits for a bucket
SHOWN = 5  # keys: a log's line is read by people


def check(pinned: Mapping[str, str], store: Store, env: str) -> str:
    """What to say when all is there. pinned: key below the artifacts -> what it is, and of which pipeline.

    Raises CannotAnswer "unpublished", and what the store raises.
    """
    with ThreadPool(AT_ONCE) as pool:
        there = pool.map(store.has, pinned)
    missing = sorted(key for key, is_there in zip(pinned, there, strict=True) if not is_there)
    if not missing:
        return f"all {len(pinned)} that the manifests pin are in {store.uri}"
    named = ", ".join(f"{pinned[key]} ({key})" for key in missing[:SHOWN])
    more = f", and {len(missing) - SHOWN} more" if missing[SHOWN:] else ""
    raise CannotAnswer(
        "unpublished",
        f"of what the manifests pin, {len(missing)} of {len(pinned)} are not in {store.uri}: {named}{more}",
        why="a run would fail as soon as it begins, so the cluster keeps the version that it has",
        fix=f"`mlgen publish --env {env}` at the commit that is synced; Argo CD then goes on by itself",
    )
