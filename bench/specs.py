"""Writes the repositories that are measured: the same pipelines as the peers' programs make, as mlgen's specs."""

from __future__ import annotations

from pathlib import Path

PROJECT = """\
version: 1
environments:
  bench:
    namespace: bench
    artifacts: s3://bench/artifacts
    ledger: {url: "https://git.example/ledger.git"}
    runtime_image: registry.example/mlgen-runtime@sha256:%s
"""
HEAD = """\
version: 1
name: bench-%d
params:
  rate: 0.1
defaults:
  image: registry.example/train@sha256:%s
  cpu: 1
  memory: 2Gi
  retries: 1
tasks:
  t0:
    run: [python, step.py, --step, "0"]
    in: [params.rate]
    out: {data: dataset, score: number}
"""
NEXT = """\
  t{i}:
    run: [python, step.py, --step, "{i}"]
    in: {{rate: params.rate, source: t{before}.data, before: t{before}.score}}
    out: {{data: dataset, score: number}}
"""
CHAIN = """\
version: 1
name: chain
tasks:
  t0:
    run: ":"
"""
LINK = """\
  t{i}:
    run: ":"
    after: [t{before}]
"""
SWEEP = """\
version: 1
name: sweep
defaults: {image: registry.example/train@sha256:%s}
tasks:
  train:
    run: ":"
    out: {auc: metric}
    sweep: {grid: {a: {range: %d}, b: {range: %d}}}
    pick: max auc
  read:
    run: ":"
    in: [train.auc, train.a]
"""
TRIALS = """\
version: 1
name: trials
tasks:
  trial:
    run: ":"
    sweep: {grid: {a: {range: %d}, b: {range: %d}}}
"""
DIGEST = "0" * 64


def pipelines(folder: Path, tasks: int, count: int) -> list[Path]:
    """A repository with `count` pipelines of `tasks` tasks in a chain; returns the specs' paths."""
    (folder / "pipelines").mkdir(parents=True)
    (folder / "mlgen.yaml").write_text(PROJECT % DIGEST)
    paths = []
    for number in range(count):
        path = folder / "pipelines" / f"bench-{number}.yaml"
        rest = "".join(NEXT.format(i=i, before=i - 1) for i in range(1, tasks))
        path.write_text(HEAD % (number, DIGEST) + rest)
        paths.append(path)
    return paths


def chain(folder: Path, tasks: int) -> Path:
    """A repository with one pipeline whose tasks do nothing, one after the other; returns the spec's path."""
    (folder / "pipelines").mkdir(parents=True)
    path = folder / "pipelines" / "chain.yaml"
    path.write_text(CHAIN + "".join(LINK.format(i=i, before=i - 1) for i in range(1, tasks)))
    return path


def sweep(folder: Path, most: int, each: int) -> Path:
    """A repository with a sweep of most * each trials of which one is picked and read; returns the spec's path."""
    return _one(folder, "sweep", SWEEP % (DIGEST, most, each))


def trials(folder: Path, most: int, each: int) -> Path:
    """A repository with a sweep of most * each trials that do nothing; returns the spec's path."""
    return _one(folder, "trials", TRIALS % (most, each))


def _one(folder: Path, name: str, text: str) -> Path:
    (folder / "pipelines").mkdir(parents=True)
    (folder / "mlgen.yaml").write_text(PROJECT % DIGEST)
    path = folder / "pipelines" / f"{name}.yaml"
    path.write_text(text)
    return path
