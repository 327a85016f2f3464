"""Questions about runs: which there were, what one did, how two differ."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from string import ascii_lowercase
from typing import Any

from mlgen.canonical import Json
from mlgen.diagnostic import Misuse
from mlgen.ledger.index.history import LATEST, History
from mlgen.ledger.questions.read import Run, id_of
from mlgen.ledger.records import run as run_json
from mlgen.ledger.records.task import TaskRecord

MOST_FOUND = 100  # runs that a beginning may mean
MOST_COMPARED = 2000  # spellings: each costs some 20 µs
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
LAST = "\U0010ffff"  # sorts after every text that goes on


def find_run(history: History, wanted: str) -> Run:
    """The run of that name, uid, or unique beginning of either. Raises Misuse "unknown-run", "ambiguous-run"."""
    found = find_runs(history, wanted)
    if len(found) == 1:
        return found[0]
    if found:
        count = f"{len(found)} runs" if len(found) < MOST_FOUND else f"{MOST_FOUND} runs and more"
        raise Misuse(
            "ambiguous-run",
            f'"{wanted}" may be any of {count}',
            fix="say one of " + ", ".join(f"{run.uid} ({run.name})" for run in found[:5]),
        )
    raise unknown_run(history, wanted)


def find_runs(history: History, wanted: str) -> list[Run]:
    """The runs that a text may mean: those of just that name or uid, else those whose name or uid begins so.

    The latest first, MOST_FOUND at most.
    """
    order = f"ORDER BY {LATEST} LIMIT {MOST_FOUND}"
    name, _, uid = wanted.rpartition(".")
    exact = history.select_runs(
        f"WHERE r.name = ? OR r.uid = ? OR (r.name = ? AND substr(r.uid, 1, 8) = ?) {order}", wanted, wanted, name, uid
    )
    if exact or not wanted:
        return exact
    beyond = wanted + LAST
    return history.select_runs(
        f"WHERE (r.uid >= ? AND r.uid < ?) OR (r.name >= ? AND r.name < ?) {order}", wanted, beyond, wanted, beyond
    )


def run_of(history: History, uid: str) -> Run | None:
    """The run of that uid, with its executions."""
    return next(iter(history.whole_runs("WHERE r.uid = ?", uid)), None)


def makers(history: History, records: Iterable[TaskRecord]) -> dict[str, str]:
    """Of records of what was taken from the cache, who made it: the execution's id -> such as `train[3] of first`."""
    query = "SELECT e.run_id, r.name, e.task, e.item FROM execution e JOIN run r ON r.id = e.run WHERE e.run_id IN (%s)"
    ids = {record.original_run_id for record in records if record.original_run_id is not None}
    return {run_id: _made(run, task, item) for run_id, run, task, item in history.of_ids(query, sorted(ids))}


def _made(run: str, task: str, item: int | None) -> str:
    return f"{task}{'' if item is None else f'[{item}]'} of {run}"


def _executed(history: History, wanted: str) -> tuple[str, str] | None:
    """Of an execution of that id, what it was, and its run; None where there is none."""
    if not _UUID.fullmatch(wanted):
        return None
    query = "SELECT r.name, e.task, e.item, r.uid FROM execution e JOIN run r ON r.id = e.run WHERE e.run_id = ?"
    for run, task, item, uid in history.select(f"{query} LIMIT 1", wanted):
        return _made(run, task, item), uid if len(find_runs(history, run)) > 1 else run
    return None


def unknown_run(history: History, wanted: str) -> Misuse:
    """What to say when there is no such run."""
    executed = _executed(history, wanted)
    if executed is not None:
        what, run = executed
        return Misuse("unknown-run", f"{wanted} is no run, but {what}", fix=f"`mlgen runs show {run}`")
    latest = history.select(f"SELECT r.name FROM run r ORDER BY {LATEST} LIMIT {MOST_COMPARED}")
    names = list(dict.fromkeys(name for (name,) in latest))
    near = get_close_matches(wanted, names, n=3)
    if near:
        fix = f"did you mean {', '.join(near)}?"
    else:
        fix = (
            f"the latest: {', '.join(names[:3])}; `mlgen runs list` has all" if names else "the ledger has no runs yet"
        )
    return Misuse("unknown-run", f'the ledger has no run "{wanted}"', fix=fix)


