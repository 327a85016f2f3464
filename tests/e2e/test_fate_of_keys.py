"""Programs that reach for the keys of the environment, or hand on their own: neither leaves the pod."""

from __future__ import annotations

import obstore
import pytest

from tests.e2e.cluster import kubectl
from tests.e2e.fates import failed, pipeline, single
from tests.e2e.lab import Lab
from tests.e2e.run import Run, start
from tests.e2e.settings import need

pytestmark = pytest.mark.together

TOKEN = "token-of-the-author-4711"


@pytest.mark.parametrize(
    ("name", "swap", "out"),
    [
        ("linked-folder", "rm -rf /mlgen/out; ln -s /proc/self /mlgen/out", "{environ: file}"),
        ("linked-value", "rm -rf /mlgen/out; ln -s /proc/self /mlgen/out", "{environ: string}"),
        ("linked-inside", "mkdir $environ; ln -s /proc/self $environ/x", "{environ: directory}"),
    ],
)
def test_our_own_variables_are_no_out(lab: Lab, name: str, swap: str, out: str) -> None:
    run = single(lab, name, f"run: {swap}\nout: {out}")
    assert run.settled() == "Failed"
    record = failed(run)
    assert record["exitCode"] == 0
    assert "is a symbolic link" in record["error"]
    nowhere(run, need("MLGEN_E2E_S3_SECRET_KEY"))


def test_what_a_program_writes_while_it_says_that_it_ended(lab: Lab) -> None:
    """It makes the file for which stage-out waits, in the folder of its own step."""
    script = 'echo early > "$x"\n  echo -n 0 > /tekton/run/1/status/exitCode\n  : > /tekton/run/1/out'
    run = single(lab, "says-ended", f'run: |\n  {script}\n  sleep 8\n  echo late > "$x"\nout: [x]')
    run.settled()
    record = run.told().only("it")
    assert record["state"] == "FAIL" or run.bytes_of(record["outputs"]["x"]) == b"late\n"


def test_a_secret_of_the_program_is_no_value(lab: Lab) -> None:
    project = lab.project("secret-value")
    kubectl("create", "secret", "generic", "hub", f"--from-literal=token={TOKEN}", "-n", project.name)
    pipeline(project, 'run: echo "with $HUB" > "$note"\nout: {note: string}\nsecrets: {HUB: hub/token}')
    run = start(project, "die")
    assert run.settled() == "Failed"
    assert failed(run)["error"] == 'out "note" holds the secret HUB, and outs are recorded: leave it out'
    nowhere(run, TOKEN)


def test_a_secret_that_is_not_there_is_main_s_to_fail_of(lab: Lab) -> None:
    run = single(lab, "no-secret", "run: exit 0\nsecrets: {HUB: hub/token}")
    assert run.done() == "Failed"  # its pod stays pending, as each one whose container cannot be made
    states = {c["name"]: c["state"] for c in run.pods()[0]["status"]["containerStatuses"]}
    assert 'secret "hub" not found' in str(states["step-main"])
    assert "not found" not in str(states["step-stage-out"])


def nowhere(run: Run, secret: str) -> None:
    """Neither the bucket, nor a log, nor what Tekton keeps of the run holds a secret."""
    project = run.project
    kept = [bytes(obstore.get(project.bucket(), key).bytes()) for key in project.keys("")]
    assert not any(secret.encode() in data for data in kept)
    for pod in run.pods():
        names = [c["name"] for kind in ("containers", "initContainers") for c in pod["spec"].get(kind, [])]
        assert not any(secret in run.log(pod, name) for name in names)
    assert secret not in kubectl("get", "pods,taskruns,pipelineruns", "-n", project.name, "-o", "json")
