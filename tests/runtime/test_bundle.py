"""What is packed on one machine is laid out in a pod, byte by byte, and nothing else is."""

from __future__ import annotations

import hashlib
import io
import os
import re
import signal
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mlgen.canonical import folder_digest
from mlgen.runtime.bundle import code_key, input_key, pack, stage_code
from mlgen.runtime.outs import StagingError
from mlgen.runtime.protocol import TaskDocument, Tree
from mlgen.store import Folder

FILES = {
    "train.py": b"print(1)\n",
    "lib/__init__.py": b"",
    "lib/größe 日本.txt": b"x" * 70_000,
    "a" * 60 + "/" + "b" * 120: b"deep",
}
DIGEST = folder_digest({name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()})
# Also what other machines, umasks, users and Pythons make: a change of it uploads all code of all users again.
ARCHIVE_SHA256 = "7782f8d1174fa451ff2909793e0c82bc7cb4def4947a8f83f6f3a73e3ae0b799"


@pytest.fixture
def store(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "store", "s3://b/p")


def document(digest: str | None = DIGEST) -> TaskDocument:
    return TaskDocument("churn", "prod", "train", (), (), (), "s3://b/p", digest, None, None, 60)


def laid(folder: Path, files: dict[str, bytes]) -> dict[str, Path]:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return {name: folder / name for name in files}


def found_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def packed(folder: Path, files: dict[str, bytes]) -> bytes:
    archive = io.BytesIO()
    pack(laid(folder, files), archive)
    return archive.getvalue()


def test_the_archive_has_the_same_bytes_everywhere(tmp_path: Path) -> None:
    first = packed(tmp_path / "one", FILES)
    old = os.umask(0o077)
    try:
        others = laid(tmp_path / "two", dict(reversed(FILES.items())))
    finally:
        os.umask(old)
    for path in others.values():
        path.chmod(0o700)
        os.utime(path, (1, 1))
    second = io.BytesIO()
    assert pack(others, second) == DIGEST
    assert first == second.getvalue()
    assert hashlib.sha256(first).hexdigest() == ARCHIVE_SHA256


def test_code_is_laid_out_as_it_was_packed(tree: Tree, store: Folder, tmp_path: Path) -> None:
    store.put(code_key(DIGEST), packed(tmp_path / "src", FILES))
    stage_code(document(), tree, store)
    assert found_in(tree.work) == FILES
    assert list(tree.state.iterdir()) == []


def test_code_without_files_is_an_empty_folder(tree: Tree, store: Folder, tmp_path: Path) -> None:
    digest = folder_digest({})
    store.put(code_key(digest), packed(tmp_path / "src", {}))
    stage_code(document(digest), tree, store)
    assert found_in(tree.work) == {}


def test_a_task_without_code_asks_for_none(tree: Tree, store: Folder) -> None:
    stage_code(document(None), tree, store)
    assert found_in(tree.work) == {}


def test_staging_that_was_cut_off_is_done_again(tree: Tree, store: Folder, tmp_path: Path) -> None:
    store.put(code_key(DIGEST), packed(tmp_path / "src", FILES))
    laid(tree.work, {"train.py": b"pri", "other/left.py": b""})
    laid(tree.state, {"code.tar": b"half"})
    held = tree.work.stat().st_ino
    stage_code(document(), tree, store)
    assert found_in(tree.work) == FILES
    assert tree.work.stat().st_ino == held  # main has this very folder mounted


def test_staging_that_is_killed_is_done_again(tree: Tree, store: Folder, tmp_path: Path) -> None:
    many = {f"{number:04}/a.py": b"x" for number in range(500)}
    digest = folder_digest({name: hashlib.sha256(data).hexdigest() for name, data in many.items()})
    store.put(code_key(digest), packed(tmp_path / "src", many))
    child = os.fork()
    if child == 0:
        try:
            stage_code(document(digest), tree, store)
        finally:
            os._exit(1)
    until = time.monotonic() + 30
    while not (tree.work / "0010").exists():
        assert time.monotonic() < until
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    stage_code(document(digest), tree, store)
    assert found_in(tree.work) == many


