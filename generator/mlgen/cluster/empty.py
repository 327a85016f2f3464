"""Fans over a list of the run that had no items: Tekton skips all their pieces, yet they succeeded (decision 0031)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mlgen.cluster.api import Object

EMPTY = "NoItems"  # what people are told then, instead of Tekton's reason

# What is to be true of a piece that has items, which is the last that its entry needs (`render.fans.Counted.when`).
_COUNT = re.compile(r"\$\(tasks\.(?P<task>[a-z0-9-]+)\.results\.for-[0-9]+-(full|over)\)")


def empty(run: Object, names: Iterable[str]) -> bool:
    """Whether these entries of a run's Pipeline, all that a fan has, were skipped for nothing but want of items."""
    status = run.get("status") or {}
    skipped = {one["name"]: one for one in status.get("skippedTasks") or ()}
    entries = {entry["name"]: entry for entry in (status.get("pipelineSpec") or {}).get("tasks") or ()}
    return all(_is_empty(entries.get(name, {}), skipped.get(name, {})) for name in names)


def undecided(run: Object, name: str) -> bool:
    """Whether a skipped entry may still turn out to be of such: Tekton lists it before it has filled in what it needs,
    and one after the other of its pieces."""
    status = run.get("status") or {}
    skipped: Object = next((one for one in status.get("skippedTasks") or () if one["name"] == name), {})
    entries = (entry for entry in (status.get("pipelineSpec") or {}).get("tasks") or () if entry["name"] == name)
    entry: Object = next(entries, {})
    filled = all("$(" not in one.get("input", "") for one in skipped.get("whenExpressions") or ())
    return _is_counted(entry) and (not filled or _is_empty(entry, skipped))


def _is_counted(entry: Object) -> bool:
    whens = entry.get("when") or [{}]
    return "matrix" in entry and _COUNT.fullmatch(whens[-1].get("input", "")) is not None


def _is_empty(entry: Object, skipped: Object) -> bool:
    found = skipped.get("whenExpressions") or []
    if not _is_counted(entry) or len(entry["when"]) != len(found):
        return False
    return [_holds(one) for one in found] == [True] * (len(found) - 1) + [False]


def _holds(when: Object) -> bool:
    """Of an expression as Tekton had filled it in. Source: tektoncd/pipeline pkg/apis/pipeline/v1/when_types.go."""
    is_in = when.get("input", "") in (when.get("values") or ())
    return is_in if when.get("operator") == "in" else not is_in
