"""Verification of a ledger: a table of attacks, each found, and clean ledgers of each kind, in which nothing is."""

from __future__ import annotations

import shutil
import tracemalloc
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mlgen.diagnostic import CannotAnswer
from mlgen.git import Signer
from mlgen.ledger import chain, imported
from mlgen.ledger.entry import path_of, to_bytes
from mlgen.ledger.verify import remembered, sides
from mlgen.ledger.verify.finding import KINDS, MOST
from mlgen.ledger.verify.remembered import Memory
from mlgen.ledger.verify.span import MOST_WRONG, Terms
from tests.ledger import records
from tests.ledger.tampering import ENVIRON, GONE, LINK, PROGRAM, REPOSITORY, SECONDS, Lab, entries, signers
from tests.ssh_keys import allowed, new_key

RECORD = "runs/2026/11/28/local/rx.00000000/train-0.00000000.json"


@dataclass(frozen=True)
class Shown:
    """What an attack must be found by: a finding's code, the commit and the file that show it ("" where none does)."""

    code: str
    commit: str = ""
    path: str = ""


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Lab]:
    """Four commits, of a run each; by the length of ids."""
    found = {}
    for form in ("sha1", "sha256"):
        lab = found[form] = Lab.make(tmp_path_factory.mktemp("base"), form)
        for run in ("r1", "r2", "r3", "r4"):
            lab.land(*entries(run))
    return found


@pytest.fixture
def lab(bases: dict[str, Lab], tmp_path: Path) -> Lab:
    return bases["sha1"].copy(tmp_path)


# Each does its deed, and says what shows it.


def chain_rewritten(lab: Lab) -> Shown:
    """A commit is left out, and all later ones are made again with their old trailers."""
    _, second, third, fourth = lab.commits
    lab.move(lab.again([third, fourth], lab.commits[0], right=False))
    assert second not in lab.commits
    return Shown("chain-broken", lab.commits[1])


def commits_reordered(lab: Lab) -> Shown:
    first, second, third, fourth = lab.commits
    lab.move(lab.again([third, second, fourth], first, right=False))
    return Shown("chain-broken", lab.commits[1])


def commit_inserted(lab: Lab) -> Shown:
    first, second, third, fourth = lab.commits
    extra = lab.commit({p: to_bytes(e) for e in entries("rx") for p in [e.path]}, parent=first)
    lab.move(lab.again([second, third, fourth], extra, right=False))
    return Shown("chain-broken", lab.commits[2])


def record_replaced_in_its_commit(lab: Lab) -> Shown:
    """The right path, other bytes: the commit that added the record is made again with a better metric."""
    entry = records.task("r4", "train")
    data = to_bytes(replace(entry, metrics={"auc": 0.99}))
    fourth = lab.commits[3]
    files = {path: data if path == entry.path else lab.file(fourth, path) for path in lab.paths(fourth)}
    own = chain.of_commit(lab.data(fourth))
    assert own is not None
    tip = lab.move(lab.commit(files, parent=lab.commits[2], trailers=own.trailers))
    return Shown("batch-mismatch", tip)


def record_added_by_amending(lab: Lab) -> Shown:
    fourth = lab.commits[3]
    entry = records.task("r4", "bribe")
    own = chain.of_commit(lab.data(fourth))
    assert own is not None
    files = {path: lab.file(fourth, path) for path in lab.paths(fourth)} | {entry.path: to_bytes(entry)}
    return Shown("batch-mismatch", lab.move(lab.commit(files, parent=lab.commits[2], trailers=own.trailers)))


def record_changed(lab: Lab) -> Shown:
    entry = records.task("r1", "train")
    tip = lab.move(lab.commit({entry.path: to_bytes(replace(entry, metrics={"auc": 0.99}))}))
    return Shown("record-changed", tip, entry.path)


def record_deleted(lab: Lab) -> Shown:
    entry = records.task("r1", "train")
    return Shown("record-deleted", lab.move(lab.commit({entry.path: GONE})), entry.path)


