"""The verdicts of policies on a request, as the API server would give them.

    policies, findings = load({"policies/images.yaml": data})
    Judge(policies).judge(Request(manifest, ("tekton.dev", "v1", "tasks"), namespace=namespace))

An object is judged as it is given: what the API server fills in by default (and other admission plugins change)
belongs into it before. Verdicts come in the order of policies, bindings and validations; of several that deny, the
API server's answer names one, which of them is not promised; within one policy and binding it is the first.

Source: k8s.io/apiserver/pkg/admission/plugin/policy/validating/{dispatcher,validator}.go, 1.34.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mlgen.diagnostic import Span
from mlgen.policy.cel.evaluate import Scope
from mlgen.policy.cel.library.formats import Reasons
from mlgen.policy.cel.library.strings import trim
from mlgen.policy.cel.meter import METER
from mlgen.policy.cel.values import CelError, NotEvaluated, Wordless
from mlgen.policy.match import labels, matches, selects
from mlgen.policy.model import Binding, Expression, Policies, Policy, Validation
from mlgen.policy.request import Object, Request, as_stored, is_namespace, namespace_name, roots_of

__all__ = ["Judge", "Request", "Verdict", "evaluate"]

MAX_MESSAGE_BYTES = 5 * 1024
COST_OF_EXPRESSION = 1_000_000  # what the API server lets one expression cost; half of it is left for our guess


@dataclass(frozen=True, slots=True)
class Verdict:
    """A policy says no, or cannot be evaluated here.

    validation: its index; None where it was never come to. actions: of Deny, Warn, Audit. message: as in the
    API server's answer, after "denied request: ". place: the expression's in the policy's file.
    evaluated: False where only the cluster knows: `error` says why, and `message` is empty. True with an `error`:
    that it says no is certain, and only its words may differ from the cluster's.
    """

    policy: Policy
    binding: Binding
    validation: int | None
    actions: tuple[str, ...]
    message: str
    reason: str
    place: Span
    evaluated: bool = True
    error: str = ""

    @property
    def text(self) -> str:
        """The whole sentence of the API server, after "… is forbidden: "."""
        return (
            f"ValidatingAdmissionPolicy '{self.policy.name}' with binding '{self.binding.name}' "
            f"denied request: {self.message}"
        )

    @property
    def warning(self) -> str:
        """The warning, where the binding warns."""
        return (
            f"Validation failed for ValidatingAdmissionPolicy '{self.policy.name}' "
            f"with binding '{self.binding.name}': {self.message}"
        )


class Judge:
    """Judges requests by policies. Compiled policies are kept; nothing of a request is."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies
        by_policy: dict[str, list[Binding]] = {}
        for binding in policies.bindings:
            by_policy.setdefault(binding.policy, []).append(binding)
        self._by_object: dict[tuple[object, ...], bool] = {}
        self._known: dict[tuple[object, ...], list[tuple[Policy, list[Binding]]]] = {}
        self._bound = [(p, tuple(by_policy[p.name])) for p in policies.policies if p.name in by_policy]

    def judge(self, request: Request) -> list[Verdict]:
        """What is said against a request; nothing, where it is admitted."""
        request = as_stored(request)
        asked = self._asked(request)
        if not asked:
            return []
        roots = roots_of(request)
        return [v for policy, bindings in asked for v in self._policy(policy, bindings, request, roots)]

    def _asked(self, request: Request) -> list[tuple[Policy, list[Binding]]]:
        """The policies and bindings that match. Most look at nothing of an object but where it is of what kind."""
        own = request.namespace
        where = None if own is None else tuple(sorted(labels(own).items()))
        namespaced, space = bool(namespace_name(request)), is_namespace(request)
        key = (request.resource, request.subresource, request.operation, namespaced, where)
        match = _matcher(request)
        found = None if space else self._known.get(key)
        if found is None:
            found = [
                (policy, [b for b in bindings if _by_object(b.match) or match(b.match or {})])
                for policy, bindings in self._bound
                if _by_object(policy.spec["matchConstraints"]) or match(policy.spec["matchConstraints"])
            ]
            found = [(policy, bindings) for policy, bindings in found if bindings]
            self._known[key] = found
            self._by_object[key] = any(
                _by_object(policy.spec["matchConstraints"]) or any(_by_object(b.match) for b in bindings)
                for policy, bindings in found
            )
        if not self._by_object[key]:
            return found
        return [
            (policy, [b for b in bindings if not _by_object(b.match) or match(b.match or {})])
            for policy, bindings in found
            if (not _by_object(policy.spec["matchConstraints"]) or match(policy.spec["matchConstraints"]))
        ]

    def _policy(
        self, policy: Policy, bindings: list[Binding], request: Request, roots: dict[str, Any]
    ) -> Iterator[Verdict]:
        for binding in bindings:
            try:
                params = self._params(policy, binding, request)
            except CelError as error:
                if policy.fail:
                    message = f"failed to configure binding: {error}"
                    yield Verdict(policy, binding, None, ("Deny",), message, "Invalid", binding.place)
                continue
            except NotEvaluated as unknown:
                yield _unknown(policy, binding, None, binding.place, unknown)
                continue
            for param in params:
                yield from _validate(policy, binding, {**roots, "params": param} if policy.param_kind else roots)

    def _params(self, policy: Policy, binding: Binding, request: Request) -> list[Object | None]:
        """Raises CelError where there are none and that is refused."""
        reference = binding.param_ref
        if policy.param_kind is None:
            return [None]
        if reference is None:
            return [None]
        own = namespace_name(request)
        where = reference.get("namespace") or own
        found = []
        for (version, kind, namespace, name), item in self._policies.objects.items():
            if (version, kind) != policy.param_kind or (namespace and namespace != where):
                continue
            if reference.get("name"):
                if name == reference["name"]:
                    found.append(item)
            elif selects(reference.get("selector") or {}, labels(item)):
                found.append(item)
        if found:
            return list(found)
        if reference.get("parameterNotFoundAction") == "Allow":
            return []
        raise CelError("no params found for policy binding with `Deny` parameterNotFoundAction")


