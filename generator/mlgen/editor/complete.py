"""What may be written at a cursor: keys, references, names, values, paths. Only what `check` would allow there."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from mlgen.editor import shapes, snippets
from mlgen.editor.cursor import Cursor, locate
from mlgen.editor.readable import Readable, awaitable, comparable, readable
from mlgen.editor.scene import Scene
from mlgen.editor.telling import task as told_task
from mlgen.registry.reference import IMAGE
from mlgen.reports.markdown import inline
from mlgen.spec.checks.names import NODE, VARIABLE
from mlgen.spec.model import Param, Task
from mlgen.spec.paths import TASKS, VENDOR, resolve, root_of, versioned
from mlgen.spec.reader import Route
from mlgen.spec.settings import POOL, RESOURCES, SETTINGS
from mlgen.spec.shape import Schema

MOST = 500  # answers: more are asked for again with more letters
_GATE_WORD = re.compile(r"[A-Za-z0-9_.-]*$")
_AFTER_OPERATOR = re.compile(r"([a-z][a-z0-9-]*\.[a-z0-9_]+)\s*(==|!=)\s*\"?[A-Za-z0-9_.-]*$")

Kind = Literal["key", "value", "reference", "task", "path", "word", "snippet"]


@dataclass(frozen=True, slots=True)
class Answer:
    """One thing that may be written instead of the columns [start, end) of a line; all count from 0.

    text: what is laid down; of a snippet with places to fill (${1:name}), indented for the first column. detail: a
    few words beside the label; told: Markdown. order: answers of a lower one are of more use here.
    """

    label: str
    text: str
    kind: Kind
    line: int
    start: int
    end: int
    detail: str = ""
    told: str = ""
    order: int = 0


def complete(scene: Scene, lines: list[str], line: int, column: int) -> list[Answer]:
    """The answers at a line and column, both from 0. lines: of the text as it is, broken or not."""
    cursor = locate(lines, line, column)
    if cursor.what == "text":
        return []
    found = _keys(scene, cursor) if cursor.what == "key" else _values(scene, cursor)
    wanted = cursor.typed.lower()
    kept = {answer.label: answer for answer in found if _fits(answer, wanted)}
    return sorted(kept.values(), key=lambda answer: (answer.order, answer.label))[:MOST]


def _fits(answer: Answer, typed: str) -> bool:
    """Whether what was typed is a part of an answer; editors filter once more, by their own rules."""
    label = answer.label.lower()
    parts = (label, *re.split(r"[ ._/-]", label))
    return answer.kind == "word" or any(part.startswith(typed) for part in parts)


def _answer(cursor: Cursor, label: str, kind: Kind, **more: Any) -> Answer:
    return Answer(label, more.pop("text", label), kind, cursor.line, cursor.start, cursor.end, **more)


def _keys(scene: Scene, cursor: Cursor) -> Iterator[Answer]:
    part = shapes.schema_at(scene.kind, cursor.route)
    if part is None:
        return
    there = _map(scene, cursor.route)
    task = _task(scene, cursor.route)
    if task is not None and cursor.route[2:] == ("in",):
        yield from _ins(cursor, task, there)
        return
    hidden = _hidden(there) if task is not None and len(cursor.route) == 2 else frozenset[str]()
    for key, value in part.get("properties", {}).items():
        if (key in there and key != cursor.typed) or key in hidden or not isinstance(value, dict):
            continue
        here = shapes.schema_at(scene.kind, (*cursor.route, key)) or {}
        needed = key in part.get("required", [])
        yield _answer(
            cursor, key, "key", text=_key_text(cursor, key, here), detail=here.get("title", ""),
            told=here.get("description", ""), order=0 if needed else 1,
        )  # fmt: skip
    if not cursor.flow and not cursor.colon:
        for snippet in part.get("defaultSnippets", []):
            text, told = snippets.text(snippet["body"]), snippet["description"]
            yield _answer(cursor, snippet["label"], "snippet", text=text, detail=told, order=2)


def _key_text(cursor: Cursor, key: str, part: Schema) -> str:
    if cursor.colon:
        return key
    kinds = part.get("type")
    return f"{key}:" if kinds == "object" and not cursor.flow else f"{key}: "


def _hidden(there: dict[str, Any]) -> frozenset[str]:
    """The keys that do not go with those that a task has already."""
    if "use" in there:
        return frozenset({"run", "out", *SETTINGS} - set(RESOURCES))
    return frozenset({"use"}) if "run" in there or "out" in there else frozenset()


def _ins(cursor: Cursor, task: Task, there: dict[str, Any]) -> Iterator[Answer]:
    """The ins of a task file that its caller does not give yet."""
    for name, param in task.file.ins.items() if task.file else ():
        if VARIABLE.fullmatch(name) and (name not in there or name == cursor.typed):
            told = inline(param.description)
            yield _answer(
                cursor, name, "key", text=name if cursor.colon else f"{name}: ", detail=str(param.type or ""), told=told
            )


def _values(scene: Scene, cursor: Cursor) -> Iterable[Answer]:
    task = _task(scene, cursor.route)
    match cursor.route[2:]:
        case ("in", _) if task is not None:
            return _references(scene, cursor, task)
        case ("after", _) if task is not None and not task.final:
            return _after(scene, cursor, task)
        case ("if",) if task is not None:
            return _gate(scene, cursor, task)
    if not cursor.flow and isinstance(cursor.route[-1], int):
        part = shapes.schema_at(scene.kind, cursor.route) or {}
        if part.get("properties"):  # an item that is a map begins with a key
            return _keys(scene, cursor)
    name = cursor if isinstance(cursor.route[-1], str) else replace(cursor, route=cursor.route[:-1])
    return list(_named(scene, name)) or _plain(scene, cursor)  # examples are for where nothing better is known


def _references(scene: Scene, cursor: Cursor, task: Task) -> Iterator[Answer]:
    assert scene.pipeline is not None
    name = cursor.route[-1]
    wanted = task.file.ins.get(str(name)) if task.file and isinstance(name, str) else None
    listed = isinstance(name, int)
    taken = {entry.name for entry in task.ins} | set(task.outs) if listed else set()
    taken |= {item.rpartition(".")[2] for item in cursor.items}
    found = readable(scene.pipeline, task.name, final=task.final, wanted=wanted)
    for one in found:
        if one.text.rpartition(".")[2] in taken and one.text != cursor.typed:
            continue  # in a list the last part is a variable's name, and is there already
        yield _reference(cursor, one)


def _reference(cursor: Cursor, one: Readable) -> Answer:
    order = {"params": 1, "inputs": 2}.get(one.text.partition(".")[0], 0)
    return _answer(cursor, one.text, "reference", detail=str(one.type or ""), told=one.told, order=order)


def _after(scene: Scene, cursor: Cursor, task: Task) -> Iterator[Answer]:
    assert scene.pipeline is not None
    there = {str(setting.value) for setting in task.after} - {cursor.typed} | set(cursor.items)
    read = {getattr(entry.source, "owner", None) for entry in task.ins}  # where data flows, `after` says nothing new
    for one in awaitable(scene.pipeline, task.name):
        if one.name not in there and one.name not in read:
            yield _answer(cursor, one.name, "task", told=told_task(one))


def _gate(scene: Scene, cursor: Cursor, task: Task) -> Iterator[Answer]:
    assert scene.pipeline is not None
    match = _GATE_WORD.search(cursor.typed)
    word = match[0] if match else ""
    before = cursor.typed[: len(cursor.typed) - len(word)]
    here = replace(cursor, start=cursor.start + len(before), end=cursor.start + len(cursor.typed), typed=word)
    compared = _AFTER_OPERATOR.search(cursor.typed)
    if compared:
        param = _param_of(scene, compared[1])
        open_quote = before.endswith('"')
        for choice in param.choices if param else ():
            text = choice if open_quote else json.dumps(choice, ensure_ascii=False)
            yield _answer(here, text, "word", order=-1)
    if before.count('"') % 2 == 0:
        for one in comparable(scene.pipeline, task.name, final=task.final):
            if one.text.startswith(word) or not word:
                yield replace(_reference(here, one), kind="word")


def _param_of(scene: Scene, ref: str) -> Param | None:
    owner, _, name = ref.partition(".")
    return scene.pipeline.params.get(name) if scene.pipeline and owner == "params" else None


def _named(scene: Scene, cursor: Cursor) -> Iterator[Answer]:
    """Values that are names of something: pools, images, files."""
    match cursor.route[-1] if cursor.route else None:
        case "gpu" if scene.kind in ("pipeline", "task"):
            pools = dict.fromkeys(name for e in scene.around.project.environments for name, _ in e.gpus)
            for pool in filter(POOL.fullmatch, pools):
                yield _answer(cursor, f"{pool}:1", "value", detail="GPU pool of mlgen.yaml")
        case "image":
            for image, digest in scene.around.lock.items():
                if IMAGE.fullmatch(image):
                    yield _answer(cursor, image, "value", detail="in mlgen.lock", told=inline(digest))
        case "use":
            yield from _versions(scene, cursor)
            yield from _paths(scene, cursor, (".yaml",))
        case "code":
            yield from _paths(scene, cursor, ())
        case "uri":
            yield from _paths(scene, cursor, None)
        case _ if scene.kind == "pipeline" and cursor.route[:1] == ("inputs",) and len(cursor.route) == 2:
            yield from _paths(scene, cursor, None)


def _versions(scene: Scene, cursor: Cursor) -> Iterator[Answer]:
    """The tasks that have a version: of this repository, and of others what is here."""
    root = root_of(scene.file)
    sources = [] if root else sorted(scene.around.project.sources)
    for source in ["", *sources]:
        folder = f"{VENDOR}/{source}/{TASKS}" if source else f"{root}/{TASKS}".lstrip("/")
        for file in scene.around.files.beside(f"{folder}/"):
            name, version = versioned(file)
            if version is not None and NODE.fullmatch(name) and file.endswith(".yaml"):
                use = f"{source}/{name}@{version}" if source else f"{name}@{version}"
                known = scene.around.task_file(f"{folder}/{file}")
                told = inline(known.description) if known and known.description else ""
                yield _answer(cursor, use, "path", told=told, order=-1)


def _paths(scene: Scene, cursor: Cursor, endings: tuple[str, ...] | None) -> Iterator[Answer]:
    """Files and folders of the repository. endings: of the files that are meant; None: any file."""
    folder = cursor.typed.rpartition("/")[0]
    try:
        base = resolve(f"{folder or '.'}/x" if folder else "x", scene.file)
    except ValueError:
        return
    if base.startswith(".."):
        return
    for name in scene.around.files.beside(base):
        if not name.isprintable():  # a path that a spec cannot name
            continue
        kind = scene.around.files.kind(posixpath.join(posixpath.dirname(base), name))
        if kind == "folder":
            yield _answer(cursor, posixpath.join(folder, name) + "/", "path", order=1)
        elif kind == "file" and (endings is None or name.endswith(endings)) and endings != ():
            yield _answer(cursor, posixpath.join(folder, name), "path")


def _plain(scene: Scene, cursor: Cursor) -> Iterator[Answer]:
    """Values that the schema lists, or shows as examples."""
    part = shapes.schema_at(scene.kind, cursor.route)
    if part is None:
        return
    kinds = part.get("type", [])
    if "enum" in part:
        for value, told in zip(part["enum"], part["enumDescriptions"], strict=True):
            yield _answer(cursor, value, "value", detail=told)
        return
    if "const" in part:
        yield _answer(cursor, str(part["const"]), "value")
    if "boolean" in kinds and ("default" in part or kinds == "boolean"):
        yield from (_answer(cursor, word, "value") for word in ("true", "false"))
    for value in shapes.examples(part):
        if not isinstance(value, bool) and isinstance(value, str | int | float) and " " not in str(value):
            said = "default" if value == part.get("default") else "example"
            yield _answer(cursor, str(value), "value", detail=said, order=3)
    if not cursor.flow:
        for snippet in part.get("defaultSnippets", []):
            if isinstance(snippet["body"], str):
                text = snippets.text(snippet["body"])
                yield _answer(cursor, snippet["label"], "snippet", text=text, detail=snippet["description"], order=2)


def _map(scene: Scene, route: Route) -> dict[str, Any]:
    value: Any = scene.document.data
    for step in route:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return {}
    return value if isinstance(value, dict) else {}


def _task(scene: Scene, route: Route) -> Task | None:
    """The task that a route lies in: one with nothing in it where it cannot be read yet."""
    if scene.pipeline is None or len(route) < 2 or route[0] not in ("tasks", "finally"):
        return None
    final, name = route[0] == "finally", str(route[1])
    tasks = scene.pipeline.finally_tasks if final else scene.pipeline.tasks
    return tasks.get(name) or Task(name, scene.pipeline.place / str(route[0]) / name, final)
