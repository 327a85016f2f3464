"""What two states of one task have otherwise: each field of a plan's Task, or what it follows from, is told of."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from mlgen.plan.fan_words import at_once, borne, fan_text, items_text, pick_text
from mlgen.plan.model import Code, Command, Condition, Image, In, Out, Script, Size, Task, Value
from mlgen.plan.show import again, gate
from mlgen.plan.text import task_json
from mlgen.registry.reference import IMAGE
from mlgen.review.change import Change, Effect, Kind, counted, of_maps, of_value
from mlgen.review.unified import unified
from mlgen.spec.quantities import cpu_text, duration_text

Listing = Callable[[tuple[str, ...]], Mapping[str, str]]  # folders of code -> path -> 64 hex digits
MOST_FILES = 200  # of a code folder that are listed

RUNS, RESOURCES = Effect.RUNS, Effect.RESOURCES


def task_changes(before: Task, after: Task, old_code: Listing, new_code: Listing) -> list[Change]:
    """The changes of a task; both under one name, with the names of other tasks as they are now."""
    found = [change for compare in _COMPARED for change in compare(before, after)]
    found += _code(before.code, after.code, after.name, old_code, new_code)
    if not [c for c in found if c.effect is not Effect.NONE] and task_json(before) != task_json(after):
        found.append(Change(RUNS, Kind.CHANGED, after.name, "plan"))  # what nothing above tells of
    return found


def _run(before: Task, after: Task) -> Iterator[Change]:
    if before.run == after.run:
        return
    match before.run, after.run:
        case Script(text=old), Script(text=new):
            lines = unified(old, new)
            yield Change(RUNS, Kind.CHANGED, after.name, "run", note=counted(lines), lines=lines)
        case Command(args=old_args), Command(args=new_args):
            yield Change(RUNS, Kind.CHANGED, after.name, "run", shlex.join(old_args), shlex.join(new_args))
        case old_run, new_run:
            lines = unified(run_text(old_run), run_text(new_run))
            note = f"{_form(old_run)} {_ARROW} {_form(new_run)}"
            yield Change(RUNS, Kind.CHANGED, after.name, "run", note=note, lines=lines)


_ARROW = "→"


def _form(run: Script | Command) -> str:
    return "a script" if isinstance(run, Script) else "a command"


def run_text(run: Script | Command) -> str:
    """What a task runs, as text."""
    return run.text if isinstance(run, Script) else shlex.join(run.args)


def _ins(before: Task, after: Task) -> Iterator[Change]:
    old, new = ({item.name: item for item in task.ins} for task in (before, after))
    for was, now in _called(old, new):
        yield Change(RUNS, Kind.CHANGED, after.name, "in", was, now, about=source_text(new[now]))
        old[now] = replace(old.pop(was), name=now)
    for name in sorted({*old, *new}):
        key = f"in.{name}"
        if name not in old:
            yield _read(after.name, key, "now reads", new[name], Kind.NEW)
        elif name not in new:
            yield _read(after.name, key, "no longer reads", old[name], Kind.REMOVED)
        elif old[name].source != new[name].source:
            yield Change(RUNS, Kind.CHANGED, after.name, key, source_text(old[name]), source_text(new[name]))
        elif old[name] != new[name]:
            yield Change(RUNS, Kind.CHANGED, after.name, key, _in_type(old[name]), _in_type(new[name]))


def _called(old: Mapping[str, In], new: Mapping[str, In]) -> list[tuple[str, str]]:
    """What a program finds under another name than before: the names of one thing that is read once, then and now."""
    gone = {item.source: name for name, item in sorted(old.items()) if name not in new}
    come = {item.source: name for name, item in sorted(new.items()) if name not in old}
    return [(gone[source], come[source]) for source in gone if source in come and not isinstance(source, Value)]


def _read(task: str, key: str, verb: str, item: In, kind: Kind) -> Change:
    text = source_text(item)
    renamed = f"as {item.name}" if text.rpartition(".")[2] != item.name else ""
    before, after = (None, text) if kind is Kind.NEW else (text, None)
    return Change(RUNS, kind, task, key, before, after, verb=verb, note=renamed)


def source_text(item: In) -> str:
    """prepare.rows, params.epochs, or a literal in quotes."""
    return f'"{item.source.text}"' if isinstance(item.source, Value) else str(item.source)


def _in_type(item: In) -> str:
    return f"{item.type}{' (optional)' if item.optional else ''}"


def _outs(before: Task, after: Task) -> list[Change]:
    old, new = ([(out.name, _out(out)) for out in task.outs] for task in (before, after))
    return of_maps(old, new, RUNS, key="out", task=after.name)


def _out(out: Out) -> str:
    most = f", at most {out.max_bytes} bytes" if out.max_bytes is not None else ""
    return f"{out.type}{' (optional)' if out.optional else ''}{most}"


def _gate(before: Task, after: Task) -> Iterator[Change]:
    """The conditions of a gate that are others now; those that stay are only counted."""
    old, new = ({c.text for c in task.conditions} for task in (before, after))
    if old != new:
        gone, come = (tuple(c for c in task.conditions if c.text not in old & new) for task in (before, after))
        stay = len(old & new)
        decided = (_decider(gone), _decider(come))
        told = [
            decided[1],
            f"was {decided[0]}" if all(decided) and decided[0] != decided[1] else "",
            f"{stay} other condition{'s stay' if stay > 1 else ' stays'}" if stay else "",
        ]
        yield from of_value(
            _conditions(before, gone),
            _conditions(after, come),
            RUNS,
            "if",
            task=after.name,
            note="; ".join(filter(None, told)),
        )
    elif before.conditions != after.conditions:
        deciders = [_decider(task.conditions) for task in (before, after)]
        yield Change(RUNS, Kind.CHANGED, after.name, "if", deciders[0], deciders[1], note="its gate's text is the same")


def _conditions(task: Task, some: tuple[Condition, ...]) -> str | None:
    return gate_text(replace(task, conditions=some))


def gate_text(task: Task) -> str | None:
    """The text of a task's gate; None of none."""
    return " ".join(f"{word} {text}" for word, text in gate(task)).removeprefix("if ") or None


