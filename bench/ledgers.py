"""Makes a synthetic ledger to measure with: python bench/ledgers.py RECORDS REPOSITORY

A bare repository with the branch `ledger`: the records of two years of 100 pipelines in a cluster, ten tasks a run and
its run.json, with artifacts that go from task to task and from run to run, failures, retries, and what reconcile wrote.
A number of records and a seed give the same bytes on any machine, for one version of mlgen.
"""

from __future__ import annotations

import argparse
import hashlib
import heapq
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from random import Random
from uuid import UUID

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "generator")]

from mlgen.canonical import Json  # noqa: E402 - the path to it is made above
from mlgen.ledger import chain  # noqa: E402
from mlgen.ledger.records import entry  # noqa: E402
from mlgen.ledger.records.artifact import Artifact  # noqa: E402
from mlgen.ledger.records.run import RunRecord, TaskStatus  # noqa: E402
from mlgen.ledger.records.task import Source, State, TaskRecord, pod_run_id, reconciled_run_id  # noqa: E402

BRANCH = "ledger"
BEGIN, END = datetime(2024, 11, 28, tzinfo=UTC), datetime(2026, 11, 28, tzinfo=UTC)
MAX_BATCH = 1000  # records in a commit
PER_RUN = 10.7  # records, on average: ten tasks and run.json, some retried, some never started
BUCKET = "s3://ml-artifacts/prod"

SUBJECTS = ("ads", "baskets", "churn", "demand", "fraud", "leads", "prices", "returns", "routes", "search")
KINDS = {
    "daily": "gold",
    "weekly": "silver",
    "by-region": "silver",
    "by-shop": "silver",
    "large": "gold",
    "small": "bronze",
    "candidate": "bronze",
    "baseline": "bronze",
    "legacy": "bronze",
    "next": "bronze",
}  # and the label `tier` of such a pipeline's runs


@dataclass(frozen=True, slots=True)
class Task:
    """ins: outs of the run's other tasks, `raw` from outside, or of the pipeline's last run, such as `last.model`.

    outs: name, type, media type.
    """

    name: str
    ins: tuple[str, ...]
    outs: tuple[tuple[str, str, str], ...]
    minutes: int


TASKS = (
    Task("extract", ("raw",), (("table", "dataset", "text/csv"),), 4),
    Task("clean", ("table",), (("cleaned", "dataset", "text/csv"),), 3),
    Task("split", ("cleaned",), (("train_set", "dataset", "text/csv"), ("test_set", "dataset", "text/csv")), 1),
    Task("featurize", ("train_set",), (("features", "dataset", "application/vnd.apache.parquet"),), 6),
    Task("featurize-test", ("test_set",), (("test_features", "dataset", "application/vnd.apache.parquet"),), 2),
    Task("train", ("features", "last.model"), (("model", "model", "application/octet-stream"),), 25),
    Task("evaluate", ("model", "test_features"), (("report", "report", "text/html"),), 2),
    Task("explain", ("model", "features"), (("importance", "plot", "image/png"),), 3),
    Task("compare", ("report", "last.report"), (("verdict", "report", "application/json"),), 1),
    Task("register", ("model", "verdict"), (("card", "file", "text/markdown"),), 1),
)
COLD_START = 8  # runs: each eighth one trains without the model of the last, so that lineages go on through up to eight


@dataclass(frozen=True, slots=True)
class File:
    """A record's bytes. ended: seconds since 1970."""

    ended: float
    path: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Fate:
    """How an execution ends."""

    state: State
    reason: str
    exit_code: int | None = None
    error: str | None = None
    reconciled: bool = False


def _fate(task: Task, rng: Random) -> Fate:
    luck = rng.random()
    if luck < 0.002:
        error = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 71680Ki."
        return Fate(State.ABORT, "PodEvicted", error=error, reconciled=True)
    if luck < 0.02:
        error = f"{task.name} ended with exit code 1: ValueError: column 'total_{rng.getrandbits(8)}' has no values"
        return Fate(State.FAIL, "Failed", 1, error)
    return Fate(State.COMPLETE, "Succeeded", 0)


@dataclass(slots=True)
class Pipeline:
    """A pipeline between its runs. last: artifacts of its last run that completed, by name."""

    name: str
    subject: str
    tier: str
    runs: int = 0
    last: dict[str, Artifact] = field(default_factory=dict)
    commit: str = ""
    spec: str = ""
    plan: str = ""
    code: str = ""
    image: str = ""

    def change(self, rng: Random) -> None:
        """Somebody merged something."""
        self.commit = f"{rng.getrandbits(160):040x}"
        self.spec, self.plan, self.code, self.image = (_digest(rng) for _ in range(4))


