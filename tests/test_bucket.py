"""A store in a bucket over S3's protocol, against a server here that fails as it is told."""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlgen.diagnostic import Fault
from mlgen.store import BadArtifact, Mismatch, Missing, Store, Taken, manifest, open_store
from tests import s3 as fake
from tests.s3 import CUT, DAMAGE, DROP, HANG, LOSE, S3, Answer, Trouble

GENERATOR = Path(__file__).parents[1] / "generator"
MEBI = 1 << 20


@pytest.fixture
def s3() -> Iterator[S3]:
    with fake.serve() as server:
        yield server


def open_at(s3: S3, patience_seconds: float = 5, **changed: str) -> Store:
    options = {**s3.options, **changed}
    return open_store("s3://b", options=options, base=Path(), patience_seconds=patience_seconds)


def make(path: Path, size_bytes: int) -> bytes:
    data = random.Random(size_bytes).randbytes(size_bytes)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return data


def first(count: int, what: Trouble, method: str = "", having: str = "") -> Callable[[str, str], Trouble]:
    """Trouble for the first so many requests of a method for a key."""
    left = itertools.count(count, -1)
    lock = threading.Lock()

    def trouble(asked: str, target: str) -> Trouble:
        if method not in ("", asked) or having not in target:
            return None
        with lock:
            return what if next(left) > 0 else None

    return trouble


def fault(use: Callable[[], object]) -> Fault:
    with pytest.raises(Fault) as error:
        use()
    return error.value


def shown(fault: Fault) -> str:
    return f"{fault} {fault.why} {fault.fix}"


@pytest.mark.parametrize("size_bytes", [0, 1, 8 * MEBI - 1, 8 * MEBI, 8 * MEBI + 1, 21 * MEBI + 7])
def test_a_file_of_any_size_comes_back(s3: S3, tmp_path: Path, size_bytes: int) -> None:
    data = make(tmp_path / "x", size_bytes)
    content = open_at(s3).put_artifact("k/x", tmp_path / "x")
    assert (content.digest, content.size_bytes) == (f"sha256:{hashlib.sha256(data).hexdigest()}", size_bytes)
    assert s3.objects == {"k/x": data}
    assert open_at(s3).get_artifact("k/x", tmp_path / "copy", digest=content.digest) == content
    assert (tmp_path / "copy").read_bytes() == data


def test_a_folder_of_small_and_big_files_comes_back(s3: S3, tmp_path: Path) -> None:
    sizes = {"a": 12 * MEBI, "deep/b": 3, "deep/c": 0, "z": 9 * MEBI} | {f"many/{n}": 1000 + n for n in range(100)}
    files = {name: make(tmp_path / "set" / name, size) for name, size in sizes.items()}
    content = open_at(s3).put_artifact("k/set", tmp_path / "set")
    assert open_at(s3).get_artifact("k/set", tmp_path / "copy", digest=content.digest) == content
    assert {name: (tmp_path / "copy" / name).read_bytes() for name in files} == files


@pytest.mark.parametrize("what", [Answer(503, "SlowDown"), Answer(429, "TooManyRequests"), DROP, LOSE], ids=str)
def test_a_third_of_the_calls_fail(s3: S3, tmp_path: Path, what: Trouble) -> None:
    chance = random.Random(7)
    s3.trouble = lambda _method, _key: what if chance.random() < 1 / 3 else None
    for name, size in {"big": 9 * MEBI, "a": 3, "b": 0}.items():
        make(tmp_path / "set" / name, size)
    store = open_at(s3, 30)
    content = store.put_artifact("k/set", tmp_path / "set")
    store.put("_ledger/spool/a", b"record")
    assert store.get("_ledger/spool/a") == b"record"
    assert store.keys("_ledger") == ["_ledger/spool/a"]
    assert store.get_artifact("k/set", tmp_path / "copy", digest=content.digest) == content
    store.delete("_ledger/spool/a")
    with pytest.raises(Missing):
        store.get("_ledger/spool/a")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_answer_that_is_cut_off_is_asked_for_again(s3: S3, made: Path, tmp_path: Path, method: str) -> None:
    s3.trouble = first(2, CUT, method)
    store = open_at(s3)
    content = store.put_artifact("k/big", made / "big")
    s3.trouble = first(2, CUT, method)
    assert store.keys("k") == ["k/big"]
    s3.trouble = first(2, CUT, method)
    assert store.get_artifact("k/big", tmp_path / "copy") == content


