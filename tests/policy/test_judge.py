"""What the corpus cannot ask an API server: what only it knows, and what costs too much."""

from __future__ import annotations

import json

import pytest

from mlgen.policy.judge import Judge, Verdict
from mlgen.policy.load import load
from tests.policy import corpus, verdicts
from tests.policy.case import Case


def judged(expression: str, spec: object) -> list[Verdict]:
    """The verdicts on a thing with this spec, of a policy with this one expression."""
    case = Case("one", {"validations": [{"expression": expression, "message": "no"}]})
    files = corpus.documents(case, verdicts.PREFIX, verdicts.NAMESPACE)
    data = "---\n".join(json.dumps(d) + "\n" for d in files).encode()
    policies, findings = load({"policies/one.yaml": data})
    assert findings == []
    thing = {"apiVersion": f"{corpus.GROUP}/v1", "kind": "Thing", "metadata": {"name": "x"}, "spec": spec}
    return verdicts.verdicts(Judge(policies), corpus.labelled(thing, "one", verdicts.NAMESPACE))


@pytest.mark.parametrize(
    ("expression", "spec", "error"),
    [
        ("authorizer.path('/').check('get').allowed()", {}, "authorizer asks"),
        ("authorizer.path('/').check('get').allowed() && object.spec.yes", {"yes": True}, "authorizer asks"),
        ("request.userInfo.username != ''", {}, "not known before the request"),
        ("object.metadata.uid != ''", {}, "given by the cluster"),
        ("!has(object.metadata.uid)", {}, "given by the cluster"),
        ("!('creationTimestamp' in object.metadata)", {}, "given by the cluster"),
        ("!object.metadata.?uid.hasValue()", {}, "given by the cluster"),
        ("!object.metadata[?'uid'].hasValue()", {}, "given by the cluster"),
        ("object['metadata']['uid'] != ''", {}, "given by the cluster"),
        ("!has(object['metadata'].uid)", {}, "given by the cluster"),
        ("!has(dyn(object).metadata.uid)", {}, "given by the cluster"),
        ("!has(dyn(object.metadata).uid)", {}, "given by the cluster"),
        ("[object.metadata].all(m, !has(m.uid))", {}, "given by the cluster"),
        ("(object.spec.?x.hasValue() ? object : object.metadata).?uid.orValue('') == ''", {}, "given by the cluster"),
        ("!object.metadata.exists(k, k == 'uid')", {}, "known in part only"),
        ("!object.metadata.exists(k, v, k == 'uid')", {}, "known in part only"),
        ("object.metadata.size() < 6", {}, "known in part only"),
        ("size(object.metadata) < 6", {}, "known in part only"),
        ("object.metadata != {'name': 'x'}", {}, "known in part only"),
        ("!(object.metadata in [{}])", {}, "known in part only"),
        ("object == object", {}, "known in part only"),
        ("'%s'.format([object]) != ''", {}, "known in part only"),
        ("type(object.metadata) == map", {}, "known in part only"),
        ("object.spec.l.all(a, object.spec.l.all(b, a + b > 0))", {"l": list(range(1, 800))}, "may cost more"),
        ("object.spec.t.matches('" + "a?" * 100 + "')", {"t": "a" * 200_000}, "may cost more"),
        ("[0,1,2,3,4,5,6,7,8,9]" + ".map(a, [0,1,2,3,4,5,6,7,8,9]" * 9 + ")" * 9 + " != []", {}, "may cost more"),
        ("true || object.spec.l.all(a, object.spec.l.all(b, a + b > 0))", {"l": list(range(1, 800))}, None),
        ("object.spec.l.all(a, object.spec.l.all(b, a + b > 0)) || true", {"l": list(range(1, 800))}, "may cost more"),
        ("(" * 40 + "true" + ")" * 40, {}, "does not fit"),
    ],
)
def test_what_is_not_known_is_never_a_pass(expression: str, spec: object, error: str | None) -> None:
    if error is None:  # what is not come to costs nothing
        assert judged(expression, spec) == []
        return
    (verdict,) = judged(expression, spec)
    assert not verdict.evaluated
    assert error in verdict.error
    assert verdict.message == ""


