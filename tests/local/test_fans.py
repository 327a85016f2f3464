"""Tasks that run many times, run here: at once, with failures, and with what their readers get."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlgen.ledger.records.run import TaskStatus
from mlgen.ledger.records.task import Item, State, local_run_id
from mlgen.local.events import Concluded, Ended, Event, Skipped, Started
from mlgen.plan.model import Plan
from mlgen.runtime.ending import CANCELLED
from tests.local.runs import Project
from tests.spec.texts import plan_of


def plan(tasks: str) -> Plan:
    return plan_of(f"version: 1\nname: demo\ntasks:\n{tasks}".encode())


SWEEP = """
  train:
    sweep: {grid: {depth: [3, 5], rate: [0.1, 1e-2]}}
    run: |
      echo "$MLGEN_INDEX $depth $rate"
      echo "model $depth $rate" > "$model"
      echo "0.$depth" > "$auc"
      if [ "$rate" = 0.1 ]; then echo slow > "$note"; fi
    out: {model: model, auc: metric, note: {type: string, optional: true}}
"""


def test_readers_get_what_the_winner_left(project: Project) -> None:
    told = project.run(
        plan(
            SWEEP
            + "    pick: max auc\n"
            + "  report:\n    if: train.auc > 0.4 and train.depth == 5\n"
            + '    run: echo "$auc $depth $rate $note"; cat "$model"\n'
            + "    in: [train.model, train.auc, train.depth, train.rate, train.note]\n"
        )
    )
    assert told.outcome.ok
    assert told.log("report") == "0.5 5 0.1 slow\nmodel 5 0.1\n"  # of equal metrics that of the lowest index
    assert told.log("train.1") == "1 3 1e-2\n"
    record = told.records["train[3]-0"]
    assert record.item == Item(3, 4, {"depth": 5, "rate": 0.01}, "max auc")
    assert record.metrics == {"auc": 0.5}
    assert record.run_id == local_run_id(record.run_uid, "train", 0, 3)
    assert record.path.endswith(f"/train.3-0.{record.run_id[:8]}.json")
    assert record.outputs[0].uri == f"artifacts/demo/demo-x1/train.3.{record.run_id[:8]}/model"
    winner = told.records["train[2]-0"].outputs
    assert [a.uri for a in told.records["report-0"].inputs] == [a.uri for a in winner]
    assert sorted(told.run.tasks) == ["report", "train"]


def test_readers_of_all_get_lists_and_folders_in_order(project: Project) -> None:
    report = (
        '  report:\n    run: echo "$auc $note"; cd "$model"; grep . *\n    in: [train.model, train.auc, train.note]\n'
    )
    told = project.run(plan(SWEEP + report))
    assert told.log("report").splitlines() == [
        '[0.3,0.3,0.5,0.5] ["slow",null,"slow",null]',
        "0000:model 3 0.1",
        "0001:model 3 1e-2",
        "0002:model 5 0.1",
        "0003:model 5 1e-2",
    ]
    made = [told.records[f"train[{index}]-0"].outputs[0].uri for index in range(4)]
    assert [a.uri for a in told.records["report-0"].inputs] == made


FAILING = """
  each:
    for: {n: {range: 5}}
    %s
    run: |
      echo "$n" >> ../../ran
      if [ "$n" = 1 ] || [ "$n" = 3 ]; then exit 7; fi
      echo "$n" > "$x"; echo "$n" > "$f"
    out: {x: integer, f: file}
  report:
    run: echo "$x"; ls "$f"
    in: [each.x, each.f]
"""


def test_failures_that_are_borne_leave_nothing(project: Project) -> None:
    told = project.run(plan(FAILING % "failures: 2"))
    assert told.outcome.ok
    assert told.log("report") == "[0,null,2,null,4]\n0000\n0002\n0004\n"
    assert told.records["each[3]-0"].state is State.FAIL
    assert told.records["each[3]-0"].outputs == ()
    assert told.reasons() == {"each": "Succeeded", "report": "Succeeded"}
    assert [e for e in told.events if isinstance(e, Concluded)] == [Concluded("each", State.COMPLETE, 5, 2)]


def test_over_the_limit_no_further_item_starts(project: Project) -> None:
    told = project.run(plan(FAILING % "parallel: 1"))
    assert told.run.state is State.FAIL
    assert sorted(name for name in told.records) == ["each[0]-0", "each[1]-0"]
    assert told.reasons() == {"each": "StepFailed", "report": "PipelineRun was stopping"}
    assert told.outcome.whys["report"] == "each failed"
    assert [e for e in told.events if isinstance(e, Concluded)] == [Concluded("each", State.FAIL, 5, 1)]


def test_each_item_is_tried_again(project: Project) -> None:
    tasks = """
  each:
    for: {n: [a, b, c]}
    retries: 2
    run: test -e "../../$n" || { touch "../../$n"; exit 1; }
