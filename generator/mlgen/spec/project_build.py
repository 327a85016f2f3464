"""mlgen.yaml and mlgen.lock → Project and digests. Shape is checked before, meaning here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from mlgen.diagnostic import Diagnostic
from mlgen.spec import quantities
from mlgen.spec.build import DIGEST
from mlgen.spec.checks.names import NODE, label
from mlgen.spec.document import Document
from mlgen.spec.model import Place
from mlgen.spec.project import S3, Environment, GpuPool, Ledger, Limits, Project
from mlgen.spec.settings import IMAGE

NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_ARTIFACTS = re.compile(r"(?:s3|gs|az)://[A-Za-z0-9][A-Za-z0-9._-]{1,221}(?:/[A-Za-z0-9._=-]+)*/?")
REQUIRED_TO_RENDER = ("artifacts", "runtime_image", "ledger")


def build_project(document: Document) -> tuple[Project, list[Diagnostic]]:
    """The project of a mlgen.yaml and what is wrong with it."""
    builder = _Builder(document)
    top = _map(document.data)
    found = {
        name: builder.environment(name, _map(value), Place(document, ("environments", name)))
        for name, value in _map(top.get("environments")).items()
    }
    found.setdefault("local", Environment("local"))
    repository = top.get("repository")
    environments = tuple(found[name] for name in sorted(found))
    return Project(repository if isinstance(repository, str) else None, environments), builder.found


def build_lock(document: Document) -> tuple[dict[str, str], list[Diagnostic]]:
    """The digests of a mlgen.lock, image reference -> "sha256:…", and what is wrong with it."""
    found = []
    digests = {}
    for reference, digest in _map(_map(document.data).get("images")).items():
        if isinstance(digest, str) and DIGEST.fullmatch(digest):
            digests[reference] = digest
        else:
            place = Place(document, ("images", reference))
            found.append(place.finding("bad-digest", f'the digest of "{reference[:80]}" is not sha256:<64 hex digits>'))
    return digests, found


def _map(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


class _Builder:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.found: list[Diagnostic] = []

    def environment(self, name: str, data: dict[str, Any], place: Place) -> Environment:
        self.found += _names(name, data, place)
        ledger = _map(data.get("ledger"))
        found = Environment(
            name=name,
            namespace=_text(data.get("namespace")),
            artifacts=_text(data.get("artifacts")) or Environment("").artifacts,
            s3=self.s3(_map(data.get("s3"))),
            buckets=tuple((k, self.s3(_map(v))) for k, v in sorted(_map(data.get("buckets")).items())),
            ledger=Ledger(
                url=_text(ledger.get("url")),
                branch=_text(ledger.get("branch")) or "ledger",
                secret=_text(ledger.get("secret")),
                fold=_text(ledger.get("fold")) or "task",
                interval_seconds=self.seconds(ledger, "interval", place / "ledger") or 10,
            ),
            service_account=_text(data.get("service_account")) or "default",
            runtime_image=_text(data.get("runtime_image")),
            image_pull_secrets=tuple(_texts(data.get("image_pull_secrets"))),
            gpus=tuple((k, self.pool(_map(v), place / "gpus" / k)) for k, v in sorted(_map(data.get("gpus")).items())),
            registries=tuple(_texts(data.get("registries"))),
            limits=self.limits(_map(data.get("limits")), place / "limits"),
            queue_seconds=self.seconds(data, "queue", place) or 3600,
            staging_seconds=self.seconds(data, "staging", place) or 3600,
            labels=tuple((k, v) for k, v in sorted(_map(data.get("labels")).items()) if isinstance(v, str)),
        )
        user = data.get("user")
        return replace(found, user=user) if isinstance(user, int) else found

    def s3(self, data: dict[str, Any]) -> S3:
        return S3(_text(data.get("endpoint")), _text(data.get("region")), _text(data.get("secret")))

    def pool(self, data: dict[str, Any], place: Place) -> GpuPool:
        selector = tuple((k, v) for k, v in sorted(_map(data.get("node_selector")).items()) if isinstance(v, str))
        tolerations = data.get("tolerations")
        listed = tuple(t for t in tolerations if isinstance(t, dict)) if isinstance(tolerations, list) else ()
        return GpuPool(_text(data.get("resource")) or "", selector, listed, self.seconds(data, "queue", place))

    def limits(self, data: dict[str, Any], place: Place) -> Limits:
        gpu, memory = data.get("gpu"), _text(data.get("memory"))
        memory_bytes = None
        if memory is not None:
            try:
                memory_bytes = quantities.size(memory)[1]
            except ValueError as error:
                self.found.append((place / "memory").finding("bad-quantity", str(error)))
        return Limits(gpu if isinstance(gpu, int) else None, memory_bytes, self.seconds(data, "timeout", place))

    def seconds(self, data: dict[str, Any], key: str, place: Place) -> int | None:
        text = _text(data.get(key))
        if text is None:
            return None
        try:
            return quantities.duration_seconds(text)
        except ValueError as error:
            self.found.append((place / key).finding("bad-duration", str(error), fix='write it like "10s" or "1h30m"'))
            return None


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, list):
        yield from (v for v in value if isinstance(v, str))


def _names(name: str, data: dict[str, Any], place: Place) -> Iterator[Diagnostic]:
    """What an environment is called and needs, so that what is rendered from it can be applied."""
    if not NODE.fullmatch(name) or len(name) > 63:
        yield place.key_finding(
            "bad-name", f'"{name[:80]}" is not a name for an environment', "small letters, digits and -, at most 63"
        )
    for key, value in _map(data.get("labels")).items():
        if isinstance(value, str):
            yield from label(key, value, place / "labels" / key)
    namespace, image, artifacts = (_text(data.get(k)) for k in ("namespace", "runtime_image", "artifacts"))
    if namespace is not None:
        if not NAMESPACE.fullmatch(namespace):
            yield (place / "namespace").finding(
                "bad-name", f'"{namespace[:80]}" is not a namespace', "small letters, digits and -, at most 63"
            )
        if image is not None and not IMAGE.fullmatch(image):
            yield (place / "runtime_image").finding("bad-image", f'"{image[:80]}" is not an image reference')
        if artifacts is not None and not _ARTIFACTS.fullmatch(artifacts):
            fix = "write s3://bucket/prefix, gs://bucket/prefix or az://container/prefix"
            yield (place / "artifacts").finding(
                "bad-uri", f'"{artifacts[:80]}" cannot hold the artifacts of pods', fix=fix
            )
        yield from _missing(name, data, place)
    elif name != "local":
        why = "only `local` runs without a cluster"
        yield place.key_finding("missing-key", f'the environment "{name}" has no `namespace`', why, "add namespace: …")


def _missing(name: str, data: dict[str, Any], place: Place) -> Iterator[Diagnostic]:
    missing = [key for key in REQUIRED_TO_RENDER if key not in data]
    if "ledger" in data and isinstance(data["ledger"], dict) and "url" not in data["ledger"]:
        missing.append("ledger.url")
    for key in missing:
        yield place.key_finding(
            "missing-key", f'the environment "{name}" has no `{key}`', "its pods need it", f"add {key}"
        )
