"""A checkpoint that is found again existed whole at one moment, whoever wrote or was killed meanwhile."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path
from uuid import uuid4

import pytest

from mlgen.diagnostic import CannotAnswer
from mlgen.runtime.attempts.checkpoint import KEPT, Checkpoint, Saved
from mlgen.runtime.attempts.snapshot import MOST_HELD, Torn
from mlgen.store import BadArtifact, Folder, Held

AT = "_attempts/churn/uid/train/0"


def checkpoint(root: Path, folder: str = "a") -> Checkpoint:
    """That of a new execution, whose folder is there."""
    found = Checkpoint(Folder(root / "store", "store"), AT, root / folder, root, str(uuid4()))
    found.folder.mkdir(exist_ok=True)
    return found


def put(folder: Path, name: str, text: str) -> None:
    """As a program should: beside, then renamed. Some time ago, so that nothing waits for the clock's tick."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.tmp")
    part.write_text(text)
    os.utime(part, (1e9, 1e9 + len(text)))
    part.rename(path)


def files(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_what_was_saved_last_is_found(tmp_path: Path) -> None:
    first = checkpoint(tmp_path)
    assert first.restore() is None
    assert first.save() is None
    put(first.folder, "model/weights", "w" * 1000)
    put(first.folder, "step", "1")
    assert first.save() == Saved(2, 1001, 1001)
    assert first.save() is None
    put(first.folder, "step", "22")
    put(first.folder, ".hidden", "not ready")
    assert first.save() == Saved(2, 1002, 2)
    second = checkpoint(tmp_path, "b")
    assert second.restore() == Saved(2, 1002, 1002)
    assert files(second.folder) == {"model/weights": "w" * 1000, "step": "22"}


def test_two_saves_stay_and_nothing_when_the_task_is_done(tmp_path: Path) -> None:
    one = checkpoint(tmp_path)
    for step in range(1, 6):
        put(one.folder, "step", "x" * step)
        one.save()
    names = [path.name for path in (tmp_path / "store").rglob("*.json")]
    assert sorted(names) == ["000004.json", "000005.json"]
    assert len([p for p in (tmp_path / "store").rglob("*") if p.is_file()]) == 2 * KEPT
    one.remove()
    assert not [p for p in (tmp_path / "store").rglob("*") if p.is_file()]


def test_an_execution_that_is_thought_dead_alters_nothing(tmp_path: Path) -> None:
    """Its later saves are below those of the one that followed, and forget none of theirs."""
    dead, alive = checkpoint(tmp_path), checkpoint(tmp_path, "b")
    put(dead.folder, "step", "dead 1")
    dead.save()
    alive.restore()
    put(alive.folder, "step", "alive 2")
    alive.save()
    for step in range(3, 7):
        put(dead.folder, "step", f"dead {'.' * step}")
        dead.save()
    third = checkpoint(tmp_path, "c")
    third.restore()
    assert files(third.folder) == {"step": "alive 2"}
    put(alive.folder, "step", "alive 22")
    alive.save()
    assert {path.parent.name[:4] for path in (tmp_path / "store").rglob("*.json")} == {"0002"}


@pytest.mark.parametrize("damage", ["bytes", "list", "gone"])
def test_a_damaged_save_is_passed_over_for_the_one_before(tmp_path: Path, damage: str) -> None:
    one = checkpoint(tmp_path)
    for step in ("1", "22"):
        put(one.folder, "step", step)
        one.save()
    folder = next((tmp_path / "store").rglob("000002.json")).parent
    target = folder / ("000002.json" if damage == "list" else "000002-0")
    target.chmod(0o644)
    if damage == "gone":
        target.unlink()
    else:
        target.write_text("{")
    two = checkpoint(tmp_path, "b")
    two.restore()
    assert files(two.folder) == {"step": "1"}


def test_a_list_that_names_a_file_elsewhere_is_none(tmp_path: Path) -> None:
    store = Folder(tmp_path / "store", "store")
    store.put(f"{AT}/0001-aaaaaaaa/000001-0", b"evil")
    listed = b'{"files":[{"digest":"sha256:%s","key":"000001-0","path":"../../x","sizeBytes":4}],"version":1}' % (
        b"0" * 64
    )
    store.put(f"{AT}/0001-aaaaaaaa/000001.json", listed)
    assert checkpoint(tmp_path).restore() is None
    assert not (tmp_path / "x").exists()


def test_links_and_pipes_are_refused(tmp_path: Path) -> None:
    one = checkpoint(tmp_path)
    (one.folder / "link").symlink_to("/etc/passwd")
    with pytest.raises(BadArtifact, match="link"):
        one.save()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (b"m\377", r"'m\\udcff' has a name that is not UTF-8"),
        (b"d\377/x", "not UTF-8"),
        (b"a\nb", r"'a\\nb' has a control character"),
        (b"a\x01b", "control character"),
        (b"/".join([b"x" * 200] * 6), "more than 1,024 bytes with its folders"),
    ],
)
def test_what_no_list_can_name_is_refused_and_costs_no_earlier_save(tmp_path: Path, name: bytes, why: str) -> None:
    one = checkpoint(tmp_path)
    put(one.folder, "step", "1")
    one.save()
    path = os.path.join(os.fsencode(one.folder), name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb"):
        pass
    with pytest.raises(BadArtifact, match=why):
        one.save()
    assert checkpoint(tmp_path, "b").restore() == Saved(1, 1, 1)


def test_folders_without_an_end_are_refused(tmp_path: Path) -> None:
    one = checkpoint(tmp_path)
    nest(one.folder, 400)
    assert one.save() is None
    nest(one.folder / "/".join(["a"] * 400), 200)
    with pytest.raises(BadArtifact, match="more than 1,024 bytes"):
        one.save()


def nest(folder: Path, levels: int) -> None:
    """So many folders, each in the one before."""
    here = os.open(folder, os.O_DIRECTORY)
    for _ in range(levels):
        os.mkdir("a", dir_fd=here)
        inner = os.open("a", os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)


def test_a_folder_that_is_written_to_all_the_time_is_no_save(tmp_path: Path) -> None:
    """In place, between the two looks: whatever the clock of the file system says."""
    one = checkpoint(tmp_path)
    one.pause = lambda _seconds: (one.folder / "step").write_text(str(time.time_ns())) and None  # type: ignore[assignment]
    (one.folder / "step").write_text("1")
    with pytest.raises(Torn):
        one.save()
    assert checkpoint(tmp_path, "b").restore() is None


class Slow(Folder):
    """A store during whose uploads something happens."""

    def put_file(self, key: str, held: Held):  # type: ignore[no-untyped-def]  # as its parent
        put(self.root.parent / "a", "step", "later, and longer")
        return super().put_file(key, held)


def test_a_file_replaced_while_it_travels_is_saved_as_it_was(tmp_path: Path) -> None:
    one = checkpoint(tmp_path)
    one.store = Slow(tmp_path / "store", "store")
    put(one.folder, "step", "1")
    assert one.save() == Saved(1, 1, 1)
    two = checkpoint(tmp_path, "b")
    two.restore()
    assert files(two.folder) == {"step": "1"}


def test_a_full_disk_costs_no_earlier_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = checkpoint(tmp_path)
    put(one.folder, "step", "1")
    one.save()
    put(one.folder, "step", "22")
    put(one.folder, "more", "333")
    real, calls = Folder.put_file, []

    def full(self: Folder, key: str, held: Held):  # type: ignore[no-untyped-def]  # as the real one
        calls.append(key)
        if len(calls) == 2:
            raise CannotAnswer("disk-full", "no space left")
        return real(self, key, held)

    monkeypatch.setattr(Folder, "put_file", full)
    with pytest.raises(CannotAnswer, match="no space"):
        one.save()
    two = checkpoint(tmp_path, "b")
    two.restore()
    assert files(two.folder) == {"step": "1"}
    assert not list((tmp_path / "store").rglob("000002-*"))
    monkeypatch.undo()
    assert one.save() == Saved(2, 5, 5)


def _train(folder: Path) -> None:
    """Writes a pair of files that always agree, again and again: the second names the first."""
    step = 0
    while True:
        step += 1
        text = f"{step}:" + "x" * (step % 7000)
        new = folder / f".{step}"
        new.mkdir()
        for name in ("weights", "optimizer"):
            (new / name).write_text(text)
        new.rename(folder / f"step-{step}")
        for old in folder.glob("step-*"):
            if int(old.name[5:]) < step - 1:
                for path in old.iterdir():
                    path.unlink()
                old.rmdir()
        time.sleep(0.06)  # twice as long as must be quiet before a save


def _save_for_ever(one: Checkpoint) -> None:
    while True:
        try:
            one.save()
        except Torn:
            continue


def test_every_checkpoint_that_is_found_existed_whole(tmp_path: Path) -> None:
    """Programs write, savers are killed at any moment; what the next attempt finds is a state of the folder."""
    (tmp_path / "a").mkdir()
    context = multiprocessing.get_context("fork")
    program = context.Process(target=_train, args=(tmp_path / "a",), daemon=True)
    program.start()
    found = round_ = 0
    try:
        while round_ < 12 or (found < 3 and round_ < 60):
            round_ += 1
            saver = context.Process(target=_save_for_ever, args=(checkpoint(tmp_path),), daemon=True)
            saver.start()
            time.sleep((0.15 + 0.03 * (round_ % 5)) * (1 + round_ // 12))  # longer where the machine is busy
            assert saver.pid is not None
            os.kill(saver.pid, signal.SIGKILL)
            saver.join()
            after = checkpoint(tmp_path, f"found-{round_}")
            if after.restore() is None:
                continue
            found += 1
            listed = files(after.folder)
            steps = {name.partition("/")[0] for name in listed}
            assert steps
            for step in steps:
                weights, optimizer = listed[f"{step}/weights"], listed[f"{step}/optimizer"]
                number = int(step[5:])
                assert weights == optimizer == f"{number}:" + "x" * (number % 7000)
    finally:
        program.kill()
    assert found >= 3


def test_more_files_than_are_held(tmp_path: Path) -> None:
    one = checkpoint(tmp_path)
    for number in range(MOST_HELD + 20):
        put(one.folder, f"shard-{number}", "x" * number)
    one.save()
    two = checkpoint(tmp_path, "b")
    two.restore()
    assert files(two.folder) == files(one.folder)
