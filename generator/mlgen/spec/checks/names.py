"""Names: what they are made of, how long, whose."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mlgen.diagnostic import Diagnostic, Related
from mlgen.spec.checks.context import Context
from mlgen.spec.model import Pipeline, Place, Setting, Task

VARIABLE = re.compile(r"[a-z]([a-z0-9_]{0,38}[a-z0-9])?")
NODE = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
ENVIRONMENT_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
RESERVED = frozenset(
    ("params", "inputs", "tasks", "finally", "run", "record", "and", "or", "not", "in", "true", "false")
)
MAX_NODE = 41  # characters of pipeline + task: room for the run's suffix and "-pod-retryN" in a pod's 63

_LABEL_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_LABEL_PREFIX = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")

_VARIABLE_RULE = "it becomes an environment variable: a small letter, then small letters, digits and _, at most 40"
_NODE_RULE = "it becomes part of a Kubernetes name: a small letter, then small letters, digits and -, not - at the end"


def pipeline_name(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """`name` is a valid name, and the file's stem."""
    name, place = pipeline.name, pipeline.place / "name"
    if name is None:
        return
    if not NODE.fullmatch(name):
        yield place.finding("bad-name", f'"{name[:80]}" is not a name for a pipeline', _NODE_RULE)
    stem = pipeline.path.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    if name != stem:
        why = "runs, manifests and records carry the name, and people look for the file by it"
        yield place.finding(
            "name-mismatch",
            f'the pipeline is called "{name[:80]}" and its file "{stem}"',
            why,
            f"write name: {stem}, or rename the file",
        )


