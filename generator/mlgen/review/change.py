"""One change, as data: what it touches, how far it reaches, and how it is said in one line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

ARROW = "→"
LONGEST = 160  # characters of a value that a line shows; the JSON has it whole
MOST_TASKS = 8  # of one line that speaks of many
DIGEST_SHOWN = 12  # hex digits of a digest that a line shows
_DIGEST = re.compile(rf"(sha256:[0-9a-f]{{{DIGEST_SHOWN}}})[0-9a-f]{{{64 - DIGEST_SHOWN}}}")
_COMMIT = re.compile(r"(?<![0-9a-z:])([0-9a-f]{12})[0-9a-f]{28}(?:[0-9a-f]{24})?(?![0-9a-z])")


class Effect(StrEnum):
    """How far a change reaches, worst first.

    runs: what a run does or makes can differ. resources: only what its pods get, for how long, how often.
    rules: what a run, a spec or the cluster is allowed. metadata: names, labels, descriptions, digests of files.
    none: nothing that a run or an object has.
    """

    RUNS = "runs"
    RESOURCES = "resources"
    RULES = "rules"
    METADATA = "metadata"
    NONE = "none"


_ORDER = {effect: index for index, effect in enumerate(Effect)}


class Kind(StrEnum):
    NEW = "new"
    REMOVED = "removed"
    RENAMED = "renamed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Change:
    """task: "" for what is the pipeline's or the project's. key: what of it, "gpu" or "params.epochs"; "": all of it.

    before, after: as texts, whole; None where there is none, or where `lines` say it. verb: instead of an arrow, as in
    "now reads". about: what stays the same and has to be said, as an image's name. note: a remark, in our words.
    lines: what a fold shows, such as a unified diff; the author's text. implied: another change says it, too, so that
    people are not told.
    """

    effect: Effect
    kind: Kind
    task: str
    key: str
    before: str | None = None
    after: str | None = None
    verb: str = ""
    about: str = ""
    note: str = ""
    lines: tuple[str, ...] = field(default=())
    implied: bool = False

    @property
    def subject(self) -> str:
        """train.gpu, params.epochs, train"""
        return ".".join(part for part in (self.task, self.key) if part)


@dataclass(frozen=True, slots=True)
class Word:
    """A part of a line. code: text of the author's, or a name, which Markdown shows as code. apart: in brackets."""

    text: str
    code: bool = False
    apart: bool = False


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of ours with what others wrote in it. template: `{}` for each of the values."""

    template: str
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.template.format(*self.values)


@dataclass(frozen=True, slots=True)
class Group:
    """One change that several tasks have alike, as one line tells it. tasks: their names, one or more; "" of none."""

    change: Change
    tasks: tuple[str, ...]


def grouped(changes: Iterable[Change]) -> list[Group]:
    """What people are told: changes that are the same but for the task as one, where the first of them was."""
    found: dict[Change, list[str]] = {}
    for change in (change for change in changes if not change.implied):
        found.setdefault(replace(change, task="") if change.task and _is_alike(change) else change, []).append(
            change.task
        )
    return [Group(replace(change, task=tasks[0]), tuple(tasks)) for change, tasks in found.items()]


def _is_alike(change: Change) -> bool:
    """Whether a line may speak of the change of several tasks: not of what is said of one, nor of a whole task."""
    return bool(change.key) and not change.verb


def group_words(group: Group) -> list[Word]:
    """The line of a change that one or several tasks have. A line's words are joined by blanks."""
    if len(group.tasks) == 1:
        return words(group.change)
    names = ", ".join(group.tasks[:MOST_TASKS])
    more = f" and {len(group.tasks) - MOST_TASKS} more" if len(group.tasks) > MOST_TASKS else ""
    return [
        *words(replace(group.change, task="")),
        Word(f"in {len(group.tasks)} tasks:"),
        Word(names, code=True),
        *([Word(more.strip())] if more else []),
    ]


def text_of(found: Iterable[Word]) -> str:
    """Words as text."""
    return " ".join(f"({word.text})" if word.apart else word.text for word in found)


def words(change: Change) -> list[Word]:
    """The line of a change."""
    if change.verb:
        found = [Word(short(change.task or change.key), code=True), Word(change.verb)]
        given = change.after if change.after is not None else change.before
        return [*found, *_value(given), *_note(change)]
    found = [*([] if change.key else [Word("task")]), Word(short(change.subject), code=True)]
    if change.about:
        found.append(Word(short(change.about), code=True))
    match change.kind:
        case Kind.NEW:
            found += [Word("new:" if change.after is not None else "is new"), *_value(change.after)]
        case Kind.REMOVED:
            found += [Word("removed, was" if change.before is not None else "removed"), *_value(change.before)]
        case Kind.RENAMED:
            found = [
                *([Word("task")] if change.task else []),
                *_value(change.before),
                Word("renamed to"),
                *_value(change.after),
            ]
        case Kind.CHANGED if change.before is None and change.after is None:
            found.append(Word("changed"))
        case Kind.CHANGED:
            found += [*_value(change.before, none=True), Word(ARROW), *_value(change.after, none=True)]
    return found + _note(change)


def line(change: Change) -> str:
    """The line of a change as text."""
    return text_of(words(change))


def short(text: str) -> str:
    """A value as a line shows it: digests and ids of commits begun, long texts cut."""
    text = _COMMIT.sub(r"\1", _DIGEST.sub(r"\1…", text))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _value(text: str | None, *, none: bool = False) -> list[Word]:
    if text is None:
        return [Word("none")] if none else []
    return [Word(short(text), code=True)] if text.strip() else [Word('""')]


def _note(change: Change) -> list[Word]:
    return [Word(short(change.note), code=True, apart=True)] if change.note else []


def worst(changes: Iterable[Change]) -> Effect:
    """The effect that reaches furthest; `none` of no change."""
    return min((change.effect for change in changes), key=_ORDER.__getitem__, default=Effect.NONE)


def rank(effect: Effect) -> int:
    """0 for the effect that reaches furthest."""
    return _ORDER[effect]


def ordered(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Worst first; among equals as they were found."""
    return tuple(sorted(changes, key=lambda change: _ORDER[change.effect]))


def of_maps(
    before: Iterable[tuple[str, str]],
    after: Iterable[tuple[str, str]],
    effect: Effect,
    *,
    key: str,
    task: str = "",
    joint: str = ".",
) -> list[Change]:
    """The changes of a map of texts: one for each name. key: of the map; "env" gives "env.OMP_NUM_THREADS"."""
    old, new = dict(before), dict(after)
    found = []
    for name in sorted({*old, *new}):
        here = f"{key}{joint}{name}" if key else name
        if name not in old:
            found.append(Change(effect, Kind.NEW, task, here, None, new[name]))
        elif name not in new:
            found.append(Change(effect, Kind.REMOVED, task, here, old[name], None))
        elif old[name] != new[name]:
            found.append(Change(effect, Kind.CHANGED, task, here, old[name], new[name]))
    return found


def of_value(
    before: str | None, after: str | None, effect: Effect, key: str, *, task: str = "", note: str = ""
) -> list[Change]:
    """The change of one value; none where it is the same."""
    if before == after:
        return []
    kind = Kind.NEW if before is None else Kind.REMOVED if after is None else Kind.CHANGED
    return [Change(effect, kind, task, key, before, after, note=note)]


def counted(lines: Sequence[str]) -> str:
    """+3 -1 lines, of the lines of a unified diff."""
    added = sum(line.startswith("+") for line in lines)
    gone = sum(line.startswith("-") for line in lines)
    return f"+{added} -{gone} lines"
