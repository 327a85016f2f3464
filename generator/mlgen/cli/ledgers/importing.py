"""`mlgen ledger import`: OpenLineage events of other producers, into the ledger by the way of all records."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Annotated, Any

import typer

from mlgen.cli.clock import SystemClock
from mlgen.cli.ledgers.folding import folded_answer, folded_lines, tell_refused
from mlgen.cli.ledgers.records import Records, open_records
from mlgen.cli.options import EnvOption, Format, FormatOption
from mlgen.cli.output import answer_json, note
from mlgen.cli.projects.workspace import Workspace
from mlgen.diagnostic import Misuse, visible
from mlgen.ledger.records.foreign import LeftOut, NotOpenLineage, read
from mlgen.store.threads import threads

SHOWN = 20  # places with something secret
_AT_ONCE, _AHEAD = 16, 64  # of 1 MiB at most


def import_events(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="NDJSON or JSON arrays; - is stdin.")],
    *,
    env: EnvOption = "local",
    form: FormatOption = Format.TEXT,
) -> None:
    """Take OpenLineage events of others.

    All that the files hold, or, where one is not OpenLineage, nothing. The same again changes nothing.
    """
    records = open_records(Workspace.around(), env)
    # What is read is kept beside, so that nothing is written before all is known to be right, and stdin is read once.
    with TemporaryFile() as kept:
        answer = _read_all(files, env, kept)
        kept.seek(0)
        _spool(records, kept)
    if records.in_cluster:  # who imports may have no credentials for the ledger, and the CronJob does
        _print(answer | {"waiting": answer["events"]}, form)
        return
    folded = records.fold(SystemClock().now())
    tell_refused(folded, env)
    _print(answer | folded_answer(folded), form)
    raise typer.Exit(1 if folded.conflicts or folded.refused else 0)


def _read_all(files: Sequence[Path], env: str, kept: IO[bytes]) -> dict[str, Any]:
    """Write the events of all files into one, a line each, and count them. Raises Misuse for what is no OpenLineage."""
    events = left_out = masked = 0
    for path in files:
        try:
            with _opened(path) as file:
                for one in read(file, env):
                    if isinstance(one, LeftOut):
                        left_out += 1
                        continue
                    events += 1
                    kept.write(one.data)
                    for finding in one.masked:
                        masked += 1
                        if masked <= SHOWN:
                            note(f"{path}:{one.place.line}:{one.place.column}: {finding}; the ledger has *** instead")
        except NotOpenLineage as error:
            where = f"{path}:{error.place.line}:{error.place.column}"
            fix = "nothing was imported; mend the file, or leave it out"
            raise Misuse("not-openlineage", f"{where}: {error}", fix=fix) from None
    return {"events": events, "leftOut": left_out, "masked": masked}


def _opened(path: Path) -> IO[bytes]:
    if str(path) == "-":
        return open(sys.stdin.fileno(), "rb", closefd=False)
    if not path.exists():
        raise Misuse("no-such-file", f"there is no file {path}")
    return path.open("rb")


def _spool(records: Records, lines: IO[bytes]) -> None:
    """Let each line wait, as it is."""
    with threads(_AT_ONCE) as pool:
        for window in _windows(lines):
            for _ in pool.map(records.put, window):
                pass


def _windows(lines: IO[bytes]) -> Iterator[list[bytes]]:
    while window := list(islice(lines, _AHEAD)):
        yield window


def _print(answer: dict[str, Any], form: Format) -> None:
    if form is Format.JSON:
        answer_json(answer)
        return
    lines = [f"read     {_count(answer['events'], 'event')}"]
    if answer["leftOut"]:
        lines.append(f"left out {_count(answer['leftOut'], 'event')} of jobs or datasets alone, which tell of no run")
    if answer["masked"]:
        lines.append(f"masked   {_count(answer['masked'], 'text')}, for looking secret")
    if "waiting" in answer:
        lines.append("spooled  they wait for the next fold in the cluster")
    else:
        lines += [f"folded   {line}" for line in folded_lines(answer)]
        lines.append(f"ledger   {answer['ledger'] or 'empty'}")
    sys.stdout.write("".join(visible(line) + "\n" for line in lines))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
