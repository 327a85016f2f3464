"""The verdicts of one policy and binding, with one set of params, on what its expressions see.

Source: k8s.io/apiserver/pkg/admission/plugin/policy/validating/validator.go, 1.34.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mlgen.diagnostic import Span
from mlgen.policy.cel.library.formats import Reasons
from mlgen.policy.cel.library.strings import trim
from mlgen.policy.cel.meter import METER, TooCostly
from mlgen.policy.cel.scope import Scope
from mlgen.policy.cel.values import CelError, NotEvaluated, Wordless
from mlgen.policy.model import Binding, Expression, Policy, Validation

MAX_MESSAGE_BYTES = 5 * 1024
# What the API server lets things cost; half of it is left for our guess. An expression; all those of a policy for one
# request; its match conditions. Source: k8s.io/apiserver/pkg/apis/cel/config.go.
COST_OF_EXPRESSION, COST_OF_POLICY, COST_OF_CONDITIONS = 1_000_000, 10_000_000, 2_500_000
COSTLY_EXPRESSION = "it may cost more than the API server lets an expression cost"
COSTLY_POLICY = "all of it may cost more than the API server lets a policy cost"


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


class Overspent(NotEvaluated):
    """All that comes after it may cost too much, too."""


@dataclass(slots=True)
class _Sight:
    """What some expressions see, and what they may cost together: half of it, for ours is a guess."""

    scope: Scope
    left: int

    def evaluate(self, expression: Expression) -> Any:
        """The value of an expression. Raises CelError in the API server's words, NotEvaluated."""
        METER.spent, METER.limit = 0, COST_OF_EXPRESSION // 2
        try:
            found = expression.run([self.scope])
        except TooCostly:
            self._pay()
            raise NotEvaluated(COSTLY_EXPRESSION) from None
        except CelError as error:
            self._pay()
            raise type(error)(f"expression '{expression.text}' resulted in error: {error}") from None
        except RecursionError:
            raise NotEvaluated("the expression is nested too deep") from None
        except (ArithmeticError, ValueError) as error:  # a value beyond what both sides are known to treat alike
            raise NotEvaluated(f"a value cannot be evaluated here: {error}") from None
        self._pay()
        if METER.spent > METER.limit:
            raise NotEvaluated(COSTLY_EXPRESSION)
        return found

    def _pay(self) -> None:
        self.left -= METER.spent
        if self.left < 0:
            raise Overspent(COSTLY_POLICY)


def validate(policy: Policy, binding: Binding, roots: dict[str, Any]) -> Iterator[Verdict]:
    """roots: what the expressions see, by name."""
    try:
        if not _conditions(policy, roots):
            return
    except CelError as error:
        if policy.fail:
            place = policy.match_conditions[0].expression.place
            yield Verdict(policy, binding, None, binding.actions, str(error), "", place)
        return
    except NotEvaluated as reason:
        yield unknown(policy, binding, None, policy.match_conditions[0].expression.place, reason)
        return
    sight = _Sight(Scope(roots, {v.name: v.expression.run for v in policy.variables}), COST_OF_POLICY // 2)
    place = policy.place
    try:
        for validation in policy.validations:
            place = validation.expression.place
            verdict = _validation(policy, binding, validation, sight)
            if verdict is not None:
                yield verdict
        for audit in policy.audits:
            place = audit.place
            verdict = _audit(policy, binding, audit, sight)
            if verdict is not None:
                yield verdict
    except Overspent as reason:
        yield unknown(policy, binding, None, place, reason)


def _conditions(policy: Policy, roots: dict[str, Any]) -> bool:
    """Whether all match. Raises CelError with all errors where none says no, NotEvaluated likewise."""
    if not policy.match_conditions:
        return True
    errors: list[CelError] = []
    unknown: NotEvaluated | None = None
    sight = _Sight(Scope({**roots, "namespaceObject": None}, {}), COST_OF_CONDITIONS // 2)
    for condition in policy.match_conditions:
        try:
            if sight.evaluate(condition.expression) is False:
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


def _audit(policy: Policy, binding: Binding, audit: Expression, sight: _Sight) -> Verdict | None:
    try:
        sight.evaluate(audit)
    except CelError as error:
        if not policy.fail:
            return None
        said = _WORDLESS if isinstance(error, Wordless) else ""  # refused, whatever the binding's actions are
        return Verdict(policy, binding, None, ("Deny",), str(error), "", audit.place, True, said)
    except Overspent:
        raise
    except NotEvaluated as reason:
        return unknown(policy, binding, None, audit.place, reason)
    return None


def _validation(policy: Policy, binding: Binding, validation: Validation, sight: _Sight) -> Verdict | None:
    place, actions = validation.expression.place, binding.actions
    try:
        if sight.evaluate(validation.expression) is True:
            _pay_for_message(validation, sight)
            return None
    except CelError as error:
        if not policy.fail:
            return None
        said = _WORDLESS if isinstance(error, Wordless) else ""
        return Verdict(policy, binding, validation.index, actions, str(error), "", place, True, said)
    except Overspent:
        raise
    except NotEvaluated as reason:
        return unknown(policy, binding, validation.index, place, reason)
    try:
        message = _message(validation, sight)
    except Overspent:
        raise
    except NotEvaluated as reason:
        # That it says no is known; only its words are not.
        return Verdict(
            policy, binding, validation.index, actions, _plain(validation), validation.reason, place, True, str(reason)
        )
    return Verdict(policy, binding, validation.index, actions, message, validation.reason, place)


def _pay_for_message(validation: Validation, sight: _Sight) -> None:
    """The API server evaluates all messages, also those that nobody needs; what they cost is missing elsewhere."""
    message = validation.message_expression
    if message is not None and (message.variables is None or not message.variables <= sight.scope.done.keys()):
        try:
            sight.evaluate(message)
        except Overspent:
            raise
        except (CelError, NotEvaluated):
            return


def _message(validation: Validation, sight: _Sight) -> str:
    if validation.message_expression is not None:
        try:
            found = sight.evaluate(validation.message_expression)
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


def unknown(policy: Policy, binding: Binding, index: int | None, place: Span, why: NotEvaluated) -> Verdict:
    return Verdict(policy, binding, index, binding.actions, "", "", place, False, str(why))


_WORDLESS = "the words of this error are the cluster's own"
