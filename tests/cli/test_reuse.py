"""Tasks and pipelines that specs use again: laid in before the plan, told where they are, listed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from mlgen.cli.projects.workspace import Workspace
from mlgen.plan.model import Plan
from tests.cli.pinned import Say

PREP = """\
version: 1
name: prep
description: Rows to features
params: {rows: 100, mode: {choices: [fast, full], default: fast}, least: 0.5}
inputs: {raw: {type: dataset}, extra: {uri: ../data/extra.csv}}
defaults: {memory: 2Gi, image: "a/b@sha256:0000000000000000000000000000000000000000000000000000000000000000"}
outs: {features: build.features, rows: clean.count}
tasks:
  clean:
    run: head -n "$rows" "$raw" "$extra" > "$cleaned"; echo 3 > "$count"
    in: [params.rows, inputs.raw, inputs.extra]
    out: {cleaned: dataset, count: integer}
  audit: {run: echo audited, if: params.mode == "full"}
  build:
    if: params.least < 0.9 and clean.count > 0 and params.mode in ["fast", "full"]
    run: cp "$cleaned" "$features"
    in: [clean.cleaned]
    out: {features: dataset}
    after: [audit]
"""
TRAIN = """\
version: 1
kind: task
name: train
description: Trains
in: {features: {type: dataset}, epochs: {type: integer, default: 3, minimum: 1}, note: {type: string, optional: true}}
out: {model: model, auc: metric}
run: cp "$features" "$model"; echo "0.$epochs" > "$auc"
image: a/b@sha256:0000000000000000000000000000000000000000000000000000000000000000
"""
SPEC = """\
version: 1
name: churn
params: {go: true, mode: {choices: [fast, full], default: fast}}
inputs: {raw: {uri: data/raw.csv, type: dataset}}
defaults: {cpu: 2, image: "a/b@sha256:0000000000000000000000000000000000000000000000000000000000000000"}
tasks:
  first: {run: echo 1}
  prep: {use: prep@1, in: {raw: inputs.raw, mode: params.mode}, if: params.go == true, after: [first]}
  train: {use: train@1, in: {features: prep.features}, if: prep.rows > 1, memory: 3Gi}
  last: {run: echo done, after: [prep]}
"""
# The same, as one would write it without `use`.
WRITTEN_OUT = """\
version: 1
name: churn
params: {go: true, mode: {choices: [fast, full], default: fast}}
inputs: {raw: {uri: data/raw.csv, type: dataset}, prep_extra: data/extra.csv}
defaults: {image: "a/b@sha256:0000000000000000000000000000000000000000000000000000000000000000"}
tasks:
  first: {run: echo 1, cpu: 2}
  prep-clean:
    if: params.go == true
    run: head -n "$rows" "$raw" "$extra" > "$cleaned"; echo 3 > "$count"
    in: {rows: 100, raw: inputs.raw, extra: inputs.prep_extra}
    out: {cleaned: dataset, count: integer}
    memory: 2Gi
    after: [first]
  prep-audit: {run: echo audited, if: params.go == true and params.mode == "full", memory: 2Gi, after: [first]}
  prep-build:
    if: params.go == true and prep-clean.count > 0 and params.mode in ["fast", "full"]
    run: cp "$cleaned" "$features"
    in: {cleaned: prep-clean.cleaned}
    out: {features: dataset}
    after: [prep-audit]
    memory: 2Gi
  train:
    if: prep-clean.count > 1
    run: cp "$features" "$model"; echo "0.$epochs" > "$auc"
    in: {features: prep-build.features, epochs: 3}
    out: {model: model, auc: metric}
    memory: 3Gi
  last: {run: echo done, after: [prep-build], cpu: 2}