def test_code_that_was_not_published_says_how(tree: Tree, store: Folder) -> None:
    with pytest.raises(StagingError, match=r"not at s3://b/p/_code/[0-9a-f]{64}.tar.*`mlgen publish --env prod`"):
        stage_code(document(), tree, store)


def test_other_code_is_refused_and_none_is_left(tree: Tree, store: Folder, tmp_path: Path) -> None:
    store.put(code_key(DIGEST), packed(tmp_path / "src", FILES | {"train.py": b"print(2)\n"}))
    with pytest.raises(StagingError, match=r"not the code of this task.*delete it.*publish"):
        stage_code(document(), tree, store)
    assert list(tree.work.iterdir()) == []
    assert list(tree.state.iterdir()) == []


def entry(name: str, data: bytes = b"", **about: object) -> Callable[[tarfile.TarFile], None]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in about.items():
        setattr(info, key, value)
    return lambda tar: tar.addfile(info, io.BytesIO(data))


@pytest.mark.parametrize(
    "entries",
    [
        [entry("../out")],
        [entry("/etc/out")],
        [entry("a/./b")],
        [entry("a//b")],
        [entry("link", type=tarfile.SYMTYPE, linkname="/etc"), entry("link/out")],
        [entry("link", type=tarfile.LNKTYPE, linkname="/etc/passwd")],
        [entry("pipe", type=tarfile.FIFOTYPE)],
        [entry("device", type=tarfile.CHRTYPE)],
        [entry("folder", type=tarfile.DIRTYPE)],
        [entry("a", b"1"), entry("a", b"2")],
        [entry("a", b"1"), entry("a/b", b"2")],
        [entry("a", b"1"), entry("a/b/c", b"2")],
        [entry("a/b", b"1"), entry("a", b"2")],
        [entry("sparse", b"x", pax_headers={"GNU.sparse.map": "0,1", "GNU.sparse.size": "1099511627776"})],
    ],
)
def test_what_no_mlgen_packed_is_refused(
    entries: list[Callable[[tarfile.TarFile], None]], tree: Tree, store: Folder
) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for add in entries:
            add(tar)
    store.put(code_key(DIGEST), archive.getvalue())
    with pytest.raises(StagingError, match="not the code of this task"):
        stage_code(document(), tree, store)
    assert list(tree.work.iterdir()) == []


@pytest.mark.parametrize("compression", ["gz", "bz2", "xz"])
def test_nothing_is_decompressed(compression: str, tree: Tree, store: Folder) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode=f"w:{compression}") as tar:  # type: ignore[call-overload]
        entry("a", b"\0" * 1_000_000)(tar)
    store.put(code_key(DIGEST), archive.getvalue())
    with pytest.raises(StagingError, match="cannot be unpacked"):
        stage_code(document(), tree, store)


@pytest.mark.parametrize("cut", [1, 511, 513, 70_000])
def test_half_an_archive_is_refused(cut: int, tree: Tree, store: Folder, tmp_path: Path) -> None:
    store.put(code_key(DIGEST), packed(tmp_path / "src", FILES)[:cut])
    with pytest.raises(StagingError, match="not the code of this task"):
        stage_code(document(), tree, store)
    assert list(tree.work.iterdir()) == []


def test_places_are_named_by_digests() -> None:
    digest = "sha256:" + "ab" * 32
    assert code_key(digest) == f"_code/{'ab' * 32}.tar"
    assert input_key(digest, "pipelines/data/wdbc.csv") == f"_inputs/{'ab' * 32}/wdbc.csv"
    assert input_key(digest, "images/") == f"_inputs/{'ab' * 32}/images"


@pytest.mark.parametrize("name", ["$(params.x).csv", "a b@c#?%.csv", "größe\n.csv", "x" * 300 + ".csv"])
def test_a_name_makes_a_plain_key(name: str) -> None:
    key = input_key("sha256:" + "ab" * 32, f"data/{name}")
    assert re.fullmatch(r"_inputs/(ab){32}/[A-Za-z0-9._-]{1,100}\.csv", key)
