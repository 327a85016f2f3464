"""The comment on a pull request: within the host's limit, whole folds, and nothing of a spec's text does anything."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from markdown_it import MarkdownIt

from mlgen.diagnostic import visible
from mlgen.render.manifests import Manifest
from mlgen.reports.markdown import LIMIT
from mlgen.review.as_json import to_json
from mlgen.review.change import Change, Effect, Kind, Sentence
from mlgen.review.make import Review, make_part
from mlgen.review.markdown import LEAST, MARKER, MOST_BYTES, MOST_NEW, to_markdown
from mlgen.review.objects import ObjectChange
from mlgen.review.text import to_text
from tests.reports.hostile import TEXTS, texts
from tests.review.states import SPEC, edited, part, side
from tests.strategies import load

COMMAND = "mlgen diff --base main"
READER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
QUICK = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=60)


class _File(Manifest):
    """A file of any text: that of its comment."""

    @property
    def bytes(self) -> bytes:
        return self.comment[0].encode(errors="replace")


def review_of(text: str) -> Review:
    """A review in which a text stands wherever somebody else's may."""
    found = part(SPEC, edited(lambda spec: spec["tasks"]["train"].update(gpu="a100:2")))
    lines = tuple(text.split("\n"))
    changes = tuple(
        Change(Effect.RUNS, kind, "train", key, text, after, about=text, note=text, verb=verb, lines=lines)
        for kind, key, after, verb in (
            (Kind.CHANGED, f"env.{text}", f"{text}x", ""),
            (Kind.NEW, "in.x", text, "now reads"),
            (Kind.REMOVED, "", None, ""),
        )
    )
    files = [_File("prod/manifests/a.yaml", (whole,), {}) for whole in (text, f"{text}\nb")]
    objects = (ObjectChange("Task", "churn", "train", *files),)
    environment = replace(found.environments[0], objects=objects, in_flight=(Sentence("They keep {}.", (text,)),))
    (pipeline,) = found.pipelines
    told = replace(
        found,
        before=text,
        pipelines=(replace(pipeline, changes=changes),),
        lock=(replace(changes[0], task=""),),
        environments=(environment,),
        broken_before=(text,),
    )
    return Review(
        (told,), (replace(changes[0], task=""),), (replace(changes[1], task="", key=text),), (Sentence("{}", (text,)),)
    )


@given(text=texts)
@example(text="\ud800 \udc80 \ufffe")
@QUICK
def test_nothing_that_others_wrote_does_anything(text: str) -> None:
    made = to_markdown(review_of(text), COMMAND)
    assert made.startswith(f"{MARKER}\n")
    # The structure is ours, whatever the text: what is shown of it is code.
    plain = [_shape(to_markdown(review_of(word), COMMAND)) for word in ("plain", "")]
    assert _shape(made) in plain or "did not fit" in made
    assert len(made.encode()) <= LIMIT


def _shape(made: str) -> list[str]:
    """The kinds of all tokens but code and text, and the HTML there is, without what stands in <code>."""
    found = []
    for token in READER.parse(made):
        for one in token.children or [token]:
            if one.type in ("html_block", "html_inline"):
                found.append(re.sub("<code>.*?</code>", "<code></code>", one.content))
            elif one.type not in ("text", "code_inline", "softbreak", "inline"):
                found.append(f"{one.type} {one.info}")
    return found


@pytest.mark.parametrize("text", TEXTS)
def test_no_line_of_text_or_json_is_anybody_elses(text: str) -> None:
    told = to_text(review_of(text), objects=True)
    assert all(visible(line) == line for line in told.split("\n"))
    # None is a command of a CI's: GitHub reads a log's lines, also where blanks stand before.
    assert not re.search(r"^\s*::|##(\[|vso|teamcity)", told, re.MULTILINE)
    assert to_json(review_of(text))


def many(count: int, size: int) -> Review:
    """A review of many pipelines with long scripts."""

    def spec(number: int, word: str) -> dict[str, object]:
        run = "\n".join(f"echo {word} {number} {line} é日本" for line in range(size))
        tasks = {"a": {"run": run, "image": "busybox:1"}}
        return {"version": 1, "name": f"p{number}", "tasks": tasks}

    old, new = (side(*(load(spec(n, word)) for n in range(count))) for word in ("old", "new"))
    return Review((make_part(old, new, [("prod", "prod")]),), (), ())


