from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mlgen.diagnostic import CannotAnswer, Misuse
from mlgen.ledger.records.run import TaskStatus
from mlgen.ledger.records.task import pod_run_id
from mlgen.runtime.pod import contract as pod
from mlgen.runtime.pod.invocation import GatePod, RecordPod, TaskPod, read_invocation
from mlgen.runtime.protocol import In, TaskDocument
from mlgen.values import Type
from tests.runtime.pods import MODEL, ROWS, WRITE, MakePod, Pod, until

UID, POD_UID = "6c84fb90-12c4-11e1-840d-7b25c5ee775a", "0b9d1f6e-58a8-4f4e-9a43-6e0c6f1a2b3c"
DIGEST = "sha256:" + "5" * 64
DOCUMENT = TaskDocument(
    "churn", "prod", "train", (In("x", "out", Type.FILE), In("n", "value", Type.INTEGER)), (), (), "s3://b/p",
    None, "img", None, 60,
)  # fmt: skip
ENVIRON = {
    "MLGEN_TASK": json.dumps(DOCUMENT.to_json()),
    "MLGEN_RUN": "churn-x1",
    "MLGEN_RUN_UID": UID,
    "MLGEN_TASK_RUN": "churn-x1-train",
    "MLGEN_TASK_RUN_UID": UID,
    "MLGEN_NAMESPACE": "ml",
    "MLGEN_POD": "churn-x1-train-pod-retry2",
    "MLGEN_POD_UID": POD_UID,
    "MLGEN_SPEC_DIGEST": DIGEST,
    "MLGEN_PLAN_DIGEST": DIGEST,
    "MLGEN_SOURCE": "pipelines/churn.yaml",
    "MLGEN_COMMIT": "",
    "MLGEN_IN_x": f"churn/x@{DIGEST}",
    "MLGEN_EXIT_CODE_FILE": "/tekton/steps/step-main/exitCode",
}


def test_a_pod_is_read_by_its_contract() -> None:
    values = [
        pod.value("params.floor", Type.NUMBER, "0.5"),
        pod.value("prepare.rows", Type.INTEGER, "+7", optional=True),
        pod.value("prepare.note", Type.STRING, "", optional=True),
    ]
    found = read_invocation(["stage-out", *values], ENVIRON)
    assert isinstance(found, TaskPod)
    assert found.document == DOCUMENT
    assert found.exit_code_file == "/tekton/steps/step-main/exitCode"
    e = found.execution
    assert e.run_id == pod_run_id(UID, POD_UID)
    assert e.attempt == 2
    assert e.params == {"floor": 0.5}
    assert e.gate_values == {"params.floor": "0.5", "prepare.rows": "7"}
    assert e.ins == {"x": f"churn/x@{DIGEST}"}
    assert e.commit is None
    assert e.tekton is not None
    assert e.tekton["podUid"] == POD_UID


def test_a_gate_is_given_no_more_than_its_document_and_values() -> None:
    document = replace(DOCUMENT, image=None)
    values = [pod.value("params.floor", Type.NUMBER, "0.5"), pod.value("prepare.note", Type.STRING, "", optional=True)]
    found = read_invocation(["stage-out", *values], {"MLGEN_TASK": json.dumps(document.to_json())})
    assert found == GatePod(document, {"params.floor": "0.5"})


def test_the_final_record_is_told_how_the_tasks_ended() -> None:
    tasks = {"train": {"status": "Failed", "reason": "StepOOM"}}
    names = ("MLGEN_TASK", "MLGEN_RUN", "MLGEN_RUN_UID", "MLGEN_SPEC_DIGEST", "MLGEN_COMMIT")
    environ = {name: ENVIRON[name] for name in names}
    environ |= {"MLGEN_RUN_STATUS": "Failed", "MLGEN_TASKS": json.dumps(tasks)}
    found = read_invocation(["record", pod.value("params.floor", Type.NUMBER, "0.5")], environ)
    assert isinstance(found, RecordPod)
    assert (found.run, found.status, found.params, found.commit) == ("churn-x1", "Failed", {"floor": 0.5}, None)
    assert found.tasks == {"train": TaskStatus("Failed", "StepOOM")}


@pytest.mark.parametrize("tasks", ["", "[]", '{"a": 1}', '{"a": {}}'])
def test_torn_statuses_are_no_traceback(tasks: str) -> None:
    environ = ENVIRON | {"MLGEN_RUN_STATUS": "Failed", "MLGEN_TASKS": tasks}
    with pytest.raises(CannotAnswer, match="cannot be read"):
        read_invocation(["record"], environ)


