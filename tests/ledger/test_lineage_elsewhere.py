"""Lineage beyond mlgen: walks go on through what imported events tell of other producers' jobs."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgen import git
from mlgen.diagnostic import Misuse
from mlgen.ledger.index import events
from mlgen.ledger.index.history import History, read
from mlgen.ledger.index.kept import Keeping
from mlgen.ledger.questions import jobs
from mlgen.ledger.questions.drawing import to_dot, to_mermaid, to_tree
from mlgen.ledger.questions.graph import Graph
from mlgen.ledger.questions.lineage import Start, trace
from mlgen.ledger.questions.naming import find
from mlgen.ledger.questions.read import ArtifactId
from mlgen.ledger.records import imported
from mlgen.ledger.records.entry import path_of, to_bytes
from mlgen.ledger.records.task import TaskRecord
from tests.ledger import records
from tests.ledger.indexed import indexed, stored_event
from tests.ledger.test_imported import event

Event = dict[str, Any]
REF = "refs/heads/ledger"


def datasets(uris: Iterable[str]) -> list[dict[str, str]]:
    return [dict(zip(("namespace", "name"), uri.split("|"), strict=True)) for uri in uris]


def job(name: str, reads: Sequence[str], makes: Sequence[str], at: int = 0, **changes: Any) -> Event:
    """An event of a run that has the job's name; datasets as `namespace|name`."""
    more = {"run": {"runId": records.uid(name)}, "job": {"namespace": "spark", "name": name}, **changes}
    return event(inputs=datasets(reads), outputs=datasets(makes), eventTime=f"2026-11-28T10:00:{at:02}Z", **more)


def history(tasks: Sequence[TaskRecord], told: Sequence[Event]) -> History:
    found = indexed(*tasks, *(records.run(name) for name in sorted({t.run for t in tasks})))
    events.add(found.database, [stored_event(one) for one in told])
    return found


def digest(n: int) -> str:
    return f"sha256:{n:064x}"


FEATURES = records.artifact("features", "s3://lake/features", digest(1))
MODEL = records.artifact("model", "s3://ml/r1/model", digest(2), "model")


@pytest.fixture
def lake() -> History:
    """clicks → join (Spark) → features → train → model → score (Spark) → scores"""
    return history(
        [records.task(inputs=(FEATURES,), outputs=(MODEL,))],
        [
            job("join", ["s3a://lake|clicks"], [], eventType="START"),
            job("join", [], ["s3a://lake|features"], 5),
            job("score", ["s3://ml|r1/model"], ["snowflake://acme|db.scores"], 9, eventType="FAIL"),
        ],
    )


def edges(graph: Graph) -> set[tuple[str, str]]:
    name = {key: node["name"] for key, node in graph.nodes.items()}
    return {(name[e.source], name[e.target]) for e in graph.edges}


UP = {("clicks", "spark/join"), ("spark/join", "features"), ("features", "churn.train"), ("churn.train", "model")}
DOWN = {("model", "spark/score"), ("spark/score", "db.scores")}


def test_a_lineage_begins_and_ends_elsewhere(lake: History) -> None:
    model = find(lake, MODEL.uri)
    assert edges(trace(lake, model, up=True, down=False)) == UP
    assert edges(trace(lake, model, up=False, down=True)) == DOWN
    assert edges(trace(lake, find(lake, "r1"), up=True, down=True)) == UP | DOWN
    assert edges(trace(lake, find(lake, "s3a://lake/clicks"), up=False, down=True)) == UP | DOWN
    assert edges(trace(lake, find(lake, "snowflake://acme/db.scores"), up=True, down=False)) == UP | DOWN
    assert edges(trace(lake, model, up=True, down=False, depth=1)) == {e for e in UP if "train" in e[0] + e[1]}


def test_what_a_program_is_told_of_it(lake: History) -> None:
    answer = trace(lake, find(lake, MODEL.uri), up=True, down=True).to_json()
    by_name = {node["name"]: node for node in answer["nodes"]}
    join, ours = by_name["spark/join"], by_name["churn.train"]
    assert join.keys() >= ours.keys()
    assert (join["kind"], join["run"], join["runId"]) == ("task", None, records.uid("join"))
    assert (join["state"], join["producer"]) == ("COMPLETE", event()["producer"])
    assert join["uri"].startswith("imported/2026/11/28/")
    clicks = by_name["clicks"]
    assert (clicks["kind"], clicks["uri"], clicks["digest"]) == ("artifact", "s3://lake/clicks", None)
    assert by_name["features"]["digest"] == FEATURES.digest
    json.dumps(answer, allow_nan=False)


