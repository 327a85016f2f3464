"""Names: what they are made of, how long, whose."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from mlgen.diagnostic import Diagnostic, Related, Span
from mlgen.spec.checks.context import Context
from mlgen.spec.model import Pipeline, Place, Setting, Task
from mlgen.spec.paths import versioned
from mlgen.spec.settings import CheckpointAsk

VARIABLE = re.compile(r"[a-z]([a-z0-9_]{0,38}[a-z0-9])?")
NODE = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
ENVIRONMENT_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
RESERVED = frozenset(
    ["params", "inputs", "tasks", "finally", "run", "record", "and", "or", "not", "in", "true", "false"]
)
MAX_NODE = 41  # characters of pipeline + task: room for the run's suffix and "-pod-retryN" in a pod's 63

_LABEL_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_LABEL_PREFIX = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")

_VARIABLE_RULE = "it becomes an environment variable: a small letter, then small letters, digits and _, at most 40"
_NODE_RULE = "it becomes part of a Kubernetes name: a small letter, then small letters, digits and -, not - at the end"
LENGTH_RULE = "a pod is called <pipeline>-<run>-<task>-pod-retryN, in 63 characters; longer ones are cut and hashed"


def pipeline_name(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """`name` is a valid name, the file's stem, and leaves room for a task's."""
    if pipeline.name is None:
        return
    name, place = pipeline.name, pipeline.place / "name"
    if not NODE.fullmatch(name):
        fix = rename_with_file(name, pipeline.path)
        yield place.finding("bad-name", f'"{name[:80]}" is not a name for a pipeline', _NODE_RULE, fix)
    elif len(name) >= MAX_NODE:
        message = f'the name "{name[:80]}" has {len(name)} characters: with a task\'s, {MAX_NODE} are allowed'
        yield place.finding("name-too-long", message, LENGTH_RULE, "choose a shorter name, and rename the file")
    yield from own_file(name, pipeline.path, "pipeline", place)


def own_file(name: str, path: str, what: str, place: Place) -> Iterator[Diagnostic]:
    """A pipeline and a reusable task are called as their files are. Of a name that is none, that is told."""
    stem = versioned(path)[0]
    if name != stem and NODE.fullmatch(name):
        message = f'the {what} is called "{name[:80]}" and its file "{stem[:80]}"'
        why = "runs, manifests and records carry the name, and people look for the file by it"
        fix = f"rename the file {name[:80]}{_stem(path).removeprefix(stem)}.yaml"
        if NODE.fullmatch(stem):
            fix = f"write name: {stem[:80]}, or {fix}"
        yield place.finding("name-mismatch", message, why, fix)


def rename_with_file(name: str, path: str) -> str:
    """How to mend the name of a pipeline or reusable task, which is its file's too."""
    stem, fix = versioned(path)[0], rename(name, "-")
    if NODE.fullmatch(stem):
        return f"write name: {stem[:80]}, as the file is called"
    return f"{fix}, and rename the file {fix.removeprefix('write ')}.yaml" if fix.startswith("write ") else fix


def _stem(path: str) -> str:
    return path.rsplit("/", 1)[-1].rsplit(".", 1)[0]


