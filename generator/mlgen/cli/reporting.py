"""Findings in the form that was asked for, on stdout and in files: what the forms must be told of this machine."""

from __future__ import annotations

import importlib
import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mlgen import __version__
from mlgen.cli import output
from mlgen.cli.explain import manual
from mlgen.cli.projects.workspace import Workspace
from mlgen.diagnostic import Diagnostic, Findings, Misuse
from mlgen.reports.data import to_data
from mlgen.reports.report import Report
from mlgen.secrets.telling import without_secrets


class ReportForm(StrEnum):
    """How findings are told: to people, to programs, to what shows them beside a change."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"
    SARIF = "sarif"
    JUNIT = "junit"
    GITLAB = "gitlab"
    MARKDOWN = "markdown"


MODULES = {  # in mlgen.reports, each with `write`
    ReportForm.TEXT: "text",
    ReportForm.JSON: "data",
    ReportForm.GITHUB: "github",
    ReportForm.SARIF: "sarif",
    ReportForm.JUNIT: "junit",
    ReportForm.GITLAB: "gitlab",
    ReportForm.MARKDOWN: "comment",
}
WORKSPACES = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")  # where a job's repository lies, if no Git says so

FormOption = Annotated[ReportForm, typer.Option("--format", help="What is printed.")]
FilesOption = Annotated[
    list[str] | None,
    typer.Option("--report", metavar="FORMAT=FILE", help="Write a report to a file, too. May be given several times."),
]


@dataclass(frozen=True)
class Target:
    """A file to write, and what."""

    form: ReportForm
    file: Path


def writer(form: ReportForm) -> Callable[[Report], str]:
    """What writes a form; imported when it is asked for: a start pays for one."""
    write: Callable[[Report], str] = importlib.import_module(f"mlgen.reports.{MODULES[form]}").write
    return write


def targets(given: Sequence[str] | None) -> list[Target]:
    """The files that --report names. Raises Misuse, before anything is done, where one is no FORMAT=FILE."""
    found: dict[str, Target] = {}
    for text in given or ():
        form, _, name = text.partition("=")
        fix = f"write FORMAT=FILE, such as sarif=mlgen.sarif; the formats: {', '.join(ReportForm)}"
        if form not in tuple(ReportForm) or not name:
            raise Misuse("bad-report", f'"{text}" names no report', fix=fix)
        path = os.path.abspath(name)
        # No link either: who wrote the repository could have put it there, and /dev/stdout is one.
        if os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):
            why, fix = "a report replaces a file whole", "name a file, or remove what lies there"
            raise Misuse("bad-report", f"{name} is no file", why=why, fix=fix)
        if path in found:
            raise Misuse("bad-report", f"two reports are to be written to {name}", fix="give each a file of its own")
        found[path] = Target(ReportForm(form), Path(path))
    return list(found.values())


def keep(report: Report, workspace: Workspace, also: Sequence[Target]) -> None:
    """Write the files. Raises OSError, Misuse "link-out"."""
    for target in also:
        _write(workspace, target.file, writer(target.form)(report))


def show(report: Report, form: ReportForm) -> None:
    """Print the answer."""
    if form is ReportForm.TEXT:
        output.findings(report.findings, sys.stdout)
        sys.stdout.write(f"{report.summary}\n")
    elif form is ReportForm.JSON:
        output.answer_json(to_data(report))
    else:
        sys.stdout.write(writer(form)(report))


@contextmanager
def telling(
    workspace: Workspace, verb: str, also: Sequence[Target], write: Callable[[Report], object] | None
) -> Iterator[None]:
    """Tell findings that end, inside, a verb whose answer is another one: in the form that was asked for, and in files.

    write: prints the form; None: text, which is told on stderr as of any verb. Raises Exit 1 or, with None, Findings.
    """
    try:
        yield
    except Findings as ended:
        files = sorted({one.span.file for one in ended.diagnostics})
        report = report_of(workspace, ended.diagnostics, files, verb=verb, noun="file")
        keep(report, workspace, also)
        if write is None:
            raise
        write(report)
        output.note(f"mlgen {verb} has no answer: {output.summary(ended.diagnostics)}")
        raise typer.Exit(1) from None


def report_of(
    workspace: Workspace, found: Sequence[Diagnostic], files: Sequence[str], *, verb: str = "check", noun: str = "spec"
) -> Report:
    """What the forms need. found: sorted. files: what was read, as findings name it."""
    sources = {}
    for file in {one.span.file for one in found}:
        # What may not be read is not shown: that is what such a finding is of.
        with suppress(OSError, ValueError):
            sources[file] = output.source(file).decode(errors="replace")
    return Report(
        findings=[_hidden(one) for one in found],
        files=files,
        version=__version__,
        sources=sources,
        folder=_folder(workspace),
        manual=manual(),
        hide=without_secrets,
        verb=verb,
        noun=noun,
    )


def _hidden(one: Diagnostic) -> Diagnostic:
    """The same finding without what looks like a secret: reports go where more people read than the repository."""
    hide = without_secrets
    related = tuple(replace(r, message=hide(r.message)) for r in one.related)
    return replace(one, message=hide(one.message), why=hide(one.why), fix=hide(one.fix), related=related)


def _folder(workspace: Workspace) -> str:
    """The project's folder below the repository's root, as hosts name files: "" or with a / at its end."""
    here = workspace.root
    # As the workspace has it: the nearest folder with a .git, whatever a config claims.
    roots = [folder for folder in (here, *here.parents) if os.path.lexists(folder / ".git")][:1]
    roots += [Path(os.environ[name]).resolve() for name in WORKSPACES if os.environ.get(name)]
    below = next((here.relative_to(root).as_posix() for root in roots if here.is_relative_to(root)), ".")
    return "" if below == "." else f"{below}/"


def _write(workspace: Workspace, file: Path, text: str) -> None:
    """Write a file whole or not at all."""
    folder = file.parent
    if folder.is_relative_to(workspace.root):
        workspace.own(folder.relative_to(workspace.root).as_posix())
    draft = folder / f".{file.name}.{os.getpid()}"
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with open(descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
            stream.write(text)
        os.replace(draft, file)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise OSError(error.errno, error.strerror, str(file)) from None
