"""`mlgen check [FILE…]`: every finding of every file at once."""

from __future__ import annotations

import typer

from mlgen import diagnostic
from mlgen.cli import reporting
from mlgen.cli.main import new_app
from mlgen.cli.options import SpecFiles
from mlgen.cli.policed import check_policies
from mlgen.cli.reporting import ReportForm
from mlgen.cli.sources import check_pinned
from mlgen.cli.workspace import Workspace

app = new_app()


@app.command()
def check(
    files: SpecFiles = None, form: reporting.FormOption = ReportForm.TEXT, report: reporting.FilesOption = None
) -> None:
    """Check specs: shape and meaning, and what `policies/` says of what they render to; every finding at once.

    Needs no network and runs nothing. Exit 1 when a finding is an error; warnings alone are a yes.
    """
    also = reporting.targets(report)
    workspace = Workspace.around(files)
    paths, lost = workspace.candidates(files)
    found = [*lost, *workspace.check(paths), *check_pinned(workspace, files)]
    found = diagnostic.sort([*found, *check_policies(workspace)])
    answer = reporting.report_of(workspace, found, [*paths, *(one.span.file for one in lost)])
    reporting.keep(answer, workspace, also)
    reporting.show(answer, form)
    raise typer.Exit(1 if diagnostic.failed(found) else 0)
