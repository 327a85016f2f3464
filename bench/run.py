"""Measures mlgen beside its peers and writes the table in BENCHMARKS.md: python bench/run.py [--quick] [--only WORD]

Every tool gets the same pipeline, and the tools take turns, so that a busy machine is busy for all of them. Figures
are CPU seconds of the process and all that it started: the minimum and the median of the rounds.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import peers
import specs
from measure import Usage, measure

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
HERE = Path(__file__).resolve().parent
HEAD = ["| what | tool | CPU, least | median | to mlgen | memory | budget |", "|---|---|--:|--:|--:|--:|---|"]
MLGEN = [sys.executable, "-m", "mlgen"]


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool's way to do what a case asks. command: from an empty folder to write into."""

    name: str
    command: Callable[[Path], list[str | Path]]
    cwd: Path
    per: int = 1  # steps that share the cost
    less: str = ""  # the tool of the same case whose cost is no overhead


@dataclass(frozen=True, slots=True)
class Case:
    """budget_seconds: of mlgen, CPU; None: no promise. rounds: at full length."""

    title: str
    tools: list[Tool]
    rounds: int
    budget_seconds: float | None = None
    budget_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    tool: str
    usages: list[Usage]
    cpu: list[float]  # less what is no overhead, per step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round, small sizes, nothing written")
    parser.add_argument("--only", default="", metavar="WORD", help="cases whose title holds this word; nothing written")
    args = parser.parse_args()
    with TemporaryDirectory(prefix="mlgen-bench-") as folder:
        made = cases(Path(folder), peers.find_or_make(), quick=args.quick)
        rows = [row for case in made if args.only in case.title for row in table(case, run(case, quick=args.quick))]
    text = "\n".join([preamble(), "", *HEAD, *rows])
    print(text)
    if not args.quick and not args.only:
        publish(ROOT / "BENCHMARKS.md", text)


def cases(folder: Path, found: peers.Peers, *, quick: bool) -> list[Case]:
    """What is measured. Sizes are those of the promises; --quick makes them small."""
    many, pipelines, chain = (100, 20, 20) if quick else (1000, 1000, 100)
    return [
        Case("the command itself: `--help`", list(help_tools(folder, found)), 15, budget_seconds=0.15),
        Case("20 tasks, a cold process", list(render_tools(folder / "20", found, 20, 1)), 9, budget_seconds=0.35),
        Case(
            f"{many:,} tasks in one pipeline",
            list(render_tools(folder / "many", found, many, 1)),
            3,
            budget_seconds=2,
            budget_bytes=200 * 2**20,
        ),
        Case(
            f"{pipelines:,} pipelines of 5 tasks in one process",
            list(render_tools(folder / "pipelines", found, 5, pipelines)),
            3,
            budget_seconds=8,
        ),
        Case(
            "a task that does nothing, on this machine", list(local_tools(folder, found, chain)), 5, budget_seconds=0.01
        ),
        Case("a trial that does nothing, of 200", list(trial_tools(folder)), 5, budget_seconds=0.01),
        Case("a sweep of 1,000 trials, a cold process", list(sweep_tools(folder)), 5, budget_seconds=1),
    ]


def help_tools(folder: Path, found: peers.Peers) -> Iterator[Tool]:
    yield Tool("mlgen", lambda _: [*MLGEN, "--help"], folder)
    if found.kfp:
        kfp = found.kfp
        yield Tool("kfp", lambda _: [kfp.parent / "kfp", "--help"], folder)
    yield Tool("python -c pass", lambda _: [sys.executable, "-c", "pass"], folder)


def render_tools(folder: Path, found: peers.Peers, tasks: int, count: int) -> Iterator[Tool]:
    files = specs.pipelines(folder, tasks, count)
    names = [f.relative_to(folder) for f in files] if count == 1 else []  # none: all there are
    yield Tool("mlgen render", lambda out: [*MLGEN, "render", *names, "--env", "bench", "--out", out], folder)
    for name, python, program in (("kfp", found.kfp, "peer_kfp.py"), ("hera", found.hera, "peer_hera.py")):
        if python:
            start: list[str | Path] = [python, HERE / program, str(tasks), str(count)]
            yield Tool(name, lambda out, start=start: [*start, out], folder)  # type: ignore[misc]


