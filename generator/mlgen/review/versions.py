"""Tasks in a version that no longer do what their callers rely on: what a review has to say of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mlgen.review.change import Sentence
from mlgen.spec.interface import broken
from mlgen.spec.model import TaskFile
from mlgen.spec.paths import named


def broken_versions(before: Mapping[str, TaskFile], after: Mapping[str, TaskFile]) -> Iterator[Sentence]:
    """What changed incompatibly. before, after: the tasks that have a version, by name@version."""
    for use, old in sorted(before.items()):
        ways = list(broken(old, after[use])) if use in after else ["it is gone"]
        if ways:
            told = "{} breaks who uses it, here or in another repository: {}. Let it be as it was, and publish {}."
            yield Sentence(told, (use, "; ".join(ways), _next(use, {*before, *after})))


def _next(use: str, known: set[str]) -> str:
    """The version that is free after all that there are of a name."""
    this = named(use)
    assert this is not None, f"{use} has a version"
    others = [other.version for text in known if (other := named(text)) and other.name == this.name]
    return f"{this.name}@{max(others) + 1}"
