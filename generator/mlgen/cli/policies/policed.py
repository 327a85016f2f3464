"""Policies in `mlgen check`: each environment's objects, from its own source, judged by policies/ as it lies here."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from mlgen.cli.projects import sources
from mlgen.cli.projects.workspace import PROJECT_FILE, Workspace
from mlgen.diagnostic import Diagnostic, Findings, Span
from mlgen.spec.project import Environment

FOLDER = "policies"
_SUFFIXES = (".yaml", ".yml", ".json")  # what `kubectl apply -f policies/` takes


def check_policies(workspace: Workspace) -> list[Diagnostic]:
    """What policies say of what `workspace.check` read, and what is wrong with them.

    Nothing where there are none, where nothing is rendered, or where mlgen.yaml has errors.
    """
    files, lost = policy_files(workspace)
    try:
        project = workspace.project
    except Findings:
        return lost
    if not files or not project.rendered:
        return lost
    # Here: with a library of 50 MB and all of `render`, which a project without policies does not need.
    from mlgen.cli.policies.policing import Inspector
    from mlgen.policy.load import load

    policies, found = load(files)
    document = workspace.document(PROJECT_FILE)
    for environments in _by_pin(project.rendered):
        inspector = Inspector(policies, project.environments, document)
        try:
            source = workspace.source_of(environments[0])
        except Findings:
            continue  # told already
        with _uncollected():
            inspector.inspect(source.planned.values(), environments)
        found += _placed(workspace, environments[0], inspector.findings())
    if all(environment.pin for environment in project.rendered):
        inspector = Inspector(policies, project.environments, document)
        with _uncollected():
            inspector.inspect(workspace.planned.values(), project.rendered)
        found += _ahead(inspector.findings(), known=found)
    return [*lost, *found]


def policy_files(workspace: Workspace) -> tuple[dict[str, bytes], list[Diagnostic]]:
    """Path -> bytes of policies/, and the findings of what in it is no file of the repository."""
    names = [
        n for n in workspace.files.beside(f"{FOLDER}/") if n.endswith(_SUFFIXES) and not n.startswith(".#")
    ]  # an editor's mark
    paths = [f"{FOLDER}/{name}" for name in names]
    lost = [path for path in paths if workspace.files.kind(path) not in ("file", "folder")]
    return {path: workspace.data(path) for path in paths if workspace.files.kind(path) == "file"}, [
        Diagnostic("path-escape", f'"{path}" is no file of the repository', Span(path, 1, 1, 1, 2)) for path in lost
    ]


def _ahead(found: Iterable[Diagnostic], *, known: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """Warnings of what no environment is rendered from yet, as each is pinned: a promotion would meet errors."""
    said = set(known)
    for one in found:
        if one not in said:
            code = "policy-warning" if one.code == "policy" else one.code
            yield replace(one, code=code, why=f"{one.why}; not yet: all environments are pinned to other commits")


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the search for cycles, of which rendered objects have none: it takes a tenth of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _by_pin(environments: Iterable[Environment]) -> list[list[Environment]]:
    groups: dict[str | None, list[Environment]] = {}
    for environment in environments:
        groups.setdefault(environment.pin, []).append(environment)
    return list(groups.values())


def _placed(workspace: Workspace, environment: Environment, found: Iterable[Diagnostic]) -> list[Diagnostic]:
    """What lies in a pinned source is told at the pin; mlgen.yaml and policies/ are read here, whatever the pin."""
    every = list(found)
    here = [d for d in every if d.span.file == PROJECT_FILE or d.span.file.startswith(f"{FOLDER}/")]
    there = [d for d in every if d not in here]
    return [*here, *sources.placed(workspace, environment, there)]
