"""`mlgen check [FILE…]`: every finding of every file at once."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from mlgen import diagnostic
from mlgen.cli import output
from mlgen.cli.main import new_app
from mlgen.cli.options import Format, FormatOption, SpecFiles
from mlgen.cli.sources import check_pinned
from mlgen.cli.workspace import Workspace
from mlgen.diagnostic import Diagnostic, Severity

app = new_app()


@app.command()
def check(files: SpecFiles = None, form: FormatOption = Format.TEXT) -> None:
    """Check specs: shape and meaning, every finding at once.

    Needs no network and runs nothing. Exit 1 when a finding is an error; warnings alone are a yes.
    """
    workspace = Workspace.around(files)
    paths, lost = workspace.candidates(files)
    found = diagnostic.sort([*lost, *workspace.check(paths), *check_pinned(workspace, files)])
    _print(found, len(paths) + len(lost), form)
    raise typer.Exit(1 if diagnostic.failed(found) else 0)


def _print(found: Sequence[Diagnostic], files: int, form: Format) -> None:
    errors = sum(d.severity is Severity.ERROR for d in found)
    if form is Format.JSON:
        counts = {"files": files, "errors": errors, "warnings": len(found) - errors}
        output.answer_json({"findings": [diagnostic.to_json(d) for d in found], "summary": counts})
        return
    output.findings(found, sys.stdout)
    checked = f"{files} spec{'' if files == 1 else 's'} checked"
    sys.stdout.write(f"{checked}: {output.summary(found) if found else 'nothing to mend'}\n")