"""
DEV = """\
version: 1
environments:
  dev:
    namespace: ml
    artifacts: s3://ml-artifacts/dev
    ledger: {url: "https://git.example/l.git"}
    runtime_image: a/r@sha256:0000000000000000000000000000000000000000000000000000000000000000
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "p"
    for path, text in {
        "mlgen.yaml": DEV,
        "tasks/prep@1.yaml": PREP,
        "tasks/train@1.yaml": TRAIN,
        "pipelines/churn.yaml": SPEC,
        "data/raw.csv": "1\n2\n",
        "data/extra.csv": "3\n",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    monkeypatch.chdir(root)
    return root


def plan() -> Plan:
    return Workspace.around().plan(Path("pipelines/churn.yaml"))


def edit(path: str, old: str, new: str) -> None:
    text = Path(path).read_text()
    assert old in text
    Path(path).write_text(text.replace(old, new))


def test_a_nested_pipeline_is_the_same_as_its_tasks_written_out(project: Path) -> None:
    nested = plan()
    (project / "pipelines/churn.yaml").write_text(WRITTEN_OUT)
    flat = plan()
    assert [t.name for t in nested.tasks] == [t.name for t in flat.tasks]
    assert nested.digest == flat.digest
    assert {t.name: (t.file, t.group) for t in nested.tasks if t.group} == dict.fromkeys(
        ("prep-clean", "prep-audit", "prep-build"), ("tasks/prep@1.yaml", ("prep",))
    )


def test_manifests_are_the_same_written_out(project: Path, say: Say) -> None:
    _, nested, _ = say("render", "--env", "dev", "--stdout")
    (project / "pipelines/churn.yaml").write_text(WRITTEN_OUT)
    _, flat, _ = say("render", "--env", "dev", "--stdout")
    digest = r"mlgen.dev/spec-digest"
    assert "kind: Task" in nested
    assert [line for line in nested.split("\n") if digest not in line] == [
        line for line in flat.split("\n") if digest not in line
    ]


def test_pipelines_in_pipelines(project: Path, say: Say) -> None:
    (project / "tasks/all@1.yaml").write_text("""\
version: 1
name: all
params: {rows: {type: integer}}
inputs: {raw: {type: dataset}}
outs: [train.model, prep.rows]
tasks:
  prep: {use: prep@1, in: [params.rows, inputs.raw]}
  train: {use: ./train@1.yaml, in: {features: prep.features, epochs: params.rows}}
""")
    (project / "pipelines/churn.yaml").write_text("""\
version: 1
name: churn
params: {n: 5}
inputs: {raw: {uri: data/raw.csv, type: dataset}}
tasks:
  a: {use: all@1, in: {rows: params.n, raw: inputs.raw}}
  b: {use: all@1, in: {rows: a.rows, raw: inputs.raw}}
  c: {run: cp "$model" "$copy", in: [b.model], out: {copy: model}}
""")
    made = plan()
    assert [t.name for t in made.tasks if t.name[0] == "b"] == [
        "b-prep-audit",
        "b-prep-clean",
        "b-prep-build",
        "b-train",
    ]
    clean, train, last = made.task("b-prep-clean"), made.task("b-train"), made.task("c")
    assert [str(i.source) for i in clean.ins if i.name == "rows"] == ["a-prep-clean.count"]
    assert [str(i.source) for i in train.ins] == ["a-prep-clean.count", "b-prep-build.features"]
    assert [str(i.source) for i in last.ins] == ["b-train.model"]
    assert clean.group == ("b", "b-prep")
    assert [i.name for i in made.inputs] == ["a_prep_extra", "b_prep_extra", "raw"]
    _, out, _ = say("graph", "pipelines/churn.yaml")
    assert '  subgraph of_task_b["b"]\n    task_b_dash_train' in out
    assert '    subgraph of_task_b_dash_prep["b-prep"]\n' in out


def test_a_gate_of_constants_costs_no_pod(project: Path) -> None:
    edit("pipelines/churn.yaml", ", mode: params.mode", "")
    edit("pipelines/churn.yaml", ", mode: {choices: [fast, full], default: fast}", "")
    made = plan()
    assert made.gate_tasks == ()
    assert [(c.text, c.evaluator) for c in made.task("prep-audit").conditions] == [
        ("params.go == true", None),
        ('"fast" == "full"', None),
    ]
    edit("tasks/prep@1.yaml", "params.least < 0.9", "params.least > 0.9")
    assert ("false == true", None) in [(c.text, c.evaluator) for c in plan().task("prep-build").conditions]
    assert plan().gate_tasks == ()


def test_a_run_of_a_nested_pipeline_records_its_tasks(project: Path, say: Say) -> None:
    code, out, err = say("run", "pipelines/churn.yaml", "--format", "json")
    assert code == 0, err
    run = json.loads(out)
    assert {name: task["status"] for name, task in run["tasks"].items()} == {
        **dict.fromkeys(("first", "last", "prep-clean", "prep-build", "train"), "Succeeded"),
        "prep-audit": "None",
    }
    _, out, _ = say("lineage", "churn/train/model", "--up")
    assert "prep-clean" in out


@pytest.mark.parametrize(
    ("old", "new", "told", "where"),
    [
        ("mode: params.mode}", "mode: params.go}", "[edge-type]", "pipelines/churn.yaml:8:51"),
        ("{raw: inputs.raw, mode", "{mode", '[missing-in]: task "prep" does not give "raw"', "churn.yaml:8:23"),
        ("mode: params.mode}", "mod: params.mode}", "[unknown-in]", "fix  write mode"),
        ("prep.features", "prep.feature", "[unknown-out]", "(tasks/prep@1.yaml)"),
        ("after: [first]}", "after: [first], cpu: 4}", "[use-override]", "tasks/prep@1.yaml has 3 tasks"),
        ("after: [first]}", "after: [first], parallel: 4}", "[use-override]", "`parallel`"),
        ("use: prep@1", "use: prep@3", "[no-such-path]: there is no prep@3", "fix  write prep@1"),
        ("use: prep@1", "use: perp@1", "[no-such-path]", "fix  write prep@1"),
        ("  first: {", "  prep-clean: {run: echo}\n  first: {", "[name-collision]", "churn.yaml:9:15"),
        ("name: churn", "name: churn\nlabels: {}", "", "nothing to mend"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("project")
def test_mistakes_of_a_caller(say: Say, old: str, new: str, told: str, where: str) -> None:
    edit("pipelines/churn.yaml", old, new)
    code, out, _ = say("check")
    assert (told in out, where in out) == (True, True), out
    assert code == (1 if told else 0)


def test_names_that_are_too_long_together_are_told_at_the_use(project: Path, say: Say) -> None:
    edit("pipelines/churn.yaml", "  prep: {", "  preparation-of-all-the-many-rows: {")
    edit("pipelines/churn.yaml", "[prep]", "[preparation-of-all-the-many-rows]")
    Path("pipelines/churn.yaml").write_text(
        Path("pipelines/churn.yaml").read_text().replace(" prep.", " preparation-of-all-the-many-rows.")
    )
    code, out, _ = say("check")
    assert code == 1
    assert "pipelines/churn.yaml:8:43: error[name-too-long]" in out
    assert "see  tasks/prep@1.yaml:" in out


def test_mistakes_in_the_nested_file_are_told_there_with_who_uses_it(project: Path, say: Say) -> None:
    edit("tasks/prep@1.yaml", "[clean.cleaned]", "[clean.claened]")
    edit("tasks/prep@1.yaml", "rows: clean.count", "rows: params.rows")
    code, out, _ = say("check")
    assert code == 1
    assert "tasks/prep@1.yaml:17:10: error[unknown-out]" in out
    assert "tasks/prep@1.yaml:7:40: error[bad-ref]" in out
    assert out.count("see  pipelines/churn.yaml:8:15: it is used here") == 2


def test_too_many_tasks(project: Path, say: Say) -> None:
    for level in range(1, 5):
        tasks = "".join(f"  t{n}: {{use: many@{level + 1}}}\n" for n in range(20))
        Path(f"tasks/many@{level}.yaml").write_text(f"version: 1\nname: many\ntasks:\n{tasks}")
    Path("tasks/many@5.yaml").write_text("version: 1\nname: many\ntasks:\n  a: {run: echo}\n")
    Path("pipelines/churn.yaml").write_text("version: 1\nname: churn\ntasks: {a: {use: many@1}}\n")
    code, out, _ = say("check")
    assert code == 1
    assert "error[too-large]: there are 160,000 tasks" in out


def test_a_caller_of_an_optional_out_and_a_command_list(project: Path, say: Say) -> None:
    edit("tasks/prep@1.yaml", 'run: cp "$cleaned" "$features"', 'run: [cp, "x"]')
    edit("tasks/prep@1.yaml", "in: [clean.cleaned]", "in: [clean.cleaned, inputs.extra]")
    edit(
        "pipelines/churn.yaml",
        "  first: {run: echo 1}",
        "  first: {run: echo 1, out: {more: {type: file, optional: true}}}",
    )
    edit("pipelines/churn.yaml", "{raw: inputs.raw,", "{raw: inputs.raw, extra: first.more,")
    code, out, _ = say("check")
    assert code == 1
    assert "tasks/prep@1.yaml:17:25: error[optional-needs-script]" in out
    assert "see  pipelines/churn.yaml:8:15: it is used here" in out


def test_listing_and_showing(project: Path, say: Say) -> None:
    Path("tasks/train@2.yaml").write_text(TRAIN.replace("3, min", "4, min"))
    code, out, _ = say("tasks", "list")
    assert (code, out) == (0, (
        "prep@1   pipeline  used by churn  Rows to features\n"
        "train@1  task      used by churn  Trains\n"
        "train@2  task      unused         Trains\n"
    ))  # fmt: skip
    _, out, _ = say("tasks", "show", "train")
    assert out.startswith("train@2  task  tasks/train@2.yaml\n  Trains\n")
    assert (
        "  in  features  dataset\n      epochs    integer  = 4  at least 1\n      note      string   optional\n" in out
    )
    _, out, _ = say("tasks", "list", "--format", "json")
    one = json.loads(out)["tasks"][0]
    assert (one["use"], one["kind"], one["usedBy"]) == ("prep@1", "pipeline", ["pipelines/churn.yaml"])
    assert one["in"]["extra"]["required"] is False
    code, _, err = say("tasks", "show", "trian")
    assert (code, "write train@1 or train@2" in err or "write train@2 or train@1" in err) == (2, True)
    Path("tasks/prep@1.yaml").write_text("version: 1\nname: [\n")
    assert "prep@1   broken" in say("tasks", "list")[1]


def test_a_version_that_breaks_its_callers_is_told_by_diff(project: Path, say: Say) -> None:
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@example.org")
    for arguments in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "x")):
        subprocess.run([*git, *arguments], check=True)
    edit("tasks/train@1.yaml", 'cp "$features"', 'cp -f "$features"')
    edit(
        "tasks/train@1.yaml",
        "note: {type: string, optional: true}",
        "note: {type: string, optional: true}, more: {type: string, optional: true}",
    )
    _, out, _ = say("diff")
    assert "train.run changed" in out
    assert "breaks" not in out
    edit("tasks/train@1.yaml", "auc: metric", "auc: {type: metric, optional: true}")
    edit("tasks/train@1.yaml", "minimum: 1", "minimum: 2")
    edit("tasks/train@1.yaml", "more: {type: string, optional: true}", "more: {type: string, default: x}")
    edit("tasks/train@1.yaml", "note: {type: string, optional: true}, ", "")
    _, out, _ = say("diff", "--format", "json")
    (note,) = (one for one in json.loads(out)["notes"] if "breaks" in one)
    assert note == (
        "train@1 breaks who uses it, here or in another repository: the in epochs may be 2 at least now; the in note "
        "is gone; the out auc may be missing now. Let it be as it was, and publish train@2."
    )
