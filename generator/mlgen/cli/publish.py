"""`mlgen publish [FILE…] [--env E]`: the code and files that manifests pin, where pods find them."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mlgen.cli.ledgers.records import Records, environment_of
from mlgen.cli.main import new_app
from mlgen.cli.options import Format, FormatOption, SpecFiles
from mlgen.cli.output import answer_json
from mlgen.cli.projects.sources import placed, planned
from mlgen.cli.projects.workspace import Workspace
from mlgen.cli.uploading import upload
from mlgen.diagnostic import Diagnostic, Findings, Misuse, visible
from mlgen.plan.model import Plan
from mlgen.render.limits import check_limits
from mlgen.runtime.plans import keep
from mlgen.runtime.publish import Item, Published, wanted
from mlgen.spec.project import Environment, Project

app = new_app()


@app.command()
def publish(
    files: SpecFiles = None,
    *,
    env: Annotated[
        str | None, typer.Option("--env", metavar="E", help="An environment of mlgen.yaml; without it: all with pods.")
    ] = None,
    form: FormatOption = Format.TEXT,
) -> None:
    """Upload the code and files of the repository that an environment's manifests pin.

    To be done before the manifests are synced; `mlgen run --env` does it by itself. What is there already, by digest,
    is not uploaded again. The bucket's keys are taken from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: where buckets
    have keys of their own, name one environment after the other.
    """
    workspace = Workspace.around(files)
    made = planned(workspace, _environments(workspace.project, env), files)
    found = [d for environment, source, plans in made for d in _refused(workspace, environment, source, plans)]
    if found:
        raise Findings(found)
    answer: dict[str, list[dict[str, object]]] = {"uploaded": [], "present": []}
    for environment, source, plans in made:
        records = Records(workspace, environment)
        published = upload(records, wanted(plans), source.files)
        for plan in plans:  # a few KB each: for who resumes a run that is started from `runs/`
            keep(plan, records.store)
        uri = records.store.uri
        if form is Format.TEXT:
            sys.stdout.write(_text(published, uri))
        answer["uploaded"] += [_json(environment, item, uri) for item in published.uploaded]
        answer["present"] += [_json(environment, item, uri) for item in published.present]
    if form is Format.JSON:
        answer_json(answer)


def _environments(project: Project, name: str | None) -> list[Environment]:
    """Those whose pods would fetch what is published. Raises Misuse."""
    if name is None:
        if project.rendered:
            return list(project.rendered)
        what, fix = "no environment has pods that would fetch anything", "give one a `namespace` in mlgen.yaml"
        raise Misuse("unknown-environment", what, fix=fix)
    environment = environment_of(project, name)
    if environment.namespace is None:
        fix = "name an environment with a `namespace`: a run on this machine reads the files themselves"
        raise Misuse("bad-option", f'"{name}" has no pods that would fetch anything', fix=fix)
    return [environment]


def _refused(workspace: Workspace, environment: Environment, source: Workspace, plans: list[Plan]) -> list[Diagnostic]:
    """What `check` and `render` find: nothing is published that could not be run."""
    found = [d for plan in plans for d in source.located(plan, check_limits(plan, environment))]
    return placed(workspace, environment, found)


def _json(environment: Environment, item: Item, uri: str) -> dict[str, object]:
    told = {"kind": item.kind, "paths": list(item.paths), "digest": item.digest, "uri": f"{uri}/{item.key}"}
    return {"env": environment.name, **told}


def _text(published: Published, uri: str) -> str:
    lines = [f"{item}  {uri}/{item.key}" for item in published.uploaded]
    counts = f"{len(published.uploaded)} uploaded, {len(published.present)} there already, in {uri}"
    return "".join(visible(line) + "\n" for line in [*lines, counts])
