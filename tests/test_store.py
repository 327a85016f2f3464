from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import obstore
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from obstore.store import MemoryStore

from mlgen.diagnostic import CannotAnswer, Misuse
from mlgen.store import (
    BadArtifact,
    BadKey,
    Folder,
    Mismatch,
    Missing,
    Store,
    Taken,
    claim,
    forget,
    hold,
    locate,
    measure,
    open_store,
)
from mlgen.store.bucket import Bucket
from mlgen.store.content import chunks
from mlgen.store.disk import remove
from mlgen.store.refusal import Place
from tests import s3
from tests.rights import Rights

GENERATOR = Path(__file__).parents[1] / "generator"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """The same promises, whichever store keeps them."""
    if request.param == "folder":
        yield open_store("kept", base=tmp_path)
    else:
        with s3.serve() as server:
            yield open_store("s3://b/pre/fix", options=server.options, base=tmp_path)


def memory() -> Bucket:
    """An empty bucket."""
    return Bucket(MemoryStore(), Place("memory://"))


def make_tree(root: Path) -> dict[str, bytes]:
    files = {"a.csv": b"1,2\n", "deep/er/b.bin": bytes(range(256)), "deep/ü #%?.txt": b"", ".hidden": b"x"}
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    (root / "empty" / "inside").mkdir(parents=True)
    return files


def read_tree(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_what_is_kept_is_known_without_reading_it(store: Store, tmp_path: Path) -> None:
    make_tree(tmp_path / "tree")
    (tmp_path / "file").write_bytes(b"x")
    assert not store.has("_inputs/ab/file")
    store.put_artifact("_inputs/ab/file", tmp_path / "file")
    store.put_artifact("_inputs/ab/tree", tmp_path / "tree")
    assert [store.has(f"_inputs/{key}") for key in ("ab/file", "ab/tree", "ab/other", "file")] == [1, 1, 0, 0]


def test_half_a_folder_is_not_kept() -> None:
    bucket = memory()
    bucket.put("_inputs/ab/tree/a.csv", b"1")
    assert not bucket.has("_inputs/ab/tree")


def test_small_objects(store: Store) -> None:
    store.put("_ledger/spool/b.json", b"b")
    store.put("_ledger/spool/a.json", b"a")
    store.put("_ledger/dead/c.json", b"c")
    store.put("_ledger/spool/a.json", b"a")
    with pytest.raises(Taken, match="kept as _ledger"):
        store.put("_ledger/spool/a.json", b"other")
    assert store.get("_ledger/spool/a.json") == b"a"
    assert store.keys("_ledger/spool") == ["_ledger/spool/a.json", "_ledger/spool/b.json"]
    assert store.keys("_ledger") == ["_ledger/dead/c.json", "_ledger/spool/a.json", "_ledger/spool/b.json"]
    store.delete("_ledger/spool/a.json")
    store.delete("_ledger/spool/a.json")
    with pytest.raises(Missing):
        store.get("_ledger/spool/a.json")
    with pytest.raises(Missing):
        store.get("_ledger/spool")
    assert store.keys("_ledger/spool/") == ["_ledger/spool/b.json"]
    assert store.keys("nothing/here") == []


def test_sizes_and_times_of_what_is_kept(store: Store) -> None:
    before = datetime.now(UTC)
    store.put("a/b", b"12345")
    (item,) = store.items("a")
    assert (item.key, item.size_bytes, store.item("a/b")) == ("a/b", 5, item)
    assert abs(item.kept_at - before) < timedelta(seconds=5)
    assert (list(store.items("nothing")), store.item("a"), store.item("a/c"), store.item("a/b/c")) == (
        [],
        None,
        None,
        None,
    )


def test_many_are_forgotten_at_once(store: Store) -> None:
    for n in range(5):
        store.put(f"a/{n}", b"")
    store.delete_all([])
    store.delete_all(["a/0", "a/3", "a/9", "a/4"])
    assert store.keys("a") == ["a/1", "a/2"]


class Unconditional(Folder):
    """A store that lets every put succeed. later: what another puts right after our next put."""

    later: ClassVar[bytes | None] = None

    def put(self, key: str, data: bytes) -> None:
        for one in (data, self.later):
            if one is not None:
                self.delete(key)
                super().put(key, one)


@pytest.mark.parametrize("conditional", [True, False])
def test_a_key_is_held_by_the_first(store: Store, tmp_path: Path, conditional: bool) -> None:
    store = store if conditional else Unconditional(tmp_path / "a", "a")
    assert claim(store, "a/first", b"one")
    assert claim(store, "a/first", b"one"), "asked again by the same"
    for other in (b"two", b"", b"longer"):
        assert not claim(store, "a/first", other)
    assert store.get("a/first") == b"one"


def test_a_key_that_another_put_over_ours_is_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Unconditional, "later", b"two")
    assert not claim(Unconditional(tmp_path / "a", "a"), "a/first", b"one")


