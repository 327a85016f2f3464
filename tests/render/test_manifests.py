"""What holds for the objects of any spec, beyond what Tekton's admission looks at."""

from __future__ import annotations

import copy
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mlgen.plan.model import Command, OutRef, Plan, Script
from mlgen.render.manifests import Manifest, manifests
from mlgen.spec.project import S3, Environment, GpuPool
from tests.runtime.test_pod import expand
from tests.strategies import Spec, environment, environments, load, specs

moderate = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))

POOLS = tuple((name, GpuPool("nvidia.com/gpu")) for name in ("a100", "default"))
LABEL = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
REFERENCE = re.compile(r"\$\((params|tasks)\.([^)]+)\)")


def tasks_of(found: list[Manifest]) -> dict[str, Any]:
    """Task name -> Task."""
    return {m.data["metadata"]["name"]: m.data for m in found if m.data["kind"] == "Task"}  # type: ignore[index]


def steps_of(task: Any) -> dict[str, Any]:
    return {step["name"]: step for step in (*task["spec"]["steps"], *task["spec"].get("sidecars", []))}


def texts_of(data: object) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict | list):
        for part in data.values() if isinstance(data, dict) else data:
            yield from texts_of(part)


@moderate
@given(specs(), environments())
def test_every_reference_between_objects_holds(spec: Spec, given_environment: Environment) -> None:
    """Tekton finds these only when a run is under way."""
    plan = load(spec)
    pipeline, *others = (m.data for m in manifests(plan, given_environment))
    tasks = tasks_of(manifests(plan, given_environment))
    written: Any = pipeline["spec"]
    entries = {entry["name"]: entry for entry in (*written["tasks"], *written["finally"])}
    assert sorted(tasks) == sorted(entry["taskRef"]["name"] for entry in entries.values())
    for entry in entries.values():
        declared = {param["name"]: param["type"] for param in tasks[entry["taskRef"]["name"]]["spec"]["params"]}
        given_types = {p["name"]: "array" if isinstance(p["value"], list) else "string" for p in entry["params"]}
        assert given_types == declared
        for text in texts_of([entry["params"], entry.get("when", [])]):
            for owner, rest in REFERENCE.findall(text):
                if owner == "params":
                    assert rest in {param["name"] for param in written["params"]}
                elif rest != "status" and not rest.endswith((".status", ".reason")):
                    task, _, result = rest.partition(".results.")
                    results = tasks[entries[task]["taskRef"]["name"]]["spec"]["results"]
                    assert {"name": result, "type": "string"} in results
    run: Any = others[-1]
    given_params = {param["name"] for param in run["spec"].get("params", [])}
    assert given_params == {param["name"] for param in written.get("params", []) if "default" in param}


@moderate
@given(specs(), environments())
def test_names_and_labels_are_those_of_kubernetes(spec: Spec, given_environment: Environment) -> None:
    found = manifests(load(spec), given_environment)
    assert len({m.path for m in found}) == len(found)
    for manifest in found:
        metadata: Any = manifest.data["metadata"]
        assert NAME.fullmatch(metadata.get("name") or metadata["generateName"].rstrip("-"))
        assert all(LABEL.fullmatch(value) for value in metadata["labels"].values())
        assert {"mlgen.dev/pipeline", "mlgen.dev/env"} <= metadata["labels"].keys()
        ours = {key for key in metadata["labels"] if key.startswith("mlgen.dev/")}
        if manifest.data["kind"] == "Task":
            assert metadata["labels"].keys() == ours == {f"mlgen.dev/{key}" for key in ("pipeline", "task", "env")}


@moderate
@given(specs(), environments())
def test_an_author_gets_what_was_written_and_nothing_of_ours(spec: Spec, given_environment: Environment) -> None:
    plan = load(spec)
    tasks = {m.task: m.data for m in manifests(plan, given_environment)}
    for task in plan.all_tasks:
        main = steps_of(tasks[task.name])["main"]
        match task.run:
            case Script(text=text):
                assert main["script"].startswith("#!/bin/sh\nset -e\n")
                assert main["script"].endswith("\n" + text)
            case Command(args=args):
                got = [expand(part, {"x": "?"}) for part in (*main["command"], *main.get("args", []))]
                assert got == list(args)
        env = {one["name"]: one.get("value", "") for one in main["env"]}
        assert len(env) == len(main["env"])
        for name, value in task.env:
            assert expand(env[name], env) == value
        wanted = {i.name for i in task.ins} | {out.name for out in task.outs} | {s.variable for s in task.secrets}
        wanted |= {name for name, _ in task.env} | {"HOME", "USER", "LOGNAME", "TMPDIR", "XDG_CACHE_HOME"}
        final = {"MLGEN_RUN_STATUS", "MLGEN_TASKS"} if task in plan.finally_tasks else set()
        results = any(isinstance(i.source, OutRef) and not i.type.is_artifact for i in task.ins)
        assert env.keys() == wanted | final | ({"MLGEN_DOLLAR"} if results else set())
        assert not results or main["env"][0] == {"name": "MLGEN_DOLLAR", "value": "$$"}, "before what refers to it"
        assert {mount["name"] for mount in main["volumeMounts"]} <= {"mlgen", "shm"}
        spec_of_task: Any = tasks[task.name]["spec"]
        for name, ours in {**steps_of(tasks[task.name]), "results": spec_of_task["sidecars"][0]}.items():
            # Optional: where one is missing, main says so, as if nobody else asked for it.
            told = {f"MLGEN_SECRET_{s.variable}": (s.secret, s.key, True) for s in task.secrets}
            assert _secrets(ours, "MLGEN_SECRET_") == (told if name in ("stage-out", "results") else {})


