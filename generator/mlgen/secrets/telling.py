"""Texts for people without what looks like a secret, whoever reads them: a terminal, a job's log, a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from mlgen.secrets.plain import is_plain

_PAIR = re.compile(r"^(?P<head>.?\s*(?:- )?(?P<key>name|value): )(?P<value>.*)$")


def without_secrets(text: str) -> str:
    """The same with its lines; what only looks random stays, as names and ids do."""
    if is_plain(text.encode(errors="surrogatepass")):
        return text
    from mlgen.secrets.masking import masked  # here: most texts need none of its expressions

    return masked(text, guesses=False)


def value_without_secrets(name: str, value: str) -> str:
    """A value that is shown under its name, which may call it secret. name: such as env.API_KEY."""
    from mlgen.secrets.look import MASK  # here: as above
    from mlgen.secrets.names import named

    return MASK if named(name.rpartition(".")[2], value) is not None else without_secrets(value)


def lines_without_secrets(lines: Sequence[str], *, mark: int = 0) -> list[str]:
    """The same lines, of a file or a diff; fewer where a secret was several. mark: columns that are none of the text.

    In an object's YAML the name of a variable stands above its value.
    """
    whole = "\n".join(line[mark:] for line in lines)
    if is_plain(whole.encode(errors="surrogatepass")):
        return list(lines)
    paired = list(_paired(lines))
    shown = without_secrets("\n".join(line[mark:] for line in paired)).split("\n")
    if len(shown) == len(paired):
        return [f"{line[:mark]}{text}" for line, text in zip(paired, shown, strict=True)]
    return without_secrets("\n".join(paired)).split("\n")


def _paired(lines: Sequence[str]) -> Iterator[str]:
    name = ""
    for line in lines:
        match = _PAIR.match(line)
        if match is None:
            yield line
        elif match["key"] == "name":
            name = match["value"].strip("\"'")
            yield line
        else:
            value = match["value"].strip("\"'")
            shown = value_without_secrets(name, value)
            yield line if shown == value else f"{match['head']}{shown}"
