"""Paths that specs name, and the task files among them."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from mlgen.spec.document import Document
from mlgen.spec.model import Place


def resolve(path: str, naming_file: str) -> str:
    """A path of a spec, below the project's folder: `./` and `../` start at the file that names it.

    A result that begins with ".." leaves the project's folder. Raises ValueError for one that is no relative path.
    """
    if not path or path.startswith("/") or "\\" in path or not path.isprintable() or "//" in path:
        raise ValueError(f'"{path[:80]}" is not a relative path with forward slashes')
    base = posixpath.dirname(naming_file) if path.startswith(("./", "../")) or path in (".", "..") else ""
    return posixpath.normpath(posixpath.join(base, path))


def uses(document: Document) -> Iterator[tuple[str, Place]]:
    """The task files a spec names: (path below the project's folder, place), each as often as it is named."""
    top = document.data if isinstance(document.data, dict) else {}
    for section in ("tasks", "finally"):
        tasks = top.get(section)
        for name, task in tasks.items() if isinstance(tasks, dict) else ():
            used = task.get("use") if isinstance(task, dict) else None
            if isinstance(used, str):
                try:
                    yield resolve(used, document.file), Place(document, (section, name, "use"))
                except ValueError:
                    continue  # `check` tells it
