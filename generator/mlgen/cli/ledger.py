"""`mlgen ledger`: land what waits in the spool on the ledger's branch, and look after it."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Annotated, Any

import typer

from mlgen.cli.clock import SystemClock
from mlgen.cli.folding import folded_answer, folded_lines, tell_refused
from mlgen.cli.main import new_app
from mlgen.cli.options import EnvOption, Format, FormatOption
from mlgen.cli.output import answer_json
from mlgen.cli.reconcile import reconcile
from mlgen.cli.records import Records, open_records
from mlgen.cli.workspace import Workspace
from mlgen.diagnostic import visible
from mlgen.ledger import passes
from mlgen.ledger.spool import oldest

SILENCE_SECONDS = 600  # since the last pass of a CronJob that has one each minute, until something is wrong

app = new_app(no_args_is_help=True, help="Keep the ledger: the branch that holds the records.")


@app.command()
def fold(
    *,
    status: Annotated[bool, typer.Option("--status", help="Only say what waits, and for how long.")] = False,
    env: EnvOption = "local",
    form: FormatOption = Format.TEXT,
) -> None:
    """Land what waits in the spool, in one commit. Exit 1 if a record could not land for good."""
    records = open_records(Workspace.around(), env)
    if status:
        _print(_status(records), form)
        return
    records.recover()
    folded = records.fold(SystemClock().now())
    tell_refused(folded)
    _print(folded_answer(folded), form)
    raise typer.Exit(1 if folded.conflicts or folded.refused else 0)


app.command()(reconcile)


def _status(records: Records) -> dict[str, Any]:
    waiting = records.spool.waiting()
    age = _age(oldest(records.spool, waiting))
    found: dict[str, Any] = {
        "waiting": len(waiting),
        "oldestSeconds": age,
        "dead": len(records.spool.dead()),
        "ledger": records.tip(),
    }
    if records.in_cluster:
        found["reconciledSeconds"] = _age(passes.last(records.store, records.environment.name))
    return found


def _age(since: datetime | None) -> int | None:
    """Seconds, never negative: clocks differ."""
    return None if since is None else max(0, round((SystemClock().now() - since).total_seconds()))


def _print(answer: dict[str, Any], form: Format) -> None:
    if form is Format.JSON:
        answer_json(answer)
        return
    lines = _status_lines(answer) if "waiting" in answer else folded_lines(answer)
    lines.append(f"ledger  {answer['ledger'] or 'empty'}")
    sys.stdout.write("".join(visible(line) + "\n" for line in lines))


def _status_lines(answer: dict[str, Any]) -> list[str]:
    age = answer["oldestSeconds"]
    waiting = f"{answer['waiting'] or 'none'}{'' if age is None else f', the oldest for {age} s'}"
    lines = [f"waiting  {waiting}", f"refused  {answer['dead'] or 'none'}"]
    if "reconciledSeconds" in answer:
        since = answer["reconciledSeconds"]
        said = "no pass of `mlgen ledger reconcile` ended well yet" if since is None else f"{since} s ago"
        late = since is None or since > SILENCE_SECONDS
        lines.append(f"told     {said}{'; does its CronJob run? (kubectl get cronjobs,jobs,pods)' if late else ''}")
    return lines
