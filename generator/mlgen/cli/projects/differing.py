"""What `render --check` found, as findings: for hosts, which show them beside the files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mlgen.cli.projects.workspace import Workspace
from mlgen.cli.reporting import report_of
from mlgen.diagnostic import Diagnostic, Span, sort
from mlgen.render.files import DIFFERENT, FOREIGN, MISSING, STALE, STRAY, Difference
from mlgen.reports.report import Report

SAYS = {
    MISSING: "is missing",
    DIFFERENT: "is not as it is rendered",
    STALE: "is rendered no more",
    FOREIGN: "was not made by mlgen, and lies where a file is to be rendered",
    STRAY: "was not made by mlgen, and lies where all is applied",
}

FIXES = {FOREIGN: "move it away, then run {}", STRAY: "move it away"}  # those that rendering does not mend


def mending(found: Sequence[Difference], command: str) -> str:
    """What mends all that was found: no rendering moves away what is not ours. command: that renders."""
    moved = ["move away what mlgen did not make"] if any(one.kind in FIXES for one in found) else []
    rendered = [command] if any(one.kind != STRAY for one in found) else []
    return ", then ".join([*moved, *rendered])


def report(
    workspace: Workspace, found: Sequence[Difference], rendered: Iterable[str], output: Path, command: str
) -> Report:
    """rendered: the paths of all that was compared. output: the folder it lies in. command: what mends it."""
    folder = os.path.relpath(output, workspace.root)
    files = sorted({*(f"{folder}/{path}" for path in rendered), *(f"{folder}/{one.path}" for one in found)})
    told = sort(_findings(found, folder, command))
    return report_of(workspace, told, files, verb="render --check", noun="file")


def _findings(found: Sequence[Difference], folder: str, command: str) -> Iterator[Diagnostic]:
    why = "the cluster gets what lies here, whatever the reviewed spec says"
    for one in found:
        line = int(match[1]) if (match := re.match(r"@@ -(\d+)", one.diff)) else 1
        fix = FIXES.get(one.kind, "run {}").format(command)
        place = Span(f"{folder}/{one.path}", max(1, line), 1, max(1, line), 2)
        yield Diagnostic("not-rendered", f'"{folder}/{one.path}" {SAYS[one.kind]}', place, why, fix)
