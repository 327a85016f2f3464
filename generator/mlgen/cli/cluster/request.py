"""A run in a cluster as it is asked for: the PipelineRun, and what the cluster and the bucket must have for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlgen.cli.output import note
from mlgen.cli.projects.workspace import Workspace
from mlgen.cluster import start
from mlgen.diagnostic import Findings, Misuse
from mlgen.local.arguments import Arguments
from mlgen.local.params import parse_arguments
from mlgen.plan.model import Plan, Task
from mlgen.render import resumed as render_resumed
from mlgen.render.limits import check_limits
from mlgen.render.manifests import manifests
from mlgen.render.resumed import Reduced
from mlgen.runtime import documents, publish
from mlgen.runtime.outs import StagingError
from mlgen.runtime.pod import contract as pod
from mlgen.runtime.publish import Item
from mlgen.runtime.secrets import check_given
from mlgen.spec.project import Environment
from mlgen.store import StoreError
from mlgen.worktree import Tree

if TYPE_CHECKING:  # most runs take up no other
    from mlgen.cli.resuming.resumption import Resumption

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """run: the PipelineRun. pipeline, tasks: what must be on the cluster. given: what -p names.

    files: what the pipeline was planned from. resumed: what of an earlier run is reused, None of a run of its own.
    """

    run: Object
    resumed: Resumption | None
    pipeline: Object
    tasks: tuple[Object, ...]
    given: tuple[Item, ...]
    files: Tree


def make(
    workspace: Workspace,
    plan: Plan,
    environment: Environment,
    arguments: Sequence[str],
    *,
    name: str,
    commit: str | None,
    resumed: Resumption | None = None,
) -> Request:
    """Raises Findings where the plan cannot run in the environment; Misuse for an argument that cannot be meant."""
    if found := workspace.located(plan, check_limits(plan, environment)):
        raise Findings(found)
    parsed = parse_arguments(plan, arguments, project=workspace.root, cwd=Path.cwd(), has=has(workspace))
    named = {argument.partition("=")[0] for argument in arguments}
    inputs, items = _inputs(workspace, parsed, named, environment)
    texts = {**parsed.params, **inputs}
    _refuse_variables(plan, texts)
    for line in check_given(name, parsed.values(plan), inputs):
        note(line)
    pipeline, *tasks, run = (_plain(one.data) for one in manifests(plan, environment))
    del run["metadata"]["generateName"]
    run["metadata"]["name"] = name
    about = {"commit": commit, "repository": workspace.project.repository}
    run["metadata"]["annotations"] |= {f"mlgen.dev/{key}": text for key, text in about.items() if text}
    run["spec"]["params"] = list(_params(run["spec"].get("params") or [], texts))
    if resumed is not None:
        run = render_resumed.resumed(run, pipeline, plan, _reduced(resumed))
        run["spec"]["status"] = start.PENDING  # until its records are kept, which name its uid
    return Request(run, resumed, pipeline, tuple(tasks), tuple(items), workspace.files)


def has(workspace: Workspace) -> Callable[[str], bool]:
    return lambda path: workspace.files.kind(path) in ("file", "folder")


def _inputs(
    workspace: Workspace, parsed: Arguments, named: set[str], environment: Environment
) -> tuple[dict[str, str], list[Item]]:
    """The texts of inputs that the command line gives, and what must be published of them."""
    texts, items = {}, []
    for name, location in parsed.inputs.items():
        if name not in named:
            continue
        uri = location.uri
        if workspace.commit is not None and "://" not in uri:
            uri = str(workspace.root / uri)  # it lies here, whatever the commit has
        try:
            text, item = publish.given(uri, location.digest, base=workspace.root, artifacts=environment.artifacts)
        except (StoreError, OSError) as error:
            raise Misuse(
                "bad-argument", f'input "{name}": {error}', fix="give files and folders that hold files"
            ) from None
        texts[name] = text
        items += [item] if item is not None else []
    return texts, items


def _refuse_variables(plan: Plan, texts: Mapping[str, str]) -> None:
    """Raises Misuse for a text that Tekton would take for a variable of its own, in the middle of the run."""
    for name, text in texts.items():
        if found := pod.NOT_IN_PARAMS.search(text):
            raise Misuse(
                "bad-argument",
                f'"{name}" of {plan.name} cannot hold {found[0][:80]} in a cluster',
                why="Tekton takes such a text for a variable that it does not know, and fails the run",
                fix="write it otherwise, for example with ${…}, or hand it over in a file",
            )


def _params(rendered: list[Object], texts: Mapping[str, str]) -> Iterator[Object]:
    """The params of a run: those that are rendered, with the values given."""
    found = {one["name"]: one["value"] for one in rendered} | {name: pod.escape(text) for name, text in texts.items()}
    return ({"name": name, "value": value} for name, value in found.items())


def _plain(data: object) -> Any:
    """A copy, to be changed: parts of a manifest are shared with others."""
    return json.loads(json.dumps(data))


def _reduced(resumed: Resumption) -> Reduced:
    items = {
        name: frozenset(outcome.index for outcome in one.outcomes)
        for name, one in resumed.items.items()
        if name not in resumed.known
    }
    return Reduced(resumed.known, resumed.left_out, resumed.uid, items, resumed.before)


def has_parts(plan: Plan, task: Task) -> bool:
    """Whether a fan can run for a part of its items: not where a pod of its own counts them."""
    return task.fan is not None and (task.fan.of is not None or documents.counter(task, plan) is not None)


def misfit(plan: Plan, task: str, texts: Mapping[str, str | None]) -> str | None:
    """Why what a task left cannot be handed on to those that read it in a cluster, None where it can."""
    if plan.task(task).late:
        return None  # its readers look into the bucket
    try:
        render_resumed.counted_by(task, plan, texts)
    except StagingError as error:  # of a list that a loop goes through
        return str(error)
    return next(filter(None, (render_resumed.holds_variable(text) for text in texts.values() if text)), None)
