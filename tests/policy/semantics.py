"""Cases of all that is around expressions: matching, conditions, variables, params, messages, failures, bindings."""

from __future__ import annotations

from collections.abc import Iterator

from tests.policy.case import Case, Json

NO: Json = {"expression": "false", "message": "no"}
ERROR = "object.spec.zz == 1"


def _config(name: str, data: dict[str, str], labels: dict[str, str] | None = None) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels or {}}, "data": data}


def _rules(**keys: object) -> Json:
    rule = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"], **keys}
    return {"resourceRules": [rule]}


def _messages() -> Iterator[Case]:
    texts: dict[str, Json] = {
        "default": {"expression": "false"},
        "default-spaces": {"expression": "   false\t "},
        "default-long": {"expression": "  object.spec.?i.orValue(0) == 99 && true  "},
        "message": {"expression": "false", "message": "  with spaces  "},
        "lines": {"expression": "false &&\n  true", "message": "two lines"},
        "expression": {"expression": "false", "message": "m", "messageExpression": "'name ' + object.metadata.name"},
        "expression-spaces": {"expression": "false", "message": "m", "messageExpression": "'  a\\u00a0 '"},
        "expression-empty": {"expression": "false", "message": "m", "messageExpression": "''"},
        "expression-blank": {"expression": "false", "message": "m", "messageExpression": "' \\t\\n '"},
        "expression-newline": {"expression": "false", "message": "m", "messageExpression": "'a\\nb'"},
        "expression-newline-end": {"expression": "false", "message": "m", "messageExpression": "'a\\n'"},
        "expression-return": {"expression": "false", "message": "m", "messageExpression": "'a\\rb'"},
        "expression-error": {"expression": "false", "message": "m", "messageExpression": "object.spec.zz + 'a'"},
        "expression-error-bare": {"expression": "false", "messageExpression": "object.spec.zz + 'a'"},
        "expression-long": {
            "expression": "false",
            "message": "m",
            "messageExpression": "'" + "x" * 1000 + "'.replace('x', 'abcdef')",
        },
        "expression-5k": {
            "expression": "false",
            "message": "m",
            "messageExpression": "'" + "x" * 1024 + "'.replace('x', 'abcde')",
        },
        "expression-5k-bytes": {
            "expression": "false",
            "message": "m",
            "messageExpression": "'" + "x" * 1024 + "'.replace('x', 'ééé')",
        },
        "hostile": {
            "expression": "false",
            "messageExpression": "'\\u001b[2J::error:: @all <b> ' + object.metadata.name",
        },
        "nul": {"expression": "false", "messageExpression": "'a\\u0000b'"},
        "dyn": {"expression": "false", "message": "m", "messageExpression": "object.metadata.name"},
        "of-object": {"expression": "false", "message": "m", "messageExpression": "string(object.spec.s)"},
        "authorizer": {
            "expression": "false",
            "message": "m",
            "messageExpression": "authorizer.path('/').check('get').reason()",
        },
        "not-bool": {"expression": "1", "message": "m"},
        "uncompiled": {"expression": "object.spec.", "message": "m"},
        "error": {"expression": ERROR, "message": "m", "messageExpression": "'never'"},
        "error-spaces": {"expression": f"  {ERROR}  ", "message": "m"},
    }
    for name, validation in texts.items():
        yield Case(f"message-{name}", {"validations": [validation]})
    for reason in ("Unauthorized", "Forbidden", "Invalid", "RequestEntityTooLarge"):
        yield Case(f"reason-{reason.lower()}", {"validations": [{**NO, "reason": reason}]})
    yield Case("reason-error", {"validations": [{"expression": ERROR, "reason": "Forbidden"}]})


def _order() -> Iterator[Case]:
    first, second, third = ({"expression": "false", "message": m} for m in ("first", "second", "third"))
    error: Json = {"expression": ERROR, "message": "m"}
    yes: Json = {"expression": "true"}
    yield Case("order-two", {"validations": [first, second]})
    yield Case("order-yes", {"validations": [yes, second, third]})
    yield Case("order-error", {"validations": [error, second]})
    yield Case("order-after", {"validations": [first, error]})
    for failure in ("Fail", "Ignore"):
        low = failure.lower()
        yield Case(f"failure-{low}", {"failurePolicy": failure, "validations": [error]})
        yield Case(f"failure-{low}-then", {"failurePolicy": failure, "validations": [error, second]})
        yield Case(f"failure-{low}-no", {"failurePolicy": failure, "validations": [first]})
        for number, expressions in enumerate(
            (
                ["true"],
                ["false"],
                [ERROR],
                [ERROR, "false"],
                ["false", ERROR],
                [ERROR, "object.spec.yy"],
                [ERROR, ERROR],
                ["true", ERROR],
                [ERROR, "object.spec.yy == 1"],
                ["object.spec.i == 3"],
                ["has(object.spec.i)", "object.spec.i == 3"],
                ["namespaceObject.metadata.name != ''"],
                ["namespaceObject == null"],
                ["has(namespaceObject.metadata)"],
                ["request.operation == 'CREATE'"],
                ["request.userInfo.username == ''"],
                ["'x' in request.userInfo.groups", "false"],
                ["object == null"],
                ["oldObject == null"],
                ["object.spec.i > 1 || object.spec.f > 1.0"],
                ["variables.x"],
                ["1 == 1u"],
                ["dyn(1) == 1", ERROR, "true"],
            )
        ):
            conditions = [{"name": f"c{n}", "expression": e} for n, e in enumerate(expressions)]
            spec = {"failurePolicy": failure, "matchConditions": conditions, "validations": [NO]}
            yield Case(f"condition-{low}-{number}", spec)


