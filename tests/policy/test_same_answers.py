"""What is judged once, and recalled after, is what would be said each time."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mlgen.policy import verdict
from mlgen.policy.cel.library import regex
from mlgen.policy.judge import Request
from mlgen.policy.model import Policies
from mlgen.policy.request import as_stored, roots_of
from tests.policy import corpus, verdicts
from tests.policy.case import Case, Json
from tests.policy.verdicts import NAMESPACE

CASES = list(corpus.cases())
OTHER: list[Any] = [None, True, False, 0, 1, -7, 2.5, "", "a", "abc", "500m", [], [1], ["a", "b"], {}, {"x": 1}]


def places(data: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The routes of all that is in an object, and of a key that may be added."""
    found = [at]
    if isinstance(data, dict):
        found += [route for key in (*data, "zz", "uid") for route in places(data.get(key), (*at, key))]
    if isinstance(data, list):
        found += [route for n, item in enumerate(data) for route in places(item, (*at, n))]
    return found


def changed(data: Json, at: tuple[str | int, ...], value: Any) -> Json:
    found = copy.deepcopy(data)
    inner: Any = found
    for key in at[:-1]:
        inner = inner[key]
    if value is ... and isinstance(inner, list):
        del inner[int(at[-1])]
    elif value is ...:
        inner.pop(at[-1], None)
    else:
        inner[at[-1]] = value
    return found


def roots(data: Json) -> dict[str, Any]:
    request = Request(data, corpus.THINGS, namespace=corpus.namespace_object(NAMESPACE))
    return roots_of(as_stored(request))


def policies_of(case: Case) -> Policies | None:
    judge = verdicts.judge(case)
    return None if judge is None else judge._policies  # what it was made of


def said(policies: Policies, data: Json) -> list[object]:
    """All that is found out of an object, and what it costs, without anything that was kept."""
    (policy,) = policies.policies
    binding = policies.bindings[0]
    params = next(iter(policies.objects.values()), None)
    return [
        (v.validation, v.actions, v.message, v.reason, v.evaluated, v.error)
        for v in verdict.validate(policy, binding, {**roots(data), "params": params})
    ]


THINGS = corpus.things()
COMPILED = [p for case in CASES if (p := policies_of(case)) is not None]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_objects_of_one_key_get_one_answer(data: st.DataObject) -> None:
    policies = data.draw(st.sampled_from(COMPILED))
    thing = THINGS[data.draw(st.sampled_from(sorted(THINGS)))]
    route = data.draw(st.sampled_from([r for r in places(thing) if len(r) > 1]))
    other = changed(thing, route, data.draw(st.sampled_from([*OTHER, ...])))
    if not isinstance(other["metadata"], dict) or not all(
        isinstance(other["metadata"].get(key, {}), dict) for key in ("labels", "annotations")
    ):
        return
    (policy,) = policies.policies
    reading = policy.reading
    assert reading is not None
    key = reading.key(roots(thing))
    if key is not None and key == reading.key(roots(other)):
        assert said(policies, thing) == said(policies, other), (policy.validations, route, other)


PATTERNS = [
    "a", "^a", "a$", "^$", "a|b", "a.b", "[a-c]+$", "[^ab]", r"\bab?\b", "(ab|c)d", "a{2,}", "a{1,3}b", r"\d+",
    "AKIA[0-9A-Z]{4}|\\b(gh[pousr]_|hf_)[A-Za-z0-9_-]{3}", "://[^/ :@$\"]+:[^/ @$\"]+@", r"[^/]*[.:][^/]*|x",
    r"^\w*$", r"a\.b", r"\s", r"a\S+", r"^a\s*b", r"\n", ".",
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(PATTERNS), st.text(st.sampled_from('abcdABC019_-.:/@"$ \n\u00e9\u017f\u212a\v\f\r\t'), max_size=20)
)
def test_python_finds_what_re2_finds(pattern: str, text: str) -> None:
    alike = regex._alike(pattern)  # whether it is used is no one else's
    assert alike is not None
    assert (alike[0].search(text) is not None) == regex._search(text, pattern)


def test_what_python_might_never_end_is_left_to_re2() -> None:
    for pattern in ("(a+)+b", "(a|b)*c", "(?:x*)y", "(a(b)c)"):
        assert regex._alike(pattern) is None
    assert not regex.search("a" * 50_000, "a*a*b")
