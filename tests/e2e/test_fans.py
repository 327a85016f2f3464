"""Tasks that run many times, in a cluster: sweeps, lists that only the run knows, and no pod that nobody asked for."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter

import pytest

from tests.e2e.lab import ENV, Lab
from tests.e2e.run import Run, start

pytestmark = pytest.mark.together

# Trial 3 fails and is borne; two at once; texts that a shell, JSON, Kubernetes and Tekton would each read.
SWEEP = """\
tasks:
  train:
    sweep:
      list:
        - {rate: 0.5, note: plain}
        - {rate: 0.9, note: "it's \\"q\\" $x $$ $(x) \\\\n größe"}
        - {rate: 0.7, note: "two\\nlines\\n"}
        - {rate: 9, note: fails}
    parallel: 2
    failures: 1
    pick: max auc
    run: |
      [ "$note" != fails ] || exit 4
      echo "$rate" > "$auc"
      printf '%s' "$MLGEN_INDEX: $note" > "$model"
    out: {model: model, auc: metric}
  every:
    sweep: {grid: {k: [1, 2]}}
    run: echo "$k" > "$part"; echo "$k" > "$size"
    out: {part: file, size: metric}
  use:
    run: |
      [ "$(cat "$model")" = "1: $note" ] && [ "$rate" = 0.9 ] && [ "$auc" = 0.9 ]
      [ "$sizes" = '[1,2]' ] && [ "$(cat "$parts/0000" "$parts/0001" | tr '\\n' ,)" = 1,2, ]
    in: {model: train.model, note: train.note, rate: train.rate, auc: train.auc, parts: every.part, sizes: every.size}
  good: {if: train.auc >= 0.9, run: "true"}
  bad: {if: train.auc < 0.9, run: "true"}
"""

# Of each kind of failure that stage-out alone can bear, and an item that ends well after all.
BORNE = """\
tasks:
  train:
    sweep: {list: [{how: refused}, {how: slow}, {how: deaf}, {how: again}, {how: well}]}
    failures: 3
    pick: max auc
    timeout: 20s
    retries: {count: 1, on: [infrastructure]}
    run: |
      case $how in
        refused) exit 4 ;;
        slow) sleep 600 ;;
        deaf) trap '' TERM; while :; do sleep 1; done ;;
        again) case $(hostname) in *-retry1) ;; *) kill -9 $$ ;; esac ;;
      esac
      echo 1 > "$auc"
    out: {auc: metric}
  use: {run: '[ "$how" = again ]', in: [train.how]}
"""

OVER = """\
tasks:
  train:
    sweep: {list: [{how: refused}, {how: slow}, {how: well}]}
    failures: 1
    timeout: 5s
    retries: {count: 1, on: [75]}
    run: |
      case $how in refused) exit 4 ;; slow) sleep 600 ;; esac
      echo 1 > "$auc"
    out: {auc: metric}
"""

LISTS = """\
params: {items: {type: json, default: []}}
tasks:
  split:
    run: echo "$items" > "$shards"; echo '[1, 2]' > "$more"
    in: [params.items]
    out: {shards: {type: json, max: 400}, more: {type: json, max: 16}}
  each:
    for: {shard: split.shards, size: [10, 20]}
    run: echo "$MLGEN_INDEX $shard $size" > "$line"
    out: {line: {type: string, max: 64}}
  fold:
    run: printf '%s' "$line" > "$lines"
    in: [each.line]
    out: [lines]
"""


def _pods(run: Run) -> Counter[str]:
    return Counter(pod["metadata"]["labels"]["mlgen.dev/task"] for pod in run.pods())


def test_a_sweep_with_a_winner_and_one_without(lab: Lab) -> None:
    project = lab.project("sweep")
    project.pipeline("sweep", SWEEP)
    run = start(project, "sweep")
    assert run.settled() == "Completed"  # "bad" is skipped
    assert _pods(run) == {"train": 4, "every": 2, "use": 1, "if-good": 1, "if-bad": 1, "good": 1, "record": 1}
    told = run.told()
    state, statuses = told.statuses()
    assert (state, statuses.pop("bad"), set(statuses.values())) == ("COMPLETE", "None", {"Succeeded"})
    trials = {trial["item"]["index"]: trial for trial in told.of("train")}
    assert [trials[n]["exitCode"] for n in range(4)] == [0, 0, 0, 4]
    assert trials[1]["item"] == {
        "index": 1,
        "of": 4,
        "pick": "max auc",
        "values": {"rate": 0.9, "note": """it's "q" $x $$ $(x) \\n größe"""},
    }
    started = [trials[n]["startedAt"] for n in (0, 1, 2, 3)]
    ended = [trials[n]["endedAt"] for n in (0, 1)]
    assert max(ended) <= min(started[2:]), "two at once"