def record_moved(lab: Lab) -> Shown:
    entry = records.task("r1", "train")
    elsewhere = entry.path.replace("/28/", "/27/")
    tip = lab.move(lab.commit({entry.path: GONE, elsewhere: to_bytes(entry)}))
    assert Shown("wrong-path", tip, elsewhere) in shown(lab)
    return Shown("record-moved", tip, entry.path)


def folder_deleted(lab: Lab) -> Shown:
    path = lab.paths(lab.commits[0])[0]
    empty = lab.git("mktree", data=b"")
    return Shown("record-deleted", lab.move(lab.commit({}, tree=empty)), path)


def file_in_the_place_of_a_folder(lab: Lab) -> Shown:
    path = lab.paths(lab.commits[0])[0]
    tree = lab.git("mktree", data=f"100644 blob {lab.blob(b'{}')}\truns\n".encode())
    tip = lab.move(lab.commit({}, tree=tree))
    assert Shown("stray-file", tip, "runs") in shown(lab)
    return Shown("record-deleted", tip, path)


def mode_changed(lab: Lab) -> Shown:
    entry = records.task("r1", "train")
    oid = lab.git("rev-parse", f"{lab.tip}:{entry.path}")
    return Shown("record-changed", lab.move(lab.commit({entry.path: (PROGRAM, oid)})), entry.path)


def record_becomes_a_link(lab: Lab) -> Shown:
    entry = records.task("r1", "train")
    return Shown("record-changed", lab.move(lab.commit({entry.path: (LINK, lab.blob(b"/etc/passwd"))})), entry.path)


def record_at_a_wrong_path(lab: Lab) -> Shown:
    entry = records.task("rx", "train")
    path = entry.path.replace("rx.", "ry.")
    return Shown("wrong-path", lab.move(lab.commit({path: to_bytes(entry)})), path)


def record_of_another_environment(lab: Lab) -> Shown:
    entry = records.task("rx", "train", env="prod")
    return Shown("other-environment", lab.move(lab.commit({entry.path: to_bytes(entry)})), entry.path)


def record_copied_with_another_day(lab: Lab) -> Shown:
    """A second record of one execution, at the path that its own bytes have."""
    entry = replace(records.task("r1", "train"), ended_at="2026-11-29T10:00:05Z", metrics={"auc": 0.99})
    lab.move(lab.commit({entry.path: to_bytes(entry)}))
    return Shown("twice-told", "", entry.path)


def run_told_twice(lab: Lab) -> Shown:
    entry = replace(records.run("r1"), ended_at="2026-11-29T10:00:05Z")
    lab.move(lab.commit({entry.path: to_bytes(entry)}))
    return Shown("twice-told", "", entry.path)


def extra_file(lab: Lab) -> Shown:
    return Shown("stray-file", lab.move(lab.commit({"README.md": b"hello\n"})), "README.md")


def extra_file_below_runs(lab: Lab) -> Shown:
    path = "runs/2026/11/28/local/notes.txt"
    return Shown("stray-file", lab.move(lab.commit({path: b"hello\n"})), path)


def hidden_file(lab: Lab) -> Shown:
    """A name with a newline and an escape sequence."""
    path = "runs/2026/11/28/local/r\n\x1b[2J.00000000/train-0.00000000.json"
    blob = lab.blob(b"{}")
    tree = lab.git("mktree", "-z", data=f"100644 blob {blob}\ttrain-0.00000000.json\0".encode())
    for name in ("r\n\x1b[2J.00000000", "local", "28", "11", "2026"):
        tree = lab.git("mktree", "-z", data=f"040000 tree {tree}\t{name}\0".encode())
    tree = lab.git("mktree", "-z", data=f"040000 tree {tree}\truns\0".encode())
    return Shown("bad-record", lab.move(lab.commit({}, tree=tree)), path)


def symbolic_link(lab: Lab) -> Shown:
    return Shown("not-a-file", lab.move(lab.commit({RECORD: (LINK, lab.blob(b"/etc/passwd"))})), RECORD)


def repository_inside(lab: Lab) -> Shown:
    return Shown("not-a-file", lab.move(lab.commit({RECORD: (REPOSITORY, lab.tip)})), RECORD)


