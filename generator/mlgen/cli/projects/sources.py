"""Environments rendered, each from its own source: the files as they are, or as the commit of its pin has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from mlgen.cli.output import note
from mlgen.cli.projects import pins
from mlgen.cli.projects.named import having
from mlgen.cli.projects.workspace import Workspace
from mlgen.diagnostic import Diagnostic, Findings, Misuse
from mlgen.plan.model import Plan
from mlgen.spec.project import Environment


@dataclass
class Sourced:
    """What `mlgen render` writes. environments: those in which something is rendered. plans: of all sources."""

    files: dict[str, bytes] = field(default_factory=dict)
    plans: list[Plan] = field(default_factory=list)
    environments: list[Environment] = field(default_factory=list)


def rendering_of(
    workspace: Workspace,
    environments: Sequence[Environment],
    files: Sequence[Path] | None,
    *,
    may_be_empty: bool = False,
) -> Sourced:
    """The files of environments, each from its source, of all specs or of those that are named.

    may_be_empty: a source without a spec is rendered, too. Of several environments, those that are pinned to a commit
    without a named spec are left out, and a note says so.
    Raises Findings of all environments at once, those of pinned ones at their pins; Misuse, CannotAnswer
    "shallow-clone".
    """
    from mlgen.cli.projects.argocd import argocd_files  # here: a run on this machine renders nothing

    result, found = Sourced(), list[Diagnostic]()
    # What lies here first: of a spec with an error, that is the place where it is mended.
    for group in _groups(environments):
        try:
            source = workspace.source_of(group[0])
            if not _has(source, group, files, others=len(environments) > len(group), deed="rendered"):
                continue
            plans = plans_in(source, group[0], files, may_be_empty=may_be_empty)
            result.files |= _rendered(source, plans, group, workspace.project.environments)
            if workspace.project_as_read.argocd is not None and not files:
                result.files |= _hooks(plans, group)
        except Findings as more:
            found += placed(workspace, group[0], more.diagnostics)
        else:
            result.plans += plans
            result.environments += group
    if found:
        raise Findings(found)
    if environments and not result.environments:
        plans_in(workspace.source_of(environments[0]), environments[0], files)  # raises: a spec is not there
    result.files = dict(sorted((result.files | argocd_files(workspace, result.environments)).items()))
    return result


def planned(
    workspace: Workspace, environments: Sequence[Environment], files: Sequence[Path] | None
) -> list[tuple[Environment, Workspace, list[Plan]]]:
    """Environments, each with its source and the plans of it, for what is published; as `rendering_of` takes them.

    Raises what that raises.
    """
    made, found = list[tuple[Environment, Workspace, list[Plan]]](), list[Diagnostic]()
    for group in _groups(environments):
        try:
            source = workspace.source_of(group[0])
            if _has(source, group, files, others=len(environments) > len(group), deed="published"):
                plans = plans_in(source, group[0], files)
                made += [(environment, source, plans) for environment in group]
        except Findings as more:
            found += placed(workspace, group[0], more.diagnostics)
    if found:
        raise Findings(found)
    if not made:
        plans_in(workspace.source_of(environments[0]), environments[0], files)  # raises: a spec is not there
    return made


def plans_in(
    source: Workspace, environment: Environment, files: Sequence[Path] | None, *, may_be_empty: bool = False
) -> list[Plan]:
    """The plans of specs as an environment's source has them. Raises Findings, Misuse."""
    try:
        return source.plans(source.specs(files) if files or source.listed or not may_be_empty else [])
    except Misuse as error:
        raise _absent(environment, error) from None


def sound_plans_in(
    source: Workspace, environment: Environment, files: Sequence[Path] | None
) -> tuple[list[Plan], dict[str, Findings]]:
    """As `plans_in`, but where no spec is named, one with an error does not keep the others. Those with one, by path.

    Raises what that raises where none is sound, as when mlgen.yaml is not.
    """
    if files:
        return plans_in(source, environment, files), {}
    made, unsound = list[Plan](), dict[str, Findings]()
    for path in source.specs(None):
        try:
            made += source.plans([path])
        except Findings as found:
            unsound[path] = found
    if unsound and not made:
        plans_in(source, environment, None)  # raises all of their findings, at once
    return made, unsound


