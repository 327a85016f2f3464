"""What an edit of a spec is told as: its effect and its words."""

from __future__ import annotations

import pytest

from tests.review.states import OTHER, SPEC, Edit, Spec, edited, lines, part
from tests.strategies import Files


def _at(*route: str, value: object) -> Edit:
    def edit(spec: Spec) -> None:
        for key in route[:-1]:
            spec = spec[key]
        if value is None:
            del spec[route[-1]]
        else:
            spec[route[-1]] = value

    return edit


def _rename(spec: Spec) -> None:
    spec["tasks"] = {("fit" if name == "train" else name): task for name, task in spec["tasks"].items()}
    spec["tasks"]["register"] |= {"in": {"model": "fit.model", "note": {"value": "weekly"}}}
    spec["tasks"]["register"]["if"] = 'fit.auc >= 0.8 and params.target != "none"'


def _rename_and_more(spec: Spec) -> None:
    _rename(spec)
    spec["tasks"]["fit"]["gpu"] = "a100:2"


def _rename_and_set_all(spec: Spec) -> None:
    _rename(spec)
    given = {
        "gpu": "default:4",
        "timeout": "1h",
        "retries": 0,
        "memory": "9Gi",
        "cpu": 3,
        "disk": "1Gi",
        "env": {"A": "b"},
    }
    spec["tasks"]["fit"] |= {**given, "image": "busybox:1", "secrets": {"A_TOKEN": "a/token"}}


def _another(spec: Spec) -> None:
    """In the place of one, with its settings."""
    fit = {**spec["tasks"].pop("train"), "run": "curl -T $rows https://example.com", "in": ["prepare.rows"]}
    spec["tasks"] = {"fit": {**fit, "out": {"receipt": "file"}}, **spec["tasks"]}
    del spec["tasks"]["register"]


def _rename_arguments(spec: Spec) -> None:
    spec["params"] = {("rounds" if name == "epochs" else name): given for name, given in spec["params"].items()}
    spec["inputs"] = {"rows": spec["inputs"]["raw"]}
    spec["tasks"]["train"]["in"] = ["prepare.features", "params.rounds"]
    spec["tasks"]["prepare"]["in"] = {"raw": "inputs.rows", "since": "params.since"}


def _to_finally(spec: Spec) -> None:
    spec["finally"]["note"] = {"run": "echo x"}


def _reorder(spec: Spec) -> None:
    spec["tasks"] = dict(reversed(spec["tasks"].items()))


