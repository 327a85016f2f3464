"""Questions about runs: what they find, and where they are wrong."""

from __future__ import annotations

import operator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgen.diagnostic import Misuse
from mlgen.ledger.index.history import History
from mlgen.ledger.questions.listing import Wanted, select, to_json
from mlgen.ledger.questions.where import MOST_SHOWN
from mlgen.ledger.records.entry import Entry
from mlgen.ledger.records.task import State
from tests.ledger import records
from tests.ledger.indexed import indexed

RUNS: dict[str, dict[str, Any]] = {  # params, and metrics by task
    "r1": {"params": {"epochs": 20, "kind": "a", "fast": True}, "train": {"auc": 0.8}, "test": {"auc": 0.95}},
    "r2": {"params": {"epochs": 30, "kind": "b", "fast": False}, "train": {"auc": 0.9, "loss": 1}},
    "r3": {"params": {"epochs": "20", "kind": "b"}, "state": State.FAIL},
    "r4": {"params": {"grid": [1, 2]}, "pipeline": "fraud", "train": {"auc": 1}, "labels": {"cost-center": "cc-1"}},
}


def entries() -> list[Entry]:
    found: list[Entry] = []
    for at, (name, about) in enumerate(RUNS.items()):
        pipeline = about.get("pipeline", "churn")
        for task in ("train", "test"):
            if task in about:
                found.append(records.task(name, task, pipeline=pipeline, metrics=about[task], params=about["params"]))
        more = {"labels": about["labels"], "owner": "risk"} if "labels" in about else {}
        state = about.get("state", State.COMPLETE)
        ended = f"2026-11-2{at + 1}T10:00:00Z"
        found.append(records.run(name, pipeline=pipeline, params=about["params"], state=state, ended_at=ended, **more))
    return found


@pytest.fixture(scope="module")
def history() -> History:
    return indexed(*entries())


def names(history: History, *where: str, **more: Any) -> list[str]:
    return [run.name for run in select(history, Wanted(where=where, **more)).runs]


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("metrics.auc > 0.9", ["r4", "r1"]),
        ("metrics.train.auc > 0.9", ["r4"]),
        ("metrics.train.auc >= 0.9", ["r4", "r2"]),
        ("0.9 <= metrics.train.auc", ["r4", "r2"]),
        ("metrics.loss == 1", ["r2"]),
        ("metrics.loss == 1.0", ["r2"]),
        ("metrics.loss != 1", []),
        ("not metrics.loss == 2", ["r2"]),  # a run without it is neither
        ("not metrics.loss == 1", []),
        ("params.epochs == 20", ["r1"]),
        ('params.epochs == "20"', ["r3"]),
        ("params.fast == true", ["r1"]),
        ("params.fast != true", ["r2"]),
        ('params.kind in ["a", "c"]', ["r1"]),
        ('params.kind not in ["a", "c"]', ["r3", "r2"]),
        ('not params.kind in ["a", "c"]', ["r3", "r2"]),
        ('not (params.kind == "b" and state == "COMPLETE")', ["r3", "r1"]),  # r4 has no kind
        ('state == "FAIL" or metrics.loss > 0', ["r3", "r2"]),
        ('pipeline == "fraud"', ["r4"]),
        ('run in ["r1", "r2"] and env == "local"', ["r2", "r1"]),
        ('labels.cost-center == "cc-1"', ["r4"]),
        ('owner == "risk"', ["r4"]),
        ("metrics.test.auc > metrics.train.auc", ["r1"]),
        ("params.kind == run", []),
    ],
)
def test_what_is_found(history: History, where: str, found: list[str]) -> None:
    assert names(history, where) == found


def test_all_that_is_said_must_hold(history: History) -> None:
    assert names(history, "metrics.auc > 0.5", "params.epochs == 30") == ["r2"]
    assert names(history, "metrics.auc > 0.5", pipeline="churn", limit=1) == ["r2"]
    assert names(history, state=State.FAIL) == ["r3"]
    assert names(history, labels={"cost-center": "cc-1"}) == ["r4"]
    assert names(history, labels={"cost-center": "other"}) == []


@pytest.mark.parametrize(
    ("best", "found"),
    [
        (("auc", True), ["r4", "r1", "r2"]),
        (("metrics.train.auc", True), ["r4", "r2", "r1"]),
        (("metrics.train.auc", False), ["r1", "r2", "r4"]),
        (("auc", False), ["r1", "r2", "r4"]),
        (("params.epochs", True), ["r2", "r1"]),
    ],
)
def test_the_best_first(history: History, best: tuple[str, bool], found: list[str]) -> None:
    assert names(history, best=best) == found


