"""Tasks that run many times: their items are known, few and alike."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from mlgen.diagnostic import Diagnostic, Related
from mlgen.spec import fans
from mlgen.spec.checks import names
from mlgen.spec.checks.context import Context, a, listed, near, out_of
from mlgen.spec.model import Axis, Draw, Fan, Out, Pick, Pipeline, Place, Ref, Task
from mlgen.spec.reader import MAX_FINDINGS
from mlgen.values import MAX_INTEGER, Type

MAX_OF_A_RUN = 256  # items of a list that only the run knows (decision 0031)
MAX_TEXT_BYTES = 1 << 20  # of all items' values together: as much as a spec may have

_ITEM = "each item is a pod in a cluster, and a record"


def items(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """A fan has items that agree with each other, as many as can be."""
    for task in pipeline.tasks.values():
        if task.fan is None:
            continue
        yield from _one_fan(task)
        yield from _draws(task.fan)
        for axis in task.fan.axes:
            yield from _axis(task.fan, axis)
        yield from _lists(pipeline, task.fan)
        yield from _too_many(pipeline, task.fan)
    yield from _nothing_runs(pipeline)


def _nothing_runs(pipeline: Pipeline) -> Iterator[Diagnostic]:
    """A fan without items is one that succeeded; a pipeline of such alone has nothing that Tekton could run."""
    empty = [task.fan for task in pipeline.tasks.values() if task.fan is not None and fans.count(task.fan) == 0]
    if empty and len(empty) == len(pipeline.tasks) and "tasks" in pipeline.known:
        message, why = "no task of this pipeline would ever run", "each goes through an empty list"
        yield empty[0].place.key_finding("bad-loop", message, why, "give it an item, or a task that leaves the list")


def _one_fan(task: Task) -> Iterator[Diagnostic]:
    written = task.place.value
    if isinstance(written, dict) and "sweep" in written and "for" in written:
        first, second = sorted((task.place / "sweep", task.place / "for"), key=lambda place: place.key_span)
        message, why = f'task "{task.name}" has `sweep` and `for`', "each says how often the task runs"
        related = (Related("the other", first.key_span),)
        yield second.key_finding("bad-sweep", message, why, "remove one; a grid goes through several lists", related)


def _draws(fan: Fan) -> Iterator[Diagnostic]:
    """trials and seed are for random and search, which need the first."""
    if fan.kind != "sweep" or fan.way is None:
        return
    written = fan.place.value
    given = written if isinstance(written, dict) else {}
    if fan.way in fans.DRAWN and "trials" not in given:
        message, why = "the sweep does not say how many trials are drawn", "random draws never end by themselves"
        if fan.way == "search":
            message, why = "the sweep does not say how many trials there are", "a search never ends by itself"
        yield (fan.place / fan.way).key_finding("bad-sweep", message, why, f"add trials: 20, beside `{fan.way}`")
    for key in ("trials", "seed"):
        if fan.way not in fans.DRAWN and key in given:
            message, why = f"a {fan.way} has no `{key}`", "its trials are those written down"
            yield (fan.place / key).key_finding("bad-sweep", message, why, "remove it, or draw at `random`")


def _axis(fan: Fan, axis: Axis) -> Iterator[Diagnostic]:
    yield from names.variable(axis.name, "a variable", axis.place)
    if isinstance(axis.values, Draw):
        yield from _draw(axis, axis.values)
        if fan.way == "search":
            yield from _distance(axis, axis.values)
    elif axis.type is None and axis.values is not None:
        message = f'the values of "{axis.name[:80]}" are of several types'
        why = "it is one variable of the task, and one column of its records"
        fix = 'write all of them as numbers, or all as texts: "1"'
        yield axis.place.key_finding("bad-sweep", message, why, fix)
    elif isinstance(axis.values, range) and not axis.values and fan.kind == "sweep":
        message = f'the range of "{axis.name[:80]}" is empty'
        yield axis.place.finding("bad-sweep", message, "a sweep without trials finds nothing", fans.RANGE_RULE)


def _draw(axis: Axis, draw: Draw) -> Iterator[Diagnostic]:
    low, high = axis.place / "min", axis.place / "max"
    if not draw.minimum < draw.maximum:
        related = (Related("the least", low.span),)
        message = f"max is {draw.maximum}, and min {draw.minimum}"
        yield high.finding("bad-sweep", message, "values are drawn from min to max", "write a greater max", related)
    elif draw.log and draw.minimum <= 0:
        why = "the logarithm of 0 and of what is less does not exist"
        fix = "write a min above 0, such as 1e-5, or remove `log`"
        yield low.finding("bad-sweep", f"min is {draw.minimum}, and `log: true`", why, fix)
    elif axis.type is Type.INTEGER:
        for bound, place in ((draw.minimum, low), (draw.maximum, high)):
            if bound != int(bound):
                fix = "write a whole number, or type: number"
                yield place.finding("bad-sweep", f"{bound} is no whole number", "`type: integer` asks for them", fix)
            elif abs(bound) > MAX_INTEGER:
                why = "JSON readers do not keep whole numbers beyond ±(2^53-1) exactly"
                yield place.finding("bad-sweep", f"{bound} is too far from 0", why, "bring it nearer, or type: number")


def _distance(axis: Axis, draw: Draw) -> Iterator[Diagnostic]:
    """Samplers reckon with the distance from min to max: where that is no number, neither is what they propose."""
    distance = draw.maximum - draw.minimum
    if not draw.log and distance > 0 and not sys.float_info.min <= distance <= sys.float_info.max:
        message = f"from {draw.minimum} to {draw.maximum} is too {'far' if distance > 1 else 'near'} for a search"
        why = "the distance is beyond what a number of 64 bits holds"
        fix = "write a range that results depend on, or draw by log: true"
        yield (axis.place / "max").finding("bad-sweep", message, why, fix)


def rows(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """The trials of a list all have the same names."""
    for task in pipeline.tasks.values():
        fan = task.fan
        if fan is None or fan.way != "list":
            continue
        first, wanted = fan.place / "list" / 0, [axis.name for axis in fan.axes]
        written = (fan.place / "list").value
        told = 0
        for index, row in enumerate(written if isinstance(written, list) else ()):
            missing = [name for name in wanted if name not in row] if isinstance(row, dict) else []
            if missing:
                message = f"trial {index} has no {listed(missing)}"
                why = f"a trial has a value of every name: {listed(wanted)}"
                related = (Related("the first trial", first.span),) if index else ()
                fix = f"add {missing[0]}: …, or remove it from the others"
                yield (fan.place / "list" / index).finding("bad-sweep", message, why, fix, related)
                told += 1
            if told > MAX_FINDINGS:  # each looks at every name: all of 40,000 trials would take hours
                break


def _lists(pipeline: Pipeline, fan: Fan) -> Iterator[Diagnostic]:
    """What only the run knows is a json out, or the outs of all items of another fan."""
    why = "it goes through a list, {range: …}, or a list that a task leaves as a json out"
    for axis, ref in ((axis, axis.values) for axis in fan.axes if isinstance(axis.values, Ref)):
        kind = f"{ref.owner[:-1]}" if ref.owner in ("params", "inputs") else None
        if kind is not None:
            fix = f"have a task write the list as a json out; of {a(kind)} only a run knows what it is"
            yield axis.place.finding("bad-loop", f"`for` goes through the {kind} {ref.name}", why, fix)
            continue
        producer, out = pipeline.tasks.get(ref.owner), out_of(pipeline, ref)
        if fans.is_many(producer):
            if out is not None and out.type is not None and out.type.is_artifact:
                fix = f"read {ref} in `in`: it is a folder with an entry an item"
                yield axis.place.finding("bad-loop", f"`for` goes through the artifacts {ref}", why, fix)
        elif out is not None and out.type not in (None, Type.JSON):
            fixed = f'have task "{ref.owner}" leave it as json: out: {{{out.name}: json}}'
            yield axis.place.finding("bad-loop", f"`for` goes through {ref}, {a(str(out.type))}", why, fixed)
        elif producer is not None and fans.variable(producer, ref.name) is not None:
            fix = "read it in `in`: it is one value"
            yield axis.place.finding("bad-loop", f"`for` goes through the variable {ref}", why, fix)


def _too_many(pipeline: Pipeline, fan: Fan) -> Iterator[Diagnostic]:
    """Counted, not built: a million items take no time to refuse."""
    found = fans.count(fan)
    place = fan.place / str(fan.way) if fan.kind == "sweep" else fan.place
    fix = "go through fewer or shorter lists, or split the task"
    if found is not None and found > fans.MAX_ITEMS:
        message = f"the task would run {found:,} times, {fans.MAX_ITEMS:,} are allowed"
        if fan.way in fans.DRAWN:  # as many as it says, whatever it draws from
            yield (fan.place / "trials").finding("too-many-items", message, _ITEM, f"write {fans.MAX_ITEMS}, or less")
            return
        if fan.way == "grid":
            fix = "leave values out, or draw from them: random: {…}, trials: 100" if fan.kind == "sweep" else fix
        yield place.key_finding("too-many-items", message, _ITEM, fix)
        return
    if found is not None and _bytes(fan, found) > MAX_TEXT_BYTES:
        message = f"the values of all items together take more than {MAX_TEXT_BYTES:,} bytes"
        why = "a plan has the text of each value of each item"
        yield place.key_finding("too-many-items", message, why, "hand long texts on as a file, or name them shortly")
        return
    known = least(pipeline, fan)
    if found is None and known is not None and known > MAX_OF_A_RUN:
        message = f"the task would run {known:,} times or more, {MAX_OF_A_RUN} are allowed where only the run knows"
        why = "the list travels in a small message of Kubernetes"
        yield place.key_finding("too-many-items", message, why, "go through fewer of them, or hand on longer pieces")


def least(pipeline: Pipeline, fan: Fan) -> int | None:
    """How many items a fan has, each list that a task leaves taken for one item, and another fan's outs for as many as
    it has. None where it could not be read."""
    product = 1
    for axis in fan.axes:
        if isinstance(axis.values, tuple | range):
            product *= len(axis.values)
        elif isinstance(axis.values, Ref):
            producer = pipeline.tasks.get(axis.values.owner)
            many = producer.fan if producer is not None and fans.is_many(producer) else None
            product *= (fans.count(many) or 1) if many else 1
        elif axis.values is None:
            return None
    return product


def _bytes(fan: Fan, count: int) -> int:
    """The bytes of all texts of all items, about; 40 for a number that is drawn."""
    total = 0
    for axis in fan.axes:
        if isinstance(axis.values, tuple) and axis.values:
            texts = sum(len(text.encode(errors="replace")) for text in axis.values)
            total += texts if fan.way == "list" else texts * count // len(axis.values)
        else:
            total += 40 * count
    return total


def picks(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """`pick` names a metric of a task that is swept."""
    for task in pipeline.tasks.values():
        setting = task.pick
        if setting is None or not isinstance(setting.value, Pick):
            continue
        pick, place = setting.value, setting.place
        if task.fan is None or task.fan.kind != "sweep":
            message = f'task "{task.name}" has `pick`, and no `sweep`'
            why = "the best one is picked of the trials of a sweep"
            fix = "remove it, or go through the values by sweep: {grid: …}"
            if not _written(task, "sweep"):
                yield place.key_finding("bad-pick", message, why, fix)
            continue
        out = task.outs.get(pick.metric)
        if task.outs_known and (out is None or out.type is not Type.METRIC):
            yield _no_metric(task, pick, out, place)
        elif out is not None and out.optional:
            message = f'the metric "{pick.metric}" is optional'
            why = "a trial without it could not be compared with the others"
            yield place.finding("bad-pick", message, why, "let every trial write it: remove optional: true")


def _written(task: Task, key: str) -> bool:
    value = task.place.value
    return isinstance(value, dict) and key in value


def _no_metric(task: Task, pick: Pick, out: Out | None, place: Place) -> Diagnostic:
    metrics = [o.name for o in task.outs.values() if o.type is Type.METRIC]
    end = "max" if pick.highest else "min"
    guess = near(pick.metric, metrics) or (metrics[0] if len(metrics) == 1 else None)
    if out is None:
        message = f'task "{task.name}" has no metric "{pick.metric}"'
        fix = f"write pick: {end} {guess}" if guess else f"add it to `out`: {pick.metric}: metric"
    else:
        message = f'"{pick.metric}" is {a(str(out.type or "out"))}, not a metric'
        fix = f"write {pick.metric}: metric in `out`" if out.type and out.type.is_number else f"pick one of: {end} …"
        if guess and not (out.type and out.type.is_number):
            fix = f"write pick: {end} {guess}"
    return place.finding("bad-pick", message, f'the metrics of "{task.name}" are: {listed(metrics)}', fix)


def bounds(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """`parallel` and `failures` are of tasks that run many times, and some item has to succeed."""
    for task in pipeline.tasks.values():
        for key, setting in (("parallel", task.parallel), ("failures", task.failures)):
            if setting is not None and task.fan is None and not any(_written(task, fan) for fan in ("sweep", "for")):
                message, why = f'task "{task.name}" runs once, and has `{key}`', f"`{key}` is about trials or items"
                yield setting.place.key_finding("not-many", message, why, "remove it, or add `sweep` or `for`")
        count = fans.count(task.fan) if task.fan else None
        if task.failures is not None and count and int(str(task.failures.value)) >= count:
            message = f"{task.failures.value} failures are borne, of {count} item{'' if count == 1 else 's'}"
            why = "all of them could fail, and the task would have succeeded with nothing"
            fix = f"write {count - 1}, or less" if count > 1 else "remove it"
            yield task.failures.place.finding("not-many", message, why, fix)


def names_of_variables(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """A variable of a fan is no in, out, env or secret of its task."""
    for task in pipeline.tasks.values():
        if task.fan is None:
            continue
        taken = {name: (what, span) for name, what, span in names.named(task)}
        for axis in task.fan.axes:
            if axis.name in taken:
                what, span = taken[axis.name]
                message = f'task "{task.name[:80]}" has {what} and a variable of `{task.fan.kind}` called "{axis.name}"'
                why = "ins, outs, env, secrets and these variables are environment variables of one process"
                related = (Related(f"{what} of this name", span),)
                yield axis.place.key_finding("name-collision", message, why, "rename one", related)
