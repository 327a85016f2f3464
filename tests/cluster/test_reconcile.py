"""Passes over a cluster's runs: what is told, kept and deleted, and that a pass can be repeated from any point."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mlgen import git
from mlgen.cluster import podlogs, reconcile
from mlgen.cluster.api import PODS
from mlgen.cluster.reconcile import SETTLED, Reconciled, Reconciler
from mlgen.ledger import passes
from mlgen.ledger.folding.fold import fold
from mlgen.ledger.folding.spool import Spool
from mlgen.ledger.records.entry import from_bytes
from mlgen.ledger.records.task import TaskRecord, pod_run_id
from mlgen.ledger.told import missing
from mlgen.store import Folder
from tests.cluster.apiserver import NAMESPACE, Cluster, running
from tests.ledger import records
from tests.rights import Rights

NOW = datetime(2026, 11, 28, 22, tzinfo=UTC)
ROOT = Path(__file__).parents[2]


@dataclass
class Place:
    """A cluster, a store and a ledger in one folder."""

    cluster: Cluster
    folder: Path

    @property
    def spool(self) -> Spool:
        return Spool(Folder(self.folder / "a", "a"))

    @property
    def repository(self) -> git.Repository:
        return git.init_bare(self.folder / "l.git")

    def reconcile(self, now: datetime = NOW, *, told: bool = True) -> Reconciled:
        """One pass. told: whether the ledger can be asked."""
        self.cluster.asked.clear()
        asked = partial(missing, spool=self.spool, repository=self.repository, branch="ledger")
        return Reconciler(
            api=self.cluster.api(self.folder),
            namespace=NAMESPACE,
            env="lab",
            spool=self.spool,
            missing=asked if told else None,
            now=now,
            grace=timedelta(minutes=2),
            scratch=self.folder,
        ).run()

    def fold(self) -> list[str]:
        return sorted(fold(self.spool, self.repository, "ledger", now=NOW).landed)

    def names(self, done: Reconciled) -> list[str]:
        """Of the records that were told: task and attempt, or `run.reconciled`."""
        return sorted(path.rpartition("/")[2].split(".json")[0].split(".")[0] for path in done.records)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with running() as cluster:
        yield Place(cluster, tmp_path)


def test_all_that_nobody_told_is_told_once(place: Place) -> None:
    place.cluster.add("fail")
    place.cluster.add("cancelled")
    done = place.reconcile()
    assert (done.runs, done.unfit, done.pods) == (2, [], [])
    assert place.names(done) == ["first-0", "first-0", "run", "run", "second-0", "second-0", "second-1", "tell-0"]
    assert place.fold() == sorted(done.records)
    assert place.reconcile() == Reconciled()
    assert place.cluster.asked == [f"GET /apis/tekton.dev/v1/namespaces/{NAMESPACE}/pipelineruns"], "one list, no more"


def test_what_a_pod_told_is_left_to_it(place: Place) -> None:
    found = place.cluster.add("fail")
    about = next(t["metadata"] for t in found["taskRuns"] if t["metadata"]["name"] == "fail-second")
    run = found["run"]["metadata"]
    for pod in found["pods"]:
        if pod["metadata"]["name"] == "fail-second-pod":
            told = {"taskRunUid": about["uid"], "podUid": pod["metadata"]["uid"]}
            run_id = pod_run_id(told["taskRunUid"], told["podUid"])
            place.spool.put(
                records.task(
                    run="fail", name="second", env="lab", run_uid=run["uid"], run_id=run_id, tekton=told,
                    started_at="2026-11-28T20:46:12Z", ended_at="2026-11-28T20:46:17.5Z",
                )
            )  # fmt: skip
    place.spool.put(records.run("fail", env="lab", uid=run["uid"], ended_at="2026-11-28T20:46:25Z"))
    place.fold()
    assert place.names(place.reconcile()) == ["first-0", "second-1", "tell-0"]


def test_while_the_ledger_cannot_be_asked_logs_are_kept_and_nothing_is_told(place: Place) -> None:
    place.cluster.add("ok")
    done = place.reconcile(told=False)
    assert (done.records, place.spool.waiting()) == ([], [])
    assert len(done.logs) == 4
    later = place.reconcile()
    assert (len(later.records), later.logs) == (4, [])


def test_what_has_just_ended_is_left_to_its_pods(place: Place) -> None:
    place.cluster.add("fail")
    ended = datetime.fromisoformat("2026-11-28T20:46:30Z")  # of the run
    done = place.reconcile(ended + timedelta(minutes=1, seconds=53))
    assert place.names(done) == ["first-0", "second-0"]
    assert place.names(place.reconcile(ended + timedelta(minutes=2))) == ["run", "second-1", "tell-0"]


def test_a_run_that_goes_on_is_looked_at_again(place: Place) -> None:
    found = place.cluster.add("ok")
    condition = found["run"]["status"]["conditions"][0]
    condition["status"] = "Unknown"
    assert place.names(place.reconcile()) == ["first-0", "second-0", "tell-0"]
    condition["status"] = "True"
    assert place.names(place.reconcile()) == ["run"]


def test_marks_go_with_their_runs(place: Place) -> None:
    place.cluster.add("ok")
    place.cluster.add("fail")
    place.reconcile()
    store = place.spool.store
    store.put(f"{SETTLED}/other/{records.uid('theirs')}", b"")
    assert len(store.keys(f"{SETTLED}/lab")) == 2
    gone = place.cluster.pipelineruns.pop()
    place.reconcile()
    assert [key.rpartition("/")[2] for key in store.keys(SETTLED)] == [
        place.cluster.pipelineruns[0]["metadata"]["uid"],
        records.uid("theirs"),
    ]
    place.cluster.pipelineruns.append(gone)  # a mark that was lost costs a look
    assert place.reconcile().records == []


def test_passes_that_may_delete_no_marks_go_on(place: Place, least: Rights) -> None:
    place.cluster.add("ok")
    place.cluster.add("fail")
    store = place.spool.store
    for number in range(3):
        now = NOW + timedelta(minutes=number)
        done = place.reconcile(now)
        assert bool(done.records) == (number == 0)
        assert place.fold() == sorted(done.records)
        passes.mark(store, "lab", now)
        assert passes.last(store, "lab") == now
        place.cluster.pipelineruns[1:] = []
    assert {key.rpartition("/")[0] for key in least.refused} == {"_ledger/settled/lab", "_ledger/passes/lab"}


def test_logs_are_kept_as_they_were_printed(place: Place) -> None:
    found = place.cluster.add("fail")
    error = b"mlgen-runtime: error[store-unreachable]: s3://b cannot be used\n   fix  look\n"
    logs = place.cluster.logs
    logs["fail-second-pod", "step-main"] = b"epoch 1\nloss \xff 0.1"
    logs["fail-second-pod", "step-stage-out"] = b"uploading\n" + error
    logs["fail-second-pod-retry1", "step-main"] = 400
    logs["fail-record-pod", "step-record"] = error
    record = next(p for p in found["pods"] if p["metadata"]["name"] == "fail-record-pod")
    record["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] = 3
    place.reconcile()
    uid = found["run"]["metadata"]["uid"]
    kept = {}
    for pod in found["pods"]:
        name, store = pod["metadata"]["name"], place.spool.store
        key = podlogs.log_key(uid, pod)
        kept[name] = store.get(key)
        assert key.endswith(f".{pod['metadata']['uid'][:8]}.log")
    assert kept["fail-second-pod"] == b"epoch 1\nloss \xff 0.1\n" + error
    assert kept["fail-record-pod"] == error
    assert kept["fail-second-pod-retry1"] == kept["fail-first-pod"] == b""
    asked = [path.split("/")[-2] for path in place.cluster.asked if path.endswith("/log")]
    assert asked.count("fail-first-pod") == 1, "of a pod that went well only the program's is read"


def test_a_log_is_cut_and_says_so(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(podlogs, "MAX_BYTES", 5_000_000)
    monkeypatch.setattr(podlogs, "SMALL", 1000)
    found = place.cluster.add("ok")
    place.cluster.logs["ok-second-pod", "step-main"] = b"x" * 4_999_999 + b"end"
    place.reconcile()
    pod = next(p for p in found["pods"] if p["metadata"]["name"] == "ok-second-pod")
    place.spool.store.get_artifact(podlogs.log_key(found["run"]["metadata"]["uid"], pod), place.folder / "copy")
    text = (place.folder / "copy").read_bytes()
    assert text[4_999_990:] == b"x" * 9 + b"e\n(mlgen kept the first 5000000 bytes; there were more)\n"


def test_a_log_that_cannot_be_read_holds_up_no_other(place: Place) -> None:
    place.cluster.add("ok")
    place.cluster.logs["ok-first-pod", "step-main"] = 403
    done = place.reconcile()
    assert len(done.logs) == 3
    assert [text.partition(":")[0] for text in done.unread] == ["ok-first-pod"]
    assert len(done.records) == 4
    del place.cluster.logs["ok-first-pod", "step-main"]
    assert [key.split("/")[2].split(".")[0] for key in place.reconcile().logs] == ["first-0"]


def test_logs_that_can_never_be_read_hold_up_no_other_for_ever(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "UNREAD", 1)
    found = place.cluster.add("ok")
    others = place.cluster.add("fail")["pods"]
    names = sorted(pod["metadata"]["name"] for pod in found["pods"])
    for name in ("ok-first-pod", "ok-second-pod"):
        place.cluster.logs[name, "step-main"] = 403
    kept: list[str] = []
    for minute in range(12):
        kept += place.reconcile(NOW + timedelta(minutes=minute)).logs
    assert len(kept) == len(set(kept)) == len(names) - 2 + len(others), "each of the others, once"


def holding_on(found: dict[str, Any], name: str) -> None:
    """Let a recorded pod be as one whose sidecar runs on."""
    pod = next(p for p in found["pods"] if p["metadata"]["name"] == name)
    pod["status"]["phase"] = "Running"
    for one in pod["status"]["containerStatuses"]:
        if one["name"].startswith("sidecar-"):
            one["state"] = {"running": {"startedAt": "2026-11-28T20:46:10Z"}}


def test_pods_that_hold_on_are_deleted_and_no_others(place: Place) -> None:
    """Of an attempt that was retried, and of a task that ended; not while the program runs."""
    found = place.cluster.add("fail")
    running_on = place.cluster.add("ok")
    for name in ("fail-second-pod", "fail-tell-pod"):
        holding_on(found, name)
    holding_on(running_on, "ok-second-pod")
    task_run = next(t for t in running_on["taskRuns"] if t["metadata"]["name"] == "ok-second")
    task_run["status"]["conditions"][0]["status"] = "Unknown"
    done = place.reconcile()
    assert sorted(done.pods) == ["fail-second-pod", "fail-tell-pod"]
    assert [one for one in place.cluster.asked if one.startswith("DELETE")] == [f"DELETE {name}" for name in done.pods]
    assert len(done.logs) == 9, "what they printed is kept before"


def test_a_pod_is_left_alone_until_its_sidecar_has_had_its_time(place: Place) -> None:
    found = place.cluster.add("fail")
    holding_on(found, "fail-second-pod")
    assert place.reconcile(datetime.fromisoformat("2026-11-28T20:48:10Z")).pods == []
    assert place.reconcile(datetime.fromisoformat("2026-11-28T20:48:18Z")).pods == ["fail-second-pod"]


def test_a_pod_whose_step_died_without_a_word_is_deleted(place: Place) -> None:
    """Its task goes on for Tekton: the next step waits. A step that said how it ended is followed by it."""
    found = place.cluster.add("fail")
    task_run = next(t for t in found["taskRuns"] if t["metadata"]["name"] == "fail-first")
    task_run["status"]["conditions"][0]["status"] = "Unknown"
    holding_on(found, "fail-first-pod")
    pod = next(p for p in found["pods"] if p["metadata"]["name"] == "fail-first-pod")
    states = {one["name"]: one["state"] for one in pod["status"]["containerStatuses"]}
    states["step-stage-out"].clear()
    states["step-stage-out"]["running"] = {"startedAt": "2026-11-28T20:46:10Z"}
    ended = states["step-main"]["terminated"]
    ended.update(exitCode=137, reason="Error", finishedAt="2026-11-28T21:00:00Z")
    assert place.reconcile().pods == [], "Tekton's word is there"
    del ended["message"]
    assert place.reconcile(datetime.fromisoformat("2026-11-28T21:01:59Z")).pods == []
    place.cluster.logs["fail-first-pod", "step-main"] = b"its last words\n"
    assert place.reconcile(datetime.fromisoformat("2026-11-28T21:02:00Z")).pods == ["fail-first-pod"]
    key = podlogs.log_key(found["run"]["metadata"]["uid"], pod)
    assert place.spool.store.get(key) == b"its last words\n"


def test_a_pod_of_the_same_name_that_was_made_since_is_not_deleted(place: Place) -> None:
    found = place.cluster.add("fail")
    pod = next(p for p in found["pods"] if p["metadata"]["name"] == "fail-second-pod")
    holding_on(found, "fail-second-pod")
    api = place.cluster.api(place.folder)

    api.delete(PODS, NAMESPACE, "fail-second-pod", uid=records.uid("another"))
    assert pod in place.cluster.pods


def test_a_thousand_tasks_are_read_page_by_page(place: Place) -> None:
    found = place.cluster.add("ok")
    one = next(t for t in found["taskRuns"] if t["metadata"]["name"] == "ok-second")
    for number in range(130):
        metadata = {**one["metadata"], "name": f"ok-t{number}", "uid": records.uid(f"t{number}")}
        metadata["labels"] = {**metadata["labels"], "tekton.dev/pipelineTask": f"t{number}"}
        place.cluster.taskruns.append({**one, "metadata": metadata})
        status = found["run"]["status"]
        status["childReferences"].append({"name": f"ok-t{number}", "pipelineTaskName": f"t{number}"})
        second = next(t for t in status["pipelineSpec"]["tasks"] if t["name"] == "second")
        status["pipelineSpec"]["tasks"].append({**second, "name": f"t{number}"})
    assert len(place.reconcile().records) == 134
    assert sum(path.endswith("/taskruns") for path in place.cluster.asked) == 3


KILLED_AFTER = """
import os, signal, sys
from pathlib import Path
from mlgen.store import Folder
from tests.cluster.apiserver import Cluster
from tests.cluster.test_reconcile import Place