def program(lab: Lab) -> Shown:
    entry = records.task("rx", "train")
    tip = lab.move(lab.commit({entry.path: (PROGRAM, lab.blob(to_bytes(entry)))}))
    return Shown("not-a-file", tip, entry.path)


def no_trailers(lab: Lab) -> Shown:
    entry = records.task("rx", "train")
    return Shown("bad-trailers", lab.move(lab.commit({entry.path: to_bytes(entry)}, trailers="Signed-off-by: me")))


def trailers_twice(lab: Lab) -> Shown:
    entry = records.task("rx", "train")
    files = {entry.path: to_bytes(entry)}
    right = chain.link(files, chain.of_commit(lab.data(lab.tip))).trailers
    return Shown("bad-trailers", lab.move(lab.commit(files, trailers=right + f"Mlgen-Prev-Sha256: {'0' * 64}\n")))


def trailer_broken(lab: Lab) -> Shown:
    entry = records.task("rx", "train")
    files = {entry.path: to_bytes(entry)}
    right = chain.link(files, chain.of_commit(lab.data(lab.tip))).trailers
    return Shown("bad-trailers", lab.move(lab.commit(files, trailers=right.replace("Prev-Sha256: ", "Prev-Sha256: x"))))


def batch_of_other_files(lab: Lab) -> Shown:
    entry = records.task("rx", "train")
    before = chain.of_commit(lab.data(lab.tip))
    assert before is not None
    trailers = chain.Link("ab" * 32, before.next_prev).trailers
    return Shown("batch-mismatch", lab.move(lab.commit({entry.path: to_bytes(entry)}, trailers=trailers)))


def chain_begun_anew(lab: Lab) -> Shown:
    entry = records.task("rx", "train")
    files = {entry.path: to_bytes(entry)}
    return Shown("chain-broken", lab.move(lab.commit(files, trailers=chain.link(files, None).trailers)))


def merge(lab: Lab) -> Shown:
    entry = records.task("rx", "train")
    side = lab.commit({entry.path: to_bytes(entry)}, parent=lab.commits[1])
    return Shown("merge-commit", lab.move(lab.commit({}, parents=[side])))


def merge_that_changes_a_record(lab: Lab) -> Shown:
    entry = records.task("r1", "train")
    side = lab.commit({}, parent=lab.commits[1])
    tip = lab.move(lab.commit({entry.path: to_bytes(replace(entry, metrics={"auc": 1}))}, parents=[side]))
    return Shown("record-changed", tip, entry.path)


def second_root(lab: Lab) -> Shown:
    entry = records.task("rx", "train")
    root = lab.commit({entry.path: to_bytes(entry)}, parent=None, seconds=SECONDS + 1_000_000)
    lab.move(lab.commit({}, parents=[root]))
    return Shown("second-root", root)


def chain_that_does_not_begin(lab: Lab) -> Shown:
    """The first commit is cut off: the second is made a root."""
    first, second, third, fourth = lab.commits
    lab.move(lab.again([second, third, fourth], None, right=False))
    assert first not in lab.commits
    return Shown("chain-broken", lab.commits[0])


def no_json(lab: Lab) -> Shown:
    return Shown("bad-record", lab.move(lab.commit({RECORD: b"not json"})), RECORD)


def not_a_number(lab: Lab) -> Shown:
    data = to_bytes(records.task("rx", metrics={"auc": 0.5})).replace(b"0.5", b"NaN")
    path = records.task("rx").path
    return Shown("bad-record", lab.move(lab.commit({path: data})), path)


def key_twice(lab: Lab) -> Shown:
    """Two readers would see two states."""
    entry = records.task("rx")
    data = to_bytes(entry).replace(b'"eventType":"COMPLETE"', b'"eventType":"FAIL","eventType":"COMPLETE"')
    return Shown("bad-record", lab.move(lab.commit({entry.path: data})), entry.path)


