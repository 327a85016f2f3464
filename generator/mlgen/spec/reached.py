"""The paths that a spec or task file names, read without a look at what it means: also where it has errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mlgen.spec.checks.arguments import is_remote, split_digest
from mlgen.spec.document import Document
from mlgen.spec.paths import resolve, resolve_use


def holders(document: Document) -> Iterator[dict[str, object]]:
    """The maps of a spec or task file that may have a task's keys."""
    top = document.data if isinstance(document.data, dict) else {}
    found: list[object] = [top, top.get("defaults")]
    for section in ("tasks", "finally"):
        tasks = top.get(section)
        found += tasks.values() if isinstance(tasks, dict) else []
    yield from (holder for holder in found if isinstance(holder, dict))


def paths_named(document: Document) -> Iterator[tuple[str, bool]]:
    """The paths that a spec or task file names, below the project's folder, and whether each is an input's."""
    for holder in holders(document):
        yield from ((_path(t, document), False) for t in texts(holder.get("code")))
        yield from ((_path(t, document, resolve_use), False) for t in texts(holder.get("use")))
    top = document.data if isinstance(document.data, dict) else {}
    inputs = top.get("inputs")
    for given in inputs.values() if isinstance(inputs, dict) else []:
        for text in texts(given.get("uri") if isinstance(given, dict) else given):
            if not is_remote(text):
                yield _path(split_digest(text)[0], document), True


def _path(text: str, document: Document, resolve: Callable[[str, str], str] = resolve) -> str:
    try:
        return resolve(text, document.file)
    except ValueError:  # `check` tells it
        return ".."


def texts(value: object) -> list[str]:
    return (
        [value]
        if isinstance(value, str)
        else [v for v in value if isinstance(v, str)]
        if isinstance(value, list)
        else []
    )
