"""A review as plain JSON data: all of it, with keys that stay. generator/guides/review.md says what they mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mlgen.diagnostic import visible
from mlgen.review.amounts import Amount
from mlgen.review.change import Change, line
from mlgen.review.make import EnvironmentReview, Part, Review
from mlgen.review.objects import ObjectChange
from mlgen.review.pipelines import PipelineReview
from mlgen.review.unified import unified

Json = dict[str, object]


def to_json(review: Review) -> Json:
    """The keys of `mlgen diff --format json`."""
    return {
        "effect": str(review.effect),
        "parts": [_part(part) for part in review.parts],
        "project": _changes(review.project),
        "policies": _changes(review.policies),
        "settings": _changes(review.settings),
        "notes": [visible(str(note)) for note in review.notes],
    }


def _part(part: Part) -> Json:
    return {
        "before": visible(part.before),
        "after": visible(part.after),
        "commits": {"before": part.commits[0], "after": part.commits[1]},
        "environments": list(part.names),
        "pipelines": [_pipeline(one, part) for one in part.pipelines],
        "lock": _changes(part.lock),
        "objects": [_environment(one) for one in part.environments],
        "brokenBefore": [visible(path) for path in part.broken_before],
    }


def _pipeline(review: PipelineReview, part: Part) -> Json:
    drawn = part.pictures.get(review.name)
    return {
        "name": review.name,
        "was": review.before.name if review.before else None,
        "kind": str(review.kind),
        "effect": str(review.effect),
        "planDigest": {
            "before": review.before.digest if review.before else None,
            "after": review.after.digest if review.after else None,
        },
        "changes": _changes(review.changes),
        "amounts": _amounts(part.amounts, review.name),
        "mermaid": drawn.mermaid if drawn else None,
    }


def _changes(changes: Iterable[Change]) -> list[Json]:
    return [
        {
            "effect": str(change.effect),
            "kind": str(change.kind),
            "task": change.task,
            "key": visible(change.key),
            "before": None if change.before is None else visible(change.before),
            "after": None if change.after is None else visible(change.after),
            "line": visible(line(change)),
            "note": visible(change.note),
            "diff": [visible(text) for text in change.lines],
            "implied": change.implied,
        }
        for change in changes
    ]


def _amounts(amounts: Mapping[str, tuple[Amount, ...]], name: str) -> list[Json]:
    return [
        {"task": one.task, "what": one.what, "before": one.before, "after": one.after} for one in amounts.get(name, ())
    ]


def _environment(review: EnvironmentReview) -> Json:
    return {
        "environment": review.name,
        "was": review.was,
        "files": [_object(one) for one in review.objects],
        "argocd": [
            {"act": str(one.act), "kind": one.kind, "namespace": one.namespace, "name": one.name}
            for one in review.actions
        ],
        "inFlight": [visible(str(sentence)) for sentence in review.in_flight],
        "publish": review.publish,
    }


def _object(change: ObjectChange) -> Json:
    return {
        "kind": change.kind,
        "pipeline": change.pipeline,
        "task": change.task,
        "path": change.path,
        "oldPath": change.old_path,
        "change": "new" if change.old is None else "removed" if change.new is None else "changed",
        "diff": [visible(text) for text in unified(change.before or "", change.after or "")],
    }
