"""Which policies and bindings are of a kind of objects in a namespace, decided once for all objects of the kind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mlgen.cli.policies.subjects import Data
from mlgen.spec.project import Environment

if TYPE_CHECKING:  # the library of CEL is loaded where there are policies
    from mlgen.policy.judge import Judge
    from mlgen.policy.model import Binding, Expression, Policies, Policy


class Judges:
    """A judge of each kind of object in a namespace, kept.

    undecided: bindings of which only the cluster knows whether they are of what an environment renders, by environment
    and name, with the labels of the namespace on which that rests.
    """

    def __init__(self, policies: Policies) -> None:
        from mlgen.policy.judge import Judge  # here: with a library of 50 MB, which only projects with policies load

        self.make = Judge
        self.policies = policies
        self.undecided: dict[tuple[str, str], tuple[Binding, list[str]]] = {}
        self._kept: dict[tuple[object, ...], Judge] = {}

    def knows(self, named: Data) -> bool:
        """Whether all labels of a namespace are known."""
        return ("v1", "Namespace", "", str(named["metadata"]["name"])) in self.policies.objects

    def of(
        self, resource: tuple[str, str, str], named: Data, environment: Environment, *, retry: bool = False,
        change: bool = False,
    ) -> Judge:  # fmt: skip
        """The judge of one kind of object in a namespace.

        retry: of a pod's next attempt. change: of an update, by policies that say of it what they say of nothing new.
        """
        key = (resource, retry, change, tuple(sorted(named["metadata"]["labels"].items())))
        if key not in self._kept:
            operation = "UPDATE" if change else "CREATE"
            policies: list[Policy] = []
            bindings: list[Binding] = []
            for policy in self.policies.policies:
                given = policy.spec.get("matchConstraints")
                rules = decided(given, resource, named, operation)
                if change and not reads_change(policy) and decided(given, resource, named) is not None:
                    continue
                if rules is not None and (not retry or reads_name(policy)):
                    policies.append(replace(policy, spec={**policy.spec, "matchConstraints": rules}))
            by_name, whole = {one.name: one for one in self.policies.policies}, self.knows(named)
            for binding in self.policies.bindings:
                of = by_name.get(binding.policy)
                if of is not None and (keys := [] if whole else rests_on(of, binding.match, resource, named)):
                    self.undecided.setdefault((environment.name, binding.name), (binding, keys))
                    continue
                rules = decided(binding.match, resource, named, operation)
                if rules is not None:
                    bindings.append(replace(binding, match=rules))
            self._kept[key] = self.make(replace(self.policies, policies=tuple(policies), bindings=tuple(bindings)))
        return self._kept[key]


def decided(
    rules: Mapping[str, Any] | None, resource: tuple[str, str, str], named: Data, operation: str = "CREATE"
) -> Mapping[str, Any] | None:
    """Rules for all objects of a kind in a namespace: none where they take all, None where they take none.

    The same rules where that rests on the object.
    """
    from mlgen.policy.cel.values import NotEvaluated  # here: as above
    from mlgen.policy.match import matches

    given = rules or {}
    listed = [*(given.get("resourceRules") or ()), *(given.get("excludeResourceRules") or ())]
    if given.get("objectSelector") or any(rule.get("resourceNames") for rule in listed):
        return given
    try:
        taken = matches(
            given,
            resource=resource,
            operation=operation,
            name="",
            namespaced=True,
            objects=({},),
            namespace_labels=named["metadata"]["labels"],
        )
    except NotEvaluated:
        return given
    return {} if taken else None


# What of an object is certainly not its name. All else may be: the whole object, too.
_NAMELESS = re.compile(
    r"""\bobject\s*\.\s*\??\s*(?:spec|kind|apiVersion|metadata\s*\.\s*\??\s*(?:labels|annotations|namespace))\b
      | \brequest\s*\.\s*(?:operation|namespace|kind|resource)\b | \bobject\s*\.\s*metadata\s*\.\s*\?\s*labels\b""",
    re.VERBOSE,
)
_OBJECT = re.compile(r"\b(?:object|request)\b")


_CHANGE = re.compile(r"\b(?:oldObject|request)\b")


def reads_change(policy: Policy) -> bool:
    """Whether what a policy says of an object might be otherwise where there is an older one."""
    return any(_CHANGE.search(expression.text) for expression in _expressions(policy))


def _expressions(policy: Policy) -> list[Expression]:
    return [
        *(c.expression for c in policy.match_conditions),
        *(v.expression for v in policy.variables),
        *(e for v in policy.validations for e in (v.expression, v.message_expression) if e is not None),
    ]


def reads_name(policy: Policy) -> bool:
    """Whether what a policy says of an object might rest on the object's name."""
    rules = (policy.spec.get("matchConstraints") or {}).get("resourceRules") or ()
    expressions = _expressions(policy)
    return any(rule.get("resourceNames") for rule in rules) or any(
        _OBJECT.search(_NAMELESS.sub("", expression.text)) for expression in expressions
    )


def rests_on(policy: Policy, match: Mapping[str, Any] | None, resource: tuple[str, str, str], named: Data) -> list[str]:
    """The labels of a namespace, beyond those known, on which it rests whether a binding is of such objects.

    match: of the binding.
    """
    both, labels = (policy.spec.get("matchConstraints") or {}, match or {}), named["metadata"]["labels"]
    if any(decided({**rules, "namespaceSelector": {}}, resource, named) is None for rules in both):
        return []
    selectors = [rules.get("namespaceSelector") or {} for rules in both]
    if not all(_may_select(selector, labels) for selector in selectors):
        return []
    return sorted({key for selector in selectors for key in _keys(selector)} - set(labels))


def _keys(selector: Mapping[str, Any]) -> set[str]:
    rules = selector.get("matchExpressions") or ()
    return {*(selector.get("matchLabels") or {}), *(str(rule["key"]) for rule in rules)}


def _may_select(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether what is known does not say no already."""
    from mlgen.policy.match import selects  # here: as above

    texts, rules = selector.get("matchLabels") or {}, selector.get("matchExpressions") or ()
    known = {
        "matchLabels": {key: text for key, text in texts.items() if key in labels},
        "matchExpressions": [rule for rule in rules if rule["key"] in labels],
    }
    return selects(known, labels)
