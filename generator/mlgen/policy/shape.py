"""What the API server says of the fields of policies and bindings, before it looks at expressions."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Any

from mlgen.diagnostic import Diagnostic
from mlgen.spec.document import Document
from mlgen.spec.reader import Route

V1 = "admissionregistration.k8s.io/v1"
POLICY, BINDING = "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"

Field = Any  # str: a type; tuple: the texts that are allowed; list: of such items; dict: a map with these keys
_SELECTOR: Field = {
    "matchLabels": "texts",
    "matchExpressions": [{"key!": "text", "operator!": ("In", "NotIn", "Exists", "DoesNotExist"), "values": ["text"]}],
}
_RULE: Field = {
    "apiGroups!": ["text"],
    "apiVersions!": ["text"],
    "operations!": [("CREATE", "UPDATE", "DELETE", "CONNECT", "*")],
    "resources!": ["text"],
    "resourceNames": ["text"],
    "scope": ("Cluster", "Namespaced", "*"),
}
_MATCH: Field = {
    "resourceRules": [_RULE],
    "excludeResourceRules": [_RULE],
    "namespaceSelector": _SELECTOR,
    "objectSelector": _SELECTOR,
    "matchPolicy": ("Exact", "Equivalent"),
}
_REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge")
_SPECS: dict[str, Field] = {
    POLICY: {
        "failurePolicy": ("Fail", "Ignore"),
        "paramKind": {"apiVersion!": "text", "kind!": "text"},
        "matchConstraints!": _MATCH,
        "matchConditions": [{"name!": "text", "expression!": "text"}],
        "variables": [{"name!": "text", "expression!": "text"}],
        "validations": [
            {"expression!": "text", "message": "any text", "messageExpression": "any text", "reason": _REASONS}
        ],
        "auditAnnotations": [{"key!": "text", "valueExpression!": "text"}],
    },
    BINDING: {
        "policyName!": "text",
        "validationActions!": [("Deny", "Warn", "Audit")],
        "matchResources": _MATCH,
        "paramRef": {
            "name": "text",
            "namespace": "text",
            "selector": _SELECTOR,
            "parameterNotFoundAction!": ("Allow", "Deny"),
        },
    },
}
_CONFIG_MAP: Field = {
    "apiVersion!": "text",
    "kind!": "text",
    "metadata!": "map",
    "data": "texts",
    "binaryData": "texts",
    "immutable": "flag",
}
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED = frozenset({
    "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import",
    "let", "loop", "package", "namespace", "return", "var", "void", "while",
})  # fmt: skip
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED = re.compile(r"(?:[a-z0-9.-]{1,253}/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


def check(document: Document) -> list[Diagnostic]:
    """The findings of one document; none where it could not be read, for it says so itself."""
    if document.data is None or document.diagnostics:
        return []
    return list(_check(document))


def _check(document: Document) -> Iterator[Diagnostic]:
    data: Any = document.data
    if not isinstance(data, dict):
        yield _bad(document, (), "this is no Kubernetes object", "write apiVersion, kind, metadata and spec")
        return
    if str(data.get("kind")).endswith("List") and isinstance(data.get("items"), list):
        message = f"{data['kind']} is not evaluated: its {len(data['items'])} objects are not unpacked here"
        why = "kubectl and Argo CD apply what is in it, so it is no pass"
        fix = "write each of its items as a document of its own, after a line of ---"
        yield Diagnostic("policy-not-evaluated", message, document.key_span(("kind",)), why, fix)
        return
    told = False
    for key in ("apiVersion", "kind"):
        if not isinstance(data.get(key), str):
            told = True
            yield _missing(document, (), key)
    metadata = data.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        told = True
        yield _missing(document, ("metadata",) if isinstance(metadata, dict) else (), "metadata.name")
    elif not _NAME.fullmatch(metadata["name"]) or len(metadata["name"]) > 253:
        yield _bad(document, ("metadata", "name"), "this is no name of an object", "small letters, digits, - and .")
    if told:
        return
    kind, version = data["kind"], data["apiVersion"]
    if version.startswith("admissionregistration.k8s.io/") and (kind not in _SPECS or version != V1):
        message = f"{kind} of {version} is not evaluated"
        yield _bad(document, ("kind",), message, f"write a {POLICY} or {BINDING} of {V1}")
    elif (version, kind) == ("v1", "ConfigMap"):
        yield from _value(document, (), data, _CONFIG_MAP)
    elif version == V1:
        known = {"apiVersion!": "text", "kind!": "text", "metadata!": "map", "spec!": _SPECS[kind]}
        findings = list(_value(document, (), data, known))
        yield from findings
        if not findings:
            yield from (_policy if kind == POLICY else _binding)(document, data["spec"])


def _value(document: Document, route: Route, value: Any, field: Field) -> Iterator[Diagnostic]:
    wanted: Any = str
    if isinstance(field, dict) or field in ("map", "texts"):
        wanted = dict
    elif isinstance(field, list):
        wanted = list
    elif field == "flag":
        wanted = bool
    if not isinstance(value, wanted):
        words = {dict: "a map", list: "a list", str: "a text", bool: "true or false"}[wanted]
        yield Diagnostic("wrong-type", f"{words} belongs here", document.span(route), "", "quote it, if it is a text")
    elif isinstance(field, dict):
        yield from _map(document, route, value, field)
    elif isinstance(field, list):
        for n, item in enumerate(value):
            yield from _value(document, (*route, n), item, field[0])
    elif isinstance(field, tuple) and value not in field:
        yield _bad(document, route, f'"{value}" is not allowed here', f"write one of: {', '.join(field)}")
    elif field == "text" and not value.strip() and route[-1] not in ("apiGroups", 0, 1, 2, 3):
        yield _bad(document, route, "the text is empty", "write it, or remove the key")
    elif field == "texts":
        for key, item in value.items():
            if not isinstance(item, str):
                where, why = document.span((*route, key)), "the API server takes texts only here"
                fix = f'write "{"" if item is None else str(item).lower() if isinstance(item, bool) else item}"'
                fix = "quote it" if isinstance(item, dict | list) else fix
                yield Diagnostic("wrong-type", "a text belongs here", where, why, fix)


def _map(document: Document, route: Route, value: dict[str, Any], field: dict[str, Field]) -> Iterator[Diagnostic]:
    known = {key.rstrip("!"): inner for key, inner in field.items()}
    for key, item in value.items():
        if key in known:
            yield from _value(document, (*route, key), item, known[key])
            continue
        near = difflib.get_close_matches(key, known, 1)
        fix = f"did you mean {near[0]}?" if near else f"the keys here are: {', '.join(sorted(known))}"
        yield Diagnostic("unknown-key", f'the key "{key}" is not known here', document.key_span((*route, key)), "", fix)
    for key in field:
        if key.endswith("!") and key[:-1] not in value:
            yield _missing(document, route, key[:-1])


def _policy(document: Document, spec: dict[str, Any]) -> Iterator[Diagnostic]:
    if not spec["matchConstraints"].get("resourceRules"):
        yield _missing(document, ("spec", "matchConstraints"), "resourceRules")
    if not spec.get("validations") and not spec.get("auditAnnotations"):
        yield _missing(document, ("spec",), "validations")
    yield from _match(document, ("spec", "matchConstraints"), spec["matchConstraints"])
    names: dict[str, set[str]] = {"variables": set(), "matchConditions": set(), "auditAnnotations": set()}
    for where, seen in names.items():
        label = "key" if where == "auditAnnotations" else "name"
        for n, item in enumerate(spec.get(where) or ()):
            name, route = item[label], ("spec", where, n, label)
            right = _QUALIFIED if where != "variables" else _IDENTIFIER
            if not right.fullmatch(name) or (where == "variables" and name in _RESERVED):
                yield _bad(document, route, f'"{name}" is no name here', "letters, digits and _, a letter first")
            elif name in seen:
                yield _bad(document, route, f'the name "{name}" is there already', "rename one of them")
            seen.add(name)
    if len(spec.get("matchConditions") or ()) > 64:
        yield _bad(document, ("spec", "matchConditions", 64), "more than 64 match conditions", "join some with &&")
    for n, item in enumerate(spec.get("validations") or ()):
        yield from _message(document, ("spec", "validations", n), item)


def _message(document: Document, route: Route, item: dict[str, Any]) -> Iterator[Diagnostic]:
    message, expression = item.get("message", ""), item["expression"].strip()
    if "\n" in message.strip():
        yield _bad(document, (*route, "message"), "the message has more than one line", "write one line")
    elif "message" in item and message and not message.strip():
        yield _bad(document, (*route, "message"), "the message is empty", "write it, or remove the key")
    elif not message and "\n" in expression:
        yield _bad(document, (*route, "expression"), "an expression of several lines needs a message", "add message")
    if "messageExpression" in item and item["messageExpression"] and not item["messageExpression"].strip():
        yield _bad(document, (*route, "messageExpression"), "the expression is empty", "write it, or remove the key")
    if len(message.encode()) > 5 * 1024:
        yield _bad(document, (*route, "message"), "the message is longer than 5 KiB", "shorten it")


def _binding(document: Document, spec: dict[str, Any]) -> Iterator[Diagnostic]:
    actions, route = spec["validationActions"], ("spec", "validationActions")
    if not actions:
        yield _bad(document, route, "a binding without actions", "write [Deny], [Warn] or [Audit]")
    if len(set(actions)) < len(actions):
        yield _bad(document, route, "an action stands here twice", "remove one")
    if {"Deny", "Warn"} <= set(actions):
        yield _bad(document, route, "Deny and Warn exclude each other", "a refused request says why: keep Deny")
    reference = spec.get("paramRef")
    if reference is not None and ("name" in reference) == ("selector" in reference):
        yield _bad(document, ("spec", "paramRef"), "a paramRef has a name or a selector", "write one of them")
    if "matchResources" in spec:
        yield from _match(document, ("spec", "matchResources"), spec["matchResources"])


def _match(document: Document, route: Route, match: dict[str, Any]) -> Iterator[Diagnostic]:
    for where in ("resourceRules", "excludeResourceRules"):
        for n, rule in enumerate(match.get(where) or ()):
            for key in ("apiGroups", "apiVersions", "operations", "resources"):
                items, place = rule[key], (*route, where, n, key)
                if not items:
                    yield _bad(document, place, f"{key} is empty", 'write "*" for all')
                elif "*" in items and len(items) > 1:
                    yield _bad(document, place, '"*" stands beside others', "it is all: keep it alone, or remove it")
    for where in ("namespaceSelector", "objectSelector"):
        for n, item in enumerate((match.get(where) or {}).get("matchExpressions") or ()):
            place = (*route, where, "matchExpressions", n)
            if (item["operator"] in ("In", "NotIn")) != bool(item.get("values")):
                yield _bad(document, place, f"{item['operator']} and its values do not fit", "In and NotIn have values")


def _bad(document: Document, route: Route, message: str, fix: str) -> Diagnostic:
    return Diagnostic("bad-policy", message, document.span(route), "the cluster would refuse it", fix)


def _missing(document: Document, route: Route, key: str) -> Diagnostic:
    return Diagnostic("missing-key", f"{key} is missing", document.key_span(route), "", f"add {key}")
