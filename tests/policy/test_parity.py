"""The engine says what a real API server said of the whole corpus, as tests/e2e/test_policy_parity.py recorded it."""

from __future__ import annotations

from tests.policy import corpus, verdicts

FLOOR = 2_000


def test_the_engine_says_what_the_api_server_said() -> None:
    tally = verdicts.compare(verdicts.recorded(), list(corpus.cases()))
    print(tally.summary())
    assert not tally.different, "\n".join(tally.different)
    assert tally.compared >= FLOOR
    assert tally.refused >= 200


def test_the_record_is_of_this_corpus() -> None:
    assert [case.name for case in corpus.cases()] == list(verdicts.recorded())


def test_some_cases_have_each_function_and_operator() -> None:
    features = corpus.features(corpus.cases())
    for seed in ("a", "b"):
        some = corpus.some(seed, 250)
        assert corpus.features(some) == features
        assert len(some) < len(list(corpus.cases()))
    assert corpus.some("a", 250) == corpus.some("a", 250) != corpus.some("b", 250)
