"""What two engines must tell alike of one spec, whatever else they may tell each in its own way."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

Json = dict[str, Any]

# Ids, times, where it ran and on what. Everything else, also what is added one day, must be the same.
OF_A_TASK = {
    "env", "run", "startedAt", "endedAt", "reason", "engine", "image", "imageDigest", "usage", "tekton",
}  # fmt: skip
# `given`: mlgen starts each run here, and knows; a PipelineRun does not say which of its params somebody gave.
OF_A_RUN = {"uid", "run", "env", "startedAt", "endedAt", "given"}


def told(entries: Iterable[Json]) -> dict[str, Json]:
    """What the records and the run.json of one run tell: "task-attempt" or "run.json" -> what engines tell alike."""
    found: dict[str, Json] = {}
    for entry in entries:
        is_task = "eventType" in entry
        about = entry["run"]["facets"]["mlgen_task"] if is_task else {}
        name = f"{about['task']}-{about['attempt']}" if is_task else "run.json"
        assert name not in found, f"{name} is told twice"
        found[name] = of_a_record(entry) if is_task else of_a_run(entry)
    return found


def of_a_record(event: Json) -> Json:
    """A task's record, without what engines tell each in its own way."""
    event = copy.deepcopy(event)
    del event["eventTime"], event["run"]["runId"], event["job"]["namespace"]
    facets = event["run"]["facets"]
    del facets["parent"]["run"], facets["parent"]["job"]["namespace"]
    for key in OF_A_TASK:
        facets["mlgen_task"].pop(key, None)
    for dataset in [*event["inputs"], *event["outputs"]]:
        del dataset["namespace"], dataset["name"]  # they make its URI
    return event


def of_a_run(run: Json) -> Json:
    """A run.json, without what engines tell each in its own way."""
    kept = {key: value for key, value in run.items() if key not in OF_A_RUN}
    return {**kept, "tasks": {name: task["status"] for name, task in run["tasks"].items()}}
