"""The page of every key of every file, as Markdown, made from the schemas."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mlgen.editor.schemas import FILES, KINDS, annotated, resolved
from mlgen.editor.snippets import flow
from mlgen.spec.shape import Kind, Schema

CODES = "../mlgen/codes.md"  # seen from generator/guides/
HEAD = """\
# Reference of the files

<!-- Made by `just docs` from generator/mlgen/spec/schema/ and generator/mlgen/editor/words.json: do not edit. -->

Every key of every file that mlgen reads. The schemas say the same to editors and other programs: `mlgen schema
pipeline`. What no schema can say is linked as *checked*: findings of `mlgen check`, each with its page.
"""
_TITLES: dict[Kind, str] = {"pipeline": "Pipeline", "task": "Task file", "project": "mlgen.yaml", "lock": "mlgen.lock"}
_WORDS = {"string": "text", "integer": "whole number", "array": "list", "object": "map", "boolean": "true, false"}


@dataclass
class _Page:
    """told: definitions that have their section already (shared ones are said once), by name -> heading.

    rows: the heading below which a key with its schema is told.
    """

    told: dict[str, str] = field(default_factory=dict)
    rows: dict[tuple[str, str], str] = field(default_factory=dict)
    out: list[str] = field(default_factory=list)


def page(kinds: Sequence[Kind] = KINDS) -> str:
    """The reference of some kinds of files; of all, the guide generator/guides/spec.md."""
    made = _Page()
    for kind in kinds:
        _section(made, kind, annotated(kind), _TITLES[kind], level=2)
    return HEAD + "".join(made.out)


def _section(made: _Page, kind: Kind, part: Schema, heading: str, level: int) -> None:
    made.out.append(f"\n{'#' * level} {heading}\n\n{part.get('description', '')}\n")
    if level == 2:
        made.out.append(
            f"\nFiles: {'`' + FILES[kind] + '`' if '.' in FILES[kind] else 'what `use` of a task names'}.\n"
        )
    below: list[tuple[str, Schema]] = []
    if "enum" in part:
        made.out.append("\n| value | meaning |\n|---|---|\n")
        told = zip(part["enum"], part["enumDescriptions"], strict=True)
        made.out += [f"| `{value}` | {_cell(text)} |\n" for value, text in told]
    else:
        rows, elsewhere = _rows(made, kind, part, heading)
        if rows:
            made.out.append("\n| key | type | default | meaning |\n|---|---|---|---|\n")
        for key in rows:
            value = part["properties"][key]
            here = resolved(kind, value)
            below += _sections_of(made, kind, heading, value)
            needed = " **required**" if key in part.get("required", []) else ""
            default = f"`{_cell(flow(here['default']))}`" if "default" in here else ""
            made.out.append(f"| `{key}`{needed} | {_type(made, kind, value)} | {default} | {_meaning(here)} |\n")
        for other, keys in elsewhere.items():
            made.out.append(f"\nAs in [{other}](#{_slug(other)}): {', '.join(f'`{key}`' for key in keys)}.\n")
    for name, child in below:
        _section(made, kind, child, name, level=3)


def _rows(made: _Page, kind: Kind, part: Schema, heading: str) -> tuple[list[str], dict[str, list[str]]]:
    """The keys that are told here, and those that another section tells: its heading -> keys."""
    rows, elsewhere = [], dict[str, list[str]]()
    for key, value in part["properties"].items():
        meaning = key, json.dumps(resolved(kind, value), sort_keys=True)
        first = made.rows.setdefault(meaning, heading)
        if first != heading and key not in part.get("required", []):
            elsewhere.setdefault(first, []).append(key)
        else:
            rows.append(key)
    return rows, elsewhere


def _sections_of(made: _Page, kind: Kind, above: str, value: Schema) -> list[tuple[str, Schema]]:
    """The sections that a value's schema wants and nobody has told yet."""
    found = []
    for name, part in _inner(kind, value):
        here = resolved(kind, part)
        if name not in made.told:
            top = above.split(":", maxsplit=1)[0]
            made.told[name] = f"{top}: {here['title']}"
            found.append((made.told[name], here))
    return found


def _inner(kind: Kind, value: Schema) -> Iterator[tuple[str, Schema]]:
    """(name, schema) of the maps with keys of their own, and of the choices, at or just below a value."""
    here = resolved(kind, value)
    if here.get("properties") or len(here.get("enum", [])) > 1:
        yield _name(kind, value), value
    for key in ("additionalProperties", "items"):
        if isinstance(here.get(key), dict):
            yield from _inner(kind, here[key])
    if "then" in here:
        yield from _inner(kind, here["then"])


def _name(kind: Kind, value: Schema) -> str:
    """What a section is known by: the definition (files of two kinds share those), else where its title stands."""
    name = value.get("$ref", "").removeprefix("#/$defs/")
    shared = name in annotated("pipeline")["$defs"] and name in annotated("task")["$defs"]
    inner = json.dumps(value, sort_keys=True)
    return name if shared else f"{kind} {name or inner}"


def _type(made: _Page, kind: Kind, value: Schema) -> str:
    """A value's type in words, with links to the sections that tell more."""
    here = resolved(kind, value)
    if "const" in here:
        return f"`{here['const']}`"
    if len(here.get("enum", [])) == 1:
        return f"`{here['enum'][0]}`"
    types = here.get("type", [])
    words = [_word(made, kind, here, name) for name in ([types] if isinstance(types, str) else types)]
    link = made.told.get(_name(kind, value))
    if "enum" in here and link:
        return f"[{link.split(': ')[-1].lower()}](#{_slug(link)})"
    return " or ".join(dict.fromkeys(words))


def _word(made: _Page, kind: Kind, here: Schema, name: str) -> str:
    if name == "array" and isinstance(here.get("items"), dict):
        return f"list of {_linked(made, kind, here['items'])}"
    if name == "object":
        own = made.told.get(_name(kind, here)) or next(
            (title for title in made.told.values() if title.endswith(f": {here.get('title')}")), None
        )
        if here.get("properties") and own:
            return f"[map](#{_slug(own)})"
        if isinstance(here.get("additionalProperties"), dict):
            return f"map of {_linked(made, kind, here['additionalProperties'])}"
    return _WORDS.get(name, name)


def _linked(made: _Page, kind: Kind, value: Schema) -> str:
    heading = made.told.get(_name(kind, value))
    here = resolved(kind, value)
    title = str(here.get("title", "value")).lower()
    return f"[{title}](#{_slug(heading)})" if heading else title


def _meaning(here: Schema) -> str:
    text = _cell(here.get("description", ""))
    if examples := here.get("examples"):
        text += f"<br>Example: {', '.join(f'`{_cell(flow(e))}`' for e in examples[:2])}"
    if findings := here.get("findings"):
        text += f"<br>*Checked*: {', '.join(f'[{code}]({CODES}#{code})' for code in findings)}"
    return text


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _slug(heading: str) -> str:
    """The anchor that GitHub and GitLab give a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
