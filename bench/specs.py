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
