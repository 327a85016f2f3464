"""A file in Git names secrets and never holds one: what looks like a token, a key or a password is refused."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from mlgen.diagnostic import Diagnostic, Span
from mlgen.secrets.within import Route, Sight, sights
from mlgen.spec.document import Document
from mlgen.spec.reader import MAX_FINDINGS

HARMLESS = "# not a secret"  # ends the line of a value that only looks like one: who reviews the line reads why

# Under these stand references, types and names of Secrets, whatever the name above them: `in: {password: params.pw}`.
_REFERENCES = {
    "spec": frozenset({"in", "out", "secrets", "type", "after", "if"}),
    "project": frozenset({"secret", "image_pull_secrets", "external_secrets"}),
}
_LITERALS = frozenset({"value", "default", "choices", "description"})  # and these hold none, even there
_WHY = "who can clone a repository reads all of it, for ever; and rendered, it is in every pod's manifest in the clear"


def literal_secrets(document: Document, kind: str) -> Iterator[Diagnostic]:
    """The findings of a spec, a task file or a mlgen.yaml, whatever of it can be used. None shows its text."""
    references = _REFERENCES["project" if kind == "project" else "spec"]

    def named(route: Route) -> bool:
        own = route[:1] in (("params",), ("labels",)) and len(route) == 2  # whose names are the author's
        return own or route[-1] in _LITERALS or references.isdisjoint(route)

    for sight in islice(sights(document.data, named), MAX_FINDINGS):
        span = _span(document, sight)
        if HARMLESS not in document.lines[span.line - 1]:
            message = f"{_shown(sight)} looks like {sight.kind}"
            yield Diagnostic("literal-secret", message, span, _WHY, _fix(sight, kind), secret=True)


def _span(document: Document, sight: Sight) -> Span:
    if sight.start is None or sight.end is None:
        return document.key_span(sight.route)
    return document.inner_span(sight.route, sight.start, sight.end)


def _shown(sight: Sight) -> str:
    """The place as people say it; without a name that is the secret."""
    route = sight.route if sight.start is not None else sight.route[:-1]
    where = ".".join(str(part)[:40] for part in route) or "the file"
    return f'"{where}"' if sight.start is not None else f"a name in {where}"


def _fix(sight: Sight, kind: str) -> str:
    if kind == "project":
        return "revoke it, keep its successor in a Secret, and write that Secret's name"
    last: str | int = sight.route[-1] if sight.route else ""
    inner = "env" in sight.route and isinstance(last, str) and sight.start is not None
    variable = last if inner else "NAME"
    return (
        f"revoke it, keep its successor in a Secret, and write `secrets: {{{variable}: secret/key}}`: "
        f'the task reads it as ${variable}. If it is none, end its line with "{HARMLESS}"'
    )
