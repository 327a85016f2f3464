"""Policies and objects on which the API server and the engine must agree, to the last byte of the message.

A case is a policy with a binding that takes objects by their label `parity`; objects are posted under each case.
"""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Iterable, Iterator

from tests.policy import expressions
from tests.policy.case import Case, Json
from tests.policy.semantics import CASES

LABEL = "parity"
GROUP = "engine.parity.mlgen.dev"
THINGS = (GROUP, "v1", "things")
API = "admissionregistration.k8s.io/v1"
RULES = [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["CREATE"], "resources": ["*"]}]


def crd() -> Json:
    """Things: a Kind of our own, whose spec may be any JSON."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": anything}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things", "singular": "thing"},
            "versions": [
                {"name": name, "served": True, "storage": name == "v1", "schema": schema} for name in ("v1", "v2")
            ],
        },
    }


def cases() -> Iterator[Case]:
    """All cases, in a fixed order."""
    for file, objects in (("values-of-objects", expressions.ALL), ("values", ("plain",))):
        for number, text in enumerate(expressions.read(file)):
            validation = {
                "expression": f"dyn({text}) == dyn('never')",
                "messageExpression": f"'%s'.format([{text}])",
                "message": "no text",
            }
            yield Case(f"{file}-{number}", {"validations": [validation]}, objects=objects)
    for number, text in enumerate(expressions.read("conditions")):
        yield Case(f"condition-{number}", {"validations": [{"expression": text, "message": "no"}]})
    yield from CASES


_FEATURE = re.compile(
    r"\w+(?=\()|\.\?|\[\?|[-+*/%]|[<>=!]=|[<>]|&&|\|\||\bin\b|\?|[\[{]|request\.\w+|namespaceObject\b"
)


def features(cases: Iterable[Case]) -> set[str]:
    """The functions and operators of the expressions of cases."""
    rules = [rule for case in cases for rule in case.spec.get("validations", ())]
    return {found for rule in rules for found in _FEATURE.findall(rule["expression"])}


def some(seed: str, count: int) -> list[Case]:
    """All that is around expressions; and of expressions, `count` by chance, among them each function and operator."""
    chance, around = random.Random(seed), {case.name for case in CASES}
    expressed = [case for case in cases() if case.name not in around]
    seen: set[str] = set()
    taken: set[str] = set()
    shuffled = chance.sample(expressed, len(expressed))
    for case in shuffled:
        if new := features([case]) - seen:
            seen |= new
            taken.add(case.name)
    taken.update(case.name for case in shuffled[: max(0, count - len(taken))])
    return [case for case in cases() if case.name in around or case.name in taken]


def things() -> dict[str, Json]:
    """The objects, by name."""
    return {
        name: {"apiVersion": f"{GROUP}/v1", "kind": "Thing", "metadata": {"name": name, **metadata}, "spec": spec}
        for name, (metadata, spec) in expressions.SPECS.items()
    }


def documents(case: Case, prefix: str, namespace: str) -> list[Json]:
    """The policy, the bindings and the params of a case; bound to one namespace by its name."""
    name = f"{prefix}-{case.name}"
    spec = copy.deepcopy(case.spec)
    spec.setdefault("matchConstraints", {"resourceRules": RULES})
    found: list[Json] = [
        {"apiVersion": API, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name}, "spec": spec}
    ]
    for number, given in enumerate(case.bindings):
        binding: Json = {"policyName": name, "validationActions": ["Deny"], **copy.deepcopy(given)}
        match: Json = binding.setdefault("matchResources", {})
        match.setdefault("namespaceSelector", {"matchLabels": {"kubernetes.io/metadata.name": namespace}})
        match.setdefault("objectSelector", {"matchLabels": {LABEL: case.name}})
        if binding.get("paramRef", {}).get("namespace") == "$own":
            binding["paramRef"]["namespace"] = namespace
        kind, metadata = "ValidatingAdmissionPolicyBinding", {"name": f"{name}-{number}" if number else name}
        found.append({"apiVersion": API, "kind": kind, "metadata": metadata, "spec": binding})
    return [*found, *(params(p, namespace) for p in case.params)]


def params(data: Json, namespace: str) -> Json:
    return {**data, "metadata": {**data["metadata"], "namespace": namespace}}


def labelled(data: Json, case: str, namespace: str) -> Json:
    """An object as it is posted under a case."""
    metadata = data["metadata"]
    labels = {**metadata.get("labels", {}), LABEL: case}
    return {**data, "metadata": {**metadata, "namespace": namespace, "labels": labels}}


def namespace_object(name: str) -> Json:
    labels = {"kubernetes.io/metadata.name": name, "mlgen.dev/env": "prod"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
