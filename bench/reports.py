"""What the forms of a report cost: of 10,000 findings in 500 files, and of a file at its largest.

    python bench/reports.py [FINDINGS]

Prints cpu seconds and MiB of each form.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "generator")]

from mlgen.cli.reporting import ReportForm, writer  # noqa: E402 - the path to it is made above
from mlgen.diagnostic import Diagnostic, Span, sort  # noqa: E402
from mlgen.reports.fingerprint import line_hashes  # noqa: E402
from mlgen.reports.report import Report  # noqa: E402

SPEC = "version: 1\nname: a\ntasks:\n" + "".join(f"  t{n}:\n    run: echo {n}\n    in: [a.b{n}]\n" for n in range(40))


def main(count: int) -> None:
    files = [f"pipelines/p{n}.yaml" for n in range(500)]
    found = [
        Diagnostic(
            ("unknown-out", "unused")[n % 2],
            f'task "t{n}" asks "prepare" for "feature"',
            Span(files[n % 500], line := 6 + 3 * (n // 500 % 40), 10, line, 14),
            '"prepare" has the outs: features, rows',
            "write prepare.features",
        )
        for n in range(count)
    ]
    sources = dict.fromkeys(files, SPEC)
    for form in ReportForm:
        report = Report(sort(found), files, "1", sources=sources, folder="ml/")
        write = writer(form)
        start = time.process_time()
        text = write(report)
        print(f"{form:9} {time.process_time() - start:6.2f} s cpu  {len(text) / (1 << 20):6.2f} MiB")
    largest = "a: 1\n" * ((1 << 20) // 5)
    start = time.process_time()
    line_hashes(largest)
    print(f"hashes of a file of 1 MiB  {time.process_time() - start:.2f} s cpu")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
