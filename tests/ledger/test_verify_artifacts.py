"""What became of the bytes that records name: in a folder of this machine, and in a bucket."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mlgen.ledger.gc import collected
from mlgen.ledger.records.artifact import Artifact
from mlgen.ledger.verify.artifacts import Checked, check
from mlgen.ledger.verify.finding import Found
from mlgen.store import Folder, Store, open_store
from mlgen.store.bucket import MANIFEST
from tests import s3 as fake
from tests.ledger import records
from tests.ledger.tampering import NOW, Lab
from tests.s3 import S3

BIG = 5 << 20  # of which a bucket reads ranges
PREFIX = "churn/r1/train.0b"


@pytest.fixture
def s3() -> Iterator[S3]:
    with fake.serve() as server:
        yield server


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path, s3: S3) -> Store:
    if request.param == "folder":
        return Folder(tmp_path / "kept", "kept")
    return open_store("s3://b", options=s3.options, base=Path(), patience_seconds=5)


@pytest.fixture
def lab(tmp_path: Path, store: Store) -> Lab:
    """A record with a small file, a large one and a folder, and another one that reads the first."""
    made = []
    (tmp_path / "small").write_bytes(b"bytes")
    (tmp_path / "big").write_bytes(os.urandom(BIG))
    for name in ("a", "sub/b", "sub/c"):
        file = tmp_path / "data" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(name.encode())
    for name in ("small", "big", "data"):
        content = store.put_artifact(f"{PREFIX}/{name}", tmp_path / name)
        uri = f"{store.uri}/{PREFIX}/{name}"
        made.append(Artifact(name, uri, content.digest, content.size_bytes, content.media_type, "file"))
    lab = Lab.make(tmp_path)
    lab.land(records.task("r1", "train", outputs=tuple(made)))
    foreign = records.artifact("raw", "s3://elsewhere/raw.csv")
    lab.land(records.task("r2", "use", inputs=(made[0], foreign)), records.run("r2"))
    return lab


def judged(lab: Lab, store: Store) -> tuple[Checked, list[tuple[str, str, str]]]:
    """What was counted; of each finding its code, the artifact's name and the record's."""
    found = Found()
    checked = check(lab.repository, lab.tip, {store.uri: store}, found)
    told = [(one.code, one.message.partition(": ")[0].rpartition("/")[2], one.path) for one in found.kept]
    return checked, told


def test_all_is_there(lab: Lab, store: Store) -> None:
    checked, told = judged(lab, store)
    assert told == []
    assert checked == Checked(artifacts=3, size_bytes=5 + BIG + 11, elsewhere=1)  # one is named twice, and read once
    found = Found()
    assert check(lab.repository, lab.tip, {store.uri: store}, found, since=lab.commits[0]).artifacts == 1


def path_of(store: Store, name: str) -> Path:
    assert isinstance(store, Folder)
    return store.root / PREFIX / name


def write(store: Store, s3: S3, name: str, data: bytes | None) -> None:
    """Put other bytes there, as somebody with the right to would; None: take them away."""
    if isinstance(store, Folder):
        path = path_of(store, name)
        path.unlink(missing_ok=True)
        if data is not None:
            path.write_bytes(data)
    elif data is None:
        del s3.objects[f"{PREFIX}/{name}"]
    else:
        s3.objects[f"{PREFIX}/{name}"] = data


def read(store: Store, s3: S3, name: str) -> bytes:
    return path_of(store, name).read_bytes() if isinstance(store, Folder) else s3.objects[f"{PREFIX}/{name}"]


Deed = Callable[[Store, S3], None]
ATTACKS: dict[str, tuple[str, str, Deed]] = {
    "missing": ("artifact-missing", "small", lambda store, s3: write(store, s3, "small", None)),
    "altered": ("artifact-altered", "small", lambda store, s3: write(store, s3, "small", b"BYTES")),
    "longer": ("artifact-altered", "small", lambda store, s3: write(store, s3, "small", b"bytes\n")),
    "emptied": ("artifact-altered", "small", lambda store, s3: write(store, s3, "small", b"")),
    "a large one truncated": (
        "artifact-altered",
        "big",
        lambda store, s3: write(store, s3, "big", read(store, s3, "big")[:-1]),
    ),
    "a large one altered at its end": (
        "artifact-altered",
        "big",
        lambda store, s3: write(store, s3, "big", read(store, s3, "big")[:-4] + b"last"),
    ),
    "a folder with a file less": ("artifact-altered", "data", lambda store, s3: write(store, s3, "data/sub/b", None)),
    "a folder with a file more": ("artifact-altered", "data", lambda store, s3: write(store, s3, "data/sub/d", b"d")),
    "a file of a folder altered": ("artifact-altered", "data", lambda store, s3: write(store, s3, "data/a", b"A")),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_is_wrong_is_found(lab: Lab, store: Store, s3: S3, attack: str) -> None:
    code, name, deed = ATTACKS[attack]
    deed(store, s3)
    checked, told = judged(lab, store)
    first = records.task("r1", "train").path
    assert told == [(code, name, first)]
    assert checked.artifacts == 2


def test_a_folder_s_list_that_was_forged(lab: Lab, store: Store, s3: S3) -> None:
    if isinstance(store, Folder):
        pytest.skip("a folder of this machine has no list beside it")
    s3.objects[f"{PREFIX}/data/a"] = b"A"
    good = s3.objects[f"{PREFIX}/data{MANIFEST}"]
    for forged in (good.replace(b'"a"', b'"z"'), b"{}", b"no json", b"["):
        s3.objects[f"{PREFIX}/data{MANIFEST}"] = forged
        assert [code for code, *_ in judged(lab, store)[1]] == ["artifact-altered"]
    del s3.objects[f"{PREFIX}/data{MANIFEST}"]
    assert [code for code, *_ in judged(lab, store)[1]] == ["artifact-missing"]


def test_what_was_thrown_away_is_no_loss(lab: Lab, store: Store, s3: S3) -> None:
    key = f"{PREFIX}/small"
    collected.note(store, [key], now=NOW, env="local", ledgers=[lab.tip])
    assert judged(lab, store)[0].artifacts == 3  # a list alone throws nothing away
    write(store, s3, "small", None)
    checked, told = judged(lab, store)
    assert (told, checked.artifacts, checked.collected) == ([], 2, 1)
    write(store, s3, "big", None)
    assert [name for _, name, _ in judged(lab, store)[1]] == ["big"]


@pytest.mark.parametrize("key", ["../secret", "churn//x", "a/./b", "x" * 2000])
def test_a_place_that_no_store_has(lab: Lab, store: Store, tmp_path: Path, key: str) -> None:
    """A forged record must not have other files read."""
    (tmp_path / "secret").write_text("secret")
    entry = records.task("rx", outputs=(records.artifact("x", f"{store.uri}/{key}"),))
    lab.land(entry)
    assert [(code, path) for code, _, path in judged(lab, store)[1]] == [("artifact-missing", entry.path)]


def test_a_link_in_the_place_of_an_artifact(lab: Lab, store: Store, tmp_path: Path) -> None:
    if not isinstance(store, Folder):
        pytest.skip("a bucket has no links")
    path = path_of(store, "small")
    path.unlink()
    path.symlink_to(tmp_path / "small")
    assert judged(lab, store)[1] == [("artifact-altered", "small", records.task("r1", "train").path)]


def test_two_digests_at_one_place_are_two_artifacts(lab: Lab, store: Store) -> None:
    uri = f"{store.uri}/{PREFIX}/small"
    entry = replace(records.task("r3"), outputs=(records.artifact("small", uri),))
    lab.land(entry)
    assert judged(lab, store)[1] == [("artifact-altered", "small", entry.path)]
