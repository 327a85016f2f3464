"""A table of attacks on a ledger, each done with Git's own plumbing, and each found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mlgen.ledger import chain
from mlgen.ledger.records.entry import to_bytes
from mlgen.ledger.verify.finding import KINDS
from mlgen.ledger.verify.span import Terms
from tests.ledger import records
from tests.ledger.tampering import (
    GONE,
    LINK,
    PROGRAM,
    REPOSITORY,
    SECONDS,
    Lab,
    Shown,
    entries,
    forge,
    object_file,
    shown,
)

RECORD = "runs/2026/11/28/local/rx.00000000/train-0.00000000.json"


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
    object_file(lab, lab.git("rev-parse", f"{lab.tip}:{entry.path}")).unlink()
    return Shown("missing-bytes", lab.tip, entry.path)


def bytes_exchanged_in_the_repository(lab: Lab) -> Shown:
    """Whoever may write the repository's files puts other bytes under a blob's id."""
    entry = records.task("r4", "train")
    oid = lab.git("rev-parse", f"{lab.tip}:{entry.path}")
    forge(lab, oid, "blob", to_bytes(replace(entry, metrics={"auc": 0.99})))
    return Shown("batch-mismatch", lab.tip)


def commit_exchanged_in_the_repository(lab: Lab) -> Shown:
    forge(lab, lab.tip, "commit", lab.data(lab.tip).replace(b"records of", b"rekords of"))
    return Shown("forged-commit", lab.tip)


def folder_exchanged_in_the_repository(lab: Lab) -> Shown:
    """A folder without a record, under the id of one with it: git reads it without a word."""
    folder = records.task("r4", "train").path.rpartition("/")[0]
    oid = lab.git("rev-parse", f"{lab.tip}:{folder}")
    lines = lab.git("ls-tree", oid).splitlines()
    other = lab.git("mktree", data="\n".join(lines[1:]).encode())
    forge(lab, oid, "tree", lab.repository.run("cat-file", "tree", other))
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
