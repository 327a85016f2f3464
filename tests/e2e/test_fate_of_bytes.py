"""Buckets and Git servers on their bad days: no half artifact, one true record, and a line that names what is wrong."""

from __future__ import annotations

import threading

import pytest

from tests.e2e.cluster import kubectl
from tests.e2e.fates import failed, pipeline, single
from tests.e2e.lab import ENV, S3_SECRET, Lab
from tests.e2e.proxy import Verdict, always, every
from tests.e2e.run import Run, start, wait_for
from tests.e2e.settings import need

pytestmark = pytest.mark.together

WRITES = 'run: |\n  echo begun\n  sleep 5\n  head -c 3m /dev/urandom > "$x"\nout: [x]'


@pytest.mark.parametrize(
    ("name", "verdict"),
    [("busy", Verdict.UNAVAILABLE), ("lost-answers", Verdict.LOSE_ANSWER), ("cut", Verdict.CUT)],
)
def test_a_bucket_that_fails_each_third_time(lab: Lab, name: str, verdict: Verdict) -> None:
    proxy = lab.proxy(need("MLGEN_E2E_S3_ENDPOINT"))
    proxy.fault = every(3, verdict)
    run = single(lab, name, WRITES, s3=proxy.url)
    assert run.settled() == "Succeeded"
    record = run.told().only("it")
    assert record["state"] == "COMPLETE"
    assert len(run.bytes_of(record["outputs"]["x"])) == 3 << 20
    assert sum(seen is verdict for _, _, seen in proxy.seen) >= 3


@pytest.mark.parametrize("name", ["s3-down", "s3-dropping"])
def test_a_bucket_that_is_away_for_a_minute(lab: Lab, name: str) -> None:
    """Its address refuses connections, or a proxy before it closes them."""
    proxy = lab.proxy(need("MLGEN_E2E_S3_ENDPOINT"))
    run = single(lab, name, WRITES, s3=proxy.url)
    run.says("it", "begun")
    if name == "s3-down":
        proxy.stop()
        threading.Timer(60, proxy.start).start()
    else:
        proxy.fault = always(Verdict.DROP)
        threading.Timer(60, proxy.heal).start()
    assert run.settled() == "Succeeded"
    record = run.told().only("it")
    assert record["state"] == "COMPLETE"
    assert len(run.bytes_of(record["outputs"]["x"])) == 3 << 20


def test_an_upload_that_is_refused(lab: Lab) -> None:
    """The bucket's policy changed while the program ran. The record is still made."""
    proxy = lab.proxy(need("MLGEN_E2E_S3_ENDPOINT"))
    run = single(lab, "forbidden", WRITES, s3=proxy.url)
    run.says("it", "begun")
    proxy.fault = refused_artifacts
    assert run.settled() == "Failed"
    record = failed(run)
    assert '"x"' in record["error"]
    assert S3_SECRET in record["error"]
    assert record["exitCode"] == 0


def test_a_bucket_that_goes_while_the_program_runs(lab: Lab) -> None:
    """Nothing can be kept, no record either: it is made from outside, once the bucket is back."""
    proxy = lab.proxy(need("MLGEN_E2E_S3_ENDPOINT"))
    run = single(lab, "bucket-gone", WRITES, s3=proxy.url)
    run.says("it", "begun")
    proxy.fault = always(Verdict.NO_BUCKET)
    wait_for("the task's end", lambda: run.task_reason("it") == "StepFailed")
    assert run.told().of("it") == []
    proxy.heal()
    assert run.settled() == "Failed"
    run.reconcile()
    assert failed(run)["reconciled"]


def test_keys_that_are_wrong(lab: Lab) -> None:
    secret = "wrong-secret-4711"
    run = single(lab, "wrong-keys", WRITES, s3_keys=(need("MLGEN_E2E_S3_ACCESS_KEY"), secret))
    says_what_is_wrong(run, S3_SECRET, run.project.artifacts)
    assert secret not in "".join(run.log(pod, c) for pod in run.pods() for c in containers(pod))
    run.reconcile()
    assert run.told().only("it")["reconciled"]