def files(records: int, seed: int = 0, *, begin: datetime = BEGIN, end: datetime = END) -> Iterator[File]:
    """The records of a ledger in the order of their ends. begin, end: when its runs start."""
    rng = Random(seed)
    pipelines = [Pipeline(f"{subject}-{kind}", subject, tier) for subject in SUBJECTS for kind, tier in KINDS.items()]
    step = (end - begin) / (records / PER_RUN)
    waiting: list[tuple[float, str, File]] = []  # of runs that go on; paths tell files of one moment apart
    told, number = 0, 0
    while told < records:
        started = begin + number * step + rng.random() * step
        number += 1
        while waiting and waiting[0][0] < started.timestamp() and told < records:
            yield heapq.heappop(waiting)[2]
            told += 1
        for file in Run(pipelines[int(rng.random() * len(pipelines))], started, rng).files():
            heapq.heappush(waiting, (file.ended, file.path, file))


class Run:
    """One run of a pipeline, from its start to run.json."""

    def __init__(self, pipeline: Pipeline, started: datetime, rng: Random) -> None:
        if pipeline.runs % 20 == 0:
            pipeline.change(rng)
        pipeline.runs += 1
        self.pipeline, self.started, self.rng = pipeline, started, rng
        self.uid = _uuid(rng)
        self.name = f"{pipeline.name}-{rng.getrandbits(25):05x}"
        self.folder = f"{BUCKET}/{pipeline.name}/{self.name}"
        self.params: dict[str, Json] = {
            "epochs": 5 + int(rng.random() * 40),
            "learning_rate": round(0.001 + rng.random() / 10, 5),
            "since": f"{started:%Y-%m-01}",
            "min_auc": 0.8,
            "target": "staging" if rng.random() < 0.2 else "none",
            "seed": rng.getrandbits(16),
        }
        self.made = {"raw": self._raw()}
        if pipeline.runs % COLD_START:
            self.made |= {f"last.{name}": pipeline.last[name] for name in ("model", "report") if name in pipeline.last}

    def _raw(self) -> Artifact:
        """What ten pipelines read for a month."""
        uri = f"s3://ml-data/{self.pipeline.subject}/{self.started:%Y-%m}.csv"
        known = Random(uri)
        size = 10**6 + known.getrandbits(30)
        return Artifact("raw", uri, _digest(known), size, "text/csv", "dataset")

    def files(self) -> Iterator[File]:
        now = self.started
        statuses: dict[str, TaskStatus] = {task.name: TaskStatus("None", "") for task in TASKS}
        state = State.COMPLETE
        for task in TASKS:
            task_run = _uuid(self.rng)
            for attempt in (0, 1):  # one retry
                record = self._execute(task, attempt, task_run, now)
                now = datetime.fromisoformat(record.ended_at)
                yield _file(record)
                if record.state is not State.FAIL:
                    break
            state = record.state
            done = state is State.COMPLETE
            statuses[task.name] = TaskStatus("Succeeded" if done else "Failed", record.reason)
            if not done:
                break
            self.made |= {artifact.name: artifact for artifact in record.outputs}
        if state is State.COMPLETE:
            self.pipeline.last = self.made
        yield _file(self._run_json(state, now, statuses))

    def _execute(self, task: Task, attempt: int, task_run: str, now: datetime) -> TaskRecord:
        rng, pod = self.rng, _uuid(self.rng)
        began = now + timedelta(seconds=4 + rng.random() * 10)
        ended = began + timedelta(minutes=task.minutes * (0.5 + rng.random()))
        fate = _fate(task, rng)
        done, told = fate.state is State.COMPLETE, not fate.reconciled
        return TaskRecord(
            run_id=pod_run_id(task_run, pod) if told else reconciled_run_id(task_run, attempt),
            env="prod",
            pipeline=self.pipeline.name,
            run=self.name,
            run_uid=self.uid,
            task=task.name,
            attempt=attempt,
            started_at=_time(began),
            ended_at=_time(ended),
            state=fate.state,
            exit_code=fate.exit_code,
            reason=fate.reason,
            engine="tekton",
            spec_digest=self.pipeline.spec,
            plan_digest=self.pipeline.plan,
            inputs=self._inputs(task) if told else (),
            outputs=self._outputs(task, pod) if done else (),
            params=self.params,
            metrics=self._metrics(task) if done else {},
            values=self._values(task) if done else {},
            error=fate.error,
            source=Source(self.pipeline.commit, f"pipelines/{self.pipeline.name}.yaml", "https://git.example/acme/ml"),
            image=f"ghcr.io/acme/{self.pipeline.subject}:1.8",
            image_digest=self.pipeline.image,
            code_digest=self.pipeline.code,
            usage={"cpuSeconds": round(rng.random() * 900, 2), "maxRssBytes": rng.getrandbits(33)} if told else None,
            tekton={
                "namespace": "ml-prod",
                "pipelineRun": self.name,
                "pipelineRunUid": self.uid,
                "taskRun": f"{self.name}-{task.name}",
                "taskRunUid": task_run,
                "pod": f"{self.name}-{task.name}-pod" + (f"-retry{attempt}" if attempt else ""),
                "podUid": pod if told else None,
            },
            reconciled=fate.reconciled,
        )

    def _inputs(self, task: Task) -> tuple[Artifact, ...]:
        """Those that there are, by the names that they have in the task."""
        found = ((name.replace("last.", "last_"), self.made.get(name)) for name in task.ins)
        return tuple(
            Artifact(name, a.uri, a.digest, a.size_bytes, a.media_type, a.type) for name, a in found if a is not None
        )

    def _outputs(self, task: Task, pod: str) -> tuple[Artifact, ...]:
        return tuple(
            Artifact(name, f"{self.folder}/{task.name}.{pod[:8]}/{name}", _digest(self.rng), size, media, kind)
            for name, kind, media in task.outs
            for size in [1 + self.rng.getrandbits(28)]
        )

    def _metrics(self, task: Task) -> dict[str, Json]:
        if task.name not in ("train", "evaluate"):
            return {}
        auc = 0.6 + 0.38 * self.rng.random()
        return {"auc": round(auc, 4), "loss": round(1.2 - auc, 4)}

    def _values(self, task: Task) -> dict[str, Json]:
        if task.name == "compare":
            return {"better": self.rng.random() < 0.5}
        return {"rows": self.rng.getrandbits(20)} if task.name in ("extract", "clean") else {}

    def _run_json(self, state: State, ended: datetime, statuses: dict[str, TaskStatus]) -> RunRecord:
        return RunRecord(
            run=self.name,
            uid=self.uid,
            pipeline=self.pipeline.name,
            env="prod",
            state=state,
            started_at=_time(self.started),
            ended_at=_time(ended + timedelta(seconds=self.rng.random())),
            params=self.params,
            tasks=statuses,
            spec_digest=self.pipeline.spec,
            commit=self.pipeline.commit,
            reconciled=state is State.ABORT,
            labels={"cost-center": f"cc-{SUBJECTS.index(self.pipeline.subject):04}", "tier": self.pipeline.tier},
            owner=f"{self.pipeline.subject}-team",
        )


