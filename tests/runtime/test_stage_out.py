from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlgen import canonical
from mlgen.ledger.records.task import State
from mlgen.runtime.ending import Ending, of_exit_code
from mlgen.runtime.outs import StagingError
from mlgen.runtime.protocol import Evaluation, Execution, In, Out, TaskDocument, Tree
from mlgen.runtime.stage_in import stage_in, staged_inputs
from mlgen.runtime.stage_out import prefix, stage_out
from mlgen.runtime.texts import pointer, read_result, result, split_pointer
from mlgen.store import Folder, measure, open_store
from mlgen.values import Type

START, END = "2026-11-28T10:00:00Z", "2026-11-28T10:00:01Z"
RUN_ID = "6c84fb90-12c4-11e1-840d-7b25c5ee775a"
WELL = of_exit_code(0, START, END)


def document(
    *, ins: tuple[In, ...] = (), outs: tuple[Out, ...] = (), evaluates: tuple[Evaluation, ...] = ()
) -> TaskDocument:
    return TaskDocument("churn", "prod", "train", ins, outs, evaluates, "s3://b/p", None, None, None, 60)


def execution(
    ins: dict[str, str] | None = None,
    tekton: dict[str, str] | None = None,
    gate_values: dict[str, str] | None = None,
) -> Execution:
    digest = "sha256:" + "5" * 64
    return Execution(
        "churn-x1", RUN_ID, RUN_ID, 0, ins or {}, gate_values or {}, {}, digest, digest, None, "tekton", tekton
    )


@pytest.fixture
def store(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "store", "artifacts")


@pytest.mark.parametrize("text", ["", "+", "x", "+1", "a\n"])
@pytest.mark.parametrize("optional", [True, False])
def test_a_result_is_read_as_it_was_written(text: str, optional: bool) -> None:
    assert read_result(result(text, optional=optional), optional=optional) == text
    assert read_result(result(None, optional=True), optional=True) is None


def test_pointers_split_at_their_digest() -> None:
    digest = "sha256:" + "a" * 64
    assert split_pointer(pointer("a@b/c", digest)) == ("a@b/c", digest)
    assert split_pointer("s3://b/k@sha256:short") == ("s3://b/k@sha256:short", None)


def test_an_artifact_is_brought_verified_and_told(tree: Tree, store: Folder, tmp_path: Path) -> None:
    (tmp_path / "made").write_bytes(b"bytes")
    content = store.put_artifact("churn/r/prep.1/x", tmp_path / "made")
    doc = document(ins=(In("x", "out", Type.FILE), In("n", "value", Type.STRING)))
    stage_in(doc, execution({"x": pointer("churn/r/prep.1/x", content.digest), "n": "1"}), tree, store, _no_other)
    assert tree.input("x").read_bytes() == b"bytes"
    (artifact,) = staged_inputs(tree)
    assert (artifact.name, artifact.uri, artifact.size_bytes) == ("x", "artifacts/churn/r/prep.1/x", 5)
    assert artifact.digest == canonical.digest_bytes(b"bytes")
    staged = stage_out(doc, execution(), tree, store, WELL)
    assert staged.record.inputs == (artifact,)


def _no_other(uri: str) -> Folder:
    raise AssertionError(uri)


def test_other_bytes_than_the_digests_are_refused(tree: Tree, store: Folder, tmp_path: Path) -> None:
    (tmp_path / "made").write_bytes(b"bytes")
    store.put_artifact("k", tmp_path / "made")
    doc = document(ins=(In("x", "out", Type.FILE),))
    wrong = "sha256:" + "0" * 64
    with pytest.raises(StagingError, match=f'in "x" cannot be read from k: .*{wrong}'):
        stage_in(doc, execution({"x": pointer("k", wrong)}), tree, store, _no_other)
    assert not tree.input("x").exists()
    assert staged_inputs(tree) == ()


def test_what_is_not_there_is_named(tree: Tree, store: Folder) -> None:
    doc = document(ins=(In("x", "input", Type.FILE),))
    with pytest.raises(StagingError, match=r'in "x" cannot be read from data/none\.csv: '):
        stage_in(doc, execution({"x": "data/none.csv"}), tree, store, lambda uri: open_store(uri, base=tree.root))


def test_an_unwritten_option_is_brought_as_nothing(tree: Tree, store: Folder) -> None:
    doc = document(ins=(In("x", "out", Type.FILE, optional=True),))
    stage_in(doc, execution({"x": ""}), tree, store, _no_other)
    assert not tree.input("x").exists()


def test_outs_are_kept_where_only_this_execution_writes(tree: Tree, store: Folder) -> None:
    doc = document(outs=(Out("model", Type.MODEL), Out("rows", Type.INTEGER), Out("plot", Type.PLOT, optional=True)))
    tree.output("model").mkdir()
    (tree.output("model") / "w.bin").write_bytes(b"w")
    tree.output("rows").write_text("0x10\n")
    staged = stage_out(doc, execution(), tree, store, WELL)
    digest = canonical.folder_digest({"w.bin": canonical.digest_bytes(b"w")[7:]})
    key = f"churn/churn-x1/train.{RUN_ID[:8]}/model"
    assert staged.texts == {"model": f"{key}@{digest}", "rows": "0x10", "plot": None}
    assert staged.record.values == {"rows": 16}
    assert [(a.uri, a.digest, a.type) for a in staged.record.outputs] == [(f"artifacts/{key}", digest, "model")]
    assert prefix(doc, execution(tekton={"podUid": "abcdef01-2345"})) == "churn/churn-x1/train.abcdef01"