def record_over_the_cap(lab: Lab) -> Shown:
    entry = records.task("rx")
    data = to_bytes(entry).replace(b'"cacheKey":null', b'"cacheKey":"%s"' % (b"x" * 65536))
    return Shown("bad-record", lab.move(lab.commit({entry.path: data})), entry.path)


def newer_format(lab: Lab) -> Shown:
    entry = records.task("rx")
    data = to_bytes(entry).replace(b"/facets/1/MlgenTaskRunFacet", b"/facets/9/MlgenTaskRunFacet")
    return Shown("ledger-too-new", lab.move(lab.commit({entry.path: data})), entry.path)


def bytes_lost(lab: Lab) -> Shown:
    entry = records.task("r4", "train")
    _object(lab, lab.git("rev-parse", f"{lab.tip}:{entry.path}")).unlink()
    return Shown("missing-bytes", lab.tip, entry.path)


def bytes_exchanged_in_the_repository(lab: Lab) -> Shown:
    """Whoever may write the repository's files puts other bytes under a blob's id."""
    entry = records.task("r4", "train")
    oid = lab.git("rev-parse", f"{lab.tip}:{entry.path}")
    _forge(lab, oid, "blob", to_bytes(replace(entry, metrics={"auc": 0.99})))
    return Shown("batch-mismatch", lab.tip)


def commit_exchanged_in_the_repository(lab: Lab) -> Shown:
    _forge(lab, lab.tip, "commit", lab.data(lab.tip).replace(b"records of", b"rekords of"))
    return Shown("forged-commit", lab.tip)


def folder_exchanged_in_the_repository(lab: Lab) -> Shown:
    """A folder without a record, under the id of one with it: git reads it without a word."""
    folder = records.task("r4", "train").path.rpartition("/")[0]
    oid = lab.git("rev-parse", f"{lab.tip}:{folder}")
    lines = lab.git("ls-tree", oid).splitlines()
    other = lab.git("mktree", data="\n".join(lines[1:]).encode())
    _forge(lab, oid, "tree", lab.repository.run("cat-file", "tree", other))
    return Shown("forged-commit", lab.tip)


def one_name_twice_in_a_folder(lab: Lab) -> Shown:
    """Of two files of one name, some readers see the first and some the last."""
    entry = records.task("rx")
    blobs = [lab.blob(to_bytes(one)) for one in (entry, replace(entry, metrics={"auc": 0.99}))]
    *folders, name = entry.path.split("/")
    data = b"".join(b"100644 %s\0%s" % (name.encode(), bytes.fromhex(blob)) for blob in blobs)
    tree = lab.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", data=data)
    for folder in reversed(folders):
        tree = lab.git("mktree", data=f"040000 tree {tree}\t{folder}\n".encode())
    return Shown("forged-commit", lab.move(lab.commit({}, tree=tree)))


ATTACKS = [
    folder_exchanged_in_the_repository,
    one_name_twice_in_a_folder,
    chain_rewritten,
    commits_reordered,
    commit_inserted,
    record_replaced_in_its_commit,
    record_added_by_amending,
    record_changed,
    record_deleted,
    record_moved,
    folder_deleted,
    file_in_the_place_of_a_folder,
    mode_changed,
    record_becomes_a_link,
    record_at_a_wrong_path,
    record_of_another_environment,
    record_copied_with_another_day,
    run_told_twice,
    extra_file,
    extra_file_below_runs,
    hidden_file,
    symbolic_link,
    repository_inside,
    program,
    no_trailers,
    trailers_twice,
    trailer_broken,
    batch_of_other_files,
    chain_begun_anew,
    merge,
    merge_that_changes_a_record,
    second_root,
    chain_that_does_not_begin,
    no_json,
    not_a_number,
    key_twice,
    record_over_the_cap,
    newer_format,
    bytes_lost,
    bytes_exchanged_in_the_repository,
    commit_exchanged_in_the_repository,
]


def _object(lab: Lab, oid: str) -> Path:
    return lab.repository.git_dir / "objects" / oid[:2] / oid[2:]


def _forge(lab: Lab, oid: str, kind: str, data: bytes) -> None:
    path = _loose(lab, oid)
    path.unlink()
    path.write_bytes(zlib.compress(b"%s %d\0%s" % (kind.encode(), len(data), data)))


