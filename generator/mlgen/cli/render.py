"""`mlgen render [FILE…] --env E`: the Tekton manifests of an environment."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from mlgen.cli import reporting
from mlgen.cli.main import new_app
from mlgen.cli.options import SpecFiles
from mlgen.cli.output import answer_json
from mlgen.cli.projects import differing
from mlgen.cli.projects.sources import planned, rendering_of
from mlgen.cli.projects.untracked import Untracked, untracked_in
from mlgen.cli.projects.workspace import Workspace
from mlgen.cli.reporting import ReportForm
from mlgen.diagnostic import Diagnostic, Findings, Misuse, visible
from mlgen.render.files import Changes, Difference, compare, environments_in, scope_of, to_stdout, write
from mlgen.render.limits import check_limits
from mlgen.secrets.telling import without_secrets
from mlgen.spec.project import Environment, Project

app = new_app()

OUT = "tekton"
OWN_FORMS = (ReportForm.TEXT, ReportForm.JSON)  # what was written, or differs; the others tell of findings
SHOWN = 40  # paths that are listed: a thousand say no more than their number


class Target(StrEnum):
    """For whom manifests are rendered."""

    TEKTON = "tekton"
    KATIB = "katib"


@app.command()
def render(
    files: SpecFiles = None,
    *,
    env: Annotated[
        str | None, typer.Option("--env", metavar="E", help="An environment of mlgen.yaml; without it: all with pods.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where to write; without it: tekton/ of the project.")
    ] = None,
    stdout: Annotated[bool, typer.Option("--stdout", help="Print all files as one YAML stream; write none.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Say what differs from a fresh rendering, exit 1; write nothing.")
    ] = False,
    target: Annotated[
        Target, typer.Option("--target", help="For whom; katib: an Experiment for each search, printed, for one --env.")
    ] = Target.TEKTON,
    form: reporting.FormOption = ReportForm.TEXT,
    report: reporting.FilesOption = None,
) -> None:
    """Write the Tekton manifests of an environment, and remove those of ours that are no more.

    All are rendered before any is written. `manifests/` is for Argo CD or `kubectl apply`, `runs/` for
    `kubectl create -f`, `argocd/` and `cluster/` for who keeps Argo CD, and the cluster.
    """
    if stdout and check:
        raise Misuse("options", "--stdout and --check exclude each other", fix="give one of them")
    if target is Target.KATIB:
        if check or out is not None or env is None:
            raise Misuse("options", "--target katib prints, for one environment", fix="give --env, no --out or --check")
        _print_experiments(files, env)
        return
    also = reporting.targets(report)
    if not check and (also or form not in OWN_FORMS):
        raise Misuse(
            "options", "there are findings to report with --check only", fix="add --check, or take --format json"
        )
    workspace = Workspace.around(files)
    # Of what cannot be rendered the findings are told in the form that was asked for: it is the answer of a check.
    shown = partial(reporting.show, form=form) if form is not ReportForm.TEXT else None
    with reporting.telling(workspace, "render --check" if check else "render", also, shown):
        root = _root(workspace, out)
        # Only in the project's own folder: --out may name one where other projects have their environments.
        left = environments_in(root) if not files and env is None and out is None else []
        environments = _environments(workspace.project, env, left)
        # Without a spec, what was made of the last ones is to go; without that too, there is nothing to do.
        rendering = rendering_of(workspace, environments, files, may_be_empty=bool(left))
    rendered = rendering.files
    gone = set(left) - {environment.name for environment in environments}
    scope = scope_of(rendering.plans, rendering.environments, whole=not files, gone=sorted(gone))
    if stdout:
        sys.stdout.buffer.write(to_stdout(rendered, _shown(root)))
    elif check:
        found = compare(root, rendered, scope)
        command = _command(files, env, out)
        answer = differing.report(workspace, found, rendered, root, command)
        reporting.keep(answer, workspace, also)
        lacking = untracked_in(workspace, root, rendered)
        if form is ReportForm.JSON:
            answer_json(_json(found, lacking))
        elif form is ReportForm.TEXT:
            _print_differences(found, len(rendered), root, command)
            _print_untracked(lacking)
        else:
            reporting.show(answer, form)
        raise typer.Exit(1 if found else 0)
    else:
        changes = write(root, rendered, scope)
        _print_changes(changes, root, form, untracked_in(workspace, root, rendered))


def _print_experiments(files: Sequence[Path] | None, env: str) -> None:
    """The searches of specs as Katib's Experiments: created like runs, so never written beside what is synced."""
    from mlgen.render.katib.experiment import experiments  # here: few have Katib
    from mlgen.render.katib.limits import check_katib

    workspace = Workspace.around(files)
    found: list[Diagnostic] = []
    made: list[bytes] = []
    for environment, source, plans in planned(workspace, _environments(workspace.project, env, []), files):
        for plan in plans if files else [plan for plan in plans if any(t.fan and t.fan.search for t in plan.tasks)]:
            problems = [*check_limits(plan, environment), *check_katib(plan)]
            found += source.located(plan, problems)
            made += experiments(plan, environment) if not problems else []
    if found:
        raise Findings(found)
    sys.stdout.buffer.write(b"---\n".join(made))


