"""One ValidatingAdmissionPolicy of a file → its compiled form, or findings at the characters of its expressions."""

from __future__ import annotations

import re
from typing import Any

from mlgen.canonical import encode
from mlgen.diagnostic import Diagnostic
from mlgen.policy.cel import front
from mlgen.policy.cel.evaluate import build
from mlgen.policy.cel.needs import Reading
from mlgen.policy.cel.reads import fields, unlooped
from mlgen.policy.cel.refusals import refusals, written
from mlgen.policy.cel.steps import Frame, Step
from mlgen.policy.cel.values import NotEvaluated
from mlgen.policy.cel.wire import Checked, Type
from mlgen.policy.model import Expression, MatchCondition, Policy, Validation, Variable
from mlgen.spec.document import Document
from mlgen.spec.reader import Route

_STRING: Type = {"type_name": "string"}
_STRINGS: Type = {"type_name": "list", "params": [_STRING]}
_INT: Type = {"type_name": "int"}
_TIME: Type = {"type_name": "timestamp"}
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KIND, _RESOURCE = ("group", "version", "kind"), ("group", "version", "resource")
# Source: k8s.io/apiserver/pkg/admission/plugin/cel/compile.go, BuildRequestType and BuildNamespaceType.
KNOWN: dict[str, Type] = {
    **{f"request.{kind}.{part}": _STRING for kind in ("kind", "requestKind") for part in _KIND},
    **{f"request.{kind}.{part}": _STRING for kind in ("resource", "requestResource") for part in _RESOURCE},
    **{f"request.{name}": _STRING for name in ("uid", "subResource", "requestSubResource", "name", "namespace")},
    "request.operation": _STRING,
    "request.dryRun": {"type_name": "bool"},
    "request.options": front.DYN,
    "request.userInfo.username": _STRING,
    "request.userInfo.uid": _STRING,
    "request.userInfo.groups": _STRINGS,
    "request.userInfo.extra": {"type_name": "map", "params": [_STRING, _STRINGS]},
    **{
        f"namespaceObject.metadata.{name}": _STRING
        for name in ("name", "generateName", "namespace", "UID", "resourceVersion")
    },
    **{
        f"namespaceObject.metadata.{name}": {"type_name": "map", "params": [_STRING, _STRING]}
        for name in ("labels", "annotations")
    },
    "namespaceObject.metadata.creationTimestamp": _TIME,
    "namespaceObject.metadata.deletionTimestamp": _TIME,
    "namespaceObject.metadata.deletionGracePeriodSeconds": _INT,
    "namespaceObject.metadata.generation": _INT,
    "namespaceObject.metadata.finalizers": _STRINGS,
    "namespaceObject.spec.finalizers": _STRINGS,
    "namespaceObject.status.phase": _STRING,
}
_AUTHORIZER: dict[str, Type] = {
    "authorizer": {"type_name": "kubernetes.authorization.Authorizer"},
    "authorizer.requestResource": {"type_name": "kubernetes.authorization.ResourceCheck"},
}


