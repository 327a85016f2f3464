"""`mlgen run --resume`, `--from`, `--only`: what runs again, what is reused, and what is refused with a way out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.killed import killed_at
from tests.cli.pinned import Say

SPEC = """\
version: 1
name: line
params: {n: 1, word: {type: string, default: hi}}
inputs: {raw: data.txt}
tasks:
  make:
    run: 'cat "$raw" > "$rows"; echo 3 > "$count"; echo ran >> ../../../../ran-make'
    in: [inputs.raw]
    out: {rows: dataset, count: integer}
  train:
    run: 'cp "$rows" "$model"; echo 0.90 > "$auc"; echo ran >> ../../../../ran-train'
    in: [make.rows, params.n]
    out: {model: model, auc: metric}
  judge: {if: train.auc > 0.5, run: 'test -s "$model"; BROKEN', in: [train.model, make.count]}
  tell: {run: 'echo "$word $count" > "$said"', in: [params.word, make.count], out: {said: string}}
"""
RUN = ("run", "pipelines/line.yaml")


@pytest.fixture(name="project")
def _project(bare: Path) -> Path:
    (bare / "data.txt").write_text("bytes\n")
    return bare


def spec(broken: str = "exit 7", **changed: str) -> None:
    """Write the spec. changed: a task's name -> what its script says first."""
    text = SPEC.replace("BROKEN", broken)
    for name, first in changed.items():
        text = text.replace(f"{name}:\n    run: '", f"{name}:\n    run: '{first}; ")
    Path("pipelines/line.yaml").write_text(text)


def times(task: str) -> int:
    """How often a task ran."""
    file = Path(f".mlgen/ran-{task}")
    return len(file.read_text().splitlines()) if file.exists() else 0


Told = tuple[dict[str, str], str]


@pytest.fixture(name="failed")
def _failed(project: Path, say: Say) -> Path:
    """A run `one` whose third task failed."""
    spec()
    assert say(*RUN, "--name", "one")[0] == 1
    return project


@pytest.fixture(name="again")
def _again(say: Say) -> Callable[..., Told]:
    """Runs anew: the reason of each task, and what is said."""

    def run(*arguments: str, code: int = 0) -> Told:
        found, out, err = say(*RUN, "--format", "json", *arguments)
        assert found == code, err
        return {name: task["reason"] for name, task in json.loads(out)["tasks"].items()} if out else {}, err

    return run


def facets(say: Say, run: str) -> dict[str, Any]:
    shown = json.loads(say("runs", "show", run, "--format", "json")[1])
    return {record["run"]["facets"]["mlgen_task"]["task"]: record for record in shown["records"]} | {"run": shown}


def test_a_mended_spec_runs_what_failed_and_nothing_else(failed: Path, again: Callable[..., Told], say: Say) -> None:
    spec("true")
    reasons, err = again("--resume", "one", "--name", "two")
    assert reasons == {"make": "Reused", "train": "Reused", "judge": "Succeeded", "tell": "Reused"}
    assert "from one: make, tell, train reused\n" in err.replace("note: ", "")
    assert "runs again: judge (it failed)" in err
    assert (times("make"), times("train")) == (1, 1)
    one, two = facets(say, "one"), facets(say, "two")
    facet = two["train"]["run"]["facets"]["mlgen_task"]
    assert (facet["cached"], facet["originalRunId"]) == (True, one["train"]["run"]["runId"])
    assert (facet["metrics"], facet["reason"], facet["exitCode"]) == ({"auc": 0.9}, "Reused", None)
    assert two["train"]["outputs"] == one["train"]["outputs"]
    assert two["run"]["resumes"] == one["run"]["uid"]
    shown = say("lineage", "line/train/model@two", "--format", "json")[1]
    assert {node["name"] for node in json.loads(shown)["nodes"]} >= {"model", "rows"}
    assert say("ledger", "verify", "--artifacts")[0] == 0


def test_a_resumed_run_is_resumed_and_names_who_made_the_bytes(
    failed: Path, again: Callable[..., Told], say: Say
) -> None:
    spec("exit 8")
    again("--resume", "one", "--name", "two", code=1)
    spec("true")
    reasons, _ = again("--resume", "two", "--name", "three")
    assert reasons["make"] == "Reused"
    assert (
        facets(say, "three")["make"]["run"]["facets"]["mlgen_task"]["originalRunId"]
        == (facets(say, "one")["make"]["run"]["runId"])
    )


def test_what_changed_runs_again_with_all_after_it(failed: Path, again: Callable[..., Told]) -> None:
    spec("true", train="echo other")
    reasons, err = again("--resume", "one")
    assert "train (its script changed)" in err
    assert reasons == {"make": "Reused", "train": "Succeeded", "judge": "Succeeded", "tell": "Reused"}


