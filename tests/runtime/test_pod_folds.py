"""Pods that fold: the record is in the ledger when its task ends, or waits in the spool and harms nobody."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlgen import git
from mlgen.ledger.folding.spool import Spool
from mlgen.runtime.pod import sidecar
from mlgen.runtime.pod.contract import Fold
from mlgen.store import Folder
from tests import git_host
from tests.git_host import GitHost
from tests.ledger import records
from tests.runtime.pods import Pod
from tests.ssh_keys import allowed, new_key

LONG = 10**9  # seconds: no test sees the next interval
TOLD = {"MLGEN_RUN_STATUS": "Succeeded", "MLGEN_TASKS": '{"train": {"status": "Succeeded", "reason": "Succeeded"}}'}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[GitHost]:
    with git_host.serve(tmp_path / "host") as host:
        host.repository("ledger")
        yield host


@pytest.fixture
def pods() -> Iterator[list[Pod]]:
    made: list[Pod] = []
    yield made
    for pod in made:
        pod.end()


def a_pod(pods: list[Pod], tmp_path: Path, url: str, interval_seconds: int = 0) -> Pod:
    fold = Fold(f"{url}/ledger.git", "ledger", interval_seconds, "ledger-token")
    pod = Pod(tmp_path / f"pod{len(pods)}", tmp_path / "store", fold=fold)
    pods.append(pod)
    git_host.secret(pod.places.ledger_secret)
    return pod


def run(pod: Pod) -> str:
    """Run a task to its good end; what its sidecar said."""
    beside = pod.sidecar()
    assert pod.stage_in() == 0
    pod.main("true")
    assert pod.stage_out() == 0
    assert beside.wait() == 0
    return beside.text


def landed(host: GitHost) -> list[str]:
    command = ["git", "--git-dir", str(host.root / "ledger.git"), "ls-tree", "-r", "--name-only", "ledger"]
    paths = subprocess.run(command, check=False, capture_output=True, text=True).stdout.split()
    return sorted(path.rpartition("/")[2] for path in paths)


def test_a_record_lands_before_its_task_ends(host: GitHost, pods: list[Pod], tmp_path: Path) -> None:
    pod = a_pod(pods, tmp_path, host.url)
    assert run(pod) == ""
    assert len(landed(host)) == 1
    assert pod.records == []


def test_a_key_in_the_mounted_secret_signs(host: GitHost, pods: list[Pod], tmp_path: Path) -> None:
    pod = a_pod(pods, tmp_path, host.url)
    key, mounted = new_key(tmp_path / "key"), pod.places.ledger_secret / "ssh-signingkey"
    mounted.write_bytes(key.read_bytes())
    mounted.chmod(0o440)
    assert run(pod) == ""
    assert pod.begin("record", **TOLD).wait() == 0
    here = git.init_bare(host.root / "ledger.git")
    commits = here.run("rev-list", "ledger").decode().split()
    signers = git.Signers(allowed(key, "pod"))
    found = [signers.check(here.run("cat-file", "commit", oid), datetime.now(UTC)).principal for oid in commits]
    assert found == ["pod", "pod"]


def test_a_fold_that_is_not_due_is_left_to_the_final_record(host: GitHost, pods: list[Pod], tmp_path: Path) -> None:
    run(a_pod(pods, tmp_path, host.url, interval_seconds=LONG))
    asked = len(host.requests)
    pod = a_pod(pods, tmp_path, host.url, interval_seconds=LONG)
    run(pod)
    assert len(landed(host)) == 1
    assert len(pod.records) == 1
    assert len(host.requests) == asked, "the store says whose turn it is"
    assert pod.begin("record", **TOLD).wait() == 0
    assert len(landed(host)) == 3
    assert "run.json" in landed(host)


def test_a_record_that_cannot_land_is_alerted(host: GitHost, pods: list[Pod], tmp_path: Path) -> None:
    pod = a_pod(pods, tmp_path, host.url)
    first = records.task(env="prod")
    for entry in (first, replace(first, reason="Other")):
        Spool(Folder(pod.store, "store")).put(entry)
    assert run(pod) == (
        "mlgen-runtime: ledger-alert: env=prod dead=1 ledger-conflict=1; "
        "`mlgen ledger fold --dead --env prod` tries them again\n"
    )


@pytest.mark.parametrize("verb", ["results", "record"])
def test_a_ledger_that_is_away_fails_nothing(pods: list[Pod], tmp_path: Path, verb: str) -> None:
    pod = a_pod(pods, tmp_path, "http://127.0.0.1:9")
    said = run(pod)
    if verb == "record":
        program = pod.begin("record", **TOLD)
        assert program.wait() == 0
        said = program.text
        assert len(pod.runs) == 1
    assert said.startswith(
        "mlgen-runtime: the records wait in the spool: " if verb == "record" else "mlgen-runtime: the record waits"
    )
    assert len(said.splitlines()) == 1
    assert len(pod.records) == 1


def test_a_wrong_token_is_named_by_its_secret(host: GitHost, pods: list[Pod], tmp_path: Path) -> None:
    pod = a_pod(pods, tmp_path, host.url)
    (pod.places.ledger_secret / "password").write_text("wrong")
    said = run(pod)
    assert "ledger-token" in said
    assert "wrong" not in said
    assert len(pod.records) == 1


def test_a_ledger_that_does_not_answer_is_waited_for_a_short_while(
    host: GitHost, pods: list[Pod], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sidecar, "FOLD_SECONDS", 0.3)

    def late(_path: str) -> str:
        time.sleep(5)
        return "drop"

    host.fault = late
    pod = a_pod(pods, tmp_path, host.url)
    began = time.monotonic()
    assert "the record waits in the spool: " in run(pod)
    assert time.monotonic() - began < 5
    assert len(pod.records) == 1
