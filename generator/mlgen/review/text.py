"""A review for people at a terminal, or in a pipe: 80 columns, nothing but text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from mlgen.diagnostic import visible
from mlgen.review.amounts import Amount
from mlgen.review.change import Change, group_words, grouped, text_of
from mlgen.review.change import counted as counted_lines
from mlgen.review.make import EnvironmentReview, Part, Review
from mlgen.review.telling import SETTINGS, counted, file_note, file_title, headline, publishing, title
from mlgen.review.unified import unified

WIDTH = 80
MOST_LINES = 40  # of one diff
MOST_FILES = 40  # of one environment
MOST_ACTIONS = 40
_DIFF_WIDTH = 120


def to_text(review: Review, *, objects: bool = False) -> str:
    """The review as text, with a line's end at its end. objects: with the diffs of the objects' files."""
    return "\n".join(visible(text) for text in _lines(review, objects)) + "\n"


def _lines(review: Review, objects: bool) -> Iterator[str]:
    for part in review.parts:
        names = f"{', '.join(part.names)}: " if part.names and len(review.parts) > 1 else ""
        yield f"diff    {names}{part.before} → {part.after}"
    yield from _wrapped(f"effect  {headline(review)}", "        ")
    for note in review.notes:
        yield from _wrapped(f"note    {note}", "        ")
    if review.is_empty:
        yield "no difference but of settings" if review.settings else "no difference"
    for name, changes in (("mlgen.yaml", review.project), ("policies", review.policies)):
        if changes:
            yield from ("", name)
            yield from _changes(changes)
    for part in review.parts:
        yield from _part(part, headed=len(review.parts) > 1, objects=objects)
    if review.settings:
        yield from ("", SETTINGS)
        yield from _changes(review.settings)


def _part(part: Part, *, headed: bool, objects: bool) -> Iterator[str]:
    if headed and (part.pipelines or part.environments):
        yield from ("", f"== {', '.join(part.names) or 'specs'}: {part.before} → {part.after}")
    for path in part.broken_before:
        yield from _wrapped(f"note    {path} has errors at {part.before}: what is there now is told as new", "        ")
    for review in part.pipelines:
        yield from ("", f"{review.name}  {title(review)}")
        yield from _changes(review.changes)
        if amounts := part.amounts.get(review.name):
            yield ""
            yield from _amounts(amounts)
    if part.lock:
        yield from ("", "mlgen.lock")
        yield from _changes(part.lock)
    for environment in part.environments:
        yield from _environment(environment)
        yield from _objects(environment, diffs=objects)


def _changes(changes: Sequence[Change]) -> Iterator[str]:
    width = max((len(change.effect) for change in changes), default=0)
    for group in grouped(changes):
        said = visible(text_of(group_words(group)))
        yield from _wrapped(f"  {group.change.effect:{width}}  {said}", " " * (width + 6))
        yield from _cut(group.change.lines, " " * (width + 6), MOST_LINES)


def _amounts(amounts: Sequence[Amount]) -> Iterator[str]:
    rows = [("", "before", "after")]
    rows += [(f"{one.task} {one.what}".strip(), one.before or "none", one.after or "none") for one in amounts]
    first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
    yield from (f"  {what:{first}}  {before:{second}}  {after}".rstrip() for what, before, after in rows)


def _environment(review: EnvironmentReview) -> Iterator[str]:
    if review.was == review.name:
        yield from ("", f"Argo CD, {review.name}: {counted(review.actions)}")
        for action in review.actions[:MOST_ACTIONS]:
            yield f"  {action.act:6}  {action.kind} {action.namespace}/{action.name}"
        yield from _more(len(review.actions) - MOST_ACTIONS, "  ")
        if command := publishing(review):
            yield from _wrapped(f"  before the sync: {command}, or its hook fails and nothing changes", "    ")
    if review.in_flight:
        yield from ("", f"runs in flight, {review.name}")
        for sentence in review.in_flight:
            yield from _wrapped(f"  - {visible(str(sentence))}", "    ")


def _objects(review: EnvironmentReview, *, diffs: bool) -> Iterator[str]:
    hint = "" if diffs else "  (--objects shows the diffs)"
    yield from ("", f"objects, {review.was if review.was == review.name else f'{review.was} → {review.name}'}{hint}")
    for change in review.objects[:MOST_FILES]:
        lines = unified(change.before or "", change.after or "", width=_DIFF_WIDTH)
        yield f"  {file_title(change)}  ({file_note(change) or counted_lines(lines)})"
        if diffs and change.old is not None and change.new is not None:
            yield from _cut(lines, "    ", MOST_LINES)
    yield from _more(len(review.objects) - MOST_FILES, "  ")


def _cut(lines: Sequence[str], indent: str, most: int) -> Iterator[str]:
    yield from (f"{indent}{text}" for text in lines[:most])
    yield from _more(len(lines) - most, indent)


def _more(count: int, indent: str) -> Iterable[str]:
    return [f"{indent}… and {count} more: --format json has all"] if count > 0 else []


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
