"""Files to a bucket and back: many requests at once, in bounded memory, every byte hashed as it passes.

Small files travel side by side. A big one has the way to itself, with its parts side by side: so the same number of
bytes is held, whatever comes. What is checked after an upload: the size, asked back from the store; and by an S3 the
SHA-256 of each body, which goes with it and which the store compares before it keeps anything (a multipart upload: of
each part). Google's and Azure's clients send no checksum: there it is TLS, the size, and the digest when it is read.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotSupportedError, PreconditionError
from obstore.store import ObjectStore

from mlgen.diagnostic import CannotAnswer
from mlgen.store import disk
from mlgen.store.beneath import Held
from mlgen.store.content import Hashed, chunks, hash_file
from mlgen.store.errors import Mismatch, Taken
from mlgen.store.refusal import is_bucket_missing, is_damaged, is_lost, spent_seconds
from mlgen.store.threads import threads

if TYPE_CHECKING:
    from concurrent.futures import Future

    from obstore import GetOptions, GetResult  # they exist for types only
    from obstore.store import RetryConfig

PART_BYTES = 8 << 20  # of a multipart upload, and the largest file that goes up in one request
MAX_PARTS = 10_000  # S3's limit: a file over 80 GiB has larger parts
RANGE_BYTES = 4 << 20  # of a download: obstore holds a body twice while it puts it together
IN_FLIGHT_BYTES = 32 << 20
AT_ONCE = 16  # requests
PAUSES_SECONDS = (0.2, 1.0)
LONGEST_PAUSE_SECONDS = 5.0

T = TypeVar("T")


def in_order(calls: Iterable[tuple[int, Callable[[], T]]]) -> Generator[T]:
    """The results of calls in their order, while those behind them run already.

    calls: with the bytes that each holds; as many run as fit into IN_FLIGHT_BYTES, at least one. An error of one is
    raised in its turn, and those not begun are dropped. Close it where it is not read to its end.
    """
    running: deque[tuple[int, Future[T]]] = deque()
    held = 0
    with threads(AT_ONCE) as pool:
        for size_bytes, call in calls:
            while running and (len(running) == AT_ONCE or held + size_bytes > IN_FLIGHT_BYTES):
                freed, first = running.popleft()
                yield first.result()
                held -= freed
            running.append((size_bytes, pool.submit(call)))
            held += size_bytes
        while running:
            yield running.popleft()[1].result()


def persist(objects: ObjectStore, call: Callable[[], T]) -> T:
    """A call's result; repeated where it may help and obstore, which repeats most by itself, does not.

    A connection that broke for as long as obstore would repeat a request; bytes that arrived damaged a few times.
    """
    left = _patience_seconds(objects)
    for pause in chain(PAUSES_SECONDS, repeat(LONGEST_PAUSE_SECONDS)):
        try:
            return call()
        except BaseError as error:
            left -= pause + spent_seconds(error)
            if not is_lost(error) and not (is_damaged(error) and pause in PAUSES_SECONDS):
                raise
            if left <= 0:
                raise
        time.sleep(pause)
    raise AssertionError("the pauses have no end")


def _patience_seconds(objects: ObjectStore) -> float:
    config: RetryConfig | None = getattr(objects, "retry_config", None)  # a store in memory has none
    return config["retry_timeout"].total_seconds() if config else sum(PAUSES_SECONDS)


def find(objects: ObjectStore, key: str) -> GetResult | None:
    """An object, its body not read yet; None where there is none.

    Not by HEAD, whose answer has no body: it could not say that the bucket is missing, or the credentials are bad.
    """
    try:
        return persist(objects, lambda: obstore.get(objects, key))
    except FileNotFoundError as error:
        if is_bucket_missing(error):
            raise
        return None


def put_once(objects: ObjectStore, key: str, data: bytes, where: str) -> None:
    """Keep bytes under a key that has none. The same bytes again are fine. Raises Taken for others.

    where: the key and its store, for people.
    """
    for seconds in PAUSES_SECONDS:
        try:
            persist(objects, lambda: obstore.put(objects, key, data, mode="create", use_multipart=False))
            return
        except AlreadyExistsError:
            kept = find(objects, key)
        except NotSupportedError:
            # A store without conditional puts. Keys that two writers share hold the digest of their bytes.
            if (kept := find(objects, key)) is None:
                persist(objects, lambda: obstore.put(objects, key, data, use_multipart=False))
                return
        if kept is not None:
            if kept.meta["size"] != len(data) or bytes(kept.bytes()) != data:
                raise Taken(f"other bytes are kept as {where} already")
            return
        time.sleep(seconds)  # S3's 409: another's put of that key was under way, and came to nothing
    raise CannotAnswer(
        "store-busy",
        f"{where} is not there, and cannot be put either",
        why="others put and delete it at the same time",
        fix="run the same command again",
    )


def upload(objects: ObjectStore, key: str, held: Held, where: str) -> Hashed:
    """Keep a file under a key that has none; what passed. The same bytes again are fine. Raises Taken for others.

    The digest is of the bytes that were sent, whoever writes to the file meanwhile. Between the look and the end of a
    big file's upload another's could come, and be replaced: below an execution's own prefix nobody else writes.
    """
    with closing(chunks(held, PART_BYTES)) as parts:
        passed = Hashed(parts)
        stream = iter(passed)
        first = bytes(next(stream, b""))
        if next(stream, None) is None:
            put_once(objects, key, first, where)
            return _checked(objects, key, passed, where)
    if (found := find(objects, key)) is None:
        return _checked(objects, key, persist(objects, lambda: _multipart(objects, key, held)), where)
    kept = Hashed(_pieces(objects, key, found, where)).drained()
    if (passed := hash_file(held)).sha256 != kept.sha256:
        raise Taken(f"other bytes are kept as {where} already")
    return passed


def _multipart(objects: ObjectStore, key: str, held: Held) -> Hashed:
    part_bytes = max(PART_BYTES, -(-held.size_bytes // MAX_PARTS))
    with closing(chunks(held, part_bytes)) as parts:
        passed = Hashed(parts)
        at_once = max(1, IN_FLIGHT_BYTES // part_bytes)
        obstore.put(objects, key, passed, chunk_size=part_bytes, max_concurrency=at_once)
    return passed


def _checked(objects: ObjectStore, key: str, passed: Hashed, where: str) -> Hashed:
    kept_bytes = obstore.head(objects, key)["size"]
    if kept_bytes != passed.size_bytes:
        raise _broken(f"{where} has {kept_bytes:,} bytes, and was given {passed.size_bytes:,}")
    return passed


def download(
    objects: ObjectStore, key: str, target: Path, where: str, *, expected_bytes: int | None = None
) -> Hashed | None:
    """An object's bytes in a new file, and what passed; None where there is no such object.

    expected_bytes: its size, where that is known. Raises Mismatch for another, of which nothing is read; and when the
    object changes meanwhile: nothing is promised of the file then.
    """
    if (found := _expected(objects, key, where, expected_bytes)) is None:
        return None
    with os.fdopen(disk.open_new(target), "wb") as file, closing(_pieces(objects, key, found, where)) as pieces:
        passed = Hashed(pieces)
        file.writelines(passed)
    return _whole(passed, found, where)


def look(objects: ObjectStore, key: str, where: str, *, expected_bytes: int | None = None) -> Hashed | None:
    """As `download`, to nowhere: what an object's bytes are."""
    if (found := _expected(objects, key, where, expected_bytes)) is None:
        return None
    with closing(_pieces(objects, key, found, where)) as pieces:
        return _whole(Hashed(pieces).drained(), found, where)


