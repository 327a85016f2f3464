"""Paths: code folders are in the repository and do not cover each other."""

from __future__ import annotations

from collections.abc import Iterator

from mlgen.diagnostic import Diagnostic, Related
from mlgen.spec.build import resolve
from mlgen.spec.checks.context import Context
from mlgen.spec.model import Pipeline, Place, Task


def code_folders(task: Task) -> list[tuple[str, Place]]:
    """A task's code folders as written, with their places; paths start at the file that names them."""
    setting = task.settings.get("code")
    return list(setting.value) if setting and isinstance(setting.value, tuple) else []


def code(pipeline: Pipeline, context: Context) -> Iterator[Diagnostic]:
    """Every code folder is there; no two of one task have a file at one path."""
    seen = set()
    for task in pipeline.all_tasks:
        folders = code_folders(task)
        key = tuple(place.span for _, place in folders)
        if folders and key not in seen:  # the folders of `defaults` are those of many tasks
            seen.add(key)
            yield from _folders(folders, context)


def _folders(folders: list[tuple[str, Place]], context: Context) -> Iterator[Diagnostic]:
    files: dict[str, tuple[str, Place]] = {}
    for written, place in folders:
        try:
            path = resolve(written, place.document.file)
        except ValueError as error:
            yield place.finding("no-such-path", str(error))
            continue
        finding = path_finding(written, path, place, context)
        if finding:
            yield finding
            continue
        try:
            listing = context.files.listing(path)
        except ValueError as error:
            why = "code is regular files: a link may lead anywhere, and cannot be packed"
            yield place.finding("path-escape", str(error), why, "replace the link by the file")
            continue
        for name in listing:
            clash = _clash(name, files)
            if clash is None:
                files[name] = (path, place)
                continue
            first, where = files[clash]
            why = "the contents of all code folders are laid into one working directory"
            yield place.finding(
                "code-collision",
                f'"{first}/{clash}" and "{path}/{name}" would be one file',
                why,
                "rename one of the files, or give the tasks different code",
                (Related("the first folder", where.span),),
            )
            break


def _clash(name: str, files: dict[str, tuple[str, Place]]) -> str | None:
    if name in files:
        return name
    parts = name.split("/")
    parents = ("/".join(parts[:i]) for i in range(1, len(parts)))
    return next((parent for parent in parents if parent in files), None)


def path_finding(written: str, path: str, place: Place, context: Context) -> Diagnostic | None:
    """Why a path of a spec cannot be a folder of the repository, or None."""
    kind = "escape" if path.startswith("..") else context.files.kind(path)
    if kind == "escape":
        why = "a spec reads only what is reviewed with it"
        return place.finding(
            "path-escape", f'"{written[:80]}" leaves the repository', why, "move the folder into the repository"
        )
    if kind != "folder":
        message = f'"{path[:80]}" is a file' if kind == "file" else f'there is no folder "{path[:80]}"'
        why = "code is a folder, or a list of folders, whose contents are laid into the working directory"
        return place.finding("no-such-path", message, why, "paths without ./ start at the folder of mlgen.yaml")
    return None
