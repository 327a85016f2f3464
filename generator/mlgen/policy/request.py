"""A request, and what its policies see of it: the variables that all expressions have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mlgen.policy.cel.library.authorizer import UNKNOWN
from mlgen.policy.cel.values import NotEvaluated, Partial

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """resource: group, version, plural. namespace: the Namespace object of the object's namespace, if it has one.

    whole: whether all of the namespace is known; else what labels and annotations it has is not.
    object: None for DELETE. name: where the object has none. kind: as the object says.
    old_unknown: there is an older object, which nobody here knows.
    """

    object: Object | None
    resource: tuple[str, str, str]
    operation: str = "CREATE"
    old_object: Object | None = None
    old_unknown: bool = False
    namespace: Object | None = None
    subresource: str = ""
    whole: bool = True


def as_stored(request: Request) -> Request:
    """The request, its object with the namespace it is made in, and without maps that are stored by their absence."""
    if request.object is None:
        return request
    metadata = dict(request.object.get("metadata") or {})
    for key in ("labels", "annotations"):
        if key in metadata and not metadata[key]:
            del metadata[key]
    name = namespace_name(request)
    if name:
        metadata["namespace"] = name
    return replace(request, object={**request.object, "metadata": metadata})


def namespace_name(request: Request) -> str:
    for data in (request.object, request.old_object):
        metadata = data.get("metadata") if data else None
        if isinstance(metadata, Mapping) and metadata.get("namespace"):
            return str(metadata["namespace"])
    if request.namespace is not None and request.resource != ("", "v1", "namespaces"):
        return str(request.namespace["metadata"]["name"])
    return ""


def is_namespace(request: Request) -> bool:
    return request.resource[0] == "" and request.resource[2] == "namespaces"


_NAMESPACE_UNKNOWN = frozenset({
    "generateName", "UID", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion",
    "generation", "finalizers",
})  # fmt: skip
_OLD = "oldObject, what the cluster has already, is not known here"
_REQUEST_UNKNOWN = frozenset({"uid", "userInfo", "dryRun", "options"})


def roots_of(request: Request) -> dict[str, Any]:
    return {
        "object": with_given("object", request.object),
        "oldObject": NotEvaluated(_OLD) if request.old_unknown else with_given("oldObject", request.old_object),
        "request": _request(request),
        "namespaceObject": _namespace(request),
        "authorizer": NotEvaluated(UNKNOWN),
    }


_GIVEN = frozenset({"uid", "creationTimestamp", "managedFields", "generation", "resourceVersion", "selfLink"})


def with_given(name: str, data: Object | None) -> dict[str, Any] | None:
    """An object as expressions see it: what the cluster gives to it is not known. name: the root's."""
    if data is None or type(data.get("metadata")) is not dict:
        return None if data is None else dict(data)
    metadata = data["metadata"]
    part = Partial(f"{name}.metadata", metadata, _GIVEN - metadata.keys(), "is given by the cluster")
    return {**data, "metadata": part}


def _request(request: Request) -> Partial:
    data = request.object or request.old_object or {}
    group, version, plural = request.resource
    kind = {"group": group, "version": version, "kind": str(data.get("kind", ""))}
    resource = {"group": group, "version": version, "resource": plural}
    metadata = data.get("metadata") or {}
    known: dict[str, Any] = {
        "kind": kind,
        "resource": resource,
        "requestKind": kind,
        "requestResource": resource,
        "name": str(metadata.get("name") or ""),
        "namespace": namespace_name(request),
        "operation": request.operation,
        "subResource": request.subresource,
        "requestSubResource": request.subresource,
    }
    known = {key: value for key, value in known.items() if value}
    return Partial("request", known, _REQUEST_UNKNOWN | ({"name"} if not metadata.get("name") else frozenset()))


def _namespace(request: Request) -> Any:
    if request.namespace is None:
        return NotEvaluated("namespaceObject is not known here") if namespace_name(request) else None
    metadata = request.namespace.get("metadata") or {}
    unknown = _NAMESPACE_UNKNOWN if request.whole else _NAMESPACE_UNKNOWN | {"labels", "annotations"}
    known = {key: metadata[key] for key in ("name", "labels", "annotations") if metadata.get(key)}
    return Partial(
        "namespaceObject",
        {"metadata": Partial("namespaceObject.metadata", known, unknown)},
        frozenset({"spec", "status"}),
    )
