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
        ("object.spec.l.all(a, object.spec.l.all(b, a + b > 0))", {"l": list(range(1, 800))}, "may cost more"),
        ("object.spec.t.matches('" + "a?" * 100 + "')", {"t": "a" * 200_000}, "may cost more"),
        ("(" * 40 + "true" + ")" * 40, {}, "does not fit"),
    ],
)
def test_what_is_not_known_is_never_a_pass(expression: str, spec: object, error: str) -> None:
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
