"""Plans kept beside the artifacts, by their digests: what a record's `planDigest` stands for.

`_plans/<hex>.json` below the environment's artifacts. Put by who starts a run or publishes; a run is the same without.
"""

from __future__ import annotations

from collections.abc import Mapping

from mlgen import canonical
from mlgen.canonical import Json
from mlgen.plan.model import Plan
from mlgen.plan.text import to_json
from mlgen.store import Store, StoreError
from mlgen.values import parse_json

PREFIX = "_plans"
MAX_BYTES = 16 << 20  # a plan of 1,000 tasks has 1 MB, most of it scripts


def key(digest: str) -> str:
    return f"{PREFIX}/{digest.removeprefix('sha256:')}.json"


def keep(plan: Plan, store: Store) -> None:
    """Keep a plan, once. Raises what the store raises."""
    data = canonical.encode(to_json(plan))
    where = key(canonical.digest_bytes(data))
    if store.item(where) is None:
        store.put(where, data)


def kept(digest: str, store: Store) -> Mapping[str, Mapping[str, Json]] | None:
    """The tasks of the plan of a digest, by name, as JSON; None as for `whole`."""
    plan = whole(digest, store)
    if plan is None:
        return None
    tasks = plan.get("tasks")
    assert isinstance(tasks, list)
    return {str(task["name"]): task for task in tasks if isinstance(task, dict)}


def whole(digest: str, store: Store) -> Mapping[str, Json] | None:
    """The plan of a digest, as JSON; None where it is not kept, or is another.

    Whoever may write to the store can put anything there: its digest says whether it is that plan.
    Raises CannotAnswer where the store cannot be asked.
    """
    try:
        data = store.get(key(digest), at_most=MAX_BYTES)
    except StoreError:
        return None
    if canonical.digest_bytes(data) != digest:
        return None
    plan = parse_json(data.decode())
    assert isinstance(plan, dict), "its digest is that of a plan"
    return plan