def summary(run: Run) -> dict[str, Json]:
    """The keys of run.json. Of a run without one: what its executions say, with nothing about its state and tasks."""
    if run.record is not None:
        return run_json.to_json(run.record)
    first = run.outcomes[0].record
    return {
        "run": run.name,
        "uid": run.uid,
        "pipeline": run.pipeline,
        "env": run.env,
        "state": None,
        "startedAt": first.started_at,
        "endedAt": None,
        "params": dict(first.params),
        "tasks": {},
        "specDigest": first.spec_digest,
        "commit": first.source.commit if first.source else None,
    }


def show_run(history: History, run: Run) -> dict[str, Any]:
    """run.json's keys, the OpenLineage events of all executions, and the ledger's commit."""
    return {**summary(run), "records": history.events(run.executions), **history.rests_on}


def compare_runs(history: History, runs: Sequence[Run]) -> dict[str, Any]:
    """Runs side by side, called by letters: a, b, and so on. Each entry is `{"a": …, "b": …}`, null where one has none.

    madeBy: pipeline, commit, digests of spec and plan; params by name; code (digests), images and states by task;
    metrics, values, artifacts (digests) by "task.out", of an item by "task[3].out"; inputs (digests of what no task of
    the run made) by "task.in".
    """
    letters = ascii_lowercase[: len(runs)]
    sides = {letter: _side(run) for letter, run in zip(letters, runs, strict=True)}
    tables = {}
    for table in sides["a"]:
        names = sorted({name for side in sides.values() for name in side[table]})
        tables[table] = {name: {letter: side[table].get(name) for letter, side in sides.items()} for name in names}
    return {**dict(zip(letters, map(summary, runs), strict=True)), **tables, **history.rests_on}


def _side(run: Run) -> dict[str, Mapping[str, Json]]:
    states: dict[str, Json] = {}
    if run.record is not None:
        states = {name: task.reason or task.status for name, task in run.record.tasks.items() if task.status == "None"}
    metrics: dict[str, Json] = {}
    values: dict[str, Json] = {}
    artifacts: dict[str, Json] = {}
    inputs: dict[str, Json] = {}
    made = {id_of(artifact) for e in run.outcomes for artifact in e.record.outputs}
    code: dict[str, Json] = {}
    images: dict[str, Json] = {}
    for record in (e.record for e in run.outcomes):
        task = record.label
        states[task] = str(record.state)
        metrics |= {f"{task}.{name}": value for name, value in record.metrics.items()}
        variables = record.item.values if record.item is not None else {}
        values |= {f"{task}.{name}": value for name, value in {**variables, **record.values}.items()}
        artifacts |= {f"{task}.{artifact.name}": artifact.digest for artifact in record.outputs}
        inputs |= {f"{record.task}.{a.name}": a.digest for a in record.inputs if id_of(a) not in made}
        code[record.task] = record.code_digest
        images[record.task] = record.image_digest or record.image
    about = summary(run)
    made_by = {key: about[key] for key in ("pipeline", "commit", "specDigest")}
    # Of a run that started no task nobody knows the plan: run.json has no digest of it.
    made_by["planDigest"] = run.outcomes[0].record.plan_digest if run.outcomes else None
    return {
        "madeBy": made_by,
        "params": run.record.params if run.record else run.outcomes[0].record.params,
        "inputs": inputs,
        "code": _told(code),
        "images": _told(images),
        "metrics": metrics,
        "values": values,
        "artifacts": artifacts,
        "states": states,
    }


def _told(found: Mapping[str, Json]) -> Mapping[str, Json]:
    return {name: value for name, value in found.items() if value is not None}