def test_items_that_are_not_tried_again_or_take_too_long_are_borne(lab: Lab) -> None:
    """As on a laptop: only a failure that is listed has another pod."""
    project = lab.project("borne")
    project.pipeline("borne", BORNE)
    run = start(project, "borne")
    assert run.settled() == "Succeeded"
    told = run.told()
    assert told.statuses() == ("COMPLETE", {"train": "Succeeded", "use": "Succeeded"})
    trials = {(one["item"]["index"], one["attempt"]): one for one in told.of("train")}
    # A timeout is the infrastructure's: it has its second attempt, as what was killed.
    assert sorted(trials) == [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (3, 1), (4, 0)]
    assert (trials[0, 0]["exitCode"], trials[0, 0]["reason"]) == (4, "StepFailed")
    assert "; not tried again: " in trials[0, 0]["error"]
    for number in (1, 2):
        ends = [
            (trials[number, n]["state"], trials[number, n]["reason"], trials[number, n]["exitCode"]) for n in (0, 1)
        ]
        assert ends == [("FAIL", "TaskRunTimeout", -1)] * 2
    assert [trials[3, n]["state"] for n in (0, 1)] == ["FAIL", "COMPLETE"]


def test_more_of_them_than_are_borne_fail_the_run(lab: Lab) -> None:
    """The second attempts that Tekton starts all the same do nothing, and count nothing twice."""
    project = lab.project("not-borne")
    project.pipeline("over", OVER)
    run = start(project, "over")
    assert run.settled() == "Failed"
    told = run.told()
    assert told.statuses() == ("FAIL", {"train": "Failed"})
    last = {one["item"]["index"]: one for one in sorted(told.of("train"), key=lambda one: int(one["attempt"]))}
    assert [(last[n]["state"], last[n]["reason"]) for n in (0, 1)] == [
        ("FAIL", "StepFailed"),
        ("FAIL", "TaskRunTimeout"),
    ]
    assert all("; not tried again: " in last[n]["error"] for n in (0, 1))


@pytest.mark.parametrize("items", ['["eu",{"a":"$x"},3]', json.dumps(list(range(11))), "[]"])
def test_a_list_that_only_the_run_knows(lab: Lab, items: str) -> None:
    """Six items are fewer than a full chunk, 22 are one and some over."""
    project = lab.project("lists")
    project.pipeline("lists", LISTS)
    run = start(project, "lists", items=items.replace("$", "$$"))
    wanted = [(value, size) for value in json.loads(items) for size in (10, 20)]
    assert run.settled() in ("Succeeded", "Completed")  # by whether a piece has no items
    assert _pods(run) == Counter({"split": 1, "each": len(wanted), "fold": 1, "record": 1})
    told = run.told()
    assert told.statuses() == ("COMPLETE", {"split": "Succeeded", "each": "Succeeded", "fold": "Succeeded"})
    texts = [value if isinstance(value, str) else json.dumps(value, separators=(",", ":")) for value, _ in wanted]
    lines = [f"{n} {text} {size}" for n, (text, (_, size)) in enumerate(zip(texts, wanted, strict=True))]
    assert json.loads(run.bytes_of(told.only("fold")["outputs"]["lines"])) == lines


EMPTY = """\
tasks:
  list: {run: "echo '[]' > $days", out: {days: json}}
  each: {run: 'echo "$day"', for: {day: list.days}}
  many: {run: 'echo "$n"', for: {n: [1, 2, 3]}, parallel: 2}
finally:
  tell: {run: 'echo "$MLGEN_TASKS"'}
"""


def test_a_loop_that_found_no_items_is_told_as_one_that_succeeded(lab: Lab) -> None:
    """By the command that follows the run, by the run's own record, and to a finally task."""
    project = lab.project("no-items")
    project.pipeline("empty", EMPTY)
    asked = ["run", "pipelines/empty.yaml", "--env", ENV, "--name", "none", "--format", "json"]
    done = subprocess.run(
        [sys.executable, "-m", "mlgen", *asked],
        cwd=project.root, env=project.environ(), capture_output=True, text=True, timeout=1200, check=True,
    )  # fmt: skip
    answer = json.loads(done.stdout)
    assert re.search(r"^each +succeeded, no items$", done.stderr, re.MULTILINE), done.stderr
    assert (answer["state"], answer["tasks"]["each"]) == ("COMPLETE", {"status": "Succeeded", "reason": ""})
    recorded = json.loads(project.mlgen("runs", "show", "none", "--env", ENV, "--format", "json"))
    assert recorded["tasks"] == answer["tasks"]
    told = json.loads(project.mlgen("logs", "none", "tell", "--env", ENV))
    assert told == answer["tasks"]
