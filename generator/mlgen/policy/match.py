"""Whether a policy's constraints and a binding's resources match a request. Source: apiserver/pkg/admission/plugin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlgen.policy.cel.values import NotEvaluated

Rules = Mapping[str, Any]


def matches(
    constraints: Rules,
    *,
    resource: tuple[str, str, str],
    operation: str,
    name: str,
    namespaced: bool,
    objects: Sequence[Mapping[str, Any] | None],
    namespace_labels: Mapping[str, str] | None,
) -> bool:
    """constraints: MatchResources. resource: group, version and plural (`pods`, `pods/exec`).

    objects: the object and the old one. namespace_labels: of its namespace, or of itself where it is one; None for
    what is of no namespace, which every namespaceSelector takes.

    Raises NotEvaluated where it rests on another version of the kind: whether the cluster serves it is not known, and
    unless matchPolicy is Exact, it then converts the object and asks.
    """
    if namespace_labels is not None and not selects(constraints.get("namespaceSelector") or {}, namespace_labels):
        return False
    selector = constraints.get("objectSelector") or {}
    if not any(selects(selector, labels(o)) for o in objects if o is not None):
        return False
    excluded, wanted = constraints.get("excludeResourceRules") or (), constraints.get("resourceRules")
    out = {_rule(r, resource, operation, name, namespaced) for r in excluded}
    into = {_rule(r, resource, operation, name, namespaced) for r in wanted} if wanted else {_YES}
    if _YES in out or into <= {_NO}:
        return False
    exact = constraints.get("matchPolicy") == "Exact"
    if not exact and (_BY_VERSION in out or _YES not in into):
        raise NotEvaluated(f"its rules name {resource[2]} of another version than {resource[1]}, or leave them out")
    return _YES in into


def labels(data: Mapping[str, Any]) -> Mapping[str, str]:
    metadata = data.get("metadata")
    found = metadata.get("labels") if isinstance(metadata, Mapping) else None
    return found if isinstance(found, Mapping) else {}


_NO, _YES, _BY_VERSION = "no", "yes", "but for its version"


def _rule(rule: Rules, resource: tuple[str, str, str], operation: str, name: str, namespaced: bool) -> str:
    group, version, plural = resource
    names = rule.get("resourceNames") or ()
    taken = (
        _any(rule.get("operations"), operation)
        and _any(rule.get("apiGroups"), group)
        and _resource(rule.get("resources") or (), plural)
        and rule.get("scope", "*") in ("*", "Namespaced" if namespaced else "Cluster")
        and (not names or name in names)
    )
    if not taken:
        return _NO
    return _YES if _any(rule.get("apiVersions"), version) else _BY_VERSION


def _any(wanted: Sequence[str] | None, found: str) -> bool:
    return bool(wanted) and ("*" in (wanted or ()) or found in (wanted or ()))


def _resource(wanted: Sequence[str], plural: str) -> bool:
    resource, _, sub = plural.partition("/")
    for pattern in wanted:
        first, _, second = pattern.partition("/")
        if first in ("*", resource) and second in ("*", sub):
            return True
    return False


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector takes these labels. An empty one takes all."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_requirement(r, labels) for r in selector.get("matchExpressions") or ())


def _requirement(requirement: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = str(requirement.get("key")), requirement.get("values") or ()
    match requirement.get("operator"):
        case "In":
            return key in labels and labels[key] in values
        case "NotIn":
            return key not in labels or labels[key] not in values
        case "Exists":
            return key in labels
    return key not in labels
