"""The logs of a run's pods: which there are, of pods that live and kept in the bucket."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from mlgen.cluster import podlogs, view
from mlgen.cluster.api import PIPELINE_RUNS, PODS, Api, ApiError, Object, Unreachable
from mlgen.cluster.belonging import controller, readable
from mlgen.cluster.failure import STEP
from mlgen.cluster.refusals import fault_of
from mlgen.cluster.view import MAIN, RUN_UID_LABEL

ENV_LABEL = "mlgen.dev/env"
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")  # of runs and tasks, and the beginnings of both
NODE = re.compile(rf"{NAME.pattern}(\[[0-9]{{1,8}}\])?")  # of a task, or an item of one


@dataclass(frozen=True, slots=True)
class Log:
    """The log of one execution. task: of an item as `task[3]`.

    pod: where it can be asked; None: it is kept, at `key` of the artifacts.
    """

    task: str
    attempt: int
    pod_uid: str  # its first 8 characters
    pod: Object | None = None
    key: str = ""


def runs(api: Api, namespace: str, env: str) -> list[Object]:
    """Metadata of the environment's runs that the cluster still has, the oldest first. Raises Fault."""
    try:
        listed = api.items(PIPELINE_RUNS, namespace, labels=f"{ENV_LABEL}={env}", partial=True)
        found = list(readable(listed, []))  # one that is odd has no name that could be asked for
    except (ApiError, Unreachable) as error:
        raise fault_of(error, api.server) from None
    return sorted(found, key=_made_at)


def pods(api: Api, namespace: str, run_uid: str) -> list[Object]:
    """The pods of TaskRuns of a run that there are, the oldest first; odd ones are left out. Raises Fault."""
    try:
        listed = readable(api.items(PODS, namespace, labels=f"{RUN_UID_LABEL}={run_uid}"), [])
        found = [one for one in listed if controller(one, "TaskRun")]
    except (ApiError, Unreachable) as error:
        raise fault_of(error, api.server) from None
    return sorted(found, key=_made_at)


def _made_at(thing: Object) -> str:
    return str(thing["metadata"].get("creationTimestamp", ""))


def logs_of(living: Iterable[Object], kept: Iterable[str], *, task: str | None = None) -> list[Log]:
    """The logs of a run, or of one task: of pods and of keys, each execution once; pods know more, and come last."""
    here = [
        Log(view.node_of(one), view.pod_attempt(one["metadata"]["name"]), one["metadata"]["uid"][:8], pod=one)
        for one in living
        if _has_main(one)
    ]
    known = {(log.task, log.attempt, log.pod_uid) for log in here}
    parts = [(key, podlogs.read_log_key(key)) for key in sorted(kept)]
    gone = [Log(*found, key=key) for key, found in parts if found is not None and found not in known]
    return [log for log in [*gone, *here] if task is None or view.is_of(task, log.task)]


def _has_main(pod: Object) -> bool:
    return any(one["name"] == STEP + MAIN for one in (pod.get("spec") or {}).get("containers") or ())
