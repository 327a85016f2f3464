"""`mlgen ledger epoch`: records are erased by a history that begins anew, and whoever knew the old one goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from mlgen import git
from mlgen.cli.main import run as mlgen
from mlgen.ledger import chain, epoch
from mlgen.ledger.folding.fold import fold
from mlgen.ledger.folding.spool import DEAD, Spool
from mlgen.ledger.records.entry import to_bytes
from mlgen.store import Folder
from tests import git_host
from tests.git_host import GitHost, secret
from tests.ledger import records
from tests.ssh_keys import allowed, new_key

ROOT = Path(__file__).parents[2]
REF = git.branch_ref("ledger")
Capture = pytest.CaptureFixture[str]
MODEL = "artifacts/churn/one/model"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[GitHost]:
    with git_host.serve(tmp_path / "host") as host:
        host.repository("l")
        yield host


@pytest.fixture
def where() -> str:
    return "elsewhere"


@pytest.fixture
def ledger(where: str, tmp_path: Path, host: GitHost, monkeypatch: pytest.MonkeyPatch) -> git.Repository:
    """The ledger of a project outside Git, the current folder: the runs one, two, which read one's model, and three."""
    root = tmp_path / "project"
    root.mkdir()
    about = {"url": f"{host.url}/l.git"} if where == "elsewhere" else {}
    environments = {"local": {"artifacts": "artifacts", "ledger": about}}
    (root / "mlgen.yaml").write_text(json.dumps({"version": 1, "environments": environments}))
    monkeypatch.chdir(root)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MLGEN_LEDGER_SECRET", str(secret(tmp_path / "secret")))
    made = replace(records.artifact("model", MODEL, kind="model"), digest="sha256:" + "5e" * 32)
    there = git.init_bare(root / ".mlgen" / "ledger.git" if where == "here" else host.root / "l.git")
    land(there, records.task("one", outputs=(made,)), records.run("one"))
    land(there, records.task("two", inputs=(made,)), records.task("three"))
    return there


def land(ledger: git.Repository, *entries: Any) -> None:
    """Let records land as another machine's fold does it."""
    with TemporaryDirectory() as elsewhere:
        spool = Spool(Folder(Path(elsewhere), "elsewhere"))
        for entry in entries:
            spool.put(entry)
        fold(spool, ledger, "ledger", now=datetime.now(UTC))


def put(*entries: Any) -> None:
    for entry in entries:
        Spool(Folder(Path("artifacts"), "artifacts")).put(entry)


def answer(capsys: Capture, *arguments: str, code: int = 0) -> Any:
    capsys.readouterr()
    assert mlgen([*arguments, "--format", "json"]) == code
    return json.loads(capsys.readouterr().out)


def history(ledger: git.Repository) -> list[str]:
    return ledger.run("rev-list", "--reverse", "ledger").decode().split()


def paths(ledger: git.Repository) -> set[str]:
    tip = ledger.tip(REF)
    assert tip is not None
    return {file.path for file in ledger.tree_files(tip, "")}