def test_params_and_inputs_are_taken_over_unless_given_again(
    project: Path, again: Callable[..., Told], say: Say
) -> None:
    spec()
    (project / "other.txt").write_text("others\n")
    again("-p", "n=5", "-p", "raw=other.txt", "--name", "one", code=1)
    reasons, _ = again("--resume", "one", "--name", "two", code=1)
    assert (reasons["make"], reasons["train"]) == ("Reused", "Reused")
    assert facets(say, "two")["run"]["params"] == {"n": 5, "word": "hi"}
    _, err = again("--resume", "one", "-p", "n=6", code=1)
    assert "train (param n is 6, was 5)" in err
    assert "make reused" not in err.replace("make, tell reused", "")
    _, err = again("--resume", "one", "-p", "raw=data.txt", code=1)
    assert "make (input raw has other bytes)" in err
    (project / "other.txt").write_text("changed\n")
    _, err = again("--resume", "one", code=1)
    assert "make (input raw has other bytes)" in err


def default(name: str, old: str, new: str) -> None:
    """Mend a param's default."""
    path = Path("pipelines/line.yaml")
    before, found, after = path.read_text().partition(f" {name}: {old}" if name == "default" else f"{{{name}: {old}")
    assert found
    path.write_text(before + found.removesuffix(old) + new + after)


def test_a_default_that_was_mended_is_taken_and_what_was_given_stays(
    project: Path, again: Callable[..., Told], say: Say
) -> None:
    spec()
    again("-p", "word=yo", "--name", "one", code=1)
    default("n", "1", "3")
    default("default", "hi", "hello")
    _, err = again("--resume", "one", "--name", "two", code=1)
    assert "n is 3, the spec's default; in one it was 1" in err
    assert "train (param n is 3, was 1)" in err
    assert facets(say, "two")["run"]["params"] == {"n": 3, "word": "yo"}
    default("n", "3", "4")
    again("--resume", "two", "-p", "word=ho", "--name", "three", code=1)
    assert facets(say, "three")["run"]["params"] == {"n": 4, "word": "ho"}
    default("n", "4", "5")
    again("--resume", "three", "--name", "four", code=1)
    assert facets(say, "four")["run"]["params"] == {"n": 5, "word": "ho"}


