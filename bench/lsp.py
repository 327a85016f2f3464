"""How long an editor waits for `mlgen lsp`: a spec of 1,000 lines (or --lines), typed into over the protocol.

    python bench/lsp.py [--lines N] [--rounds N]

Milliseconds of wall time, p50 and p95: from a key pressed to the findings (less the pause that the server waits for
more keys), and of an answer to completion, hover and definition after each key.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the tests' client: the one that garbage is sent with, too

from tests.editor.client import Client

PROJECT = "version: 1\n"
HEAD = """\
version: 1
name: long
owner: bench
params: {rate: 0.1, mode: {choices: [fast, exact], default: fast}}
inputs: {raw: "s3://bench-data/raw.csv"}
tasks:
  t0:
    run: python step.py "$raw"
    in: [inputs.raw, params.rate]
    out: {data: dataset, score: number}
"""
TASK = """\
  t{n}:
    image: registry.example/train:1
    run: |
      python step.py "$source" --rate "$rate"
    in: {{rate: params.rate, source: t{before}.data}}
    out: {{data: dataset, score: number}}
    if: t{before}.score > 0.5 and params.mode != "exact"
    memory: 2Gi
"""
NAME = "pipelines/long.yaml"


def spec(lines: int) -> str:
    text = HEAD
    for n in range(1, (lines - HEAD.count("\n")) // TASK.count("\n") + 1):
        text += TASK.format(n=n, before=n - 1)
    return text


def percentiles(name: str, milliseconds: list[float]) -> str:
    ordered = sorted(milliseconds)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    return f"{name:12} p50 {statistics.median(ordered):7.1f} ms   p95 {p95:7.1f} ms   n {len(ordered)}"


def timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000


def measure(lines: int, rounds: int) -> list[str]:
    text = spec(lines)
    count, last = text.count("\n"), text.rstrip().rsplit("\n  t", 1)[1].partition(":")[0]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        (root / "pipelines").mkdir()
        (root / "mlgen.yaml").write_text(PROJECT)
        client = Client(root)
        client.begin()
        client.open(NAME, text)
        client.findings(NAME)
        times: dict[str, list[float]] = {"findings": [], "completion": [], "hover": [], "definition": []}
        for n in range(rounds):
            # As one types: the list is not closed, the reference half-written.
            half, whole = f"    in: [t{last}.", f"    in: [t{last}.data, t{last}.nope]\n"
            client.change(NAME, f"{text}  new:\n    run: x\n{half}", 2 * n + 2)
            at = partial(client.at, name=NAME, line=count + 2)
            times["completion"].append(timed(partial(at, "completion", character=len(half))))
            client.change(NAME, f"{text}  new:\n    run: x\n{whole}", 2 * n + 3)
            times["findings"].append(timed(partial(client.findings, NAME, version=2 * n + 3)))
            times["hover"].append(timed(partial(at, "hover", character=12)))
            times["definition"].append(timed(partial(at, "definition", character=12)))
        client.end()
        client.kill()
    pause = 150.0  # lsp_session.PAUSE_SECONDS
    times["findings"] = [value - pause for value in times["findings"]]
    return [f"a spec of {count} lines", *(percentiles(name, values) for name, values in times.items())]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=40)
    given = parser.parse_args()
    print("\n".join(measure(given.lines, given.rounds)))


if __name__ == "__main__":
    main()