def link(ledger: git.Repository, commit: str) -> chain.Link:
    found = chain.of_commit(ledger.run("cat-file", "commit", commit))
    assert found is not None
    return found


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_without_yes_it_only_says_what_would_go(ledger: git.Repository, capsys: Capture) -> None:
    before = history(ledger)
    said = answer(capsys, "ledger", "epoch", "--drop", "one")
    assert (said["epoch"], said["previous"], said["ledger"], said["kept"]) == (1, before[-1], None, 2)
    assert sorted(said["dropped"]) == sorted([records.task("one").path, records.run("one").path])
    assert said["referring"] == [records.task("two").path]
    assert (said["artifacts"], said["shared"]) == ([], [MODEL]), "two was made with it"
    assert history(ledger) == before
    assert mlgen(["ledger", "epoch", "--drop", records.task("one").path]) == 0
    text = capsys.readouterr().out
    assert f"would go  {records.task('one').path}\n" in text
    assert f"stays, of the same runs  {records.run('one').path}\n" in text
    assert f"artifact, which stays, and that kept records read  {MODEL}\n" in text
    assert "nothing was done; --yes does it\n" in text


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_the_history_begins_anew_and_goes_on(
    ledger: git.Repository, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(answer(capsys, "runs", "list")["runs"]) == 3  # a reader that knows the old history
    old, gone = history(ledger), records.task("one").path
    blob = ledger.run("rev-parse", f"{old[-1]}:{gone}").decode().strip()
    key = new_key(tmp_path / "key")
    monkeypatch.setenv("MLGEN_LEDGER_SIGNING_KEY", str(key))
    said = answer(capsys, "ledger", "epoch", "--drop", "one", "--because", "asked for by law", "--yes")
    assert history(ledger) == [said["ledger"]]
    root = ledger.run("cat-file", "commit", said["ledger"])
    assert epoch.of_commit(root) == epoch.Epoch(1, old[-1], link(ledger, old[-1]).next_prev)
    assert b"asked for by law" in root
    assert b"runs/" not in root, "a path may name a person"
    assert git.Signers(allowed(key, "keeper")).check(root, datetime.now(UTC)).principal == "keeper"
    kept = paths(ledger)
    assert kept == {records.task("two").path, records.task("three").path}
    with ledger.reader() as reader:
        files = reader.files(said["ledger"], kept)
    assert chain.link(files, None).batch == link(ledger, said["ledger"]).batch
    # Folds go on, and so does the chain; readers that knew the old history see it.
    put(records.task("four"))
    assert mlgen(["ledger", "fold"]) == 0
    first, second = history(ledger)
    assert (first, link(ledger, second).prev) == (said["ledger"], link(ledger, first).next_prev)
    assert {run["run"] for run in answer(capsys, "runs", "list")["runs"]} == {"two", "three", "four"}
    assert mlgen(["runs", "show", "one"]) == 2
    # A fresh clone has nothing of it.
    clone = tmp_path / "clone.git"
    subprocess.run(["git", "clone", "-q", "--bare", f"file://{ledger.git_dir}", clone], check=True)
    assert subprocess.run(["git", "-C", clone, "cat-file", "-e", blob], check=False, capture_output=True).returncode
    assert ledger.run("fsck", "--strict", "--no-dangling") == b""


def test_a_second_epoch_counts_on(ledger: git.Repository, capsys: Capture) -> None:
    first = answer(capsys, "ledger", "epoch", "--drop", "one", "--yes")
    land(ledger, records.task("four"))
    tip = history(ledger)[-1]
    second = answer(capsys, "ledger", "epoch", "--drop", records.task("two").path.rpartition("/")[0], "--yes")
    assert (first["epoch"], second["epoch"], second["previous"]) == (1, 2, tip)
    assert paths(ledger) == {records.task("three").path, records.task("four").path}
    third = answer(capsys, "ledger", "epoch", "--drop", "runs/", "--yes")
    assert (third["epoch"], third["kept"], paths(ledger)) == (3, 0, set())


def test_what_waits_of_it_does_not_bring_it_back(ledger: git.Repository, capsys: Capture) -> None:
    other = records.task("one", reason="Other")
    put(records.task("one"), other, records.task("four"))
    spool = Spool(Folder(Path("artifacts"), "artifacts"))
    dead = next(key for key in spool.waiting() if (spool.get(key) or b"").count(b"Other"))
    spool.bury(dead, spool.get(dead) or b"", "ledger-conflict", "the path is taken")
    assert len(answer(capsys, "ledger", "epoch", "--drop", "one")["waiting"]) == 2
    assert len(spool.waiting()) == 2
    answer(capsys, "ledger", "epoch", "--drop", "one", "--yes")
    assert (len(spool.waiting()), spool.store.keys(DEAD)) == (1, [])
    assert mlgen(["ledger", "fold"]) == 0
    assert records.task("four").path in paths(ledger)
    assert not [path for path in paths(ledger) if "/one." in path]


def test_what_never_landed_is_forgotten_without_an_epoch(ledger: git.Repository, capsys: Capture) -> None:
    before = history(ledger)
    put(records.task("four"))
    said = answer(capsys, "ledger", "epoch", "--drop", "four", "--yes")
    assert (said["dropped"], len(said["waiting"]), said["ledger"]) == ([], 1, before[-1])
    assert history(ledger) == before
    assert Spool(Folder(Path("artifacts"), "artifacts")).waiting() == []


STRAYS = [
    "README",
    "runs/2026/13/99/x/y/z.json",
    "runs/2026/11/29/local/we ird/a.json",
    'runs/"quoted" \\ and\n\ttwo lines',
    "runs/ünïcode/雪.json",
    "runs/not utf-8 \udcff",
    "a/b/c/d/e/f/g/h/i/j",
]


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_what_is_no_record_goes_whatever_its_name(
    ledger: git.Repository, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = paths(ledger)
    index = {**os.environ, "GIT_INDEX_FILE": str(tmp_path / "index"), "GIT_DIR": str(ledger.git_dir)}
    subprocess.run(["git", "read-tree", REF], env=index, check=True)
    large = ledger.run("hash-object", "-w", "--stdin", data=b"x" * (git.objects.LIMIT + 1)).decode().strip()
    told = [f"100644 {large}\t{path}\0" for path in STRAYS] + [f"160000 {'ab' * 20}\truns/another\0"]
    lines = "".join(told).encode(errors="surrogateescape")
    subprocess.run(["git", "update-index", "-z", "--index-info"], env=index, input=lines, check=True)
    tree = subprocess.run(["git", "write-tree", "--missing-ok"], env=index, check=True, capture_output=True)
    commit = ["commit-tree", "-p", REF, "-m", "strays", tree.stdout.decode().strip()]
    author = [f"{who}={what}" for who, what in [("user.name", "a"), ("user.email", "a@b")]]
    made = ledger.run(*(part for one in author for part in ("-c", one)), *commit).decode().strip()
    ledger.run("update-ref", REF, made)
    drops = [part for path in [*STRAYS, "runs/another"] for part in ("--drop", path)]
    said = answer(capfd, "ledger", "epoch", *drops, "--yes")
    assert (len(said["dropped"]), said["kept"]) == (len(STRAYS) + 1, len(before))
    assert paths(ledger) == before
    assert "runs/another" not in ledger.run("ls-tree", "-r", "--name-only", REF).decode()
    assert answer(capfd, "ledger", "verify")["findings"] == []


def test_what_was_wrong_with_commits_alone_is_left_behind(ledger: git.Repository, capsys: Capture) -> None:
    files, tip = paths(ledger), history(ledger)[-1]
    entry = records.task("four")
    bad = ledger.commit({entry.path: to_bytes(entry)}, parent=tip, message="by hand", seconds=0)
    ledger.move_ref(REF, bad, old=tip)
    assert {one["code"] for one in answer(capsys, "ledger", "verify", code=1)["findings"]} == {"bad-trailers"}
    assert answer(capsys, "ledger", "epoch")["kept"] == len(files) + 1
    assert history(ledger)[-1] == bad
    said = answer(capsys, "ledger", "epoch", "--yes")
    assert (said["dropped"], said["previous"], history(ledger)) == ([], bad, [said["ledger"]])
    assert paths(ledger) == {*files, entry.path}
    # Nobody signed it: that is told once. What was clean before it is no beginning any more.
    assert answer(capsys, "ledger", "verify", code=1)["counts"] == {"unsigned-epoch": 1}
    assert answer(capsys, "ledger", "verify")["findings"] == []


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize(
    ("drop", "code"),
    [("none", "unknown-run"), ("runs/1999", "no-such-file"), ("runs/2026/11/28/local/tw", "no-such-file")],
)
def test_what_is_not_there(capsys: Capture, drop: str, code: str) -> None:
    capsys.readouterr()
    assert mlgen(["ledger", "epoch", "--drop", "three", "--drop", drop, "--yes"]) == 2
    assert f"error[{code}]" in capsys.readouterr().err


def test_several_runs_of_a_name(ledger: git.Repository, capsys: Capture) -> None:
    twin = records.task("three", run_uid=records.uid("twin"), run_id=records.uid("twin task"))
    land(ledger, twin)
    capsys.readouterr()
    assert mlgen(["ledger", "epoch", "--drop", "three", "--yes"]) == 2
    said = capsys.readouterr().err
    assert "error[ambiguous-run]" in said
    assert f"three.{records.uid('twin')[:8]}" in said
    answer(capsys, "ledger", "epoch", "--drop", records.uid("twin"), "--yes")
    assert records.task("three").path in paths(ledger)
    assert twin.path not in paths(ledger)


@pytest.mark.parametrize("where", ["here"])
def test_a_branch_that_is_checked_out_stays(ledger: git.Repository, tmp_path: Path, capsys: Capture) -> None:
    before = history(ledger)
    ledger.run("worktree", "add", "--quiet", str(tmp_path / "tree"), "ledger")
    assert mlgen(["ledger", "epoch", "--drop", "one", "--yes"]) == 3
    assert "error[ledger-checked-out]" in capsys.readouterr().err
    assert history(ledger) == before


def test_an_empty_ledger(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlgen.yaml").write_text("version: 1\n")
    assert mlgen(["ledger", "epoch", "--drop", "one"]) == 2
    assert "error[unknown-run]" in capsys.readouterr().err


def test_a_reason_is_one_line(capsys: Capture) -> None:
    assert mlgen(["ledger", "epoch", "--drop", "one", "--because", "a\n\nMlgen-Epoch: 7"]) == 2
    assert "error[bad-option]" in capsys.readouterr().err


def test_a_fold_meanwhile_is_not_lost(ledger: git.Repository, host: GitHost, capsys: Capture) -> None:
    """Records of others land between the look and the push, also one of the run that is to go."""
    late = iter([records.task("four"), records.task("one", "card"), records.task("five")])

    def meanwhile(path: str) -> str:
        entry = next(late, None) if path.endswith("/git-receive-pack") else None
        if entry is not None:
            land(ledger, entry)
        return ""

    host.fault = meanwhile
    said = answer(capsys, "ledger", "epoch", "--drop", "one", "--yes")
    assert records.task("one", "card").path in said["dropped"]
    assert paths(ledger) == {records.task(name).path for name in ("two", "three", "four", "five")}
    with ledger.reader() as reader:
        files = reader.files(said["ledger"], paths(ledger))
    assert chain.link(files, None).batch == link(ledger, said["ledger"]).batch
    assert epoch.of_commit(ledger.run("cat-file", "commit", said["ledger"])) is not None


POINTS = {
    "looking": (2, "/git-upload-pack", "drop"),
    "before the push": (1, "/info/refs?service=git-receive-pack", "drop"),
    "push under way": (1, "/git-receive-pack", "drop"),
    "push landed": (1, "/git-receive-pack", "late"),
}


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_a_point(ledger: git.Repository, host: GitHost, capsys: Capture, point: str) -> None:
    """Nothing has happened, or all of it; the same command does the rest."""
    before, seen = history(ledger), 0
    number, end, fate = POINTS[point]
    command = [sys.executable, "-m", "mlgen", "ledger", "epoch", "--drop", "one", "--yes"]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT / "generator")}) as one:

        def kill(path: str) -> str:
            nonlocal seen
            seen += path.endswith(end)
            if seen < number:
                return ""
            one.kill()
            return fate if path.endswith(end) else "drop"

        host.fault = kill
        assert one.wait(timeout=60) == -signal.SIGKILL
    host.fault = git_host.no_fault
    landed = point == "push landed"
    if not landed:
        assert history(ledger) == before
    again = ["ledger", "epoch", "--drop", "one", "--yes"]
    assert mlgen(again) == (2 if landed else 0)
    assert "epoch 1" in "".join(capsys.readouterr()) or landed
    assert paths(ledger) == {records.task("two").path, records.task("three").path}
    assert len(history(ledger)) == 1


