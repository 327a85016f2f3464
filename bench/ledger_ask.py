"""What questions cost, and what is done before: the index's build and refresh, verification, and the room they take."""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import ledgers
from ledger_places import MLGEN, Project, folder_bytes, history, local_project
from mlgen.git import Repository, init_bare
from mlgen.ledger.index.history import History
from mlgen.ledger.index.kept import Keeping
from mlgen.ledger.questions.lineage import Start, trace
from mlgen.ledger.questions.listing import Wanted, select
from mlgen.ledger.questions.naming import find
from mlgen.ledger.questions.query import compare_runs, run_of, show_run
from mlgen.ledger.questions.read import Run, id_of
from mlgen.ledger.records.artifact import Artifact
from watch import Watched, watch

MEBI = 2**20
NEW = 1000  # records that came since
SAMPLES = 400
WHERE = "metrics.auc > 0.97"


@dataclass(frozen=True, slots=True)
class Question:
    """ask: in this process, of a run. command: arguments of mlgen, of a run."""

    title: str
    ask: Callable[[History, Run], object]
    command: Callable[[Run], list[str]]


QUESTIONS = (
    Question(
        "`lineage --up` of an artifact",
        lambda known, run: trace(known, _start(run), up=True, down=False),
        lambda run: ["lineage", _digest(run), "--up"],
    ),
    Question(
        "`lineage --down` of an artifact",
        lambda known, run: trace(known, _start(run), up=False, down=True),
        lambda run: ["lineage", _digest(run), "--down"],
    ),
    Question("an artifact by its digest", lambda known, run: find(known, _digest(run)), lambda _: []),
    Question("`runs show`", show_run, lambda run: ["runs", "show", run.uid]),
    Question(
        "`runs list` of a pipeline, 20",
        lambda known, run: select(known, Wanted(pipeline=run.pipeline, limit=20)),
        lambda run: ["runs", "list", "--pipeline", run.pipeline],
    ),
    Question(
        f'`runs list --where "{WHERE}"`, 20',
        lambda known, _: select(known, Wanted(where=[WHERE], limit=20)),
        lambda _: ["runs", "list", "--where", WHERE],
    ),
    Question(
        "`runs compare` with itself",
        lambda known, run: compare_runs(known, [run, run]),
        lambda run: ["runs", "compare", run.uid, run.uid],
    ),
)


def _start(run: Run) -> Start:
    return Start(artifacts=(id_of(_made(run)),))


def _digest(run: Run) -> str:
    return _made(run).digest


def _made(run: Run) -> Artifact:
    """One of the artifacts that a run made; not always of the same task."""
    made = [a for e in run.outcomes for a in e.record.outputs]
    return made[int(run.uid[:4], 16) % len(made)]


def index_rows(kept: Path, sizes: Sequence[int]) -> Iterator[str]:
    """Build, refresh, and what questions take then."""
    costs = [
        "| index | build, wall | CPU | memory | file | 1,000 records later | CPU |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    answers = ["| question | records | in process, p50 | p99 | as a command, wall | CPU |", "|---|--:|--:|--:|--:|--:|"]
    for size in sizes:
        with _project(kept, size) as (made, ledger):
            print(f"index: {size:,} records", file=sys.stderr)
            first = _mlgen(made, "runs", "list", "--limit", "1")  # whoever asks first has it built
            [file] = (made.folder / "cache").rglob("*.sqlite")
            ledgers.append(NEW, ledger)
            later = _mlgen(made, "runs", "list", "--limit", "1")
            cells = [f"{size:,} records", *_used(first), f"{file.stat().st_size / MEBI:.0f} MiB", *_used(later)[:2]]
            costs.append(f"| {' | '.join(cells)} |")
            answers += _answers(made, init_bare(ledger), file, size)
    yield from [*costs, "", *answers]


def _answers(made: Project, ledger: Repository, file: Path, size: int) -> Iterator[str]:
    with closing(Keeping(file).current(ledger, ledgers.BRANCH)) as opened:
        known = opened.history
        uids = sorted(uid for (uid,) in known.select("SELECT uid FROM run WHERE state = 'COMPLETE'"))
        runs = [run for uid in random.Random(size).sample(uids, min(SAMPLES, len(uids))) if (run := run_of(known, uid))]
        for question in QUESTIONS:
            times = []
            for run in runs if question.title != "`runs show`" else runs[:40]:  # each starts a git
                _ = run.outcomes  # it is the question's answer that counts
                began = time.perf_counter()
                question.ask(known, run)
                times.append(time.perf_counter() - began)
            p50, p99 = (statistics.quantiles(times, n=100, method="inclusive")[q] * 1000 for q in (49, 98))
            command = question.command(runs[0])
            used = _used(_mlgen(made, *command))[:2] if command else ("", "")
            yield f"| {question.title} | {size:,} | {p50:.2f} ms | {p99:.2f} ms | {' | '.join(used)} |"


def verify_rows(kept: Path, sizes: Sequence[int]) -> Iterator[str]:
    """All of a ledger, and what is new since."""
    yield "| `ledger verify` | all, wall | CPU | memory | 1,000 records later, wall | CPU | memory |"
    yield "|---|--:|--:|--:|--:|--:|--:|"
    for size in sizes:
        with _project(kept, size) as (made, ledger):
            print(f"verify: {size:,} records", file=sys.stderr)
            first = _mlgen(made, "ledger", "verify")
            ledgers.append(NEW, ledger)
            later = _mlgen(made, "ledger", "verify")
            yield f"| {size:,} records | {' | '.join([*_used(first), *_used(later)])} |"


def size_rows(kept: Path, sizes: Sequence[int]) -> Iterator[str]:
    """The room that a ledger takes on its host, as gc leaves it."""
    yield "| repository, after gc | all | a record |"
    yield "|---|--:|--:|"
    for size in sizes:
        with _project(kept, size) as (_, ledger):
            print(f"size: {size:,} records", file=sys.stderr)
            subprocess.run(["git", "--git-dir", ledger, "gc", "--quiet"], check=True)
            taken = folder_bytes(ledger)
            yield f"| {size:,} records | {taken / MEBI:.0f} MiB | {taken / size:.0f} B |"


@contextmanager
def _project(kept: Path, size: int) -> Iterator[tuple[Project, Path]]:
    """A project whose local ledger is a copy of one of so many records, and where it lies."""
    found = history(kept, size)
    assert found is not None
    with TemporaryDirectory(prefix="mlgen-bench-") as name:
        made = local_project(Path(name) / "project", found)
        yield made, made.folder / ".mlgen" / "ledger.git"


def _mlgen(made: Project, *arguments: str) -> Watched:
    return watch([*MLGEN, *arguments], cwd=made.folder, env=made.environ)


def _used(used: Watched) -> tuple[str, str, str]:
    """Of memory, Python's: to what git holds the kernel counts the packs that it has mapped."""
    return f"{used.wall_seconds:.2f} s", f"{used.cpu_seconds:.2f} s", f"{used.own_bytes / MEBI:.0f} MiB"
