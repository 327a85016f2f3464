"""What else of a project changed: the digests of mlgen.lock, and the rules in policies/."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from mlgen.plan.model import Plan
from mlgen.review.change import Change, Effect, Kind, counted, of_maps, of_value
from mlgen.review.unified import unified


def lock_changes(before: Mapping[str, str], after: Mapping[str, str], plans: Iterable[Plan]) -> tuple[Change, ...]:
    """The images that are pinned otherwise. plans: of now, whose tasks use them; those changes are told there, too."""
    used: dict[str, int] = {}
    for plan in plans:
        for task in plan.all_tasks:
            if task.image:
                used[task.image.reference] = used.get(task.image.reference, 0) + 1
    found = []
    for image in sorted({*before, *after}):
        old, new = before.get(image), after.get(image)
        if old != new:
            kind = Kind.NEW if old is None else Kind.REMOVED if new is None else Kind.CHANGED
            tasks = used.get(image, 0)
            note = f"used by {tasks} task{'' if tasks == 1 else 's'} of the specs that changed" if tasks else ""
            effect = Effect.RUNS if tasks else Effect.NONE
            found.append(Change(effect, kind, "", image, old, new, note=note))
    return tuple(found)


def source_changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Change, ...]:
    """The other repositories that are pinned otherwise: name -> its ref and commit. What runs is told of the tasks."""
    pairs = ((name, before.get(name), after.get(name)) for name in sorted({*before, *after}))
    return tuple(
        change
        for name, old, new in pairs
        for change in of_value(old, new, Effect.METADATA, f"sources.{name}", note="its files are in vendor/")
    )


@dataclass(frozen=True, slots=True)
class Rules:
    """What is read of a file of policies, to tell what became weaker. None: a file that could not be read.

    denies, fails_closed: names of bindings that deny, of policies that refuse what they cannot judge.
    validations, exceptions: policy -> how many. params: "ml-prod/mlgen-policies" -> its values by their names.
    besides: of a file of params and nothing else, what each has beside its values; None of any other file.
    """

    denies: frozenset[str] = frozenset()
    fails_closed: frozenset[str] = frozenset()
    validations: Mapping[str, int] | None = None
    exceptions: Mapping[str, int] | None = None
    params: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    besides: tuple[object, ...] | None = None


def policy_changes(
    before: Mapping[str, bytes], after: Mapping[str, bytes], read: Mapping[bytes, Rules | None]
) -> tuple[Change, ...]:
    """The files of policies/ that are not the same: path -> bytes. read: what `read_rules` says of the bytes."""
    found = []
    for path in sorted({*before, *after}):
        old, new = before.get(path), after.get(path)
        if old == new:
            continue
        kind = Kind.NEW if old is None else Kind.REMOVED if new is None else Kind.CHANGED
        lines = unified(_text(old), _text(new))
        notes = weaker(read.get(old or b"") or Rules(), (read.get(new) if new is not None else None) or Rules())
        if kind is Kind.NEW:
            notes = []
        elif new is not None and read.get(new) is None:
            notes = ["cannot be read any more"]
        note = f"weaker: {'; '.join(notes)}" if notes else ""
        rules = [read.get(data) if data is not None else None for data in (old, new)]
        words = _params(*rules)
        # Words say it all where nothing else of the objects is another.
        is_said = bool(words) and all(rules) and len({one.besides for one in rules if one}) == 1
        found.append(Change(Effect.RULES, kind, "", path, note=note, lines=() if is_said else lines))
        found += words
    return tuple(found)


def _params(before: Rules | None, after: Rules | None) -> list[Change]:
    """What a file of params and nothing else says otherwise, value by value; [] of any other, which lines tell of."""
    if before is None or after is None or before.besides is None or after.besides is None:
        return []
    old, new = before.params, after.params
    found = []
    for name in sorted({*old, *new}):
        if name not in old or name not in new:
            found.append(Change(Effect.RULES, Kind.NEW if name in new else Kind.REMOVED, "", name))
        else:
            found += map(_by_lines, of_maps(old[name].items(), new[name].items(), Effect.RULES, key=name, joint=" "))
    return found


def _by_lines(change: Change) -> Change:
    """A text of several lines is told by those that differ."""
    old, new = change.before or "", change.after or ""
    if "\n" not in old.rstrip("\n") + new.rstrip("\n"):
        return change
    lines = unified(old, new)
    return replace(change, before=None, after=None, note=counted(lines), lines=lines)


def _text(data: bytes | None) -> str:
    return "" if data is None else data.decode(errors="replace")


def weaker(before: Rules, after: Rules) -> list[str]:
    """In which ways what is refused became less, as far as can be seen without evaluating an expression."""
    found = [f"{name} no longer denies" for name in sorted(before.denies - after.denies)]
    lost = sorted(before.fails_closed - after.fails_closed)
    found += [f"{name} lets pass what it cannot judge" for name in lost if name in (after.validations or {})]
    for name, count in sorted((before.validations or {}).items()):
        now = (after.validations or {}).get(name)
        if now is None:
            found.append(f"{name} is gone")
        elif now < count:
            found.append(f"{name} has {now} validations, and had {count}")
    for name, count in sorted((after.exceptions or {}).items()):
        if count > (before.exceptions or {}).get(name, count):
            found.append(f"{name} has more conditions under which it does not apply")
    return found
