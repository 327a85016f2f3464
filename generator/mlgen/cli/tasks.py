"""`mlgen tasks list|show`: what specs may use, here and from other repositories."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Annotated

import typer

from mlgen.cli.main import new_app
from mlgen.cli.options import Format, FormatOption
from mlgen.cli.output import answer_json
from mlgen.cli.projects.catalogue import Entry, catalogue, pipeline_names
from mlgen.cli.projects.workspace import Workspace
from mlgen.diagnostic import Misuse, visible
from mlgen.spec.model import Out, Param

app = new_app(no_args_is_help=True, help="List and show the tasks that specs may use.")


@app.command("list")
def list_tasks(form: FormatOption = Format.TEXT) -> None:
    """List the tasks in tasks/ and of other repositories, in all their versions, and who uses them."""
    found = catalogue(Workspace.around())
    if form is Format.JSON:
        answer_json({"tasks": [_json(entry) for entry in found]})
        return
    rows = [(e.use, e.kind if e.file else "broken", _users(e), e.file.description if e.file else "") for e in found]
    sys.stdout.write(_table(rows) if rows else "there are no tasks in tasks/, and specs use none\n")


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `use` has it; train is the last version of train.")],
    form: FormatOption = Format.TEXT,
) -> None:
    """Show a task: what enters it and what it leaves, with types and defaults."""
    entry = _named(catalogue(Workspace.around()), name)
    if form is Format.JSON:
        answer_json(_json(entry))
    else:
        sys.stdout.write("".join(f"{visible(line)}\n" for line in _lines(entry)))


def _named(entries: Sequence[Entry], name: str) -> Entry:
    """The entry that is meant. Raises Misuse."""
    found = [e for e in entries if name in (e.use, e.path)]
    if not found:
        bare = [e for e in entries if name in (e.name, f"{e.source}/{e.name}")]
        sources = sorted({e.source for e in bare})
        if len(sources) > 1:
            fix = f"write {' or '.join(sorted(e.use for e in bare))}"
            raise Misuse("no-such-task", f'"{name}" is the name of several tasks', fix=fix)
        found = bare[-1:]
    if not found:
        near = get_close_matches(name, [e.use for e in entries], n=3)
        fix = f"write {' or '.join(near)}" if near else "`mlgen tasks list` has all that there are"
        raise Misuse("no-such-task", f'there is no task "{name}"', fix=fix)
    return found[0]


def _users(entry: Entry) -> str:
    return f"used by {', '.join(pipeline_names(entry.used_by))}" if entry.used_by else "unused"


def _table(rows: Iterable[tuple[str, str, str, str]]) -> str:
    cells = [[visible(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(3)]
    lines = ("  ".join(f"{c:{w}}" for c, w in zip(row, [*widths, 0], strict=True)).rstrip() for row in cells)
    return "".join(f"{line}\n" for line in lines)


def _lines(entry: Entry) -> Iterable[str]:
    yield f"{entry.use}  {entry.kind}  {entry.path}"
    if entry.file is None:
        yield f"  it has errors: mlgen check {entry.path}"
        return
    if entry.file.description:
        yield f"  {entry.file.description}"
    for title, parts in (
        ("in", map(_in_row, entry.file.ins.values())),
        ("out", map(_out_row, entry.file.outs.values())),
    ):
        rows = list(parts)
        widths = [max((len(row[column]) for row in rows), default=0) for column in range(2)]
        for number, (name, kind, more) in enumerate(rows):
            head = "" if number else title
            yield f"  {head:4}{name:{widths[0]}}  {kind:{widths[1]}}  {more}".rstrip()
    yield f"  {_users(entry)}"


def _in_row(item: Param) -> tuple[str, str, str]:
    told = "= " + item.default if item.default is not None else "optional" if item.optional else ""
    told += f"  one of {', '.join(item.choices)}" if item.choices else ""
    limits = (("at least", item.minimum), ("at most", item.maximum))
    told += "".join(f"  {word} {limit:g}" for word, limit in limits if limit is not None)
    return item.name, str(item.type or "?"), f"{told}  {item.description}".strip()


def _out_row(item: Out) -> tuple[str, str, str]:
    return item.name, str(item.type or "?"), "optional" if item.optional else ""


def _json(entry: Entry) -> dict[str, object]:
    file = entry.file
    return {
        "use": entry.use,
        "name": entry.name,
        "version": entry.version,
        "source": entry.source or None,
        "path": entry.path,
        "kind": entry.kind,
        "description": file.description if file else "",
        "in": {i.name: _in_json(i) for i in file.ins.values()} if file else None,
        "out": {o.name: {"type": o.type and str(o.type), "optional": o.optional} for o in file.outs.values()}
        if file
        else None,
        "usedBy": list(entry.used_by),
    }


def _out_json(out: Out) -> dict[str, object]:
    return {"type": out.type and str(out.type), "optional": out.optional}


def _in_json(item: Param) -> dict[str, object]:
    return {
        "type": item.type and str(item.type),
        "required": item.is_required,
        "default": item.default,
        "choices": list(item.choices),
        "minimum": item.minimum,
        "maximum": item.maximum,
        "description": item.description,
    }
