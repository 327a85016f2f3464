"""The comparison of engines overlooks what it should, and nothing else."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from mlgen.ledger.records import entry
from tests.alike import Json, of_a_record, of_a_run, told
from tests.ledger import records

RECORD: Json = json.loads(entry.to_bytes(records.full()))
RUN: Json = json.loads(entry.to_bytes(records.run(commit="c" * 40)))

# As the design lists them: ids, times, env, engine, reason, image, usage, tekton, URIs.
TASK = "run.facets.mlgen_task"
OVERLOOKED = {
    "eventTime", "run.runId", "job.namespace", "run.facets.parent.run.runId", "run.facets.parent.job.namespace",
    *(f"{TASK}.{key}" for key in ("env", "run", "startedAt", "endedAt", "reason", "engine", "image", "imageDigest")),
    f"{TASK}.usage.maxRssBytes", *(f"{TASK}.tekton.{key}" for key in records.full().tekton or {}),
    *(f"{kind}.0.{key}" for kind in ("inputs", "outputs") for key in ("namespace", "name")),
}  # fmt: skip
OVERLOOKED_IN_RUN = {"uid", "run", "env", "startedAt", "endedAt", "tasks.train.reason", "tasks.register.reason"}


def places(value: object, *path: str | int) -> Iterator[tuple[str | int, ...]]:
    """The route of every text, number, truth and null."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        yield path
        return
    for key, below in items:
        yield from places(below, *path, key)


def changed(value: Json, path: tuple[str | int, ...]) -> Json:
    """The same with another text at one place."""
    value = copy.deepcopy(value)
    here: Any = value
    for key in path[:-1]:
        here = here[key]
    here[path[-1]] = "another"
    return value


def test_of_a_record_just_that_is_overlooked() -> None:
    routes = list(places(RECORD))
    found = {".".join(map(str, p)) for p in routes if of_a_record(changed(RECORD, p)) == of_a_record(RECORD)}
    assert found == OVERLOOKED
    assert len(routes) > 2 * len(OVERLOOKED) - 10


def test_of_a_run_just_that_is_overlooked() -> None:
    found = {".".join(map(str, p)) for p in places(RUN) if of_a_run(changed(RUN, p)) == of_a_run(RUN)}
    assert found == OVERLOOKED_IN_RUN


def test_each_execution_is_told_once() -> None:
    assert told([RECORD, RUN]).keys() == {"train-0", "run.json"}
    with pytest.raises(AssertionError, match="train-0 is told twice"):
        told([RECORD, RECORD])