def test_pictures_of_it(lake: History) -> None:
    graph = trace(lake, find(lake, MODEL.uri), up=True, down=True)
    tree = to_tree(graph, up=True, down=True)
    assert f"└─ spark/join  run {records.uid('join')}, 2026-11-28T10:00:05Z\n" in tree
    assert "clicks  (no digest)  s3://lake/clicks\n" in tree
    assert f"spark/score  run {records.uid('score')}, 2026-11-28T10:00:09Z  fail\n" in tree
    assert to_mermaid(graph).count("-->") == to_dot(graph).count("->") == len(graph.edges)
    assert to_mermaid(graph).count("subgraph") == to_dot(graph).count("subgraph") == 1


def test_what_nobody_knows_is_a_mistake_all_the_same(lake: History) -> None:
    with pytest.raises(Misuse) as told:
        find(lake, "s3://lake/nothing")
    assert told.value.code == "unknown-artifact"


def test_an_event_cannot_take_the_place_of_an_execution() -> None:
    ours = records.task(inputs=(FEATURES,), outputs=(MODEL,))
    found = history([ours], [job("forged", [], ["s3://ml|r1/model"], run={"runId": ours.run_id})])
    graph = trace(found, find(found, MODEL.uri), up=True, down=False)
    assert [n["name"] for n in graph.nodes.values() if n["kind"] == "task"] == ["churn.train", "spark/forged"]


def test_many_runs_of_a_job_are_cut() -> None:
    told = [job(f"j{n}", ["s3://lake|hot"], [f"s3://lake|o{n}"], n % 60) for n in range(200)]
    found = history([], told)
    graph = trace(found, find(found, "s3://lake/hot"), up=False, down=True, most=50)
    assert graph.cut
    assert len(graph.nodes) <= 50


@dataclass(frozen=True)
class Told:
    """What a run read and made, as a brute force sees it."""

    key: str
    reads: frozenset[ArtifactId]
    makes: frozenset[ArtifactId]


PLACES = [f"s3://b/{n}" for n in range(5)]
sides = st.lists(st.sampled_from(range(5)), max_size=2, unique=True)


@given(
    tasks=st.lists(st.tuples(sides, sides, st.integers(0, 1)), max_size=4),
    told=st.lists(st.tuples(sides, sides, st.integers(0, 2)), min_size=1, max_size=6),
    depth=st.sampled_from([None, 1, 2]),
    up=st.booleans(),
)
@settings(max_examples=120, deadline=None)
def test_walks_equal_a_brute_force(
    tasks: list[tuple[list[int], list[int], int]],
    told: list[tuple[list[int], list[int], int]],
    depth: int | None,
    up: bool,
) -> None:
    """Of tasks, the last number says which bytes lay there; of events, which run they tell of."""

    def art(n: int, which: int) -> Any:
        return records.artifact(f"a{n}", PLACES[n], digest(which))

    ours = [
        records.task(name=f"t{at}", inputs=tuple(art(n, which) for n in i), outputs=tuple(art(n, which) for n in o))
        for at, (i, o, which) in enumerate(tasks)
    ]
    theirs = [
        job(f"j{of}", [f"s3://b|{n}" for n in i], [f"s3n://b|{n}" for n in o], at) for at, (i, o, of) in enumerate(told)
    ]
    known = {ArtifactId(a.uri, a.digest) for t in ours for a in (*t.inputs, *t.outputs)}

    def at(places: Iterable[int]) -> frozenset[ArtifactId]:
        return frozenset(
            one for n in places for one in ({k for k in known if k.uri == PLACES[n]} or {ArtifactId(PLACES[n], "")})
        )

    runs = [
        Told(
            f"task:{t.run_id}",
            frozenset(ArtifactId(a.uri, a.digest) for a in t.inputs),
            frozenset(ArtifactId(a.uri, a.digest) for a in t.outputs),
        )
        for t in ours
    ]
    for of in {one[2] for one in told}:
        mine = [one for one in told if one[2] == of]
        reads, makes = [n for one in mine for n in one[0]], [n for one in mine for n in one[1]]
        runs.append(Told(f"imported:{records.uid(f'j{of}')}", at(reads), at(makes)))

    found = history(ours, theirs)
    for start in at(range(5)):
        if start.digest == "" and not any(start in run.reads | run.makes for run in runs):
            continue
        frontier, seen, expected, level = {start}, {start}, set(), 0
        while frontier and level != depth:
            level += 1
            reached: set[ArtifactId] = set()
            for run in runs:
                near, far = (run.makes, run.reads) if up else (run.reads, run.makes)
                if near & frontier:
                    expected |= {(run.key, one) for one in near & frontier} | {(run.key, one) for one in far}
                    reached |= far
            frontier, seen = reached - seen, seen | reached
        graph = trace(found, Start((start,)), up=up, down=not up, depth=depth)
        got = set()
        for edge in graph.edges:
            task, other = (edge.source, edge.target) if edge.kind == "produced" else (edge.target, edge.source)
            node = graph.nodes[other]
            got.add((task, ArtifactId(node["uri"], node["digest"] or "")))
        assert got == expected


