"""What pods, Tekton and Kubernetes would refuse later, and more quietly."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mlgen.diagnostic import Diagnostic, Span
from mlgen.gates import Literal as GateLiteral
from mlgen.gates import operands
from mlgen.spec.checks.context import Context, listed, near
from mlgen.spec.model import In, Literal, Pipeline, Place, Setting, Task
from mlgen.spec.settings import IMAGE, GpuAsk

MAX_SCRIPT_BYTES = 96 * 1024  # Tekton hands all scripts of a task to one container as one argument (design §5)

# What Tekton replaces in scripts, arguments, variables and params (tektoncd/pipeline docs/variables.md).
TEKTON = re.compile(
    r"\$\((?:params|context|tasks|results|workspaces|steps?|finally|inputs|outputs|artifacts|credentials)[.\[]"
)


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
                why = "the tag may mean another image tomorrow; a digest never does"
                fix = "write name@sha256:…, or a line in mlgen.lock under `images`"
                yield setting.place.finding("unpinned-image", f'"{setting.value}" is not pinned', why, fix)


def scripts(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """A script fits into a pod."""
    for task in pipeline.all_tasks:
        if task.step and task.step.script is not None:
            size = len(task.step.script.encode())
            if size > MAX_SCRIPT_BYTES:
                why = "Tekton hands the scripts of a task to its pod as one argument, which the kernel limits"
                yield task.step.place.key_finding(
                    "script-too-large",
                    f'the script of "{task.name}" has {size:,} bytes, {MAX_SCRIPT_BYTES:,} are allowed',
                    why,
                    "put the program into a file of a `code` folder",
                )


def tekton_variables(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """No author's text holds what Tekton would replace: it would mean one thing here and another in a pod."""
    why = "Tekton replaces this text in a pod, before the shell sees it; the local engine does not"
    for place, text in _texts(pipeline):
        match = TEKTON.search(text)
        if match:
            fix = 'ins and outs are variables: "$name". To write the text itself, split it: "$""(params."'
            yield Diagnostic(
                "tekton-variable",
                f"{text[match.start() : match.end() + 20].split(chr(10))[0]!r} is a variable of Tekton",
                _line(place, text, match.start()),
                why,
                fix,
            )


def _texts(pipeline: Pipeline) -> Iterator[tuple[Place, str]]:
    for param in pipeline.params.values():
        yield from ((param.place, text) for text in (param.default,) if text)
    for item in pipeline.inputs.values():
        yield from ((item.place, text) for text in (item.uri,) if text)
    for task in pipeline.all_tasks:
        yield from _task_texts(task)


def _task_texts(task: Task) -> Iterator[tuple[Place, str]]:
    if task.step:
        if task.step.script is not None:
            yield task.step.place, task.step.script
        yield from ((task.step.place / i, text) for i, text in enumerate(task.step.args or ()))
    env = task.settings.get("env")
    if env and isinstance(env.value, dict):
        yield from ((s.place, str(s.value)) for s in env.value.values() if isinstance(s, Setting))
    for item in task.ins:
        if isinstance(item, In) and isinstance(item.source, Literal):
            yield item.place, item.source.text
    if task.gate and task.gate.gate:
        for operand in operands(task.gate.gate):
            if isinstance(operand, GateLiteral) and isinstance(operand.value, str):
                yield task.gate.place, operand.value


def _line(place: Place, text: str, offset: int) -> Span:
    """The line of a block scalar that an offset of its text falls into; else the whole value."""
    span = place.span
    line = span.line + 1 + text.count("\n", 0, offset)
    if span.end_line > span.line and line < span.end_line:
        length = len(place.document.lines[line - 1])
        source = place.document.lines[line - 1]
        start = len(source) - len(source.lstrip()) + 1
        return Span(span.file, line, start, line, length + 1)
    return span