@pytest.mark.parametrize("what", [Answer(409, "ConditionalRequestConflict"), LOSE, HANG, DAMAGE], ids=str)
def test_a_put_whose_answer_is_not_told_lands_once(s3: S3, what: Trouble) -> None:
    s3.trouble = first(1, what, "PUT")
    open_at(s3, 2).put("k", b"data")
    assert s3.objects == {"k": b"data"}
    with pytest.raises(Taken):
        open_at(s3).put("k", b"other")
    assert s3.objects == {"k": b"data"}


def test_a_big_file_is_kept_once(s3: S3, tmp_path: Path) -> None:
    data = make(tmp_path / "x", 9 * MEBI)
    kept = open_at(s3).put_artifact("k", tmp_path / "x")
    s3.asked.clear()
    assert open_at(s3).put_artifact("k", tmp_path / "x") == kept
    assert {method for method, _ in s3.asked} == {"GET"}
    make(tmp_path / "x", 10 * MEBI)
    with pytest.raises(Taken, match="kept as k in s3://b"):
        open_at(s3).put_artifact("k", tmp_path / "x")
    assert s3.objects == {"k": data}


def test_damage_on_the_way_up_never_is_kept(s3: S3, tmp_path: Path) -> None:
    data = make(tmp_path / "x", 9 * MEBI)
    s3.trouble = first(1, DAMAGE, "PUT")
    open_at(s3).put_artifact("k", tmp_path / "x")
    assert s3.objects == {"k": data}
    s3.trouble = lambda method, _key: DAMAGE if method == "PUT" else None
    told = fault(lambda: open_at(s3).put("small", b"data"))
    assert told.code == "store-broken"
    assert "small" not in s3.objects


def test_fewer_bytes_kept_than_were_given_are_told(s3: S3, tmp_path: Path) -> None:
    make(tmp_path / "x", 1000)

    def forget(method: str, key: str) -> Trouble:
        if method == "HEAD":
            s3.objects[key] = s3.objects[key][:10]
        return None

    s3.trouble = forget
    told = fault(lambda: open_at(s3).put_artifact("k", tmp_path / "x"))
    assert (told.code, "k in s3://b has 10 bytes, and was given 1,000" in str(told)) == ("store-broken", True)


