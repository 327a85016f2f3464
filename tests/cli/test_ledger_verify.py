"""`mlgen ledger verify` as people and scripts call it: of a ledger here, and of one on a host."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlgen import git
from mlgen.cli.main import run as mlgen
from mlgen.ledger.folding.spool import Spool
from mlgen.ledger.records.entry import to_bytes
from mlgen.ledger.verify.finding import KINDS
from mlgen.store import Folder
from tests import git_host, s3
from tests.cli import lab as place
from tests.cluster import apiserver
from tests.git_host import GitHost, secret
from tests.ledger import records
from tests.ledger.tampering import ENVIRON, GONE, Lab, entries
from tests.ssh_keys import allowed, new_key

Capture = pytest.CaptureFixture[str]
PROJECT = """\
version: 1
environments:
  local: {{artifacts: artifacts, ledger: {{branch: ledger{more}}}}}
  prod:
    namespace: ml
    artifacts: s3://ml/prod
    runtime_image: ghcr.io/acme/runtime@sha256:{digest}
    ledger: {{url: "https://git.example/l.git"}}
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A project outside Git, whose ledger has two runs."""
    (tmp_path / "mlgen.yaml").write_text(PROJECT.format(digest="ab" * 32, more=""))
    (tmp_path / ".mlgen").mkdir()
    monkeypatch.chdir(tmp_path)
    lab = Lab(git.init_bare(tmp_path / ".mlgen" / "ledger.git", ENVIRON), tmp_path)
    lab.land(*entries("r1"))
    lab.land(*entries("r2"))
    return lab


def answer(capsys: Capture, *options: str, code: int = 0) -> Any:
    assert mlgen(["ledger", "verify", *options, "--format", "json"]) == code
    return json.loads(capsys.readouterr().out)


def text(capsys: Capture, *options: str, code: int = 0) -> str:
    assert mlgen(["ledger", "verify", *options]) == code
    return capsys.readouterr().out


def codes(found: Any) -> list[str]:
    return [one["code"] for one in found["findings"]]


def test_nothing_is_wrong(lab: Lab, capsys: Capture) -> None:
    found = answer(capsys)
    assert (found["ledger"], found["commits"], found["records"], found["dead"]) == (lab.tip, 2, 6, 0)
    assert (found["findings"], found["counts"], found["signatures"]) == ([], {}, {"unsigned": 2})
    assert "kept elsewhere" in found["notes"][0]
    said = text(capsys)
    for part in (lab.tip, found["chain"], "2, those up to", "signed   no commit", "nothing is wrong"):
        assert part in said
    assert "note" not in said  # what was remembered was continued
    for options in (["--full"], ["--full", "--expect", found["chain"]]):
        assert answer(capsys, *options)["notes"] == []


def test_there_is_no_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    (tmp_path / "mlgen.yaml").write_text("version: 1\n")
    monkeypatch.chdir(tmp_path)
    assert mlgen(["ledger", "verify"]) == 3  # or a job would stay green after somebody took the branch away
    assert "error[no-ledger]" in capsys.readouterr().err
    assert codes(answer(capsys, "--expect", "ab" * 32, code=1)) == ["ledger-rewritten"]
    assert "no branch ledger" in text(capsys, "--expect", "ab" * 32, code=1)


def test_the_branch_is_gone(lab: Lab, capsys: Capture) -> None:
    answer(capsys)
    lab.git("update-ref", "-d", "refs/heads/ledger")
    found = answer(capsys, code=1)
    assert codes(found) == ["ledger-rewritten"]


def test_a_finding_says_what_where_why_and_what_to_do(lab: Lab, capsys: Capture) -> None:
    answer(capsys)
    entry = records.task("r1", "train")
    tip = lab.move(lab.commit({entry.path: GONE, "notes\x1b[2J.txt": b"x"}))
    found = answer(capsys, code=1)
    assert sorted(codes(found)) == ["record-deleted", "stray-file"]
    assert found["counts"] == {"record-deleted": 1, "stray-file": 1}
    for one in found["findings"]:
        assert one["commit"] == tip
        assert (one["why"], one["fix"]) == (KINDS[one["code"]].why, KINDS[one["code"]].fix)
    said = text(capsys, code=1)
    for part in ("error[record-deleted]", tip, entry.path, "why  a record never goes", "fix  ", "2 findings"):
        assert part in said
    assert "\x1b" not in said
    assert codes(answer(capsys, "--since", lab.commits[1], code=1)) == codes(found)
    lab.land(*entries("r3"))
    assert codes(answer(capsys, "--since", tip[:10])) == []
    assert codes(answer(capsys, code=1)) == codes(found)  # it stays wrong


@pytest.mark.parametrize("code", KINDS)
def test_each_code_is_explained(code: str, capsys: Capture) -> None:
    assert mlgen(["explain", code]) == 0
    assert capsys.readouterr().out.startswith(f"{code}: ")


def test_a_rewrite_is_found_each_time(lab: Lab, capsys: Capture) -> None:
    chain = answer(capsys)["chain"]
    lab.move(lab.again(lab.commits[1:], None, right=True))
    for _ in range(2):
        assert codes(answer(capsys, code=1)) == ["ledger-rewritten"]
    assert codes(answer(capsys, "--expect", chain, code=1)) == ["ledger-rewritten"] * 2


def test_records_that_could_not_land(lab: Lab, capsys: Capture) -> None:
    spool = Spool(Folder(lab.folder / "artifacts", "artifacts"))
    spool.bury(spool.put(records.task("r9")), to_bytes(records.task("r9")), "bad-record", "why")
    found = answer(capsys, code=1)
    assert (codes(found), found["dead"]) == (["dead-letter"], 1)
    assert found["findings"][0]["message"] == "bad-record: why"
    assert found["findings"][0]["path"].startswith("_ledger/dead/")


def test_environments(lab: Lab, capsys: Capture) -> None:
    lab.land(records.task("r3", env="gone"))
    assert "1 records are of the environment gone" in " ".join(answer(capsys)["notes"])
    lab.land(records.task("r4", env="prod"))  # whose ledger is another one
    assert codes(answer(capsys, code=1)) == ["other-environment"]


def test_signatures(lab: Lab, capsys: Capture) -> None:
    key = new_key(lab.folder / "key")
    (lab.folder / "signers").write_text(allowed(key, "alice"))
    (lab.folder / "mlgen.yaml").write_text(PROJECT.format(digest="ab" * 32, more=", signers: signers"))
    assert codes(answer(capsys, code=1)) == ["unsigned"]
    lab.signer = git.Signer(key, "the key", None, ENVIRON)
    lab.land(*entries("r3"))
    found = answer(capsys)
    assert (found["signatures"], found["signers"]) == ({"unsigned": 2, "signed": 1}, {"alice": 1})
    assert any("the first 2 commits" in one for one in found["notes"])
    said = text(capsys)
    assert "1 signed, 2 not signed; by alice" in said
    (lab.folder / "mlgen.yaml").write_text(PROJECT.format(digest="ab" * 32, more=""))
    assert "does not say by whose keys" in " ".join(answer(capsys)["notes"])


def test_artifacts(lab: Lab, capsys: Capture) -> None:
    store = Folder(lab.folder / "artifacts", "artifacts")
    (lab.folder / "model").write_text("model")
    content = store.put_artifact("churn/r3/model", lab.folder / "model")
    made = replace(records.artifact("model", "artifacts/churn/r3/model"), digest=content.digest)
    lab.land(records.task("r3", outputs=(made,)))
    found = answer(capsys, "--artifacts")
    assert found["artifacts"] == {"right": 1, "sizeBytes": 12, "collected": 0, "elsewhere": 0}
    assert "1 right" in text(capsys, "--artifacts")
    (store.root / "churn/r3/model").unlink()
    assert codes(answer(capsys)) == []
    assert codes(answer(capsys, "--artifacts", code=1)) == ["artifact-missing"]


@pytest.mark.parametrize(
    "wrong", [["--since", "yesterday"], ["--since", "-"], ["--grace", "soon"], ["--expect", "abc"]]
)
def test_asked_wrongly(lab: Lab, capsys: Capture, wrong: list[str]) -> None:
    assert mlgen(["ledger", "verify", *wrong]) == 2
    assert "bad-option" in capsys.readouterr().err


@pytest.mark.parametrize("since", ["2026-11-28", "2026-11-28T12:00:00Z", "2026-11-28T11:30:00+00:00"])
def test_since_a_date(lab: Lab, capsys: Capture, since: str) -> None:
    found = answer(capsys, "--since", since)
    assert found["commits"] == 2
    assert "by their own times" in " ".join(found["notes"])


def test_another_project_at_the_same_path(lab: Lab, capsys: Capture) -> None:
    answer(capsys)
    shutil.rmtree(lab.repository.git_dir)
    git.init_bare(lab.repository.git_dir, ENVIRON)
    lab.land(*entries("r7"))
    assert answer(capsys)["commits"] == 1


def test_a_commit_that_is_not_there(lab: Lab, capsys: Capture) -> None:
    assert mlgen(["ledger", "verify", "--since", "deadbeef"]) == 2
    assert "no commit here" in capsys.readouterr().err
    assert codes(answer(capsys, "--since", "deadbeef" * 5, code=1)) == ["ledger-rewritten"]


def test_what_cannot_be_remembered_is_verified_all_the_same(lab: Lab, capsys: Capture) -> None:
    (lab.repository.git_dir / "mlgen").write_text("")
    assert mlgen(["ledger", "verify"]) == 0
    assert "cannot be remembered" in capsys.readouterr().err


# On a host.


@pytest.fixture
def host(tmp_path: Path) -> Iterator[GitHost]:
    with git_host.serve(tmp_path / "host") as host:
        yield host


@pytest.fixture(params=["sha1", "sha256", "no partial clones"])
def away(request: pytest.FixtureRequest, tmp_path: Path, host: GitHost, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A project whose ledger is on a host."""
    form = request.param if request.param.startswith("sha") else "sha1"
    path = host.repository("l", object_format=form, uploadpack_allowFilter=str(form == request.param).lower())
    root = tmp_path / "project"
    root.mkdir()
    environment = f'{{artifacts: artifacts, ledger: {{url: "{host.url}/l.git"}}}}'
    (root / "mlgen.yaml").write_text(f"version: 1\nenvironments: {{local: {environment}}}\n")
    monkeypatch.chdir(root)
    monkeypatch.setenv("MLGEN_LEDGER_SECRET", str(secret(tmp_path / "secret")))
    lab = Lab(git.init_bare(path, ENVIRON), tmp_path)
    for run in ("r1", "r2", "r3"):
        lab.land(*entries(run))
    return lab