def local_tools(folder: Path, found: peers.Peers, tasks: int) -> Iterator[Tool]:
    chain = specs.chain(folder / "chain", tasks).parent.parent
    yield Tool("mlgen run", lambda _: [*MLGEN, "run", "pipelines/chain.yaml"], chain, tasks, less="sh, bare")
    yield Tool("sh, bare", lambda _: [sys.executable, "-c", spawn(tasks)], chain, tasks)
    if found.kfp:
        steps, kfp = tasks // 5, found.kfp
        yield Tool(
            "kfp.local", lambda out: [kfp, HERE / "peer_kfp_local.py", str(steps), out], chain, steps, "python, bare"
        )
        start = f"import subprocess, sys\nfor _ in range({steps}): subprocess.run([sys.executable, '-c', 'pass'])"
        yield Tool("python, bare", lambda _: [kfp, "-c", start], chain, steps)


def trial_tools(folder: Path) -> Iterator[Tool]:
    """mlgen's start is shared by all trials, as it is by the tasks of a chain."""
    trials = specs.trials(folder / "trials", 20, 10).parent.parent
    yield Tool("mlgen run", lambda _: [*MLGEN, "run", "pipelines/trials.yaml"], trials, 200, less="sh, bare")
    yield Tool("sh, bare", lambda _: [sys.executable, "-c", spawn(200)], trials, 200)


def sweep_tools(folder: Path) -> Iterator[Tool]:
    sweep = specs.sweep(folder / "sweep", 40, 25).parent.parent
    yield Tool("mlgen render", lambda out: [*MLGEN, "render", "--env", "bench", "--out", out], sweep)


def spawn(times: int) -> str:
    """A program that starts a shell so often."""
    return f"import subprocess\nfor _ in range({times}): subprocess.run(['sh', '-e', '-c', ':'])"


def run(case: Case, *, quick: bool) -> list[Row]:
    """All tools of a case, in turns."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MLGEN", "PYTHON"))}
    env["PYTHONPATH"] = str(ROOT / "generator")
    usages: dict[str, list[Usage]] = {tool.name: [] for tool in case.tools}
    for _ in range(1 if quick else case.rounds):
        for tool in case.tools:
            print(f"{case.title}: {tool.name}", file=sys.stderr)
            with TemporaryDirectory(prefix="mlgen-bench-out-") as out:
                usages[tool.name].append(measure(tool.command(Path(out)), cwd=tool.cwd, env=env))
            shutil.rmtree(tool.cwd / ".mlgen", ignore_errors=True)
    rows = []
    for tool in case.tools:
        bare = min((u.cpu_seconds for u in usages[tool.less]), default=0.0) if tool.less else 0.0
        rows.append(Row(tool.name, usages[tool.name], [(u.cpu_seconds - bare) / tool.per for u in usages[tool.name]]))
    return rows


def table(case: Case, rows: list[Row]) -> list[str]:
    """A case as rows of markdown. Ratios are of the least CPU, against mlgen, which comes first."""
    ours = min(rows[0].cpu)
    lines = []
    for row in rows:
        cpu, rss = min(row.cpu), max(u.rss_bytes for u in row.usages)
        first = row is rows[0]
        cells = [
            case.title if first else "",
            row.tool,
            seconds(cpu),
            seconds(statistics.median(row.cpu)),
            f"{cpu / ours:.1f}",
            mebibytes(rss),
            verdict(case, cpu, rss) if first else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def verdict(case: Case, cpu_seconds: float, rss_bytes: int) -> str:
    """Whether mlgen keeps what the case promises."""
    judged = []
    if case.budget_seconds is not None:
        judged.append((seconds(case.budget_seconds), cpu_seconds <= case.budget_seconds))
    if case.budget_bytes is not None:
        judged.append((mebibytes(case.budget_bytes), rss_bytes <= case.budget_bytes))
    return ", ".join(f"≤ {limit} {'kept' if kept else '**missed**'}" for limit, kept in judged)


def seconds(value: float) -> str:
    return f"{value * 1000:.1f} ms" if value < 0.1 else f"{value:.3g} s"


def mebibytes(value: float) -> str:
    return f"{value / 2**20:.0f} MiB"


def preamble() -> str:
    when = datetime.now(UTC).date().isoformat()
    cores, python = os.cpu_count(), platform.python_version()
    return (
        f"Made by `just bench` on {when}: {cores} cores ({platform.machine()}), Python {python}. CPU time of the\n"
        "process and all that it started, minimum and median of interleaved rounds. Trust the ratios: a busy machine\n"
        "moves milliseconds."
    )


def publish(file: Path, text: str) -> None:
    """Put the text between the markers of the file; what stands around them is people's."""
    old = file.read_text() if file.exists() else f"# Benchmarks\n\n{BEGIN}\n{END}\n"
    before, rest = old.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    file.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


if __name__ == "__main__":
    main()