def _loose(lab: Lab, oid: str) -> Path:
    """The file of an object, which a fold left in a pack or not."""
    path = _object(lab, oid)
    if not path.exists():
        packs = lab.repository.git_dir / "objects" / "pack"
        for pack in packs.glob("*.pack"):
            data = pack.read_bytes()
            for other in packs.glob(f"{pack.stem}.*"):
                other.unlink()
            lab.git("unpack-objects", "-q", data=data)
    return path


def shown(lab: Lab, memory: Memory | None = None) -> list[Shown]:
    return [Shown(one.code, one.commit, one.path) for one in lab.verify(memory).found.kept]


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_found(lab: Lab, attack: Callable[[Lab], Shown]) -> None:
    check(lab, attack)


IN_SHA256 = [chain_rewritten, record_replaced_in_its_commit, record_moved, folder_deleted, repository_inside, merge]


@pytest.mark.parametrize("attack", [*IN_SHA256, second_root, commit_exchanged_in_the_repository])
def test_an_attack_is_found_where_ids_are_longer(
    bases: dict[str, Lab], tmp_path: Path, attack: Callable[[Lab], Shown]
) -> None:
    check(bases["sha256"].copy(tmp_path), attack)


def check(lab: Lab, attack: Callable[[Lab], Shown]) -> None:
    lab.terms = Terms(elsewhere=frozenset({"prod"}))
    wanted = attack(lab)
    found = lab.verify().found
    assert wanted in [Shown(one.code, one.commit, one.path) for one in found.kept], found.kept
    assert found.counts.keys() <= KINDS.keys()


# A history that is consistent in itself: only who remembers another one finds it.


def dropped_and_all_made_again(lab: Lab) -> str:
    _, second, third, fourth = lab.commits
    lab.move(lab.again([third, fourth], lab.commits[0], right=True))
    return second


def changed_and_all_made_again(lab: Lab) -> str:
    first, second, third, fourth = lab.commits
    entry = records.task("r2", "train")
    files = {path: lab.file(second, path) for path in lab.paths(second)}
    files[entry.path] = to_bytes(replace(entry, metrics={"auc": 0.99}))
    lab.move(lab.again([third, fourth], lab.commit(files, parent=first), right=True))
    return second


def amended(lab: Lab) -> str:
    fourth = lab.commits[3]
    files = {path: lab.file(fourth, path) for path in lab.paths(fourth)}
    lab.move(lab.commit(files, parent=lab.commits[2]))
    return fourth


def rolled_back(lab: Lab) -> str:
    fourth = lab.commits[3]
    lab.move(lab.commits[2])
    return fourth


def begun_anew(lab: Lab) -> str:
    fourth = lab.commits[3]
    entry = records.task("r1", "train")
    lab.move(lab.commit({entry.path: to_bytes(entry)}, parent=None))
    return fourth


REWRITES = [dropped_and_all_made_again, changed_and_all_made_again, amended, rolled_back, begun_anew]


@pytest.mark.parametrize("rewrite", REWRITES)
def test_a_consistent_rewrite_is_found_by_who_remembers(lab: Lab, rewrite: Callable[[Lab], str]) -> None:
    before = lab.verify()
    assert before.memory is not None
    gone = rewrite(lab)
    assert shown(lab) == []  # by itself it cannot be seen
    lab.land(*entries("r5"))
    assert shown(lab) == []
    again = lab.verify(before.memory)
    assert [(one.code, one.commit) for one in again.found.kept] == [("ledger-rewritten", lab.tip)]
    assert before.tip in again.found.kept[0].message
    assert again.memory is None  # so that it is found the next time, too
    same = rewrite is amended  # the chain is of files: another time or message is none of its business
    for expect in (before.tip, gone, *([] if same else [before.chain])):
        assert [one.code for one in lab.verify(expect=expect).found.kept] == ["ledger-rewritten"]
    assert [one.code for one in lab.verify(since=gone).found.kept] == ["ledger-rewritten"]