@pytest.mark.parametrize(
    ("where", "place", "says", "fix"),
    [
        ("auc > 0.9", "auc", "no run has auc", "did you mean metrics.auc"),
        ("pipeline == churn", "churn", "no run has churn", 'a text stands in quotes: "churn"'),
        ("params.kind > 1", "params.kind > 1", "they never compare", ""),
        ('params.kind > "a"', 'params.kind > "a"', "orders numbers only", ""),
        ("params.grid == 1", "params.grid", "a list or a map", ""),
        ('state == "fail"', '"fail"', "is no state", "COMPLETE, FAIL, ABORT"),
        ("metrics.auc = 1", "=", "no operator", "write =="),
        ("metrics.auc", "metrics.auc", "no condition", "compare it"),
        ("metrics.a.b.c > 1", "metrics", "neither", ""),
        ("", "", "missing", "write metrics.NAME"),
        ("1 == 1", "1 == 1", "always the same", ""),
        ("metrics.auc > 1; DROP TABLE run", ";", "does not belong here", ""),
    ],
)
def test_what_is_wrong_is_told_with_its_place(history: History, where: str, place: str, says: str, fix: str) -> None:
    with pytest.raises(Misuse) as told:
        names(history, where)
    assert told.value.code == "bad-condition"
    assert says in told.value.message
    assert fix in told.value.fix
    text, marks = told.value.why.split("\n")
    assert text == where
    first = marks.index("^")
    assert where[first : first + len(marks.strip())] == place


def test_of_a_long_expression_the_part_with_the_mistake_is_shown(history: History) -> None:
    where = "metrics.auc > 0.5\n and " * 20 + "metricz.auk > 0.5" + "\t and metrics.auc > 0.5" * 20
    with pytest.raises(Misuse) as told:
        names(history, where)
    text, marks = told.value.why.split("\n")
    assert text.isprintable()
    assert len(text) <= MOST_SHOWN
    assert text[marks.index("^") : len(marks)] == "metricz.auk"


def test_a_name_of_several_tasks_is_told(history: History) -> None:
    notes = select(history, Wanted(where=("metrics.auc > 0",))).notes
    assert notes == ("metrics.auc is of test, train: any of them counts; metrics.test.auc is of one",)
    assert not select(history, Wanted(where=("metrics.train.auc > 0",))).notes


@pytest.mark.parametrize(
    ("where", "note"),
    [
        ("metrics.auk > 1", "no run has metrics.auk; did you mean metrics.auc"),
        ("metrics.tran.auc > 1", "no run has metrics.tran.auc; did you mean metrics.auc"),
        ("params.epoch == 1 and params.kind != run", "no run has params.epoch; did you mean params.epochs"),
        ("not labels.team == 1", "no run has labels.team; "),
    ],
)
def test_what_no_run_has_yet_is_a_question_all_the_same(history: History, where: str, note: str) -> None:
    found = select(history, Wanted(where=(where,)))
    assert found.runs == []
    (told,) = found.notes
    assert told.startswith(note)


def test_the_best_by_what_no_run_has_yet(history: History) -> None:
    found = select(history, Wanted(best=("f1", True)))
    assert (found.runs, found.more) == ([], 0)
    assert found.notes[0].startswith("no run has metrics.f1; ")


def test_before_any_run_nothing_is_unknown() -> None:
    assert names(indexed(), "metrics.auc > 0.9") == []


def test_the_answer_has_the_metrics(history: History) -> None:
    answer = to_json(select(history, Wanted(limit=1, best=("auc", False))))
    assert (answer["runs"][0]["run"], answer["runs"][0]["metrics"]) == ("r1", {"train.auc": 0.8, "test.auc": 0.95})
    assert (answer["more"], answer["ledger"]) == (2, history.commit)


OPS = {"==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@given(st.sampled_from(sorted(OPS)), st.sampled_from([0.8, 0.9, 1, 0.95, -1, 1e300]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_numbers_compare_as_in_gates(op: str, value: float, negated: bool) -> None:
    text = f"{'not ' if negated else ''}metrics.train.auc {op} {value!r}"
    expected = {
        name for name, about in RUNS.items() if "train" in about and OPS[op](about["train"]["auc"], value) != negated
    }
    assert set(names(BUILT, text)) == expected


BUILT = indexed(*entries())


@given(st.text(alphabet="metrics.auc params(stae)><=!\"'%;-0123456789andornti[]", max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_is_an_answer_or_a_mistake(text: str) -> None:
    with suppress(Misuse):
        names(BUILT, text)