@pytest.mark.parametrize(
    "expression",
    ["true || authorizer.path('/').check('get').allowed()", "request.userInfo.username == '' || object.spec.yes"],
)
def test_what_is_not_known_does_not_matter_where_the_rest_decides(expression: str) -> None:
    assert judged(expression, {"yes": True}) == []


def test_a_policy_has_a_budget_for_all_its_expressions() -> None:
    loops = "object.spec.l.all(a, object.spec.l.all(b, object.spec.l.all(c, a + b + c >= 0)))"
    case = Case("cost", {"validations": [{"expression": loops, "message": "no"}] * 120})
    judge = verdicts.judge(case)
    assert judge is not None
    thing = {"apiVersion": f"{corpus.GROUP}/v1", "kind": "Thing", "metadata": {"name": "x"}}
    few = corpus.labelled({**thing, "spec": {"l": list(range(4))}}, "cost", verdicts.NAMESPACE)
    assert verdicts.verdicts(judge, few) == []
    many = corpus.labelled({**thing, "spec": {"l": list(range(20))}}, "cost", verdicts.NAMESPACE)
    (verdict,) = verdicts.verdicts(judge, many)
    assert not verdict.evaluated
    assert "lets a policy cost" in verdict.error


PARAMS = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "p"}, "data": {}}


@pytest.mark.parametrize("text", ["!has(params.metadata.uid)", "!('creationTimestamp' in params.metadata)"])
def test_what_the_cluster_gives_to_params_is_not_known(text: str) -> None:
    spec = {
        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "validations": [{"expression": text, "message": "no"}],
    }
    reference = {"paramRef": {"name": "p", "namespace": "$own", "parameterNotFoundAction": "Deny"}}
    judge = verdicts.judge(Case("params", spec, (reference,), (PARAMS,)))
    assert judge is not None
    thing = {"apiVersion": f"{corpus.GROUP}/v1", "kind": "Thing", "metadata": {"name": "x"}}
    (verdict,) = verdicts.verdicts(judge, corpus.labelled(thing, "params", verdicts.NAMESPACE))
    assert "given by the cluster" in verdict.error


def test_texts_that_double_end_soon() -> None:
    variables = [{"name": "v0", "expression": "'aaaaaaaaaa'"}]
    variables += [{"name": f"v{n + 1}", "expression": f"variables.v{n} + variables.v{n}"} for n in range(60)]
    spec = {"variables": variables, "validations": [{"expression": "variables.v60.size() > 0", "message": "no"}]}
    judge = verdicts.judge(Case("doubled", spec))
    assert judge is not None
    thing = {"apiVersion": f"{corpus.GROUP}/v1", "kind": "Thing", "metadata": {"name": "x"}}
    (verdict,) = verdicts.verdicts(judge, corpus.labelled(thing, "doubled", verdicts.NAMESPACE))
    assert "may cost more" in verdict.error


def test_a_policy_that_costs_too_much_is_not_asked_of_thousands() -> None:
    loops = (
        "object.metadata.name != '' && object.spec.l.all(a, object.spec.l.all(b, object.spec.l.all(c, a + b + c < 5)))"
    )
    judge = verdicts.judge(Case("costly", {"validations": [{"expression": f"{loops} || true", "message": "no"}]}))
    assert judge is not None
    spec = {"l": [1] * 80}
    for number in range(500):
        thing = {"apiVersion": f"{corpus.GROUP}/v1", "kind": "Thing", "metadata": {"name": f"x{number}"}, "spec": spec}
        (verdict,) = verdicts.verdicts(judge, corpus.labelled(thing, "costly", verdicts.NAMESPACE))
        assert not verdict.evaluated


OTHER_VERSION = {"apiGroups": ["*"], "apiVersions": ["v1beta1"], "operations": ["*"], "resources": ["things"]}
OWN_VERSION = {**OTHER_VERSION, "apiVersions": ["v1"]}


