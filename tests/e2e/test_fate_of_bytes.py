"""Buckets and Git servers on their bad days: no half artifact, one true record, and a line that names what is wrong."""

from __future__ import annotations

import threading

import pytest

from tests.e2e.fates import failed, single
from tests.e2e.lab import ENV, REGION, S3_SECRET, Lab
from tests.e2e.proxy import Verdict, always, every
from tests.e2e.run import Run
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


def test_a_bucket_that_is_away_for_a_minute(lab: Lab) -> None:
    proxy = lab.proxy(need("MLGEN_E2E_S3_ENDPOINT"))
    run = single(lab, "s3-minute", WRITES, s3=proxy.url)
    run.says("it", "begun")
    proxy.fault = always(Verdict.REFUSE)
    threading.Timer(60, proxy.heal).start()
    assert run.settled() == "Succeeded"
    record = run.told().only("it")
    assert record["state"] == "COMPLETE"
    assert len(run.bytes_of(record["outputs"]["x"])) == 3 << 20


@pytest.mark.parametrize(("name", "verdict"), [("forbidden", Verdict.FORBIDDEN), ("no-bucket", Verdict.NO_BUCKET)])
def test_an_upload_that_is_refused(lab: Lab, name: str, verdict: Verdict) -> None:
    """The bucket's policy changed, or the bucket went, while the program ran. The record is still made."""
    proxy = lab.proxy(need("MLGEN_E2E_S3_ENDPOINT"))
    run = single(lab, name, WRITES, s3=proxy.url)
    run.says("it", "begun")
    proxy.fault = lambda method, path: Verdict.PASS if "/_ledger/" in path else verdict
    assert run.settled() == "Failed"
    record = failed(run)
    assert '"x"' in record["error"]
    assert record["exitCode"] == 0


def test_keys_that_are_wrong(lab: Lab) -> None:
    secret = "wrong-secret-4711"
    run = single(lab, "wrong-keys", WRITES, s3_keys=(need("MLGEN_E2E_S3_ACCESS_KEY"), secret))
    says_what_is_wrong(run, S3_SECRET, run.project.artifacts)
    assert secret not in "".join(run.log(pod, c) for pod in run.pods() for c in containers(pod))
    assert run.told().of("it") == []


def test_a_bucket_that_does_not_exist(lab: Lab) -> None:
    run = single(lab, "wrong-bucket", WRITES, settings={"artifacts": "s3://mlgen-e2e-there-is-none/x"})
    says_what_is_wrong(run, "mlgen-e2e-there-is-none")


def test_a_spool_that_cannot_be_reached_at_the_start(lab: Lab) -> None:
    endpoint = f"http://{need('MLGEN_E2E_HOST')}:9"  # discard: nobody listens
    s3 = {"endpoint": endpoint, "region": REGION, "secret": S3_SECRET}
    run = single(lab, "no-spool", WRITES, settings={"s3": s3})
    says_what_is_wrong(run, endpoint)


def test_git_that_is_down_for_the_whole_run(lab: Lab) -> None:
    proxy = lab.proxy(need("MLGEN_E2E_GIT_REPOSITORY"))
    proxy.fault = always(Verdict.REFUSE)
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
