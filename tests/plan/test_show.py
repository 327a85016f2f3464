"""Plans as text and as pictures: whole, and harmless whatever an author wrote."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import HealthCheck, given, settings

from mlgen.diagnostic import visible
from mlgen.plan.graph import dot, mermaid
from mlgen.plan.show import to_text
from tests.spec.texts import plan_of
from tests.strategies import Spec, load, specs

SPEC = b"""\
version: 1
name: churn
owner: risk-team
description: Weekly
params:
  epochs: 20
  target: {choices: [none, prod], default: none}
  since: {type: string}
  share: {type: number, default: 0.5, minimum: 0, maximum: 1, description: of the rows}
inputs: {raw: s3://ml-data/raw.csv, more: {type: dataset}}
tasks:
  prepare:
    run: |

      python prepare.py
      echo done
    in: [inputs.raw, params.since]
    out: {rows: dataset, count: integer}
  train:
    run: [python, train.py, a b]
    env: {OMP_NUM_THREADS: "8", A: "b\\nc"}
    secrets: {HF_TOKEN: hf/token}
    in: {x: prepare.rows, epochs: params.epochs, note: {value: hi}, n: prepare.count}
    out: {auc: metric, curve: {type: plot, optional: true}}
    image: busybox
    gpu: a100:2
    disk: 10Gi
    retries: 1
    timeout: 90m
  end: {run: echo, if: train.auc > params.share and (params.target != "none" or params.epochs > 3), after: [prepare]}
finally:
  tell: {run: echo, in: [params.target, inputs.more], if: params.target == "prod"}
"""


def test_a_plan_for_people() -> None:
    text = to_text(plan_of(SPEC, name="churn"))
    assert text.startswith("churn  Weekly\nowner  risk-team\nplan   sha256:")
    assert "  share   number   = 0.5  at least 0  at most 1  of the rows\n  since   string   (required)\n" in text
    assert "  target  string   = none  one of none, prod\n" in text
    assert "  more  dataset  (required)\n" in text
    assert "  1 prepare\n      run      python prepare.py  (and 1 more line)\n" in text
    assert "  2 train  after prepare\n      run      python train.py 'a b'\n" in text
    assert '      in       params.epochs, n = prepare.count, note = "hi", x = prepare.rows\n' in text
    assert "      env      A = b\\nc, OMP_NUM_THREADS = 8\n      secrets  HF_TOKEN = hf/token\n" in text
    assert "      if       train.auc > params.share  [decided by train, when it ends]\n" in text
    assert '      and      (params.target != "none" or params.epochs > 3)  [decided by train, when it ends]\n' in text
    assert "      image    busybox  (unpinned)\n" in text
    assert "2 GPU of a100, 10368Mi disk, 1h30m0s at most, 1 retry\n" in text
    assert text.endswith("\n4 pods at most; a pod more writes the run's record\n")


def test_a_plan_names_the_task_file_and_the_digest_does_not() -> None:
    task = plan_of(b"version: 1\nname: demo\ntasks:\n  tell: {run: echo}\n")
    used = replace(task, tasks=(replace(task.tasks[0], file="tasks/tell.yaml"),))
    assert "  1 tell\n      use      tasks/tell.yaml\n      run      echo\n" in to_text(used)
    assert used.digest == task.digest


PICTURE = """\
flowchart TD
  input_more[("more")]
  input_raw[("raw")]
  task_prepare["prepare"]
  task_train["train"]
  task_end{{"end<br/>if train.auc > params.share<br/>and (params.target != #34;none#34; or params.epochs..."}}
  input_raw --> task_prepare
  input_more --> task_tell
  task_prepare -->|count, rows| task_train
  task_train -.->|if| task_end
  task_prepare -.->|after| task_end
  subgraph finally["finally: when all have ended"]
    task_tell{{"tell<br/>if params.target == #34;prod#34;"}}
  end
  task_end -.-> finally
"""


def test_a_plan_as_pictures() -> None:
    plan = plan_of(SPEC, name="churn")
    assert mermaid(plan) == PICTURE
    assert '  "prepare" -> "train" [label="count, rows"];\n' in dot(plan)
    assert '  "train" -> "end" [label="if", style=dashed];\n' in dot(plan)
    assert '  "inputs.raw" -> "prepare";\n' in dot(plan)
    assert '  "end" -> "tell" [lhead=cluster_finally, style=dotted];\n' in dot(plan)


def test_a_long_gate_leaves_room_for_the_rest() -> None:
    gate = " and ".join(f"params.x != {n}" for n in range(5))
    text = f"version: 1\nname: demo\nparams: {{x: 9}}\ntasks:\n  a: {{run: echo, if: {gate}}}\n"
    label = "a<br/>if params.x != 0<br/>and params.x != 1<br/>and params.x != 2<br/>and ..."
    assert f'  task_a{{{{"{label}"}}}}\n' in mermaid(plan_of(text.encode()))


def test_a_text_in_a_gate_ends_no_label() -> None:
    gate = r"""params.s == "a\"]; x [label=<b>" or params.s == "`\u2028\u001b|end" """.strip()
    text = f"version: 1\nname: demo\nparams: {{s: a}}\ntasks:\n  a:\n    run: echo\n    if: '{gate}'\n"
    plan = plan_of(text.encode())
    (line,) = [line for line in dot(plan).split("\n") if "hexagon" in line]
    assert re.sub(r'"(?:[^"\\]|\\.)*"', "S", line) == "  S [label=S, shape=hexagon, style=solid];"
    assert line.isprintable()
    (line,) = [line for line in mermaid(plan).split("\n") if "task_a" in line]
    assert re.fullmatch(r'  task_a\{\{"[A-Za-z0-9 ._,#;<>/=!()-]*"\}\}', line)
    assert line.count("<br/>") == 1


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(specs())
def test_every_plan_can_be_shown(spec: Spec) -> None:
    plan = load(spec)
    text = to_text(plan)
    assert all(f" {task.name}" in text for task in plan.all_tasks)
    for picture in (mermaid(plan), dot(plan)):
        assert all(visible(line) == line for line in picture.split("\n"))
        assert all(task.name in picture for task in plan.all_tasks)


def test_several_nodes_are_told_with_all_their_gpus() -> None:
    text = to_text(plan_of(SPEC.replace(b"gpu: a100:2", b"gpu: a100:2\n    nodes: 4"), name="churn"))
    assert re.search(r"pod +4 nodes, each .* cpu, .* memory, 2 GPU of a100 \(8 in all\), ", text)
    assert "nodes" not in to_text(plan_of(SPEC, name="churn"))
