"""A review as Markdown for a pull request: one comment, which a host takes, with the most important first.

What others wrote is code (`reports.markdown`), so it mentions nobody and links nowhere. Size: hosts say 65,536
characters; GitHub was measured to take 262,144 bytes of UTF-8. 65,536 bytes keep to both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate

from mlgen.reports.markdown import LIMIT, block, fold, inline, table
from mlgen.review.amounts import Amount
from mlgen.review.change import Change, Sentence, Word, group_words, grouped, rank
from mlgen.review.make import EnvironmentReview, Part, Review
from mlgen.review.objects import ObjectChange
from mlgen.review.picture import Picture
from mlgen.review.pipelines import PipelineReview
from mlgen.review.telling import EFFECTS, FOLDER, SETTINGS, counted, file_note, file_title, publishing, title
from mlgen.review.unified import unified
from mlgen.secrets.telling import lines_without_secrets

MARKER = "<!-- mlgen-diff -->"  # how CI finds the comment that it edits
MOST_BYTES = 12_000  # of one list or fold, before the rest of it is counted: one alone must not push out all others
LEAST = 8_000  # bytes that a comment may be limited to: its head and its last line always stay
MOST_NEW = 60  # lines of a file that is new
_RESERVED = 700  # bytes for the line that says what was left out


@dataclass(frozen=True, slots=True)
class _Piece:
    """A paragraph or fold, whole or left out. weight: the least stay. what: for the line that counts the rest.

    text: makes it; asked only as long as there is room.
    """

    weight: int
    what: str
    text: Callable[[], str]


def to_markdown(review: Review, command: str, limit: int = LIMIT) -> str:
    """The comment, with a line's end at its end. command: that shows the rest. limit: bytes of UTF-8, a few thousand at
    least, for what is said in any case."""
    head = "\n\n".join([MARKER, f"### mlgen diff: **{review.effect}**, {EFFECTS[review.effect]}", _sides(review)])
    pieces = list(_pieces(review))
    room = limit - _RESERVED - _size(head) - _size(command)
    kept = dict[int, str]()
    for index in sorted(range(len(pieces)), key=lambda i: (pieces[i].weight, i)):
        text = pieces[index].text()
        room -= _size(text)
        if room < 0:
            break  # whole, and in order: a smaller one further down is not more important
        kept[index] = text
    texts = [head, *(kept[index] for index in sorted(kept))]
    if left := [piece.what for index, piece in enumerate(pieces) if index not in kept]:
        texts.append(f"What did not fit: {_counted(left)}; for more run {inline(command)}")
    return "\n\n".join(texts) + "\n"


def _size(text: str) -> int:
    return len(text.encode(errors="surrogatepass")) + 2


def _counted(whats: Sequence[str]) -> str:
    """objects (12), graphs (1)"""
    return ", ".join(f"{what} ({count})" for what, count in Counter(whats).items())


def _sides(review: Review) -> str:
    sides = dict.fromkeys((part.before, part.after) for part in review.parts)
    return ", ".join(f"{inline(before)} → {inline(after)}" for before, after in sides)


def _pieces(review: Review) -> Iterator[_Piece]:
    for note in review.notes:
        yield _Piece(0, "notes", partial("> {}".format, _sentence(note)))
    if review.is_empty:
        yield _Piece(0, "notes", lambda: f"No difference{' but of settings' if review.settings else ''}.")
    for name, changes in (("policies", review.policies), ("mlgen.yaml", review.project)):
        if changes:
            yield _Piece(1, "sections", partial(_section, f"#### `{name}`", changes))
            yield from _diffs(name, changes, 20)
    for part in review.parts:
        for path in part.broken_before:
            told = f"> {inline(path)} has errors at {inline(part.before)}: what is there now is told as new"
            yield _Piece(1, "notes", partial(str, told))
        named = f" ({', '.join(part.names)})" if part.names and len(review.parts) > 1 else ""
        for one in part.pipelines:
            yield from _pipeline(one, part, named)
        if part.lock:
            yield _Piece(8, "sections", partial(_lock, part.lock))
    for environment in (environment for part in review.parts for environment in part.environments):
        yield from _environment(environment)

    if review.settings:
        yield _Piece(8, "sections", partial(_section, f"#### {SETTINGS}", review.settings))


def _pipeline(review: PipelineReview, part: Part, named: str) -> Iterator[_Piece]:
    weight = 2 + rank(review.effect)
    heading = f"#### {inline(review.name)}{named}: {title(review)}"
    yield _Piece(weight, "pipelines", partial(_section, heading, review.changes))
    if found := part.amounts.get(review.name):
        yield _Piece(weight, "tables of amounts", partial(_amounts, found))
    if drawn := part.pictures.get(review.name):
        yield _Piece(10 + weight, "graphs", partial(_graph, review.name, drawn))
    yield from _diffs(review.name, review.changes, 20 + weight)


def _section(heading: str, changes: Sequence[Change]) -> str:
    return f"{heading}\n\n{_changes(changes)}"


def _lock(changes: Sequence[Change]) -> str:
    return fold("mlgen.lock", _changes(changes), f"{len(changes)} changed")


def _graph(name: str, drawn: Picture) -> str:
    cut = f"{drawn.left_out} tasks that did not change are not drawn" if drawn.left_out else ""
    return fold(f"{name}: graph", block(drawn.mermaid, "mermaid"), cut)


def _changes(changes: Sequence[Change]) -> str:
    lines = [f"- **{group.change.effect}** {_line(group_words(group))}" for group in grouped(changes)]
    return "\n".join(_first(lines, "- … and {} more"))


def _line(words: Iterable[Word]) -> str:
    """A change's words; what is no word of ours is code."""
    said = []
    for word in words:
        text = inline(word.text) if word.code else word.text
        said.append(f"({text})" if word.apart else text)
    return " ".join(said)