def test_what_may_not_be_deleted_stays_and_no_more(store: Store, least: Rights) -> None:
    for key in ("_attempts/a", "_ledger/spool/a"):
        store.put(key, b"1")
        forget(store, [key])
    assert store.keys("_attempts") == ["_attempts/a"]
    assert store.keys("_ledger") == []
    forget(store, [])


def test_a_file_goes_in_and_comes_out(store: Store, tmp_path: Path) -> None:
    data = b"epoch,loss\n" * 300_000  # several chunks
    source = tmp_path / "log.csv"
    source.write_bytes(data)
    content = store.put_artifact("churn/r1/train.0a/log", source)
    assert (content.digest, content.size_bytes, content.is_folder) == (f"sha256:{sha256(data)}", len(data), False)
    assert content.media_type == "text/csv"
    assert store.put_artifact("churn/r1/train.0a/log", source) == content
    assert source.read_bytes() == data
    found = store.get_artifact("churn/r1/train.0a/log", tmp_path / "copy", digest=content.digest)
    assert (found.digest, (tmp_path / "copy").read_bytes()) == (content.digest, data)


def test_an_empty_file_is_an_artifact(store: Store, tmp_path: Path) -> None:
    (tmp_path / "none").touch()
    assert store.put_artifact("k", tmp_path / "none").digest == f"sha256:{sha256(b'')}"
    assert store.get_artifact("k", tmp_path / "copy").size_bytes == 0


def test_a_folder_goes_in_and_comes_out(store: Store, tmp_path: Path) -> None:
    files = make_tree(tmp_path / "tree")
    lines = "".join(sorted(f"{sha256(data)}  {name}\n" for name, data in files.items()))
    content = store.put_artifact("churn/r1/prepare.0a/set", tmp_path / "tree")
    assert content.digest == f"sha256:{sha256(lines.encode())}"
    assert (content.size_bytes, content.is_folder) == (sum(map(len, files.values())), True)
    for key in ("churn/r1/prepare.0a/set", "churn/r1/prepare.0a/set/"):
        copy = tmp_path / f"copy{len(key)}"
        assert store.get_artifact(key, copy, digest=content.digest) == content
        assert read_tree(copy) == files
        assert not (copy / "empty").exists()


def test_a_folder_without_files_is_an_artifact(store: Store, tmp_path: Path) -> None:
    (tmp_path / "tree" / "empty").mkdir(parents=True)
    content = store.put_artifact("k/set", tmp_path / "tree")
    assert content.digest == f"sha256:{sha256(b'')}"
    assert store.get_artifact("k/set", tmp_path / "copy") == content
    assert list((tmp_path / "copy").iterdir()) == []