def test_a_bucket_that_does_not_exist(lab: Lab) -> None:
    proxy = lab.proxy(need("MLGEN_E2E_S3_ENDPOINT"))  # some servers make a bucket that is missing
    proxy.fault = always(Verdict.NO_BUCKET)
    run = single(lab, "no-bucket", WRITES, s3=proxy.url)
    says_what_is_wrong(run, f'no bucket "{need("MLGEN_E2E_S3_BUCKET")}"', proxy.url)


def test_a_spool_that_cannot_be_reached_at_the_start(lab: Lab) -> None:
    """It is given two minutes; then the task fails, and the program never starts."""
    proxy = lab.proxy(need("MLGEN_E2E_S3_ENDPOINT"))
    proxy.stop()
    run = single(lab, "no-spool", WRITES, s3=proxy.url)
    wait_for("the task's end", lambda: run.task_reason("it") == "StepFailed")
    proxy.start()
    says_what_is_wrong(run, proxy.url)
    assert "begun" not in run.log(run.pods()[0])
    run.reconcile()
    assert len(run.told().of("it")) == 1


def test_git_that_is_down_for_the_whole_run(lab: Lab) -> None:
    proxy = lab.proxy(need("MLGEN_E2E_GIT_REPOSITORY"))
    proxy.fault = always(Verdict.DROP)
    run = single(lab, "git-down", WRITES, git=proxy.url, fold="task")
    assert run.settled() == "Succeeded"
    assert proxy.seen, "nobody tried to fold"
    assert run.project.landed() == {}
    record = run.told().only("it")
    assert record["state"] == "COMPLETE"

    proxy.heal()
    run.project.mlgen("ledger", "fold", "--env", ENV)
    assert run.project.spooled() == []
    assert len(run.project.landed()) == 2
    assert run.told().only("it") == record
    assert run.told().statuses() == ("COMPLETE", {"it": "Succeeded"})


def test_a_token_that_is_wrong_holds_nothing_back(lab: Lab) -> None:
    run = single(lab, "wrong-token", WRITES, settings={"ledger": wrong_ledger()})
    assert run.settled() == "Succeeded"
    assert run.told().only("it")["state"] == "COMPLETE"
    assert run.project.landed() == {}


def test_a_ledger_by_ssh_takes_a_user_that_no_passwd_entry_names(lab: Lab) -> None:
    """As far as the connection, which nobody answers: the image's ssh must not end before."""
    project = lab.project("ssh", settings={"ledger": ledger_by_ssh(), "user": 12345})
    keys = {"ssh-privatekey": "none", "known_hosts": "none"}
    metadata = {"name": "by-ssh", "namespace": project.name}
    kubectl("create", "-f", "-", given={"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": keys})
    pipeline(project, WRITES)
    run = start(project, "die")
    assert run.settled() == "Succeeded"
    assert "cannot be reached" in run.log(run.pods("record")[-1], "step-record")


def ledger_by_ssh() -> dict[str, str]:
    return {
        "url": f"ssh://git@{need('MLGEN_E2E_HOST')}:9/ledger.git",
        "branch": "ledger",
        "secret": "by-ssh",
        "fold": "run",
    }


def refused_artifacts(method: str, path: str) -> Verdict:
    """Artifacts cannot be written; what has a name that begins otherwise can."""
    return Verdict.FORBIDDEN if method in ("PUT", "POST") and "/it." in path else Verdict.PASS


def wrong_ledger() -> dict[str, str]:
    """A ledger whose secret holds no key of the ledger's: that of the bucket."""
    return {"url": need("MLGEN_E2E_GIT_REPOSITORY"), "branch": "wrong", "secret": S3_SECRET, "fold": "task"}


def says_what_is_wrong(run: Run, *words: str) -> None:
    """The task fails, and a line of ours in its pod's log names the thing."""
    assert run.settled() == "Failed"
    pod = run.pods()[0]
    lines = [line for c in containers(pod) for line in run.log(pod, c).splitlines()]
    ours = "\n".join(line for line in lines if "error[" in line or line.startswith("   "))
    assert "mlgen-runtime: error[" in ours, lines
    for word in words:
        assert word in ours, ours


def containers(pod: dict[str, dict[str, list[dict[str, str]]]]) -> list[str]:
    return [c["name"] for c in pod["spec"]["containers"]]
