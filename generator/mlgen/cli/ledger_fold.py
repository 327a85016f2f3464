"""`mlgen ledger fold`: land what waits in the spool, say what waits, or try again what was refused."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

import typer

from mlgen.cli.clock import SystemClock
from mlgen.cli.elsewhere import READ_MIB
from mlgen.cli.folding import folded_answer, folded_lines, tell_refused
from mlgen.cli.options import EnvOption, Format, FormatOption
from mlgen.cli.output import answer_json, coloured
from mlgen.cli.records import Records, open_records
from mlgen.cli.workspace import Workspace
from mlgen.diagnostic import Misuse, visible
from mlgen.ledger import passes
from mlgen.ledger.fold import Load

SILENCE_SECONDS = 600  # since the last pass of a CronJob that has one each minute, until something is wrong
LOAD = Load(records=20_000, size_bytes=64 << 20)  # after an outage: fewer pushes, as each waits for its turn
FOLD_SECONDS = 3600.0  # with a person's time, and memory; what is landed meanwhile is landed


def fold(
    *,
    status: Annotated[bool, typer.Option("--status", help="Only say what waits, and for how long.")] = False,
    dead: Annotated[bool, typer.Option("--dead", help="Try once more what was refused, too.")] = False,
    env: EnvOption = "local",
    form: FormatOption = Format.TEXT,
) -> None:
    """Land what waits in the spool. Exit 1 if a record could not land for good: it is kept in _ledger/dead/."""
    if status and dead:
        raise Misuse("options", "--status changes nothing, and --dead does", fix="ask for one of them")
    records = open_records(Workspace.around(), env)
    if status:
        _print(_status(records), form)
        return
    records.recover()
    now = SystemClock().now()
    with _progress() as show:
        folded = records.fold(now, seconds=FOLD_SECONDS, memory_mib=READ_MIB, load=LOAD, dead=dead, on_progress=show)
    tell_refused(folded, env)
    _print(folded_answer(folded), form)
    raise typer.Exit(1 if folded.conflicts or folded.refused else 0)


@contextmanager
def _progress() -> Iterator[Callable[[int], None]]:
    """On a terminal, one line that is written over, once there is more than a push of it."""
    shown = False

    def show(done: int) -> None:
        nonlocal shown
        if coloured(sys.stderr) and done >= LOAD.records:
            shown = True
            sys.stderr.write(f"\rfolding  {done:,} records done\x1b[K")
            sys.stderr.flush()

    try:
        yield show
    finally:
        if shown:
            sys.stderr.write("\r\x1b[K")


def _status(records: Records) -> dict[str, Any]:
    waiting, strays = records.spool.listing()
    found: dict[str, Any] = {
        "waiting": len(waiting),
        "oldestSeconds": _age(min((item.kept_at for item in waiting), default=None)),
        "dead": len(records.spool.dead()),
        "strays": len(strays),
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
    dead = (
        f"{answer['dead']}, in _ledger/dead/ beside the reasons; --dead tries them again" if answer["dead"] else "none"
    )
    lines = [f"waiting  {waiting}", f"refused  {dead}"]
    if answer["strays"]:
        lines.append(f"strays   {answer['strays']} files that are no records of ours; nothing touches them")
    if "reconciledSeconds" in answer:
        since = answer["reconciledSeconds"]
        said = "no pass of `mlgen ledger reconcile` ended well yet" if since is None else f"{since} s ago"
        late = since is None or since > SILENCE_SECONDS
        lines.append(f"told     {said}{'; does its CronJob run? (kubectl get cronjobs,jobs,pods)' if late else ''}")
    return lines