def argument_names(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """Params and inputs: valid names, one name space, since -p gives both."""
    for kind, items in (("param", pipeline.params), ("input", pipeline.inputs)):
        for name, item in items.items():
            yield from _variable(name, f"a{'n' if kind == 'input' else ''} {kind}", item.place)
    for name in sorted(pipeline.params.keys() & pipeline.inputs.keys()):
        first, second = sorted((pipeline.params[name].place, pipeline.inputs[name].place), key=lambda p: p.key_span)
        yield second.key_finding(
            "name-collision",
            f'"{name}" is a param and an input',
            "both are given by -p NAME=…, so -p could not tell them apart",
            "rename one of them",
            (Related("the other one", first.key_span),),
        )


def _variable(name: str, what: str, place: Place) -> Iterator[Diagnostic]:
    if not VARIABLE.fullmatch(name):
        yield place.key_finding("bad-name", f'"{name[:80]}" is not a name for {what}', _VARIABLE_RULE)
    elif name.endswith("_proxy"):
        why = "curl, Git and Python's HTTP clients read *_proxy variables and would send their traffic there"
        yield place.key_finding("reserved-name", f'"{name}" is refused as a name for {what}', why, "rename it")


def task_names(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """Tasks and finally tasks: valid names, short enough, one name space."""
    for task in pipeline.all_tasks:
        name, place = task.name, task.place
        if not NODE.fullmatch(name):
            yield place.key_finding("bad-name", f'"{name[:80]}" is not a name for a task', _NODE_RULE)
        elif name in RESERVED:
            why = f"these words have a meaning of their own: {', '.join(sorted(RESERVED))}"
            yield place.key_finding("reserved-name", f'a task cannot be called "{name}"', why, "choose another name")
        yield from _length(pipeline, name, place)
        if task.final and (other := pipeline.tasks.get(name)):
            yield place.key_finding(
                "name-collision",
                f'"{name}" is a task and a finally task',
                "both become tasks of one Tekton Pipeline",
                "rename one of them",
                (Related("the task", other.place.key_span),),
            )


def _length(pipeline: Pipeline, name: str, place: Place) -> Iterator[Diagnostic]:
    length = len(pipeline.name or "") + len(name)
    if length > MAX_NODE:
        yield place.key_finding(
            "name-too-long",
            f'"{(pipeline.name or "")[:80]}" and "{name[:80]}" have {length} characters together, {MAX_NODE} may',
            "a pod is called <pipeline>-<run>-<task>-pod-retryN, in 63 characters; longer ones are cut and hashed",
            f"shorten them by {length - MAX_NODE}",
        )


def variables(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """In one task all ins, outs, env and secrets have names of their own: all are environment variables."""
    for task in pipeline.all_tasks:
        yield from _variables(task)


def _variables(task: Task) -> Iterator[Diagnostic]:
    seen: dict[str, tuple[str, Place]] = {}
    for name, what, place, keyed in _named(task):
        span = place.key_span if keyed else place.span
        if what in ("an in", "an out"):
            for finding in _variable(name, what, place):
                yield Diagnostic(finding.code, finding.message, span, finding.why, finding.fix)
        elif not ENVIRONMENT_VARIABLE.fullmatch(name):
            yield place.key_finding(
                "bad-name", f'"{name[:80]}" is not a name for an environment variable', "letters, digits and _"
            )
        elif name.startswith("MLGEN_") or name.lower().endswith("_proxy"):
            why = "MLGEN_* is what mlgen tells a task, *_proxy would redirect its traffic"
            yield place.key_finding(
                "reserved-name", f'the variable "{name[:80]}" is refused', why, "choose another name"
            )
        if name in seen:
            first, where = seen[name]
            fix = (
                "rename one; the map form of `in` gives any name: {new_name: task.out}"
                if "in" in what
                else "rename one"
            )
            related = (Related(f"{first} of this name", where.span),)
            why = "ins, outs, env and secrets of a task are environment variables of one process"
            yield Diagnostic(
                "name-collision",
                f'task "{task.name}" has {first} and {what} called "{name[:80]}"',
                span,
                why,
                fix,
                related,
            )
        else:
            seen[name] = (what, place)


def _named(task: Task) -> Iterator[tuple[str, str, Place, bool]]:
    yield from ((i.name, "an in", i.place, i.keyed) for i in task.ins if i.name)
    yield from ((o.name, "an out", o.place, isinstance(o.place.route[-1], str)) for o in task.outs.values())
    for key, what in (("env", "an env variable"), ("secrets", "a secret")):
        setting = task.settings.get(key)
        if setting is not None and isinstance(setting.value, dict):
            yield from ((n, what, s.place, True) for n, s in setting.value.items() if isinstance(s, Setting))


def labels(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """Labels and the owner are labels of Kubernetes objects."""
    if pipeline.owner is not None:
        yield from label_value("the owner", str(pipeline.owner.value), pipeline.owner.place)
    for key, value in pipeline.labels.items():
        place = pipeline.place / "labels" / key
        yield from label(key, value, place)


def label(key: str, value: str, place: Place) -> Iterator[Diagnostic]:
    """A label's key and value, as Kubernetes has them, and not of a prefix that others own."""
    prefix, slash, name = key.rpartition("/")
    if not _LABEL_NAME.fullmatch(name) or (slash and not (_LABEL_PREFIX.fullmatch(prefix) and len(prefix) <= 253)):
        yield place.key_finding(
            "bad-label", f'"{key[:80]}" is not a label key', "[prefix/]name: letters, digits, - _ . and at most 63"
        )
    elif prefix.endswith(("mlgen.dev", "tekton.dev", "kubernetes.io", "k8s.io")):
        yield place.key_finding(
            "bad-label",
            f'the label "{key}" belongs to {prefix}',
            "its owner sets it",
            "use a prefix of your own, or none",
        )
    yield from label_value(f'the label "{key[:80]}"', value, place)


def label_value(what: str, value: str, place: Place) -> Iterator[Diagnostic]:
    if value and not _LABEL_NAME.fullmatch(value):
        why = "a label value has at most 63 letters, digits, - _ . and begins and ends with a letter or digit"
        yield place.finding(
            "bad-label", f'{what} has the value "{value[:80]}"', why, "put longer text into `description`"
        )