@pytest.mark.parametrize(
    ("constraints", "said"),
    [
        ({"resourceRules": [OTHER_VERSION]}, "unknown"),
        ({"resourceRules": [OTHER_VERSION], "matchPolicy": "Equivalent"}, "unknown"),
        ({"resourceRules": [OTHER_VERSION], "matchPolicy": "Exact"}, "nothing"),
        ({"resourceRules": [OTHER_VERSION, OWN_VERSION]}, "no"),
        ({"resourceRules": [OTHER_VERSION], "excludeResourceRules": [OWN_VERSION]}, "nothing"),
        ({"resourceRules": [OWN_VERSION], "excludeResourceRules": [OTHER_VERSION]}, "unknown"),
        ({"resourceRules": [OWN_VERSION], "excludeResourceRules": [OTHER_VERSION], "matchPolicy": "Exact"}, "no"),
        ({"resourceRules": [{**OTHER_VERSION, "resources": ["pods"]}]}, "nothing"),
        ({"resourceRules": [{**OTHER_VERSION, "operations": ["DELETE"]}]}, "nothing"),
    ],
)
def test_a_rule_of_another_version_may_be_of_this_one(constraints: dict[str, object], said: str) -> None:
    spec = {"matchConstraints": constraints, "validations": [{"expression": "false", "message": "no"}]}
    judge = verdicts.judge(Case("version", spec))
    assert judge is not None
    thing = {"apiVersion": f"{corpus.GROUP}/v1", "kind": "Thing", "metadata": {"name": "x"}}
    found = verdicts.verdicts(judge, corpus.labelled(thing, "version", verdicts.NAMESPACE))
    assert ["no" if v.evaluated else "unknown" for v in found] == ([] if said == "nothing" else [said])


def findings_of(expression: str) -> list[str]:
    case = Case("one", {"validations": [{"expression": expression, "message": "no"}]})
    files = corpus.documents(case, verdicts.PREFIX, verdicts.NAMESPACE)
    data = "---\n".join(json.dumps(d) + "\n" for d in files).encode()
    return [finding.message for finding in load({"policies/one.yaml": data})[1]]


@pytest.mark.parametrize(
    "expression",
    [
        "1 + 'a' == 2 || [1].all(i, v, true)",
        "true || [1, 2].all(i, v, v.startsWith('a'))",
        "true || [1, 2].exists(i, v, i == 'a')",
        "true || {'a': 1}.all(k, v, v.startsWith('a'))",
        "true || {'a': 1}.all(k, v, k > 1)",
        "true || [1, 2].transformList(i, v, v + 1) == 3",
        "true || {'a': 1}.transformMap(k, v, k) == {'a': 1}",
        "true || 5.all(i, v, true)",
        "true || [1].all(i, v, v)",
        "true || [1].all(i, v, nope(v))",
        "request.nope == '' || [1].all(i, v, true)",
        "[1].transformList(i, v, v)",
    ],
)
def test_a_mistyped_macro_of_two_variables_is_told(expression: str) -> None:
    assert len(findings_of(expression)) == 1


@pytest.mark.parametrize(
    "expression",
    [
        "[1, 2].all(i, v, i + v > 0) && {'a': 1}.all(k, v, k.size() == v)",
        "{'a': [1]}.all(k, l, l.all(i, v, k.startsWith('a') && i + v > 0))",
        "object.spec.all(k, v, k.matches('a') || v > 1 || v.x == null)",
        "object.spec.l.transformList(i, v, v.size() > 1, v.name) == ['a']",
        "{'a': 1}.transformMap(k, v, string(v) + k) == {'a': '1a'}",
        "[1].transformMapEntry(i, v, {string(v): i}) == {'1': 0}",
        "[1u, 2u].existsOne(i, v, v == 2u) && -1.5 < 2.0 && has(object.spec) && b'a' == b'a'",
        "object.?spec.?l[?0].optMap(x, x.all(k, v, v != k)).orValue(true) && request.name.size() > 0",
        "[[1, 2]].map(l, l.all(i, v, v > i))[0] ? !(1 in [1, 2]) : 'a\\n\"' != \"'\"",
    ],
)
def test_a_macro_of_two_variables_that_type_checks_is_taken(expression: str) -> None:
    assert findings_of(expression) == []