def _secrets(container: Any, prefix: str) -> dict[str, tuple[str, str, bool]]:
    """Variable -> (secret, key, optional)."""
    found = {one["name"]: one["valueFrom"]["secretKeyRef"] for one in container["env"] if prefix in one["name"]}
    return {name: (ref["name"], ref["key"], ref.get("optional", False)) for name, ref in found.items()}


@moderate
@given(specs(), environments())
def test_pods_are_restricted_and_gpus_are_mains_alone(spec: Spec, given_environment: Environment) -> None:
    plan = load(spec)
    found = manifests(plan, given_environment)
    for task in tasks_of(found).values():
        for context in (task["spec"]["stepTemplate"], *task["spec"].get("sidecars", [])):
            assert context["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            }
        for name, step in steps_of(task).items():
            asked = {**step["computeResources"].get("requests", {}), **step["computeResources"].get("limits", {})}
            assert name == "main" or asked.keys() - {"ephemeral-storage"} == {"cpu", "memory"}
            assert "gpu" not in str(step["computeResources"].get("requests", {}))
    run: Any = found[-1].data["spec"]
    shared = run["taskRunTemplate"]["podTemplate"]
    assert shared["automountServiceAccountToken"] is False
    own = {entry["pipelineTaskName"]: entry["podTemplate"] for entry in run.get("taskRunSpecs", [])}
    assert own.keys() == {task.name for task in plan.all_tasks if task.gpu}
    assert all(shared.items() <= template.items() for template in own.values()), "Tekton merges none of it"


SPEC: Spec = {
    "version": 1,
    "name": "churn",
    "owner": "risk-team",
    "labels": {"cost-center": "cc-4411"},
    "params": {"epochs": 20, "min_auc": 0.85, "target": {"choices": ["none", "prod"], "default": "none"}},
    "inputs": {"raw": "s3://ml-data/churn.csv"},
    "defaults": {"image": "python:3.11"},
    "tasks": {
        "prepare": {"run": "a", "in": ["inputs.raw"], "out": {"features": "dataset", "rows": "integer"}},
        "train": {"run": "b", "in": ["prepare.features", "params.epochs"], "out": {"model": "model", "auc": "metric"}},
        "other": {"run": "c", "after": ["prepare"]},
        "register": {
            "if": 'train.auc >= params.min_auc and params.target != "none" and prepare.rows < train.auc',
            "run": "d",
            "in": ["train.model"],
        },
    },
    "finally": {"tell": {"run": "e"}},
}


def test_an_author_does_not_choose_whose_a_pod_is() -> None:
    spec = {**copy.deepcopy(SPEC), "labels": {"cost-center": "stolen", "team": "ml", "use": "x"}}
    where = replace(environment(), labels=(("cost-center", "cc-1"), ("team", "risk")))
    for made in manifests(load(spec), where):
        metadata: Any = made.data["metadata"]
        if made.data["kind"] != "Task":
            wanted = {"cost-center": "cc-1", "team": "risk", "use": "x"}
            assert wanted.items() <= metadata["labels"].items()
            assert json.loads(metadata["annotations"]["mlgen.dev/labels"]) == wanted


def task_names(spec: Spec) -> dict[str | None, str]:
    """Task of the spec -> what its Task is called."""
    found: list[Any] = [(m.task, m.data["metadata"]) for m in manifests(load(spec), environment())]
    return {task: metadata["name"] for task, metadata in found if task}


@pytest.mark.parametrize(
    ("edit", "renamed"),
    [
        (lambda s: s["tasks"]["train"].update(run="b2"), {"train"}),
        (lambda s: s["tasks"]["train"].update(memory="2Gi"), {"train"}),
        (lambda s: s["tasks"]["train"].update(retries=3), set()),
        (lambda s: s["tasks"]["other"].pop("after"), set()),
        (lambda s: s["tasks"].pop("other"), {"other"}),
        (lambda s: s["params"].update(more=1), set()),
        (lambda s: s.update(owner="other", labels={}, description="x"), set()),
        (lambda s: s["tasks"]["register"].update({"if": "train.auc >= 0.9"}), {"train", "if-register"}),
        (lambda s: s["defaults"].update(image="python:3.12"), {"prepare", "train", "other", "register", "tell"}),
    ],
)
def test_an_edit_renames_the_tasks_it_changes_and_no_other(edit: Any, renamed: set[str]) -> None:
    spec = copy.deepcopy(SPEC)
    edit(spec)
    before, after = task_names(SPEC), task_names(spec)
    assert {task for task in before.keys() | after.keys() if before.get(task) != after.get(task)} == renamed


def test_the_gate_of_the_example_is_split_as_it_should_be() -> None:
    written: Any = manifests(load(SPEC), environment())[0].data["spec"]
    register = next(entry for entry in written["tasks"] if entry["name"] == "register")
    assert register["when"] == [
        {"input": "$(tasks.train.results.if-0)", "operator": "in", "values": ["true"]},
        {"input": "$(params.target)", "operator": "notin", "values": ["none"]},
        {"input": "$(tasks.if-register.results.if-0)", "operator": "in", "values": ["true"]},
    ]
    gate = next(entry for entry in written["tasks"] if entry["name"] == "if-register")
    assert gate["params"] == [
        {
            "name": "mlgen-values",
            "value": [
                "prepare.rows:integer=$(tasks.prepare.results.rows)",
                "train.auc:metric=$(tasks.train.results.auc)",
            ],
        }
    ]


def test_credentials_are_where_they_are_used() -> None:
    secrets = environment(
        s3=S3(secret="s3-keys"),
        buckets=(("ml-data", S3(secret="data-keys")),),
        ledger=replace(environment().ledger, secret="token"),
    )
    found = {
        (task["metadata"]["labels"]["mlgen.dev/task"], name): sorted(
            set(re.findall(r"s3-keys|data-keys|ledger", str(step)))
        )
        for task in tasks_of(manifests(load(SPEC), secrets)).values()
        for name, step in steps_of({"spec": {**task["spec"], "volumes": []}}).items()
        if name in ("main", "stage-in", "results", "record")
    }
    assert found["prepare", "stage-in"] == ["data-keys", "ledger", "s3-keys"]  # "ledger": its URL, in the document
    assert found["train", "stage-in"] == ["ledger", "s3-keys"]
    assert found["train", "main"] == []
    cron = replace(secrets, ledger=replace(secrets.ledger, fold="cron"))
    texts = {text for m in manifests(load(SPEC), cron) for text in texts_of(m.data)}
    assert not any("ledger.git" in text or text == "token" for text in texts), "no pod of a run holds a Git token"


def shuffled(data: Any, order: random.Random) -> Any:
    """The same spec with the keys of every map in another order."""
    if isinstance(data, dict):
        keys = list(data)
        order.shuffle(keys)
        return {key: shuffled(data[key], order) for key in keys}
    return [shuffled(item, order) for item in data] if isinstance(data, list) else data


@moderate
@given(specs(), environments(), st.randoms(use_true_random=False))
def test_the_order_of_keys_changes_nothing(spec: Spec, given_environment: Environment, order: random.Random) -> None:
    plans: list[Plan] = [replace(load(one), spec_digest="same") for one in (spec, shuffled(spec, order))]
    first, second = ([(m.path, m.bytes) for m in manifests(plan, given_environment)] for plan in plans)
    assert first == second


def test_the_hash_seed_changes_nothing() -> None:
    script = (
        "from tests.render.test_manifests import SPEC\n"
        "from tests.strategies import environment, load\n"
        "from mlgen.render.rendering import render_all\n"
        "import hashlib\n"
        "print(hashlib.sha256(b''.join(render_all([load(SPEC)], [environment()]).files.values())).hexdigest())\n"
    )
    outs = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONPATH": f"generator{os.pathsep}.", "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("0", "4242")
    }
    assert len(outs) == 1