class Compiler:
    """Compiles one policy; `findings` fills meanwhile."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.findings: list[Diagnostic] = []
        data: Any = document.data
        self.data = data
        self.spec = data["spec"]
        self.variables: dict[str, Type] = {}
        self.known: dict[str, Type] = {
            "object": front.DYN,
            "oldObject": front.DYN,
            "request": front.DYN,
            "namespaceObject": front.DYN,
            **KNOWN,
            **_AUTHORIZER,
        }
        if "paramKind" in self.spec:
            self.known["params"] = front.DYN
        self.reading = Reading()

    def policy(self) -> Policy:
        spec, metadata = self.spec, self.data["metadata"]
        conditions = tuple(
            MatchCondition(c["name"], self.expression(("spec", "matchConditions", n, "expression"), ("bool",)))
            for n, c in enumerate(spec.get("matchConditions") or ())
        )
        variables = []
        for n, v in enumerate(spec.get("variables") or ()):
            route = ("spec", "variables", n, "expression")
            expression, kind = self._compile(route, (), variable=v["name"])
            variables.append(Variable(v["name"], expression))
            self.variables[v["name"]] = kind or front.DYN
        validations = tuple(self._validation(n, v) for n, v in enumerate(spec.get("validations") or ()))
        audits = tuple(
            self.expression(("spec", "auditAnnotations", n, "valueExpression"), ("string", "null_type"))
            for n, _ in enumerate(spec.get("auditAnnotations") or ())
        )
        kind = spec.get("paramKind")
        return Policy(
            name=metadata["name"],
            place=self.document.span(("metadata", "name")),
            spec=spec,
            annotations=metadata.get("annotations") or {},
            fail=spec.get("failurePolicy", "Fail") == "Fail",
            param_kind=(kind["apiVersion"], kind["kind"]) if kind else None,
            match_conditions=conditions,
            variables=tuple(variables),
            validations=validations,
            audits=audits,
            reading=self.reading,
        )

    def _validation(self, n: int, data: dict[str, Any]) -> Validation:
        route: Route = ("spec", "validations", n)
        expression = self.expression((*route, "expression"), ("bool",))
        message = None
        if data.get("messageExpression"):
            message = self.expression((*route, "messageExpression"), ("string",), authorizer=False)
        return Validation(n, expression, data.get("message") or "", message, data.get("reason") or "Invalid")

    def expression(self, route: Route, kinds: tuple[str, ...], *, authorizer: bool = True) -> Expression:
        return self._compile(route, kinds, authorizer=authorizer)[0]

    def _compile(
        self, route: Route, kinds: tuple[str, ...], *, authorizer: bool = True, variable: str = ""
    ) -> tuple[Expression, Type | None]:
        """kinds: the types that the result may have, besides dyn; () for any. variable: whose expression it is."""
        text = self.document.text(route)
        place = self.document.span(route)
        try:
            compiled = self._checker(authorizer, text).check(text)
        except front.Uncompiled as error:
            if not error.known:
                return Expression(text, place, _unknown(f"the expression does not fit: {error}")), None
            for flaw in error.flaws:
                self._tell(route, flaw)
            return Expression(text, place, _unknown("it does not compile")), None
        kind = self._result(route, compiled, kinds)
        if variable:
            self.reading.add_variable(variable, compiled.root)
        else:
            self.reading.add(compiled.root)
        return Expression(text, place, build(compiled.root), fields(compiled.root), unlooped(compiled.root)), kind

    def _checker(self, authorizer: bool, text: str) -> front.Checker:
        # With the variables that may be named in the text, and one by which the checker knows that there are some: an
        # expression that names none is compiled with what all policies share.
        words = set(_WORD.findall(text))
        names = {name: kind for name, kind in self.known.items() if authorizer or name not in _AUTHORIZER}
        if "variables" in words and self.variables:
            named = [word for word in sorted(words) if word in self.variables]
            for word in (next(iter(self.variables)), *named):
                names[f"variables.{word}"] = self.variables[word]
        return front.checker(encode(names))

    def _result(self, route: Route, compiled: front.Compiled, kinds: tuple[str, ...]) -> Type | None:
        """The type of what an expression gives, where it is known; flaws are told."""
        if compiled.retold:
            self._retold(route, compiled.retold, kinds)
        checked = compiled.checked
        if checked is None or checked.type is None:
            return None
        for flaw in refusals(checked, KNOWN):
            self._tell(route, flaw)
        name = str(checked.type["type_name"])
        if kinds and name not in kinds:
            wanted = " or ".join("null" if kind == "null_type" else kind for kind in kinds)
            self._tell(route, front.Flaw(f"must evaluate to {wanted} but got {written(checked.type)}", 0))
        return checked.type

    def _retold(self, route: Route, tellings: tuple[Checked, ...], kinds: tuple[str, ...]) -> None:
        """Flaws that all tellings have: one of them is what was written."""
        told = [{flaw.message for flaw in refusals(one, KNOWN)} for one in tellings]
        for message in sorted(set.intersection(*told)):
            self._tell(route, front.Flaw(message, 0))
        types = [one.type for one in tellings]
        if kinds and all(kind is not None and kind["type_name"] not in kinds for kind in types) and types[0]:
            self._tell(route, front.Flaw(f"must evaluate to {' or '.join(kinds)} but got {written(types[0])}", 0))

    def _tell(self, route: Route, flaw: front.Flaw) -> None:
        end = min(flaw.start + 1, len(self.document.text(route)))
        place = self.document.inner_span(route, flaw.start, max(end, flaw.start))
        why = "the cluster refuses a policy whose expression does not compile"
        self.findings.append(Diagnostic("bad-expression", flaw.message, place, why, "mend the expression"))


def _unknown(reason: str) -> Step:
    def run(frame: Frame) -> Any:
        raise NotEvaluated(reason)

    return run
