"""The only room that touches an artifact folder or a bucket: bytes put by key, whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mlgen.diagnostic import Misuse
from mlgen.store.base import Item, Store, bucket_name
from mlgen.store.beneath import Held, hold
from mlgen.store.content import Content, measure
from mlgen.store.errors import BadArtifact, BadKey, Mismatch, Missing, StoreError, Taken, TooLarge
from mlgen.store.folder import Folder
from mlgen.store.keys import claim, forget

__all__ = [
    "BadArtifact",
    "BadKey",
    "Content",
    "Folder",
    "Held",
    "Item",
    "Mismatch",
    "Missing",
    "Store",
    "StoreError",
    "Taken",
    "TooLarge",
    "bucket_name",
    "claim",
    "forget",
    "hold",
    "locate",
    "measure",
    "open_store",
]

BUCKETS = ("s3://", "gs://", "az://")


def open_store(
    uri: str, *, options: Mapping[str, str | None] | None = None, base: Path, patience_seconds: float = 120.0
) -> Store:
    """The store at a URI: a folder (relative to `base`, or absolute), or a bucket with or without a prefix.

    options: of a bucket, as obstore names them: `endpoint`, `region`, `access_key_id`, `secret_access_key`, …; and
    `secret`, the name of the Kubernetes secret that the keys are from, which errors tell; None is as not given.
    patience_seconds: how long a bucket's request is repeated while the bucket is away.
    Raises Misuse for a scheme that there is no store for, CannotAnswer where a bucket has no credentials.
    """
    if uri.startswith(BUCKETS):
        # Here: obstore costs 36 ms to load, and a run on this machine needs none of it.
        from mlgen.store.bucket import Bucket

        given = {name: value for name, value in (options or {}).items() if value is not None}
        return Bucket.open(uri, given, patience_seconds=patience_seconds)
    if "://" in uri and not uri.startswith("file://"):
        raise Misuse("bad-store", f'there is no store for "{uri}"', fix="use a folder, s3://, gs:// or az://")
    path = uri.removeprefix("file://")
    return Folder(base / path, path)


def locate(uri: str) -> tuple[str, str]:
    """(store, key) of an artifact at a URI: `open_store(store, …).get_artifact(key, …)` reads it.

    A bucket's key keeps a "/" at its end, which says that it is a folder.
    """
    if uri.startswith(BUCKETS):
        scheme, _, rest = uri.partition("://")
        bucket, _, key = rest.partition("/")
        return f"{scheme}://{bucket}", key
    path = uri.removeprefix("file://").rstrip("/")
    folder, slash, name = path.rpartition("/")
    return folder or slash or ".", name
