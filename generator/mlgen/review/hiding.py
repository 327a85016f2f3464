"""A review without what looks like a secret: it goes into comments and logs, where it stays when the branch is mended.

What is compared is whole, so that a changed token is a change. Digests, names and ids stay. The lines of diffs have
passed it in `unified`, before they were cut, and of the objects' files where they are shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from mlgen.review.change import Change, Sentence
from mlgen.review.make import EnvironmentReview, Part, Review
from mlgen.review.pipelines import PipelineReview
from mlgen.secrets.telling import value_without_secrets
from mlgen.secrets.telling import without_secrets as hidden


def without_secrets(review: Review) -> Review:
    """The same for the writers."""
    return replace(
        review,
        parts=tuple(map(_part, review.parts)),
        project=_changes(review.project),
        policies=_changes(review.policies),
        notes=_sentences(review.notes),
        settings=_changes(review.settings),
    )


def _part(part: Part) -> Part:
    return replace(
        part,
        before=hidden(part.before),
        after=hidden(part.after),
        pipelines=tuple(map(_pipeline, part.pipelines)),
        lock=_changes(part.lock),
        environments=tuple(map(_environment, part.environments)),
        broken_before=tuple(map(hidden, part.broken_before)),
        notes=_sentences(part.notes),
    )


def _pipeline(review: PipelineReview) -> PipelineReview:
    return replace(review, changes=_changes(review.changes))


def _environment(review: EnvironmentReview) -> EnvironmentReview:
    return replace(review, in_flight=_sentences(review.in_flight))


def _sentences(sentences: Iterable[Sentence]) -> tuple[Sentence, ...]:
    return tuple(replace(one, values=tuple(map(hidden, one.values))) for one in sentences)


def _changes(changes: Iterable[Change]) -> tuple[Change, ...]:
    return tuple(map(_change, changes))


def _change(change: Change) -> Change:
    return replace(
        change,
        key=hidden(change.key),
        before=_value(change.key, change.before),
        after=_value(change.key, change.after),
        about=hidden(change.about),
        note=hidden(change.note),
    )


def _value(key: str, value: str | None) -> str | None:
    return None if value is None else value_without_secrets(key, value)
