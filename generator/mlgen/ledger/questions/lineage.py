"""Where an artifact came from, and what was made of it: walks over the records, breadth first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from mlgen.ledger.index import rows
from mlgen.ledger.index.history import History
from mlgen.ledger.index.schema import MADE, READ
from mlgen.ledger.questions import jobs
from mlgen.ledger.questions.graph import Graph
from mlgen.ledger.questions.read import ArtifactId, Execution, Run, id_of
from mlgen.ledger.records.artifact import Artifact, spelled

MOST_NODES = 10_000  # of a graph that people or programs look at; what is used everywhere leads to all there is


@dataclass(frozen=True, slots=True)
class Start:
    """What was asked for: artifacts, or all of a run."""

    artifacts: tuple[ArtifactId, ...] = ()
    run: Run | None = None


def trace(
    history: History, start: Start, *, up: bool, down: bool, depth: int | None = None, most: int = MOST_NODES
) -> Graph:
    """The lineage of what was asked for. depth: the most tasks on a way from there; None: all.

    up: with what went into it; down: with what was made of it. A run is there with all that its tasks read and made.
    most: nodes; a graph that would have more is cut there, and says so.
    """
    walk = _Walk(history, Graph(history.commit), most)
    inputs = outputs = [walk.start(artifact) for artifact in start.artifacts]
    if start.run is not None:
        outcomes = start.run.outcomes
        inputs = [a for e in outcomes for a in e.record.inputs]
        outputs = [a for e in outcomes for a in e.record.outputs]
        walk.ids = history.artifact_ids(map(id_of, (*inputs, *outputs)))
        walk.graph.roots = [walk.add(start.run, execution) for execution in outcomes]
    else:
        walk.graph.roots = [walk.graph.add_artifact(artifact) for artifact in inputs]
    known = frozenset(e.path for e in start.run.outcomes) if start.run else frozenset()
    if up:
        walk.follow(inputs, known, depth, up=True)
    if down:
        walk.follow(outputs, known, depth, up=False)
    return walk.graph


def described(history: History, artifact: ArtifactId) -> tuple[int | None, Artifact]:
    """The id of its row, and the artifact as its maker told of it, else as its first reader did.

    Of a place that only other producers tell of: no id, and its last part as a name.
    """
    if not artifact.digest:
        return None, Artifact(artifact.uri.rpartition("/")[2] or artifact.uri, artifact.uri, "", 0, "", "")
    query = f"""SELECT a.id, {rows.ARTIFACT} FROM artifact a JOIN touch t ON t.artifact = a.id
        JOIN execution e ON e.id = t.execution AND e.counts
        WHERE a.uri = ? AND a.digest = ? AND t.side = ? ORDER BY e.started, e.digest, t.at LIMIT 1"""
    digest = bytes.fromhex(artifact.digest[7:])
    for side in (MADE, READ):
        for key, *row in history.select(query, artifact.uri, digest, side):
            return key, rows.artifact(tuple(row))
    raise ValueError(f"the index has no {artifact.uri}")


@dataclass(slots=True)
class _Walk:
    """A graph that grows by a level of tasks at a time.

    ids: of the rows of artifacts that were met; places that only other producers tell of have none.
    """

    history: History
    graph: Graph
    most: int
    ids: dict[ArtifactId, int] = field(default_factory=dict)

    def start(self, artifact: ArtifactId) -> Artifact:
        """An artifact that no execution led to."""
        key, found = described(self.history, artifact)
        if key is not None:
            self.ids[artifact] = key
        return found

    def add(self, run: Run, execution: Execution) -> str:
        """A task with all that it read and made."""
        task = self.graph.add_task(run, execution)
        for artifact in execution.record.inputs:
            self.graph.add_input(task, artifact)
        for artifact in execution.record.outputs:
            self.graph.add_output(task, artifact)
        return task

    def follow(self, start: Sequence[Artifact], known: frozenset[str], depth: int | None, *, up: bool) -> None:
        """Add all that lies up or down from some artifacts. known: paths of records that were followed already."""
        add_near, add_far = (
            (self.graph.add_output, self.graph.add_input) if up else (self.graph.add_input, self.graph.add_output)
        )
        seen = set(known)
        frontier = dict.fromkeys(map(id_of, start))
        level = 0
        while frontier and level != depth:
            level += 1
            reached: dict[ArtifactId, None] = {}
            for met in self._tasks(frontier, up=up):
                if len(self.graph.nodes) + 2 + len(met.far) > self.most:
                    self.graph.cut = True
                    return
                task = met.add()
                for artifact in met.near:
                    if id_of(artifact) in frontier:
                        add_near(task, artifact)
                if met.path in seen:
                    continue
                seen.add(met.path)
                for artifact in met.far:
                    add_far(task, artifact)
                    reached[id_of(artifact)] = None
            frontier = reached

    def _tasks(self, frontier: Iterable[ArtifactId], *, up: bool) -> Iterator[_Met]:
        """What made (up) or read some artifacts: executions, then jobs of other producers."""
        side = MADE if up else READ
        known = [self.ids[one] for one in frontier if one in self.ids]
        for run, execution in self.history.outcomes_at(known, side, self.most, self.ids):
            inputs, outputs = execution.record.inputs, execution.record.outputs
            near, far = (outputs, inputs) if up else (inputs, outputs)
            yield _Met(execution.path, partial(self.graph.add_task, run, execution), near, far)
        for job in jobs.runs_at(self.history, (one.uri for one in frontier), side, self.most):
            at, beyond = (job.outputs, job.inputs) if up else (job.inputs, job.outputs)
            places = frozenset(at)
            meant = (one for uri in beyond for one in jobs.artifacts_at(self.history, uri, self.most))
            yield _Met(
                job.path,
                partial(self.graph.add_job_run, job),
                [self.start(one) for one in frontier if spelled(one.uri) in places],
                [self.start(one) for one in islice(meant, self.most)],
            )


@dataclass(frozen=True, slots=True)
class _Met:
    """A task on the way. path: of its record, or last event. near: what it was met by, among others; far: beyond it.

    add: adds its node to the graph, and gives that's id.
    """

    path: str
    add: Callable[[], str]
    near: Sequence[Artifact]
    far: Sequence[Artifact]
