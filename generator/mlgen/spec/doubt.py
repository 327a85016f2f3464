"""What a document's mistakes leave in doubt: nothing is concluded from it, so that one cause is told once."""

from __future__ import annotations

from bisect import bisect_right
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
        told = _outermost(self.document.span(route) for route in self.bad if self._value(route) is not None)
        starts = [_start(span) for span in told]

        def is_told(place: Span) -> bool:
            before = bisect_right(starts, _start(place))
            return before > 0 and within(place, told[before - 1])

        return [f for f in findings if not is_told(f.span)]

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


def _outermost(spans: Iterable[Span]) -> list[Span]:
    """The spans that are in no other one, in the order of the file. Those of values are nested or apart."""
    outer: list[Span] = []
    for span in sorted(spans, key=lambda s: (*_start(s), -s.end_line, -s.end_column)):
        if not outer or not within(span, outer[-1]):
            outer.append(span)
    return outer


def _start(span: Span) -> tuple[int, int]:
    return span.line, span.column


def within(inner: Span, outer: Span) -> bool:
    """Whether a place is a part of another one, or the same."""
    return (
        inner.file == outer.file
        and (outer.line, outer.column) <= (inner.line, inner.column)
        and (inner.end_line, inner.end_column) <= (outer.end_line, outer.end_column)
    )
