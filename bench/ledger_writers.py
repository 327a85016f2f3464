"""Many writers at once: records a second, and how long each waits, beside clone-commit-push in the same run."""

from __future__ import annotations

import json
import multiprocessing
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import ledgers
from ledger_places import MLGEN, Bucket, GitServer, Project, bucket, git_server, project
from mlgen.ledger.folding.spool import Spool

HERE = Path(__file__).resolve().parent
PAUSE_SECONDS = 0.5  # between folds
INTERVALS = (10, 1)  # seconds from push to push; the first is the default
PLAIN: dict[str, tuple[str, ...]] = {"clone, commit, push": (), "the same in a kept clone": ("--keep",)}
MOST_A_SECOND = 1200  # records that there are for the writers
HEAD = [
    "| writers | way | landed | records/s | mlgen to it | acknowledged, p50 | p99 | on the branch, p50 | p99 |",
    "|--:|---|--:|--:|--:|--:|--:|--:|--:|",
]


@dataclass(frozen=True, slots=True)
class Storm:
    """What came of many writers. seconds: until the last record was on the branch. acknowledged, landed: seconds."""

    seconds: float
    acknowledged: Sequence[float]
    landed: Sequence[float]

    @property
    def rate(self) -> float:
        return len(self.landed) / self.seconds


def rows(counts: Sequence[int], seconds: float) -> Iterator[str]:
    """mlgen, then the two plain ways, for each number of writers."""
    yield from HEAD
    hour = timedelta(hours=1)
    records = list(ledgers.files(int(MOST_A_SECOND * seconds), seed=4, begin=ledgers.END, end=ledgers.END + hour))
    with TemporaryDirectory(prefix="mlgen-bench-") as name, git_server(Path(name)) as server:
        for writers in counts:
            storms: dict[str, Storm] = {}
            for interval in INTERVALS:
                folder = Path(name) / f"{writers}-{interval}"
                storms[f"mlgen, `interval: {interval}s`"] = _mlgen(
                    folder, server, records, writers=writers, seconds=seconds, interval=interval
                )
            for way, arguments in PLAIN.items():
                print(f"writers: {writers}, {way}", file=sys.stderr)
                folder = Path(name) / f"{writers}{''.join(arguments)}"
                storms[way] = _peer(folder, server, writers, seconds, arguments)
            ours = next(iter(storms.values()))
            yield from (_row(writers, way, storm, ours) for way, storm in storms.items())


def _row(writers: int, way: str, storm: Storm, ours: Storm) -> str:
    ratio = f"{ours.rate / storm.rate:.0f}" if storm.landed and storm is not ours else ""
    times = [_percentile(found, q) for found in (storm.acknowledged, storm.landed) for q in (50, 99)]
    cells = [f"{writers:,}", way, f"{len(storm.landed):,}", f"{storm.rate:.1f}", ratio, *times]
    return f"| {' | '.join(cells)} |"


def _percentile(found: Sequence[float], q: int) -> str:
    if not found:
        return "none"
    value = statistics.quantiles(found, n=100, method="inclusive")[q - 1] if len(found) > 1 else found[0]
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def _mlgen(
    folder: Path, server: GitServer, records: Sequence[ledgers.File], *, writers: int, seconds: float, interval: int
) -> Storm:
    """Each writer puts one record after another into the spool, as pods do; one process folds, again and again."""
    with server.repository() as repository, bucket() as place:
        made = project(folder, server, repository, place, interval_seconds=interval)
        print(f"writers: {writers}, mlgen, {interval} s", file=sys.stderr)
        start = Start(folder / "start")
        given = [Work(place, records[n::writers], start, f"{n}", seconds) for n in range(writers)]
        landed: dict[str, float] = {}
        # Not forked from here: the client of buckets has threads, once it was used, and a copy has none.
        with ProcessPoolExecutor(writers, mp_context=multiprocessing.get_context("forkserver")) as pool:
            writing = [pool.submit(_write, one) for one in given]
            begin = start.give(writers)
            while not all(one.done() for one in writing):
                time.sleep(PAUSE_SECONDS)
                landed |= _fold(made)
        acknowledged = {path: times for one in writing for path, times in one.result().items()}
        while len(landed) < len(acknowledged) and (more := _fold(made)):
            landed |= more
    if missing := acknowledged.keys() - landed.keys():
        raise RuntimeError(f"{len(missing)} acknowledged records did not land, {min(missing)} among them")
    latencies = [acked - began for began, acked in acknowledged.values()]
    return Storm(max(landed.values()) - begin, latencies, [at - acknowledged[path][0] for path, at in landed.items()])


def _fold(made: Project) -> dict[str, float]:
    """What landed, and when that was told."""
    command = [*MLGEN, "ledger", "fold", "--env", "prod", "--format", "json"]
    done = subprocess.run(command, cwd=made.folder, env=made.environ, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.decode(errors="replace")[-2000:])
    return dict.fromkeys(json.loads(done.stdout)["landed"], time.time())


@dataclass(frozen=True, slots=True)
class Start:
    """When all begin: once each has said that it is there. folder: for what they tell each other."""

    folder: Path

    def give(self, count: int) -> float:
        """Wait for so many, and let them begin at the time that is returned."""
        self.folder.mkdir(exist_ok=True)
        while len(list(self.folder.iterdir())) < count:
            time.sleep(0.1)
        begin = time.time() + 0.5
        self._at.with_suffix(".part").write_text(str(begin))
        self._at.with_suffix(".part").rename(self._at)
        return begin

    def take(self, name: str) -> float:
        """Say that one is there, and wait until it begins."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / name).touch()
        while not self._at.exists():
            time.sleep(0.05)
        begin = float(self._at.read_text())
        time.sleep(max(0.0, begin - time.time()))
        return begin

    @property
    def _at(self) -> Path:
        return self.folder.with_name("begin")


@dataclass(frozen=True, slots=True)
class Work:
    """Of one writer."""

    place: Bucket
    files: Sequence[ledgers.File]
    start: Start
    name: str
    seconds: float


def _write(work: Work) -> dict[str, tuple[float, float]]:
    """One writer: (began, acknowledged) of each record, by its path."""
    spool, times = Spool(work.place.store()), {}
    end = work.start.take(work.name) + work.seconds
    for file in work.files:
        began = time.time()
        if began >= end:
            break
        spool.put_bytes(file.data)
        times[file.path] = began, time.time()
    return times


def _peer(folder: Path, server: GitServer, writers: int, seconds: float, arguments: Sequence[str]) -> Storm:
    with server.repository() as repository:
        _begin(repository)
        scheme, _, rest = server.url.partition("://")
        url = f"{scheme}://{server.user}:{server.token}@{rest}/{repository.name}"
        command = [sys.executable, str(HERE / "peer_git.py"), url, str(writers), str(seconds), str(folder), *arguments]
        told = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return Storm(told["seconds"], told["latencies"], told["latencies"])


def _begin(repository: Path) -> None:
    """A first commit: a branch that is not there cannot be cloned."""
    git = ["git", "--git-dir", str(repository), "-c", "user.name=bench", "-c", "user.email=bench@localhost"]
    tree = subprocess.run([*git, "mktree"], input=b"", check=True, capture_output=True).stdout.decode().strip()
    made = subprocess.run([*git, "commit-tree", "-m", "begin", tree], check=True, capture_output=True)
    subprocess.run([*git, "update-ref", f"refs/heads/{ledgers.BRANCH}", made.stdout.decode().strip()], check=True)