def _decider(conditions: tuple[Condition, ...]) -> str:
    """Who decides a gate: "decided by train, when it ends"."""
    names = sorted({c.evaluator for c in conditions if c.evaluator is not None})
    at_start = any(c.evaluator is None for c in conditions)
    parts = [*(["before it starts"] if at_start else []), *(f"by {name} when it ends" for name in names)]
    return f"decided {' and '.join(parts)}" if parts else ""


def _decides(before: Task, after: Task) -> Iterator[Change]:
    """What a producer evaluates for others: an edited gate of theirs gives it another Task."""
    old, new = ({e.text: (e.index, e.types) for e in task.evaluates} for task in (before, after))
    for text in sorted({*old, *new}):
        if text not in old:
            yield Change(RUNS, Kind.NEW, after.name, "decides", None, text, verb="now decides")
        elif text not in new:
            yield Change(RUNS, Kind.REMOVED, after.name, "decides", text, None, verb="no longer decides")
        elif old[text] != new[text]:
            verb = "decides in another result, or by other types:"
            yield Change(RUNS, Kind.CHANGED, after.name, "decides", text, text, verb=verb)


def _after(before: Task, after: Task) -> Iterator[Change]:
    for name in sorted({*before.after} ^ {*after.after}):
        if name in after.after:
            yield Change(RUNS, Kind.NEW, after.name, "after", None, name, verb="now waits for")
        else:
            yield Change(RUNS, Kind.REMOVED, after.name, "after", name, None, verb="no longer waits for")


def _image(before: Task, after: Task) -> list[Change]:
    return image_changes(before.image, after.image, after.name)


def image_changes(old: Image | None, new: Image | None, task: str) -> list[Change]:
    """The change of an image: its tag and digest where the name is the same."""
    if old == new:
        return []
    if old is None or new is None:
        return of_value(image_text(old) if old else None, image_text(new) if new else None, RUNS, "image", task=task)
    name, old_tag = _parts(old)
    new_name, new_tag = _parts(new)
    digests = f"{old.digest or 'unpinned'} {_ARROW} {new.digest or 'unpinned'}"
    if name == new_name and old_tag == new_tag:
        change = Change(RUNS, Kind.CHANGED, task, "image", old.digest or "unpinned", new.digest or "unpinned")
        same = f"same tag {new_tag}, other digest" if new_tag else "other digest"
        return [_with(change, about=name, note=same)]
    if name == new_name:
        note = digests if old.digest != new.digest else "the same digest"
        return [_with(Change(RUNS, Kind.CHANGED, task, "image", old_tag, new_tag), about=name, note=note)]
    return [Change(RUNS, Kind.CHANGED, task, "image", image_text(old), image_text(new))]


def _with(change: Change, *, about: str, note: str) -> Change:
    return Change(
        change.effect, change.kind, change.task, change.key, change.before, change.after, about=about, note=note
    )


def image_text(image: Image) -> str:
    """An image's reference with its digest."""
    pinned = image.digest is None or image.digest in image.reference
    return image.reference if pinned else f"{image.reference}@{image.digest}"


def _parts(image: Image) -> tuple[str, str]:
    match = IMAGE.fullmatch(image.reference)
    return (match["name"], match["tag"] or "") if match else (image.reference, "")


def _code(old: Code | None, new: Code | None, task: str, old_code: Listing, new_code: Listing) -> Iterator[Change]:
    if old == new:
        return
    if old is None or new is None or old.folders != new.folders:
        were, are = (", ".join(code.folders) if code else None for code in (old, new))
        yield from of_value(were, are, RUNS, "code", task=task)
    if old is not None and new is not None and old.digest != new.digest:
        lines = listed_files(old_code(old.folders), new_code(new.folders))
        note = f"{len(lines)} file{'' if len(lines) == 1 else 's'} changed in {', '.join(new.folders)}"
        shown = lines[:MOST_FILES] + [f"… and {len(lines) - MOST_FILES} more"] * (len(lines) > MOST_FILES)
        yield Change(RUNS, Kind.CHANGED, task, "code", old.digest, new.digest, note=note, lines=tuple(shown))


