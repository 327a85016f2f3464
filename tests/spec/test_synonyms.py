"""What other tools call our keys leads to keys that are there."""

from __future__ import annotations

import pytest

from mlgen.spec.shape import schema
from mlgen.spec.synonyms import meant

PIPELINE = schema("pipeline")
TOP, TASK = PIPELINE["properties"].keys(), PIPELINE["$defs"]["task"]["properties"].keys()
INPUT = PIPELINE["$defs"]["input"]["properties"].keys()


@pytest.mark.parametrize(
    ("words", "known", "key"),
    [
        ("command script cmd args entrypoint", TASK, "run"),
        ("path url source", INPUT, "uri"),
        ("needs depends_on dependsOn dependencies runAfter", TASK, "after"),
        ("when condition", TASK, "if"),
        ("environment env-vars", TASK, "env"),
        ("outputs outs artifacts", TASK, "out"),
        ("inputs parameters", TASK, "in"),
        ("resources requests limits", TASK, "cpu"),
        ("container", TASK, "image"),
        ("retry max_retries", TASK, "retries"),
        ("template taskRef", TASK, "use"),
        ("parameters", TOP, "params"),
        ("steps jobs", TOP, "tasks"),
        ("onExit", TOP, "finally"),
        ("image memory env", TOP, "defaults"),
    ],
)
def test_words_of_other_tools_mean_a_key_of_ours(words: str, known: set[str], key: str) -> None:
    for word in words.split():
        found = meant(word, known)
        assert found is not None, word
        assert (found[0], found[0] in known) == (key, True), word


@pytest.mark.parametrize("word", ["replicas", "", "é", "-_-"])
def test_other_words_mean_nothing(word: str) -> None:
    assert meant(word, TASK) is None
