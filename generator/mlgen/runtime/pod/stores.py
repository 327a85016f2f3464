"""The stores that a pod reaches: of the environment's artifacts, and where its inputs lie."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mlgen.runtime.pod.contract import Bucket, Platform
from mlgen.runtime.protocol import TaskDocument
from mlgen.store import Store, bucket_name, open_store

BASE = Path("/")  # of a folder's path: in a pod nothing is relative
PATIENCE_SECONDS = 300.0  # with a store that is away, of a step whose work would be lost


def open_artifacts(document: TaskDocument, *, patience_seconds: float = PATIENCE_SECONDS) -> Store:
    """The store of the environment's artifacts; its keys are variables. Raises CannotAnswer, Misuse."""
    options = _options(_platform(document).s3)
    return open_store(document.artifacts, options=options, base=BASE, patience_seconds=patience_seconds)


def open_input(document: TaskDocument, uri: str, bucket_keys: Mapping[str, Mapping[str, str]]) -> Store:
    """The store at an input's URI. bucket_keys: as in `TaskPod`. Raises CannotAnswer, Misuse."""
    platform = _platform(document)
    bucket = bucket_name(uri)
    found = dict(platform.buckets).get(bucket, platform.s3)
    options = {**_options(found), **bucket_keys.get(bucket, {})}
    return open_store(uri, options=options, base=BASE, patience_seconds=PATIENCE_SECONDS)


def _platform(document: TaskDocument) -> Platform:
    return document.platform or Platform()


def _options(bucket: Bucket) -> dict[str, str | None]:
    return {"endpoint": bucket.endpoint, "region": bucket.region, "secret": bucket.secret}
