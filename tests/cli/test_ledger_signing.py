"""Ledger commits are signed where a key is given: in pods, by commands, in both kinds of repository."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlgen import git
from mlgen.cli.ledgers.records import open_records
from mlgen.cli.main import run as mlgen
from mlgen.cli.projects.workspace import Workspace
from mlgen.diagnostic import CannotAnswer
from mlgen.ledger.folding.spool import Spool
from mlgen.store import Folder
from tests import git_host
from tests.git_host import GitHost, secret
from tests.ledger import records
from tests.ssh_keys import allowed, new_key


@pytest.fixture
def host(tmp_path: Path) -> Iterator[GitHost]:
    with git_host.serve(tmp_path / "host") as host:
        host.repository("l")
        yield host


@pytest.fixture(params=["here", "elsewhere"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path, host: GitHost, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The repository that the ledger of a project outside Git gets. The project is the current folder."""
    root = tmp_path / "project"
    root.mkdir()
    about = {"signers": "ledger-signers", **({"url": f"{host.url}/l.git"} if request.param == "elsewhere" else {})}
    project = {"version": 1, "environments": {"local": {"artifacts": "artifacts", "ledger": about}}}
    (root / "mlgen.yaml").write_text(json.dumps(project))
    monkeypatch.chdir(root)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MLGEN_LEDGER_SECRET", str(secret(tmp_path / "secret")))
    return root / ".mlgen" / "ledger.git" if request.param == "here" else host.root / "l.git"


def put(*names: str) -> None:
    for name in names:
        Spool(Folder(Path("artifacts"), "artifacts")).put(records.task(name=name))


def waiting() -> int:
    return len(Spool(Folder(Path("artifacts"), "artifacts")).waiting())


def verdicts(ledger: Path) -> list[git.Verdict]:
    """Of each commit, the oldest first, by the signers that mlgen.yaml names."""
    signers = open_records(Workspace.around(), "local").signers
    assert signers is not None
    here = git.init_bare(ledger)
    oids = here.run("rev-list", "--reverse", "ledger").decode().split()
    now = datetime.now(UTC)
    return [signers.check(here.run("cat-file", "commit", oid), now) for oid in oids]


def test_a_key_in_the_secret_signs_and_another_may_follow(
    ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = new_key(tmp_path / "first"), new_key(tmp_path / "second")
    Path("ledger-signers").write_text(allowed(first, "mlgen-1") + allowed(second, "mlgen-2"))
    put("a")
    assert mlgen(["ledger", "fold"]) == 0
    mounted = tmp_path / "secret" / "ssh-signingkey"
    mounted.write_bytes(first.read_bytes())
    mounted.chmod(0o440)
    put("b")
    assert mlgen(["ledger", "fold"]) == 0
    monkeypatch.setenv("MLGEN_LEDGER_SIGNING_KEY", str(second))
    put("c")
    assert mlgen(["ledger", "fold"]) == 0
    assert [verdict.principal for verdict in verdicts(ledger)] == [None, "mlgen-1", "mlgen-2"]


@pytest.mark.usefixtures("ledger")
def test_a_key_that_cannot_sign_lets_the_records_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLGEN_LEDGER_SIGNING_KEY", str(new_key(tmp_path / "locked", passphrase="open sesame")))
    put("a")
    assert mlgen(["ledger", "fold"]) == 3
    said = capsys.readouterr().err
    assert "error[signing-key]" in said
    assert "it has a passphrase" in said
    assert waiting() == 1
    monkeypatch.delenv("MLGEN_LEDGER_SIGNING_KEY")
    assert mlgen(["ledger", "fold"]) == 0
    assert waiting() == 0


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize(
    ("path", "words"), [("none", "is no file"), ("../out", "leads outside"), ("big", "has more than 1,048,576 bytes")]
)
def test_signers_that_cannot_be_read(tmp_path: Path, path: str, words: str) -> None:
    (tmp_path / "out").write_text("")
    Path("big").write_bytes(b"#" * (1 << 20 | 1))
    project = {"version": 1, "environments": {"local": {"ledger": {"signers": path}}}}
    Path("mlgen.yaml").write_text(json.dumps(project))
    with pytest.raises(CannotAnswer, match=words) as error:
        _ = open_records(Workspace.around(), "local").signers
    assert error.value.code == "unreadable"
