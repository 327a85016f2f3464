"""What a rendered Task says, its pod reads back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgen import canonical
from mlgen.runtime.pod.contract import (
    NOT_IN_PARAMS,
    Bucket,
    Fold,
    Platform,
    escape,
    escape_result,
    read_value,
    unescape,
    value,
)
from mlgen.runtime.protocol import Evaluation, In, Out, TaskDocument
from mlgen.values import Type

NAMES = st.from_regex(r"[a-z]([a-z0-9_]{0,5}[a-z0-9])?", fullmatch=True)
OPTIONAL_TEXT = st.none() | st.text(max_size=10)
BUCKETS = st.builds(Bucket, OPTIONAL_TEXT, OPTIONAL_TEXT)
FOLDS = st.builds(Fold, st.text(), st.text(), st.integers(0, 9999))
PLATFORMS = st.builds(
    Platform,
    BUCKETS,
    st.dictionaries(NAMES, BUCKETS, max_size=3).map(lambda found: tuple(sorted(found.items()))),
    st.none() | FOLDS,
)
DOCUMENTS = st.builds(
    TaskDocument,
    # Given, as types that are imported for people alone cannot be read.
    pipeline=st.text(),
    env=st.text(),
    task=st.text(),
    artifacts=st.text(),
    code_digest=st.none() | st.text(),
    image=st.none() | st.text(),
    image_digest=st.none() | st.text(),
    timeout_seconds=st.integers(),
    ins=st.lists(
        st.builds(In, NAMES, st.sampled_from(["value", "out", "input"]), st.sampled_from(Type)), max_size=3
    ).map(tuple),
    outs=st.lists(st.builds(Out, NAMES, max_bytes=st.none() | st.integers(1, 999)), max_size=3).map(tuple),
    evaluates=st.lists(
        st.builds(
            Evaluation,
            types=st.dictionaries(NAMES, st.sampled_from(Type)).map(lambda found: tuple(sorted(found.items()))),
        ),
        max_size=2,
    ).map(tuple),
    platform=st.none() | PLATFORMS,
)


@settings(deadline=None)  # a busy machine is no slow one
@given(DOCUMENTS)
def test_a_document_survives_its_json(document: TaskDocument) -> None:
    assert TaskDocument.loads(canonical.encode(document.to_json()).decode()) == document


@given(NAMES, NAMES, st.sampled_from(Type), st.text(), st.booleans())
def test_a_value_survives_its_argument(owner: str, name: str, type_: Type, text: str, optional: bool) -> None:
    ref = f"{owner.replace('_', '-')}.{name}"
    assert read_value(value(ref, type_, text, optional=optional)) == (ref, type_, text, optional)


@pytest.mark.parametrize("argument", ["", "params.x=1", "params.x:integer", "x:integer=1", "params.x:tensor=1"])
def test_what_is_no_value_is_refused(argument: str) -> None:
    with pytest.raises(ValueError, match=r"form|tensor"):
        read_value(argument)


def expand(text: str, variables: dict[str, str]) -> str:
    """What Kubernetes makes of a variable's text (third_party/forked/golang/expansion/expand.go)."""
    out, i = [], 0
    while i < len(text):
        if text[i] == "$" and i + 1 < len(text):
            if text[i + 1] == "$":
                out.append("$")
                i += 2
                continue
            if text[i + 1] == "(" and (end := text.find(")", i)) > 0:
                name = text[i + 2 : end]
                out.append(variables.get(name, f"$({name})"))
                i = end + 1
                continue
        out.append(text[i])
        i += 1
    return "".join(out)


@given(st.text(st.sampled_from("$()HOME x"), max_size=20))
def test_an_escaped_text_arrives_as_it_was(text: str) -> None:
    assert expand(escape(text), {"HOME": "/root", "": "?"}) == text


# What Tekton replaces once params are filled in, of a Task that has a result `x` (pkg/reconciler/taskrun/resources).
TEKTON = (
    "context.taskRun.name", "context.taskRun.namespace", "context.taskRun.uid", "context.task.name",
    "context.task.retry-count", "results.x.path", 'results["x"].path', "results['x'].path", "step.artifacts.path",
    "artifacts.path", "steps.step-main.exitCode.path", "workspaces.w.path", "credentials.path", "params.x",
)  # fmt: skip
PIECES = [*(f"$({name})" for name in TEKTON), "$", "$$", "$(", "(", ")", "$(MLGEN_DOLLAR)", "MLGEN_DOLLAR", "HOME", "x"]


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_a_result_arrives_past_tekton_and_kubernetes_as_it_was(text: str) -> None:
    written = escape_result(text)
    assert not any(f"$({name})" in written for name in TEKTON), "Tekton would replace it"
    assert expand(written, {"MLGEN_DOLLAR": expand("$$", {}), "HOME": "/root"}) == text
    assert unescape(written) == unescape(escape(text)) == text


@pytest.mark.parametrize("name", [*TEKTON, "x", "MLGEN_DOLLAR", "params['x']", 'params["x"][0]', "x[*]"])
def test_what_tekton_would_replace_or_refuse_is_in_no_param(name: str) -> None:
    assert NOT_IN_PARAMS.search(f"a $({name}) b")


@pytest.mark.parametrize("text", ["$", "$$", "$x", "${x}", "$(", "$( x )", "$(date +%s)", "$(x y)", "(x)"])
def test_other_texts_are(text: str) -> None:
    assert not NOT_IN_PARAMS.search(text)
