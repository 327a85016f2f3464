"""`mlgen check [FILE…]`: every finding of every file at once; with --watch again whenever one changes."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from mlgen import diagnostic
from mlgen.cli import output, reporting, watching
from mlgen.cli.main import new_app
from mlgen.cli.options import SpecFiles
from mlgen.cli.policies.policed import check_policies
from mlgen.cli.projects.sources import check_pinned
from mlgen.cli.projects.workspace import Workspace
from mlgen.cli.reporting import ReportForm, Target
from mlgen.diagnostic import Fault, Findings, Misuse
from mlgen.reports.data import to_data
from mlgen.reports.report import Report

app = new_app()
CLEAR = "\x1b[2J\x1b[3J\x1b[H"  # the screen, what scrolled out of it, and the cursor to its beginning


@app.command()
def check(
    files: SpecFiles = None,
    form: reporting.FormOption = ReportForm.TEXT,
    report: reporting.FilesOption = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Check again whenever a file that was looked at changes, until Ctrl-C.")
    ] = False,
) -> None:
    """Check specs: shape and meaning, and what `policies/` says of what they render to; every finding at once.

    Needs no network and runs nothing. Exit 1 when a finding is an error; warnings alone are a yes.
    """
    also = reporting.targets(report)
    workspace = Workspace.around(files)
    if watch:
        _watch(workspace, files, form, also)
    answer = _answer(workspace, files)
    reporting.keep(answer, workspace, also)
    reporting.show(answer, form)
    raise typer.Exit(1 if diagnostic.failed(answer.findings) else 0)


def _answer(workspace: Workspace, files: Sequence[Path] | None) -> Report:
    paths, lost = workspace.candidates(files)
    found = [*lost, *workspace.check(paths), *check_pinned(workspace, files)]
    found = diagnostic.sort([*found, *check_policies(workspace)])
    return reporting.report_of(workspace, found, [*paths, *(one.span.file for one in lost)])


def _watch(first: Workspace, files: Sequence[Path] | None, form: ReportForm, also: Sequence[Target]) -> None:
    """Check, and again after each change; ends by a signal only. Raises Misuse for a form that is one whole answer."""
    if form not in (ReportForm.TEXT, ReportForm.JSON):
        fix = "print text or json, and write the other one to a file: --report FORMAT=FILE"
        raise Misuse("options", f"--watch prints many answers, and {form} is a file of one", fix=fix)
    changed: Sequence[str] = ()
    while True:
        workspace = first.afresh()
        workspace.worktree = seen = watching.Seen(first.worktree)
        try:
            answer = _answer(workspace, files)
            reporting.keep(answer, workspace, also)
            _round(answer, form, changed)
        except Findings as found:
            output.findings_to_stderr(found.diagnostics)
        except Fault as fault:  # such as no specs, while a folder is made anew: what can be is checked next time
            output.fault(fault)
        changed = watching.wait(seen)


def _round(answer: Report, form: ReportForm, changed: Sequence[str]) -> None:
    if form is ReportForm.JSON:
        sys.stdout.write(diagnostic.in_a_log(json.dumps(to_data(answer))) + "\n")
    else:
        if sys.stdout.isatty():
            sys.stdout.write(CLEAR)
        elif changed:
            more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
            sys.stdout.write(f"\n== {output.shown(changed[0])}{more} changed ==\n\n")
        reporting.show(answer, form)
    sys.stdout.flush()