@moderate
@given(specs(), st.data())
def test_an_edit_of_one_task_leaves_all_others(spec: Spec, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(spec["tasks"])))
    edited = {**spec, "tasks": {**spec["tasks"], name: {**spec["tasks"][name], "cpu": 7}}}
    assume(spec["tasks"][name].get("cpu") != 7)
    before, after = (
        {m.task: m.bytes for m in manifests(load(one), environment(gpus=POOLS)) if m.task} for one in (spec, edited)
    )
    assert {task for task in before if before[task] != after[task]} == {name}


def test_a_finally_task_of_a_plan_with_fans_is_told_of_them_by_a_file() -> None:
    train = {"run": "true", "image": "a", "for": {"x": [1, 2]}}
    final = {"tell": {"run": 'echo "$MLGEN_TASKS"', "image": "a"}, "exec": {"run": ["env"], "image": "a"}}
    for tasks, by_file in (({"train": train}, True), ({"train": {"run": "true", "image": "a"}}, False)):
        plan = load({"version": 1, "name": "demo", "tasks": tasks, "finally": final})
        made = tasks_of(list(manifests(plan, environment()))).values()
        found = {one["metadata"]["labels"]["mlgen.dev/task"]: one for one in made}
        stage_in, main, _ = found["tell"]["spec"]["steps"]
        told = "MLGEN_TASKS=$(cat /mlgen/in/MLGEN_TASKS"
        assert (told in main["script"]) == by_file
        assert ("MLGEN_TASKS" in names(main)) != by_file
        assert ("MLGEN_TASKS" in names(stage_in)) == by_file
        assert "MLGEN_TASKS" in names(found["exec"]["spec"]["steps"][1])


def names(step: Any) -> set[str]:
    return {one["name"] for one in step["env"]}
