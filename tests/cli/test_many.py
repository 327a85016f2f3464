"""What people are told of tasks that run many times, of none of them, and of what was taken from the cache."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mlgen.cli.asked import which
from mlgen.cli.cluster import emptied
from mlgen.cli.cluster.answer import text as answer_of
from mlgen.cluster.events import Ended, Outcome
from mlgen.ledger.records.run import TaskStatus
from mlgen.ledger.records.task import State
from tests.cli.pinned import Say
from tests.spec.texts import plan_of

MANY = """\
version: 1
name: many
params: {bad: 9}
tasks:
  list: {run: 'echo "[]" > "$items"', out: {items: json}}
  empty: {run: 'echo "$x" > "$y"', for: {x: list.items}, out: {y: string}}
  train:
    run: |
      if [ "$i" = "$bad" ]; then exit 4; fi
      echo "$i" > "$m"
    in: [params.bad]
    sweep: {grid: {i: {range: 4}}}
    pick: max m
    out: {m: metric}
  after: {run: 'echo "$m"', in: [train.m]}
"""
# The second trial reports less than the first did at this step, and is told to stop.
PRUNED = """\
version: 1
name: pruned
tasks:
  train:
    run: |
      echo "1 $((5 - MLGEN_INDEX))" >> "$MLGEN_REPORT"
      if [ "$MLGEN_INDEX" = 0 ]; then echo 5 > "$score"; exit 0; fi
      if [ "$MLGEN_INDEX" = 2 ]; then exit 3; fi
      for _ in $(seq 500); do
        if [ -e "$MLGEN_PRUNE" ]; then exit 0; fi
        sleep 0.02
      done
    out: {score: metric}
    sweep: {search: {n: {min: 0, max: 2}}, trials: 3, sampler: random, prune: {name: median, startup: 1}}
    failures: 1
    pick: max score
"""
CACHED = """\
version: 1
name: kept
tasks:
  one: {run: 'echo 1 > "$n"', out: {n: integer}, cache: true}
  each: {run: 'echo "$i" > "$m"', for: {i: [4, 5]}, out: {m: integer}, cache: true}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    (tmp_path / "r/pipelines").mkdir(parents=True)
    (tmp_path / "r/mlgen.yaml").write_text("version: 1\n")
    for name, text in {"many": MANY, "kept": CACHED}.items():
        (tmp_path / f"r/pipelines/{name}.yaml").write_text(text)
    monkeypatch.chdir(tmp_path / "r")
    return tmp_path / "r"


def test_a_winner_is_marked_once_its_task_has_succeeded(project: Path, say: Say) -> None:
    code, run, _ = say("run", "pipelines/many.yaml", "--name", "good")
    assert code == 0
    assert "  train  4 succeeded; the best by max m is train[3]\n" in run
    shown = say("runs", "show", "good")[1]
    assert "train  4 items: 4 succeeded; the best by max m is train[3]\n" in shown
    assert re.search(r"^  \*  3 +3 +3 +succeeded", shown, re.MULTILINE)

    code, run, _ = say("run", "pipelines/many.yaml", "--name", "bad", "-p", "bad=1")
    assert code == 1
    assert re.search(r"^  train  \d succeeded, 1 failed; the best so far by max m is train\[\d\]$", run, re.MULTILINE)
    shown = say("runs", "show", "bad")[1]
    assert re.search(r": \d succeeded, 1 failed; the best so far by max m is train\[\d\]$", shown, re.MULTILINE)
    assert "*" not in shown


def test_a_task_without_items_succeeded_with_none(project: Path, say: Say) -> None:
    _, run, progress = say("run", "pipelines/many.yaml", "--name", "good")
    assert "  empty  succeeded, no items\n" in run
    assert "empty  succeeded, no items\n" in progress
    assert "\nempty  succeeded, no items\n" in say("runs", "show", "good")[1]


