"""The verdicts of policies on a request, as the API server would give them.

    policies, findings = load({"policies/images.yaml": data})
    Judge(policies).judge(Request(manifest, ("tekton.dev", "v1", "tasks"), namespace=namespace))

An object is judged as it is given: what the API server fills in by default (and other admission plugins change)
belongs into it before. Verdicts come in the order of policies, bindings and validations; of several that deny, the
API server's answer names one, which of them is not promised; within one policy and binding it is the first.

Source: k8s.io/apiserver/pkg/admission/plugin/policy/validating/dispatcher.go, 1.34.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlgen.policy.cel.values import CelError, NotEvaluated
from mlgen.policy.match import labels, matches, selects
from mlgen.policy.model import Binding, Policies, Policy
from mlgen.policy.request import Object, Request, as_stored, is_namespace, namespace_name, roots_of, with_given
from mlgen.policy.verdict import COSTLY_EXPRESSION, COSTLY_POLICY, Verdict, unknown, validate

__all__ = ["Judge", "Request", "Verdict"]

_MOST_COSTLY = 5
Asked = list[tuple[Policy, Binding, bool | str | None]]  # None: it rests on the object


@dataclass(slots=True)
class _Answers:
    """What a policy and binding said, by all that it can rest on. Most objects are like some other in what is asked.

    It ends where that proves wrong: where few were found of the first many. costly: how many were too costly to be
    found; the last of them stands for all objects once it is enough, which is no pass.
    """

    said: dict[bytes, tuple[Verdict, ...]] = field(default_factory=dict)
    found: int = 0
    costly: int = 0
    last: tuple[Verdict, ...] = ()

    def new(self, verdicts: Iterator[Verdict]) -> tuple[Verdict, ...]:
        if self.costly >= _MOST_COSTLY:
            return self.last
        made = tuple(verdicts)
        if any(v.error in (COSTLY_EXPRESSION, COSTLY_POLICY) for v in made):
            self.costly += 1
            self.last = tuple(v for v in made if not v.evaluated)
        return made

    @property
    def worth(self) -> bool:
        return len(self.said) < 500 or self.found * 4 > len(self.said)


class Judge:
    """Judges requests by policies. Kept are answers, by a digest of what they rest on, nothing else."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies
        by_policy: dict[str, list[Binding]] = {}
        for binding in policies.bindings:
            by_policy.setdefault(binding.policy, []).append(binding)
        self._known: dict[tuple[object, ...], Asked] = {}
        self._bound = [(p, tuple(by_policy[p.name])) for p in policies.policies if p.name in by_policy]
        self._answers = {(p.name, b.name): _Answers() for p, bindings in self._bound for b in bindings}
        self._given: dict[tuple[str, str, str], list[Object | None]] = {}

    def judge(self, request: Request) -> list[Verdict]:
        """What is said against a request; nothing, where it is admitted."""
        request = as_stored(request)
        roots, own = roots_of(request), namespace_name(request)
        said: list[Verdict] = []
        for policy, binding, reason in self._asked(request):
            if reason:
                said.append(unknown(policy, binding, None, policy.place, NotEvaluated(reason)))
            else:
                said += self._policy(policy, binding, own, roots)
        return said

    def _asked(self, request: Request) -> Iterator[tuple[Policy, Binding, str]]:
        """The policies and bindings that match, and why that is not known, if so.

        Most look at nothing of an object but where it is of what kind.
        """
        own = request.namespace
        where = None if own is None else tuple(sorted(labels(own).items()))
        key = (request.resource, request.subresource, request.operation, bool(namespace_name(request)), where)
        match = _matcher(request)
        found = None if is_namespace(request) else self._known.get(key)
        if found is None:
            pairs = [(policy, binding) for policy, bindings in self._bound for binding in bindings]
            asked = [(p, b, None if _by_object(p, b) else _taken(match, p, b)) for p, b in pairs]
            found = self._known[key] = [(p, b, taken) for p, b, taken in asked if taken is not False]
        for policy, binding, known in found:
            taken = _taken(match, policy, binding) if known is None else known
            if taken is not False:
                yield policy, binding, "" if taken is True else taken

    def _policy(self, policy: Policy, binding: Binding, own: str, roots: dict[str, Any]) -> Iterator[Verdict]:
        try:
            params = self._params(policy, binding, own)
        except CelError as error:
            if policy.fail:
                message = f"failed to configure binding: {error}"
                yield Verdict(policy, binding, None, ("Deny",), message, "Invalid", binding.place)
            return
        for param in params:
            yield from self._answer(policy, binding, {**roots, "params": param} if policy.param_kind else roots)

    def _answer(self, policy: Policy, binding: Binding, roots: dict[str, Any]) -> tuple[Verdict, ...]:
        answers = self._answers[policy.name, binding.name]
        key = policy.reading.key(roots) if policy.reading is not None and answers.worth else None
        if key is None:
            return answers.new(validate(policy, binding, roots))
        found = answers.said.get(key)
        if found is None:
            found = answers.said[key] = answers.new(validate(policy, binding, roots))
        else:
            answers.found += 1
        return found

    def _params(self, policy: Policy, binding: Binding, own: str) -> list[Object | None]:
        """own: the namespace of the object. Raises CelError where there are none and that is refused."""
        if policy.param_kind is None or binding.param_ref is None:
            return [None]
        key = (policy.name, binding.name, own)
        if key not in self._given:
            found = self._found(policy.param_kind, binding.param_ref, own)
            self._given[key] = [with_given("params", item) for item in found]
        if not self._given[key] and binding.param_ref.get("parameterNotFoundAction") != "Allow":
            raise CelError("no params found for policy binding with `Deny` parameterNotFoundAction")
        return self._given[key]

    def _found(self, wanted: tuple[str, str], reference: Mapping[str, Any], own: str) -> Iterator[Object]:
        where = reference.get("namespace") or own
        for (version, kind, namespace, name), item in self._policies.objects.items():
            if (version, kind) != wanted or (namespace and namespace != where):
                continue
            if reference.get("name"):
                if name == reference["name"]:
                    yield item
            elif selects(reference.get("selector") or {}, labels(item)):
                yield item


def _by_object(policy: Policy, binding: Binding) -> bool:
    """Whether the rules of either look at an object's labels or name."""
    for rules in (policy.spec["matchConstraints"], binding.match or {}):
        listed = [*(rules.get("resourceRules") or ()), *(rules.get("excludeResourceRules") or ())]
        if rules.get("objectSelector") or any(rule.get("resourceNames") for rule in listed):
            return True
    return False


def _taken(match: Callable[[Mapping[str, Any]], bool], policy: Policy, binding: Binding) -> bool | str:
    """Whether both match; why it is not known."""
    reason = ""
    for rules in (policy.spec["matchConstraints"], binding.match or {}):
        try:
            if not match(rules):
                return False
        except NotEvaluated as error:
            reason = reason or str(error)
    return reason or True


def _matcher(request: Request) -> Callable[[Mapping[str, Any]], bool]:
    of_namespace = is_namespace(request)
    data = request.object or request.old_object or {}
    name = str((data.get("metadata") or {}).get("name") or "")
    own = data if of_namespace else request.namespace
    found = None if own is None else labels(own)
    group, version, plural = request.resource
    resource = (group, version, f"{plural}/{request.subresource}" if request.subresource else plural)
    namespaced = not of_namespace and bool(namespace_name(request))
    objects = (request.object, request.old_object)
    return lambda rules: matches(
        rules,
        resource=resource,
        operation=request.operation,
        name=name,
        namespaced=namespaced,
        objects=objects,
        namespace_labels=found,
    )
