"""An artifact as a record names it: bytes known by digest, at a URI, which OpenLineage calls a dataset.

Source: OpenLineage's naming rules: namespace "s3://bucket" and name key for object stores, namespace "file" and
name path for file systems. A local path is relative to the project's folder, so that a record says the same on
every machine.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mlgen.ledger.records.fields import BadRecord, Fields

_BUCKET = re.compile(r"([a-z][a-z0-9+.-]*://[^/]+)/(.+)", re.DOTALL)
_HADOOP = re.compile("^s3[an]?://", re.IGNORECASE)
FILE = "file"
HEX = re.compile(r"[0-9a-f]{64}")
_PUBLISHED = re.compile(r"[a-z0-9]+://.*/_inputs/[0-9a-f]{64}/(?P<name>[^/]+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Artifact:
    """One in or out of an execution. digest: "sha256:" and 64 hex. name: the in's or out's in the spec.

    uri: `s3://bucket/key`, or a path: relative to the project's folder, or absolute.
    """

    name: str
    uri: str
    digest: str
    size_bytes: int
    media_type: str
    type: str


def dataset_name(uri: str) -> tuple[str, str]:
    """(namespace, name) of the dataset that a URI is."""
    if uri.startswith("file://"):
        return FILE, uri[len("file://") :]
    match = _BUCKET.fullmatch(uri)
    return (match[1], match[2]) if match else (FILE, uri)


def uri_of(namespace: str, name: str) -> str:
    """The URI of a dataset: the inverse of `dataset_name`."""
    return name if namespace == FILE else f"{namespace}/{name}"


def spelled(uri: str) -> str:
    """A URI as mlgen spells it: Hadoop has three names for one bucket, and OpenLineage wants the first."""
    return _HADOOP.sub("s3://", uri, count=1)


def to_dataset(artifact: Artifact, facet: dict[str, object]) -> dict[str, object]:
    """The dataset of a record. facet: the keys that every facet has."""
    namespace, name = dataset_name(artifact.uri)
    about = {
        **facet,
        "sha256": artifact.digest.removeprefix("sha256:"),
        "sizeBytes": artifact.size_bytes,
        "mediaType": artifact.media_type,
        "type": artifact.type,
        "name": artifact.name,
    }
    return {"namespace": namespace, "name": name, "facets": {"mlgen_artifact": about}}


def of_dataset(dataset: Fields) -> Artifact:
    """The artifact that a record's dataset is. Raises BadRecord."""
    about = dataset.object("facets").object("mlgen_artifact")
    name = dataset.text("name")
    if not name:
        raise BadRecord("a dataset has no name")
    return Artifact(
        name=about.text("name"),
        uri=uri_of(dataset.text("namespace"), name),
        digest="sha256:" + about.text("sha256", HEX),
        size_bytes=about.integer("sizeBytes"),
        media_type=about.text("mediaType"),
        type=about.text("type"),
    )


def place(uri: str) -> str:
    """Where an artifact lies, for people: of the published copy of a repository's file, with the name it has there.

    The copy lies by its digest, which says that it has the file's bytes; the file's folder is in no record.
    """
    copy = _PUBLISHED.fullmatch(uri)
    return f"{copy['name']}, as published: {uri}" if copy else uri
