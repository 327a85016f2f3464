"""A pod and what looks like a secret; and the labels of its run, which the final record tells."""

from __future__ import annotations

import json

import pytest

from mlgen.diagnostic import CannotAnswer
from mlgen.ledger.records.task import State
from mlgen.runtime.pod import contract as pods
from mlgen.runtime.pod.invocation import RecordPod, read_invocation
from mlgen.runtime.protocol import Out, TaskDocument
from mlgen.values import Type
from tests.runtime.pods import MakePod, Pod

TOKEN = "gl" + "pat-" + "A1b2C3d4E5f6G7h8I9j0"
STATUS = {"MLGEN_RUN_STATUS": "Succeeded", "MLGEN_TASKS": '{"train": {"status": "Succeeded", "reason": "Succeeded"}}'}


def execute(pod: Pod, script: str) -> int:
    beside = pod.sidecar()
    pod.stage_in()
    pod.main(script)
    code = pod.stage_out()
    beside.wait()
    return code


def test_a_value_is_handed_on_and_masked_in_the_record(make: MakePod) -> None:
    pod = make(outs=(Out("note", Type.STRING, max_bytes=128),))
    assert execute(pod, f'printf %s {TOKEN} > "$note"') == 0
    assert pod.results == {"note": TOKEN}
    record = pod.only_record()
    assert (record.state, record.values) == (State.COMPLETE, {"note": "***"})
    assert pod.programs[-1].text == "mlgen-runtime: values.note looks like a GitLab token: its record has *** instead\n"


def test_params_are_masked_in_all_records_of_a_run_that_somebody_started_with_one(make: MakePod) -> None:
    params = (pods.value("params.note", Type.STRING, TOKEN), pods.value("params.n", Type.INTEGER, "3"))
    pod = make(outs=(Out("rows", Type.INTEGER),), values=params)
    assert execute(pod, 'echo 7 > "$rows"') == 0
    assert pod.begin("record", **STATUS).wait() == 0
    (run,) = pod.runs
    assert run.params == pod.only_record().params == {"note": "***", "n": 3}


def test_an_error_of_staging_is_masked(make: MakePod) -> None:
    pod = make(outs=(Out("rows", Type.INTEGER),))
    assert execute(pod, f'printf %s {TOKEN} > "$rows"') == 3
    assert TOKEN not in str(pod.only_record().error)
    assert pod.only_record().state is State.FAIL


def test_a_run_whose_name_looks_like_one_does_not_begin(pod: Pod) -> None:
    program = pod.sidecar(MLGEN_RUN="dapi" + "01ab45ef" * 4)
    assert program.wait() == 3
    assert "looks like a Databricks token" in program.text
    assert pod.records == []


def test_the_final_record_tells_labels_and_owner(make: MakePod) -> None:
    pod = make()
    labels = json.dumps({"cost-center": "cc-4411", "team": "risk"})
    assert pod.begin("record", **STATUS, MLGEN_LABELS=labels, MLGEN_OWNER="risk-team").wait() == 0
    (run,) = pod.runs
    assert run.labels == {"cost-center": "cc-4411", "team": "risk"}
    assert run.owner == "risk-team"


@pytest.mark.parametrize(
    ("told", "resumes"),
    [
        ("11112222-3333-4444-8555-666677778888", "11112222-3333-4444-8555-666677778888"),
        ("", None),
        ("../../x", None),
        (
            "11112222-3333-4444-8555-666677778888,22222222-3333-4444-8555-666677778888",
            "11112222-3333-4444-8555-666677778888",
        ),
    ],
)
def test_the_final_record_tells_which_run_it_takes_up(make: MakePod, told: str, resumes: str | None) -> None:
    pod = make()
    assert pod.begin("record", **STATUS, MLGEN_RESUMES=told).wait() == 0
    assert [run.resumes for run in pod.runs] == [resumes]


@pytest.mark.parametrize("told", [{}, {"MLGEN_LABELS": "", "MLGEN_OWNER": ""}])
def test_a_run_without_labels(told: dict[str, str]) -> None:
    found = invocation(told)
    assert (found.labels, found.owner) == ({}, None)


@pytest.mark.parametrize("labels", ["[]", "{", "3", '"a"'])
def test_labels_that_mlgen_did_not_write_are_refused(labels: str) -> None:
    with pytest.raises(CannotAnswer) as caught:
        invocation({"MLGEN_LABELS": labels})
    assert caught.value.code == "bad-invocation"


def invocation(told: dict[str, str]) -> RecordPod:
    document = TaskDocument("churn", "prod", "record", (), (), (), "s3://b/p", None, None, None, 600)
    about = {"MLGEN_RUN": "churn-x1", "MLGEN_RUN_UID": "u", "MLGEN_SPEC_DIGEST": "d"}
    found = read_invocation(["record"], {"MLGEN_TASK": json.dumps(document.to_json())} | about | STATUS | told)
    assert isinstance(found, RecordPod)
    return found
