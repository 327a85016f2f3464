"""What verification must not believe, must not hold in memory, and must not find: clean ledgers of each kind."""

from __future__ import annotations

import os
import shutil
import signal
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from mlgen.diagnostic import CannotAnswer
from mlgen.git import Signers, objects
from mlgen.ledger.records import imported
from mlgen.ledger.records.entry import path_of, to_bytes
from mlgen.ledger.verify import identity, sides, walk
from mlgen.ledger.verify.finding import MOST
from mlgen.ledger.verify.span import MOST_WRONG, Terms
from tests.ledger import records
from tests.ledger.tampering import GONE, SECONDS, Lab, Shown, by, entries, object_file, shown
from tests.ssh_keys import allowed


def test_replaced_objects_and_grafts_change_nothing(lab: Lab) -> None:
    entry = records.task("r1", "train")
    good = lab.tip
    bad = lab.move(lab.commit({entry.path: GONE}))
    lab.git("replace", bad, good)
    (lab.repository.git_dir / "info").mkdir(exist_ok=True)
    (lab.repository.git_dir / "info" / "grafts").write_text(f"{bad} {lab.commits[0]}\n")
    lab.git("commit-graph", "write", "--reachable")
    assert shown(lab) == [Shown("record-deleted", bad, entry.path)]


def test_objects_that_lie_elsewhere_are_as_good(lab: Lab) -> None:
    objects = lab.repository.git_dir / "objects"
    elsewhere = lab.folder / "objects"
    shutil.move(objects, elsewhere)
    (objects / "info").mkdir(parents=True)
    (objects / "pack").mkdir()
    (objects / "info" / "alternates").write_text(f"{elsewhere}\n")
    assert shown(lab) == []


@pytest.mark.parametrize(
    ("option", "said"), [("--depth=1", "last commits alone"), ("--filter=blob:none", "not the bytes of all files")]
)
def test_a_clone_that_left_something_out_cannot_be_verified(lab: Lab, option: str, said: str) -> None:
    shallow = lab.folder / "shallow.git"
    lab.git("config", "uploadpack.allowFilter", "true")
    lab.git("clone", "-q", "--bare", option, "--branch=ledger", f"file://{lab.repository.git_dir}", str(shallow))
    with pytest.raises(CannotAnswer, match=said):
        replace(lab, repository=replace(lab.repository, git_dir=shallow)).verify()


def test_a_bomb_of_folders_is_not_walked(lab: Lab) -> None:
    """A few KB that name 10**10 files, each at a path that a record could have; what comes after is judged as ever."""
    tree = lab.git("mktree", "-z", data=f"100644 blob {lab.blob(b'{}')}\ttrain-0.00000000.json\0".encode())
    names = {"run": "r{}.00000000", "env": "e{}", "day": "{:02}", "month": "{:02}", "year": "{:04}"}
    for name in names.values():
        lines = sorted(f"040000 tree {tree}\t{name.format(at)}\0" for at in range(100))
        tree = lab.git("mktree", "-z", data="".join(lines).encode())
    tree = lab.git("mktree", "-z", data=f"040000 tree {tree}\truns\0".encode())
    bomb = lab.move(lab.commit({}, parent=None, tree=tree))
    after = lab.move(lab.commit({}, tree=lab.git("mktree", "-z", data=b"")))
    found = lab.verify().found
    assert Shown("too-many-files", bomb) not in [Shown(one.code, one.commit) for one in found.kept]  # beyond MOST
    assert found.counts["too-many-files"] == 2  # taking them all away is as much
    assert MOST_WRONG < found.count < 4 * MOST_WRONG
    assert len(found.kept) == MOST
    assert lab.tip == after


def test_a_file_of_a_hundred_megabytes_is_not_held(lab: Lab) -> None:
    big = lab.folder / "big"
    with big.open("wb") as file:
        file.truncate(100 << 20)
    oid = lab.git("hash-object", "-w", str(big))
    entry = records.task("rx")
    tip = lab.move(lab.commit({entry.path: ("100644", oid)}, trailers=""))
    tracemalloc.start()
    try:
        assert Shown("bad-record", tip, entry.path) in shown(lab)
        assert tracemalloc.get_traced_memory()[1] < 40 << 20
    finally:
        tracemalloc.stop()


def test_a_commit_that_is_far_too_large(lab: Lab) -> None:
    tip = lab.move(lab.commit({}, trailers="x" * (20 << 20)))
    lab.land(*entries("r9"))
    assert shown(lab) == [Shown("bad-trailers", tip)]


def test_a_folder_that_is_not_read_hides_no_later_commit(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "LIMIT", 8 << 10)
    blob = lab.blob(b"x")
    bad = lab.move(lab.commit({f"runs/2026/11/30/local/{n:08}": ("100644", blob) for n in range(300)}))
    lab.land(*entries("r8"))
    entry = records.task("r1", "train")
    gone = lab.move(lab.commit({entry.path: GONE}))
    assert shown(lab) == [Shown("too-many-files", bad), Shown("record-deleted", gone, entry.path)]


