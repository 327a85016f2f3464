"""Cases of a policy, from `policies/tests/<name>.yaml`: an object, what is changed in it, and what is to be said of it.

    params: {registries: ghcr.io/acme/}          # data of the ConfigMap that each policy of the file is given
    objects: {pod: {…}}                          # whole objects, by name
    cases:
      - {name: a task's pod, object: pod}        # to be allowed
      - name: a tag alone
        object: pod
        change: {/spec/containers/0/image: "x:1"}    # by JSON pointer (RFC 6901); null removes
        denied: "image without a digest: x:1"        # a message or several, in the order of the validations

Further keys of a case: `operation` (CREATE), `old` (an object's name, for UPDATE and DELETE), `subresource`,
`namespace` (its labels; {mlgen.dev/env: dev}), `params` (laid over those of the file), `warned` (as `denied`, of a
policy that warns). Names and namespaces are filled in where objects have none.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mlgen.diagnostic import Diagnostic
from mlgen.spec.document import Document
from mlgen.spec.model import Place

Data = dict[str, Any]

NAMESPACE = "ml-dev"
_LABELS = {"mlgen.dev/env": "dev"}
_KEYS = {"params", "objects", "cases"}
_OF_CASE = {
    "name", "object", "change", "operation", "old", "subresource", "namespace", "params", "denied", "warned"
}  # fmt: skip
_INDEX = re.compile(r"0|[1-9][0-9]*")
_OPERATIONS = ("CREATE", "UPDATE", "DELETE", "CONNECT")


@dataclass(frozen=True, slots=True)
class Case:
    """What is asked and expected. old: None but for UPDATE and DELETE. denied, warned: messages, without a head."""

    name: str
    place: Place
    object: Data
    old: Data | None
    operation: str
    subresource: str
    namespace: Data
    params: Mapping[str, str]
    denied: tuple[str, ...]
    warned: tuple[str, ...]


class _Bad(Exception):
    def __init__(self, finding: Diagnostic) -> None:
        fix = finding.fix or "`mlgen explain policy-case` shows a file of cases"
        self.finding = replace(finding, fix=fix)


def read_cases(document: Document) -> tuple[list[Case], list[Diagnostic]]:
    """The cases of a file and what is wrong with it; a case that cannot be read is left out."""
    top, found, cases = Place(document, ()), list(document.diagnostics), list[Case]()
    if found:
        return [], found
    try:
        data = _map(top, _KEYS)
        objects = _map(top / "objects") if "objects" in data else {}
        params = _texts(top / "params") if "params" in data else {}
        if not isinstance(data.get("cases"), list) or not data["cases"]:
            where = top / "cases" if "cases" in data else top
            raise _Bad(where.key_finding("policy-case", "a file of cases needs a list `cases`"))
    except _Bad as bad:
        return [], [bad.finding]
    for index in range(len(data["cases"])):
        try:
            cases.append(_case(top / "cases" / index, objects, params))
        except _Bad as bad:
            found.append(bad.finding)
    return cases, found


def _case(place: Place, objects: Data, params: Mapping[str, str]) -> Case:
    data = _map(place, _OF_CASE)
    if not isinstance(data.get("name"), str):
        raise _Bad(place.key_finding("policy-case", "a case needs a `name`: what is tried, in a few words"))
    operation = data.get("operation", "CREATE")
    if operation not in _OPERATIONS:
        raise _Bad((place / "operation").finding("policy-case", f"an operation is one of {', '.join(_OPERATIONS)}"))
    labels = _texts(place / "namespace") if "namespace" in data else _LABELS
    given = {**params, **(_texts(place / "params") if "params" in data else {})}
    made = _object(place, "object", objects)
    for pointer, value in (_map(place / "change") if "change" in data else {}).items():
        made = _changed(made, pointer, value, place / "change" / pointer)
    name = str(made["metadata"]["namespace"])
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name, **labels}},
    }
    return Case(
        data["name"], place, made, _object(place, "old", objects) if "old" in data else None, operation,
        str(data.get("subresource", "")), namespace, given, _messages(place, "denied"), _messages(place, "warned"),
    )  # fmt: skip


def _object(place: Place, key: str, objects: Data) -> Data:
    """An object by its name, or as it stands there; a copy."""
    data = place.value
    assert isinstance(data, dict)
    given = data.get(key)
    if isinstance(given, str):
        if given not in objects:
            known = ", ".join(objects) or "none"
            raise _Bad(
                (place / key).finding(
                    "policy-case", f'there is no object "{given}" in this file', f"there are: {known}"
                )
            )
        given = objects[given]
    if not isinstance(given, dict) or not all(isinstance(given.get(k), str) for k in ("apiVersion", "kind")):
        where = place / key if key in data else place
        raise _Bad(
            where.key_finding("policy-case", f"`{key}` is an object with apiVersion and kind, or the name of one")
        )
    made: Data = copy.deepcopy(given)
    metadata = made.setdefault("metadata", {})
    if not isinstance(metadata, dict):
        raise _Bad((place / key).key_finding("policy-case", "an object's metadata is a map"))
    metadata.setdefault("namespace", NAMESPACE)
    metadata.setdefault("name", "case")
    return made


def _changed(made: Data, pointer: str, value: object, place: Place) -> Data:
    """The object with a value put, or with null taken out, where a JSON pointer leads."""
    if not pointer.startswith("/"):
        raise _Bad(place.key_finding("policy-case", "a JSON pointer begins with /", fix=f"write /{pointer}"))
    *parents, last = (part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/"))
    node: Any = made
    try:
        for part in parents:
            node = node[_index(part)] if isinstance(node, list) else node[part]
        if value is None:
            del node[_index(last) if isinstance(node, list) else last]
        elif isinstance(node, list):
            node[_index(last)] = value
        else:
            node[last] = value
    except (KeyError, IndexError, ValueError, TypeError):
        raise _Bad(place.key_finding("policy-case", f"the object has nothing at {pointer}")) from None
    if not _is_object(made):
        message = f"with {pointer} so, it is no object of a namespace"
        fix = "apiVersion, kind, metadata.name and metadata.namespace stay texts"
        raise _Bad(place.key_finding("policy-case", message, fix=fix))
    return made


def _is_object(made: Data) -> bool:
    about = made.get("metadata")
    texts = [
        made.get("apiVersion"),
        made.get("kind"),
        *((about.get(k) for k in ("name", "namespace")) if isinstance(about, dict) else [None]),
    ]
    return all(isinstance(text, str) and text for text in texts)


def _index(part: str) -> int:
    """Raises ValueError for what RFC 6901 has no index for: signs, other digits than ours, zeros before one."""
    if not _INDEX.fullmatch(part):
        raise ValueError(part)
    return int(part)


def _messages(place: Place, key: str) -> tuple[str, ...]:
    data = place.value
    assert isinstance(data, dict)
    given = data.get(key, [])
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise _Bad((place / key).finding("policy-case", f"`{key}` is a message, or a list of them"))
    return tuple(texts)


def _map(place: Place, known: set[str] | None = None) -> Data:
    value = place.value
    if not isinstance(value, dict):
        raise _Bad(place.key_finding("policy-case", "a map is wanted here"))
    for key in value:
        if known is not None and key not in known:
            fix = f"the keys are: {', '.join(sorted(known))}"
            raise _Bad((place / key).key_finding("policy-case", f'"{key}" is no key here', fix=fix))
    return value


def _texts(place: Place) -> Mapping[str, str]:
    found = _map(place)
    for key, value in found.items():
        if not isinstance(value, str):
            raise _Bad((place / key).finding("policy-case", "a text is wanted here", fix="put it into quotes"))
    return found


def resources(object_: Mapping[str, Any]) -> tuple[str, str, str]:
    """(group, version, plural) of an object, as rules name them."""
    group, _, version = str(object_["apiVersion"]).rpartition("/")
    return group, version, plural(str(object_["kind"]))


_PLURALS = {"Endpoints": "endpoints", "NetworkPolicy": "networkpolicies", "Ingress": "ingresses"}


def plural(kind: str) -> str:
    """A kind's name in URLs and rules, as Kubernetes guesses it. Source: apimachinery UnsafeGuessKindToResource."""
    word = kind.lower()
    if kind in _PLURALS:
        return _PLURALS[kind]
    if word.endswith("s"):
        return f"{word}es"
    return f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"
