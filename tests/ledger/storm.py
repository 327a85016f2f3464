"""A storm: writers and folders, each a process that may be killed at any moment, with clocks that differ by days.

`python -m tests.ledger.storm FOLDER` runs it by the plan in that folder, forking all of them from one process: a
hundred starts of Python would be most of the work. What they do is what pods do, by the same functions.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mlgen.diagnostic import CannotAnswer
from mlgen.ledger.folding.spool import Spool
from mlgen.runtime.pod.contract import Fold
from mlgen.runtime.pod.landing import Pace, land
from mlgen.store import Store, bucket, open_store
from tests.ledger import records

ROOT = Path(__file__).parents[2]
ENV = "prod"
LOADED = bucket  # once, and not by each of them


@dataclass(frozen=True)
class Storm:
    """folders: processes that fold again and again. interval_seconds: 0: they do not wait for turns.

    writers fold as sidecars do where there are turns. kill_seconds: for how long somebody is killed each moment.
    """

    url: str
    branch: str
    artifacts: str
    options: dict[str, str]
    writers: int
    records: int
    folders: int
    interval_seconds: int
    kill_seconds: float
    seed: int = 1
    pause_seconds: float = 0.5  # of a writer between two records, on average
    environ: dict[str, str] = field(default_factory=dict)

    def run(self, folder: Path) -> None:
        """Let it rage. folder: with the files of a Secret in `secret`; acknowledgements are written there."""
        (folder / "plan.json").write_text(json.dumps(asdict(self)))
        path = os.pathsep.join([str(ROOT / "generator"), str(ROOT)])
        environ = {**os.environ, **self.environ, "PYTHONPATH": path}
        subprocess.run([sys.executable, "-m", "tests.ledger.storm", str(folder)], env=environ, check=True, timeout=300)

    @property
    def store(self) -> Store:
        return open_store(self.artifacts, options=self.options, base=Path("/"), patience_seconds=60.0)

    def fold(self, folder: Path, name: str, off: timedelta, *, patient: bool, seconds: float) -> None:
        """Fold as pods do. Raises what `land` raises."""
        land(
            Fold(self.url, self.branch, self.interval_seconds, "ledger-token"),
            self.store,
            env=ENV,
            secret=folder / "secret",
            scratch=folder / f"scratch-{name}",
            environ=os.environ,
            pace=Pace(name, Clock(off), time.sleep, patient),
            seconds=seconds,
        )


@dataclass(frozen=True)
class Clock:
    off: timedelta = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.off

    def monotonic(self) -> float:
        return time.monotonic()


def write(storm: Storm, folder: Path, name: str, off: timedelta, chance: random.Random) -> None:
    spool = Spool(storm.store)
    acknowledged = os.open(folder / f"{name}.ack", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for n in range(storm.records):
        time.sleep(chance.random() * 2 * storm.pause_seconds)
        entry = records.task(run=f"{name}-{n}", env=ENV, ended_at=f"2026-11-{28 - n % 2}T10:00:00Z")
        began = time.monotonic()
        try:
            for _ in range(1 + (n % 3 == 2)):  # some are put twice, as by a pod that was tried again
                spool.put(entry)
        except CannotAnswer:
            continue  # it is not acknowledged
        os.write(acknowledged, f"{entry.path} {time.monotonic() - began:.4f}\n".encode())
        if storm.interval_seconds:
            with suppress(CannotAnswer):  # it waits for another
                storm.fold(folder, name, off, patient=False, seconds=3)


def fold_on(storm: Storm, folder: Path, name: str, off: timedelta, _: random.Random) -> None:
    while True:
        with suppress(CannotAnswer):
            storm.fold(folder, name, off, patient=True, seconds=20)
        time.sleep(0.2)


def begin(storm: Storm, folder: Path, name: str) -> int:
    """Fork one; its process id."""
    pid = os.fork()
    if pid:
        return pid
    chance = random.Random(f"{storm.seed} {name}")
    off = chance.choice([timedelta(), timedelta(), timedelta(days=1), timedelta(days=-1), timedelta(seconds=3)])
    try:
        (write if name.startswith("w") else fold_on)(storm, folder, name, off, chance)
    except BaseException:
        with (folder / "errors").open("a") as errors:
            errors.write(traceback.format_exc())
    os._exit(0)


def rage(storm: Storm, folder: Path) -> None:
    chance = random.Random(storm.seed)
    names = [*(f"w{n}" for n in range(storm.writers)), *(f"f{n}" for n in range(storm.folders))]
    alive = {begin(storm, folder, name): name for name in names}
    until = time.monotonic() + storm.kill_seconds
    while any(name.startswith("w") for name in alive.values()):
        pid, _ = os.waitpid(-1, os.WNOHANG)
        if pid:
            alive.pop(pid)
        elif time.monotonic() < until:
            pid = chance.choice(list(alive))
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            killed = alive.pop(pid)
            alive[begin(storm, folder, f"{killed}x")] = f"{killed}x"
            time.sleep(chance.random() * 0.2)
        else:
            time.sleep(0.05)
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def acknowledged(folder: Path) -> dict[str, float]:
    """The paths of acknowledged records, and how long each took, in seconds."""
    lines = [line.split() for path in folder.glob("*.ack") for line in path.read_text().splitlines()]
    return {path: float(seconds) for path, seconds in lines}


def main() -> None:
    folder = Path(sys.argv[1])
    plan: dict[str, Any] = json.loads((folder / "plan.json").read_text())
    rage(Storm(**plan), folder)


if __name__ == "__main__":
    main()
