from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

from mlgen.diagnostic import Misuse
from mlgen.ledger.index.history import History
from mlgen.ledger.questions.drawing import to_dot, to_mermaid, to_tree
from mlgen.ledger.questions.graph import Graph
from mlgen.ledger.questions.lineage import trace
from mlgen.ledger.questions.naming import find
from mlgen.ledger.records.artifact import Artifact
from mlgen.ledger.records.task import Source, State, TaskRecord
from tests.ledger import records
from tests.ledger.indexed import indexed


def digest(n: int) -> str:
    return f"sha256:{n:08x}" + "0" * 56


RAW = records.artifact("raw", "s3://data/raw.csv", digest(1))
FEATURES = records.artifact("features", ".mlgen/artifacts/churn/r1/prepare.0a/features", digest(2))
MODEL = records.artifact("model", ".mlgen/artifacts/churn/r1/train.0b/model", digest(3), "model")
CURVE = records.artifact("curve", ".mlgen/artifacts/churn/r1/train.0b/curve", digest(4), "plot")
REPORT = records.artifact("report", ".mlgen/artifacts/churn/r1/report.0c/report", digest(5), "report")
SCORES = records.artifact("scores", ".mlgen/artifacts/score/s1/score.0d/scores", digest(6))


def history(*tasks: TaskRecord, states: dict[str, State] | None = None) -> History:
    """An index of these records, without a ledger: walks ask for nothing else. Runs end in the order of their tasks."""
    runs = [
        records.run(
            name,
            pipeline=next(t.pipeline for t in tasks if t.run == name),
            state=(states or {}).get(name, State.COMPLETE),
            ended_at=f"2026-11-28T11:00:{at:02}Z",
        )
        for at, name in enumerate(dict.fromkeys(t.run for t in tasks))
    ]
    return indexed(*tasks, *runs)


@pytest.fixture
def churn() -> History:
    """raw → prepare → features → train → model, curve; report reads model and features; another pipeline the model."""
    return history(
        records.task(name="prepare", inputs=(RAW,), outputs=(FEATURES,), values={"rows": 7}),
        records.task(
            name="train",
            inputs=(FEATURES,),
            outputs=(MODEL, CURVE),
            params={"epochs": 20},
            metrics={"auc": 0.91},
            image="ghcr.io/acme/churn:1.8",
            code_digest=digest(9),
            source=Source("f" * 40, "pipelines/churn.yaml"),
        ),
        records.task(name="report", inputs=(MODEL, FEATURES), outputs=(REPORT,)),
        records.task(run="s1", name="score", pipeline="score", inputs=(MODEL,), outputs=(SCORES,)),
    )


def names(graph: Graph) -> set[str]:
    return {node["name"] for node in graph.nodes.values()}


def edges(graph: Graph) -> set[tuple[str, str, str]]:
    name = {key: node["name"] for key, node in graph.nodes.items()}
    return {(name[e.source], name[e.target], e.kind) for e in graph.edges}


UP = {
    ("churn.train", "model", "produced"),
    ("features", "churn.train", "used"),
    ("churn.prepare", "features", "produced"),
    ("raw", "churn.prepare", "used"),
}
DOWN = {
    ("model", "churn.report", "used"),
    ("churn.report", "report", "produced"),
    ("model", "score.score", "used"),
    ("score.score", "scores", "produced"),
}


def test_where_a_model_came_from_and_went(churn: History) -> None:
    start = find(churn, "churn/train/model")
    assert edges(trace(churn, start, up=True, down=False)) == UP
    assert edges(trace(churn, start, up=False, down=True)) == DOWN
    assert edges(trace(churn, start, up=True, down=True)) == UP | DOWN


def test_depth_counts_tasks(churn: History) -> None:
    start = find(churn, "churn/train/model")
    assert names(trace(churn, start, up=True, down=False, depth=1)) == {"model", "churn.train", "features", "r1"}
    assert names(trace(churn, start, up=True, down=False, depth=2)) >= {"raw"}
    assert names(trace(churn, find(churn, RAW.uri), up=False, down=True, depth=1)) == {
        "raw",
        "churn.prepare",
        "features",
        "r1",
    }


