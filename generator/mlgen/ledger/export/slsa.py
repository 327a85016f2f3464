"""Where an artifact came from, as an in-toto statement with SLSA's provenance: for those who admit models by it.

Sources: in-toto attestation v1 (statement.md, resource_descriptor.md, digest_set.md), SLSA provenance v1.
Statements are not signed here: who exports them signs them (`cosign attest-blob`), with a key of his own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from mlgen import canonical
from mlgen.ledger.export.select import Selected, executions
from mlgen.ledger.records.artifact import Artifact
from mlgen.ledger.records.fields import DIGEST
from mlgen.ledger.records.run import COMMIT
from mlgen.ledger.records.task import State, TaskRecord

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "https://mlgen.dev/buildtypes/task/v1"
BUILDER = "https://mlgen.dev/builders"
# The digest of a folder is not the sha256 of any bytes that a verifier would find, nor in-toto's dirHash, which sorts
# by path: lower-case hex of the sha256 of the sorted lines `<sha256>  <path>\n`. A name of its own cannot be mistaken
# for either: verifiers must ignore what they do not know.
FOLDER_DIGEST = "mlgenFolderSha256"
FOLDER_TYPE = "inode/directory"


@dataclass(frozen=True, slots=True)
class Statement:
    """name: a file's name that no other statement has. data: one line of JSON."""

    name: str
    data: bytes


def statements(selected: Iterator[Selected], artifact: str | None = None) -> Iterator[Statement]:
    """A statement for each artifact that an execution made which succeeded.

    artifact: hex digits with which a digest begins; None: of all. The order is that of the ledger's paths.
    """
    for one, record in executions(selected):
        if record.state is not State.COMPLETE:
            continue
        predicate = _predicate(one, record)
        for out in record.outputs:
            sha256 = out.digest.removeprefix("sha256:")
            if artifact is None or sha256.startswith(artifact):
                place = hashlib.sha256(f"{record.run_id}/{out.name}".encode()).hexdigest()[:16]
                yield Statement(f"{sha256}.{place}.intoto.json", canonical.encode(_statement(out, predicate)) + b"\n")


def _statement(out: Artifact, predicate: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "_type": STATEMENT,
        "subject": [_artifact(out)],
        "predicateType": PREDICATE,
        "predicate": predicate,
    }


def _predicate(one: Selected, r: TaskRecord) -> dict[str, Any]:
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            # What whoever started the run chose. The rest follows from the spec, or is the platform's.
            "externalParameters": {
                "pipeline": r.pipeline,
                "task": r.task,
                **({"item": r.item.index, "variables": dict(r.item.values)} if r.item else {}),
                "params": dict(r.params),
                "spec": _spec(r),
            },
            "internalParameters": {
                "env": r.env,
                "engine": r.engine,
                "run": r.run,
                "attempt": r.attempt,
                "planDigest": r.plan_digest,
            },
            "resolvedDependencies": list(_dependencies(r)),
        },
        "runDetails": {
            "builder": {"id": f"{BUILDER}/{r.engine}"},
            "metadata": {"invocationId": r.run_id, "startedOn": r.started_at, "finishedOn": r.ended_at},
            # The record that says so: whoever has the ledger can compare.
            "byproducts": [
                {"name": one.path, "digest": _sha256(canonical.digest_bytes(one.data)), "mediaType": "application/json"}
            ],
        },
    }


def _dependencies(r: TaskRecord) -> Iterator[dict[str, Any]]:
    yield _spec(r)
    if r.source is not None and COMMIT.fullmatch(r.source.commit):
        repository = {"uri": _uri(f"git+{r.source.repository}")} if r.source.repository else {"name": "repository"}
        yield {**repository, "digest": {"gitCommit": r.source.commit}}
    if r.code_digest is not None:
        yield {"name": "code", "digest": {FOLDER_DIGEST: r.code_digest.removeprefix("sha256:")}}
    yield from _image(r)
    yield from map(_artifact, r.inputs)


def _spec(r: TaskRecord) -> dict[str, Any]:
    return {"name": r.source.path if r.source else f"{r.pipeline}.yaml", "digest": _sha256(r.spec_digest)}


def _image(r: TaskRecord) -> Iterator[dict[str, Any]]:
    name = (r.image or "").partition("@")[0]
    known = {
        **({"uri": _uri(f"oci://{name}")} if name else {}),
        **({"digest": _sha256(r.image_digest)} if r.image_digest and DIGEST.fullmatch(r.image_digest) else {}),
    }
    if known:
        yield {"name": "image", **known}


def _artifact(artifact: Artifact) -> dict[str, Any]:
    digest = _sha256(artifact.digest)
    annotations: dict[str, Any] = {"mlgen_type": artifact.type, "mlgen_sizeBytes": artifact.size_bytes}
    where = {"uri": _of_key(artifact.uri)}
    if "://" not in artifact.uri:  # a path on a machine, or below a project's folder, is no URI
        where, annotations = {}, annotations | {"mlgen_path": artifact.uri}
    return {
        "name": artifact.name,
        **where,
        "digest": {FOLDER_DIGEST: digest["sha256"]} if artifact.media_type == FOLDER_TYPE else digest,
        "mediaType": artifact.media_type,
        "annotations": annotations,
    }


def _of_key(uri: str) -> str:
    """A URI of an object: of a key, unlike of a URL, each `?` and `#` is part of the path."""
    scheme, _, rest = uri.partition("://")
    authority, slash, name = rest.partition("/")
    key = quote(name, safe="/:@!$&'()*+,;=")
    return f"{_uri(f'{scheme}://{authority}')}{slash}{key}"


def _uri(text: str) -> str:
    """A URI of what mlgen calls one: a key in a bucket may have spaces in it."""
    return quote(text, safe=":/?#[]@!$&'()*+,;=")


def _sha256(digest: str) -> dict[str, str]:
    return {"sha256": digest.removeprefix("sha256:")}
