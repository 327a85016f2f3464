"""mlgen.yaml with another pin, and every other byte as its author wrote it."""

from __future__ import annotations

from typing import Any

from mlgen.spec.document import Document, read

_BOM = "\ufeff".encode()


def with_pin(data: bytes, environment: str, commit: str) -> bytes | None:
    """The bytes of a mlgen.yaml whose environment is pinned to a commit, by its full id.

    None where that cannot be written into it without a person: it is read again, and says that and nothing else new.
    """
    document = read("mlgen.yaml", data)
    known = _environment(document.data, environment)
    if known is None:
        return None
    changed = _changed(document, environment, known, commit)
    if changed is None:
        return None
    made = (_BOM if data.startswith(_BOM) else b"") + changed.encode()
    wanted = _pinned(document.data, environment, commit)
    again = read("mlgen.yaml", made)
    return made if again.data == wanted and not again.diagnostics else None


def _changed(document: Document, environment: str, known: dict[str, Any], commit: str) -> str | None:
    text, route = document.source.text, ("environments", environment)
    if "pin" in known:
        _, (start, end) = document.offsets((*route, "pin"))
        quote = text[start] if text[start : start + 1] == "'" else '"'  # quoted, for some ids read as numbers
        return f"{text[:start]}{quote}{commit}{quote}{text[end:]}"
    if not known:
        return None
    first = next(iter(known))
    (start, _), _ = document.offsets((*route, first))
    _, (opened, _) = document.offsets(route)
    line = text.rfind("\n", 0, start) + 1
    if text[opened] == "{":  # of JSON, which is YAML too, it stays JSON
        key = '"pin"' if text[start] == '"' else "pin"
        return f'{text[:start]}{key}: "{commit}", {text[start:]}'
    indent = text[line:start]
    if indent.strip(" "):
        return None
    newline = "\r\n" if text[line - 2 : line] == "\r\n" else "\n"
    return f'{text[:start]}pin: "{commit}"{newline}{indent}{text[start:]}'


def _environment(data: object, name: str) -> dict[str, Any] | None:
    environments = data.get("environments") if isinstance(data, dict) else None
    found = environments.get(name) if isinstance(environments, dict) else None
    return found if isinstance(found, dict) else None


def _pinned(data: Any, name: str, commit: str) -> Any:
    environments = data["environments"]
    return {**data, "environments": {**environments, name: {**environments[name], "pin": commit}}}