def _expected(objects: ObjectStore, key: str, where: str, expected_bytes: int | None) -> GetResult | None:
    found = find(objects, key)
    if found is not None and expected_bytes not in (None, found.meta["size"]):
        raise Mismatch(f"{where} has {found.meta['size']:,} bytes, not {expected_bytes:,}")
    return found


def _whole(passed: Hashed, found: GetResult, where: str) -> Hashed:
    if passed.size_bytes != found.meta["size"]:
        raise _broken(f"{where} has {found.meta['size']:,} bytes, and gave {passed.size_bytes:,}")
    return passed


def _pieces(objects: ObjectStore, key: str, found: GetResult, where: str) -> Generator[memoryview]:
    """The body of an object: as it comes where it is small, else its first bytes so, and the rest range by range."""
    meta = found.meta
    if meta["size"] <= RANGE_BYTES:
        yield memoryview(found.bytes())
        return
    stream = found.stream(min_chunk_size=RANGE_BYTES)
    first = next(stream)
    del stream  # its connection ends here
    yield memoryview(first)
    ranges = ((at, min(at + RANGE_BYTES, meta["size"])) for at in range(len(first), meta["size"], RANGE_BYTES))
    calls = ((end - at, partial(_range, objects, key, (at, end), meta["e_tag"], where)) for at, end in ranges)
    with closing(in_order(calls)) as rest:
        yield from rest


def _range(objects: ObjectStore, key: str, ends: tuple[int, int], tag: str | None, where: str) -> memoryview:
    options: GetOptions = {"range": ends}
    if tag is not None:
        options["if_match"] = tag
    try:
        return memoryview(obstore.get(objects, key, options=options).bytes())
    except (PreconditionError, FileNotFoundError):
        raise Mismatch(f"{where} was changed or deleted while it was read") from None


def _broken(message: str) -> CannotAnswer:
    return CannotAnswer(
        "store-broken",
        message,
        why="the store said that all was well, and keeps or gives other bytes than it says",
        fix="look for a proxy or gateway between here and the store that alters what passes",
    )