def _root(workspace: Workspace, out: Path | None) -> Path:
    """The output folder. --out may name any; what lies in the project must not lead out of the repository."""
    given = Path(os.path.abspath(out)) if out is not None else workspace.root / OUT
    if given.is_relative_to(workspace.root):
        workspace.own(given.relative_to(workspace.root).as_posix())
    return given


def _environments(project: Project, name: str | None, left: list[str]) -> list[Environment]:
    """Those to render; none only where manifests are left of environments that are no more."""
    known = list(project.rendered)
    found = [one for one in known if name is None or one.name == name]
    if found or left:
        return found
    fix = f"those that are: {', '.join(one.name for one in known)}" if known else "give one a `namespace` in mlgen.yaml"
    what = f'"{name}" is no environment that is rendered' if name is not None else "no environment is rendered"
    raise Misuse("unknown-environment", what, why="mlgen.yaml says where pods run, by `namespace`", fix=fix)


def _shown(root: Path) -> str:
    """The folder as people name it: from where they are, if it is below."""
    path, here = os.path.abspath(root), os.getcwd()
    return os.path.relpath(path, here) if Path(path).is_relative_to(here) else path


def _command(files: Sequence[Path] | None, env: str | None, out: Path | None) -> str:
    """The command that writes what was compared."""
    options = [*(["--env", env] if env is not None else []), *(["--out", str(out)] if out is not None else [])]
    return shlex.join(["mlgen", "render", *map(str, files or ()), *options])


def _print_changes(changes: Changes, root: Path, form: ReportForm, left: Untracked) -> None:
    if form is ReportForm.JSON:
        written, removed = list(changes.written), list(changes.removed)
        answer_json(
            {"written": written, "removed": removed, "unchanged": changes.unchanged, "untracked": list(left.paths)}
        )
        return
    shown = _shown(root)
    done = [("wrote  ", path) for path in changes.written] + [("removed", path) for path in changes.removed]
    _print_lines([visible(f"{word} {shown}/{path}") for word, path in done])
    counts = f"{len(changes.written)} written, {len(changes.removed)} removed, {changes.unchanged} unchanged"
    sys.stdout.write(f"{counts} in {visible(shown)}/\n")
    _print_untracked(left)


def _json(found: list[Difference], lacking: Untracked) -> dict[str, object]:
    differences = [{"path": d.path, "kind": d.kind, "diff": without_secrets(d.diff)} for d in found]
    return {"differences": differences, "untracked": list(lacking.paths)}


def _print_differences(found: list[Difference], files: int, root: Path, command: str) -> None:
    shown = _shown(root)
    _print_lines([visible_lines(f"{d.kind:9} {shown}/{d.path}", without_secrets(d.diff)) for d in found])
    differ = f"{len(found)} file{'s differ' if len(found) > 1 else ' differs'}"
    differ += f"; to mend: {differing.mending(found, command)}"
    sys.stdout.write(visible(differ if found else f"{files} files in {shown}/ are as rendered") + "\n")


def _print_untracked(left: Untracked) -> None:
    if left.paths:
        sys.stdout.write(visible(f"{left.words}: {left.command}") + "\n")


def visible_lines(head: str, body: str) -> str:
    """A line and, indented, what belongs to it."""
    return "\n".join([visible(head), *(f"    {visible(line)}" for line in body.splitlines())])


def _print_lines(lines: list[str]) -> None:
    more = [f"… and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    sys.stdout.write("".join(f"{line}\n" for line in [*lines[:SHOWN], *more]))