def test_all_that_is_wrong_is_told_and_nothing_is_kept(tree: Tree, store: Folder) -> None:
    outs = (Out("a", Type.FILE), Out("b", Type.METRIC), Out("c", Type.BOOLEAN), Out("d", Type.NUMBER))
    tree.output("a").write_text("kept?")
    tree.output("b").write_text("inf")
    tree.output("d").write_text("1" * 65)
    staged = stage_out(document(outs=outs), execution(), tree, store, WELL)
    assert staged.record.error == (
        'out "b" (metric): NaN and infinities are no numbers that JSON can carry; '
        'out "c" was not written: write to "$c", or make it `optional: true`; '
        'out "d" has 65 bytes, more than 64: a number is shorter'
    )
    assert (staged.record.state, staged.record.exit_code, staged.texts) == (State.FAIL, 0, {})
    assert not store.root.exists()


def test_a_fifo_does_not_hold_up_the_end(tree: Tree, store: Folder) -> None:
    os.mkfifo(tree.output("x"))
    staged = stage_out(document(outs=(Out("x", Type.STRING, max_bytes=9),)), execution(), tree, store, WELL)
    assert (
        staged.record.error == f'out "x" cannot be read: {tree.output("x")} is a FIFO, and neither a file nor a folder'
    )


@pytest.mark.parametrize(
    ("auc", "floor", "answer"),
    [("0.9", "0.85", "true"), ("0.8", "0.85", "false"), (None, "0.85", "false"), ("0.9", None, "false")],
)
def test_gates_are_decided_by_whoever_has_the_values(
    tree: Tree, store: Folder, auc: str | None, floor: str | None, answer: str
) -> None:
    gate = Evaluation(3, "train.auc >= params.floor", (("params.floor", Type.NUMBER), ("train.auc", Type.METRIC)))
    doc = document(outs=(Out("auc", Type.METRIC, optional=True),), evaluates=(gate,))
    if auc is not None:
        tree.output("auc").write_text(auc)
    values = {} if floor is None else {"params.floor": floor}
    assert stage_out(doc, execution(gate_values=values), tree, store, WELL).texts == {"auc": auc, "if-3": answer}


def test_an_aborted_execution_keeps_no_artifact(tree: Tree, store: Folder) -> None:
    tree.output("model").write_text("half")
    ending = Ending(State.ABORT, "TaskRunCancelled", -1, "the run was interrupted", START, END)
    staged = stage_out(document(outs=(Out("model", Type.MODEL),)), execution(), tree, store, ending)
    assert (staged.record.state, staged.record.outputs, staged.texts) == (State.ABORT, (), {})
    assert (staged.record.started_at, staged.record.ended_at) == (START, END)


@pytest.mark.parametrize("type_", [Type.FILE, Type.DIRECTORY])
def test_what_is_kept_is_out_of_reach_of_a_file_that_is_still_open(tree: Tree, store: Folder, type_: Type) -> None:
    path = tree.output("x")
    if type_ is Type.DIRECTORY:
        path.mkdir()
        path /= "one"
    with path.open("wb", buffering=0) as still_open:
        still_open.write(b"before")
        staged = stage_out(document(outs=(Out("x", type_),)), execution(), tree, store, WELL)
        still_open.write(b"after")
    kept = staged.record.outputs[0]
    assert measure(store.root / kept.uri.removeprefix("artifacts/")).digest == kept.digest


@pytest.mark.parametrize("name", ["out", "out/x"])
@pytest.mark.parametrize("type_", [Type.FILE, Type.DIRECTORY, Type.STRING])
def test_no_link_on_the_way_to_an_out_is_followed(
    tree: Tree, store: Folder, tmp_path: Path, name: str, type_: Type
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x").write_text("not the author's")
    link = tree.root / name
    if link.is_dir():
        link.rmdir()
    link.symlink_to(tmp_path / "elsewhere" / name.removeprefix("out").removeprefix("/"))
    doc = document(outs=(Out("x", type_, max_bytes=99 if type_ is Type.STRING else None),))
    staged = stage_out(doc, execution(), tree, store, WELL)
    assert staged.record.state is State.FAIL
    assert f"{link} is a symbolic link" in (staged.record.error or "")
    assert not list(store.root.rglob("x"))


def test_a_tree_may_lie_behind_a_link(tree: Tree, store: Folder, tmp_path: Path) -> None:
    """Of which no program made it: a project's folder, say."""
    tree.output("x").write_text("bytes")
    (tmp_path / "link").symlink_to(tree.root)
    staged = stage_out(
        document(outs=(Out("x", Type.FILE),)), execution(), Tree(tmp_path / "link", tree.state), store, WELL
    )
    assert staged.record.state is State.COMPLETE