"""
    told = project.run(plan(tasks))
    assert told.outcome.ok
    assert sorted(told.records) == [f"each[{i}]-{attempt}" for i in range(3) for attempt in range(2)]


@pytest.mark.parametrize(("parallel", "most"), [("", 4), ("parallel: 2", 2), ("parallel: 1", 1)])
def test_so_many_run_at_once(project: Project, parallel: str, most: int) -> None:
    running = peak = 0

    def hear(event: Event) -> None:
        nonlocal running, peak
        running += isinstance(event, Started) - isinstance(event, Ended)
        peak = max(peak, running)

    made = plan(f"  each: {{for: {{n: {{range: 6}}}}, run: sleep 0.05{', ' if parallel else ''}{parallel}}}\n")
    assert project.run(made, slots=4, on_event=hear).outcome.ok
    assert peak == most


def test_other_tasks_start_before_further_items(project: Project) -> None:
    made = plan("  each: {for: {n: {range: 4}}, run: sleep 0.01}\n  other: {run: 'true'}\n")
    started = [e for e in project.run(made, slots=1).events if isinstance(e, Started)]
    assert [e.task for e in started].index("other") < 2


LISTED = """
  list:
    run: |
      echo '%s' > "$names"
    out: {names: json}
  each:
    for: {name: list.names, n: [1, 2]}
    run: printf '%%s|' "$name" "$n" "$MLGEN_INDEX"; printf '%%s' "$name" > "$x"
    out: {x: string}
  report: {run: echo "$x", in: [each.x]}
"""


def test_a_list_that_only_the_run_knows(project: Project) -> None:
    told = project.run(plan(LISTED % '["eu", "b c", {"k": 1}, 0.50]'))
    assert told.outcome.ok
    assert told.log("each.0") == "eu|1|0|"
    assert told.log("each.5") == '{"k":1}|2|5|'
    assert told.records["each[5]-0"].item == Item(5, 8, {"name": {"k": 1}, "n": 2})
    assert json.loads(told.log("report"))[::2] == ["eu", "b c", '{"k":1}', "0.5"]


def test_no_items_are_a_task_that_succeeded(project: Project) -> None:
    told = project.run(plan(LISTED % "[]"))
    assert told.outcome.ok
    assert told.log("report") == "[]\n"
    assert sorted(told.records) == ["list-0", "report-0"]
    assert told.run.tasks["each"] == TaskStatus("Succeeded", "")  # as `record` has it in a cluster


def test_an_empty_folder_of_no_items(project: Project) -> None:
    tasks = "  each: {for: {n: []}, run: exit 1, out: [f]}\n  report: {run: 'ls -A \"$f\" | wc -l', in: [each.f]}\n"
    assert project.run(plan(tasks)).log("report").strip() == "0"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a": 1}', '"list.names" cannot be gone through: it is no JSON list, but {"a": 1}'),
        (json.dumps([0] * 129, separators=(",", ":")), '"each" would run 258 times, and at most 256'),
        ('["b", "a\\u0000b"]', '"list.names" cannot be gone through: element 1: a text with a NUL character'),
    ],
)
def test_what_is_no_list_fails_with_a_sentence(project: Project, text: str, why: str) -> None:
    told = project.run(plan((LISTED % text).replace("names: json", "names: {type: json, max: 400}")))
    assert told.reasons()["each"] == "StepFailed"
    assert why in (told.records["each-0"].error or "")
    assert told.run.state is State.FAIL


def test_the_outs_of_one_fan_are_the_list_of_another(project: Project) -> None:
    tasks = """
  first: {for: {n: [3, 4]}, run: 'echo $n > "$x"', out: {x: integer}}
  second: {for: {m: first.x, k: [0, 1]}, run: 'echo $m$k > "$y"', out: {y: string}}
  last: {run: echo "$y", in: [second.y]}