def rename(name: str, joint: str) -> str:
    """How to mend a name: the nearest one in small letters and digits, joined by a character."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", joint, name[:40])  # minAcc is min_acc
    found = re.sub(r"[^a-z0-9]+", joint, apart.lower()).lstrip("_-0123456789").rstrip("_-")
    return f"write {found}" if found else "choose another name"


def argument_names(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """Params and inputs: valid names, one name space, since -p gives both."""
    for what, items in (("a param", pipeline.params), ("an input", pipeline.inputs)):
        for name, item in items.items():
            yield from variable(name, what, item.place)
    for name in sorted(pipeline.params.keys() & pipeline.inputs.keys()):
        first, second = sorted((pipeline.params[name].place.key_span, pipeline.inputs[name].place.key_span))
        message, why = (
            f'"{name}" is a param and an input',
            "both are given by -p NAME=…, which could not tell them apart",
        )
        yield Diagnostic("name-collision", message, second, why, "rename one", (Related("the other one", first),))


def variable(name: str, what: str, place: Place) -> Iterator[Diagnostic]:
    """What becomes an environment variable in small letters: a param, input, in or out."""
    if not VARIABLE.fullmatch(name):
        message = f'"{name[:80]}" is not a name for {what}'
        yield Diagnostic("bad-name", message, named_at(place), _VARIABLE_RULE, rename(name, "_"))
    elif name.endswith("_proxy"):
        why = "curl, Git and Python's HTTP clients read *_proxy variables and would send their traffic there"
        message = f'"{name}" is refused as a name for {what}'
        yield Diagnostic("reserved-name", message, named_at(place), why, "rename it")


def named_at(place: Place) -> Span:
    """Where a name stands: a map's key, or an item of a list."""
    return place.key_span if isinstance(place.route[-1], str) else place.span