def said(found: History) -> list[object]:
    query = """SELECT e.run_id, e.path, e.digest, e.time, f.side, p.uri FROM event e
        LEFT JOIN flow f ON f.event = e.id LEFT JOIN place p ON p.id = f.place ORDER BY e.path, f.side, p.uri"""
    return [*found.select(query), found.skipped]


def test_they_are_in_the_index_as_they_come(tmp_path: Path) -> None:
    repository = git.init_bare(tmp_path / "l.git")
    keeping = Keeping(tmp_path / "index.sqlite")
    told = [job(f"j{n}", [f"s3://b|{n}"], [f"s3://b|{n + 1}"]) for n in range(8)]
    random.Random(7).shuffle(told)
    counts = []
    for at in range(0, len(told), 4):
        files = {path_of(data): data for data in (imported.mark(one, "local") for one in told[at : at + 4])}
        files |= {one.path: to_bytes(one) for one in [records.task(f"r{at}")]}
        files |= {f"imported/2026/11/28/{records.uid(str(at))}.{'0' * 16}.json": b"{}"}
        old = repository.tip(REF)
        repository.move_ref(REF, repository.commit(files, parent=old, message="x", seconds=0), old=old)
        opened = keeping.current(repository, "ledger")
        counts.append((opened.files, opened.built))
        assert said(opened.history) == said(read(repository, "ledger"))
        assert [run.state for run in opened.history.runs] == [None] * (at // 4 + 1)
        opened.close()
    assert counts == [(6, True), (6, False)]


def test_an_event_that_was_taken_away_is_missed(tmp_path: Path) -> None:
    repository = git.init_bare(tmp_path / "l.git")
    data = imported.mark(job("join", ["s3://b|0"], []), "local")
    first = repository.commit({path_of(data): data}, parent=None, message="x", seconds=0)
    repository.move_ref(REF, first, old=None)
    asked: list[tuple[str, str]] = []
    keeping = Keeping(tmp_path / "index.sqlite", judge=lambda known, tip: asked.append((known, tip)))
    keeping.current(repository, "ledger").close()
    other = repository.commit({"models/a.json": b"{}"}, parent=None, message="x", seconds=0)
    repository.move_ref(REF, other, old=first)
    opened = keeping.current(repository, "ledger")
    assert asked == [(first, other)]
    assert not jobs.knows(opened.history, "s3://b/0")
    opened.close()


def test_the_last_event_of_a_run_says_how_it_ended() -> None:
    told = [
        job("a", [], ["s3://b|0"], 1, eventType="START"),
        job("a", [], [], 5, eventType="FAIL"),
        job("a", [], [], 9, eventType="OTHER"),
    ]
    for order in (told, told[::-1]):
        (found,) = jobs.runs_at(history([], order), ["s3://b/0"], 1, 10)
        assert (found.state, found.event_time, found.outputs) == ("FAIL", "2026-11-28T10:00:05Z", ("s3://b/0",))
