"""Cases of policies → what each policy said to them, and which rules were never tried. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mlgen.policy.cases import Case, resources
from mlgen.policy.cel.steps import Frame
from mlgen.policy.judge import Judge, Request, Verdict
from mlgen.policy.model import Expression, Policies, Policy, Validation


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was said of a case. refused: by policies that deny or cannot be evaluated; warned: by others."""

    case: Case
    refused: tuple[str, ...]
    warned: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return (self.refused, self.warned) == (self.case.denied, self.case.warned)


@dataclass(frozen=True, slots=True)
class Rule:
    """A validation of a policy, and how many cases it said no, and yes, to."""

    policy: Policy
    validation: Validation
    denied: int
    allowed: int


def try_out(policies: Policies, cases: Sequence[Case]) -> tuple[list[Outcome], list[Rule]]:
    """Judge the cases by policies, with the params that each case gives; and how often each rule was asked."""
    outcomes = list[Outcome]()
    counts = {(p.name, v.index): [0, 0] for p in policies.policies for v in p.validations}
    for case in cases:
        given = replace(policies, objects=_objects(policies, case))
        found = Judge(given).judge(_request(case))
        outcomes.append(
            Outcome(case, tuple(_said(v) for v in found if _denies(v)), tuple(v.message for v in found if _warns(v)))
        )
        for verdict in found:
            if verdict.evaluated and verdict.validation is not None:
                counts[verdict.policy.name, verdict.validation][0] += 1
        _count_allowed(counts, found, _asked(given, case))
    rules = [Rule(p, v, *counts[p.name, v.index]) for p in policies.policies for v in p.validations]
    return outcomes, rules


def _count_allowed(counts: Mapping[tuple[str, int], list[int]], found: Sequence[Verdict], asked: Iterable[str]) -> None:
    """A policy that was asked, and got as far as its rules, said yes by each rule that did not speak."""
    spoke = {(v.policy.name, v.validation) for v in found}
    for name in asked:
        if (name, None) not in spoke:
            for (policy, index), count in counts.items():
                if policy == name and (policy, index) not in spoke:
                    count[1] += 1


def _asked(policies: Policies, case: Case) -> set[str]:
    """The policies whose rules a case comes to: those that would say no to everything."""
    never = tuple(replace(p, validations=(_never(p),)) for p in policies.policies)
    found = Judge(replace(policies, policies=never)).judge(_request(case))
    return {v.policy.name for v in found if v.validation is not None}


def _never(policy: Policy) -> Validation:
    def false(_frame: Frame) -> Any:
        return False

    return Validation(0, Expression("false", policy.place, false), "never", None, "Invalid")


def _request(case: Case) -> Request:
    deleted = case.operation == "DELETE"
    return Request(
        object=None if deleted else case.object,
        resource=resources(case.object),
        operation=case.operation,
        old_object=case.object if deleted else case.old,
        namespace=case.namespace,
        subresource=case.subresource,
    )


def _objects(policies: Policies, case: Case) -> Mapping[tuple[str, str, str, str], Mapping[str, Any]]:
    """The params of a case: a ConfigMap for each binding that refers to one by name."""
    namespace = case.namespace["metadata"]["name"]
    objects = dict(policies.objects)
    for binding in policies.bindings if case.params else ():
        reference = binding.param_ref or {}
        if name := reference.get("name"):
            where = reference.get("namespace") or namespace
            metadata = {"name": name, "namespace": where}
            made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(case.params)}
            objects["v1", "ConfigMap", where, name] = made
    return objects


def _denies(verdict: Verdict) -> bool:
    return not verdict.evaluated or "Deny" in verdict.actions


def _warns(verdict: Verdict) -> bool:
    return verdict.evaluated and "Warn" in verdict.actions


def _said(verdict: Verdict) -> str:
    return verdict.message if verdict.evaluated else f"not evaluated: {verdict.error}"
