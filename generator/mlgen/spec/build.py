"""Document → Pipeline: every scalar read to its type, every reference split; meaning is checked later.

What the schema refuses is passed over here without a word: it was told with the shape.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from mlgen.canonical import Json
from mlgen.diagnostic import Diagnostic
from mlgen.gates import GateError, parse_gate
from mlgen.spec.document import Document
from mlgen.spec.doubt import Doubt
from mlgen.spec.fans import read_fan
from mlgen.spec.model import (
    GateText,
    In,
    Input,
    Literal,
    Out,
    Param,
    Pipeline,
    Place,
    Ref,
    Setting,
    Step,
    Task,
    TaskFile,
)
from mlgen.spec.paths import resolve_use
from mlgen.spec.reader import Route
from mlgen.spec.schedules import read_schedules
from mlgen.spec.settings import SETTINGS, read_settings
from mlgen.spec.shape_fixes import as_range, span
from mlgen.spec.triggers import read_triggers
from mlgen.values import PARAM_TYPES, Type, to_text, type_of

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# Wider than names may be: a name that is not allowed is told where it is given, and may be referred to.
_REF = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*)\.([A-Za-z_][A-Za-z0-9_-]*)")
PIPELINE_KEYS = (
    "version",
    "name",
    "description",
    "owner",
    "labels",
    "params",
    "inputs",
    "defaults",
    "tasks",
    "finally",
    "outs",
    "schedule",
    "on",
)
TASK_KEYS = ("run", "use", "in", "out", "if", "after", "sweep", "for", "pick", "parallel", "failures", *SETTINGS)
TASK_FILE_KEYS = ("version", "kind", "name", "description", "in", "out", "run", *SETTINGS)
MAX_BYTES = 128  # of a string or json out's text, unless `max` says more (design §5)

Data = dict[str, object]


def _map(value: object) -> Data:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def build(
    document: Document, task_files: Mapping[str, TaskFile], bad: Collection[Route] = ()
) -> tuple[Pipeline, list[Diagnostic]]:
    """The pipeline of a document and what could not be read in it.

    task_files: by path below the project's folder. bad: routes that the document's shape refuses.
    """
    builder = _Builder(document, task_files, Doubt(document, bad), [])
    return builder.pipeline(), builder.found


def build_task_file(document: Document, bad: Collection[Route] = ()) -> tuple[TaskFile, list[Diagnostic]]:
    """The reusable task of a document and what could not be read in it. bad: as for `build`."""
    builder = _Builder(document, {}, Doubt(document, bad), [])
    top, place = _map(document.data), Place(document, ())
    found = TaskFile(
        path=document.file,
        place=place,
        name=_text(top.get("name")),
        ins={n: builder.param(n, v, place / "in" / n, artifact=True) for n, v in _map(top.get("in")).items()},
        outs={o.name: o for o in builder.outs(top.get("out"), place / "out")},
        step=builder.step(top.get("run"), place / "run"),
        settings=read_settings(top, place, builder.found),
        outs_known=builder.doubt.knows((), "out", TASK_FILE_KEYS),
        description=_text(top.get("description")) or "",
    )
    return found, builder.found


@dataclass
class _Builder:
    document: Document
    task_files: Mapping[str, TaskFile]
    doubt: Doubt
    found: list[Diagnostic]

    def pipeline(self) -> Pipeline:
        top, place = _map(self.document.data), Place(self.document, ())
        defaults = read_settings(_map(top.get("defaults")), place / "defaults", self.found)
        owner = _text(top.get("owner"))
        return Pipeline(
            path=self.document.file,
            place=place,
            name=_text(top.get("name")),
            description=_text(top.get("description")) or "",
            owner=None if owner is None else Setting(owner, place / "owner"),
            labels={k: v for k, v in _map(top.get("labels")).items() if isinstance(v, str)},
            params={n: self.param(n, v, place / "params" / n) for n, v in _map(top.get("params")).items()},
            inputs={n: self.input(n, v, place / "inputs" / n) for n, v in _map(top.get("inputs")).items()},
            tasks={n: self.task(n, t, place / "tasks" / n, defaults) for n, t in _map(top.get("tasks")).items()},
            finally_tasks={
                n: self.task(n, t, place / "finally" / n, defaults, final=True)
                for n, t in _map(top.get("finally")).items()
            },
            known=frozenset(key for key in ("params", "inputs", "tasks") if self.doubt.knows((), key, PIPELINE_KEYS)),
            outs=tuple(self.ins(top.get("outs"), place / "outs")),
            schedules=tuple(read_schedules(top.get("schedule"), place / "schedule", self.scalar, self.found)),
            triggers=tuple(read_triggers(top.get("on"), place / "on", self.scalar, self.found)),
        )

    def tell(self, place: Place, code: str, message: str, why: str = "", fix: str = "") -> None:
        self.found.append(place.finding(code, message, why, fix))

    def scalar(self, value: object, place: Place) -> str | None:
        """The text of a plain value; numbers keep the text of the file. None where it has none."""
        if isinstance(value, bool | list | dict):
            return to_text(value)
        if isinstance(value, int | float):
            return self.document.text(place.route)
        return _text(value)

    def param(self, name: str, value: object, place: Place, *, artifact: bool = False) -> Param:
        """A param of a spec, or (artifact: it may be bytes too) an in of a task file."""
        if not isinstance(value, dict):
            if artifact or value is None:
                return Param(name, place, None)
            return Param(name, place, type_of(_json(value)), self.scalar(value, place))
        choices = value.get("choices")
        kind = self.type(value.get("type"), tuple(Type) if artifact else PARAM_TYPES)
        if kind is None and "type" not in value:
            kind = self.type_of_choices(choices, value.get("default"))
        return Param(
            name,
            place,
            kind,
            self.scalar(value.get("default"), place / "default"),
            tuple(self.scalar(c, place / "choices" / i) or "" for i, c in enumerate(_plain(choices))),
            self.number(value.get("minimum")),
            self.number(value.get("maximum")),
            _text(value.get("description")) or "",
            value.get("optional") is True,
        )

    def number(self, value: object) -> float | None:
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def type(self, value: object, allowed: tuple[Type, ...]) -> Type | None:
        return Type(value) if isinstance(value, str) and value in allowed else None

    def type_of_choices(self, choices: object, default: object) -> Type | None:
        """The type that choices share, or a default alone has; None where they disagree (`check` tells it)."""
        values = _plain(choices) or ([] if default is None else [default])
        kinds = {type_of(_json(v)) for v in values}
        if kinds == {Type.INTEGER, Type.NUMBER}:
            return Type.NUMBER
        return kinds.pop() if len(kinds) == 1 else None

    def input(self, name: str, value: object, place: Place) -> Input:
        if isinstance(value, str):
            return Input(name, place, Type.FILE, value, None)
        data = _map(value)
        kind = data.get("type", "file")
        artifacts = tuple(t for t in Type if t.is_artifact)
        return Input(name, place, self.type(kind, artifacts), _text(data.get("uri")), _text(data.get("digest")))

    def task(
        self, name: str, value: object, place: Place, defaults: Mapping[str, Setting], *, final: bool = False
    ) -> Task:
        if not isinstance(value, dict):
            return Task(name, place, final, ins_known=False, outs_known=False)
        own = read_settings(value, place, self.found)
        used = None if "run" in value else _text(value.get("use"))  # both: told with the shape
        task = Task(
            name=name,
            place=place,
            final=final,
            step=self.step(value.get("run"), place / "run"),
            use=None if used is None else Setting(used, place / "use"),
            ins=tuple(self.ins(value.get("in"), place / "in")),
            outs={o.name: o for o in self.outs(value.get("out"), place / "out")},
            ins_known=all(self.doubt.knows(place.route, key, TASK_KEYS) for key in ("in", "if")),
            outs_known=self.doubt.knows(place.route, "out", TASK_KEYS),
            after=tuple(self.after(value.get("after"), place / "after")),
            gate=self.gate(value["if"], place / "if") if isinstance(value.get("if"), str) else None,
            own=own,
            settings={**defaults, **own},
            **({} if final else read_fan(value, place, self.ref, self.found)),
        )
        return task if used is None else self.with_file(task, used)

    def with_file(self, task: Task, used: str) -> Task:
        """The task with its file's command and outs. The caller's defaults do not reach into a task file."""
        try:
            file = self.task_files.get(resolve_use(used, self.document.file))
        except ValueError:
            file = None
        if file is None:
            return replace(task, outs_known=False, settings=task.own)
        settings = {**file.settings, **task.own}
        return replace(task, file=file, step=file.step, outs=file.outs, outs_known=file.outs_known, settings=settings)

    def step(self, value: object, place: Place) -> Step | None:
        if isinstance(value, str):
            return Step(value, None, place)
        if isinstance(value, list) and value and all(isinstance(v, str | int | float) for v in value):
            texts = [self.scalar(v, place / i) or "" for i, v in enumerate(value)]
            return Step(None, tuple(texts), place)
        return None

    def ins(self, value: object, place: Place) -> Iterator[In]:
        if isinstance(value, list):
            for index, item in enumerate(value):
                ref = self.ref(item, place / index) if isinstance(item, str) else None
                yield In(ref.name if ref else "", place / index, ref, keyed=False)
        for name, item in _map(value).items():
            yield In(name, place / name, self.source(item, place / name), keyed=True)

    def source(self, item: object, place: Place) -> Ref | Literal | None:
        match item:
            case str():
                return self.ref(item, place)
            case bool() | int() | float():
                return Literal(type_of(item), self.scalar(item, place) or "")
            case {"value": value} if value is not None:
                return Literal(type_of(_json(value)), self.scalar(value, place / "value") or "")
        return None

    def ref(self, text: str, place: Place) -> Ref | None:
        match = _REF.fullmatch(text)
        if match:
            return Ref(match[1], match[2], place)
        fix = "write params.NAME, inputs.NAME or TASK.OUT"
        if place.route[-2:-1] == ("for",):
            bounds = span(text)
            fix = f"write {as_range(*bounds)}" if bounds else f"write a list: [{text[:40]}], or TASK.OUT"
        elif isinstance(place.route[-1], str):
            fix += "; a text that means itself is {value: …}"
        why = "a text in this place names where a value comes from"
        self.tell(place, "bad-ref", f'"{text[:80]}" is not a reference', why, fix)
        return None

    def outs(self, value: object, place: Place) -> Iterator[Out]:
        if isinstance(value, list):
            seen = set[str]()
            for index, name in enumerate(value):
                if not isinstance(name, str):
                    continue
                if name in seen:
                    message = f'the out "{name[:80]}" stands here a second time'
                    self.tell(place / index, "name-collision", message, "", "remove one of them, or rename it")
                else:
                    yield Out(name, place / index, Type.FILE)
                seen.add(name)
        for name, item in _map(value).items():
            data = item if isinstance(item, dict) else {"type": item}
            kind = self.type(data.get("type", "file"), tuple(Type))
            limit = data.get("max")
            sized = kind in (Type.STRING, Type.JSON)
            if limit is not None and kind is not None and not sized:
                why = "artifacts may be of any size, and numbers and booleans are always small"
                self.tell(place / name / "max", "bad-value", f"an out of type {kind} has no `max`", why, "remove it")
            most = (limit if isinstance(limit, int) and limit > 0 else MAX_BYTES) if sized else None
            yield Out(name, place / name, kind, data.get("optional") is True, most)

    def after(self, value: object, place: Place) -> Iterator[Setting]:
        if isinstance(value, list):
            yield from (Setting(n, place / i) for i, n in enumerate(value) if isinstance(n, str))

    def gate(self, text: str, place: Place) -> GateText:
        try:
            return GateText(text, parse_gate(text), place)
        except GateError as error:
            return GateText(text, None, place, error)


def _plain(choices: object) -> list[object]:
    """The choices, where all of them are plain values."""
    listed = choices if isinstance(choices, list) else []
    return listed if all(isinstance(c, str | int | float) for c in listed) else []


def _json(value: object) -> Json:
    return value  # type: ignore[return-value]  # a Document holds JSON values only
