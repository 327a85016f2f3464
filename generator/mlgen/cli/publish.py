"""`mlgen publish [FILE…] --env E`: the code and files that manifests pin, where pods find them."""

from __future__ import annotations

import sys

from mlgen.cli.main import new_app
from mlgen.cli.options import EnvOption, Format, FormatOption, SpecFiles
from mlgen.cli.output import answer_json
from mlgen.cli.records import open_records
from mlgen.cli.sources import placed, plans_in
from mlgen.cli.uploading import upload
from mlgen.cli.workspace import Workspace
from mlgen.diagnostic import Findings, Misuse, visible
from mlgen.plan.model import Plan
from mlgen.render.limits import check_limits
from mlgen.runtime.publish import Item, Published, wanted
from mlgen.spec.project import Environment

app = new_app()


@app.command()
def publish(files: SpecFiles = None, *, env: EnvOption, form: FormatOption = Format.TEXT) -> None:
    """Upload the code and files of the repository that an environment's manifests pin.

    To be done before the manifests are synced; `mlgen run --env` does it by itself. What is there already, by digest,
    is not uploaded again. The bucket's keys are taken from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
    """
    workspace = Workspace.around(files)
    records = open_records(workspace, env)
    if records.environment.namespace is None:
        fix = "name an environment with a `namespace`: a run on this machine reads the files themselves"
        raise Misuse("bad-option", f'"{env}" has no pods that would fetch anything', fix=fix)
    source = workspace.source_of(records.environment)
    try:
        plans = plans_in(source, records.environment, files)
        _refuse(source, plans, records.environment)
    except Findings as found:
        raise Findings(placed(workspace, records.environment, found.diagnostics)) from None
    published = upload(records, wanted(plans), source.files)
    uri = records.store.uri
    if form is Format.JSON:
        parts = {"uploaded": published.uploaded, "present": published.present}
        answer_json({word: [_json(item, uri) for item in items] for word, items in parts.items()})
    else:
        sys.stdout.write(_text(published, uri))


def _refuse(workspace: Workspace, plans: list[Plan], environment: Environment) -> None:
    """Raises Findings for what `check` and `render` find: nothing is published that could not be run."""
    found = [d for plan in plans for d in workspace.located(plan, check_limits(plan, environment))]
    if found:
        raise Findings(found)


def _json(item: Item, uri: str) -> dict[str, object]:
    return {"kind": item.kind, "paths": list(item.paths), "digest": item.digest, "uri": f"{uri}/{item.key}"}


def _text(published: Published, uri: str) -> str:
    lines = [f"{item}  {uri}/{item.key}" for item in published.uploaded]
    counts = f"{len(published.uploaded)} uploaded, {len(published.present)} there already, in {uri}"
    return "".join(visible(line) + "\n" for line in [*lines, counts])