def _variables() -> Iterator[Case]:
    many: dict[str, tuple[dict[str, str], str]] = {
        "plain": ({"a": "object.spec.i", "b": "variables.a + 1"}, "variables.b == 99"),
        "unused": ({"a": ERROR}, "false"),
        "error": ({"a": ERROR}, "variables.a"),
        "error-absorbed": ({"a": ERROR}, "variables.a || object.metadata.name == 'plain'"),
        "error-twice": ({"a": "object.spec.zz", "b": "variables.a + 1"}, "variables.b == 1"),
        "error-both": ({"a": "object.spec.zz"}, "variables.a == 1 && variables.a == 2"),
        "list": ({"a": "object.spec.l.map(x, x * 2)"}, "variables.a.exists(x, x == 4) && false"),
        "typed": ({"a": "'x'"}, "variables.a + 'y' == 'z'"),
        "mistyped": ({"a": "'x'"}, "variables.a == 1"),
        "forward": ({"a": "variables.b", "b": "1"}, "variables.a == 2"),
        "unknown": ({"a": "1"}, "variables.zz == 1"),
        "has": ({"a": "1"}, "has(variables.a) && variables.a == 2"),
        "has-unknown": ({"a": "1"}, "has(variables.zz)"),
        "shadow": ({"object": "1"}, "variables.object == 2"),
        "macro": ({"a": "1"}, "[1, 2].all(a, a == variables.a)"),
        "optional": ({"a": "object.spec.?zz"}, "variables.a.hasValue()"),
        "optional-value": ({"a": "object.spec.?i"}, "variables.a.orValue(7) == 7"),
        "quantity": ({"a": "quantity('1')"}, "variables.a.isGreaterThan(quantity('2'))"),
        "null": ({"a": "null"}, "variables.a != null"),
        "map": ({"a": "{'k': object.metadata.name}"}, "variables.a.k == 'x'"),
        "params": ({"a": "params == null"}, "variables.a"),
        "lazy-or": ({"a": "1 / 0 == 1"}, "object.spec.?b == optional.of(true) || variables.a"),
        "reserved": ({"in": "1"}, "true"),
    }
    for name, (variables, expression) in many.items():
        listed = [{"name": n, "expression": e} for n, e in variables.items()]
        validation = {
            "expression": expression,
            "message": "m",
            "messageExpression": f"'a is %s'.format([{_shown(name)}])",
        }
        yield Case(f"variables-{name}", {"variables": listed, "validations": [validation]})


def _shown(name: str) -> str:
    return "variables.a" if name in ("plain", "list", "typed", "error", "map", "null") else "1"