def _by_object(rules: Mapping[str, Any] | None) -> bool:
    """Whether these rules look at an object's labels or name."""
    if not rules:
        return False
    listed = [*(rules.get("resourceRules") or ()), *(rules.get("excludeResourceRules") or ())]
    return bool(rules.get("objectSelector")) or any(rule.get("resourceNames") for rule in listed)


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


def _validate(policy: Policy, binding: Binding, roots: dict[str, Any]) -> Iterator[Verdict]:
    scope = Scope(roots, {v.name: v.expression.run for v in policy.variables})
    try:
        if not _conditions(policy, roots):
            return
    except CelError as error:
        if policy.fail:
            place = policy.match_conditions[0].expression.place
            yield Verdict(policy, binding, None, binding.actions, str(error), "", place)
        return
    except NotEvaluated as unknown:
        yield _unknown(policy, binding, None, policy.match_conditions[0].expression.place, unknown)
        return
    for validation in policy.validations:
        verdict = _validation(policy, binding, validation, scope)
        if verdict is not None:
            yield verdict
    for audit in policy.audits:
        try:
            evaluate(audit, scope)
        except CelError as error:
            if policy.fail:  # whatever the binding's actions are
                said = _WORDLESS if isinstance(error, Wordless) else ""
                yield Verdict(policy, binding, None, ("Deny",), str(error), "", audit.place, True, said)
        except NotEvaluated as unknown:
            yield _unknown(policy, binding, None, audit.place, unknown)


def _conditions(policy: Policy, roots: dict[str, Any]) -> bool:
    """Whether all match. Raises CelError with all errors where none says no, NotEvaluated likewise."""
    errors: list[CelError] = []
    unknown: NotEvaluated | None = None
    scope = Scope({**roots, "namespaceObject": None}, {})
    for condition in policy.match_conditions:
        try:
            if evaluate(condition.expression, scope) is False:
                return False
        except CelError as error:
            errors.append(error)
        except NotEvaluated as found:
            unknown = unknown or found
    if unknown is not None:
        raise unknown
    if errors and not policy.fail:
        return False
    if errors:
        said = list(dict.fromkeys(map(str, errors)))
        raise CelError(said[0] if len(said) == 1 else f"[{', '.join(said)}]")
    return True


def evaluate(expression: Expression, scope: Scope) -> Any:
    """The value of an expression. Raises CelError in the API server's words, NotEvaluated."""
    METER.spent = 0
    try:
        found = expression.run([scope])
    except CelError as error:
        raise type(error)(f"expression '{expression.text}' resulted in error: {error}") from None
    except RecursionError:
        raise NotEvaluated("the expression is nested too deep") from None
    except (ArithmeticError, ValueError) as error:  # a value beyond what both sides are known to treat alike
        raise NotEvaluated(f"a value cannot be evaluated here: {error}") from None
    if METER.spent > COST_OF_EXPRESSION // 2:
        raise NotEvaluated("it may cost more than the API server lets an expression cost")
    return found


def _validation(policy: Policy, binding: Binding, validation: Validation, scope: Scope) -> Verdict | None:
    place, actions = validation.expression.place, binding.actions
    try:
        if evaluate(validation.expression, scope) is True:
            return None
    except CelError as error:
        if not policy.fail:
            return None
        said = _WORDLESS if isinstance(error, Wordless) else ""
        return Verdict(policy, binding, validation.index, actions, str(error), "", place, True, said)
    except NotEvaluated as unknown:
        return _unknown(policy, binding, validation.index, place, unknown)
    try:
        message = _message(validation, scope)
    except NotEvaluated as unknown:
        # That it says no is known; only its words are not.
        return Verdict(
            policy, binding, validation.index, actions, _plain(validation), validation.reason, place, True, str(unknown)
        )
    return Verdict(policy, binding, validation.index, actions, message, validation.reason, place)


def _message(validation: Validation, scope: Scope) -> str:
    if validation.message_expression is not None:
        try:
            found = evaluate(validation.message_expression, scope)
        except Wordless:
            raise NotEvaluated(_WORDLESS) from None
        except CelError:
            found = None
        if isinstance(found, Reasons):
            raise NotEvaluated("the words of a format's reasons are the cluster's own")
        if isinstance(found, str):
            text = trim(found)
            if text and "\n" not in text and len(text.encode("utf-8", "surrogatepass")) <= MAX_MESSAGE_BYTES:
                return text
    return _plain(validation)


def _plain(validation: Validation) -> str:
    return trim(validation.message) or f"failed expression: {trim(validation.expression.text)}"


def _unknown(policy: Policy, binding: Binding, index: int | None, place: Span, why: NotEvaluated) -> Verdict:
    return Verdict(policy, binding, index, binding.actions, "", "", place, False, str(why))


_WORDLESS = "the words of this error are the cluster's own"
