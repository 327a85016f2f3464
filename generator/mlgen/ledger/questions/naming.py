"""What a person may call an artifact, and what is offered where the ledger knows of none."""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches

from mlgen.diagnostic import Misuse
from mlgen.ledger.index.history import LATEST, History
from mlgen.ledger.index.schema import MADE, READ
from mlgen.ledger.questions import jobs
from mlgen.ledger.questions.items import winner
from mlgen.ledger.questions.lineage import Start
from mlgen.ledger.questions.query import MOST_COMPARED, find_run, find_runs, run_of
from mlgen.ledger.questions.read import ArtifactId, Run, id_of
from mlgen.ledger.records.artifact import spelled
from mlgen.ledger.records.task import State

MOST_AT = 100  # artifacts that one text may mean: of a file that was read again and again as it changed
_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{8,64})")
_OUT = re.compile(r"([a-z][a-z0-9-]*)/([a-z][a-z0-9-]*)(?:\[(\d{1,9})\])?/([a-z][a-z0-9_]*)(?:@(.+))?")


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
        if uri is not None and (at := _known(history, "a.uri = ?", uri)):
            return Start(at)
        if uri is not None and jobs.knows(history, spelled(uri)):
            return Start(tuple(jobs.artifacts_at(history, spelled(uri), MOST_AT)))
    if match := _OUT.fullmatch(wanted):
        return Start((_of_out(history, match),))
    if match := _DIGEST.fullmatch(wanted):
        of_digest = _of_digest(history, match[1])
        digests = sorted({artifact.digest for artifact in of_digest})
        if len(digests) > 1:
            fix = f"say more of it: {', '.join(digests[:4])}"
            raise Misuse("ambiguous-artifact", f'{len(digests)} digests begin with "{match[1]}"', fix=fix)
        if of_digest:
            return Start(of_digest)
    if find_runs(history, wanted):
        return Start(run=find_run(history, wanted))
    digest = digest_of()
    if digest is not None and (at := _of_digest(history, digest.removeprefix("sha256:"))):
        return Start(at)
    raise _unknown(history, wanted, path)


def _of_digest(history: History, beginning: str) -> tuple[ArtifactId, ...]:
    first, last = (bytes.fromhex(beginning.ljust(64, digit)) for digit in "0f")
    return _known(history, "a.digest BETWEEN ? AND ?", first, last)


def _known(history: History, condition: str, *parameters: object) -> tuple[ArtifactId, ...]:
    """The artifacts that outcomes name, those that one made first; MOST_AT at most."""
    touched = """EXISTS (SELECT 1 FROM touch t JOIN execution e ON e.id = t.execution AND e.counts
        WHERE t.artifact = a.id AND t.side = %d)"""
    query = f"""SELECT made, uri, digest FROM (
            SELECT a.uri, a.digest, CASE WHEN {touched % MADE} THEN 1 WHEN {touched % READ} THEN 0 END AS made
            FROM artifact a WHERE {condition} LIMIT {10 * MOST_AT})
        WHERE made IS NOT NULL ORDER BY made DESC, uri, digest LIMIT {MOST_AT}"""
    return tuple(ArtifactId(uri, f"sha256:{digest.hex()}") for _, uri, digest in history.select(query, *parameters))


def _of_out(history: History, wanted: re.Match[str]) -> ArtifactId:
    pipeline, task, item, out, of_run = wanted.groups()
    run = find_run(history, of_run) if of_run else None
    query = f"""SELECT a.uri, a.digest, e.item, r.uid FROM run r JOIN execution e ON e.run = r.id AND e.counts
        JOIN touch t ON t.execution = e.id AND t.side = {MADE} JOIN artifact a ON a.id = t.artifact
        WHERE r.pipeline = ?1 AND e.task = ?2 AND t.name = ?3
            AND (r.uid = ?4 OR (?4 IS NULL AND r.state = '{State.COMPLETE}')) AND (?5 IS NULL OR e.item = ?5)
        ORDER BY {LATEST}, e.item LIMIT 1"""
    asked = (pipeline, task, out, run.uid if run else None, None if item is None else int(item))
    for uri, digest, found, uid in history.select(query, *asked):
        if found is not None and item is None:
            return _of_winner(history, uid, task, out, wanted[0])
        return ArtifactId(uri, f"sha256:{digest.hex()}")
    raise _not_in(run, task, out) if run and run.pipeline == pipeline else _unknown(history, wanted[0])


def _of_winner(history: History, uid: str, task: str, out: str, wanted: str) -> ArtifactId:
    """Of a task that ran many times, what the winner left. Raises Misuse where there is none."""
    run = run_of(history, uid)
    best = winner(run.outcomes, task) if run is not None else None
    for artifact in best.record.outputs if best is not None else ():
        if artifact.name == out:
            return id_of(artifact)
    fix = f"say which item: {wanted.replace(f'/{task}/', f'/{task}[0]/', 1)}"
    raise Misuse("ambiguous-artifact", f"{task} ran many times, and nothing says which item is the best", fix=fix)


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
    name = wanted.partition("@")[0]
    artifacts = [
        f"{pipeline}/{task}/{out}"
        for pipeline, task, out in history.select(
            f"SELECT DISTINCT pipeline, task, name FROM name WHERE kind = 'outs' LIMIT {MOST_COMPARED}"
        )
    ]
    if made_in := _latest_that_made(history, wanted):
        what = f"no run that made {wanted} has completed"
        return Misuse("unknown-artifact", what, fix=f"name the run that is meant: {wanted}@{made_in}")
    if _is_value(history, name):
        fix = "it is a value, not an artifact: `mlgen runs show RUN` tells it"
    elif near := get_close_matches(name, artifacts, n=3) or (_near_uris(history, path) if path else []):
        fix = f"did you mean {', '.join(near)}?"
    elif artifacts:
        fix = f"a digest (8 hex digits or more), a URI, a run, or pipeline/task/out[@run] such as {artifacts[0]}"
    else:
        fix = "the ledger has no artifacts yet: `mlgen run FILE` makes some"
    return Misuse("unknown-artifact", f'the ledger knows of no artifact "{wanted}"', fix=fix)


def _latest_that_made(history: History, wanted: str) -> str | None:
    """The latest run in which pipeline/task/out was made."""
    query = f"""SELECT r.name FROM run r JOIN execution e ON e.run = r.id AND e.counts
        JOIN touch t ON t.execution = e.id AND t.side = {MADE}
        WHERE r.pipeline = ? AND e.task = ? AND t.name = ? ORDER BY {LATEST} LIMIT 1"""
    parts = wanted.split("/")
    found = history.select(query, *parts) if len(parts) == 3 else []
    return str(found[0][0]) if found else None


def _is_value(history: History, name: str) -> bool:
    query = "SELECT 1 FROM name WHERE kind IN ('metrics', 'values') AND pipeline = ? AND task = ? AND name = ? LIMIT 1"
    parts = name.split("/")
    return len(parts) == 3 and bool(history.select(query, *parts))


def _near_uris(history: History, path: str) -> list[str]:
    """Recorded places that a path may have meant: of that file name, else of a like spelling; of the latest ones."""
    found = history.select(f"SELECT uri FROM artifact ORDER BY id DESC LIMIT {MOST_COMPARED}")
    uris = list(dict.fromkeys(uri for (uri,) in found))
    same = [uri for uri in uris if uri.rpartition("/")[2] == path.rpartition("/")[2]]
    return same[:3] or get_close_matches(path, uris, n=3)
