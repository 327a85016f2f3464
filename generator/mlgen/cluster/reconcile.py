"""Tells what no pod could, keeps what pods printed, ends pods that hold on: run by run, safe to repeat at any point.

Nothing is remembered but in the bucket: a run of which all is told and kept leaves an empty object there, and is not
looked at again. So a pass with nothing to do asks for one list of runs, and for one of those objects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from mlgen.cluster import podlogs, view
from mlgen.cluster.api import PIPELINE_RUNS, PODS, TASK_RUNS, Api, ApiError, Object, Unreachable, Unreadable
from mlgen.cluster.belonging import Gathered, controller, gather, readable
from mlgen.cluster.outside import Outside, outside
from mlgen.cluster.shape import Unfit
from mlgen.cluster.view import RUN_UID_LABEL, Objects
from mlgen.ledger.folding.spool import Spool
from mlgen.ledger.records.entry import Entry
from mlgen.store import forget

ENV_LABEL = "mlgen.dev/env"
SETTLED = "_ledger/settled"  # in the bucket: <env>/<uid of a run>
UNREAD = 3  # logs that cannot be read, each after half a minute, before a pass leaves the rest to the next one
MARKS = 1000  # that are taken away at once, in one request
BATCH = 200  # records that are looked for at once: to look costs some ten trips to the ledger's host, for any number

T = TypeVar("T")
Missing = Callable[[Sequence[Entry]], list[Entry]]  # of some records, those of what neither spool nor ledger tells


@dataclass(slots=True)
class Reconciled:
    """What a pass did. records: paths that reconciled records will have. logs: keys. pods: names of those deleted.

    runs: how many were looked at. unfit: what cannot be told of. unread: why logs could not be read.
    """

    runs: int = 0
    records: list[str] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    pods: list[str] = field(default_factory=list)
    unfit: list[Unfit] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Reconciler:
    """What a pass works with. now: when it began. grace: how long after an end the pods may still tell it themselves.

    missing: None where the ledger cannot be asked; then logs are kept, and nothing is told. scratch: a folder.
    """

    api: Api
    namespace: str
    env: str
    spool: Spool
    missing: Missing | None
    now: datetime
    grace: timedelta
    scratch: Path
    done: Reconciled = field(default_factory=Reconciled)

    def run(self) -> Reconciled:
        """One pass over all runs of the environment. Raises ApiError, Unreachable, CannotAnswer."""
        waiting: list[tuple[str, Outside]] = []  # runs that are looked at, and not settled yet
        for uid, name in self._turned(self._unsettled()):
            gathered = self._gathered(uid, name)
            if gathered is None:
                continue
            self.done.runs += 1
            objects = gathered.objects
            idle = self._idle(objects)
            kept = self._keep_logs(objects, idle)
            for pod in idle:
                self.api.delete(PODS, self.namespace, pod["metadata"]["name"], uid=pod["metadata"]["uid"])
                self.done.pods.append(pod["metadata"]["name"])
            gone = all(map(_is_over, objects.pods))
            found = outside(gathered, self.env, ended_before=self.now - self.grace)
            self.done.unfit += [*gathered.odd, *gathered.foreign, *found.unfit]
            settled = kept and gone and found.complete and not gathered.odd
            waiting.append((uid if settled else "", found))
            if sum(len(one.entries) for _, one in waiting) >= BATCH:
                self._tell(waiting)
                waiting = []
        self._tell(waiting)
        return self.done

    def _unsettled(self) -> list[tuple[str, str]]:
        """(uid, name) of the runs that are to be looked at; marks of those that are no more are taken away."""
        store = self.spool.store
        folder = f"{SETTLED}/{self.env}"
        settled = {key.rpartition("/")[2] for key in store.keys(folder)}
        labels = f"{ENV_LABEL}={self.env}"
        listed = readable(self.api.items(PIPELINE_RUNS, self.namespace, labels=labels, partial=True), self.done.unfit)
        runs = [(str(one["metadata"]["uid"]), str(one["metadata"]["name"])) for one in listed]
        gone = sorted(settled - {uid for uid, _ in runs})
        forget(store, [f"{folder}/{uid}" for uid in gone[:MARKS]])
        return [(uid, name) for uid, name in runs if uid not in settled]

    def _gathered(self, uid: str, name: str) -> Gathered | None:
        """All that the API has of a run; None where it is gone, or cannot be read: then that is noted.

        Asked by `list` alone, the only right that is given.
        """
        labels = f"{RUN_UID_LABEL}={uid}"
        try:
            found = self.api.items(PIPELINE_RUNS, self.namespace, fields=f"metadata.name={name}")
            runs = [one for one in readable(found, self.done.unfit) if one["metadata"]["uid"] == uid]
            # In this order: of a run that is over, its TaskRuns are, and the pods are the youngest that are seen.
            task_runs = self.api.items(TASK_RUNS, self.namespace, labels=labels)
            pods = self.api.items(PODS, self.namespace, labels=labels)
            return gather(runs[0], task_runs, pods) if runs else None
        except Unreadable as why:
            self.done.unfit.append(Unfit(name, str(why)))
            return None

    def _keep_logs(self, objects: Objects, idle: Sequence[Object]) -> bool:
        """Keep the logs of the pods whose steps have ended, and of those that are to go; whether all are kept."""
        uid = str(objects.run["metadata"]["uid"])
        ready = [pod for pod in objects.pods if _has_ended(pod) or pod in idle]
        known = set(self.spool.store.keys(podlogs.log_folder(uid))) if ready else set()
        wanted = [(key, pod) for pod in ready if (key := podlogs.log_key(uid, pod)) not in known]
        kept = [self._keep_log(key, pod) for key, pod in self._turned(wanted)]
        return all(kept) and len(ready) == len(objects.pods)

    def _turned(self, items: list[T]) -> list[T]:
        """The items, begun with another one each minute: what cannot be read keeps nothing from its turn for ever."""
        at = int(self.now.timestamp()) // 60 % len(items) if items else 0
        return items[at:] + items[:at]

    def _keep_log(self, key: str, pod: Object) -> bool:
        if len(self.done.unread) == UNREAD:
            return False
        try:
            podlogs.keep(self.api, pod, self.spool.store, key, self.scratch / "log")
        except (ApiError, Unreachable) as error:  # its node may be lost, and all others' logs are to be kept
            self.done.unread.append(f"{pod['metadata']['name']}: {error}")
            return False
        self.done.logs.append(key)
        return True

    def _idle(self, objects: Objects) -> list[Object]:
        """The pods that hold on though they have had nothing left to do for a while."""
        ends = {
            (str(one["metadata"]["uid"]), attempt.number): attempt.ended_at
            for one in objects.task_runs
            for attempt in view.attempts(one)
            if attempt.succeeded is not None
        }
        found = []
        for pod in objects.pods:
            about = pod["metadata"]
            owner = controller(pod, "TaskRun") or ""
            since = ends.get((owner, view.pod_attempt(about["name"]))) or _stuck_since(pod)
            if since and not _is_over(pod) and not about.get("deletionTimestamp") and self._is_past(since):
                found.append(pod)
        return found

    def _is_past(self, time: str) -> bool:
        return datetime.fromisoformat(time) <= self.now - self.grace

    def _tell(self, waiting: list[tuple[str, Outside]]) -> None:
        """Put the records that are missing, and mark the runs of which all is told."""
        if self.missing is None:
            return
        entries = [entry for _, found in waiting for entry in found.entries]
        for entry in self.missing(entries) if entries else ():
            self.spool.put(entry)
            self.done.records.append(entry.path)
        for uid, _ in waiting:
            if uid:
                self.spool.store.put(f"{SETTLED}/{self.env}/{uid}", b"")


def _is_over(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _has_ended(pod: Object) -> bool:
    """Whether all steps of a pod have: what they print is complete, though the sidecar may hold on."""
    status = pod.get("status") or {}
    if _is_over(pod):
        return True
    steps = [one for one in status.get("containerStatuses") or () if one["name"].startswith("step-")]
    return bool(steps) and all("terminated" in (one.get("state") or {}) for one in steps)


def _stuck_since(pod: Object) -> str | None:
    """When a step died without a word to the next one, which waits for it as long as its task may take; else None.

    Tekton's entrypoint leaves a message however its program ends, unless it is killed itself. Of a script the sidecar
    learns it; a command of the author's own image holds no FIFO open (`runtime.pod.contract.ALIVE`). Tekton fails the
    task of a deleted pod, or executes it anew, as that of any pod that was lost.
    """
    states = [
        one.get("state") or {}
        for one in (pod.get("status") or {}).get("containerStatuses") or ()
        if one["name"].startswith("step-")
    ]
    if not any("running" in state for state in states):
        return None
    ends = [one for state in states if (one := state.get("terminated"))]
    died = [one for one in ends if one.get("exitCode") and not one.get("message") and one.get("finishedAt")]
    return str(died[0]["finishedAt"]) if died else None
