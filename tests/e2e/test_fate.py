"""Every way for a program to end leaves one true record of each execution, no half artifact, and no pod that stays."""

from __future__ import annotations

import pytest

from tests.e2e import node
from tests.e2e.fates import failed, single
from tests.e2e.lab import Lab
from tests.e2e.run import MAIN, start

pytestmark = pytest.mark.together


def test_success(lab: Lab) -> None:
    project = lab.project("success")
    project.pipeline(
        "ok",
        """
params: {rows: 3}
tasks:
  make:
    run: |
      seq "$rows" > "$data"
      wc -l < "$data" > "$count"
    in: [params.rows]
    out: {data: dataset, count: integer}
  sum:
    run: awk '{s += $1} END {print s}' "$data" > "$total"
    in: [make.data]
    out: {total: metric}
""",
    )
    run = start(project, "ok", rows="4")
    assert run.settled() == "Succeeded"
    told = run.told()
    made = told.only("make")
    assert (made["state"], made["exitCode"], made["attempt"]) == ("COMPLETE", 0, 0)
    assert made["values"] == {"count": 4}
    assert run.bytes_of(made["outputs"]["data"]) == b"1\n2\n3\n4\n"
    assert told.only("sum")["metrics"] == {"total": 10}
    assert told.statuses() == ("COMPLETE", {"make": "Succeeded", "sum": "Succeeded"})


def test_an_exit_code_is_the_record_s_and_the_pod_s(lab: Lab) -> None:
    run = single(lab, "exit7", 'run: echo half > "$model"; exit 7\nout: {model: model}')
    assert run.settled() == "Failed"
    record = failed(run)
    assert record["exitCode"] == 7
    codes = {c["name"]: c["state"]["terminated"]["exitCode"] for c in run.pods()[0]["status"]["containerStatuses"]}
    assert codes["step-stage-out"] == 7


def test_a_script_s_command_that_does_not_exist(lab: Lab) -> None:
    run = single(lab, "no-command", 'run: no-such-program "$x"\nout: [x]')
    assert run.settled() == "Failed"
    assert failed(run)["exitCode"] == 127


def test_an_exec_form_s_command_that_does_not_exist(lab: Lab) -> None:
    run = single(lab, "no-exec", "run: [no-such-program, x]\nout: [x]")
    assert run.settled() == "Failed"
    failed(run)


def test_an_out_that_is_not_written(lab: Lab) -> None:
    run = single(lab, "no-out", 'run: echo 1 > "$rows"\nout: {model: model, rows: integer}')
    assert run.settled() == "Failed"
    record = failed(run)
    assert record["exitCode"] == 0
    assert '"model"' in record["error"]
    assert record["values"] == {"rows": 1}


def test_an_input_that_is_missing(lab: Lab) -> None:
    project = lab.project("no-input")
    uri = f"{project.artifacts}/given/none.csv"
    project.pipeline("die", f"inputs: {{raw: {uri}}}\ntasks: {{it: {{run: cat $raw, in: [inputs.raw]}}}}")
    run = start(project, "die")
    assert run.settled() == "Failed"
    record = failed(run)
    assert '"raw"' in record["error"]
    assert "none.csv" in record["error"]
    assert run.log(run.pods()[0]).count("previous step failed") == 1  # of main


def test_an_input_that_has_changed(lab: Lab) -> None:
    project = lab.project("changed-input")
    uri = project.put("given/raw.csv", b"now another\n")
    inputs = f'inputs: {{raw: {{uri: "{uri}", digest: "sha256:{"ab" * 32}"}}}}\n'
    project.pipeline("die", inputs + "tasks: {it: {run: cat $raw, in: [inputs.raw]}}")
    run = start(project, "die")
    assert run.settled() == "Failed"
    record = failed(run)
    assert '"raw"' in record["error"]
    assert "ab" * 32 in record["error"]


def test_out_of_memory(lab: Lab) -> None:
    """A child takes too much. The kernel kills it alone, or (cgroup v2) with all that is in the container."""
    run = single(lab, "oom", 'run: head -c 200m /dev/zero | tail > "$x"\nout: [x]')
    assert run.settled() == "Failed"
    record = failed(run)
    assert record["exitCode"] in (137, -1, None)
    assert record["reason"] in ("StepOOM", "StepFailed")


def test_a_small_disk_is_all_the_author_s(lab: Lab) -> None:
    """What Tekton and our own containers write is not taken from it: an idle pod was evicted once."""
    run = single(lab, "small-disk", 'run: head -c 20m /dev/zero > "$x"; sleep 45\nout: [x]\ndisk: 32Mi')
    assert run.settled() == "Succeeded"
    assert len(run.bytes_of(run.told().only("it")["outputs"]["x"])) == 20 << 20


def test_more_than_the_disk_is_evicted_and_told(lab: Lab) -> None:
    """The kubelet looks every ten seconds or so: what is done before is done."""
    run = single(lab, "no-disk", 'run: head -c 200m /dev/zero > "$x"; sleep 170\nout: [x]\ndisk: 32Mi')
    assert run.settled() == "Failed"
    record = run.told().only("it")
    assert (record["state"], record["outputs"]) == ("ABORT", {})
    pod = run.pods()[0]["status"]
    assert pod["reason"] == "Evicted"
    assert "storage" in pod["message"].lower() or "emptydir" in pod["message"].lower()


def test_a_program_killed_with_its_entrypoint(lab: Lab) -> None:
    run = single(lab, "killed", 'run: |\n  echo begun\n  sleep 600\n  echo x > "$x"\nout: [x]')
    node.kill_container(run.says("it", "begun"), MAIN)
    assert run.settled() == "Failed"
    failed(run)


def test_a_program_killed_with_its_entrypoint_and_tried_again(lab: Lab) -> None:
    script = "run: |\n  echo begun\n  case $(hostname) in *-retry1) ;; *) sleep 600;; esac\n  echo done > $x\n"
    run = single(lab, "killed-retry", script + "out: [x]\nretries: 1")
    node.kill_container(run.says("it", "begun"), MAIN)
    assert run.settled() == "Succeeded"
    first, second = run.told().of("it")
    assert (first["attempt"], first["state"]) == (0, "FAIL")
    assert (second["attempt"], second["state"]) == (1, "COMPLETE")
    assert run.bytes_of(second["outputs"]["x"]) == b"done\n"


def test_a_step_that_takes_too_long(lab: Lab) -> None:
    run = single(lab, "timeout", "run: sleep 600\ntimeout: 3s\nout: [x]")
    assert run.settled() == "Failed"
    failed(run)


def test_a_retry_after_a_failure(lab: Lab) -> None:
    script = 'run: |\n  hostname > "$x"\n  case $(hostname) in *-retry1) ;; *) exit 3;; esac\n'
    run = single(lab, "retry", script + "out: [x]\nretries: 1")
    assert run.settled() == "Succeeded"
    told = run.told()
    first, second = told.of("it")
    assert (first["attempt"], first["state"], first["exitCode"]) == (0, "FAIL", 3)
    assert (second["attempt"], second["state"], second["exitCode"]) == (1, "COMPLETE", 0)
    assert first["outputs"] == {}
    assert run.bytes_of(second["outputs"]["x"]).endswith(b"-retry1\n")
    assert told.statuses() == ("COMPLETE", {"it": "Succeeded"})