puts, put = int(sys.argv[3]), Folder.put
def counted(self, key, data):
    global puts
    put(self, key, data)
    puts -= 1
    if puts == 0:
        os.kill(os.getpid(), signal.SIGKILL)
Folder.put = counted
Place(Cluster(url=sys.argv[1]), Path(sys.argv[2])).reconcile()
"""


@pytest.mark.parametrize("puts", [1, 2, 3, 4])
def test_a_killed_pass_is_made_good_by_the_next(place: Place, puts: int) -> None:
    """Killed after each object that it puts: a log, two records, the run's mark."""
    place.cluster.add("image")
    command = [sys.executable, "-c", KILLED_AFTER, place.cluster.url, str(place.folder), str(puts)]
    path = f"{ROOT / 'generator'}:{ROOT}"
    done = subprocess.run(command, env={"PYTHONPATH": path, "PATH": "/usr/bin:/bin"}, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    place.reconcile()
    landed = [path.rpartition("/")[2] for path in place.fold()]
    assert [name.split(".")[0] for name in landed] == ["broken-0", "run"]
    assert place.reconcile() == Reconciled()


def test_two_passes_at_once_put_the_same_bytes(place: Place) -> None:
    place.cluster.add("oom")
    first = place.reconcile()
    twin = Place(place.cluster, place.folder / "twin")
    twin.folder.mkdir()
    second = twin.reconcile()
    assert first.records == second.records
    assert place.spool.waiting() == twin.spool.waiting(), "keys hold the digest of the bytes"


def test_reconciled_records_say_so(place: Place) -> None:
    place.cluster.add("ok")
    done = place.reconcile()
    place.fold()
    kept = place.repository.run("show", f"ledger:{done.records[0]}")

    record = from_bytes(kept)
    assert isinstance(record, TaskRecord)
    assert record.reconciled
