"""What a document's mistakes leave in doubt: nothing is concluded from it, so that one cause is told once."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from mlgen.diagnostic import Diagnostic, Span
from mlgen.spec.document import Document
from mlgen.spec.reader import Route


class Doubt:
    """bad: the routes of keys and values that were refused when the document was read, or by its shape."""

    def __init__(self, document: Document, bad: Collection[Route] = ()) -> None:
        self.document, self.bad = document, bad
        # A duplicate key may hide anything: the first of the two was read.
        self.hidden = any(finding.code == "duplicate-key" for finding in document.diagnostics)

    def knows(self, route: Route, key: str, keys: Collection[str]) -> bool:
        """Whether a key of the map at a route was read, or is absent because its author did not want it.

        keys: those that the map may have. Where another one stands, it may be the missing key with a slip of the pen.
        """
        if self.hidden:
            return False
        if not self.bad:
            return True
        data = self._value(route)
        if not isinstance(data, dict) or route in self.bad or (*route, key) in self.bad:
            return False
        return key in data or not any((*route, other) in self.bad for other in data if other not in keys)

    def untold(self, findings: Iterable[Diagnostic]) -> list[Diagnostic]:
        """The findings less those about values that were refused already."""
        told = [self.document.span(route) for route in self.bad if self._value(route) is not None]
        return [f for f in findings if not any(_within(f.span, span) for span in told)] if told else list(findings)

    def _value(self, route: Route) -> object:
        """The value at a route; None where there is none, or where it was refused."""
        found: object = self.document.data
        for part in route:
            if isinstance(found, dict) and isinstance(part, str):
                found = found.get(part)
            elif isinstance(found, list) and isinstance(part, int) and part < len(found):
                found = found[part]
            else:
                return None
        return found


def _within(inner: Span, outer: Span) -> bool:
    return (
        inner.file == outer.file
        and (outer.line, outer.column) <= (inner.line, inner.column)
        and (inner.end_line, inner.end_column) <= (outer.end_line, outer.end_column)
    )
