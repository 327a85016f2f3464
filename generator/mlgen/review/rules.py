"""What a file of policies says of itself, read without evaluating anything: enough to tell what became weaker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlgen.review.files import Rules

MAX_BYTES = 1 << 20


def read_rules(data: bytes) -> Rules | None:
    """The rules of a file's bytes; None where it is no YAML that a cluster would take."""
    if len(data) > MAX_BYTES:
        return None
    import yaml  # here: only a change of a policy needs it

    try:
        documents = list(yaml.load_all(data, Loader=yaml.CSafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    denies, closed, validations, exceptions = set[str](), set[str](), dict[str, int](), dict[str, int]()
    for kind, name, spec in _objects(documents):
        if kind == "ValidatingAdmissionPolicyBinding" and "Deny" in _list(spec, "validationActions"):
            denies.add(name)
        if kind == "ValidatingAdmissionPolicy":
            validations[name] = len(_list(spec, "validations"))
            exceptions[name] = len(_list(spec, "matchConditions"))
            if spec.get("failurePolicy", "Fail") == "Fail":
                closed.add(name)
    params, besides = _params(documents)
    return Rules(frozenset(denies), frozenset(closed), validations, exceptions, params, besides)


def _params(documents: list[Any]) -> tuple[dict[str, dict[str, str]], tuple[object, ...] | None]:
    """The values of ConfigMaps, which are texts to Kubernetes, and what else they have; None where others are there."""
    values, besides = dict[str, dict[str, str]](), list[object]()
    for document in documents:
        match document:
            case None:
                continue
            case {"kind": "ConfigMap", "metadata": {**metadata}, "data": {**data}}:
                known = {"apiVersion": document.get("apiVersion"), **metadata}
                rest = [_flat(known), *([None] if len(document) != 4 else [])]
            case _:
                return {}, None
        if None in rest or not all(isinstance(text, str) for pair in data.items() for text in pair):
            return {}, None
        name = "/".join(str(metadata[key]) for key in ("namespace", "name") if key in metadata)
        values[name] = {str(key): str(text) for key, text in data.items()}
        besides += rest
    return values, tuple(besides)


def _flat(metadata: dict[Any, Any]) -> tuple[object, ...] | None:
    """Texts, and maps of texts; None of anything deeper: what a few lines of YAML stand for may have no end."""
    found: list[object] = []
    for key, value in metadata.items():
        if isinstance(value, dict) and all(isinstance(text, str) for pair in value.items() for text in pair):
            found.append((str(key), tuple(sorted(value.items()))))
        elif isinstance(value, str):
            found.append((str(key), value))
        else:
            return None
    return tuple(sorted(found, key=repr))


def _objects(documents: list[Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for document in documents:
        if isinstance(document, dict) and isinstance(document.get("spec"), dict):
            metadata = document.get("metadata")
            name = metadata.get("name") if isinstance(metadata, dict) else None
            yield str(document.get("kind")), str(name), document["spec"]


def _list(spec: dict[str, Any], key: str) -> list[Any]:
    found = spec.get(key)
    return found if isinstance(found, list) else []