def test_a_run_has_all_that_it_read_and_made(churn: History) -> None:
    graph = trace(churn, find(churn, "r1"), up=False, down=False)
    inside = (
        UP
        | {e for e in DOWN if "score" not in e[1]}
        | {("churn.train", "curve", "produced"), ("features", "churn.report", "used")}
    )
    assert edges(graph) == {e for e in inside if "score" not in e[0]}
    down = trace(churn, find(churn, "r1"), up=False, down=True)
    assert edges(down) - edges(graph) == {("model", "score.score", "used"), ("score.score", "scores", "produced")}
    up = trace(churn, find(churn, "s1"), up=True, down=False)
    assert edges(up) == UP | {e for e in DOWN if "score" in e[0] + e[1]}


def test_the_answer_as_json(churn: History) -> None:
    answer = trace(churn, find(churn, "churn/train/model"), up=True, down=False).to_json()
    assert set(answer) == {"nodes", "edges", "cut", "ledger"}
    assert answer["cut"] is False
    assert answer["ledger"] == churn.commit
    by_name = {node["name"]: node for node in answer["nodes"]}
    assert all({"id", "kind", "name", "digest", "uri"} <= set(node) for node in answer["nodes"])
    assert {node["kind"] for node in answer["nodes"]} == {"artifact", "task", "run"}
    assert (by_name["model"]["digest"], by_name["model"]["uri"]) == (MODEL.digest, MODEL.uri)
    train = by_name["churn.train"]
    assert (train["metrics"], train["commit"], train["run"]) == ({"auc": 0.91}, "f" * 40, by_name["r1"]["id"])
    ids = {node["id"] for node in answer["nodes"]}
    assert all({edge["from"], edge["to"]} <= ids and edge["kind"] in ("produced", "used") for edge in answer["edges"])
    json.dumps(answer, allow_nan=False)


@pytest.mark.parametrize(
    "wanted",
    [
        MODEL.digest,
        MODEL.digest.removeprefix("sha256:"),
        "00000003",
        "sha256:000000030",
        MODEL.uri,
        f"file://{MODEL.uri}",
        "churn/train/model",
        "churn/train/model@r1",
        f"churn/train/model@{records.uid('r1')[:8]}",
    ],
)
def test_ways_to_name_an_artifact(churn: History, wanted: str) -> None:
    assert [a.uri for a in find(churn, wanted).artifacts] == [MODEL.uri]


@pytest.mark.parametrize("wanted", ["r1", records.uid("r1"), records.uid("r1")[:8], f"r1.{records.uid('r1')[:8]}"])
def test_ways_to_name_a_run(churn: History, wanted: str) -> None:
    run = find(churn, wanted).run
    assert run is not None
    assert run.name == "r1"


@pytest.mark.parametrize(
    ("wanted", "code", "fix"),
    [
        ("churn/train/modle", "unknown-artifact", "did you mean churn/train/model"),
        ("churn/train/auc", "unknown-artifact", "a value"),
        ("churn/train/model@r9", "unknown-run", "the latest: s1, r1"),
        ("churn/train/model@s1", "unknown-artifact", "churn/train/model"),
        ("00000000", "unknown-artifact", "8 hex digits"),
        ("0000000", "unknown-artifact", "8 hex digits"),
        ("s3://data/other.csv", "unknown-artifact", "pipeline/task/out"),
        ("", "unknown-artifact", "pipeline/task/out"),
    ],
)
def test_what_cannot_be_meant(churn: History, wanted: str, code: str, fix: str) -> None:
    with pytest.raises(Misuse) as error:
        find(churn, wanted)
    assert (error.value.code, error.value.exit_code) == (code, 2)
    assert fix in error.value.fix