def test_what_is_kept_never_changes(store: Store, tmp_path: Path) -> None:
    (tmp_path / "one").write_text("one")
    make_tree(tmp_path / "tree")
    store.put_artifact("k/file", tmp_path / "one")
    store.put_artifact("k/set", tmp_path / "tree")
    (tmp_path / "one").write_text("two")
    (tmp_path / "tree" / "a.csv").write_text("two")
    for key, path in (("k/file", "one"), ("k/set", "tree")):
        with pytest.raises(Taken, match=key):
            store.put_artifact(key, tmp_path / path)
    store.get_artifact("k/file", tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "one"
    store.get_artifact("k/set", tmp_path / "set")
    assert (tmp_path / "set" / "a.csv").read_text() == "1,2\n"


def test_a_file_does_not_replace_a_folder(tmp_path: Path) -> None:
    store = Folder(tmp_path / "kept", "kept")
    (tmp_path / "one").write_text("one")
    make_tree(tmp_path / "tree")
    store.put_artifact("k/file", tmp_path / "one")
    store.put_artifact("k/set", tmp_path / "tree")
    for key, path in (("k/file", "tree"), ("k/set", "one")):
        with pytest.raises(Taken, match=key):
            store.put_artifact(key, tmp_path / path)
    assert store.keys("k") == ["k/file", "k/set/.hidden", "k/set/a.csv", "k/set/deep/er/b.bin", "k/set/deep/ü #%?.txt"]


def test_other_bytes_than_asked_for_leave_nothing(store: Store, tmp_path: Path) -> None:
    make_tree(tmp_path / "tree")
    (tmp_path / "one").write_text("one")
    store.put_artifact("file", tmp_path / "one")
    store.put_artifact("set", tmp_path / "tree")
    for key in ("file", "set"):
        with pytest.raises(Mismatch, match="sha256:0000"):
            store.get_artifact(key, tmp_path / "copy", digest="sha256:" + "0" * 64)
        assert not (tmp_path / "copy").exists()
    with pytest.raises(Missing):
        store.get_artifact("nothing", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    with pytest.raises(Missing):
        store.put_artifact("nothing", tmp_path / "nothing")


def test_what_stands_at_the_destination_stays(store: Store, tmp_path: Path) -> None:
    (tmp_path / "one").write_text("one")
    store.put_artifact("file", tmp_path / "one")
    (tmp_path / "there").write_text("mine")
    with pytest.raises(FileExistsError):
        store.get_artifact("file", tmp_path / "there")
    assert (tmp_path / "there").read_text() == "mine"


@pytest.mark.parametrize("kind", ["link", "folder link", "fifo", "socket", "newline", "not utf-8"])
def test_only_files_in_folders(store: Store, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = tmp_path / "tree"
    make_tree(tree)
    monkeypatch.chdir(tree)  # a socket's path has some 100 characters at most
    match kind:
        case "link":
            (tree / "x").symlink_to("a.csv")
        case "folder link":
            (tree / "x").symlink_to("deep")
        case "fifo":
            os.mkfifo(tree / "x")
        case "socket":
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind("x")
        case "newline":
            (tree / "x\ny").touch()
        case "not utf-8":
            Path(os.fsdecode(os.fsencode(tree) + b"/\xff")).touch()
    with pytest.raises(BadArtifact):
        store.put_artifact("set", tree)
    if kind not in ("newline", "not utf-8"):
        with pytest.raises(BadArtifact):
            store.put_artifact("file", tree / "x")
    with pytest.raises(Missing):
        store.get_artifact("set", tmp_path / "copy")


def test_no_link_above_an_artifact_is_followed(store: Store, tmp_path: Path) -> None:
    (tmp_path / "real" / "out").mkdir(parents=True)
    (tmp_path / "real" / "out" / "x").write_bytes(b"x")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "out").symlink_to(tmp_path / "real" / "out")
    with pytest.raises(BadArtifact, match="out is a symbolic link"):
        store.put_artifact("p/x", tmp_path / "mine" / "out" / "x", beneath=tmp_path / "mine")
    assert not store.has("p/x")
    assert store.put_artifact("p/x", tmp_path / "mine" / "out" / "x").size_bytes == 1  # where nobody else writes
    with pytest.raises(ValueError, match="not beneath"):
        store.put_artifact("p/y", tmp_path / "mine" / ".." / "real" / "out" / "x", beneath=tmp_path / "mine")


def test_what_is_swapped_meanwhile_leads_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "a").write_bytes(b"keys")
    for folder in ("x/sub", "x/other"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "a").write_bytes(b"mine")
    with hold(tmp_path / "x") as held:
        assert list(held.files()) == ["sub/a", "other/a"]
        (tmp_path / "x" / "sub").rename(tmp_path / "was")
        (tmp_path / "x" / "sub").symlink_to(tmp_path / "secret")
        (tmp_path / "x" / "other" / "a").unlink()
        (tmp_path / "x" / "other" / "a").symlink_to(tmp_path / "secret" / "a")
        for name in ("sub/a", "other/a"):
            with pytest.raises(BadArtifact, match="is a symbolic link"), held.open(name):
                pass
        (tmp_path / "x").rename(tmp_path / "y")
        (tmp_path / "x").symlink_to(tmp_path / "secret")
        with pytest.raises(Missing), held.open("a"):
            pass


def test_a_file_is_read_as_it_was_looked_at(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"mine")
    with hold(tmp_path / "x") as held:
        (tmp_path / "x").unlink()
        (tmp_path / "x").write_bytes(b"keys")
        assert list(chunks(held)) == [b"mine"] == list(chunks(held))


def test_folders_without_an_end_have_one(store: Store, tmp_path: Path) -> None:
    """A shell makes them so: mkdir d; mv all d; and again."""
    (tmp_path / "x").mkdir()
    folder = os.open(tmp_path / "x", os.O_RDONLY)
    for _ in range(50):
        os.mkdir("d" * 100, dir_fd=folder)
        below = os.open("d" * 100, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(os.open("a", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
    os.close(folder)
    with pytest.raises(BadArtifact, match=r"has more than 4,096 bytes"):
        store.put_artifact("p/x", tmp_path / "x")
    assert not store.has("p/x")


def test_a_deep_folder_needs_no_more_descriptors(tmp_path: Path) -> None:
    deep = "/".join("d" * 300)
    (tmp_path / "x" / deep).mkdir(parents=True)
    (tmp_path / "x" / deep / "a").write_bytes(b"a")
    before = len(os.listdir("/dev/fd"))
    with hold(tmp_path / "x") as held, held.open(f"{deep}/a") as file:
        assert len(os.listdir("/dev/fd")) == before + 3  # the root, the folder, the file
        assert file.size_bytes == 1
    assert len(os.listdir("/dev/fd")) == before


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "../up", "a/../b", "a//b", "a/.", "./a", "a\x00b", "a\nb", "a" * 1025, "\udcff"]
)
def test_keys_stay_inside(store: Store, tmp_path: Path, key: str) -> None:
    (tmp_path / "one").write_text("one")
    for use in (
        lambda: store.put(key, b""),
        lambda: store.get(key),
        lambda: store.delete(key),
        lambda: store.put_artifact(key, tmp_path / "one"),
        lambda: store.get_artifact(key, tmp_path / "copy"),
    ):
        with pytest.raises(BadKey):
            use()


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,3}(/[a-z.]{1,3}x){0,2}", fullmatch=True), st.binary(max_size=50), max_size=6
    )
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_folder_is_the_same_copied_and_uploaded(tmp_path: Path, files: dict[str, bytes]) -> None:
    shutil.rmtree(tmp_path, ignore_errors=True)
    for name, data in files.items():
        path = tmp_path / "tree" / name
        if any((tmp_path / "tree" / parent).is_file() for parent in Path(name).parents) or path.is_dir():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (tmp_path / "tree").mkdir(parents=True, exist_ok=True)
    folder = Folder(tmp_path / "kept", "kept")
    measured = measure(tmp_path / "tree")
    uploaded = memory().put_artifact("k", tmp_path / "tree")
    copied = folder.put_artifact("copied", tmp_path / "tree")
    assert measured == uploaded == copied == measure(tmp_path / "kept" / "copied")
    assert read_tree(tmp_path / "kept" / "copied") == files