def test_another_history_is_told_to_readers(ledger: git.Repository, tmp_path: Path, capsys: Capture) -> None:
    answer(capsys, "runs", "list")
    land(ledger, records.task("four"))
    known, tip = history(ledger)[-2:]
    ledger.move_ref(REF, ledger.commit({"runs/x.json": b"x"}, parent=None, message="x", seconds=0), old=tip)
    capsys.readouterr()
    assert mlgen(["runs", "list"]) == 3
    said = capsys.readouterr().err
    assert "error[ledger-rewritten]" in said
    assert known in said
    assert str(tmp_path / "cache") in said


def test_who_begins_an_epoch_verifies_it(ledger: git.Repository, capsys: Capture) -> None:
    assert answer(capsys, "ledger", "verify")["findings"] == []
    land(ledger, records.task("four"))
    land(ledger, records.task("five"))
    answer(capsys, "ledger", "epoch", "--drop", "one", "--yes")
    assert answer(capsys, "ledger", "verify", code=1)["counts"] == {"unsigned-epoch": 1}
    assert answer(capsys, "ledger", "verify")["findings"] == []


@pytest.mark.parametrize("where", ["here", "elsewhere"])
@pytest.mark.parametrize("then", ["nothing", "a fold"])
def test_readers_take_no_epoch_that_changes_a_record(ledger: git.Repository, capsys: Capture, then: str) -> None:
    answer(capsys, "runs", "list")
    old, entry = history(ledger)[-1], records.task("two", metrics={"auc": 0.999})
    with ledger.reader() as reader:
        files = {**reader.files(old, paths(ledger)), entry.path: to_bytes(entry)}
    about = epoch.Epoch(1, old, link(ledger, old).next_prev)
    text = epoch.message(about, chain.link(files, None).batch, dropped=0)
    ledger.move_ref(REF, ledger.commit(files, parent=None, message=text, seconds=2_000_000_000), old=old)
    if then == "a fold":
        land(ledger, records.task("four"))
    capsys.readouterr()
    assert mlgen(["runs", "list"]) == 3
    said = capsys.readouterr().err
    assert "error[ledger-rewritten]" in said
    assert f"does not only leave out: {entry.path}" in said


def test_a_reader_that_is_behind_takes_a_signed_epoch(
    ledger: git.Repository, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(capsys, "runs", "list")
    land(ledger, records.task("four"))
    key, other = new_key(tmp_path / "key"), new_key(tmp_path / "other")
    monkeypatch.setenv("MLGEN_LEDGER_SIGNING_KEY", str(key))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache of the keeper"))
    answer(capsys, "ledger", "epoch", "--drop", "one", "--yes")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert mlgen(["runs", "list"]) == 3
    project = json.loads(Path("mlgen.yaml").read_text())
    project["environments"]["local"]["ledger"]["signers"] = "signers"
    Path("mlgen.yaml").write_text(json.dumps(project))
    Path("signers").write_text(allowed(other, "other"))
    assert mlgen(["runs", "list"]) == 3
    Path("signers").write_text(allowed(key, "keeper"))
    assert {run["run"] for run in answer(capsys, "runs", "list")["runs"]} == {"two", "three", "four"}
    assert len(history(ledger)) == 1