def test_a_digest_that_begins_two(churn: History) -> None:
    twins = [records.artifact(f"t{n}", f"x{n}", "sha256:" + "ab" * 16 + f"{n}" * 32) for n in (1, 2)]
    with pytest.raises(Misuse, match="2 digests") as error:
        find(history(records.task(outputs=tuple(twins))), "ababababab")
    assert error.value.code == "ambiguous-artifact"
    copies = [records.artifact(f"c{n}", f"x{n}", digest(7)) for n in (1, 2)]
    assert len(find(history(records.task(outputs=tuple(copies))), digest(7)).artifacts) == 2


def test_the_latest_complete_run_that_wrote_it() -> None:
    def train(run: str, n: int, *, writes: bool = True) -> TaskRecord:
        made = (records.artifact("model", f"{run}/model", digest(n)),)
        return records.task(run, outputs=made if writes else ())

    found = history(
        train("r1", 1), train("r2", 2), train("r3", 3), train("r4", 4, writes=False), states={"r3": State.FAIL}
    )
    assert [a.digest for a in find(found, "churn/train/model").artifacts] == [digest(2)]
    assert [a.digest for a in find(found, "churn/train/model@r3").artifacts] == [digest(3)]


def test_only_the_execution_that_counts_is_in_a_lineage() -> None:
    failed = records.task(attempt=0, state=State.FAIL, inputs=(FEATURES,), outputs=(CURVE,))
    done = records.task(attempt=1, inputs=(FEATURES,), outputs=(MODEL,))
    found = history(failed, done)
    graph = trace(found, find(found, FEATURES.uri), up=True, down=True)
    assert [n["attempt"] for n in graph.nodes.values() if n["kind"] == "task"] == [1]
    assert "curve" not in names(graph)


def test_equal_bytes_elsewhere_are_another_artifact() -> None:
    copy = records.artifact("model", "s3://elsewhere/model", MODEL.digest)
    found = history(records.task(outputs=(MODEL,)), records.task(run="s1", name="score", inputs=(copy,)))
    assert edges(trace(found, find(found, MODEL.uri), up=True, down=True)) == {("churn.train", "model", "produced")}


def chain(length: int) -> History:
    def link(n: int) -> Artifact:
        return records.artifact(f"a{n}", f"a/{n}", digest(n + 1000))

    return history(*(records.task(name=f"t{n}", inputs=(link(n),), outputs=(link(n + 1),)) for n in range(length)))


def test_a_lineage_may_be_deep_and_wide() -> None:
    deep = chain(1100)
    graph = trace(deep, find(deep, "a/1100"), up=True, down=False)
    assert len(graph.nodes) == 1100 + 1101 + 1
    assert to_tree(graph, up=True, down=False).count("\n") >= 2200
    # Each task reads both outs of the one before: 2^40 ways through, each node once.
    pair = [tuple(records.artifact(f"{side}{n}", f"{side}/{n}", digest(n)) for side in "lr") for n in range(41)]
    wide = history(*(records.task(name=f"t{n}", inputs=pair[n], outputs=pair[n + 1]) for n in range(40)))
    graph = trace(wide, find(wide, "l/40"), up=True, down=False)
    assert len(graph.nodes) == 40 + 81 + 1
    assert to_tree(graph, up=True, down=False).count("\n") < 400
    assert to_mermaid(graph).count("-->") == to_dot(graph).count("->") == len(graph.edges)


