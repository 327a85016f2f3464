"""`mlgen run --resume` of tasks that run many times: the items that failed or are others run, the rest is reused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.killed import killed_at
from tests.cli.pinned import Say

SPEC = """\
version: 1
name: many
params: {n: 1}
tasks:
  make: {run: 'echo LIST > "$parts"', out: {parts: json}}
  train:
    run: |
      echo "$x" >> ../../../../ran
      FIRST
      echo "$x $n" > "$model"
      echo "0.$x" > "$auc"
    in: [params.n]
    out: {model: model, auc: metric}
    MANY
  tell: {run: 'cat "$model" > "$said"', in: [train.model], out: {said: string}}
"""
SWEEP = "sweep: {grid: {x: [VALUES]}}\n    pick: max auc"
LOOP = "for: {x: make.parts}"
SEARCH = "sweep: {search: {x: {min: 10, max: 90}}, trials: TRIALS, seed: 3}\n    parallel: 2\n    pick: max auc"
RUN = ("run", "pipelines/many.yaml")
Told = tuple[dict[str, str], str]


def spec(many: str, *, first: str = ":", parts: str = "[1, 2, 3]", **more: str) -> None:
    text = SPEC.replace("MANY", many).replace("FIRST", first).replace("LIST", parts)
    if many == LOOP:  # a reader of all items has a folder
        text = text.replace('cat "$model" >', 'cat "$model"/* | tr "\\n" , >')
    for word, value in more.items():
        text = text.replace(word, value)
    Path("pipelines/many.yaml").write_text(text)


def ran() -> list[str]:
    """The values with which the program ran, in order, since the last call."""
    file = Path(".mlgen/ran")
    lines = sorted(file.read_text().split()) if file.exists() else []
    file.unlink(missing_ok=True)
    return lines


@pytest.fixture(name="again")
def _again(bare: Path, say: Say) -> Callable[..., Told]:
    """Runs anew: the reason of each task, and what is said."""

    def run(*arguments: str, code: int = 0) -> Told:
        found, out, err = say(*RUN, "--format", "json", *arguments)
        assert found == code, err
        return {name: task["reason"] for name, task in json.loads(out)["tasks"].items()} if out else {}, err

    return run


def items(say: Say, run: str) -> list[dict[str, Any]]:
    """What the records of `train` say."""
    shown = json.loads(say("runs", "show", run, "--format", "json")[1])
    told = [record["run"]["facets"]["mlgen_task"] for record in shown["records"]]
    return sorted((one for one in told if one["task"] == "train"), key=lambda one: int(one["item"]["index"]))


def said(say: Say, run: str) -> str:
    shown = json.loads(say("runs", "show", run, "--format", "json")[1])
    told = [record["run"]["facets"]["mlgen_task"] for record in shown["records"]]
    return str(next(one for one in told if one["task"] == "tell")["values"]["said"])


@pytest.mark.parametrize("many", [SWEEP.replace("VALUES", "1, 2, 3"), LOOP])
def test_items_that_succeeded_are_taken_and_those_that_failed_run(
    again: Callable[..., Told], say: Say, many: str
) -> None:
    spec(many, first='test "$x" != 3')
    again("--name", "one", code=1)
    assert ran() == ["1", "2", "3"]
    reasons, err = again("--resume", "one", "--name", "two", code=1)  # its script is the same, and fails again
    assert ran() == ["3"]
    assert "runs again: train (1 of 3 items: failed)" in err
    assert (reasons["make"], reasons["train"]) == ("Reused", "StepFailed")
    one, two = items(say, "one"), items(say, "two")
    assert [(i["state"], i.get("cached")) for i in two] == [("COMPLETE", True)] * 2 + [("FAIL", None)]
    assert [i["item"] for i in two] == [i["item"] for i in one]
    spec(many, first=":")
    reasons, err = again("--resume", "two", "--name", "three")
    assert ran() == ["1", "2", "3"]
    assert "train (its script changed)" in err


@pytest.mark.parametrize("many", [SWEEP.replace("VALUES", "1, 2, 3"), LOOP])
def test_readers_get_what_is_taken_with_what_ran(again: Callable[..., Told], say: Say, many: str) -> None:
    spec(many, first='test "$x" != 2 || test -e ../../../../good')
    again("--name", "one", code=1)
    assert ran()[:2] == ["1", "2"]
    Path(".mlgen/good").touch()
    again("--resume", "one", "--name", "two")
    assert "1" not in ran()
    assert said(say, "two") == ("3 1" if many != LOOP else "1 1,2 1,3 1,")
    reasons, err = again("--resume", "two", "--from", "tell", "--name", "three")
    assert ran() == []
    assert "make, train reused" in err or "train reused" in err
    assert reasons["train"] == "Reused"
    assert said(say, "three") == said(say, "two")
    assert say("ledger", "verify", "--artifacts")[0] == 0


def test_a_value_that_is_new_runs_and_the_others_do_not(again: Callable[..., Told], say: Say) -> None:
    spec(SWEEP, VALUES="1, 2, 3")
    again("--name", "one")
    ran()
    spec(SWEEP, VALUES="1, 5, 3, 4")
    reasons, err = again("--resume", "one", "--name", "two")
    assert ran() == ["4", "5"]
    assert "train (2 of 4 items: other values)" in err
    assert reasons == {"make": "Reused", "train": "Succeeded", "tell": "Succeeded"}
    assert [i["item"]["of"] for i in items(say, "two")] == [4] * 4
    assert said(say, "two") == "5 1"
    spec(SWEEP, VALUES="1, 5")
    reasons, err = again("--resume", "two", "--name", "three", "--from", "tell")
    assert (ran(), reasons["train"]) == ([], "Reused")
    assert [i["item"]["of"] for i in items(say, "three")] == [2, 2]


def test_what_changes_all_items_runs_all_of_them(again: Callable[..., Told]) -> None:
    spec(SWEEP, VALUES="1, 2")
    again("--name", "one")
    ran()
    _, err = again("--resume", "one", "-p", "n=2")
    assert (ran(), "train (param n is 2, was 1)" in err) == (["1", "2"], True)
    _, err = again("--resume", "one", "--from", "train")
    assert (ran(), "train (asked for)" in err) == (["1", "2"], True)
    spec(LOOP)
    _, err = again("--resume", "one")
    assert (ran(), "train (its for changed)" in err) == (["1", "2", "3"], True)


def test_bytes_of_an_item_that_are_gone_are_made_again(again: Callable[..., Told], say: Say) -> None:
    spec(SWEEP, VALUES="1, 2, 3")
    again("--name", "one")
    ran()
    [model] = Path(".mlgen/artifacts/many/one").glob("train.1.*/model")
    model.unlink()
    _, err = again("--resume", "one", "--name", "two")
    assert ran() == ["2"]
    assert "train (1 of 3 items: its model is not there any more)" in err


def test_failures_that_were_borne_are_no_reason_to_run(again: Callable[..., Told], say: Say) -> None:
    spec(f"{SWEEP}\n    failures: 1", first='test "$x" != 2', VALUES="1, 2, 3")
    again("--name", "one")
    ran()
    reasons, _ = again("--resume", "one", "--from", "tell", "--name", "two")
    assert (ran(), reasons["train"]) == ([], "Reused")
    assert [i["state"] for i in items(say, "two")] == ["COMPLETE", "FAIL", "COMPLETE"]
    reasons, _ = again("--resume", "two", "--from", "tell", "--name", "three")
    assert (ran(), reasons["train"]) == ([], "Reused")


def test_a_loop_without_items_is_reused(again: Callable[..., Told], say: Say) -> None:
    spec(LOOP, parts="[]")
    again("--name", "one")
    reasons, _ = again("--resume", "one", "--from", "tell", "--name", "two")
    assert (reasons["train"], said(say, "two")) == ("Reused", said(say, "one"))


def test_a_search_goes_on_from_the_trials_that_ended(again: Callable[..., Told], say: Say) -> None:
    pytest.importorskip("optuna")
    spec(SEARCH, first='test "$MLGEN_INDEX" != 2 || test -e ../../../../good', TRIALS="4")
    again("--name", "one", code=1)
    tried = ran()
    assert len(tried) == 4  # the wave of the third has ended
    Path(".mlgen/good").touch()
    again("--resume", "one", "--name", "two")
    one, two = items(say, "one"), items(say, "two")
    assert ran() == [str(one[2]["item"]["values"]["x"])]  # asked again, with the same answer
    assert [i["item"]["values"] for i in two] == [i["item"]["values"] for i in one]
    assert [i.get("cached") for i in two] == [True, True, None, True]
    spec(SEARCH, first='test "$MLGEN_INDEX" != 2 || test -e ../../../../good', TRIALS="6")
    again("--resume", "two", "--name", "three")
    three = items(say, "three")
    assert ran() == sorted(str(i["item"]["values"]["x"]) for i in three[4:])
    assert [i["item"]["values"] for i in three[:4]] == [i["item"]["values"] for i in two]
    spec(SEARCH.replace("seed: 3", "seed: 4"), TRIALS="6", first='test "$MLGEN_INDEX" != 2 || test -e ../../../../good')
    _, err = again("--resume", "three")
    assert (len(ran()), "train (its sweep changed)" in err) == (6, True)


@pytest.mark.parametrize("number", [1, 3])
def test_a_kill_while_it_is_told_what_is_taken_loses_nothing(again: Callable[..., Told], number: int) -> None:
    spec(SWEEP, first='test "$x" != 3 || test -e ../../../../good', VALUES="1, 2, 3")
    again("--name", "one", code=1)
    ran()
    killed_at("reused", number, *RUN, "--resume", "one", "--name", "killed")
    Path(".mlgen/good").touch()
    _, err = again("--resume", "killed", "--name", "two")
    assert "killed was cut off before it ended" in err
    assert set(ran()) >= {"3"}
    again("--resume", "one", "--name", "three")
    assert ran() == ["3"]


def test_a_loop_without_items_is_told_as_one_that_succeeded(again: Callable[..., Told], say: Say) -> None:
    spec(LOOP, parts="[]")
    code, out, _ = say(*RUN, "--name", "one")
    assert (code, "train  succeeded, no items\n" in out) == (0, True)
    assert "train  succeeded, no items\n" in say("runs", "show", "one")[1]
    code, out, _ = say(*RUN, "--resume", "one", "--from", "tell", "--name", "two")
    assert (code, "train  reused\n" in out) == (0, True)


HANDED = """\
version: 1
name: many
tasks:
  train:
    sweep: {list: [{d: 1}, {d: 2}, {d: 3}]}
    pick: PICK auc
    run: 'echo "$d" > "$auc"; echo "model $d" > "$model"'
    out: {auc: metric, model: model}
  fold: {for: {k: {range: COUNT}}, run: 'echo "$k" > "$v"', out: {v: integer}}
  report: {run: 'echo "$d" > "$best"', in: [train.model, train.d], out: {best: integer}}
  mean: {run: 'echo "$v" > "$all"', in: [fold.v], out: {all: json}}
  last: {run: 'true', after: [report, mean]}
  broken: {run: 'BROKEN', after: [last]}