def test_a_bucket_folder_that_others_uploaded(tmp_path: Path) -> None:
    bucket = memory()
    obstore.put(bucket.objects, "raw/2026/a.csv", b"a")
    obstore.put(bucket.objects, "raw/2026/deep/b.csv", b"b")
    assert bucket.get_artifact("raw/2026/", tmp_path / "copy").is_folder
    assert read_tree(tmp_path / "copy") == {"a.csv": b"a", "deep/b.csv": b"b"}


def test_half_an_upload_is_no_folder(tmp_path: Path) -> None:
    bucket = memory()
    obstore.put(bucket.objects, "churn/r1/prepare.0a/set/a.csv", b"a")  # the manifest comes last
    with pytest.raises(Missing):
        bucket.get_artifact("churn/r1/prepare.0a/set", tmp_path / "copy")


def test_a_bucket_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(Misuse) as error:
        open_store(
            "s3://bucket",
            options={"no_such_option": "1", "access_key_id": "x", "secret_access_key": "x"},
            base=tmp_path,
        )
    assert error.value.code == "bad-store"


def test_two_writers_of_one_key(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from mlgen.store import Folder, Taken\n"
        "store = Folder(Path(sys.argv[1]), 'kept'); won = 0\n"
        "for n in range(60):\n"
        "    try: store.put(f'k/{n}', sys.argv[2].encode() * 1000); won += 1\n"
        "    except Taken: pass\n"
        "print(won)"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path)]
    env = {**os.environ, "PYTHONPATH": str(GENERATOR)}
    writers = [subprocess.Popen([*arguments, word], stdout=subprocess.PIPE, env=env) for word in "ab"]
    assert sum(int(writer.communicate(timeout=60)[0]) for writer in writers) == 60
    for path in (tmp_path / "k").iterdir():
        assert path.read_text() in ("a" * 1000, "b" * 1000)


