"""How much of what looks like a secret is found, how often harmless text is taken for one, and what a look costs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

import ledger_places  # noqa: F401 - it makes the path to what follows
import ledgers
from mlgen.secrets import find
from tests.ledger.secret_cases import as_data, cases

RECORDS = 5000


def rows(seeds: int) -> list[str]:
    """Rates over the tests' corpora, each random part filled in by several seeds; the cost over synthetic records."""
    secrets = [bool(find(data)) for data in _corpus("secrets.txt", seeds)]
    harmless = [bool(find(data)) for data in _corpus("harmless.txt", seeds)]
    times, alarms = [], 0
    for file in ledgers.files(RECORDS, seed=3):
        began = time.thread_time()
        found = find(file.data)
        times.append((time.thread_time() - began) * 1e6)
        alarms += bool(found)
    p50, p99 = (statistics.quantiles(times, n=100, method="inclusive")[q] for q in (49, 98))
    return [
        "| the look for secrets | |",
        "|---|--:|",
        f"| found, of {len(secrets):,} texts like real ones | {sum(secrets) / len(secrets):.2%} |",
        f"| taken for one, of {len(harmless):,} harmless look-alikes | {sum(harmless) / len(harmless):.2%} |",
        f"| taken for one, of {RECORDS:,} synthetic records | {alarms} |",
        f"| a record of {sum(len(f.data) for f in ledgers.files(100, seed=3)) / 100:,.0f} bytes, p50 | {p50:.0f} µs |",
        f"| p99 | {p99:.0f} µs |",
    ]


def _corpus(name: str, seeds: int) -> Iterator[bytes]:
    for seed in range(seeds):
        for case in cases(name, seed):
            yield from as_data(case)