def _params() -> Iterator[Case]:
    kind = {"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}}
    reads: Json = {
        "expression": "object.metadata.name == params.data.name",
        "messageExpression": "'not ' + params.data.name",
        "message": "m",
    }
    one = _config("parity-one", {"name": "plain", "n": "3"}, {"set": "one"})
    two = _config("parity-two", {"name": "odd"}, {"set": "two"})
    bare = _config("parity-bare", {})
    for action in ("Allow", "Deny"):
        low = action.lower()

        def reference(action: str = action, **keys: object) -> tuple[Json, ...]:
            return ({"paramRef": {"parameterNotFoundAction": action, "namespace": "$own", **keys}},)

        spec = {**kind, "validations": [reads]}
        yield Case(f"params-{low}-name", spec, reference(name="parity-one"), (one,))
        yield Case(f"params-{low}-missing", spec, reference(name="parity-zz"))
        yield Case(f"params-{low}-selector", spec, reference(selector={"matchLabels": {"set": "one"}}), (one,))
        yield Case(f"params-{low}-nothing", spec, reference(selector={"matchLabels": {"set": "zz"}}))
        yield Case(f"params-{low}-no-key", spec, reference(name="parity-bare"), (bare,))
        own: tuple[Json, ...] = ({"paramRef": {"parameterNotFoundAction": action, "name": "parity-two"}},)
        yield Case(f"params-{low}-own", spec, own, (two,))
        ignored = {**spec, "failurePolicy": "Ignore"}
        yield Case(f"params-{low}-missing-ignored", ignored, reference(name="parity-zz"))
        yield Case(f"params-{low}-no-key-ignored", ignored, reference(name="parity-bare"), (bare,))
    yield Case("params-none", {**kind, "validations": [{"expression": "params == null", "message": "m"}]})
    yield Case("params-none-read", {**kind, "validations": [reads]})
    yield Case("params-undeclared", {"validations": [reads]})
    condition = [{"name": "c", "expression": "params.data.n == '3'"}]
    found: tuple[Json, ...] = (
        {"paramRef": {"parameterNotFoundAction": "Deny", "namespace": "$own", "name": "parity-one"}},
    )
    yield Case("params-condition", {**kind, "matchConditions": condition, "validations": [reads]}, found, (one,))
    listed = [{"name": "n", "expression": "params.data.n"}]
    numbered = {"expression": "string(object.spec.?i.orValue(0)) != variables.n", "message": "m"}
    yield Case("params-variable", {**kind, "variables": listed, "validations": [numbered]}, found, (one,))


def _matches() -> Iterator[Case]:
    group = "engine.parity.mlgen.dev"
    constraints: dict[str, Json] = {
        "all": _rules(),
        "group": _rules(apiGroups=[group]),
        "other-group": _rules(apiGroups=["apps", "tekton.dev"]),
        "version": _rules(apiVersions=["v1"]),
        "kind": _rules(apiGroups=[group], resources=["things"]),
        "other-kind": _rules(resources=["pods", "configmaps"]),
        "sub": _rules(resources=["things/status"]),
        "sub-all": _rules(resources=["*/*"]),
        "sub-any": _rules(resources=["things/*"]),
        "update": _rules(operations=["UPDATE", "DELETE"]),
        "create": _rules(operations=["CREATE", "UPDATE"]),
        "namespaced": _rules(scope="Namespaced"),
        "cluster": _rules(scope="Cluster"),
        "named": _rules(resourceNames=["plain", "zz"]),
        "exact": {**_rules(apiGroups=[group], apiVersions=["v1"]), "matchPolicy": "Exact"},
        "excluded": {**_rules(), "excludeResourceRules": _rules(resources=["things"])["resourceRules"]},
        "excluded-other": {**_rules(), "excludeResourceRules": _rules(resources=["pods"])["resourceRules"]},
        "excluded-name": {**_rules(), "excludeResourceRules": _rules(resourceNames=["odd"])["resourceRules"]},
        "two": {"resourceRules": [*_rules(resources=["pods"])["resourceRules"], *_rules()["resourceRules"]]},
    }
    for name, found in constraints.items():
        yield Case(f"match-{name}", {"matchConstraints": found, "validations": [NO]})
    selectors: dict[str, Json] = {
        "label": {"matchLabels": {"team": "risk"}},
        "no-label": {"matchLabels": {"team": "zz"}},
        "in": {"matchExpressions": [{"key": "team", "operator": "In", "values": ["risk", "zz"]}]},
        "not-in": {"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["risk"]}]},
        "exists": {"matchExpressions": [{"key": "team", "operator": "Exists"}]},
        "not-exists": {"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]},
        "empty": {},
    }
    for name, selector in selectors.items():
        of_object = {**_rules(), "objectSelector": selector}
        yield Case(f"object-{name}", {"matchConstraints": of_object, "validations": [NO]})
    for name, env in (("prod", "prod"), ("dev", "dev")):
        of_namespace = {**_rules(), "namespaceSelector": {"matchLabels": {"mlgen.dev/env": env}}}
        yield Case(f"namespace-{name}", {"matchConstraints": of_namespace, "validations": [NO]})
        own: Json = {"matchResources": {"namespaceSelector": {"matchLabels": {"mlgen.dev/env": env}}}}
        yield Case(f"binding-namespace-{name}", {"validations": [NO]}, (own,))
    for name in ("kind", "other-kind", "excluded", "named", "update"):
        bound: Json = {"matchResources": constraints[name]}
        yield Case(f"binding-{name}", {"validations": [NO]}, (bound,))


def _bindings() -> Iterator[Case]:
    for actions in (["Deny"], ["Warn"], ["Audit"], ["Deny", "Audit"], ["Warn", "Audit"], ["Deny", "Warn"], []):
        name = "-".join(actions).lower() or "none"
        both = [NO, {"expression": ERROR, "message": "m"}]
        yield Case(f"actions-{name}", {"validations": both}, ({"validationActions": actions},))
    yield Case("bindings-none", {"validations": [NO]}, ())
    audit = [{"key": "seen", "valueExpression": "object.metadata.name + '!'"}]
    yield Case("audit", {"auditAnnotations": audit, "validations": [NO]})
    yield Case("audit-error", {"auditAnnotations": [{"key": "k", "valueExpression": "string(object.spec.zz)"}]})
    yield Case("audit-number", {"auditAnnotations": [{"key": "k", "valueExpression": "1"}]})
    yield Case("audit-null", {"auditAnnotations": [{"key": "k", "valueExpression": "null"}]})
    yield Case("nothing", {"matchConstraints": _rules()})


CASES = [*_messages(), *_order(), *_variables(), *_params(), *_matches(), *_bindings()]
