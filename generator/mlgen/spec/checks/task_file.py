"""A reusable task file, checked by itself: what its callers give is checked where they give it."""

from __future__ import annotations

from collections.abc import Iterator

from mlgen.diagnostic import Diagnostic
from mlgen.spec.checks.arguments import param_parts
from mlgen.spec.checks.names import NODE, VARIABLE
from mlgen.spec.model import TaskFile


def check_task_file(file: TaskFile) -> Iterator[Diagnostic]:
    """Its name is its file's, its ins and outs have names and types of their own."""
    stem = file.path.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    if file.name is not None:
        if not NODE.fullmatch(file.name):
            yield (file.place / "name").finding("bad-name", f'"{file.name[:80]}" is not a name for a task')
        if file.name != stem:
            fix = f"write name: {stem}, or rename the file"
            yield (file.place / "name").finding(
                "name-mismatch", f'the task is called "{file.name[:80]}" and its file "{stem}"', fix=fix
            )
    places = {name: item.place for name, item in file.ins.items()} | {
        name: out.place for name, out in file.outs.items()
    }
    for name, place in places.items():
        if not VARIABLE.fullmatch(name) or name.endswith("_proxy"):
            yield place.key_finding(
                "bad-name", f'"{name[:80]}" is not a name for an in or out', "it becomes an environment variable"
            )
    for name in sorted(file.ins.keys() & file.outs.keys()):
        yield file.outs[name].place.key_finding(
            "name-collision", f'"{name}" is an in and an out', "both are environment variables", "rename one"
        )
    for item in file.ins.values():
        yield from param_parts(item)