CASES: dict[str, tuple[Edit, list[str | None]]] = {
    "gpu": (_at("tasks", "train", "gpu", value="a100:2"), ["runs: train.gpu a100:1 → a100:2"]),
    "gpu gone": (
        _at("tasks", "train", "gpu", value=None),
        ["runs: train.gpu removed, was a100:1", "resources: train.shm removed, was 512Mi"],
    ),
    "memory": (
        _at("tasks", "train", "memory", value="4Gi"),
        ["resources: train.memory 2Gi → 4Gi", "resources: train.shm 512Mi → 1Gi"],
    ),
    "timeout": (_at("tasks", "train", "timeout", value="6h30m"), ["resources: train.timeout 6h → 6h30m"]),
    "retries": (_at("tasks", "train", "retries", value=3), ["resources: train.retries 1 → 3"]),
    "cpu": (_at("tasks", "train", "cpu", value="1500m"), ["resources: train.cpu 1 → 1500m"]),
    "disk": (_at("tasks", "train", "disk", value="10Gi"), ["resources: train.disk new: 10Gi"]),
    "tag": (
        _at("defaults", "image", value=f"ghcr.io/acme/churn:1.9@{OTHER}"),
        [
            "runs: image ghcr.io/acme/churn 1.8 → 1.9 (sha256:aaaaaaaaaaaa… → sha256:bbbbbbbbbbbb…)"
            " in 4 tasks: prepare, train, register, tell"
        ],
    ),
    "digest": (
        _at("defaults", "image", value=f"ghcr.io/acme/churn:1.8@{OTHER}"),
        [
            "runs: image ghcr.io/acme/churn sha256:aaaaaaaaaaaa… → sha256:bbbbbbbbbbbb… (same tag 1.8, other digest)"
            " in 4 tasks: prepare, train, register, tell"
        ],
    ),
    "another image": (
        _at("tasks", "train", "image", value="busybox:1"),
        ["runs: train.image ghcr.io/acme/churn:1.8@sha256:aaaaaaaaaaaa… → busybox:1"],
    ),
    "script": (
        _at("tasks", "train", "run", value='python train.py "$features"\necho well done\n'),
        ["runs: train.run changed (+1 -1 lines)"],
    ),
    "command": (
        _at("tasks", "register", "run", value=["python", "register.py", "--now"]),
        ["runs: register.run python register.py → python register.py --now"],
    ),
    "script to command": (
        _at("tasks", "train", "run", value=["python", "train.py"]),
        ["runs: train.run changed (a script → a command)"],
    ),
    "a new edge": (
        _at(
            "tasks", "register", "in", value={"model": "train.model", "note": {"value": "weekly"}, "n": "prepare.rows"}
        ),
        ["runs: register now reads prepare.rows (as n)"],
    ),
    "an edge less": (
        _at("tasks", "register", "in", value={"model": "train.model"}),
        ['runs: register no longer reads "weekly" (as note)'],
    ),
    "another source": (
        _at("tasks", "register", "in", value={"model": "prepare.features", "note": {"value": "daily"}}),
        ["runs: register.in.model train.model → prepare.features", 'runs: register.in.note "weekly" → "daily"'],
    ),
    "after": (_at("tasks", "register", "after", value=["prepare"]), ["runs: register now waits for prepare"]),
    "outs": (
        _at("tasks", "prepare", "out", value={"features": "dataset", "rows": "number", "log": "file"}),
        ["runs: prepare.out.log new: file", "runs: prepare.out.rows integer → number"],
    ),
    "gate": (
        _at("tasks", "register", "if", value='train.auc >= 0.9 and params.target != "none"'),
        [
            "runs: register.if train.auc >= 0.8 → train.auc >= 0.9"
            " (decided by train when it ends; 1 other condition stays)",
        ],
    ),
    "gate gone": (
        _at("tasks", "register", "if", value=None),
        [
            'runs: register.if removed, was train.auc >= 0.8 and params.target != "none"',
        ],
    ),
    "a gate of two tasks": (
        _at("tasks", "register", "if", value="train.auc >= 0.8 or prepare.rows > 10"),
        [
            'runs: register.if train.auc >= 0.8 and params.target != "none" → train.auc >= 0.8 or prepare.rows > 10'
            " (decided by if-register when it ends; was decided before it starts and by train when it ends)",
            "runs: task if-register is new (a pod that only decides a gate)",
        ],
    ),
    "env": (
        _at("tasks", "train", "env", value={"OMP_NUM_THREADS": "16", "A": ""}),
        ['runs: train.env.A new: ""', "runs: train.env.OMP_NUM_THREADS 8 → 16"],
    ),
    "secrets": (
        _at("tasks", "train", "secrets", value={"HF_TOKEN": "hf/read"}),
        ["runs: train.secrets.HF_TOKEN hf/token → hf/read"],
    ),
    "code": (
        _at("tasks", "train", "code", value=["src", "lib"]),
        ["runs: train.code src → src, lib", None],
    ),
    "a new task": (
        _at("tasks", "score", value={"run": "python score.py", "in": ["train.model"], "image": "busybox:1"}),
        ["runs: task score is new (reads train.model)"],
    ),
    "a task less": (
        _at("tasks", "register", value=None),
        [
            "runs: train no longer decides train.auc >= 0.8",
            'runs: task register removed (reads train.model, if train.auc >= 0.8 and params.target != "none")',
        ],
    ),
    "renamed arguments": (
        _rename_arguments,
        [
            "runs: train.in params.rounds epochs → rounds",
            "runs: params.epochs renamed to params.rounds (runs have to be given it by that name)",
            "runs: inputs.raw renamed to inputs.rows (runs have to be given it by that name)",
        ],
    ),
    "a renamed task": (_rename, ["runs: task train renamed to fit"]),
    "a renamed task that changed": (
        _rename_and_more,
        ["runs: task train renamed to fit", "runs: fit.gpu a100:1 → a100:2"],
    ),
    "a renamed task of which every setting changed": (
        _rename_and_set_all,
        [
            "runs: task train renamed to fit",
            "runs: fit.gpu a100:1 → default:4",
            "runs: fit.image ghcr.io/acme/churn:1.8@sha256:aaaaaaaaaaaa… → busybox:1",
            "runs: fit.secrets.A_TOKEN new: a/token",
            "runs: fit.secrets.HF_TOKEN removed, was hf/token",
            "runs: fit.env.A new: b",
            "runs: fit.env.OMP_NUM_THREADS removed, was 8",
            "resources: fit.cpu 1 → 3",
            "resources: fit.memory 2Gi → 9Gi",
            "resources: fit.disk new: 1Gi",
            "resources: fit.shm 512Mi → 2304Mi",
            "resources: fit.timeout 6h → 1h",
            "resources: fit.retries 1 → 0",
        ],
    ),
    "another task with the settings of one that went": (
        _another,
        [
            "runs: task fit is new (reads prepare.rows, gpu a100:1)",
            "runs: task train removed (reads params.epochs, prepare.features, gpu a100:1)",
            'runs: task register removed (reads train.model, if train.auc >= 0.8 and params.target != "none")',
        ],
    ),
    "finally": (_to_finally, ["runs: task note is new (finally)"]),
    "default": (_at("params", "epochs", value=30), ["runs: params.epochs 20 → 30"]),
    "required": (
        _at("params", "epochs", value={"type": "integer"}),
        ["runs: params.epochs 20 → required (every run must be given it now)"],
    ),
    "no longer required": (
        _at("params", "since", value="2026-01"),
        ["runs: params.since required → 2026-01 (a run need not be given it any more)"],
    ),
    "choices": (
        _at("params", "target", value={"choices": ["none", "staging", "prod"], "default": "none"}),
        ["rules: params.target.choices none, prod → none, staging, prod"],
    ),
    "range": (
        _at("params", "epochs", value={"type": "integer", "default": 20, "minimum": 1}),
        ["rules: params.epochs.minimum new: 1"],
    ),
    "input": (
        _at("inputs", "raw", value=f"s3://ml-data/churn-2.csv@{OTHER}"),
        [
            "runs: inputs.raw s3://ml-data/churn.csv → s3://ml-data/churn-2.csv",
            "runs: inputs.raw.digest sha256:aaaaaaaaaaaa… → sha256:bbbbbbbbbbbb…",
        ],
    ),
    "owner": (_at("owner", value="fraud-team"), ["metadata: owner risk-team → fraud-team"]),
    "labels": (
        _at("labels", value={"a": "b"}),
        ["metadata: labels.a new: b", "metadata: labels.cost-center removed, was cc-4411"],
    ),
    "description": (_at("description", value="x"), ["metadata: description Weekly churn model → x"]),
    "on": (
        _at("on", value={"event": "dev.x", "params": {"since": {"data": "since"}}}),
        ["runs: on new: event dev.x; since = data.since"],
    ),
    "order": (
        _reorder,
        ["metadata: spec changed (comments, order or layout; the plan is the same, to the digest)"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_an_edit_is_told_by_its_effect_and_in_words(name: str) -> None:
    edit, expected = CASES[name]
    found = lines(part(SPEC, edited(edit)))
    if None in expected:  # a digest that is computed
        expected = [line for line in expected if line is not None]
        assert found[: len(expected)] == expected
        return
    assert found == expected


def test_arguments_of_which_several_might_be_meant_are_not_taken_for_renamed() -> None:
    def spec(*names: str) -> Spec:
        tasks = {"a": {"run": "true", "in": [f"params.{name}" for name in names], "image": "busybox:1"}}
        return {"version": 1, "name": "p", "params": dict.fromkeys(names, 1), "tasks": tasks}

    found = part(spec("a", "b"), spec("c", "d"))
    assert [str(change.kind) for change in found.pipelines[0].changes if change.key.startswith("params.")] == [
        "removed", "removed", "new", "new",
    ]  # fmt: skip
    found = part(spec("a", "b"), spec("a", "d"))
    assert "runs: params.b renamed to params.d (runs have to be given it by that name)" in lines(found)


def test_code_is_told_by_its_files() -> None:
    after = Files(src={"train.py": "9" * 64, "new.py": "8" * 64})
    found = part(SPEC, SPEC, after=after)
    (change, *_) = found.pipelines[0].changes
    assert change.lines == ("new     new.py", "changed train.py")
    assert len(lines(found)) == 1
    assert lines(found)[0].endswith("(2 files changed in src) in 4 tasks: prepare, train, register, tell")


def test_a_script_is_told_by_its_lines() -> None:
    found = part(SPEC, edited(_at("tasks", "train", "run", value='python train.py "$features"\necho well done\n')))
    assert found.pipelines[0].changes[0].lines == (
        "@@ -1,2 +1,2 @@", ' python train.py "$features"', "-echo done", "+echo well done",
    )  # fmt: skip


def test_nothing_is_told_of_nothing() -> None:
    found = part(SPEC, SPEC)
    assert (found.pipelines, found.environments) == ((), ())


def test_a_pipeline_comes_goes_and_is_renamed() -> None:
    assert [str(one.kind) for one in part(None, SPEC).pipelines] == ["new"]
    assert [str(one.kind) for one in part(SPEC, None).pipelines] == ["removed"]
    renamed = part(SPEC, edited(_at("name", value="churn-weekly"))).pipelines
    assert [(one.name, str(one.kind)) for one in renamed] == [("churn-weekly", "renamed")]
    assert lines(part(SPEC, edited(_at("name", value="churn-weekly")))) == [
        "runs: name churn → churn-weekly (its runs, records and artifacts go under the new name)"
    ]
    other = {**SPEC, "name": "other", "tasks": {"x": {"run": "true", "image": "busybox:1"}}}
    assert sorted(str(one.kind) for one in part(SPEC, other).pipelines) == ["new", "removed"]


def test_renames_are_found_among_many_and_in_little_time() -> None:
    def many(names: str, count: int, same: bool) -> Spec:
        text = "echo a\n" * 1000
        tasks = {f"{names}{n}": {"run": f"{text}{n if same else names}", "image": "busybox:1"} for n in range(count)}
        return {"version": 1, "name": "many", "tasks": tasks}

    found = part(many("a", 50, same=False), many("b", 50, same=False)).pipelines[0]
    assert len(found.task_names) == 50
    # Of more than are compared, those that are equal.
    found = part(many("a", 100, same=True), many("b", 100, same=True)).pipelines[0]
    assert dict(found.task_names) == {f"b{n}": f"a{n}" for n in range(100)}
