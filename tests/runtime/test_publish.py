"""What is published is what was planned, once, whatever happens meanwhile."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest

from mlgen.canonical import digest_bytes, folder_digest
from mlgen.diagnostic import CannotAnswer
from mlgen.plan.model import Code, Input, Plan, Script, Size, Task
from mlgen.runtime import bundle
from mlgen.runtime.protocol import TaskDocument, Tree
from mlgen.runtime.publish import Item, Published, given, publish, wanted
from mlgen.runtime.stage_in import prepare
from mlgen.store import BadArtifact, Folder, Store, measure
from mlgen.values import Type
from mlgen.worktree import Worktree

CODE = {"train.py": b"print(1)\n", "lib/a.py": b"a = 1\n"}
CODE_DIGEST = folder_digest({name: hashlib.sha256(data).hexdigest() for name, data in CODE.items()})
LABELS = b"id,label\n1,0\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    for name, data in CODE.items():
        (root / "src" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "src" / name).write_bytes(data)
    (root / "data" / "images").mkdir(parents=True)
    (root / "data" / "labels.csv").write_bytes(LABELS)
    for name in ("1.png", "2.png"):
        (root / "data" / "images" / name).write_bytes(name.encode())
    return root


@pytest.fixture
def store(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "store", "s3://b/p")


def a_task(name: str, code: Code | None) -> Task:
    memory = Size("1Gi", 1 << 30)
    return Task(
        name, Script("true\n"), (), (), (), (), (), (), None, code, 1000, memory, None, None, None, 60, 0, (), ()
    )  # fmt: skip


def a_plan(project: Path) -> Plan:
    code = Code(("src",), CODE_DIGEST)
    inputs = (
        Input("images", Type.DIRECTORY, "data/images", measure(project / "data" / "images").digest),
        Input("labels", Type.DATASET, "data/labels.csv", digest_bytes(LABELS)),
        Input("raw", Type.DATASET, "s3://ml-data/raw.csv", None),
        Input("told", Type.DATASET, None, None),
    )
    tasks = (a_task("prepare", code), a_task("train", code), a_task("plain", None))
    return Plan("churn", "", "", (), (), inputs, tasks, (), ())


def send(
    items: Sequence[Item], project: Path, store: Store, scratch: Path, on_missing: Callable[[Sequence[Item]], object]
) -> Published:
    scratch.mkdir()
    return publish(items, store=store, files=Worktree(project), scratch=scratch, on_missing=on_missing)


def test_each_content_is_wanted_once(project: Path) -> None:
    plan = a_plan(project)
    found = wanted([plan, replace(plan, name="other")])
    assert [(item.kind, item.paths) for item in found] == [
        ("code", ("src",)),
        ("input", ("data/images",)),
        ("input", ("data/labels.csv",)),
    ]


def test_it_is_uploaded_once_and_found_by_stage_in(project: Path, store: Folder, tmp_path: Path) -> None:
    items = wanted([a_plan(project)])
    told: list[Sequence[Item]] = []
    first = send(items, project, store, tmp_path / "scratch", told.append)
    assert (first.uploaded, first.present) == (tuple(items), ())
    second = send(items, project, store, tmp_path / "again", told.append)
    assert (second.uploaded, second.present) == ((), tuple(items))
    assert told == [items]

    tree = Tree(tmp_path / "tree", tmp_path / "state")
    tree.root.mkdir()
    tree.state.mkdir()
    prepare(tree)
    document = TaskDocument("churn", "prod", "train", (), (), (), "s3://b/p", CODE_DIGEST, None, None, 60)
    bundle.stage_code(document, tree, store)
    assert (tree.work / "lib" / "a.py").read_bytes() == CODE["lib/a.py"]
    for item in items[1:]:
        store.get_artifact(item.key, tmp_path / "got" if item.paths[0].endswith("csv") else tmp_path / "all",
                           digest=item.digest)  # fmt: skip
    assert (tmp_path / "got").read_bytes() == LABELS
    assert sorted(os.listdir(tmp_path / "all")) == ["1.png", "2.png"]


@pytest.mark.parametrize("edit", ["change", "cut", "remove", "add"])
def test_code_that_is_edited_meanwhile_is_not_uploaded(edit: str, project: Path, store: Folder, tmp_path: Path) -> None:
    items = [Item("code", ("src",), CODE_DIGEST)]
    files = Worktree(project)
    files.files("src")
    edited = project / "src" / "train.py"
    match edit:
        case "change":
            edited.write_bytes(b"print(2)\n")
        case "cut":
            edited.write_bytes(b"")
        case "remove":
            edited.unlink()
        case "add":
            files = Worktree(project)
            (project / "src" / "new.py").write_bytes(b"")
    (tmp_path / "scratch").mkdir()
    with pytest.raises(CannotAnswer, match="src changed while") as caught:
        publish(items, store=store, files=files, scratch=tmp_path / "scratch")
    assert caught.value.code == "code-changed"
    assert not store.has(items[0].key)


def test_an_archive_of_a_file_that_shrinks_is_no_archive(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"a": project / "src" / "train.py"}
    real = os.fstat

    def longer(descriptor: int) -> os.stat_result:
        return os.stat_result([*real(descriptor)[:6], 1000, *real(descriptor)[7:10]])

    monkeypatch.setattr(os, "fstat", longer)
    with (project / "a.tar").open("wb") as archive, pytest.raises(OSError, match="unexpected end") as caught:
        bundle.pack(files, archive)
    assert caught.value.errno is None


def test_a_full_disk_is_no_edit(project: Path, store: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_files: object, _archive: BinaryIO) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(bundle, "pack", full)
    with pytest.raises(OSError, match="No space"):
        send([Item("code", ("src",), CODE_DIGEST)], project, store, tmp_path / "scratch", print)


@pytest.mark.parametrize(
    ("path", "edited"), [("data/labels.csv", "data/labels.csv"), ("data/images", "data/images/1.png")]
)
def test_an_input_that_is_edited_meanwhile_is_not_uploaded(
    path: str, edited: str, project: Path, store: Folder, tmp_path: Path
) -> None:
    item = Item("input", (path,), measure(project / path).digest)
    (project / edited).write_bytes(b"other")
    with pytest.raises(CannotAnswer, match="has the digest") as caught:
        send([item], project, store, tmp_path / "scratch", print)
    assert caught.value.code == "other-bytes"
    assert not store.has(item.key)


def test_what_is_given_twice_is_uploaded_once(project: Path, store: Folder, tmp_path: Path) -> None:
    pinned = Item("input", ("data/labels.csv",), digest_bytes(LABELS))
    same = replace(pinned, paths=(str(project / "data" / "labels.csv"),))
    assert send([pinned, same], project, store, tmp_path / "scratch", print) == Published((same,), ())


def test_a_link_is_no_input(project: Path, store: Folder, tmp_path: Path) -> None:
    (project / "data" / "link.csv").symlink_to("labels.csv")
    with pytest.raises(CannotAnswer, match="symbolic link"):
        send([Item("input", ("data/link.csv",), digest_bytes(LABELS))], project, store, tmp_path / "scratch", print)


def test_what_a_run_is_given_becomes_what_a_pod_can_read(project: Path) -> None:
    digest = digest_bytes(LABELS)
    place = f"s3://b/p/_inputs/{digest[7:]}/labels.csv@{digest}"
    for path in ("data/labels.csv", str(project / "data" / "labels.csv")):
        text, item = given(path, None, base=project, artifacts="s3://b/p/")
        assert text == place
        assert item == Item("input", (path,), digest)
    assert given("s3://o/k", None, base=project, artifacts="s3://b/p") == ("s3://o/k", None)
    assert given("s3://o/k", digest, base=project, artifacts="s3://b/p") == (f"s3://o/k@{digest}", None)
    (project / "link").symlink_to("data")
    with pytest.raises(BadArtifact, match="symbolic link"):
        given("link", None, base=project, artifacts="s3://b/p")