def test_what_goes_on_is_as_expected(lab: Lab) -> None:
    chains = [(commit, lab.verify(expect=commit).found.count) for commit in lab.commits]
    assert [count for _, count in chains] == [0, 0, 0, 0]
    before = lab.verify()
    lab.land(*entries("r5"))
    lab.land(*entries("r6"))
    for memory in (None, before.memory):
        verified = lab.verify(memory, expect=before.chain)
        assert (verified.found.count, verified.walked.commits, verified.walked.records) == (0, 6, 18)
        assert verified.chain != before.chain
        assert lab.verify(memory, expect=verified.chain).found.count == 0


def test_a_walk_from_where_it_was_clean_judges_only_what_is_new(lab: Lab) -> None:
    memory = lab.verify().memory
    lab.land(*entries("r5"))
    entry = records.task("r1", "train")
    bad = lab.move(lab.commit({entry.path: GONE}))
    again = lab.verify(memory)
    assert (again.since, again.remembered) == (lab.commits[3], True)
    assert [(one.code, one.commit) for one in again.found.kept] == [("record-deleted", bad)]
    lab.land(*entries("r6"))
    for memory in (again.memory, lab.verify(again.memory).memory):
        assert [(one.code, one.commit) for one in lab.verify(memory).found.kept] == [("record-deleted", bad)]
    lab.move(lab.commits[3])  # back to what was clean, which is not where it was seen last
    assert [one.code for one in lab.verify(again.memory).found.kept] == ["ledger-rewritten"]


def test_a_copy_of_what_was_known_is_found_later(lab: Lab) -> None:
    memory = lab.verify().memory
    wanted = record_copied_with_another_day(lab)
    assert shown(lab, memory) == [wanted]


def test_since_a_commit_or_a_day(lab: Lab) -> None:
    entry = records.task("r1", "train")
    lab.move(lab.commit({entry.path: GONE}))
    lab.seconds += 60
    lab.land(*entries("r5"))
    assert lab.verify(since=lab.commits[4]).found.count == 0
    assert lab.verify(since=lab.commits[4]).walked.commits == 1
    assert lab.verify(since=lab.commits[3]).found.counts == {"record-deleted": 1}
    at = datetime.fromtimestamp(lab.seconds, UTC)
    by_day = lab.verify(since=at)
    assert (by_day.walked.commits, by_day.since) == (1, lab.commits[4])
    assert lab.verify(since=at - timedelta(days=1)).walked.commits == 6
    assert lab.verify(since=at + timedelta(days=1)).walked.commits == 0


def test_what_is_remembered_survives(lab: Lab, tmp_path: Path) -> None:
    folder = tmp_path / "memory"
    assert remembered.load(folder) is None
    memory = lab.verify().memory
    assert memory is not None
    remembered.save(folder, memory)
    lab.land(*entries("r5"))
    loaded = remembered.load(folder)
    assert loaded == memory
    again = lab.verify(loaded).memory
    assert again is not None
    remembered.save(folder, again)
    assert remembered.load(folder) == again
    assert len(list(folder.iterdir())) == 2
    next(folder.glob("keys-*")).unlink()
    lost = remembered.load(folder)
    assert lost == Memory(again.seen, None)
    assert lab.verify(lost).memory == again
    (folder / "state.json").write_text("{}")
    with pytest.raises(ValueError, match="version"):
        remembered.load(folder)


# What must not be believed, and what must not be found.


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
    assert shown(lab) == [Shown("bad-trailers", tip)]


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
    assert verified.walked.odd_times == [(late, "in the future"), (early, "before an earlier commit's")]


def test_many_commits_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    _object(lab, lab.git("rev-parse", f"{lab.tip}^{{tree}}")).unlink()
    with pytest.raises(CannotAnswer, match="git cannot use the repository") as fault:
        lab.verify(jobs=2)  # what a process of ours says comes through whole
    assert "is not there" in fault.value.why


# Signatures.


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("keys")
    return {name: new_key(folder / name) for name in ("alice", "bob", "mallory")}


