"""`mlgen diff [--base REV] [--env E]…`: what a change means, in words, then objects."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from itertools import groupby
from typing import Annotated

import typer

from mlgen import git
from mlgen.cli import output, reporting
from mlgen.cli.main import new_app
from mlgen.cli.projects import revisions
from mlgen.cli.projects.catalogue import published
from mlgen.cli.projects.pins import SHORT
from mlgen.cli.projects.sides import policies, sides
from mlgen.cli.projects.workspace import PROJECT_FILE, Workspace
from mlgen.cli.render import OUT
from mlgen.cli.unrendered import unrendered
from mlgen.diagnostic import CannotAnswer, Findings, Misuse
from mlgen.git import revision
from mlgen.git.changed import changed
from mlgen.reports import comment
from mlgen.reports.data import to_data
from mlgen.reports.markdown import LIMIT
from mlgen.reports.report import Report
from mlgen.review.as_json import to_json
from mlgen.review.change import Change, Sentence
from mlgen.review.files import policy_changes
from mlgen.review.hiding import without_secrets
from mlgen.review.make import Part, Review, make_part, settings_changes
from mlgen.review.markdown import LEAST, MARKER, to_markdown
from mlgen.review.rules import read_rules
from mlgen.review.text import to_text
from mlgen.review.versions import broken_versions
from mlgen.spec.project import Environment, Project

app = new_app()

WORK_TREE = "the work tree"
_DEFAULT_BRANCHES = ("main", "master")


class Form(StrEnum):
    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


@dataclass(frozen=True, slots=True)
class _Base:
    """What is compared with. name: as it was asked for, or found. commit: its id."""

    name: str
    commit: str

    @property
    def label(self) -> str:
        short = self.commit[:SHORT]
        return short if self.name == self.commit else f"{self.name} ({short})"


@app.command()
def diff(
    *,
    base: Annotated[
        str | None,
        typer.Option(
            "--base",
            metavar="REV",
            help="Compare with what REV and HEAD have in common; without it: REV is the remote's default branch.",
        ),
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option(
            "--env", metavar="E", help="Only this environment; given twice: compare the first with the second."
        ),
    ] = None,
    form: Annotated[
        Form, typer.Option("--format", help="text for people, markdown for a pull request, json for programs.")
    ] = Form.TEXT,
    objects: Annotated[bool, typer.Option("--objects", help="In text: show the diffs of the objects, too.")] = False,
    limit: Annotated[
        int,
        typer.Option(
            "--limit",
            metavar="BYTES",
            help="Of Markdown, at most: beside something else in one comment.",
            min=LEAST,
            max=LIMIT,
            show_default=False,
        ),
    ] = LIMIT,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit 1 where there is a difference.")] = False,
) -> None:
    """Say what the work tree changes: in words, in amounts, as objects, and what Argo CD will do.

    Exit 0: answered. Findings in a spec as it is now: exit 1.
    """
    workspace = Workspace.around().to_show()
    names = list(env or [])
    if len(names) > 2 or (len(names) == 2 and base is not None):
        why = "two environments are compared with each other, each as it is now"
        raise Misuse("options", "--env is given at most twice, and then without --base", why=why, fix="leave one out")
    told = None if form is Form.TEXT else partial(_print_findings, form=form, limit=limit)
    with reporting.telling(workspace, "diff", (), told):
        if len(names) == 2:
            review, command = _environments(workspace, names[0], names[1]), ["--env", names[0], "--env", names[1]]
        else:
            found = _base(workspace, base)
            review = _since(workspace, found, names[0] if names else None)
            if base is None and found.name == "HEAD":
                note = Sentence(
                    "no default branch is known here, of a remote or by its name: compared with {}", ("HEAD",)
                )
                review = replace(review, notes=(note, *review.notes))
            command = ["--base", found.name, *(["--env", names[0]] if names else [])]
    _print(without_secrets(review), form, objects, shlex.join(["mlgen", "diff", *command]), limit)
    raise typer.Exit(1 if exit_code and not review.is_empty else 0)


def _print(review: Review, form: Form, objects: bool, command: str, limit: int) -> None:
    if form is Form.JSON:
        output.answer_json(to_json(review))
    else:
        text = (
            to_text(review, objects=objects)
            if form is Form.TEXT
            else to_markdown(review, f"{command} --objects", limit)
        )
        sys.stdout.write(text)


def _print_findings(report: Report, form: Form, limit: int) -> None:
    """Why there is no review, where one is expected: as `check` tells it."""
    if form is Form.JSON:
        output.answer_json(to_data(report))
    else:
        head = f"{MARKER}\n\n**What this changes cannot be told before this is mended.**\n\n"
        sys.stdout.write(head + comment.within(report, limit - len(head)))


def _base(workspace: Workspace, name: str | None) -> _Base:
    """The commit to compare with: the last that a revision and HEAD have in common, or it alone, if they have none.

    What a branch got since this work left it is not what this work changes.
    """
    repository = revisions.repository_of(workspace.repository, workspace.root)
    name = name if name is not None else _default(repository)
    commit = revisions.commit_of(repository, name)
    head = repository.head()
    if head is None:
        return _Base(name, commit)
    return _Base(name, revisions.merge_base(repository, commit, head) or commit)


def _default(repository: git.Repository) -> str:
    """The default branch of a remote, as far as it is known here; else a local one of its usual names; else HEAD."""
    remotes = sorted(revision.remotes(repository), key=lambda remote: (remote != "origin", remote))
    names = [f"{remote}/{name}" for remote in remotes for name in ("HEAD", *_DEFAULT_BRANCHES)]
    found = next((name for name in (*names, *_DEFAULT_BRANCHES) if repository.resolve(name) is not None), "HEAD")
    # origin/HEAD is what the remote calls its default; people know it by its name.
    return revision.short_name(repository, f"refs/remotes/{found}") if found.endswith("/HEAD") else found


def _since(workspace: Workspace, base: _Base, env: str | None) -> Review:
    """What the work tree changes: each environment at its own source, then and now."""
    before, notes = _readable(workspace.at(base.commit), workspace, base.label)
    projects = (before.project, workspace.project)
    _check_known(env, projects)
    names = [env] if env is not None else sorted({e.name for p in projects for e in p.rendered})
    parts = []
    for pins in sorted({_pins(name, projects) for name in names}):
        group = [name for name in names if _pins(name, projects) == pins]
        try:
            old = _source(before, group[0])
        except Findings as lost:  # what is compared may be what mends it
            notes.append(_lost(group, pins[0], lost))
        else:
            labels = (pins[0][:SHORT] or base.label, pins[1][:SHORT] or WORK_TREE)
            parts.append(_made(old, _source(workspace, group[0]), [(name, name) for name in group], labels))
    if not names:  # nothing is rendered: the specs are compared all the same
        parts.append(_made(before, workspace, [], (base.label, WORK_TREE)))
    told = [note for part in parts for note in part.notes]
    told += broken_versions(published(before), published(workspace))
    settings = settings_changes(*projects, None if env is None else [(env, env)])
    return Review(tuple(parts), settings, _policies(before, workspace), (*notes, *told, *unrendered(workspace, parts)))


def _policies(before: Workspace, after: Workspace) -> tuple[Change, ...]:
    old, new = policies(before), policies(after)
    rules = {data: read_rules(data) for path in {*old, *new} if old.get(path) != new.get(path)
             for data in (old.get(path), new.get(path)) if data is not None}  # fmt: skip
    return policy_changes(old, new, rules)


def _readable(before: Workspace, after: Workspace, label: str) -> tuple[Workspace, list[Sentence]]:
    """The base, with the mlgen.yaml of now where its own cannot be read."""
    try:
        before.project  # noqa: B018  # it is read here
    except Findings:
        note = Sentence("{} cannot be read at {}: that of now is taken for both", (PROJECT_FILE, label))
        return replace(before, _project_of=after), [note]
    return before, []


def _check_known(env: str | None, projects: Iterable[Project]) -> None:
    known = sorted({e.name for project in projects for e in project.environments})
    if env is not None and env not in known:
        fix = f"those that are: {', '.join(known)}"
        raise Misuse("unknown-environment", f'there is no environment "{env}"', fix=fix)


def _pins(name: str, projects: tuple[Project, Project]) -> tuple[str, str]:
    """Where an environment is read before and after; "" is the base, or the work tree."""
    old, new = (project.environment(name) for project in projects)
    return (old.pin or "" if old else ""), (new.pin or "" if new else "")


def _source(workspace: Workspace, name: str) -> Workspace:
    """Where an environment is read. Raises Findings where its pin is not here, CannotAnswer "shallow-clone"."""
    environment = workspace.project.environment(name)
    return workspace if environment is None else workspace.source_of(environment)


def _lost(names: Sequence[str], pin: str, why: Findings) -> Sentence:
    """That environments were pinned to a commit which is not here."""
    told = "{} was pinned to {}, which is no commit of this clone: what changes there is not told"
    values = (", ".join(names), pin[:SHORT])
    fetch = next((found.fix for found in why.diagnostics if found.fix.startswith("git ")), "")
    return Sentence(f"{told}; to fetch it: {{}}", (*values, fetch)) if fetch else Sentence(told, values)


def _made(old: Workspace, new: Workspace, names: list[tuple[str, str]], labels: tuple[str, str]) -> Part:
    part = make_part(*sides(old, new, _changed(old, new), labels=labels), names)
    if part.problems:
        raise Findings(
            found
            for plan, problems in groupby(part.problems, key=lambda pair: pair[0])
            for found in new.located(plan, [problem for _, problem in problems])
        )
    return part


def _changed(old: Workspace, new: Workspace) -> frozenset[str] | None:
    """The paths below the project's folder that may differ; None where mlgen.yaml is another one."""
    if old.project != new.project:
        return None
    if old.commit == new.commit:
        return frozenset()
    repository = revisions.repository_of(new.repository, new.root)
    if old.commit is None:
        return None
    try:
        # What lies outside of the project's folder is in no path that a spec may name.
        paths = changed(repository, old.commit, new.commit, revisions.below(repository, new.root), but=OUT)
    except git.GitError as error:
        raise CannotAnswer("git-refused", "git cannot compare the two revisions", why=str(error)) from None
    return frozenset(path for path, oid in paths.items() if oid is None or not _has(new, path, oid))


def _has(workspace: Workspace, path: str, oid: str) -> bool:
    """Whether the bytes of a file are those of a blob; of one larger than a spec nobody looks."""
    try:
        data = workspace.files.read(path)
    except (OSError, ValueError):
        return False
    assert workspace.repository is not None, "a commit was compared"
    return git.blob_id(data, workspace.repository.object_format) == oid


def _environments(workspace: Workspace, was: str, name: str) -> Review:
    """What one environment would have with the source of another, as a promotion moves it; and their settings."""
    project = workspace.project
    for one in (was, name):
        _check_known(one, [project])
    both = [project.environment(one) for one in (was, name)]
    old, new = (workspace.source_of(environment) for environment in both if environment is not None)
    labels = (_source_label(both[0]), _source_label(both[1]))
    part = _made(old, new, [(was, was)], labels)
    note = Sentence("{} is told as it would be with the specs of {}", (was, name))
    settings = settings_changes(project, project, [(was, name)])
    return Review((part,), (), (), (note, *part.notes), settings)


def _source_label(environment: Environment | None) -> str:
    assert environment is not None
    return f"{environment.name} ({environment.pin[:SHORT] if environment.pin else WORK_TREE})"
