"""Which of several pods of a task a TaskRun or pod is: an item of a fan, or a rank of several nodes. Pure."""

from __future__ import annotations

import re

from mlgen.cluster.api import Object
from mlgen.runtime.fans.items import CHUNK

INDEX, ROW = "mlgen-index", "mlgen-row"  # params of a fan's TaskRuns
RANK = "mlgen-rank"  # of those of a task on several nodes, but rank 0's
_TOLD_BY = {"MLGEN_INDEX": (INDEX,), "MLGEN_ROW": (ROW,), "MLGEN_RANK": (RANK,)}  # variables of their pods
_NUMBER = re.compile(r"[0-9]{1,8}")


def item_of(thing: Object) -> int | None:
    """Which item of a fan a TaskRun or pod is; None of something else."""
    told = _told(thing)
    index, row = told.get(INDEX), told.get(ROW, "0")
    if not isinstance(index, str) or not isinstance(row, str) or not _NUMBER.fullmatch(index + row):
        return None
    return int(index) + CHUNK * int(row)


def rank_of(thing: Object) -> int | None:
    """Which rank of a task on several nodes a TaskRun or pod is; None of rank 0, which is the task's, and others."""
    rank = _told(thing).get(RANK)
    return int(rank) if isinstance(rank, str) and _NUMBER.fullmatch(rank) else None


def number_of(thing: Object) -> int | None:
    """The number that people see: of an item, or of a rank; no task has both."""
    item = item_of(thing)
    return rank_of(thing) if item is None else item


def _told(thing: Object) -> dict[str, object]:
    """What a TaskRun, or a pod's containers, are told of which one they are."""
    spec = thing.get("spec") or {}
    told: dict[str, object] = {param["name"]: param.get("value") for param in spec.get("params") or ()}
    for container in spec.get("containers") or ():
        told |= {
            name: one.get("value", "") for one in container.get("env") or () for name in _TOLD_BY.get(one["name"], ())
        }
    return told