def test_where_nobody_kept_what_was_given_the_plan_of_that_run_tells_it_or_a_note(
    project: Path, again: Callable[..., Told], say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec()
    monkeypatch.setattr("mlgen.cli.running.here.given_of", lambda _arguments, _names: None)
    (project / "other.txt").write_text("others\n")
    again("-p", "n=7", "-p", "raw=other.txt", "--name", "one", code=1)
    default("n", "1", "3")
    default("default", "hi", "hello")
    _, err = again("--resume", "one", "--name", "two", code=1)
    assert facets(say, "two")["run"]["params"] == {"n": 7, "word": "hello"}
    assert "word is hello, the spec's default; in one it was hi" in err
    assert "make, train reused" in err.replace("note: ", "")
    shutil.rmtree(project / ".mlgen/artifacts/_plans")
    _, err = again("--resume", "one", "--name", "three", code=1)
    assert facets(say, "three")["run"]["params"] == {"n": 7, "word": "hi"}
    assert "word=hi is taken from one; the spec's default is hello" in err
    assert "n=7 is taken from one; the spec's default is 3" in err
    assert "raw=other.txt is taken from one; the spec has data.txt" in err


def test_an_input_that_nothing_had_read_is_that_of_the_run(
    project: Path, again: Callable[..., Told], say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "other.txt").write_text("others\n")
    text = (
        "version: 1\nname: line\ninputs: {raw: data.txt}\ntasks:\n  first: {run: 'BROKEN'}\n"
        '  make: {run: \'cat "$raw" > "$said"\', in: [inputs.raw], after: [first], out: {said: string}}\n'
    )
    spec_file = Path("pipelines/line.yaml")
    spec_file.write_text(text.replace("BROKEN", "exit 1"))
    again("-p", "raw=other.txt", "--name", "one", code=1)
    again("--resume", "one", "--name", "two", code=1)
    spec_file.write_text(text.replace("BROKEN", "true"))
    again("--resume", "two", "--name", "three")
    told = facets(say, "three")["make"]["run"]["facets"]["mlgen_task"]
    assert told["values"] == {"said": "others"}
    spec_file.write_text(text.replace("BROKEN", "exit 1"))
    monkeypatch.setattr("mlgen.cli.running.here.given_of", lambda _arguments, _names: None)
    again("-p", "raw=other.txt", "--name", "unknown", code=1)
    _, err = again("--resume", "unknown", code=1)
    assert "no task of unknown had read raw, so that nobody knows where it was given: it is data.txt" in err


def test_an_input_whose_place_the_spec_mended_is_read_there(project: Path, again: Callable[..., Told]) -> None:
    spec()
    again("--name", "one", code=1)
    (project / "better.txt").write_text("better\n")
    path = Path("pipelines/line.yaml")
    path.write_text(path.read_text().replace("data.txt", "better.txt"))
    _, err = again("--resume", "one", code=1)
    assert "make (input raw has other bytes)" in err


def test_a_param_is_compared_as_it_is_written(project: Path, again: Callable[..., Told]) -> None:
    spec()
    path = Path("pipelines/line.yaml")
    path.write_text(path.read_text().replace("n: 1,", "n: {type: json, default: {a: 1}},"))
    again("--name", "one", code=1)
    _, err = again("--resume", "one", "-p", 'n={"a":true}', code=1)
    assert 'train (param n is {"a":true}, was {"a":1})' in err
    _, err = again("--resume", "one", "-p", 'n={"a": 1}', code=1)
    assert "train (" not in err


def test_what_was_given_to_a_run_that_was_killed_is_known(failed: Path, again: Callable[..., Told], say: Say) -> None:
    killed_at("reused", 1, *RUN, "--resume", "one", "-p", "word=yo", "--name", "killed")
    default("default", "hi", "hello")
    again("--resume", "killed", "--name", "two", code=1)
    assert facets(say, "two")["run"]["params"]["word"] == "yo"


def test_a_file_of_the_repository_that_changed_is_read_again(failed: Path, again: Callable[..., Told]) -> None:
    (failed / "data.txt").write_text("new bytes\n")
    _, err = again("--resume", "one", code=1)
    assert "make (input raw has other bytes)" in err


def test_bytes_that_are_gone_are_made_again(failed: Path, again: Callable[..., Told]) -> None:
    spec("true")
    [model] = (failed / ".mlgen/artifacts/line/one").glob("train.*")
    shutil.rmtree(model)
    reasons, err = again("--resume", "one")
    assert "train (its model is not there any more)" in err
    assert (reasons["make"], reasons["train"]) == ("Reused", "Succeeded")


def test_a_plan_that_is_not_kept_says_so(failed: Path, again: Callable[..., Told]) -> None:
    shutil.rmtree(failed / ".mlgen/artifacts/_plans")
    reasons, _ = again("--resume", "one", code=1)  # the same plan: nobody needs to read it
    assert reasons["make"] == "Reused"
    shutil.rmtree(failed / ".mlgen/artifacts/_plans")
    spec("true")
    for file in (failed / ".mlgen/artifacts").glob("_plans/*"):
        file.write_text("{}")  # forged: its digest is another
    _, err = again("--resume", "one")
    assert "make (the spec changed, and the plan that it ran by is not kept)" in err


def test_from_a_task_runs_it_and_all_after_it(failed: Path, again: Callable[..., Told]) -> None:
    spec("true")
    again("--name", "whole")
    reasons, err = again("--from", "train")
    assert "from whole: make, tell reused" in err.replace("note: ", "")
    assert reasons == {"make": "Reused", "train": "Succeeded", "judge": "Succeeded", "tell": "Reused"}


def test_only_a_task_leaves_out_what_is_after_it_and_finally(
    failed: Path, again: Callable[..., Told], say: Say
) -> None:
    Path("pipelines/line.yaml").write_text(SPEC.replace("BROKEN", "true") + "finally: {last: {run: 'exit 9'}}\n")
    again("--name", "whole", code=1)
    reasons, _ = again("--only", "train", "--name", "alone")
    assert reasons == {"make": "Reused", "train": "Succeeded", "judge": "NotAskedFor", "tell": "NotAskedFor"}
    assert "judge  not asked for" in say("runs", "show", "alone")[1]


def test_a_partial_run_is_taken_up_only_where_it_has_all_that_is_needed(
    failed: Path, again: Callable[..., Told], say: Say
) -> None:
    spec("true")
    again("--name", "whole")
    again("--only", "train", "--name", "alone")
    reasons, err = again("--only", "judge", "--name", "next")  # what `alone` made
    assert "from alone: make, train reused" in err.replace("note: ", "")
    assert (reasons["train"], reasons["tell"]) == ("Reused", "NotAskedFor")
    _, err = again("--from", "train", "--name", "more")  # tell must be known
    assert "from whole: make, tell reused" in err.replace("note: ", "")


CHECKPOINTED = """\
version: 1
name: line
params: {rate: 1}
tasks:
  make: {run: 'test ! -e ../../../../no-make; date +%N > "$rows"', out: {rows: file}}
  train:
    run: |
      cat "$saved/at" >> ../../../../found 2>/dev/null || echo none >> ../../../../found
      echo FIRST > "$saved/at"
      test -e ../../../../good
    in: [params.rate]
    after: [make]
    checkpoint: saved
"""


def test_a_checkpoint_is_found_behind_runs_that_never_came_to_its_task(
    project: Path, again: Callable[..., Told], say: Say
) -> None:
    Path("pipelines/line.yaml").write_text(CHECKPOINTED)
    again("--name", "k1", code=1)
    found = Path(".mlgen/found")
    assert found.read_text().split() == ["none"]
    Path(".mlgen/no-make").touch()
    Path("pipelines/line.yaml").write_text(CHECKPOINTED.replace("test !", "true; test !"))
    again("--resume", "k1", "--name", "k2", code=1)
    again("--resume", "k2", "--name", "k3", code=1)
    Path(".mlgen/no-make").unlink()
    Path(".mlgen/good").touch()
    again("--resume", "k3", "--name", "k4")
    assert found.read_text().split() == ["none", "FIRST"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--resume", "two"), 'no run "two"'),
        (("--from", "make"), "no run of line in local has succeeded yet"),
        (("--resume", "one", "--from", "tran"), "did you mean train?"),
        (("--resume", "one", "--from", "tell"), 'judge: it failed'),
        (("--resume", "one", "--only", "judge", "-p", "n=7"), "train: param n is 7, was 1"),
        (("--resume", "one", "--from", "make", "--only", "make"), "--from and --only exclude each other"),
        (("--resume", "one", "--detach"), "--detach is for runs in a cluster"),
        (("--resume", "one", "-p", "n=x"), "n"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_with_a_way_out(failed: Path, say: Say, arguments: Any, says: str) -> None:
    before = sorted(Path(".mlgen/runs").iterdir())
    code, _, err = say(*RUN, *arguments)
    assert (code, says in err, "   fix  " in err) == (2, True, True), err
    assert sorted(Path(".mlgen/runs").iterdir()) == before


def test_a_run_of_another_pipeline_and_one_that_needs_nothing_are_refused(failed: Path, say: Say) -> None:
    Path("pipelines/other.yaml").write_text("version: 1\nname: other\ntasks: {a: {run: 'true'}}\n")
    code, _, err = say("run", "pipelines/other.yaml", "--resume", "one")
    assert (code, "one is a run of line, not of other" in err) == (2, True)
    assert say("run", "pipelines/other.yaml", "--name", "o")[0] == 0
    code, _, err = say("run", "pipelines/other.yaml", "--resume", "o")
    assert (code, "nothing-to-run" in err) == (2, True)
    tasks = "{a: {if: params.go == true, run: 'true'}, b: {run: 'true'}}"
    gated = f"version: 1\nname: gated\nparams: {{go: true}}\ntasks: {tasks}\n"
    Path("pipelines/gated.yaml").write_text(gated)
    assert say("run", "pipelines/gated.yaml", "--name", "g")[0] == 0
    code, _, err = say("run", "pipelines/gated.yaml", "--resume", "g", "-p", "go=false")
    assert (code, "the gate of a is false now" in err, "nothing of it has changed" in err) == (2, True, False)


def start(*arguments: str, **environ: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mlgen", *RUN, *arguments]
    nowhere = subprocess.DEVNULL
    return subprocess.Popen(command, env={**os.environ, **environ}, stdout=nowhere, stderr=nowhere, text=True)


def test_one_that_still_runs_is_refused_and_two_may_resume_one_at_once(failed: Path, say: Say) -> None:
    spec("sleep 2")
    running = start("--resume", "one", "--name", "slow")
    until = time.monotonic() + 120
    while not list(Path(".mlgen/runs").glob("slow.*/judge-0/script")):
        assert time.monotonic() < until
        time.sleep(0.02)
    code, _, err = say(*RUN, "--resume", "slow")
    assert (code, "slow still runs" in err) == (2, True)
    other = start("--resume", "one", "--name", "other")
    assert [one.wait(timeout=120) for one in (running, other)] == [0, 0]
    for name in ("slow", "other"):
        assert facets(say, name)["run"]["tasks"]["train"] == {"status": "Succeeded", "reason": "Reused"}
    assert (times("make"), times("train")) == (1, 1)


@pytest.mark.parametrize("number", [1, 2])
def test_a_kill_while_it_is_told_what_is_reused_loses_nothing(
    failed: Path, again: Callable[..., Told], number: int
) -> None:
    spec("true")
    killed_at("reused", number, *RUN, "--resume", "one", "--name", "killed")
    reasons, err = again("--resume", "one", "--name", "two")
    assert "killed was cut off before it ended" in err
    assert reasons["judge"] == "Succeeded"
    assert times("make") == 1
    reasons, _ = again("--resume", "killed", "--name", "three")
    assert reasons["judge"] == "Succeeded"