def _diffs(name: str, changes: Iterable[Change], weight: int) -> Iterator[_Piece]:
    for group in grouped(changes):
        change = group.change
        if change.lines:
            heading = f"{name}: {change.subject if len(group.tasks) == 1 else change.key}"
            yield _Piece(weight, "diffs", partial(_diff, heading, change))


def _diff(heading: str, change: Change) -> str:
    return fold(heading, _block(change.lines, "diff" if change.key != "code" else ""), change.effect)


def _block(lines: Sequence[str], language: str) -> str:
    return block("\n".join(_first(lines, "… and {} more lines")), language)


def _first(lines: Sequence[str], more: str) -> list[str]:
    """As many lines as fit into MOST_BYTES, and how many more there are."""
    sizes = accumulate(_size(line) for line in lines)
    fit = next((index for index, size in enumerate(sizes) if size > MOST_BYTES), len(lines))
    return [*lines[:fit], more.format(len(lines) - fit)] if fit < len(lines) else list(lines)


def _amounts(amounts: Sequence[Amount]) -> str:
    rows = [(one.task, one.what, one.before or "none", one.after or "none") for one in amounts]
    return _table(("task", "amount", "before", "after"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(_first(list(table(head, rows)), "\n… and {} more"))


def _environment(review: EnvironmentReview) -> Iterator[_Piece]:
    if review.was == review.name:
        yield _Piece(9, "lists of what Argo CD does", partial(_actions, review))
    told = list(map(_sentence, review.in_flight))
    if command := publishing(review):
        told.insert(0, f"Before the sync: {inline(command)}, or its hook fails and the cluster keeps what it has.")
    if told:
        lines = [f"**Runs, {inline(review.name)}**", "", *(f"- {text}" for text in told)]
        yield _Piece(7, "notes on runs in flight", partial("\n".join, lines))
    if gone := [change.path for change in review.objects if change.new is None]:
        yield _Piece(43, "lists of files that go", partial(_gone, review.name, gone))
    for change in (change for change in review.objects if change.new is not None):
        # The Pipeline says most, then Tasks; what starts a run repeats the Pipeline.
        weight = 40 + {"Pipeline": 0, "Task": 1}.get(change.kind, 2)
        yield _Piece(weight, "objects", partial(_object, change))


def _actions(review: EnvironmentReview) -> str:
    rows = [(str(a.act), a.kind, f"{a.namespace}/{a.name}") for a in review.actions]
    body = _table(("Argo CD will", "kind", "object"), rows)
    return fold(f"Argo CD, {review.name}", body, counted(review.actions))


def _gone(name: str, paths: Sequence[str]) -> str:
    """Files that go, by their names: what was in them says nothing about what will be."""
    body = block("\n".join(_first([f"{FOLDER}{path}" for path in paths], "… and {} more")))
    return fold(f"objects, {name}", body, f"{len(paths)} removed")


def _object(change: ObjectChange) -> str:
    before, after = change.before, change.after or ""
    if before is not None:
        body = _block(unified(before, after), "diff")
    else:  # it is what a spec that is new, too, was rendered to
        lines = lines_without_secrets(after.removesuffix("\n").split("\n"))
        more = f"\n… and {len(lines) - MOST_NEW} more lines" if len(lines) > MOST_NEW else ""
        body = block("\n".join(lines[:MOST_NEW]) + more, "yaml")
    return fold(file_title(change), body, file_note(change))


def _sentence(sentence: Sentence) -> str:
    return sentence.template.format(*map(inline, sentence.values))
