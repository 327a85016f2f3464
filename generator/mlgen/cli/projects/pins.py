"""Environments that are pinned to a commit: whether it is here, and how findings of what it has are told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from mlgen import diagnostic, git
from mlgen.cli.projects import revisions
from mlgen.diagnostic import Diagnostic, Related, Span
from mlgen.git import history, revision
from mlgen.spec.document import Document
from mlgen.spec.model import Place

SHORT = 12  # digits of a commit's id that people are shown


def place(document: Document, environment: str) -> Place:
    """Where mlgen.yaml pins an environment."""
    return Place(document, ("environments", environment, "pin"))


def span(document: Document, environment: str) -> Span:
    """Where mlgen.yaml pins an environment; where it has no pin, the environment's name."""
    found = place(document, environment)
    is_there = document.offsets(found.route) != document.offsets(found.route[:-1])
    return found.span if is_there else found.key_span


def commit_of(repository: git.Repository | None, environment: str, pin: str, span: Span) -> str | Diagnostic:
    """The commit of a pin, or the finding that it is not here.

    Raises CannotAnswer "shallow-clone" where it may be in the part of the history that was not fetched.
    """
    if repository is None or repository.work_tree is None:
        why = f"what {environment} is rendered from is read from the history, and there is none here"
        return _unknown(environment, pin, span, why, "work in a clone of the repository, not in a copy of its files")
    found = repository.resolve(pin)
    if found == pin:
        return found
    if found is not None:
        fix = f'write "{found}"'
        return Diagnostic("bad-pin", f"{pin[:SHORT]} is a tag, not a commit", span, "pins name commits", fix)
    if history.is_shallow(repository):
        raise revisions.shallow(f"{environment} is pinned to {pin[:SHORT]}, which is not in this shallow clone")
    remote = next(iter(revision.remotes(repository)), "")
    why = f"what {environment} is rendered from is read from that commit"
    if not remote:
        return _unknown(
            environment, pin, span, why, f"mlgen promote --to {environment} pins it to a commit that is here"
        )
    return _unknown(environment, pin, span, why, f"git fetch {remote} {pin}")


def _unknown(environment: str, pin: str, span: Span, why: str, fix: str) -> Diagnostic:
    return Diagnostic("unknown-pin", f"{environment} is pinned to {pin[:SHORT]}, which is not here", span, why, fix)


def lock_there(environment: str, commit: str) -> str:
    """What is to be done with a mlgen.lock for an environment that reads the one of its pin."""
    return f" ({environment} reads that of {commit[:SHORT]}: commit it, then mlgen promote --to {environment})"


def refined(found: list[Diagnostic], document: Document, repository: git.Repository | None) -> list[Diagnostic]:
    """Findings of mlgen.yaml, in which a pin that names a commit otherwise is mended by its full id."""
    if repository is None or not any(one.code == "bad-pin" for one in found):
        return found
    ids = dict(_ids(document, repository))
    return [replace(one, fix=f'write "{ids[one.span]}"') if one.span in ids else one for one in found]


def _ids(document: Document, repository: git.Repository) -> Iterable[tuple[Span, str]]:
    data: Any = document.data
    for name, environment in data["environments"].items():
        pin = environment.get("pin") if isinstance(environment, dict) else None
        if isinstance(pin, str) and len(pin) <= 200 and pin.isprintable() and (oid := repository.resolve(pin)):
            yield place(document, name).span, oid


def told(
    found: Iterable[Diagnostic], environment: str, commit: str, span: Span, *, is_written: bool = True
) -> list[Diagnostic]:
    """Errors of what a commit has, told where mlgen.yaml pins an environment to it: there they can be mended.

    Its warnings were told when it was reviewed. Findings of mlgen.yaml are of the one that lies here.
    is_written: the pin is there; else it is only wanted, and the place is that of what is there instead.
    """
    errors = [one for one in found if one.severity is diagnostic.Severity.ERROR]
    pinned = f"{environment} {'is' if is_written else 'would be'} pinned to {commit[:SHORT]}"
    return [one if one.span.file == span.file else _told(one, environment, commit, span, pinned) for one in errors]


def _told(one: Diagnostic, environment: str, commit: str, span: Span, pinned: str) -> Diagnostic:
    message = f"{pinned}, where {one.span.file}:{one.span.line} has: {one.message}"
    then = f"commit it, then mlgen promote --to {environment}"
    related = (Related(f"as it is at {commit[:SHORT]}", one.span), *one.related)
    fix = f"{one.fix}; {then}" if one.fix else f"mend it, {then}"
    return Diagnostic(one.code, message, span, one.why, fix, related, secret=False)
