"""What pods, Tekton and Kubernetes would refuse later, and more quietly."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from mlgen.diagnostic import Diagnostic
from mlgen.registry.reference import IMAGE
from mlgen.spec.checks.context import Context, listed, near
from mlgen.spec.model import Literal, Pipeline, Place, Setting, Task
from mlgen.spec.settings import GpuAsk

MOST_OF_A_TEXT = 10  # findings: the place of each is sought from the text's beginning
MAX_SCRIPT_BYTES = 96 * 1024  # Tekton hands all scripts of a task to one container as one argument (design §5)

# What Tekton replaces in scripts, arguments, variables and params (tektoncd/pipeline docs/variables.md).
TEKTON = re.compile(
    r"\$\((?:params|context|tasks|results|workspaces|steps?|finally|inputs|outputs|artifacts|credentials)[.\[]"
)


# The program of a script's first line: the last part of its path, or what `env` is to look for.
SHEBANG = re.compile(r"#![ \t]*(?:\S*/env[ \t]+(?:-\S+[ \t]+)*)?(?:\S*/)?(?P<interpreter>[^\s/]+)")
SHELLS = ("sh", "dash", "ash")


def pools(pipeline: Pipeline, context: Context) -> Iterator[Diagnostic]:
    """A GPU pool is one that some environment has."""
    known = sorted({name for environment in context.project.environments for name, _ in environment.gpus})
    for task in pipeline.all_tasks:
        setting = task.settings.get("gpu")
        if setting and isinstance(setting.value, GpuAsk) and setting.value.pool not in known:
            pool = setting.value.pool
            guess = near(pool, known)
            why = f"mlgen.yaml has the pools: {listed(known)}; a GPU without a pool asks for the one called default"
            fix = (
                f"write {guess}:{setting.value.count}"
                if guess
                else f"add the pool under `gpus` of an environment in mlgen.yaml: {pool}: {{resource: nvidia.com/gpu}}"
            )
            yield setting.place.finding("unknown-pool", f'no environment has a GPU pool "{pool}"', why, fix)


def images(pipeline: Pipeline, context: Context) -> Iterator[Diagnostic]:
    """A tag can move: mlgen.lock pins it."""
    for task in pipeline.all_tasks:
        setting = task.settings.get("image")
        if setting and isinstance(setting.value, str):
            match = IMAGE.fullmatch(setting.value)
            if match and not match["digest"] and setting.value not in context.lock:
                yield unpinned(setting.place)


def unpinned(place: Place, then: str = "") -> Diagnostic:
    """The finding of an image by a tag that no lock has. then: what is to be done after `mlgen lock`."""
    why = "the tag may mean another image tomorrow; a digest never does"
    fix = f"`mlgen lock` pins it in mlgen.lock{then}; or write name@sha256:…"
    return place.finding("unpinned-image", f'"{place.value}" is not pinned', why, fix)


def scripts(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """A script fits into a pod."""
    for task in pipeline.all_tasks:
        if task.file is None and task.step and task.step.script is not None:
            size = len(task.step.script.encode())
            if size > MAX_SCRIPT_BYTES:
                why = "Tekton hands the scripts of a task to its pod as one argument, which the kernel limits"
                yield task.step.place.key_finding(
                    "script-too-large",
                    f'the script of "{task.name}" has {size:,} bytes, {MAX_SCRIPT_BYTES:,} are allowed',
                    why,
                    "put the program into a file of a `code` folder",
                )


def shebangs(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """A script runs in `sh -e`, whatever its first line says."""
    for task in pipeline.all_tasks:
        if task.file is None and task.step and task.step.script is not None:
            match = SHEBANG.match(task.step.script)
            if match and match["interpreter"] not in SHELLS:
                interpreter = match["interpreter"][:40]
                message = f'the script of "{task.name}" is run by sh, not by {interpreter}'
                why = "a text is a script for `sh -e`, to which its first line is a comment"
                fix = f"put it into a file of a `code` folder and write run: [{interpreter}, FILE]"
                place = task.step.place.inner(0, match.end())
                yield Diagnostic("shebang", message, place, why, fix)


def tekton_variables(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """No author's text holds what Tekton would replace: it would mean one thing here and another in a pod."""
    why = "Tekton replaces this text in a pod, before the shell sees it; the local engine does not"
    fix = 'ins and outs are variables: "$name". To write the text itself, split it: "$""(params."'
    for place, text in _texts(pipeline):
        for match in islice(TEKTON.finditer(text), MOST_OF_A_TEXT):
            shown = text[match.start() : match.start() + 40].splitlines()[0].partition(")")
            message = f"{shown[0]}{shown[1]} is a variable of Tekton"
            # A list or map is a text only in JSON, whose offsets say nothing of the file.
            whole = not isinstance(place.value, str)
            span = place.span if whole else place.inner(match.start(), match.start() + len(shown[0] + shown[1]))
            yield Diagnostic("tekton-variable", message, span, why, fix)


def _texts(pipeline: Pipeline) -> Iterator[tuple[Place, str]]:
    for param in pipeline.params.values():
        if param.default:
            yield _long(param.place, "default"), param.default
    for item in pipeline.inputs.values():
        if item.uri:
            yield _long(item.place, "uri"), item.uri
    for schedule in pipeline.schedules:
        yield from ((given.place, given.text) for given in schedule.params if given.text)
    for trigger in pipeline.triggers:
        yield from ((given.place, given.text) for given in trigger.params if given.text)
    for task in pipeline.all_tasks:
        yield from _task_texts(task)


def _task_texts(task: Task) -> Iterator[tuple[Place, str]]:
    if task.step and task.step.script is not None:
        yield task.step.place, task.step.script
    if task.step:
        yield from ((task.step.place / i, text) for i, text in enumerate(task.step.args or ()))
    env = task.settings.get("env")
    if env and isinstance(env.value, dict):
        yield from ((s.place, str(s.value)) for s in env.value.values() if isinstance(s, Setting))
    for axis in task.fan.axes if task.fan else ():
        listed_texts = axis.values if isinstance(axis.values, tuple) else ()
        yield from ((axis.place, text) for text in listed_texts if TEKTON.search(text))
    for item in task.ins:
        if isinstance(item.source, Literal):
            yield _long(item.place, "value"), item.source.text
    if task.gate and TEKTON.search(task.gate.text):
        yield task.gate.place, task.gate.text


def _long(place: Place, key: str) -> Place:
    """The part of a value's long form; the value itself where it is plain."""
    return place / key if isinstance(place.value, dict) else place
