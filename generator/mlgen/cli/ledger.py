"""`mlgen ledger fold`: land what waits in the spool on the ledger's branch."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from mlgen.cli.clock import SystemClock
from mlgen.cli.history import open_ledger
from mlgen.cli.main import new_app
from mlgen.cli.options import EnvOption, Format, FormatOption
from mlgen.cli.output import answer_json, note
from mlgen.cli.records import Records
from mlgen.diagnostic import visible
from mlgen.git import branch_ref
from mlgen.ledger.fold import Folded, Refused
from mlgen.ledger.spool import oldest

app = new_app(no_args_is_help=True, help="Keep the ledger: the branch that holds the records.")


@app.callback()
def ledger() -> None:
    """Several verbs will stand here, so that one alone must be named as well."""


@app.command()
def fold(
    *,
    status: Annotated[bool, typer.Option("--status", help="Only say what waits, and for how long.")] = False,
    env: EnvOption = "local",
    form: FormatOption = Format.TEXT,
) -> None:
    """Land what waits in the spool, in one commit. Exit 1 if a record could not land for good."""
    records = open_ledger(env)
    if status:
        _print(_status(records), form)
        return
    records.recover()
    folded = records.fold(SystemClock().now())
    for refused in (*folded.conflicts, *folded.refused, *folded.left):
        note(f"{refused.code}: {refused.message}")
    _print(_answer(folded), form)
    raise typer.Exit(1 if folded.conflicts or folded.refused else 0)


def _status(records: Records) -> dict[str, Any]:
    waiting = records.spool.waiting()
    since = oldest(records.spool, waiting)
    age = None if since is None else max(0, round((SystemClock().now() - since).total_seconds()))
    repository = records.repository
    return {
        "waiting": len(waiting),
        "oldestSeconds": age,
        "dead": len(records.spool.dead()),
        "ledger": repository.tip(branch_ref(records.branch)) if repository else None,
    }


def _answer(folded: Folded) -> dict[str, Any]:
    return {
        "landed": folded.landed,
        "already": folded.already,
        "conflicts": _refused(folded.conflicts),
        "refused": _refused(folded.refused),
        "left": _refused(folded.left),
        "ledger": folded.commit,
    }


def _refused(refused: Sequence[Refused]) -> list[dict[str, Any]]:
    return [{"key": r.key, "code": r.code, "message": r.message, "path": r.path} for r in refused]


def _print(answer: dict[str, Any], form: Format) -> None:
    if form is Format.JSON:
        answer_json(answer)
        return
    lines = _status_lines(answer) if "waiting" in answer else _folded_lines(answer)
    lines.append(f"ledger  {answer['ledger'] or 'empty'}")
    sys.stdout.write("".join(visible(line) + "\n" for line in lines))


def _status_lines(answer: dict[str, Any]) -> list[str]:
    age = answer["oldestSeconds"]
    waiting = f"{answer['waiting'] or 'none'}{'' if age is None else f', the oldest for {age} s'}"
    return [f"waiting  {waiting}", f"refused  {answer['dead'] or 'none'}"]


# What became of records -> what it means, where that needs words.
FATES = {
    "landed": "",
    "already": "on the branch already",
    "conflicts": "set aside: the branch has other bytes at their paths",
    "refused": "set aside: no ledger can take them",
    "left": "wait on: of a newer mlgen, or no records of ours",
}


def _folded_lines(answer: dict[str, Any]) -> list[str]:
    counts = {fate: len(answer[fate]) for fate in FATES}
    told = [f"{n} {fate}" if not FATES[fate] else f"{n} {FATES[fate]}" for fate, n in counts.items() if n]
    return ["; ".join(told) or "nothing waited"]