def test_clean_ledgers_of_each_kind(tmp_path: Path) -> None:
    """False alarms are worse than none."""
    lab = Lab.make(tmp_path)
    lab.land(records.full(), records.task("r0"))
    lab.land(records.task("r2", "a", reconciled=True), records.run("r2", reconciled=True))
    lab.land(records.task("r2", "a", run_id=records.uid("other")), records.run("r2"))  # the pod's own came late
    lab.land(records.task("r2", "a", attempt=1), records.task("r2", "a", attempt=2))
    lab.land(records.task("r3", env="prod", ended_at="2025-02-01T00:00:00Z"))
    lab.seconds -= 80_000  # a clock that is most of a day late
    lab.land(*entries("r4"))
    data = imported.mark(FOREIGN, "local")
    other = imported.mark({**FOREIGN, "eventType": "START"}, "local")  # two events of one run
    lab.move(lab.commit({_path(data): data, _path(other): other}))
    lab.land(*(records.task("r5", f"t{n}") for n in range(30)))
    verified = lab.verify()
    assert verified.found.kept == []
    assert (verified.walked.commits, verified.walked.records) == (8, 44)
    assert verified.walked.odd_times == []


FOREIGN = {
    "eventTime": "2026-11-28T10:00:00Z",
    "eventType": "COMPLETE",
    "producer": "https://example.com/spark",
    "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
    "run": {"runId": records.uid("foreign")},
    "job": {"namespace": "spark", "name": "load"},
    "inputs": [],
    "outputs": [],
}


def _path(data: bytes) -> str:
    return path_of(data)


def test_times_that_cannot_be_are_told(lab: Lab) -> None:
    late = lab.move(lab.commit({}, seconds=SECONDS + 10 * 86_400))
    early = lab.move(lab.commit({}, seconds=SECONDS))
    verified = lab.verify()
    assert verified.found.kept == []
    assert verified.walked.odd_times == [(late, "in the future")]
    lab.seconds += 20 * 86_400
    assert lab.verify().walked.odd_times == [(early, "before an earlier commit's")]


def test_ids_that_look_alike_hide_nothing(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (identity, walk):
        monkeypatch.setattr(module, "MOST_LOOKED_INTO", 3)
    alike = (f"00000000-0000-{4 * n:04x}-0000-00000000000" for n in range(3))
    lab.land(*(records.task("rx", "t", attempt=n, run_id=f"{one}{n}") for one in alike for n in (0, 1)))
    assert shown(lab) == []
    copy = replace(records.task("r1", "train"), ended_at="2026-11-29T10:00:05Z", metrics={"auc": 0.99})
    lab.move(lab.commit({copy.path: to_bytes(copy)}))
    assert lab.verify().found.counts == {"twice-told": 1}


def killed(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_the_kernel_kills_is_done_without(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(40):
        lab.move(lab.commit({}))
    monkeypatch.setattr(sides, "ALONE", 1)
    monkeypatch.setattr(sides, "_judge", killed)
    assert lab.verify(jobs=2).walked == lab.verify().walked


def test_many_commits_side_by_side(tmp_path: Path, keys: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab.make(tmp_path)
    tip = None
    for n in range(60):
        entry = records.task(f"r{n}")
        tip = lab.commit({entry.path: to_bytes(entry)}, parent=tip)
    assert tip is not None
    lab.move(tip)
    bad = lab.move(lab.commit({"README": b""}))
    last = records.task("last")
    lab.move(lab.commit({last.path: to_bytes(last)}))
    monkeypatch.setattr(sides, "ALONE", 10)
    alone, together = lab.verify(), lab.verify(jobs=2)
    assert alone.walked == together.walked
    assert [(one.code, one.commit) for one in together.found.kept] == [("stray-file", bad)]
    assert together.walked.commits == 62
    object_file(lab, lab.git("rev-parse", f"{lab.tip}^{{tree}}")).unlink()
    assert [(one.code, one.commit) for one in lab.verify(jobs=2).found.kept][1:] == [("missing-bytes", lab.tip)]
    lab.signer = by(keys["bob"])
    lab.move(lab.commit({}, tree=lab.git("mktree", data=b"")))
    lab.terms = Terms(Signers(allowed(keys["bob"], "bob"), {"PATH": "/nonexistent"}))
    with pytest.raises(CannotAnswer) as fault:
        lab.verify(jobs=2)  # what a process of ours says comes through whole
    assert fault.value.code == "no-ssh-keygen"


def test_what_was_left_out_elsewhere_is_no_loss_here(lab: Lab) -> None:
    """The ledger of a repository whose code was cloned with --depth or --filter is whole all the same."""
    lab.git("config", "remote.origin.promisor", "true")
    other = lab.commit({"code": b"x"}, parent=None)
    child = lab.commit({"code": b"y"}, parent=other)
    lab.git("update-ref", "refs/heads/main", child)
    (lab.repository.git_dir / "shallow").write_text(f"{child}\n")
    assert shown(lab) == []
