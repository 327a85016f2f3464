"""Whether the ledger tells of a run in a cluster; where it does not, why, and what will come of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from mlgen.cli.ledgers.elsewhere import LOOK_SECONDS, reached
from mlgen.cli.ledgers.records import Records
from mlgen.cluster.events import Outcome
from mlgen.diagnostic import CannotAnswer
from mlgen.git import branch_ref
from mlgen.ledger.records.task import State, run_folder

RECORD = "record"  # the finally task that keeps run.json and folds
_WAITS = "mlgen-runtime: the records wait in the spool: "  # how it says that the ledger did not take them


@dataclass(frozen=True, slots=True)
class Told:
    """commit: the ledger's that has the run; None where none has, as far as can be seen. lines: for people."""

    commit: str | None
    lines: tuple[str, ...]


def ask(records: Records, outcome: Outcome, said: Callable[[str], Sequence[str]]) -> Told:
    """What the ledger has of a run that has ended. said: task -> the last lines that its container of ours printed."""
    lines: list[str] = []
    try:
        if commit := _commit(records, outcome):
            return Told(commit, (commit,))
    except CannotAnswer as fault:
        lines += [f"cannot be read from here: {fault.message}", *(f"fix  {line}" for line in fault.fix.splitlines())]
    except OSError as error:
        lines += [f"cannot be read from here: {error}"]
    return Told(None, (*lines, *_unwritten(records, outcome, said, is_seen=not lines)))


def _unwritten(
    records: Records, outcome: Outcome, said: Callable[[str], Sequence[str]], *, is_seen: bool
) -> Iterator[str]:
    """is_seen: that the ledger has not the run; else it may have it, unless the run's last pod says otherwise."""
    env = records.environment.name
    ended = outcome.endings.get(RECORD)
    if ended is None or ended.state is not State.COMPLETE:
        what = "did not run" if ended is None else "could not keep what became of the run"
        yield f"not written: the finally task `{RECORD}` {what}"
        if ended is not None and ended.failure is not None:
            yield f"why  {ended.failure.message}"
        yield f"fix  the CronJob tells how each task ended, once it can; or `mlgen ledger reconcile --env {env}`"
        yield "     (of one that could keep no record: not what it measured or made)"
    elif waits := _reason(said(RECORD)):
        yield f"not written yet: the records wait in the bucket, for its pods could not write: {waits}"
        yield f"fix  once that is mended, the CronJob lands them each minute, or `mlgen ledger fold --env {env}`"
    elif is_seen:
        yield "not written yet: the records wait in the bucket"
        yield f"fix  the CronJob lands them each minute, or `mlgen ledger fold --env {env}`"


def _reason(lines: Iterable[str]) -> str:
    return next((line.removeprefix(_WAITS) for line in lines if line.startswith(_WAITS)), "")


def _commit(records: Records, outcome: Outcome) -> str | None:
    """The ledger's commit, where it has the run.json of the run. Raises CannotAnswer where it cannot be asked."""
    ended = datetime.fromisoformat(outcome.ended_at) if outcome.ended_at else datetime.now(UTC)
    # The record goes by the clock of its pod.
    days = [(ended + timedelta(days=days)).isoformat() for days in (0, -1, 1)]
    env = records.environment.name
    paths = [f"{run_folder(day, env, outcome.run, outcome.uid)}/run.json" for day in days]
    with reached(records.ledger, seconds=LOOK_SECONDS) as remote, remote.reader() as look:
        tip = remote.tip(branch_ref(records.branch))
        return tip if tip is not None and look.files(tip, paths) else None