def plan_in(workspace: Workspace, name: str, file: Path) -> Plan:
    """The plan of one spec, as the source of an environment, by its name, has it. Raises Findings, Misuse."""
    source = workspace.source_for(name)
    environment = workspace.project_as_read.environment(name)
    if source.commit is None or environment is None:
        return workspace.plan(file)
    try:
        return source.plan(file)
    except Misuse as error:
        raise _absent(environment, error) from None
    except Findings as found:
        raise Findings(placed(workspace, environment, found.diagnostics)) from None


def _absent(environment: Environment, error: Misuse) -> Misuse:
    """A file that the commit of a pin does not have; whatever else was asked wrongly stays as it is."""
    if environment.pin is None or error.code not in ("no-such-file", "no-specs"):
        return error
    message = f"{error.message}, at {environment.pin[: pins.SHORT]}, which {environment.name} is pinned to"
    why, fix = "its specs are read from there", f"mlgen promote --to {environment.name}, if they are to be others"
    return Misuse(error.code, message, why=why, fix=fix)


def _groups(environments: Sequence[Environment]) -> Iterator[list[Environment]]:
    """The environments by their source, those without a pin first; otherwise in their order."""
    for pin in sorted({environment.pin or "" for environment in environments}):
        yield [environment for environment in environments if (environment.pin or "") == pin]


def _has(
    source: Workspace, group: Sequence[Environment], files: Sequence[Path] | None, *, others: bool, deed: str
) -> bool:
    """Whether there is something to do; all is done, where nobody named a spec or nothing else would be done."""
    if not files or not others:
        return True
    lost = sorted({str(file) for file in files if not having(source.root, source.files, [file])})
    for environment in group if lost else ():
        where = "" if environment.pin is None else f", as it is pinned to {environment.pin[: pins.SHORT]}"
        note(f"{environment.name} has no {', '.join(lost)}{where}: nothing is {deed} there")
    return not lost


def _rendered(
    source: Workspace, plans: list[Plan], environments: Sequence[Environment], known: Sequence[Environment]
) -> dict[str, bytes]:
    """The files. Raises Findings, with their places, when an environment cannot have what a spec asks for."""
    from mlgen.render.rendering import render_all  # here: as above

    rendering = render_all(plans, environments, known=known)
    if rendering.problems:
        raise Findings(
            found
            for plan, problems in groupby(rendering.problems, key=lambda pair: pair[0])
            for found in source.located(plan, [problem for _, problem in problems])
        )
    return rendering.files


def _hooks(plans: list[Plan], environments: Sequence[Environment]) -> dict[str, bytes]:
    """What Argo CD runs before a sync. Only a rendering of all specs knows all that is pinned."""
    from mlgen.render.published import published_manifests  # here: it loads what makes bundles

    made = (one for environment in environments for one in published_manifests(plans, environment))
    return {one.path: one.bytes for one in made}


def check_pinned(workspace: Workspace, files: Sequence[Path] | None) -> list[Diagnostic]:
    """The errors of what pinned environments are rendered from, there and in these environments, told at the pins.

    files: as a command line names them; None: all. Raises CannotAnswer "shallow-clone".
    """
    found: list[Diagnostic] = []
    for environment in workspace.project_as_read.rendered:
        if environment.pin is None:
            continue
        try:
            source = workspace.source_of(environment)
        except Findings as missing:
            found += missing.diagnostics
        else:
            paths = having(source.root, source.files, files) if files else source.listed
            found += placed(workspace, environment, source.check(paths, environment))
    return found


def placed(workspace: Workspace, environment: Environment, found: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Findings of an environment's source: those of a pinned one are told at the pin."""
    if environment.pin is None:
        return list(found)
    span = workspace.pin_of(environment)
    return pins.told(found, environment.name, environment.pin, span, is_written=workspace.is_written)