def test_what_a_kill_left_is_no_key(tmp_path: Path) -> None:
    store = Folder(tmp_path, "kept")
    store.put("trees/a", b"a")
    for left in ("trees/.part-7-1/x", "trees/b/.part-7-2"):
        (tmp_path / left).parent.mkdir(exist_ok=True)
        (tmp_path / left).write_bytes(b"")
    assert store.keys("trees") == ["trees/a"]


PUT_FOREVER = """
import hashlib, itertools, sys
from pathlib import Path
from mlgen.store import Folder
store, scratch = Folder(Path(sys.argv[1]) / "kept", "kept"), Path(sys.argv[1]) / "scratch"
scratch.mkdir(exist_ok=True)
print("ready", flush=True)
for n in itertools.count():
    data = hashlib.sha256(str(n).encode()).hexdigest().encode() * 3000
    store.put(f"small/{hashlib.sha256(data).hexdigest()}", data)
    (scratch / "f").write_bytes(data)
    store.put_artifact(f"files/{n}-{hashlib.sha256(data).hexdigest()}", scratch / "f")
    (scratch / "d").mkdir(exist_ok=True)
    (scratch / "d" / "x").write_bytes(data)
    store.put_artifact(f"trees/{n}-{hashlib.sha256(data).hexdigest()}", scratch / "d")
"""


def test_a_kill_at_any_point_leaves_no_half_object(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(GENERATOR)}
    chance = random.Random(3)
    for attempt in range(6):
        root = tmp_path / str(attempt)
        root.mkdir()
        writer = subprocess.Popen([sys.executable, "-c", PUT_FOREVER, str(root)], stdout=subprocess.PIPE, env=env)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(chance.random() * 0.1)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        store = Folder(root / "kept", "kept")
        for key in [*store.keys("small"), *store.keys("files"), *store.keys("trees")]:
            name = key.split("/")[1].rpartition("-")[2]
            assert sha256((root / "kept" / key).read_bytes()) == name


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True, check=False
    )
    if not made or made.returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_keeps_what_is_whole(tiny_disk: Path, tmp_path: Path) -> None:
    store = Folder(tiny_disk / "kept", "kept")
    store.put("a", b"whole")
    make_tree(tmp_path / "tree")
    (tmp_path / "tree" / "big").write_bytes(b"x" * 100_000)
    puts = (
        lambda: store.put("b", b"x" * 100_000),
        lambda: store.put_artifact("c/c", tmp_path / "tree" / "big"),
        lambda: store.put_artifact("d/d", tmp_path / "tree"),
        lambda: Folder(tmp_path, "source").get_artifact("tree", tiny_disk / "copy"),
    )
    for put in puts:
        with pytest.raises(CannotAnswer) as error:
            put()
        assert (error.value.code, error.value.exit_code) == ("disk-full", 3)
        assert "make room" in error.value.fix
    assert read_tree(tiny_disk) == {"kept/a": b"whole"}
    assert store.get("a") == b"whole"