def test_an_object_that_changes_while_it_is_read_is_no_mixture(s3: S3, tmp_path: Path) -> None:
    s3.objects["raw"] = b"a" * 9 * MEBI
    asked = itertools.count()

    def change(_method: str, key: str) -> Trouble:
        if next(asked) == 1:
            s3.objects[key] = b"b" * 9 * MEBI
        return None

    s3.trouble = change
    with pytest.raises(Mismatch, match="changed or deleted while it was read"):
        open_at(s3).get_artifact("raw", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_damaged_file_of_a_folder_is_named(s3: S3, tmp_path: Path) -> None:
    for name in "abc":
        make(tmp_path / "set" / name, 100)
    open_at(s3).put_artifact("k/set", tmp_path / "set")
    s3.objects["k/set/b"] = bytes(100)
    with pytest.raises(Mismatch, match="k/set/b in s3://b has the digest"):
        open_at(s3).get_artifact("k/set", tmp_path / "copy")
    del s3.objects["k/set/b"]
    with pytest.raises(Mismatch, match="k/set/b in s3://b is not there"):
        open_at(s3).get_artifact("k/set", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


USES: dict[str, Callable[[Store, Path], object]] = {
    "put": lambda store, _: store.put("k", b"data"),
    "get": lambda store, _: store.get("k"),
    "keys": lambda store, _: store.keys("k"),
    "delete": lambda store, _: store.delete("k"),
    "up": lambda store, path: store.put_artifact("k", path / "file"),
    "up big": lambda store, path: store.put_artifact("k", path / "big"),
    "up folder": lambda store, path: store.put_artifact("k", path / "set"),
    "down": lambda store, path: store.get_artifact("k", path / "copy"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small file, a big one and a folder, only read."""
    folder = tmp_path_factory.mktemp("made")
    make(folder / "file", 10)
    make(folder / "set" / "a", 10)
    make(folder / "big", 9 * MEBI)
    return folder


REFUSALS = [
    (Answer(403, "InvalidAccessKeyId"), "store-credentials", "no such access key id"),
    (Answer(403, "SignatureDoesNotMatch"), "store-credentials", "does not belong to the access key id"),
    (Answer(403, "RequestTimeTooSkewed"), "store-credentials", "clock"),
    (Answer(400, "ExpiredToken"), "store-credentials", "expired"),
    (Answer(403, "AccessDenied"), "store-denied", "allow it"),
    (Answer(404, "NoSuchBucket"), "no-bucket", 'there is no bucket "b"'),
    (Answer(301, "PermanentRedirect"), "store-region", "region"),
    (Answer(400, "AuthorizationHeaderMalformed"), "store-region", "region"),
    (Answer(403, body="<html>Sign in</html>"), "not-a-store", "says 403"),
    (Answer(405, body="no"), "not-a-store", "says 405"),
    (Answer(400, "EntityTooLarge"), "store-odd", "400 EntityTooLarge"),
    (Answer(503, "SlowDown"), "store-unreachable", "answers 503 SlowDown"),
]


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal[0].code or refusal[0].body)
def test_a_refusal_says_whose_secret_and_what_to_do(
    s3: S3, made: Path, use: str, refusal: tuple[Answer, str, str]
) -> None:
    answer, code, says = refusal
    s3.trouble = lambda _method, _key: answer
    told = fault(lambda: USES[use](open_at(s3, 0.2), made))
    assert (told.code, told.exit_code) == (code, 3)
    assert says in shown(told)
    assert "s3://b" in str(told)
    assert s3.endpoint in str(told)
    assert told.fix
    if code in ("store-credentials", "store-denied"):
        assert '"s3-credentials"' in shown(told)
    assert not {"key-id", "key-value", "StringToSign", "x-amz"} & set(shown(told).replace(":", " ").split())
    assert "key-value" not in shown(told)
    assert "\n" not in shown(told)
    assert not (made / "copy").exists()


@pytest.mark.parametrize(
    ("endpoint", "says"),
    [
        ("http://127.0.0.1:1", "nothing listens there"),
        ("http://no-such-host.invalid", "its name is not known here"),
        ("https://127.0.0.1:{port}", "does not speak HTTPS"),
    ],
)
def test_an_endpoint_that_is_not_reached(s3: S3, endpoint: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    endpoint = endpoint.format(port=s3.endpoint.rpartition(":")[2])
    told = fault(lambda: open_at(s3, 1, endpoint=endpoint).get("k"))
    assert (told.code, says in str(told), endpoint in str(told)) == ("store-unreachable", True, True)


GONE = [(use, what) for use in ("put", "keys", "up big", "up folder", "down") for what in (DROP, HANG)]


@pytest.mark.parametrize(("use", "what"), [*GONE, ("keys", CUT), ("up big", CUT), ("down", CUT)])
def test_a_store_that_is_gone_for_good_is_given_up(s3: S3, made: Path, use: str, what: Trouble) -> None:
    s3.objects["k"] = b"data" * 1000
    s3.trouble = lambda method, _key: None if what == CUT and method == "PUT" else what
    began = time.monotonic()
    assert fault(lambda: USES[use](open_at(s3, 0.5), made)).code == "store-unreachable"
    assert time.monotonic() - began < 5


def test_a_store_that_comes_back_is_waited_for(s3: S3, made: Path) -> None:
    began = time.monotonic()
    s3.trouble = lambda _method, _key: DROP if time.monotonic() - began < 2 else None
    open_at(s3, 30).put_artifact("k", made / "set")
    assert sorted(s3.objects) == ["k.files.json", "k/a"]


def test_a_store_that_drops_connections_is_waited_for_as_long(s3: S3) -> None:
    """obstore gives up a conditional put at the first connection that breaks."""
    began = time.monotonic()
    s3.trouble = lambda _method, _key: DROP if time.monotonic() - began < 3 else None
    open_at(s3, 30).put("k", bytes(3 << 20))
    assert len(s3.objects["k"]) == 3 << 20


@pytest.mark.parametrize("key", ["sts-data/latest/api/token", "oauth2.x", "kind: Timeout", "dns error"])
def test_a_key_is_not_taken_for_what_went_wrong(s3: S3, key: str) -> None:
    s3.trouble = lambda _method, _key: DROP
    told = fault(lambda: open_at(s3, 0.2).get(key))
    assert (told.code, "ends connections without an answer" in str(told)) == ("store-unreachable", True)


def test_the_user_in_an_endpoint_is_not_shown(s3: S3) -> None:
    endpoint = s3.endpoint.replace("//", "//user:pass@")
    s3.trouble = lambda _method, _key: Answer(403, "AccessDenied")
    assert "pass" not in shown(fault(lambda: open_at(s3, 0.2, endpoint=endpoint).get("k")))


@pytest.mark.parametrize("what", [HANG, Answer(404), Answer(403, body="denied")], ids=str)
def test_where_there_are_no_credentials_it_is_soon_told(s3: S3, what: Trouble, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    s3.trouble = lambda _method, target: what if "latest" in target else None
    options = {"endpoint": s3.endpoint, "region": "us-east-1", "metadata_endpoint": s3.endpoint}
    began = time.monotonic()
    told = fault(lambda: open_store("s3://b", options=options, base=Path()))
    assert (told.code, "export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in told.fix) == ("store-credentials", True)
    assert time.monotonic() - began < 15


def test_one_of_two_keys_is_not_enough() -> None:
    told = fault(lambda: open_store("s3://b", options={"access_key_id": "x", "secret": "keys"}, base=Path()))
    assert (told.code, '"keys"' in told.fix, "the other is not" in told.why) == ("store-credentials", True, True)


PUT_FOREVER = """
import itertools, sys
from pathlib import Path
from mlgen.store import open_store
options = dict(zip(("endpoint", "region", "access_key_id", "secret_access_key"), sys.argv[2:]))
store = open_store("s3://b", options=options, base=Path())
print("ready", flush=True)
for n in itertools.count():
    store.put_artifact(f"k/{n}", Path(sys.argv[1]))
"""


def test_a_kill_in_the_middle_leaves_nothing_that_passes_for_whole(s3: S3, tmp_path: Path) -> None:
    for n in range(20):
        make(tmp_path / "set" / str(n), 20_000 + n)
    make(tmp_path / "set" / "big", 9 * MEBI)
    chance = random.Random(3)
    arguments = [s3.options[name] for name in ("endpoint", "region", "access_key_id", "secret_access_key")]
    halves = 0
    for _ in range(3):
        s3.objects.clear()
        writer = subprocess.Popen(
            [sys.executable, "-c", PUT_FOREVER, tmp_path / "set", *arguments],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(GENERATOR)},
        )
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(0.1 + chance.random() * 0.2)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        keys = {"/".join(key.split("/")[:2]).removesuffix(".files.json") for key in list(s3.objects)}
        for key in sorted(keys):
            copy = tmp_path / "copy"
            try:
                content = open_at(s3).get_artifact(key, copy)
            except Missing:
                halves += 1
                continue
            assert content.size_bytes == sum(20_000 + n for n in range(20)) + 9 * MEBI
            assert open_at(s3).has(key)
            subprocess.run(["rm", "-r", copy], check=True)
    assert halves, "no kill fell into an upload: the test says nothing"


GOOD = f'{{"path": "a", "sizeBytes": 1, "sha256": "{hashlib.sha256(b"a").hexdigest()}"}}'


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (GOOD.replace(" 1", " Infinity"), "a size is no number"),
        (GOOD.replace(" 1", " 1e999"), "a size is no number"),
        (GOOD.replace(" 1", " -1"), "a size is no number"),
        (GOOD.replace(" 1", " true"), "a size is no number"),
        (GOOD.replace(" 1", " " + "9" * 5000), "digits"),
        (GOOD.replace('"a"', '"../a"'), "is no key"),
        (GOOD.replace('"a"', f'"{"a" * 256}"'), "longer than 255 bytes"),
        (GOOD.replace('"a"', "7"), "lacks what each file has"),
        (GOOD.replace('"a"', GOOD), "lacks what each file has"),
        (GOOD.replace("sha256", "sha"), "lacks what each file has"),
        (f"{GOOD}, {GOOD}", "has a twice"),
        (", ".join(GOOD.replace('"a"', path) for path in ('"a/b"', '"a.b"', '"a"')), "as a file and as a folder"),
        ("[" * 100_000 + "]" * 100_000, "nested too deep"),
        ("7", "not a list of files"),
        (GOOD + ",", "no JSON"),
    ],
)
def test_a_list_of_files_that_somebody_else_wrote(s3: S3, tmp_path: Path, files: str, said: str) -> None:
    s3.objects |= {"in/a": b"a", "in.files.json": f'{{"files": [{files}], "version": 1}}'.encode()}
    with pytest.raises(BadArtifact, match=said):
        open_at(s3).get_artifact("in", tmp_path / "in")
    assert not (tmp_path / "in").exists()


def test_a_list_of_files_with_too_many(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        make(tmp_path / "made" / name, 1)
    open_at(s3).put_artifact("in", tmp_path / "made")
    asked = len(s3.asked)
    monkeypatch.setattr(manifest, "MAX_BYTES", 200)
    with pytest.raises(BadArtifact, match="too many files"):
        open_at(s3).put_artifact("more", tmp_path / "made")
    assert len(s3.asked) == asked, "nothing went up"
    with pytest.raises(BadArtifact, match="not one that mlgen wrote"):
        open_at(s3).get_artifact("in", tmp_path / "in")


def test_a_file_of_a_folder_that_is_larger_than_its_list_says(s3: S3, tmp_path: Path) -> None:
    make(tmp_path / "made" / "a", 1)
    open_at(s3).put_artifact("in", tmp_path / "made")
    s3.objects["in/a"] = bytes(MEBI)
    with pytest.raises(Mismatch, match="1,048,576 bytes, not 1"):
        open_at(s3).get_artifact("in", tmp_path / "in")


def test_what_others_uploaded_and_no_folder_can_hold(s3: S3, tmp_path: Path) -> None:
    s3.objects |= {"in/a": b"a", "in/a/b": b"b"}
    with pytest.raises(BadArtifact, match="as a file and as a folder"):
        open_at(s3).get_artifact("in/", tmp_path / "in")


def not_deleted(key: str, code: str) -> Answer:
    """What S3 answers to a request for many keys, of which it keeps one."""
    error = f"<Error><Key>{key}</Key><Code>{code}</Code><Message>no</Message></Error>"
    return Answer(200, body=fake.xml(f"<DeleteResult>{error}</DeleteResult>").decode())


@pytest.mark.parametrize("answer", [Answer(403, "AccessDenied"), not_deleted("b", "AccessDenied")])
def test_who_may_not_delete_is_told_so(s3: S3, answer: Answer) -> None:
    s3.objects |= {"a": b"1", "b": b"2"}
    s3.trouble = lambda method, _key: answer if method == "POST" else None
    said = fault(lambda: open_at(s3).discard(["a", "b"]))
    assert said.code == "store-denied"
    assert "delete below s3://b" in said.fix
    assert set(s3.objects) == {"a", "b"}


def test_a_store_too_busy_to_delete_is_told_so(s3: S3) -> None:
    s3.trouble = lambda method, _key: not_deleted("b", "SlowDown") if method == "POST" else None
    assert fault(lambda: open_at(s3).discard(["a", "b"])).code == "store-unreachable"


@pytest.mark.parametrize("key", ["a//b", "a/../b", "a/b\x01"])
def test_a_key_that_no_file_could_have_is_said_to_be_there(s3: S3, key: str) -> None:
    s3.objects[key] = b"1"
    said = fault(lambda: list(open_at(s3).listing()))
    assert said.code == "store-odd"
    assert "whose key no file could have" in said.message
