"""Sentences that all writers use: of the whole, of an effect, of what Argo CD will do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mlgen.review.change import Effect, Kind
from mlgen.review.make import EnvironmentReview, Review
from mlgen.review.objects import Act, Action, ObjectChange
from mlgen.review.pipelines import PipelineReview

EFFECTS = {
    Effect.RUNS: "what a run does or makes can differ",
    Effect.RESOURCES: "runs do the same, with other resources, timeouts or retries",
    Effect.RULES: "runs do the same; what is allowed differs",
    Effect.METADATA: "runs do the same; only names, labels, descriptions or digests of files differ",
    Effect.NONE: "nothing that a run has differs",
}
SETTINGS = "mlgen.yaml, which no promotion moves"
FOLDER = "tekton/"  # where `mlgen render` writes
_DONE = {Act.CREATE: "created", Act.CHANGE: "changed", Act.PRUNE: "pruned", Act.KEEP: "kept"}


def headline(review: Review) -> str:
    """The worst effect, and what it means."""
    return f"{review.effect}: {EFFECTS[review.effect]}"


def title(review: PipelineReview) -> str:
    """What became of a pipeline, in a few words."""
    match review.kind:
        case Kind.RENAMED if review.before is not None:
            return f"renamed from {review.before.name}, {review.effect}"
        case Kind.CHANGED:
            return str(review.effect)
    return str(review.kind)


def counted(actions: Sequence[Action]) -> str:
    """2 created, 1 changed, 1 kept"""
    found = Counter(action.act for action in actions)
    return ", ".join(f"{found[act]} {_DONE[act]}" for act in Act if found[act]) or "nothing to do"


def publishing(review: EnvironmentReview) -> str:
    """The command that has to be run before the sync; "" of none."""
    return f"mlgen publish --env {review.name}" if review.publish else ""


def file_title(change: ObjectChange) -> str:
    """A file, and where it was."""
    if change.old_path is not None:
        return f"{FOLDER}{change.old_path} → {change.path.rpartition('/')[2]}"
    return f"{FOLDER}{change.path}"


def file_note(change: ObjectChange) -> str:
    if change.old is None:
        return "new"
    return "removed" if change.new is None else ""