def test_an_item_that_is_not_there_and_a_slip_of_the_pen(project: Path, say: Say) -> None:
    say("run", "pipelines/many.yaml", "--name", "good")
    for asked, fix in {
        "train[99]": "its items: 0 to 3",
        "trian": "did you mean train?",
        "trian[1]": "did you mean train?",
        "after[1]": '"after" has no items here: ask for after',
        "zzz": "its tasks: after, list, train",
    }.items():
        code, _, told = say("logs", "good", asked)
        assert (code, told) == (2, f'mlgen: error[no-log]: no task "{asked}" ran in good\n   fix  {fix}\n')
    assert which("t[9]", ["t[0]", "t[1]", "t[3]", "t[5]", "t[6]"]) == "its items: 0 to 1, 3, 5 to 6"


def test_a_trial_that_was_stopped_early_did_not_fail(project: Path, say: Say) -> None:
    pytest.importorskip("optuna")
    (project / "pipelines/pruned.yaml").write_text(PRUNED)
    code, run, _ = say("run", "pipelines/pruned.yaml", "--name", "one")
    assert code == 0
    counts = "1 succeeded, 1 failed, 1 stopped early; the best by max score is train[0]"
    assert f"  train  {counts}\n" in run
    shown = say("runs", "show", "one")[1]
    assert f"train  3 items: {counts}\n" in shown
    assert re.search(r"  stopped early, at step 1, by median +\d", shown)


def test_who_made_what_was_taken_from_the_cache(project: Path, say: Say) -> None:
    assert say("run", "pipelines/kept.yaml", "--name", "first")[0] == 0
    code, run, _ = say("run", "pipelines/kept.yaml", "--name", "second")
    assert code == 0
    assert "  each  2 succeeded (2 cached)\n" in run
    shown = say("runs", "show", "second")[1]
    records = json.loads(say("runs", "show", "first", "--format", "json")[1])["records"]
    ids = {record["job"]["name"]: record["run"]["runId"] for record in records if record["job"]["name"] == "kept.one"}
    made = f"succeeded, cached: one of first made it ({ids['kept.one']})"
    assert f"  one   {made}\n" in run
    assert f"one  {made}, " in shown
    assert re.search(r"cached: each\[1\] of first made it \([0-9a-f-]{36}\)", shown)
    code, _, told = say("runs", "show", ids["kept.one"])
    assert (code, told) == (
        2,
        f"mlgen: error[unknown-run]: {ids['kept.one']} is no run, but one of first\n   fix  `mlgen runs show first`\n",
    )


IMAGE = "busybox@sha256:" + "0" * 64
LISTS = f"""\
version: 1
name: demo
defaults: {{image: "{IMAGE}"}}
tasks:
  list: {{run: a, out: {{items: json}}}}
  none: {{run: a, for: {{x: []}}}}
  some: {{run: a, for: {{x: [1, 2]}}}}
"""


def test_a_list_that_is_empty_in_the_spec_fails_no_run_in_a_cluster() -> None:
    plan = plan_of(LISTS.encode())
    follows = [task.name for task in plan.tasks if not emptied.at_once(task)]
    assert sorted(follows) == ["list", "some"]  # of the other Tekton would have no end, and the run none that is good
    statuses = {name: TaskStatus("Succeeded", "Succeeded") for name in follows}
    endings = {f"some[{at}]": Ended(f"some[{at}]", 0, State.COMPLETE, 1.0, False) for at in range(2)}
    outcome = Outcome("r", "u", State.COMPLETE, statuses, {}, endings, {}, "")
    found = emptied.told(plan, {task.name for task in plan.tasks}, outcome)
    assert list(found.tasks) == [task.name for task in plan.tasks]
    assert found.tasks["none"] == TaskStatus("Succeeded", "")
    said = answer_of(plan, found, env="e", artifacts="s3://a", commit="c", ledger=["l"])
    assert "  none  succeeded, no items\n" in said
    assert "  some  2 succeeded\n" in said
    assert "none" not in emptied.told(plan, {"some"}, outcome).tasks  # of a run that takes up another