def listed_files(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """The files of a folder that are not the same: "new train.py"."""
    marks = {name: _mark(name, old, new) for name in sorted({*old, *new}) if old.get(name) != new.get(name)}
    return [f"{mark:8}{name}" for name, mark in marks.items()]


def _mark(name: str, old: Mapping[str, str], new: Mapping[str, str]) -> str:
    return "new" if name not in old else "removed" if name not in new else "changed"


def _gpu(before: Task, after: Task) -> list[Change]:
    # How many GPUs a program has changes what it computes, and not only how fast.
    return of_value(gpu_text(before), gpu_text(after), RUNS, "gpu", task=after.name)


def _nodes(before: Task, after: Task) -> list[Change]:
    # On how many nodes a program runs changes what it computes, and not only how fast.
    old, new = (str(task.nodes) if task.nodes > 1 else None for task in (before, after))
    return of_value(old, new, RUNS, "nodes", task=after.name)


def _resources(before: Task, after: Task) -> Iterator[Change]:
    yield from of_value(cpu_text(before.cpu_millis), cpu_text(after.cpu_millis), RESOURCES, "cpu", task=after.name)
    for key in ("memory", "disk", "shm"):
        old, new = (_size(getattr(task, key)) for task in (before, after))
        yield from of_value(old, new, RESOURCES, key, task=after.name)
    timeouts = [time_text(task.timeout_seconds) for task in (before, after)]
    yield from of_value(timeouts[0], timeouts[1], RESOURCES, "timeout", task=after.name)
    yield from of_value(str(before.retries), str(after.retries), RESOURCES, "retries", task=after.name)
    old, new = (", ".join(again(task)) or None for task in (before, after))
    yield from of_value(old, new, RESOURCES, "again", task=after.name)
    old, new = ("true" if task.spot else None for task in (before, after))
    yield from of_value(old, new, RESOURCES, "spot", task=after.name)
    old, new = (f"{w.kind}:{w.size.text}" if (w := task.workspace) else None for task in (before, after))
    yield from of_value(old, new, RESOURCES, "workspace", task=after.name)
    yield from of_value(before.priority, after.priority, RESOURCES, "priority", task=after.name)
    yield from of_value(before.queue, after.queue, RESOURCES, "queue", task=after.name)


def _checkpoint(before: Task, after: Task) -> list[Change]:
    # Without it a program that was preempted begins from nothing, and with it from what it saved.
    old, new = (task.checkpoint.name if task.checkpoint else None for task in (before, after))
    return of_value(old, new, RUNS, "checkpoint", task=after.name)


def gpu_text(task: Task) -> str | None:
    """a100:2"""
    return f"{task.gpu.pool}:{task.gpu.count}" if task.gpu else None


def _size(size: Size | None) -> str | None:
    return size.text if size else None


def time_text(seconds: int) -> str:
    """Seconds as a spec's author writes them: 6h, 1h30m, 45s."""
    text = duration_text(seconds)
    for zero, unit in (("0s", "m"), ("0m", "h")):
        if text.endswith(unit + zero):
            text = text.removesuffix(zero)
    return text


def _env(before: Task, after: Task) -> list[Change]:
    return of_maps(before.env, after.env, RUNS, key="env", task=after.name)


def _secrets(before: Task, after: Task) -> list[Change]:
    old, new = ([(s.variable, f"{s.secret}/{s.key}") for s in task.secrets] for task in (before, after))
    return of_maps(old, new, RUNS, key="secrets", task=after.name)


def _use(before: Task, after: Task) -> list[Change]:
    return of_value(before.file or None, after.file or None, Effect.NONE, "use", task=after.name)


# In the order in which a reviewer wants to know: a long list is cut at its end.
def _fan(before: Task, after: Task) -> Iterator[Change]:
    """How often a task runs, and what its readers get."""
    old, new = before.fan, after.fan
    if old == new:
        return
    if old is None or new is None:
        was, now = (fan_text(fan) if fan else None for fan in (old, new))
        yield from of_value(was, now, RUNS, "times", task=after.name)
        return
    had, has = set(old.rows or ()), set(new.rows or ())
    note = f"+{len(has - had)} -{len(had - has)} of them" if had != has and old.rows and new.rows else ""
    same = (old.rows, old.lists, old.variables, old.search) == (new.rows, new.lists, new.variables, new.search)
    if not same:
        yield Change(RUNS, Kind.CHANGED, after.name, "times", items_text(old), items_text(new), note=note)
    yield from of_value(pick_text(old) or "picks none", pick_text(new) or "picks none", RUNS, "pick", task=after.name)
    yield from of_value(borne(old) or "none may fail", borne(new) or "none may fail", RUNS, "failures", task=after.name)
    yield from of_value(at_once(old) or "no bound", at_once(new) or "no bound", RESOURCES, "parallel", task=after.name)


_COMPARED: tuple[Callable[[Task, Task], Iterator[Change] | list[Change]], ...] = (
    _gpu, _image, _run, _ins, _after, _gate, _decides, _outs, _secrets, _env, _fan, _checkpoint, _nodes,
    _resources, _use,
)  # fmt: skip
