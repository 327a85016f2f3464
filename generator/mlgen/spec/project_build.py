"""mlgen.yaml and mlgen.lock → Project and digests. Shape is checked before, meaning here."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

from mlgen.diagnostic import Diagnostic
from mlgen.registry.reference import IMAGE
from mlgen.spec import quantities
from mlgen.spec.build import DIGEST
from mlgen.spec.checks.argocd import argocd
from mlgen.spec.checks.arguments import digest_fix
from mlgen.spec.checks.environments import PIN, environment
from mlgen.spec.checks.secret_stores import platform_secrets, secret_stores
from mlgen.spec.checks.sharing import shared
from mlgen.spec.document import Document
from mlgen.spec.doubt import Doubt
from mlgen.spec.external import external_secrets, identity
from mlgen.spec.model import Place
from mlgen.spec.project import S3, ArgoCD, Environment, GpuPool, Ledger, Limits, Project, Spot
from mlgen.spec.reader import Route
from mlgen.spec.sources import build_sources


def build_project(document: Document, bad: Collection[Route] = ()) -> tuple[Project, list[Diagnostic]]:
    """The project of a mlgen.yaml and what is wrong with it. bad: routes that the document's shape refuses."""
    builder = _Builder(Doubt(document, bad))
    top = _map(document.data)
    found = {
        name: builder.environment(name, _map(value), Place(document, ("environments", name)))
        for name, value in _map(top.get("environments")).items()
    }
    found.setdefault("local", Environment("local"))
    builder.found += argocd(top, set(found), Place(document, ()), builder.doubt)
    environments = tuple(found[name] for name in sorted(found))
    argo_cd = _argocd(top.get("argocd"))
    builder.found += shared(environments, argo_cd, Place(document, ("environments",)))
    sources = build_sources(top, Place(document, ()), builder.found)
    return Project(_text(top.get("repository")), environments, argo_cd, sources), builder.found


def build_lock(document: Document) -> tuple[dict[str, str], list[Diagnostic]]:
    """The digests of a mlgen.lock, image reference -> "sha256:…", and what is wrong with them."""
    found, digests = [], {}
    for reference, digest in _map(_map(document.data).get("images")).items():
        place = Place(document, ("images", reference))
        if not IMAGE.fullmatch(reference):
            fix = "write the reference as specs write it, such as ghcr.io/acme/churn:1.8"
            found.append(place.key_finding("bad-image", f'"{reference[:80]}" is not an image reference', fix=fix))
        elif isinstance(digest, str) and DIGEST.fullmatch(digest):
            digests[reference] = digest
        elif isinstance(digest, str):
            message = f'the digest of "{reference[:80]}" cannot be read'
            found.append(place.finding("bad-digest", message, fix=digest_fix(digest)))
    return digests, found


def _argocd(data: object) -> ArgoCD | None:
    if not isinstance(data, dict):
        return None
    clusters = tuple((k, v) for k, v in sorted(_map(data.get("clusters")).items()) if isinstance(v, str))
    return ArgoCD(_text(data.get("namespace")) or "argocd", _text(data.get("revision")) or "main", clusters)


def _map(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _pin(value: object) -> str | None:
    return value if isinstance(value, str) and PIN.fullmatch(value) else None


class _Builder:
    def __init__(self, doubt: Doubt) -> None:
        self.doubt = doubt
        self.found: list[Diagnostic] = []

    def environment(self, name: str, data: dict[str, Any], place: Place) -> Environment:
        self.found += environment(name, data, place, self.doubt)
        self.found += secret_stores(data, place)
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
                signers=_text(ledger.get("signers")),
            ),
            service_account=_text(data.get("service_account")) or "default",
            identity=identity(data.get("identity")),
            external_secrets=external_secrets(
                data.get("external_secrets"),
                self.seconds(_map(data.get("external_secrets")), "refresh", place / "external_secrets"),
            ),
            runtime_image=_text(data.get("runtime_image")),
            image_pull_secrets=tuple(_texts(data.get("image_pull_secrets"))),
            gpus=tuple((k, self.pool(_map(v), place / "gpus" / k)) for k, v in sorted(_map(data.get("gpus")).items())),
            spot=self.spot(data.get("spot")),
            workspaces=_names(
                {kind: _map(value).get("storage_class") for kind, value in _map(data.get("workspaces")).items()}
            ),
            priorities=_names(data.get("priorities")),
            queues=_names(_map(data.get("kueue")).get("queues")),
            triggers=isinstance(data.get("triggers"), dict),
            registries=tuple(_texts(data.get("registries"))),
            limits=self.limits(_map(data.get("limits")), place / "limits"),
            limit_cpu=data.get("limit_cpu") is True,
            queue_seconds=self.seconds(data, "queue", place) or 3600,
            staging_seconds=self.seconds(data, "staging", place) or 3600,
            pin=_pin(data.get("pin")),
            labels=tuple((k, v) for k, v in sorted(_map(data.get("labels")).items()) if isinstance(v, str)),
        )
        self.found += platform_secrets(found, place)
        user = data.get("user")
        return replace(found, user=user) if isinstance(user, int) else found

    def s3(self, data: dict[str, Any]) -> S3:
        return S3(_text(data.get("endpoint")), _text(data.get("region")), _text(data.get("secret")))

    def pool(self, data: dict[str, Any], place: Place) -> GpuPool:
        placed = _placed(data)
        queue = self.seconds(data, "queue", place)
        return GpuPool(_text(data.get("resource")) or "", placed.node_selector, placed.tolerations, queue)

    def spot(self, data: object) -> Spot | None:
        return _placed(data) if isinstance(data, dict) else None

    def limits(self, data: dict[str, Any], place: Place) -> Limits:
        gpu, memory = data.get("gpu"), _text(data.get("memory"))
        memory_bytes = None
        if memory is not None:
            try:
                memory_bytes = quantities.size(memory)[1]
            except ValueError as error:
                self.found.append((place / "memory").finding("bad-quantity", str(error), fix=quantities.SIZE_RULE))
        return Limits(gpu if isinstance(gpu, int) else None, memory_bytes, self.seconds(data, "timeout", place))

    def seconds(self, data: dict[str, Any], key: str, place: Place) -> int | None:
        text = _text(data.get(key))
        if text is None:
            return None
        try:
            return quantities.duration_seconds(text)
        except ValueError as error:
            self.found.append((place / key).finding("bad-duration", str(error), fix=quantities.DURATION_RULE))
            return None


def _placed(data: dict[str, Any]) -> Spot:
    """Where pods may run, as far as it can be read."""
    selector = tuple((k, v) for k, v in sorted(_map(data.get("node_selector")).items()) if isinstance(v, str))
    tolerations = data.get("tolerations")
    return Spot(selector, tuple(t for t in tolerations if isinstance(t, dict)) if isinstance(tolerations, list) else ())


def _names(value: object) -> tuple[tuple[str, str], ...]:
    return tuple((k, v) for k, v in sorted(_map(value).items()) if isinstance(v, str))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, list):
        yield from (v for v in value if isinstance(v, str))
