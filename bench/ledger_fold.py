"""What a fold costs: `mlgen ledger fold` in a process that knows nothing, as a CronJob runs it."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import ledgers
from ledger_places import MLGEN, Bucket, GitServer, Project, bucket, folder_bytes, git_server, history, project
from mlgen.ledger.folding.spool import Spool
from watch import Watched, watch

MEBI, KIBI = 2**20, 2**10
BATCH = 1000


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one fold. requests, received_bytes, sent_bytes: as the server counts them; 0 where it does not count."""

    used: Watched
    requests: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0


def new_records(count: int, seed: int = 1) -> list[bytes]:
    """Records of the hours after the synthetic ledgers end."""
    hours = timedelta(hours=max(1, count // BATCH))
    return [f.data for f in ledgers.files(count, seed, begin=ledgers.END, end=ledgers.END + hours)]


def fill(place: Bucket, records: Sequence[bytes]) -> None:
    """Let records wait; many at once, as from many pods."""
    from concurrent.futures import ThreadPoolExecutor

    spool = Spool(place.store())
    with ThreadPoolExecutor(16) as pool:
        for _ in pool.map(spool.put_bytes, records):
            pass


def fold(made: Project, server: GitServer, expected: int) -> Cost:
    """Fold what waits; all of it must land."""
    host = server.host
    before = (len(host.requests), host.received_bytes, host.sent_bytes) if host else (0, 0, 0)
    command = [*MLGEN, "ledger", "fold", "--env", "prod", "--format", "json"]
    done = watch(command, cwd=made.folder, env=made.environ)
    answer = json.loads(done.out)
    landed = answer["landed"] if isinstance(answer["landed"], int) else len(answer["landed"])
    if landed != expected:
        raise RuntimeError(f"{landed} of {expected} records landed")
    after = (len(host.requests), host.received_bytes, host.sent_bytes) if host else (0, 0, 0)
    counts = [b - a for a, b in zip(before, after, strict=True)]
    return Cost(done, *counts)


def history_rows(kept: Path, sizes: Sequence[int], rounds: int) -> Iterator[str]:
    """A fold of 1,000 records into ledgers of several lengths, on both kinds of hosts."""
    yield "| fold of 1,000 records | history | wall | CPU | requests | to the host | from it | git, most | mlgen |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|--:|"
    records = new_records(BATCH)
    for single, title in ((True, "host with partial clone"), (False, "plain host")):
        for size in sizes:
            print(f"fold: {title}, {size:,} records of history", file=sys.stderr)
            try:
                cells = _cells([_once(kept, size, single, records) for _ in range(rounds if single else 1)])
            except RuntimeError as error:  # what a plain host cannot do is a figure, too
                print(error, file=sys.stderr)
                cells = " | ".join(["fails", *[""] * 6])
            yield f"| {title} | {size:,} | {cells} |"


def _once(kept: Path, size: int, single: bool, records: Sequence[bytes]) -> Cost:
    with (
        TemporaryDirectory(prefix="mlgen-bench-") as name,
        git_server(Path(name), counting=single or size < 10**6) as server,  # it holds each answer as a whole
        server.repository(history(kept, size), single_objects=single) as repository,
        bucket() as place,
    ):
        fill(place, records)
        return fold(project(Path(name) / "project", server, repository, place), server, len(records))


def _cells(costs: Sequence[Cost]) -> str:
    cells = [
        f"{statistics.median(cost.used.wall_seconds for cost in costs):.2f} s",
        f"{statistics.median(cost.used.cpu_seconds for cost in costs):.2f} s",
        f"{statistics.median(cost.requests for cost in costs):.0f}",
        _size(statistics.median(cost.received_bytes for cost in costs)),
        _size(statistics.median(cost.sent_bytes for cost in costs)),
        f"{max(cost.used.child_bytes for cost in costs) / MEBI:.0f} MiB",
        f"{max(cost.used.own_bytes for cost in costs) / MEBI:.0f} MiB",
    ]
    return " | ".join(cells)


def _size(count: float) -> str:
    return f"{count / KIBI:.0f} KiB" if count < MEBI else f"{count / MEBI:.1f} MiB"


def backlog_rows(kept: Path, history_size: int, waiting: int) -> Iterator[str]:
    """What an outage left, folded by one process, and the room that it takes on the host."""
    yield "| backlog | history | wall | records/s | CPU | git, most | mlgen | on the host, a record |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|"
    with (
        TemporaryDirectory(prefix="mlgen-bench-") as name,
        git_server(Path(name)) as server,
        server.repository(history(kept, history_size)) as repository,
        bucket() as place,
    ):
        print(f"backlog: {waiting:,} records are put", file=sys.stderr)
        fill(place, new_records(waiting, seed=2))
        print("backlog: folding", file=sys.stderr)
        before = folder_bytes(repository)
        cost = fold(project(Path(name) / "project", server, repository, place), server, waiting)
        room = (folder_bytes(repository) - before) / waiting
    used = cost.used
    cells = [
        f"{waiting:,} records in {place.title}",
        f"{history_size:,}",
        f"{used.wall_seconds:.0f} s",
        f"{waiting / used.wall_seconds:.0f}",
        f"{used.cpu_seconds:.0f} s",
        f"{used.child_bytes / MEBI:.0f} MiB",
        f"{used.own_bytes / MEBI:.0f} MiB",
        f"{room:.0f} B",
    ]
    yield f"| {' | '.join(cells)} |"