@pytest.fixture
def signed(tmp_path: Path, keys: dict[str, Path]) -> Lab:
    """Two commits from before there were keys, two by alice, whose period ends then, and two by bob."""
    lab = Lab.make(tmp_path)
    lab.land(*entries("r1"))
    lab.land(*entries("r2"))
    for name, runs in (("alice", ("r3", "r4")), ("bob", ("r5", "r6"))):
        lab.signer = by(keys[name])
        for run in runs:
            lab.land(*entries(run))
        lab.seconds += 3 * 86_400
    ended = datetime.fromtimestamp(SECONDS + 86_400, UTC)
    text = allowed(keys["alice"], "alice", f'namespaces="git",valid-before="{ended:%Y%m%d%H%M%S}Z"')
    lab.terms = Terms(signers(text + allowed(keys["bob"], "bob")))
    return lab


def by(key: Path) -> Signer:
    return Signer(key, "the key", None, ENVIRON)


def test_signatures_and_the_part_that_has_none(signed: Lab) -> None:
    verified = signed.verify()
    assert verified.found.kept == []
    walked, commits = verified.walked, signed.commits
    assert walked.principals == {"alice": 2, "bob": 2}
    assert walked.signatures == {"unsigned": 2, "signed": 4}
    assert [(one.how, one.first, one.last, one.commits) for one in walked.stretches] == [
        ("unsigned", commits[0], commits[1], 2),
        ("signed", commits[2], commits[5], 4),
    ]
    unasked = replace(signed, terms=Terms()).verify()
    assert (unasked.found.kept, unasked.walked.signatures) == ([], {"unsigned": 2, "unchecked": 4})


def add(lab: Lab, **how: Any) -> str:
    entry = records.task("rx")
    return lab.move(lab.commit({entry.path: to_bytes(entry)}, **how))


def test_a_wrong_signer(signed: Lab, keys: dict[str, Path]) -> None:
    memory = signed.verify().memory
    signed.signer = by(keys["mallory"])
    assert shown(signed, memory) == []
    bad = add(signed)
    assert shown(signed) == shown(signed, memory) == [Shown("wrong-signature", bad)]


def test_a_key_whose_period_ended(signed: Lab, keys: dict[str, Path]) -> None:
    signed.signer = by(keys["alice"])
    assert shown(signed) == []
    assert Shown("wrong-signature", add(signed)) in shown(signed)


def test_a_key_whose_period_ended_and_a_clock_turned_back(signed: Lab, keys: dict[str, Path]) -> None:
    """A thief of an old key writes an old time: but commits before his say a later one."""
    signed.signer = by(keys["alice"])
    bad = add(signed, seconds=SECONDS + 600)
    verified = signed.verify()
    assert [(one.code, one.commit) for one in verified.found.kept] == [("wrong-signature", bad)]
    assert verified.walked.odd_times == [(bad, "before an earlier commit's")]


def test_the_signature_of_another_commit(signed: Lab) -> None:
    good = signed.data(signed.tip)
    signature = b"gpgsig " + good.partition(b"gpgsig ")[2].partition(b"\n\n")[0]
    plain = signed.data(add(signed, signed=False))
    bad = plain.replace(b"\n\n", b"\n" + signature + b"\n\n", 1)
    oid = signed.move(signed.git("hash-object", "-t", "commit", "-w", "--stdin", data=bad))
    assert shown(signed) == [Shown("wrong-signature", oid)]


def test_an_unsigned_commit_among_signed_ones(signed: Lab) -> None:
    bad = add(signed, signed=False)
    signed.land(*entries("r7"))
    assert shown(signed) == [Shown("unsigned", bad)]


def test_signatures_taken_away(signed: Lab) -> None:
    signed.move(signed.again(signed.commits, None, right=True))  # signed by bob, all of them
    assert shown(signed) == []
    signed.signer = None
    signed.move(signed.again(signed.commits, None, right=True))
    assert shown(signed) == [Shown("unsigned", signed.tip)]


def test_a_ledger_without_a_signature_where_keys_are_named(lab: Lab, keys: dict[str, Path]) -> None:
    lab.terms = Terms(signers(allowed(keys["bob"], "bob")))
    assert shown(lab) == [Shown("unsigned", lab.tip)]


