"""What became of the items of late tasks, in the bucket: how a reader learns what no Tekton result can tell it.

`_outcomes/<pipeline>/<run uid>/<task>/<index>-<attempt>.<8 hex>.json` below the environment's artifacts (decision
0031), put once the execution's record is durable; of one that failed in a folder `failed` there, of its last attempt as
`….last.json`, so that how many items failed is known without reading any. A single execution of a late task that is no
fan has index 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mlgen import canonical
from mlgen.canonical import Json
from mlgen.ledger.records.fields import RUN_ID, BadRecord, loads
from mlgen.ledger.records.task import State
from mlgen.search.model import Report

PREFIX = "_outcomes"
_COUNTED = re.compile(r"([1-9][0-9]{0,8})\.json")
LAST = ".last.json"  # ends the name of the outcome of an item that has failed with all its attempts
VERSION = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one execution ended. texts: of outs, as results have them: None for an optional one not written.

    values: of the fan's variables, parsed. metrics: parsed, by the name of the out. Only a COMPLETE one has texts.
    of: how many items there are. pruned, reports: of a search's trial (decision 0032); one that was pruned is ABORT.
    looked_up: by a pod that only looks into the cache (decision 0033).
    """

    index: int
    attempt: int
    run_id: str
    state: State
    texts: Mapping[str, str | None]
    values: Mapping[str, Json]
    metrics: Mapping[str, Json]
    of: int = 1
    pruned: bool = False
    reports: tuple[Report, ...] = ()
    looked_up: bool = False


def folder(pipeline: str, run_uid: str, task: str) -> str:
    """Where the outcomes of a task in a run lie, below the artifacts."""
    return f"{PREFIX}/{pipeline}/{run_uid}/{task}"


def key(pipeline: str, run_uid: str, task: str, outcome: Outcome, *, last: bool = False) -> str:
    """Where one outcome lies, below the artifacts. last: whether its item failed, and no other attempt follows."""
    where = (
        folder(pipeline, run_uid, task) if outcome.state is not State.FAIL else failed_folder(pipeline, run_uid, task)
    )
    return f"{where}/{outcome.index}-{outcome.attempt}.{outcome.run_id[:8]}{LAST if last else '.json'}"


def failed_folder(pipeline: str, run_uid: str, task: str) -> str:
    """Where the outcomes of executions that failed lie."""
    return f"{folder(pipeline, run_uid, task)}/failed"


def index_and_attempt(key: str) -> tuple[int, int]:
    """Of an outcome's key."""
    index, _, rest = key.rpartition("/")[2].partition("-")
    return int(index), int(rest.partition(".")[0])


def count_folder(pipeline: str, run_uid: str, task: str) -> str:
    """Where it is told how many items a fan has, where only the run knows: in `1.json`, and the last number counts.

    A producer's later attempt may make another list; and what is told is neither replaced nor deleted.
    """
    return f"{folder(pipeline, run_uid, task)}/items"


def count_key(pipeline: str, run_uid: str, task: str, number: int) -> str:
    """Where it is told for the nth time, from 1, how many items a fan has."""
    return f"{count_folder(pipeline, run_uid, task)}/{number}.json"


def count_number(key: str) -> int:
    """Of a key below `count_folder`; 0 for one that is not ours."""
    match = _COUNTED.fullmatch(key.rpartition("/")[2])
    return int(match[1]) if match else 0


def to_bytes(outcome: Outcome) -> bytes:
    """Canonical JSON: told twice, the same object."""
    return canonical.encode(
        {
            "version": VERSION,
            "index": outcome.index,
            "attempt": outcome.attempt,
            "runId": outcome.run_id,
            "state": str(outcome.state),
            "texts": outcome.texts,
            "values": outcome.values,
            "metrics": outcome.metrics,
            "of": outcome.of,
            **({"pruned": True} if outcome.pruned else {}),
            **({"lookedUp": True} if outcome.looked_up else {}),
            **({"reports": [list(report) for report in outcome.reports]} if outcome.reports else {}),
        }
    )


def from_bytes(data: bytes) -> Outcome:
    """The inverse. Raises BadRecord for what is no outcome."""
    fields = loads(data)
    if fields.integer("version") > VERSION:
        raise BadRecord("the outcome was written by a newer mlgen: upgrade the runtime image")
    texts = fields.mapping("texts")
    if not all(text is None or isinstance(text, str) for text in texts.values()):
        raise BadRecord("texts are not texts")
    try:
        state = State(fields.text("state"))
    except ValueError:
        raise BadRecord("state is none") from None
    return Outcome(
        fields.integer("index"),
        fields.integer("attempt"),
        fields.text("runId", RUN_ID),
        state,
        {name: text if isinstance(text, str) else None for name, text in texts.items()},
        fields.mapping("values"),
        fields.mapping("metrics"),
        fields.integer("of"),
        fields.get("pruned") is True,
        tuple(_reports(fields.get("reports") or [])),
        fields.get("lookedUp") is True,
    )


def _reports(found: object) -> Iterator[Report]:
    for report in found if isinstance(found, list) else ():
        if not isinstance(report, list) or list(map(type, report)) not in ([int, float], [int, int]):
            raise BadRecord("reports are none")
        yield report[0], float(report[1])


def latest(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """One outcome an item, in order: that of its highest attempt; of equals a COMPLETE one, then by runId.

    What was only looked up comes after all others, whichever attempt of the looking it was: where the task's own pod
    ran, a later look had found nothing, and the bytes of the earlier one may be gone.
    """
    best: dict[int, Outcome] = {}

    def rank(one: Outcome) -> tuple[bool, int, bool, str]:
        return not one.looked_up, one.attempt, one.state is State.COMPLETE, one.run_id

    for outcome in outcomes:
        if outcome.index not in best or rank(outcome) > rank(best[outcome.index]):
            best[outcome.index] = outcome
    return [best[index] for index in sorted(best)]


def winner(outcomes: Iterable[Outcome], metric: str, *, highest: bool) -> Outcome | None:
    """The item with the best metric, of equals that of the lowest index; None where none that succeeded has it."""
    best: tuple[float, Outcome] | None = None
    for outcome in latest(outcomes):
        value = outcome.metrics.get(metric)
        if outcome.state is not State.COMPLETE or isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if best is None or (value > best[0] if highest else value < best[0]):
            best = (value, outcome)
    return best[1] if best else None
