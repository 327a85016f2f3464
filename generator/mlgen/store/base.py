"""What every store can do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from mlgen.store.beneath import Held
from mlgen.store.content import Content
from mlgen.store.errors import BadKey, Mismatch, TooLarge

SMALL = 4 << 20  # bytes of a small object: four times the largest record


@dataclass(frozen=True, slots=True)
class Item:
    """What is kept under a key. kept_at: when it was put, by the store's clock."""

    key: str
    size_bytes: int
    kept_at: datetime


class Store(Protocol):
    """Bytes by key. A key is a relative posix path; `check_key` says which ones are good.

    Every method raises CannotAnswer when the store cannot be used at all: "disk-full"; of a bucket
    "store-unreachable", "store-credentials", "store-denied", "no-bucket" and their kin in `store.refusal`.
    """

    @property
    def uri(self) -> str:
        """What stands before "/" and a key in an artifact's URI."""
        ...

    def put(self, key: str, data: bytes) -> None:
        """Keep a small object, once: the same bytes again are fine, others raise Taken. Durable when it returns."""
        ...

    def get(self, key: str, *, at_most: int = SMALL) -> bytes:
        """A small object's bytes. Raises Missing; TooLarge for more than so many, which are not read."""
        ...

    def keys(self, folder: str) -> list[str]:
        """The keys below a folder, at any depth, sorted."""
        ...

    def items(self, folder: str) -> Iterator[Item]:
        """What is kept below a folder, at any depth, in the order of keys; nothing of it is read.

        Of a bucket a thousand are asked for at a time, when they are.
        """
        ...

    def item(self, key: str) -> Item | None:
        """What is known of a small object without reading it; None where there is none."""
        ...

    def delete(self, key: str) -> None:
        """Forget a small object. One that is not there is fine."""
        ...

    def delete_all(self, keys: Sequence[str]) -> None:
        """Forget small objects, in few requests where the store can. Cut off, it has forgotten some."""
        ...

    def listing(self) -> Iterator[Item]:
        """All that is kept, told as it is found, what is in one folder together; also what a kill left unfinished.

        What is put or forgotten meanwhile may be told or not.
        """
        ...

    def discard(self, keys: Sequence[str]) -> None:
        """Forget objects as `listing` names them, the first ones first, and the folders that held nothing else.

        Those that are not there are fine. Cut off, it has forgotten some.
        """
        ...

    def has(self, key: str) -> bool:
        """Whether an artifact, file or folder, is kept under a key, whole. Reads none of its bytes."""
        ...

    def size_of(self, key: str) -> int | None:
        """The bytes of an artifact that is kept whole; None where it is not. None of them are read."""
        ...

    def put_artifact(self, key: str, path: Path, *, beneath: Path | None = None) -> Content:
        """Keep a file or a folder, and say what it holds. The same content again is fine, other raises Taken.

        beneath: a folder above `path` below which others write: no link is followed there, whenever it comes. None:
        its parent. Raises BadArtifact, Missing when there is nothing at `path`.
        """
        ...

    def put_file(self, key: str, held: Held) -> Content:
        """Keep an open file, whatever becomes of its name, and say what was kept. Raises Taken, as `put_artifact`."""
        ...

    def get_artifact(self, key: str, destination: Path, *, digest: str | None = None) -> Content:
        """Copy an artifact to `destination`, which does not exist and whose parent does; say what it holds.

        digest: what the bytes must have. Nothing is left at `destination` when it raises Mismatch, Missing
        or BadArtifact.
        """
        ...

    def measure_artifact(self, key: str) -> Content:
        """Read all bytes of an artifact, keep none, and say what it holds.

        Raises Missing, BadArtifact; Mismatch where a folder in a bucket has other files than its list says.
        """
        ...


def bucket_name(uri: str) -> str:
    """The name of the bucket in a URI such as s3://bucket/key."""
    return uri.partition("://")[2].partition("/")[0]


_SEGMENT = re.compile(r"[^/\x00-\x1f\x7f]+")
MAX_KEY_BYTES = 1024  # S3's limit, the smallest of the stores'


def check_key(key: str) -> str:
    """The key itself. Raises BadKey for one that is absolute, has an empty, "." or ".." part, or is too long."""
    parts = key.split("/")
    if any(part in ("", ".", "..") or not _SEGMENT.fullmatch(part) for part in parts):
        raise BadKey(f"{key[:200]!r} is no key: it must be a relative path without empty parts, . and ..")
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise BadKey(f"{key[:200]!r} is no key: it is not UTF-8 text") from None
    if size > MAX_KEY_BYTES:
        raise BadKey(f"{key[:80]!r}… is no key: it has {size} bytes, more than {MAX_KEY_BYTES}")
    return key


def check_size(data: bytes, at_most: int, where: str) -> bytes:
    """The bytes themselves. Raises TooLarge when they are more than was asked for."""
    if len(data) > at_most:
        raise TooLarge(f"{where} has more than {at_most:,} bytes")
    return data


def check_digest(found: Content, wanted: str | None, where: str) -> Content:
    """The content itself. Raises Mismatch when it has not the digest that was asked for, if any was."""
    if wanted is not None and found.digest != wanted:
        raise Mismatch(f"{where} has the digest {found.digest}, not {wanted}")
    return found