def test_other_keys_are_asked_about_all_commits(signed: Lab, keys: dict[str, Path]) -> None:
    memory = signed.verify().memory
    signed.terms = Terms(signers(allowed(keys["alice"], "alice")))
    assert shown(signed, memory) == [Shown("wrong-signature", one) for one in signed.commits[4:]]


# Epochs: the one way in which a history is begun anew.


def begin(lab: Lab, *, without: str = "", after: str = "", prev: str = "", number: int = 1, **how: Any) -> str:
    """An epoch of all records but one; of those of the branch, after its tip."""
    tip = lab.tip
    link = chain.of_commit(lab.data(tip))
    assert link is not None
    paths = lab.git("ls-tree", "-r", "--name-only", tip).splitlines()
    files = {path: lab.file(tip, path) for path in paths if path != without}
    batch = chain.link(files, None).batch
    head = f"Mlgen-Epoch: {number}\nMlgen-Prev-Tip: {after or tip}\n"
    trailers = head + chain.Link(batch, prev or link.next_prev).trailers
    return lab.move(lab.commit(files, parent=None, trailers=trailers, **how))


def test_an_epoch_is_accepted_and_the_chain_goes_on(lab: Lab) -> None:
    before = lab.verify()
    gone = records.task("r2", "train").path
    root = begin(lab, without=gone)
    lab.land(*entries("r5"))
    for memory in (before.memory, None):
        verified = lab.verify(memory)
        assert (verified.found.kept, verified.walked.records, verified.walked.commits) == ([], 14, 2)
        assert verified.epoch is not None
        assert (verified.epoch.number, verified.epoch.prev_tip, verified.walked.root) == (1, before.tip, root)
        assert lab.verify(verified.memory).found.kept == []
    assert lab.verify(expect=before.chain).found.kept == []  # an auditor's value stands in the epoch's root
    assert shown(lab, lab.verify(before.memory).memory) == []


def test_an_epoch_whose_last_tip_was_not_seen(lab: Lab) -> None:
    memory = lab.verify().memory
    lab.land(*entries("r5"))
    begin(lab)
    assert shown(lab, memory) == []  # the tip before it is still here, and goes on from what was seen
    lab.git("reflog", "expire", "--expire=now", "--all")
    lab.git("gc", "-q", "--prune=now")
    assert shown(lab, memory) == [Shown("ledger-rewritten", lab.tip)]  # now nobody here can say so


@pytest.mark.parametrize(
    ("after", "prev", "code"), [("ab" * 20, "", "ledger-rewritten"), ("", "ab" * 32, "chain-broken")]
)
def test_what_only_says_that_it_is_an_epoch(lab: Lab, after: str, prev: str, code: str) -> None:
    memory = lab.verify().memory
    begin(lab, after=after, prev=prev)
    found = lab.verify(memory)
    assert [one.code for one in found.found.kept] == [code]
    assert found.memory is None


def test_an_epoch_must_be_signed_where_keys_are_named(signed: Lab, keys: dict[str, Path]) -> None:
    memory = signed.verify().memory
    commits = signed.tip
    begin(signed)
    assert shown(signed, memory) == []
    signed.move(commits)
    root = begin(signed, signed=False)
    assert Shown("unsigned", root) in shown(signed, memory)
    signed.move(commits)
    signed.signer = by(keys["mallory"])
    root = begin(signed)
    assert Shown("wrong-signature", root) in shown(signed, memory)


def test_what_was_left_out_elsewhere_is_no_loss_here(lab: Lab) -> None:
    """The ledger of a repository whose code was cloned with --depth or --filter is whole all the same."""
    lab.git("config", "remote.origin.promisor", "true")
    other = lab.commit({"code": b"x"}, parent=None)
    child = lab.commit({"code": b"y"}, parent=other)
    lab.git("update-ref", "refs/heads/main", child)
    (lab.repository.git_dir / "shallow").write_text(f"{child}\n")
    assert shown(lab) == []
