"""Measures the ledger and prints the tables of BENCHMARKS.md: python bench/ledger.py [PART…] [--quick]

Parts: writers fold backlog index verify size secrets; all by default. --quick: small sizes, one round. --ledgers: where
the synthetic ledgers are kept, made where they are not there (10^6 records: ten minutes). With the variables
MLGEN_E2E_S3_* and MLGEN_E2E_GIT_* of tests/e2e, the spool is in that bucket and records land on that server; else both
are small servers of the tests.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import ledger_ask
import ledger_fold
import ledger_secrets
import ledger_writers


def writers(_: Path, quick: bool) -> Iterable[str]:
    return ledger_writers.rows((1, 8) if quick else (1, 8, 32, 128), 5 if quick else 20)


def fold(kept: Path, quick: bool) -> Iterable[str]:
    return ledger_fold.history_rows(kept, (0, 10_000) if quick else (0, 10**5, 10**6), 1 if quick else 3)


def backlog(kept: Path, quick: bool) -> Iterable[str]:
    return ledger_fold.backlog_rows(kept, 10_000 if quick else 10**5, 2_000 if quick else 10**5)


def index(kept: Path, quick: bool) -> Iterable[str]:
    return ledger_ask.index_rows(kept, _sizes(quick))


def verify(kept: Path, quick: bool) -> Iterable[str]:
    return ledger_ask.verify_rows(kept, _sizes(quick))


def size(kept: Path, quick: bool) -> Iterable[str]:
    return ledger_ask.size_rows(kept, _sizes(quick))


def secrets(_: Path, quick: bool) -> Iterable[str]:
    return ledger_secrets.rows(2 if quick else 20)


def _sizes(quick: bool) -> tuple[int, ...]:
    return (10**4,) if quick else (10**5, 10**6)


PARTS: dict[str, Callable[[Path, bool], Iterable[str]]] = {
    "writers": writers,
    "fold": fold,
    "backlog": backlog,
    "index": index,
    "verify": verify,
    "size": size,
    "secrets": secrets,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=" ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="small sizes, one round")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser.add_argument("--ledgers", type=Path, default=home / "mlgen-bench" / "ledgers", help="where ledgers are kept")
    args = parser.parse_args()
    if unknown := set(args.parts) - PARTS.keys():
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    python = f"Python {platform.python_version()}"
    print(f"Made by `python bench/ledger.py` on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores, {python}.\n")
    failed = False
    for name in args.parts or PARTS:
        try:
            for line in PARTS[name](args.ledgers, args.quick):
                print(line, flush=True)
        except RuntimeError as error:  # the others have their figures all the same
            failed = True
            print(f"{name}: {error}", file=sys.stderr)
        print(flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
