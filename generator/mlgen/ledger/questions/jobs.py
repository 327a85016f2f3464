"""What jobs of other producers read and made, as imported events tell it; asked for by places.

Several events (START, COMPLETE) tell of one run of a job. They name places without digests: which bytes lay there when
nobody knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mlgen.ledger.index.history import History
from mlgen.ledger.index.schema import MADE, READ
from mlgen.ledger.questions.read import ArtifactId
from mlgen.ledger.records.artifact import spelled

# An end says more than what came before it or, by a clock that is wrong, after; of two, the later one.
_LAST = "e.type IN ('COMPLETE', 'FAIL', 'ABORT') DESC, e.at DESC, e.path DESC"


@dataclass(frozen=True, slots=True)
class JobRun:
    """A run of another producer's job. path, digest, event_time, state: of its last event.

    state: an eventType of OpenLineage; None where the event has none. inputs, outputs: places, of all its events.
    """

    run_id: str
    namespace: str
    name: str
    producer: str
    state: str | None
    event_time: str
    path: str
    digest: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def knows(history: History, uri: str) -> bool:
    """Whether a job of another producer read or made what lies at a place."""
    return bool(history.select("SELECT 1 FROM place WHERE uri = ?", uri))


def runs_at(history: History, uris: Iterable[str], side: int, most: int) -> Iterator[JobRun]:
    """The runs that read (side 0) or made (1) something at places, each once, the latest first.

    most: runs, and places of each on a side.
    """
    met: dict[str, int] = {}
    query = f"""SELECT e.run_id, max(e.at) AS last
        FROM place p CROSS JOIN flow f ON f.place = p.id AND f.side = {side:d} JOIN event e ON e.id = f.event
        WHERE p.uri IN (%s) GROUP BY e.run_id ORDER BY last DESC, e.run_id LIMIT {most:d}"""
    for run_id, last in history.of_ids(query, dict.fromkeys(map(spelled, uris))):
        met[run_id] = max(last, met.get(run_id, last))
    for run_id in sorted(met, key=lambda one: (-met[one], one))[:most]:
        yield _run(history, run_id, most)


def _run(history: History, run_id: str, most: int) -> JobRun:
    columns = "e.namespace, e.name, e.producer, e.type, e.time, e.path, e.digest"
    query = f"SELECT {columns} FROM event e WHERE e.run_id = ? ORDER BY {_LAST} LIMIT 1"
    ((namespace, name, producer, state, time, path, digest),) = history.select(query, run_id)
    query = """SELECT DISTINCT p.uri FROM event e JOIN flow f ON f.event = e.id AND f.side = ?
        JOIN place p ON p.id = f.place WHERE e.run_id = ? ORDER BY p.uri LIMIT ?"""
    inputs, outputs = (tuple(uri for (uri,) in history.select(query, side, run_id, most)) for side in (READ, MADE))
    return JobRun(run_id, namespace, name, producer, state, time, path, f"sha256:{digest.hex()}", inputs, outputs)


def artifacts_at(history: History, uri: str, most: int) -> list[ArtifactId]:
    """What may be meant by a place: the artifacts that records tell of there, else the place itself."""
    query = """SELECT a.digest FROM artifact a WHERE a.uri = ? AND EXISTS (
        SELECT 1 FROM touch t JOIN execution e ON e.id = t.execution AND e.counts WHERE t.artifact = a.id)
        ORDER BY a.digest LIMIT ?"""
    found = [ArtifactId(uri, f"sha256:{digest.hex()}") for (digest,) in history.select(query, uri, most)]
    return found or [ArtifactId(uri, "")]