def test_a_ledger_on_a_host(away: Lab, host: GitHost, capsys: Capture) -> None:
    first = answer(capsys)
    assert (first["ledger"], first["commits"], first["records"], first["findings"]) == (away.tip, 3, 9, [])
    away.land(*entries("r4"))
    again = answer(capsys)
    assert (again["commits"], again["records"], again["remembered"], again["since"]) == (4, 12, True, first["ledger"])
    host.requests.clear()
    assert answer(capsys)["commits"] == 4
    assert len(host.requests) == 6  # two questions for the tip, each refused before the password is given: nothing new


def test_a_rewrite_on_a_host(away: Lab, capsys: Capture, tmp_path: Path) -> None:
    """Also by a mirror that other commands refresh meanwhile."""
    chain = answer(capsys)["chain"]
    old = away.tip
    entry = records.task("r2", "train")
    first, second, third = away.commits
    files = {path: away.file(second, path) for path in away.paths(second)}
    files[entry.path] = to_bytes(replace(entry, metrics={"auc": 0.99}))
    away.move(away.again([third], away.commit(files, parent=first), right=True))
    for _ in range(2):
        found = answer(capsys, code=1)
        assert codes(found) == ["ledger-rewritten"]
        assert str(tmp_path / "cache") in found["notes"][-1]
        assert old in found["findings"][0]["message"]
        assert (found["commits"], found["records"]) == (3, 9)
    assert codes(answer(capsys, "--expect", chain, code=1)) == ["ledger-rewritten"] * 2