def _file(record: TaskRecord | RunRecord) -> File:
    return File(datetime.fromisoformat(record.ended_at).timestamp(), record.path, entry.to_bytes(record))


def _uuid(rng: Random) -> str:
    return str(UUID(int=rng.getrandbits(128), version=4))


def _digest(rng: Random) -> str:
    return f"sha256:{rng.getrandbits(256):064x}"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def batches(found: Iterable[File], seed: int = 0) -> Iterator[list[File]]:
    """The records of one commit each: many of a few, as pods fold, and a few of up to 1,000, after an hour without."""
    rng, rest = Random(seed), iter(found)
    while True:
        cube = (chance := rng.random()) * chance * chance  # no pow: its last digit is the machine's
        batch = list(islice(rest, 1 + int((MAX_BATCH - 1) * cube * cube)))
        if not batch:
            return
        yield batch


def fast_import(commits: Iterable[list[File]], parent: tuple[str, chain.Link] | None = None) -> Iterator[bytes]:
    """The stream of git-fast-import(1) that makes them, with the trailers that a fold writes.

    parent: the id and the trailers of the commit that they come after; None: they begin the ledger.
    """
    ref, link = f"refs/heads/{BRANCH}".encode(), parent[1] if parent else None
    yield b"feature done\n"
    if parent:
        yield b"reset %s\nfrom %s\n" % (ref, parent[0].encode())
    for batch in commits:
        link = chain.link({file.path: file.data for file in batch}, link)
        runs = len({file.path.rpartition("/")[0] for file in batch})
        message = f"ledger: {len(batch)} records of {runs} runs\n\n{link.trailers}".encode()
        yield b"commit %s\ncommitter mlgen <mlgen@localhost> %d +0000\n" % (ref, batch[-1].ended + 5)
        yield b"data %d\n%s\n" % (len(message), message)
        for file in batch:
            yield b"M 100644 inline %s\ndata %d\n%s\n" % (file.path.encode(), len(file.data), file.data)
    yield b"done\n"


def make(records: int, repository: Path, seed: int = 0) -> None:
    """A new bare repository at a path, with a ledger of so many records."""
    subprocess.run(["git", "init", "-q", "--bare", "-b", BRANCH, "--object-format=sha1", repository], check=True)
    _import(repository, fast_import(batches(files(records, seed), seed)))


def append(records: int, repository: Path, seed: int = 1) -> None:
    """So many records, in one commit, of the hours after a ledger that was made here."""
    git = ["git", "--git-dir", str(repository), "cat-file", "commit", BRANCH]
    tip = subprocess.run(git, check=True, capture_output=True).stdout
    link = chain.of_commit(tip)
    assert link is not None
    oid = hashlib.sha1(b"commit %d\0%s" % (len(tip), tip), usedforsecurity=False).hexdigest()
    found = list(files(records, seed, begin=END, end=END + timedelta(hours=1)))
    _import(repository, fast_import([found], (oid, link)))


def _import(repository: Path, stream: Iterable[bytes]) -> None:
    git = ["git", "--git-dir", str(repository), "fast-import", "--quiet"]
    with subprocess.Popen(git, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        for part in stream:
            process.stdin.write(part)
    if process.returncode:
        raise RuntimeError(f"git fast-import ended with {process.returncode}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", type=int)
    parser.add_argument("repository", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    make(args.records, args.repository, args.seed)


if __name__ == "__main__":
    main()
