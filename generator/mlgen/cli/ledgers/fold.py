"""`mlgen ledger fold`: land what waits in the spool, say what waits, try again what was refused, or throw it away."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

import typer

from mlgen.cli.clock import SystemClock
from mlgen.cli.ledgers.elsewhere import READ_MIB
from mlgen.cli.ledgers.folding import SHOWN, folded_answer, folded_lines, tell_refused
from mlgen.cli.ledgers.records import Records, open_records
from mlgen.cli.options import EnvOption, Format, FormatOption
from mlgen.cli.output import answer_json, coloured
from mlgen.cli.projects.workspace import Workspace
from mlgen.diagnostic import CannotAnswer, Misuse, visible
from mlgen.ledger import passes
from mlgen.ledger.folding.fold import Load
from mlgen.ledger.folding.spool import DEAD, Spool

SILENCE_SECONDS = 600  # since the last pass of a CronJob that has one each minute, until something is wrong
LOAD = Load(records=20_000, size_bytes=64 << 20)  # after an outage: fewer pushes, as each waits for its turn
PATIENCE_SECONDS = 10.0  # with a bucket that is away, of somebody who only looks
NAMED = 1000  # refused records of which `--format json` says why
FOLD_SECONDS = 3600.0  # with a person's time, and memory; what is landed meanwhile is landed


def fold(
    *,
    status: Annotated[bool, typer.Option("--status", help="Only say what waits, and for how long.")] = False,
    dead: Annotated[bool, typer.Option("--dead", help="Try once more what was refused, too.")] = False,
    forget: Annotated[
        list[str] | None,
        typer.Option("--forget", metavar="KEY", help="Throw a refused record away, for good. May be given repeatedly."),
    ] = None,
    env: EnvOption = "local",
    form: FormatOption = Format.TEXT,
) -> None:
    """Land what waits in the spool. Exit 1 if a record could not land for good: it is kept in _ledger/dead/."""
    if status + dead + bool(forget) > 1:
        raise Misuse("options", "--status, --dead and --forget exclude each other", fix="ask for one of them")
    records = open_records(Workspace.around(), env)
    if status:
        answer, fault = _status(records)
        _print(answer, form, is_known=fault is None)
        if fault is not None:
            raise fault
        return
    if forget:
        _print({"forgotten": _forget(records, forget)}, form)
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


def _status(records: Records) -> tuple[dict[str, Any], CannotAnswer | None]:
    """(what waits and what was refused, why the tip is not known): a backlog is looked at while Git is away."""
    store = records.open_at(records.environment.artifacts, patience_seconds=PATIENCE_SECONDS)
    spool = Spool(store)
    waiting, strays = spool.listing()
    dead = spool.dead()
    why = zip(dead, spool.reasons(dead[:NAMED]), strict=False)
    found: dict[str, Any] = {
        "waiting": len(waiting),
        "oldestSeconds": _age(min((item.kept_at for item in waiting), default=None)),
        "dead": len(dead),
        "refused": [{"key": key, "code": code, "message": message} for key, (code, message) in why],
        "strays": len(strays),
        "ledger": None,
    }
    if records.in_cluster:
        found["reconciledSeconds"] = _age(passes.last(store, records.environment.name))
    try:
        found["ledger"] = records.tip()
    except CannotAnswer as fault:
        return found, fault
    return found, None


def _forget(records: Records, names: list[str]) -> list[str]:
    """The keys of the refused records that were thrown away; all of them are there, or none is touched."""
    dead = set(records.spool.dead())
    keys = [name if name.startswith(f"{DEAD}/") else f"{DEAD}/{name}" for name in names]
    for key in keys:
        if key not in dead:
            fix = f"`mlgen ledger fold --status --env {records.environment.name}` names them"
            raise Misuse("unknown-record", f"no refused record has the key {key}", fix=fix)
    records.spool.forget_dead(keys)
    return keys


def _age(since: datetime | None) -> int | None:
    """Seconds, never negative: clocks differ."""
    return None if since is None else max(0, round((SystemClock().now() - since).total_seconds()))


def _print(answer: dict[str, Any], form: Format, *, is_known: bool = True) -> None:
    """is_known: whether the ledger could be asked for its tip."""
    if form is Format.JSON:
        answer_json(answer)
        return
    if "forgotten" in answer:
        lines = [f"forgotten  {key}" for key in answer["forgotten"]]
    else:
        lines = _status_lines(answer) if "waiting" in answer else folded_lines(answer)
        lines.append(f"ledger  {(answer['ledger'] or 'empty') if is_known else 'not known now'}")
    sys.stdout.write("".join(visible(line) + "\n" for line in lines))


def _status_lines(answer: dict[str, Any]) -> list[str]:
    age = answer["oldestSeconds"]
    waiting = f"{answer['waiting'] or 'none'}{'' if age is None else f', the oldest for {age} s'}"
    dead = f"{answer['dead']}; --dead tries them again, --forget KEY throws one away" if answer["dead"] else "none"
    lines = [f"waiting  {waiting}", f"refused  {dead}"]
    for one in answer["refused"][:SHOWN]:
        lines += [
            f"         {one['key']}",
            f"           {one['code'] or 'nothing says why'}  {one['message']}".rstrip(),
        ]
    if answer["dead"] > SHOWN:
        lines.append(f"         and {answer['dead'] - SHOWN} more: `--format json` names {NAMED:,}")
    if answer["strays"]:
        files = "1 file that is no record" if answer["strays"] == 1 else f"{answer['strays']} files that are no records"
        lines.append(f"strays   {files} of ours; nothing touches them")
    if "reconciledSeconds" in answer:
        since = answer["reconciledSeconds"]
        said = "no pass of `mlgen ledger reconcile` ended well yet" if since is None else f"{since} s ago"
        late = since is None or since > SILENCE_SECONDS
        lines.append(f"told     {said}{'; does its CronJob run? (kubectl get cronjobs,jobs,pods)' if late else ''}")
    return lines
