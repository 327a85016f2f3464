"""Files made to crash or to stall a reader."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlgen.spec.checks.context import Context
from mlgen.spec.document import read
from mlgen.spec.load import load_pipeline
from mlgen.worktree import Worktree

NASTY = """
import sys
from mlgen.spec.document import read
from mlgen.spec.shape import check_shape
M = 1 << 20
HEAD = "version: 1\\nname: x\\ntasks:\\n  t: {run: x}\\n"
TAGS = "".join(f"%TAG !a{i}! b\\n" for i in range(60_000))
for text in [
    "[" * M, "{" * M, "[" * 50_000, "- " * (M // 2), "? " * (M // 2), ": " * (M // 2), "{a: " * 50_000, "\\n" * M,
    "- &a b\\n" * (M // 7), "- *a\\n" * (M // 5), '"' + "a" * (M - 2), "a: 1\\n" * (M // 5), TAGS, "a\\n...\\n" + TAGS,
    "a: &a [x]\\n" + "".join(f"a{i}: &a{i} [*a{i-1},*a{i-1}]\\n" for i in range(1, 30_000)),
    "9" * M, "- 1" + "_0" * (M // 2 - 8) + "x", "- 1" + ":30" * (M // 3 - 8) + "x",
    HEAD + "params: {x: " + "[" * 60 + "]" * 60 + "}\\n",
    HEAD + "  u:\\n    in: [" + "1," * 50_000 + "]\\n",
    "version: 1\\nname: x\\ntasks:\\n" + "".join(f"  T{i}: {{run: 1}}\\n" for i in range(20_000)),
    HEAD + "".join(f"task{i}: 1\\n" for i in range(50_000)),
]:
    document = read("x.yaml", text.encode()[:M])
    found = [*document.diagnostics, *check_shape(document, "pipeline")[0]]
    assert found or document.data, text[:40]
    assert len(found) <= 101, text[:40]
print("survived")
"""


def test_nasty_megabytes_end_in_findings_not_in_a_crash(tmp_path: Path) -> None:
    # In a process of its own: libyaml's C loader, given 50,000 brackets, ends the process.
    command = [sys.executable, "-c", NASTY]
    path = str(Path(__file__).parents[2] / "generator")
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": path}, capture_output=True, timeout=120, check=False
    )
    assert (done.stdout, done.stderr) == (b"survived\n", b"")


HEAD = "version: 1\nname: x\n"
WORD = "x" * 32
SWEEP = HEAD + "tasks: {t: {run: x, sweep: {list: ["


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "params:\n" + "".join(f"  p{i}: 1\n" for i in range(10_000))
        + "defaults:\n" + "".join(f"  k{i}: 1\n" for i in range(10_000)) + "tasks: {t: {run: x}}\n",
        HEAD + "params:\n" + "".join(f"  {WORD}{i:04}: 1\n" for i in range(2_000))
        + "tasks:\n" + "".join(f"  t{i}: {{run: x, in: [params.{WORD}z{i:03}]}}\n" for i in range(120)),
        HEAD + "tasks: {t: {run: x, out: [" + "a," * 30_000 + "a]}}\n",
        HEAD + "tasks: {t: {run: x, out: {auc: metric}, pick: max auc, sweep: {grid: {"
        + ", ".join(f"a{i}: [1]" for i in range(40_000)) + "}}}, u: {run: x, in: ["
        + ", ".join(f"t.a{i}" for i in range(40_000)) + "], out: 3}}\n",
        SWEEP + ", ".join(f"{{a{i}: 1}}" for i in range(40_000)) + "]}}}\n",
        SWEEP + ", ".join(f"{{a{i}: 1, b{i}: 1}}" for i in range(20_000)) + "]}}}\n",
    ],
    ids=["refused and unused", "misspelt", "one out many times", "a reader of all", "a name a trial", "names a trial"],
)  # fmt: skip
def test_what_is_checked_takes_no_squares_of_time(tmp_path: Path, text: str) -> None:
    document = read("x.yaml", text.encode())
    start = time.process_time()
    assert load_pipeline(document, {}, Context(Worktree(tmp_path)))[1]
    assert time.process_time() - start < 20  # seconds; each took a minute or more, a slow machine takes three