@pytest.mark.parametrize(("count", "size"), [(1, 1), (1, 3000), (20, 50), (120, 10), (400, 2)])
def test_a_comment_fits_and_is_cut_by_whole_folds(count: int, size: int) -> None:
    made = to_markdown(many(count, size), COMMAND)
    assert len(made.encode()) <= LIMIT
    assert made.count("<details>") == made.count("</details>") == made.count("<summary>")
    tokens = READER.parse(made)
    assert all(
        token.content.rstrip().endswith(("</summary>", "</details>", "-->"))
        for token in tokens
        if token.type == "html_block"
    )
    left = re.search(r"\n\nWhat did not fit: (.*); for more run `mlgen diff --base main`\n$", made)
    assert (left is None) == (count == 1)
    # What matters most stays: each pipeline's line before any object's diff.
    if left is not None and "pipelines (" in left[1]:
        assert "<details>" not in made


@pytest.mark.parametrize("limit", [LEAST, 20_000, LIMIT])
def test_a_comment_leaves_the_room_that_others_need(limit: int) -> None:
    made = to_markdown(many(120, 50), COMMAND, limit)
    assert limit - MOST_BYTES - 1_000 < len(made.encode()) <= limit
    assert "did not fit" in made


def test_what_is_left_out_is_counted() -> None:
    made = to_markdown(many(20, 50), COMMAND)
    shown = len(re.findall("^<details>", made, re.MULTILINE))
    whole = to_json(many(20, 50))["parts"][0]  # type: ignore[index]
    folds = sum(len(p["changes"]) + (p["mermaid"] is not None) for p in whole["pipelines"]) + 1
    folds += sum(len(e["files"]) for e in whole["objects"])
    left = sum(int(n) for n in re.findall(r"\((\d+)\)", made.rsplit("What did not fit", 1)[1]))
    assert shown + left == folds


def test_one_long_list_pushes_nothing_else_out() -> None:
    wide = "日" * 150
    env = {f"V{n}": f"{wide}{n}" for n in range(200)}
    script = "\n".join(f"echo {n} {wide}" for n in range(150))
    found = part(SPEC, edited(lambda spec: spec["tasks"]["train"].update(env=env, run=script, gpu="a100:4")))
    made = to_markdown(Review((found,), (), ()), COMMAND)
    assert len(made.encode()) <= LIMIT
    assert "train.gpu" in made
    assert re.search("^- … and [0-9]+ more$", made, re.MULTILINE)
    assert "A run that began before the sync" in made
    assert "churn: train.run" in made


def test_of_thousands_of_files_only_those_are_written_for_which_there_is_room() -> None:
    written = []

    class Counted(_File):
        @property
        def bytes(self) -> bytes:
            written.append(self.path)
            return f"{self.path}\n".encode() * 200

    review = review_of("x")
    (shown,) = review.parts
    paths = [(f"prod/manifests/task-{n}.yaml", f"prod/manifests/task-{n}x.yaml") for n in range(1000)]
    objects = tuple(ObjectChange("Task", "churn", "train", Counted(a, (), {}), Counted(b, (), {})) for a, b in paths)
    environment = replace(shown.environments[0], objects=objects)
    text = to_markdown(replace(review, parts=(replace(shown, environments=(environment,)),)), COMMAND)
    kept = text.count("<summary><code>tekton/")
    assert kept > 0
    assert f"What did not fit: objects ({len(objects) - kept});" in text
    assert len(written) == 2 * (kept + 1)  # one is too large, and ends it


def test_files_that_go_are_named_and_not_shown_and_new_ones_begun() -> None:
    plan = load(SPEC)
    gone = to_markdown(Review((make_part(side(plan), side(), [("prod", "prod")]),), (), ()), COMMAND)
    assert len(re.findall("removed</summary>", gone)) == 1
    assert "tekton/prod/manifests/pipeline-churn.yaml\n" in gone
    assert "apiVersion" not in gone
    come = to_markdown(Review((make_part(side(), side(plan), [("prod", "prod")]),), (), ()), COMMAND)
    assert "pipeline-churn.yaml</code> new</summary>" in come
    blocks = re.findall("```yaml\n(.*?)\n```", come, re.DOTALL)
    assert "\n… and " in blocks[0]
    assert all(len(block.split("\n")) <= MOST_NEW + 1 for block in blocks)
