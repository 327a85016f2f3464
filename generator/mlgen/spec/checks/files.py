"""Paths: code folders and task files are in the repository, and no folder covers another."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from mlgen.diagnostic import Diagnostic, Related
from mlgen.spec.checks.arguments import RELATIVE, STARTS, left_repository
from mlgen.spec.checks.context import Context, listed, near
from mlgen.spec.checks.nearby import as_written
from mlgen.spec.model import Pipeline, Place, Task
from mlgen.spec.paths import Escape, named, resolve, resolve_use, versioned

_LIBRARY = re.compile(r"[A-Za-z0-9._-]+@[A-Za-z0-9._-]+")  # a task by name and version


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
    parents: dict[str, str] = {}  # a folder that a file needs -> such a file
    for written, place in folders:
        path, finding = _folder(written, place, context)
        if finding:
            yield finding
            continue
        try:
            listing = context.files.listing(path)
        except ValueError as error:
            why = "code is files of this repository: what a link or another repository holds is not reviewed here"
            yield place.finding("path-escape", str(error), why, "put the files themselves into the folder")
            continue
        clash = next(((name, old) for name in listing if (old := _clash(name, files, parents))), None)
        if clash:
            name, old = clash
            first, where = files[old]
            message = f'"{first}/{old}" and "{path}/{name}" cannot lie in one folder'
            why = "the contents of all code folders are laid into one working directory"
            fix = "rename one of the files, or give the task only one of the folders"
            yield place.finding("code-collision", message, why, fix, (Related("the other folder", where.span),))
            continue
        for name in listing:
            files.setdefault(name, (path, place))
            parents.update((parent, name) for parent in _parents(name))


def _clash(name: str, files: Mapping[str, object], parents: Mapping[str, str]) -> str | None:
    """The file that is where another one, or its folder, is wanted."""
    if name in files:
        return name
    return parents.get(name) or next((parent for parent in _parents(name) if parent in files), None)


def _parents(name: str) -> Iterator[str]:
    parts = name.split("/")
    return ("/".join(parts[:length]) for length in range(1, len(parts)))


def _folder(written: str, place: Place, context: Context) -> tuple[str, Diagnostic | None]:
    """A folder of the repository, by its path below the project's folder; or why it cannot be one."""
    try:
        path = resolve(written, place.document.file)
    except ValueError as error:
        return "", unresolved(error, place)
    match context.files.kind(path):
        case "folder":
            return path, None
        case "escape":
            return path, left_repository(written, place)
        case kind:
            if kind:
                message, why = (
                    f'"{path[:80]}" is a file',
                    "code is a folder, whose contents become the working directory",
                )
                folder = path.rpartition("/")[0]
                fix = f"write the folder that it is in, {folder}" if folder else "move it into a folder, and write that"
            else:
                message, why = f'there is no folder "{path[:80]}"', STARTS
                guess = as_written(written, place.document.file, context.files, "folder")
                fix = f"write {guess}" if guess else "make the folder, or write the path of one"
            return path, place.finding("no-such-path", message, why, fix)


def task_files(pipeline: Pipeline, context: Context) -> Iterator[Diagnostic]:
    """What `use` names is a task file or a pipeline of the repository, in a version that is there."""
    for task in pipeline.all_tasks:
        if task.use is not None:
            yield from _use(str(task.use.value), task.use.place, context)


def _use(written: str, place: Place, context: Context) -> Iterator[Diagnostic]:
    if named(written):
        yield from _version(written, place, context)
        return
    if _LIBRARY.fullmatch(written):
        why = "a version is a whole number: within one, nothing changes that its callers would notice"
        fix = f"write {written.partition('@')[0]}@1, or the path of a task file, such as ./tasks/register.yaml"
        yield place.finding("version-not-yet", f'"{written[:80]}" is no name and version', why, fix)
        return
    try:
        path = resolve(written, place.document.file)
    except ValueError as error:
        yield unresolved(error, place)
        return
    kind = context.files.kind(path)
    if kind == "escape":
        yield left_repository(written, place)
    elif kind != "file":
        message = f'"{path[:80]}" is a folder' if kind else f'there is no task file "{path[:80]}"'
        guess = as_written(written, place.document.file, context.files, "file")
        fix = f"write {guess}" if guess else "write the path of a task file, such as ./tasks/register.yaml"
        yield place.finding("no-such-path", message, STARTS, fix)


def _version(written: str, place: Place, context: Context) -> Iterator[Diagnostic]:
    """The finding of a name and version that is not there."""
    try:
        path = resolve_use(written, place.document.file)
    except ValueError as error:
        yield unresolved(error, place)
        return
    wanted = named(written)
    assert wanted is not None
    if wanted.source and wanted.source not in context.sources:
        known = sorted(context.sources)
        guess = near(wanted.source, known)
        fix = (f"write {guess}/{wanted.name}@{wanted.version}, or " if guess else "") + (
            f'add it: sources: {{{wanted.source}: {{url: "https://…", ref: main}}}}'
        )
        message = f'mlgen.yaml has no source "{wanted.source}"'
        yield place.finding("unknown-source", message, f"the sources are: {listed(known)}", fix)
        return
    match context.files.kind(path):
        case "file":
            return
        case "escape":
            yield left_repository(path, place)
        case _ if wanted.source:
            message = f"{wanted} is not in this repository"
            why = f"what is used of {wanted.source} is kept in {path}, so that it is reviewed here"
            yield place.finding("source-not-locked", message, why, "mlgen lock fetches it")
        case _:
            others = sorted(set(_versions(path, context)), key=lambda v: abs(v - wanted.version))
            message = f"there is no {wanted}"
            fix = f"write {wanted.name}@{others[0]}" if others else _other_name(wanted.name, path, context)
            yield place.finding("no-such-path", message, f"it would be the file {path}", fix)


def _versions(path: str, context: Context) -> Iterator[int]:
    """The versions that there are of a name."""
    name = versioned(path)[0]
    for other in context.files.beside(path):
        stem, version = versioned(other)
        if stem == name and version is not None:
            yield version


def _other_name(name: str, path: str, context: Context) -> str:
    there = {versioned(other) for other in context.files.beside(path) if other.endswith(".yaml")}
    guess = near(name, {stem for stem, version in there if version is not None})
    if guess is None:
        return f"make {path}, or write the path of a task file"
    return f"write {guess}@{max(version for stem, version in there if stem == guess and version is not None)}"


def unresolved(error: ValueError, place: Place) -> Diagnostic:
    """The finding for a path that is none."""
    if isinstance(error, Escape):
        why = "what another repository brings along is read from its own folder only"
        return place.finding("path-escape", str(error), why, "let it name files of its own repository")
    return place.finding("no-such-path", str(error), STARTS, RELATIVE)
