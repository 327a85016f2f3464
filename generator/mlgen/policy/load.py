"""Policy files → compiled policies, and every finding of the files: what the API server would refuse to store too."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from mlgen.diagnostic import Diagnostic, Related, Span, sort
from mlgen.policy import shape
from mlgen.policy.compile import Compiler
from mlgen.policy.model import Binding, Policies, Policy
from mlgen.spec.document import Document, read

GROUP = "admissionregistration.k8s.io"
POLICY, BINDING = "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"
_SEPARATOR = re.compile(r"(---|\.\.\.)(?=[ \t\r\n]|$)")


def load(files: Mapping[str, bytes]) -> tuple[Policies, list[Diagnostic]]:
    """The policies of files (path → bytes), and what is wrong with them. A policy with an error is left out."""
    findings: list[Diagnostic] = []
    policies: dict[str, Policy] = {}
    bindings: dict[str, tuple[Document, Binding]] = {}
    seen: dict[tuple[str, ...], Span] = {}
    objects: dict[tuple[str, str, str, str], Mapping[str, Any]] = {}
    values: dict[tuple[str, ...], Span] = {}
    broken: set[str] = set()  # policies that are left out, and those that such bindings name
    for document in (d for file, data in sorted(files.items()) for d in documents(file, data)):
        findings += document.diagnostics
        told = shape.check(document)
        findings += told
        data: Any = document.data
        if not isinstance(data, dict) or not isinstance(data.get("metadata"), dict):
            continue
        kind, name = data.get("kind"), data["metadata"].get("name")
        if told or document.diagnostics:
            spec = data.get("spec")
            broken.add(str(spec.get("policyName") if kind == BINDING and isinstance(spec, dict) else name))
            if kind != "ConfigMap" or document.diagnostics or not isinstance(name, str):
                continue
        key = (str(data["apiVersion"]), str(kind), str(data["metadata"].get("namespace") or ""), str(name))
        place = document.span(("metadata", "name"))
        if key in seen:
            findings.append(_twice(key, place, seen[key]))
            continue
        seen[key] = place
        if kind == POLICY:
            compiler = Compiler(document)
            policy = compiler.policy()
            findings += compiler.findings
            if compiler.findings:
                broken.add(str(name))
            else:
                policies[policy.name] = policy
        elif kind == BINDING:
            bindings[str(name)] = (document, _binding(document))
        else:
            objects[key] = _as_stored(_as_meant(data))
            values |= {(*key, name): document.span(("data", name)) for name in objects[key].get("data") or ()}
    loaded = Policies(tuple(policies.values()), tuple(b for _, b in bindings.values()), objects, {**seen, **values})
    findings += _loose(loaded, {name: d for name, (d, _) in bindings.items()}, broken)
    findings += _foreign(loaded, broken)
    return loaded, sort(findings)


def _foreign(loaded: Policies, broken: set[str]) -> Iterator[Diagnostic]:
    """What may be another engine's policy: no object of Kubernetes' own core, nor params of a policy here."""
    kinds = {policy.param_kind for policy in loaded.policies}
    for key in loaded.objects if not broken else ():
        if key[0] != "v1" and key[:2] not in kinds:
            message = f"{key[1]} {key[3]} of {key[0]} is not evaluated"
            why = "only ValidatingAdmissionPolicies are asked here, so it is no pass"
            fix = "keep it in another folder; write what a pull request is to be told as a ValidatingAdmissionPolicy"
            yield Diagnostic("policy-not-evaluated", message, loaded.places[key], why, fix)


def documents(file: str, data: bytes) -> Iterator[Document]:
    """The YAML documents of a file that hold anything, each with places in the whole file.

    Each is read from the file's text with the lines of the others blank: a line that begins with --- ends a document
    wherever it stands, even in a block of text (YAML 1.2.2 §9.1).
    """
    try:
        lines = data.decode().splitlines(keepends=True)
    except UnicodeDecodeError:
        yield read(file, data)  # which says so
        return
    starts = [n for n, line in enumerate(lines) if _SEPARATOR.match(line)]
    bounds = [0, *starts, len(lines)]
    for start, end in pairwise(bounds):
        part = lines[start:end]
        if part and _SEPARATOR.match(part[0]):
            part[0] = "   " + part[0][3:]
        if all(not line.strip() or line.lstrip().startswith("#") for line in part):
            continue
        yield read(file, ("\n" * start + "".join(part)).encode())


def _as_meant(data: dict[str, Any]) -> dict[str, Any]:
    """Params as their author will have quoted them: that a value is no text is told already."""
    if data["kind"] != "ConfigMap" or not isinstance(data.get("data"), dict):
        return data
    texts = {key: text if isinstance(text, str) else str(text) for key, text in data["data"].items()}
    return {**data, "data": texts}


def _as_stored(data: dict[str, Any]) -> dict[str, Any]:
    """An object without the maps that are stored by their absence."""
    metadata = {k: v for k, v in data["metadata"].items() if v or k not in ("labels", "annotations")}
    kept = {k: v for k, v in data.items() if v or k not in ("data", "binaryData") or data["kind"] != "ConfigMap"}
    return {**kept, "metadata": metadata}


def _twice(key: tuple[str, str, str, str], place: Span, first: Span) -> Diagnostic:
    message = f"a second {key[1]} of the name {key[3]}"
    return Diagnostic(
        "bad-policy", message, place, "one name is one object", "rename one", (Related("the first one", first),)
    )


def _binding(document: Document) -> Binding:
    data: Any = document.data
    spec = data["spec"]
    return Binding(
        name=data["metadata"]["name"],
        place=document.span(("metadata", "name")),
        policy=spec["policyName"],
        actions=tuple(spec["validationActions"]),
        param_ref=spec.get("paramRef"),
        match=spec.get("matchResources"),
    )


def _loose(loaded: Policies, documents: Mapping[str, Document], broken: set[str]) -> Iterator[Diagnostic]:
    """What is said of policies, bindings and params that do not find each other."""
    by_name = {policy.name: policy for policy in loaded.policies}
    used = {binding.policy for binding in loaded.bindings}
    for policy in loaded.policies:
        if policy.name not in used | broken:
            why = "the cluster asks a policy only where a ValidatingAdmissionPolicyBinding says so"
            fix = "add a binding with this policyName, or remove the policy"
            yield Diagnostic("policy-without-binding", f"no binding names {policy.name}", policy.place, why, fix)
    for binding in loaded.bindings:
        document = documents[binding.name]
        bound = by_name.get(binding.policy)
        if bound is None:
            if binding.policy not in broken:
                place = document.span(("spec", "policyName"))
                known = ", ".join(sorted(by_name)) or "none"
                message = f"there is no policy {binding.policy}"
                yield Diagnostic("unknown-policy", message, place, f"the policies here are: {known}", "mend the name")
        elif bound.param_kind is not None and binding.param_ref is not None:
            yield from _params(loaded, binding, bound.param_kind, document)
        elif bound.param_kind is not None or binding.param_ref is not None:
            yield _half(binding, bound, document)


def _half(binding: Binding, policy: Policy, document: Document) -> Diagnostic:
    if binding.param_ref is None:
        message, where = f"the binding gives {policy.name} no params", ("spec", "policyName")
        why, fix = "the policy has a paramKind", "add paramRef to the binding"
    else:
        message, where = f"{policy.name} takes no params", ("spec", "paramRef")
        why, fix = "the policy has no paramKind", "remove paramRef, or add paramKind to the policy"
    return Diagnostic("missing-params", message, document.key_span(where), why, fix)


def _params(loaded: Policies, binding: Binding, kind: tuple[str, str], document: Document) -> Iterator[Diagnostic]:
    reference = binding.param_ref or {}
    name, namespace = reference.get("name"), reference.get("namespace")
    if not name:
        return
    for version, its_kind, its_namespace, its_name in loaded.objects:
        if (version, its_kind) == kind and its_name == name and namespace in (None, its_namespace):
            return
    message = f"there is no {kind[1]} {f'{namespace}/' if namespace else ''}{name} among the policy files"
    why = "params that only the cluster has cannot be read here"
    fix = "add it to the files beside the policy"
    yield Diagnostic("missing-params", message, document.span(("spec", "paramRef", "name")), why, fix)