def test_a_picture_for_people(churn: History) -> None:
    graph = trace(churn, find(churn, "churn/report/report"), up=True, down=False)
    assert (
        to_tree(graph, up=True, down=False)
        == """\
report  sha256:000000050000  report, 12 bytes  .mlgen/artifacts/churn/r1/report.0c/report
└─ churn.report  in run r1, 2026-11-28T10:00:05.123Z
   │  params  epochs=20
   │  by  spec sha256:abababababab, no commit
   ├─ model  sha256:000000030000  model, 12 bytes  .mlgen/artifacts/churn/r1/train.0b/model
   │  └─ churn.train  in run r1, 2026-11-28T10:00:05.123Z
   │     │  metrics  auc=0.91
   │     │  by  ghcr.io/acme/churn:1.8, code sha256:000000090000, spec sha256:abababababab, commit ffffffffffff
   │     └─ features  sha256:000000020000  dataset, 12 bytes  .mlgen/artifacts/churn/r1/prepare.0a/features
   │        └─ churn.prepare  in run r1, 2026-11-28T10:00:05.123Z
   │           │  values  rows=7
   │           │  by  spec sha256:abababababab, no commit
   │           └─ raw  sha256:000000010000  dataset, 12 bytes  s3://data/raw.csv
   └─ features  sha256:000000020000  dataset, 12 bytes  .mlgen/artifacts/churn/r1/prepare.0a/features  (above)
"""
    )


def test_what_no_record_made_is_said() -> None:
    found = history(records.task(name="prepare", inputs=(RAW,)))
    graph = trace(found, find(found, RAW.uri), up=True, down=True)
    assert to_tree(graph, up=True, down=True).splitlines()[:3] == [
        "where it came from",
        "raw  sha256:000000010000  dataset, 12 bytes  s3://data/raw.csv",
        "   no record says what made it",
    ]


HOSTILE = (
    'x"];\n  evil[label="</b><script>alert(1)</script>\\N\\"] --> end\x1b[2J#quot;`%%{init}%%click n0 "javascript:1"'
)


@pytest.fixture
def hostile() -> Graph:
    bad = Artifact(HOSTILE, f"s3://b/{HOSTILE}", digest(1), 1, "text/plain", "file")
    found = history(
        records.task(outputs=(bad,), params={HOSTILE: HOSTILE}, metrics={HOSTILE: 1}, reason=HOSTILE, state=State.FAIL)
    )
    return trace(found, find(found, digest(1)), up=True, down=True)


def test_hostile_names_stay_labels(hostile: Graph) -> None:
    mermaid = to_mermaid(hostile)
    plain = r"[\w .,:/=;#-]|<br/>"
    node = rf'n\d+(\["({plain})*"\]|\(\["({plain})*"\]\))'
    line = re.compile(
        rf'flowchart LR|  subgraph n\d+\["({plain})*"\]|  end|    {node}|  {node}|  n\d+ --> n\d+|%% ledger c{{40}}',
        re.ASCII,
    )
    assert all(line.fullmatch(text) for text in mermaid.splitlines())
    assert len(mermaid.splitlines()) == 7
    dot = to_dot(hostile)
    assert len(dot.splitlines()) == 10
    for text in re.findall(r'label="(.*)"\]?$', dot, re.MULTILINE):
        assert re.fullmatch(r'(?:[^"\\]|\\["\\n])*', text)
    assert "\x1b" not in mermaid + dot + to_tree(hostile, up=True, down=True)


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_graphviz_reads_it(hostile: Graph, churn: History) -> None:
    for graph in (hostile, trace(churn, find(churn, "r1"), up=True, down=True)):
        done = subprocess.run(
            ["dot", "-Tplain"], input=to_dot(graph), capture_output=True, text=True, check=True, timeout=30
        )
        drawn = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("node")]
        assert len(drawn) == sum(node["kind"] != "run" for node in graph.nodes.values())


def test_an_artifact_of_no_completed_run_is_asked_for_by_its_run() -> None:
    tasks = [records.task(run=run, name="train", outputs=(MODEL,)) for run in ("r1", "r2")]
    failed = history(*tasks, states={"r1": State.FAIL, "r2": State.FAIL})
    with pytest.raises(Misuse, match="no run that made churn/train/model has completed") as told:
        find(failed, "churn/train/model")
    wanted = told.value.fix.rpartition(" ")[2]
    assert wanted == "churn/train/model@r2"
    assert find(failed, wanted).artifacts
