"""Where an artifact came from, and what was made of it: walks over the records, breadth first."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial

from mlgen.diagnostic import Misuse
from mlgen.ledger.artifact import Artifact
from mlgen.ledger.graph import Graph
from mlgen.ledger.query import find_run, find_runs
from mlgen.ledger.read import ArtifactId, History, Run, id_of
from mlgen.ledger.record import State

MOST_COMPARED = 2000  # spellings: each costs some 20 µs
_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{8,64})")
_OUT = re.compile(r"([a-z][a-z0-9-]*)/([a-z][a-z0-9-]*)/([a-z][a-z0-9_]*)(?:@(.+))?")


@dataclass(frozen=True, slots=True)
class Start:
    """What was asked for: artifacts, or all of a run."""

    artifacts: tuple[ArtifactId, ...] = ()
    run: Run | None = None


def find(
    history: History, wanted: str, path: str | None = None, digest_of: Callable[[], str | None] = lambda: None
) -> Start:
    """What an argument means: a digest or its beginning, a URI, `pipeline/task/out[@run]`, or a run.

    path: the argument as records would spell it, if it is a path. digest_of: asked at last, for the digest of what lies
    there; None where nothing does. Records of a cluster name the published copy of a file, which has its bytes.
    Without `@run`: of the run that completed last among those in which the task wrote that out.
    Raises Misuse "unknown-artifact", "ambiguous-artifact", "unknown-run", "ambiguous-run".
    """
    for uri in (path, wanted.removeprefix("file://")):
        if at := _known(history, partial(_is_at, uri)):
            return Start(at)
    if match := _OUT.fullmatch(wanted):
        return Start((_of_out(history, match),))
    if match := _DIGEST.fullmatch(wanted):
        beginning = f"sha256:{match[1]}"
        of_digest = _known(history, lambda artifact: artifact.digest.startswith(beginning))
        digests = sorted({artifact.digest for artifact in of_digest})
        if len(digests) > 1:
            fix = f"say more of it: {', '.join(digests[:4])}"
            raise Misuse("ambiguous-artifact", f'{len(digests)} digests begin with "{match[1]}"', fix=fix)
        if of_digest:
            return Start(of_digest)
    if find_runs(history, wanted):
        return Start(run=find_run(history, wanted))
    if at := _known(history, partial(_has_digest, digest_of())):
        return Start(at)
    raise _unknown(history, wanted, path)


def _is_at(uri: str | None, artifact: ArtifactId) -> bool:
    return artifact.uri == uri


def _has_digest(digest: str | None, artifact: ArtifactId) -> bool:
    return artifact.digest == digest


def _known(history: History, wanted: Callable[[ArtifactId], bool]) -> tuple[ArtifactId, ...]:
    """The artifacts that records name, those that were made first."""
    return tuple(dict.fromkeys(a for side in (history.producers, history.consumers) for a in side if wanted(a)))


def _of_out(history: History, wanted: re.Match[str]) -> ArtifactId:
    pipeline, task, out, of_run = wanted.groups()
    runs = [find_run(history, of_run)] if of_run else [r for r in history.runs if r.state is State.COMPLETE]
    for run in runs:
        for record in (e.record for e in run.outcomes):
            for artifact in record.outputs:
                if (run.pipeline, record.task, artifact.name) == (pipeline, task, out):
                    return id_of(artifact)
    raise _not_in(runs[0], task, out) if of_run and runs[0].pipeline == pipeline else _unknown(history, wanted[0])


def _not_in(run: Run, task: str, out: str) -> Misuse:
    """What to say when a run of that pipeline has no such artifact."""
    status = run.record.tasks.get(task) if run.record else None
    record = next((e.record for e in run.outcomes if e.record.task == task), None)
    if record is None and status is not None:
        what = f"{task} was skipped in {run.name}, or not started"
    elif record is None:
        what = f"the ledger knows of no task {task} in {run.name}"
    elif record.state is not State.COMPLETE:
        what = f"{task} {record.state.word} in {run.name}, so nothing that it wrote was kept"
    else:
        what = f'{task} made no artifact "{out}" in {run.name}'
    fix = f"`mlgen runs show {run.name}` says more; without @{run.name}, the last run that made it is meant"
    return Misuse("unknown-artifact", what, fix=fix)


def _unknown(history: History, wanted: str, path: str | None = None) -> Misuse:
    outs: dict[str, bool] = {}  # pipeline/task/out -> whether it is an artifact
    made_in: dict[str, str] = {}  # an artifact's -> the latest run that has it
    for run in history.runs:
        for record in (e.record for e in run.outcomes):
            task = f"{run.pipeline}/{record.task}"
            outs |= {f"{task}/{name}": False for name in (*record.values, *record.metrics)}
            outs |= {f"{task}/{artifact.name}": True for artifact in record.outputs}
            for artifact in record.outputs:
                made_in.setdefault(f"{task}/{artifact.name}", run.name)
    name = wanted.partition("@")[0]
    artifacts = [out for out, is_artifact in outs.items() if is_artifact]
    if wanted in made_in:
        what = f"no run that made {wanted} has completed"
        return Misuse("unknown-artifact", what, fix=f"name the run that is meant: {wanted}@{made_in[wanted]}")
    if outs.get(name) is False:
        fix = "it is a value, not an artifact: `mlgen runs show RUN` tells it"
    elif near := get_close_matches(name, artifacts, n=3) or (_near_uris(history, path) if path else []):
        fix = f"did you mean {', '.join(near)}?"
    elif artifacts:
        fix = f"a digest (8 hex digits or more), a URI, a run, or pipeline/task/out[@run] such as {artifacts[0]}"
    else:
        fix = "the ledger has no artifacts yet: `mlgen run FILE` makes some"
    return Misuse("unknown-artifact", f'the ledger knows of no artifact "{wanted}"', fix=fix)


def _near_uris(history: History, path: str) -> list[str]:
    """Recorded places that a path may have meant: of that file name, else of a like spelling."""
    uris = list(dict.fromkeys(a.uri for a in (*history.consumers, *history.producers)))
    same = [uri for uri in uris if uri.rpartition("/")[2] == path.rpartition("/")[2]]
    return same[:3] or get_close_matches(path, uris[:MOST_COMPARED], n=3)


def trace(history: History, start: Start, *, up: bool, down: bool, depth: int | None = None) -> Graph:
    """The lineage of what was asked for. depth: the most tasks on a way from there; None: all.

    up: with what went into it; down: with what was made of it. A run is there with all that its tasks read and made.
    """
    graph = Graph(history.commit)
    inputs = outputs = [_describe(history, artifact) for artifact in start.artifacts]
    seen: set[str] = set()
    if start.run is not None:
        seen = {e.path for e in start.run.outcomes}
        inputs = [a for e in start.run.outcomes for a in e.record.inputs]
        outputs = [a for e in start.run.outcomes for a in e.record.outputs]
        for execution in start.run.outcomes:
            task = graph.add_task(start.run, execution)
            graph.roots.append(task)
            for artifact in execution.record.inputs:
                graph.add_input(task, artifact)
            for artifact in execution.record.outputs:
                graph.add_output(task, artifact)
    else:
        graph.roots = [graph.add_artifact(artifact) for artifact in inputs]
    if up:
        _walk(history, graph, inputs, set(seen), depth, up=True)
    if down:
        _walk(history, graph, outputs, set(seen), depth, up=False)
    return graph


def _describe(history: History, artifact: ArtifactId) -> Artifact:
    """The artifact as its maker told of it, else as its first reader did."""
    told = [a for _, e in history.producers.get(artifact, ()) for a in e.record.outputs]
    told += [a for _, e in history.consumers.get(artifact, ()) for a in e.record.inputs]
    return next(a for a in told if id_of(a) == artifact)


def _walk(
    history: History, graph: Graph, start: Sequence[Artifact], seen: set[str], depth: int | None, *, up: bool
) -> None:
    """Add all that lies up or down from some artifacts, a level of tasks at a time. seen: paths of known records."""
    met, near, far = (
        (history.producers, graph.add_output, graph.add_input)
        if up
        else (history.consumers, graph.add_input, graph.add_output)
    )
    frontier = dict.fromkeys(map(id_of, start))
    level = 0
    while frontier and level != depth:
        level += 1
        reached: dict[ArtifactId, None] = {}
        for artifact in frontier:
            for run, execution in met.get(artifact, ()):
                task = graph.add_task(run, execution)
                inputs, outputs = execution.record.inputs, execution.record.outputs
                for told in outputs if up else inputs:
                    if id_of(told) == artifact:
                        near(task, told)
                if execution.path in seen:
                    continue
                seen.add(execution.path)
                for told in inputs if up else outputs:
                    far(task, told)
                    reached[id_of(told)] = None
        frontier = reached