def task_names(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """Tasks and finally tasks: valid names, short enough, one name space."""
    for task in pipeline.all_tasks:
        name, place = task.name, task.place
        yield from task_name(name, place)
        if NODE.fullmatch(name):
            yield from _length(pipeline.name or "", name, place)
        if task.final and (other := pipeline.tasks.get(name)):
            message, why = f'"{name}" is a task and a finally task', "both become tasks of one Tekton Pipeline"
            related = (Related("the task", other.place.key_span),)
            yield place.key_finding("name-collision", message, why, "rename one of them", related)


def task_name(name: str, place: Place, file: str | None = None) -> Iterator[Diagnostic]:
    """The name of a task: the key of its place in a spec, the value in a file of its own, which is given."""
    span = place.span if place.value == name else place.key_span
    if not NODE.fullmatch(name):
        fix = rename(name, "-") if file is None else rename_with_file(name, file)
        yield Diagnostic("bad-name", f'"{name[:80]}" is not a name for a task', span, _NODE_RULE, fix)
    elif name in RESERVED:
        why = f"these words have a meaning of their own: {', '.join(sorted(RESERVED))}"
        yield Diagnostic("reserved-name", f'a task cannot be called "{name}"', span, why, "choose another name")


def _length(pipeline: str, name: str, place: Place) -> Iterator[Diagnostic]:
    length = len(pipeline) + len(name)
    if length > MAX_NODE > len(pipeline):  # else the pipeline's name is told
        message = f'the names "{pipeline}" and "{name[:80]}" have {length} characters together, {MAX_NODE} are allowed'
        yield place.key_finding("name-too-long", message, LENGTH_RULE, f"shorten them by {length - MAX_NODE}")


def variables(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """In one task all ins, outs, env and secrets have names of their own: all are environment variables."""
    for task in pipeline.all_tasks:
        if task.file is None:  # else the task file is checked by itself, and the ins against it
            yield from _variables(task)


def _variables(task: Task) -> Iterator[Diagnostic]:
    seen: dict[str, tuple[str, Span]] = {}
    for name, what, span in named(task):
        if name not in seen:
            seen[name] = what, span
            continue
        first, where = seen[name]
        message = f'task "{task.name[:80]}" has {first} and {what} called "{name[:80]}"'
        why = "ins, outs, env and secrets of a task are environment variables of one process"
        fix = "rename one" + ("; the map form of `in` gives any name: {name: task.out}" if first == "an in" else "")
        related = (Related(f"{first} of this name", where),)
        yield Diagnostic("name-collision", message, span, why, fix, related)
    for item in task.ins:
        if item.keyed:  # else the name is the producer's, and told there
            yield from variable(item.name, "an in", item.place)
    for out in task.outs.values():
        yield from variable(out.name, "an out", out.place)
    for checkpoint in _checkpoints(task):
        for found in variable(checkpoint.name, "a checkpoint", checkpoint.place):
            yield replace(found, span=checkpoint.place.span)
    for name, _, place in _environment(task):
        yield from _environment_variable(name, place)


def named(task: Task) -> Iterator[tuple[str, str, Span]]:
    """(name, what it is, where) of each environment variable that a task has by its spec, but for those of a fan."""
    yield from ((i.name, "an in", named_at(i.place)) for i in task.ins if i.name)
    yield from ((o.name, "an out", named_at(o.place)) for o in task.outs.values())
    yield from ((c.name, "a checkpoint", c.place.span) for c in _checkpoints(task))
    yield from ((name, what, named_at(place)) for name, what, place in _environment(task))


def _checkpoints(task: Task) -> Iterator[CheckpointAsk]:
    setting = task.settings.get("checkpoint")
    if setting is not None and isinstance(setting.value, CheckpointAsk):
        yield setting.value


def _environment(task: Task) -> Iterator[tuple[str, str, Place]]:
    for key, what in (("env", "an env variable"), ("secrets", "a secret")):
        setting = task.settings.get(key)
        if setting is not None and isinstance(setting.value, dict):
            yield from ((n, what, s.place) for n, s in setting.value.items() if isinstance(s, Setting))


def _environment_variable(name: str, place: Place) -> Iterator[Diagnostic]:
    if not ENVIRONMENT_VARIABLE.fullmatch(name):
        message = f'"{name[:80]}" is not a name for an environment variable'
        why = "letters, digits and _, with no digit at its beginning"
        found = re.sub(r"[^A-Za-z0-9_]+", "_", name[:80]).lstrip("0123456789")
        fix = f"write {found}" if ENVIRONMENT_VARIABLE.fullmatch(found) else "choose another name"
        yield place.key_finding("bad-name", message, why, fix)
    elif name.startswith("MLGEN_") or name.lower().endswith("_proxy"):
        why = "MLGEN_* is what mlgen tells a task, *_proxy would redirect its traffic"
        yield place.key_finding("reserved-name", f'the variable "{name[:80]}" is refused', why, "choose another name")


def labels(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """Labels and the owner are labels of Kubernetes objects."""
    if pipeline.owner is not None:
        yield from _label_value("the owner", str(pipeline.owner.value), pipeline.owner.place)
    for key, value in pipeline.labels.items():
        yield from label(key, value, pipeline.place / "labels" / key)


def label(key: str, value: str, place: Place, *, any_prefix: bool = False) -> Iterator[Diagnostic]:
    """A label's key and value as Kubernetes has them; a key of a prefix that others own only with any_prefix."""
    prefix, slash, name = key.rpartition("/")
    if not _LABEL_NAME.fullmatch(name) or (slash and not (_LABEL_PREFIX.fullmatch(prefix) and len(prefix) <= 253)):
        why = "[prefix/]name: letters, digits, - _ . and at most 63, with a letter or digit at both ends"
        found = re.sub(r"[^A-Za-z0-9._-]+", "-", name[:63]).strip("._-")
        fix = f"write {found}" if found else "choose another key"
        yield place.key_finding("bad-label", f'"{key[:80]}" is not a label key', why, fix)
    elif not any_prefix and any(f".{prefix}".endswith(f".{owner}") for owner in _OWNERS):
        fix = "use a prefix of your own, or none"
        yield place.key_finding("bad-label", f'the label "{key[:80]}" belongs to others', "its owner sets it", fix)
    yield from _label_value(f'the label "{key[:80]}"', value, place)


_OWNERS = ("mlgen.dev", "tekton.dev", "kubernetes.io", "k8s.io")


def _label_value(what: str, value: str, place: Place) -> Iterator[Diagnostic]:
    if value and not _LABEL_NAME.fullmatch(value):
        why = "a label value has at most 63 letters, digits, - _ . and begins and ends with a letter or digit"
        message = f'{what} cannot have the value "{value[:80]}"'
        found = re.sub(r"[^A-Za-z0-9._-]+", "-", value).strip("._-")
        fix = f"write {found}" if found and len(found) <= 63 else "shorten it; longer text goes into `description`"
        yield place.finding("bad-label", message, why, fix)