"""
    assert project.run(plan(tasks)).log("last") == '["30","31","40","41"]\n'


def test_a_list_that_no_variable_holds_fails_its_reader(project: Project) -> None:
    tasks = """
  each:
    for: {n: {range: 30}}
    run: head -c 3900 /dev/zero | tr "\\0" "\\001" > "$x"
    out: {x: {type: string, max: 3950}}
  report: {run: echo "$x", in: [each.x]}
"""
    told = project.run(plan(tasks))
    error = told.records["report-0"].error or ""
    assert '"x" of all items of "each" takes' in error
    assert "make it a file" in error
    assert told.reasons() == {"each": "Succeeded", "report": "StepFailed"}


def test_a_skipped_fan_skips_its_readers(project: Project) -> None:
    tasks = """
  first: {run: 'echo 1 > "$x"', out: {x: integer}}
  each: {if: first.x > 1, for: {n: [1, 2]}, run: 'true', out: {y: {type: string, optional: true}}}
  report: {run: echo, in: [each.y]}
  after: {run: echo, after: [each]}
"""
    told = project.run(plan(tasks))
    assert {s.task for s in told.events if isinstance(s, Skipped)} == {"each", "report"}
    assert told.run.tasks["after"].status == "Succeeded"


def test_a_failure_elsewhere_ends_a_fan_between_its_items(project: Project) -> None:
    tasks = "  a: {run: sleep 0.1; exit 1}\n  each: {for: {n: {range: 50}}, run: sleep 0.05}\n"
    told = project.run(plan(tasks))
    assert told.run.state is State.FAIL
    assert len(told.records) < 30
    assert told.run.tasks["each"].status == "None"
    assert told.outcome.whys["each"] == "the run stopped before all its items had run"


def test_an_interrupt_ends_the_items_that_run(project: Project) -> None:
    import os
    import signal

    def hear(event: Event) -> None:
        if isinstance(event, Started) and event.item is not None and event.item.index == 1:
            os.kill(os.getpid(), signal.SIGINT)

    told = project.run(plan("  each: {for: {n: {range: 9}}, run: sleep 30}\n"), on_event=hear)
    assert told.outcome.interrupted
    assert told.run.state is State.ABORT
    assert told.run.tasks["each"].reason == CANCELLED
    assert {name: r.state for name, r in told.records.items()} == dict.fromkeys(("each[0]-0", "each[1]-0"), State.ABORT)


def test_two_thousand_artifacts_enter_one_record(project: Project) -> None:
    """Bytes of what is read: measured, as a record that no ledger takes would fail a task after all the work."""
    from mlgen.ledger.records import entry
    from mlgen.ledger.records.artifact import Artifact
    from mlgen.runtime.ending import SUCCEEDED, Ending, record_of
    from mlgen.runtime.protocol import Execution, TaskDocument

    uri = (
        "s3://a-bucket-with-a-long-name/environment/a-pipeline-of-twenty/a-run-with-a-suffix-x1y2z/train.%d.0a1b2c3d/%s"
    )
    inputs = tuple(
        Artifact("x" * 40, uri % (i, "x" * 40), "sha256:" + "f" * 64, 1 << 40, "application/octet-stream", "dataset")
        for i in range(2000)
    )
    document = TaskDocument("p", "e", "t", (), (), (), "s3://b", None, None, None, 60)
    uid = "0a1b2c3d-0000-4000-8000-000000000000"
    digest = "sha256:" + "0" * 64
    execution = Execution("r", uid, uid, 0, {}, {}, {}, digest, digest, None, "local")
    ending = Ending(State.COMPLETE, SUCCEEDED, 0, None, "2026-11-28T00:00:00Z", "2026-11-28T00:00:01Z")
    data = entry.to_bytes(record_of(document, execution, ending, inputs=inputs))
    assert 600_000 < len(data) < 1_300_000
    assert entry.record_from_bytes(data).inputs == inputs  # type: ignore[union-attr]


def test_logs_and_folders_go_by_item(project: Project, tmp_path: Path) -> None:
    told = project.run(plan(SWEEP))
    names = sorted(p.name for p in told.folder.iterdir() if p.name.startswith("train"))
    assert names == [f"train.{i}-0" for i in range(4)]