"""


def handed(pick: str, count: int, broken: str) -> None:
    text = HANDED.replace("PICK", pick).replace("COUNT", str(count)).replace("BROKEN", broken)
    Path("pipelines/many.yaml").write_text(text)


def values_of(say: Say, run: str) -> dict[str, Any]:
    shown = json.loads(say("runs", "show", run, "--format", "json")[1])
    told = [record["run"]["facets"]["mlgen_task"] for record in shown["records"]]
    return {one["task"]: one["values"] for one in told if "item" not in one}


def test_readers_of_a_fan_run_again_where_it_hands_on_something_else(again: Callable[..., Told], say: Say) -> None:
    handed("max", 4, "exit 1")
    again("--name", "f1", code=1)
    handed("min", 2, "true")
    reasons, err = again("--resume", "f1", "--name", "f2")
    assert "train, fold reused" in err or "fold, train reused" in err
    assert "runs again: report (train has the pick min auc now, had max auc)" in err
    assert "runs again: mean (fold has 2 items now, had 4)" in err
    assert (reasons["train"], reasons["report"], reasons["mean"]) == ("Reused", "Succeeded", "Succeeded")
    assert values_of(say, "f2")["report"] == {"best": 1}
    assert values_of(say, "f2")["mean"] == {"all": [0, 1]}
    handed("min", 2, "echo other")
    reasons, err = again("--resume", "f2", "--name", "f3")  # its records are those of f2
    assert (reasons["report"], reasons["mean"], reasons["last"]) == ("Reused", "Reused", "Reused")


def test_the_same_winner_of_fewer_items_is_no_reason_to_run(again: Callable[..., Told], say: Say) -> None:
    handed("min", 4, "exit 1")
    again("--name", "f1", code=1)
    text = Path("pipelines/many.yaml").read_text().replace(", {d: 3}", "").replace("exit 1", "true")
    Path("pipelines/many.yaml").write_text(text)
    reasons, _ = again("--resume", "f1", "--name", "f2")
    assert (reasons["report"], reasons["mean"], reasons["broken"]) == ("Reused", "Reused", "Succeeded")


def test_what_nobody_reads_of_a_fan_is_named_where_nothing_is_left_to_run(again: Callable[..., Told]) -> None:
    spec(SWEEP, VALUES="1, 2")
    text = Path("pipelines/many.yaml").read_text().partition("  tell:")[0]
    Path("pipelines/many.yaml").write_text(text)
    again("--name", "one")
    Path("pipelines/many.yaml").write_text(text.replace("max auc", "min auc"))
    _, err = again("--resume", "one", code=2)
    assert "train has the pick min auc now, had max auc, and no task reads it" in err


def test_a_failure_that_was_borne_and_is_cut_off_counts_for_readers(again: Callable[..., Told], say: Say) -> None:
    many = "for: {x: [1, 2, 3]}\n    failures: 1"
    text = "version: 1\nname: many\ntasks:\n" + (
        f'  train:\n    {many}\n    run: \'test "$x" != 3; echo "$x" > "$v"\'\n    out: {{v: integer}}\n'
        '  tell: {run: \'echo "$v" > "$all"\', in: [train.v], out: {all: json}}\n'
        "  broken: {run: 'exit 1', after: [tell]}\n"
    )
    Path("pipelines/many.yaml").write_text(text)
    again("--name", "one", code=1)
    assert values_of(say, "one")["tell"] == {"all": [1, 2, None]}
    Path("pipelines/many.yaml").write_text(text.replace(", 3]", "]").replace("failures: 1", "failures: 0"))
    _, err = again("--resume", "one", "--name", "two", code=1)
    assert "runs again: tell (train has 2 items now, had 3)" in err
    assert values_of(say, "two")["tell"] == {"all": [1, 2]}


def test_values_of_items_are_compared_as_they_are_written(again: Callable[..., Told]) -> None:
    text = "version: 1\nname: many\ntasks: {train: {for: {x: [LIST]}, run: 'echo \"$x\" >> ../../../../ran'}}\n"
    Path("pipelines/many.yaml").write_text(text.replace("LIST", "1.0, 2.5"))
    again("--name", "one")
    assert ran() == ["1.0", "2.5"]
    Path("pipelines/many.yaml").write_text(text.replace("LIST", "1, 2.5"))
    _, err = again("--resume", "one")
    assert (ran(), "train (1 of 2 items: other values)" in err) == (["1"], True)