def test_a_record_deleted_on_a_host(away: Lab, capsys: Capture) -> None:
    entry = records.task("r1", "train")
    tip = away.move(away.commit({entry.path: GONE}))
    away.land(*entries("r4"))
    found = answer(capsys, code=1)
    assert [(o["code"], o["commit"], o["path"]) for o in found["findings"]] == [("record-deleted", tip, entry.path)]


def test_the_host_is_away(away: Lab, host: GitHost, capsys: Capture) -> None:
    host.fault = lambda _path: "drop"
    assert mlgen(["ledger", "verify"]) == 3
    assert "git-unreachable" in capsys.readouterr().err


def test_what_a_killed_verification_left(away: Lab, tmp_path: Path, capsys: Capture) -> None:
    answer(capsys)
    away.land(*entries("r4"))
    [history] = (tmp_path / "cache").rglob("history.git")
    for lock in ("HEAD.lock", "packed-refs.lock", "refs/heads/ledger.lock", "shallow.lock"):
        (history / lock).write_text("")
    assert answer(capsys)["commits"] == 4


def test_a_shallow_clone(lab: Lab, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = lab.folder / "clone"
    command = ["clone", "-q", "--depth=1", "--branch=ledger", f"file://{lab.repository.git_dir}", str(clone)]
    subprocess.run(["git", *command], check=True, env=ENVIRON)
    (clone / "mlgen.yaml").write_text("version: 1\n")
    monkeypatch.chdir(clone)
    assert mlgen(["ledger", "verify"]) == 3
    assert "git fetch --unshallow" in capsys.readouterr().err


# With a cluster.


def test_a_cluster_and_its_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(s3, "BUCKET", "ml-artifacts")
    with s3.serve() as bucket, git_host.serve(tmp_path / "git") as host, apiserver.running() as cluster:
        host.repository("ledger")
        place.lay_down(tmp_path, s3=bucket.endpoint, ledger=f"{host.url}/ledger.git")
        variables = {
            "KUBECONFIG": cluster.kubeconfig(tmp_path),
            "MLGEN_LEDGER_SECRET": secret(tmp_path / "secret"),
            "AWS_ACCESS_KEY_ID": "key-id",
            "AWS_SECRET_ACCESS_KEY": "key-value",
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))
        monkeypatch.chdir(tmp_path)
        cluster.add("ok")
        assert mlgen(["ledger", "reconcile", "--env", "lab"]) == 0
        capsys.readouterr()
        found = answer(capsys, "--env", "lab", "--cluster")
        assert found["cluster"] == {"runs": 1, "executions": 3, "gone": 0, "unfit": []}
        assert "3 executions of 1 runs" in text(capsys, "--env", "lab", "--cluster")
        cluster.add("fail")
        assert codes(answer(capsys, "--env", "lab")) == []
        assert codes(answer(capsys, "--env", "lab", "--cluster", code=1)) == ["untold-execution"] * 5
    assert mlgen(["ledger", "verify", "--env", "lab", "--cluster"]) == 3
    assert "git-unreachable" in capsys.readouterr().err


def test_no_cluster_to_ask(lab: Lab, capsys: Capture) -> None:
    assert mlgen(["ledger", "verify", "--cluster"]) == 2
    assert "runs in no cluster" in capsys.readouterr().err