def test_the_store_of_a_uri(tmp_path: Path) -> None:
    folder = open_store(".mlgen/artifacts", base=tmp_path)
    assert folder == Folder(tmp_path / ".mlgen" / "artifacts", ".mlgen/artifacts")
    assert open_store("file:///mnt/big", base=tmp_path) == Folder(Path("/mnt/big"), "/mnt/big")
    assert (
        open_store("s3://bucket/pre/fix/", options={"access_key_id": "x", "secret_access_key": "x"}, base=tmp_path).uri
        == "s3://bucket/pre/fix"
    )
    with pytest.raises(Misuse, match="ftp"):
        open_store("ftp://host/x", base=tmp_path)


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("s3://b/a/c.csv", ("s3://b", "a/c.csv")),
        ("gs://b/a/", ("gs://b", "a/")),
        ("data/labels.csv", ("data", "labels.csv")),
        ("labels.csv", (".", "labels.csv")),
        ("/labels", ("/", "labels")),
        ("file:///data/set/", ("/data", "set")),
    ],
)
def test_where_an_artifact_is(uri: str, parts: tuple[str, str]) -> None:
    assert locate(uri) == parts


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("plot", b"\x89PNG\r\n\x1a\n....", "image/png"),
        ("plot", b'<?xml version="1.0"?>\n<svg xmlns="x">', "image/svg+xml"),
        ("page", b"\n<!DOCTYPE html><p>", "text/html"),
        ("raw.CSV", b"a,b", "text/csv"),
        ("model", b"\x80\x04\x95\x00", "application/octet-stream"),
        ("notes", "é".encode() * 256 + b"\xc3", "text/plain"),
        ("none", b"", "application/octet-stream"),
    ],
)
def test_media_types(tmp_path: Path, name: str, data: bytes, kind: str) -> None:
    (tmp_path / name).write_bytes(data)
    assert measure(tmp_path / name).media_type == kind


def test_all_that_is_kept_is_listed_and_forgotten(store: Store, tmp_path: Path) -> None:
    make_tree(tmp_path / "tree")
    (tmp_path / "file").write_bytes(b"12345")
    store.put_artifact("p/r/t.0/out", tmp_path / "tree")
    store.put_artifact("p/r/t.0/out_b", tmp_path / "file")
    store.put_artifact("p/r-2/t.0/out", tmp_path / "file")
    store.put("_ledger/spool/a.json", b"a")
    found = list(store.listing())
    assert {item.key.partition("/")[0] for item in found} == {"p", "_ledger"}
    folders = [item.key.rpartition("/t.0/")[0] for item in found if item.key.startswith("p/")]
    assert folders == sorted(folders, key=lambda name: f"{name}/")  # the files of one run come together
    assert {item.size_bytes for item in found if item.key.endswith("out_b")} == {5}
    assert all(abs(item.kept_at.timestamp() - time.time()) < 60 for item in found)
    store.discard([item.key for item in found if item.key.startswith("p/r/")])
    store.discard([item.key for item in found if item.key.startswith("p/r/")])
    assert not store.has("p/r/t.0/out")
    assert sorted(item.key for item in store.listing()) == ["_ledger/spool/a.json", "p/r-2/t.0/out"]
    if isinstance(store, Folder):
        assert not (store.root / "p" / "r").exists()
        assert (store.root / "p" / "r-2" / "t.0").is_dir()


def test_a_store_that_is_not_there_yet_lists_nothing(tmp_path: Path) -> None:
    store = open_store("kept", base=tmp_path)
    assert list(store.listing()) == []
    store.discard(["a/b"])
    assert not (tmp_path / "kept").exists()


def test_a_listing_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_bytes(b"1")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "link").symlink_to(tmp_path / "outside")
    store = open_store("kept", base=tmp_path)
    assert list(store.listing()) == []
    with pytest.raises(CannotAnswer):
        store.discard(["link/file"])
    assert (tmp_path / "outside" / "file").exists()


def test_what_is_deeper_than_calls_go_is_removed(tmp_path: Path) -> None:
    program = "import os\nfor _ in range(1500): os.mkdir('a'); os.chdir('a')"
    (tmp_path / "deep").mkdir()
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path / "deep", check=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("deep", "link", "not-there"):
        remove(tmp_path / name)
    assert os.listdir(tmp_path) == ["elsewhere"]