@pytest.mark.parametrize("arguments", [[], ["stage"], ["--help"]])
def test_another_command_line_is_told_how(arguments: list[str]) -> None:
    with pytest.raises(Misuse, match=r"usage: mlgen-runtime stage-in\|stage-out"):
        read_invocation(arguments, ENVIRON)


@pytest.mark.parametrize("name", sorted(set(ENVIRON) - {"MLGEN_SOURCE", "MLGEN_COMMIT"}))
def test_what_is_missing_is_named(name: str) -> None:
    with pytest.raises(CannotAnswer, match=name):
        read_invocation(["stage-out"], {k: v for k, v in ENVIRON.items() if k != name})


@pytest.mark.parametrize("document", ["", "{}", '{"version": 2}', "[]"])
def test_a_torn_document_is_no_traceback(document: str) -> None:
    with pytest.raises(CannotAnswer, match="cannot be read"):
        read_invocation(["stage-in"], ENVIRON | {"MLGEN_TASK": document})


def test_the_program_says_what_it_cannot_do(tmp_path: Path) -> None:
    path = os.pathsep.join(sys.path)
    for arguments, code, said in (
        (["stage-in"], 3, "error[not-in-a-pod]: MLGEN_TASK is not set"),
        ([], 2, "usage: mlgen-runtime"),
        (["later"], 2, 'it has no "later": the mlgen that rendered this is newer than the runtime image'),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "mlgen.runtime", *arguments],
            check=False, capture_output=True, text=True, cwd=tmp_path, env={"PYTHONPATH": path},
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (code, "")
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def loaded(imports: str) -> set[str]:
    """The modules of a Python that imports so much."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {imports}; print(*sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return set(done.stdout.split())


def test_nothing_heavy_is_imported() -> None:
    heavy = {"typer", "yaml", "jsonschema", "jsonschema_rs", "kubernetes", "obstore", "rich", "concurrent.futures"}
    assert not heavy & loaded("import mlgen.runtime.__main__, mlgen.local.run")


def test_a_pod_loads_no_plan() -> None:
    """What a plan is made of is a fifth of a start, and no pod reads one."""
    found = loaded(
        "from mlgen.runtime import __main__; from mlgen.runtime.pod import final, sidecar, step_in, step_out"
    )
    assert not {"mlgen.plan", "mlgen.git", "mlgen.ledger.folding.fold", "subprocess", "obstore"} & found


def test_a_plain_task_loads_nothing_of_fans_caches_and_attempts(make: MakePod) -> None:
    """Each of a pod's three programs pays for what it loads, and most tasks run once, without a cache or a policy."""
    made = make(outs=(MODEL, ROWS))
    sidecar = whole(made, "results")
    until(lambda: (made.places.state / "ready").exists() or sidecar.poll() is not None, "the sidecar is ready")
    modules = ended(whole(made, "stage-in"))
    (made.folder / "run-0" / "out").touch()
    made.main(WRITE)
    modules |= ended(whole(made, "stage-out")) | ended(sidecar)
    assert [record.state for record in made.records] == ["COMPLETE"]
    allowed = {"mlgen.runtime.attempts.retrying", "mlgen.runtime.cache.recorded"}
    beside = ("mlgen.search", "mlgen.runtime.fans", "mlgen.runtime.cache.", "mlgen.runtime.attempts.", "mlgen.gates")
    assert not {name for name in modules - allowed if name.startswith(beside)}
    assert not {"mlgen.plan", "mlgen.runtime.bundle", "mlgen.ledger.records.imported"} & modules


def whole(made: Pod, verb: str) -> subprocess.Popen[str]:
    """One of a pod's programs in a Python of its own, which tells what it has loaded."""
    program = f"""
import sys
from pathlib import Path
from mlgen.runtime.__main__ import main
from mlgen.runtime.pod.contract import Places
sys.argv = ["mlgen-runtime", {verb!r}]
at = Path({str(made.folder)!r})
names = ("mlgen", "mlgen-state", "run-0", "run-1", "results", "secret", "vmstat", "artifacts")
code = main(Places(*(at / name for name in names)))
print(*sys.modules)
sys.exit(code)
"""
    env = made.environ() | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    )


def ended(program: subprocess.Popen[str]) -> set[str]:
    out, err = program.communicate(timeout=60)
    assert program.returncode == 0, err
    return set(out.split())
