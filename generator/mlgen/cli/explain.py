"""`mlgen explain CODE`: the manual's page of one code."""

from __future__ import annotations

import sys
from difflib import get_close_matches
from importlib import resources
from typing import Annotated

import typer

from mlgen.cli.main import new_app
from mlgen.cli.options import Format, FormatOption
from mlgen.cli.output import answer_json
from mlgen.diagnostic import CODES, Misuse

app = new_app()


@app.command()
def explain(
    code: Annotated[str | None, typer.Argument(help="A code such as unknown-out. Without one: all of them.")] = None,
    form: FormatOption = Format.TEXT,
) -> None:
    """Explain the code of a finding."""
    if code is None:
        listing = "".join(f"{name:22} {text}\n" for name, text in CODES.items())
        answer_json(CODES) if form is Format.JSON else sys.stdout.write(listing)
        return
    if code not in CODES:
        near = get_close_matches(code, CODES, n=3)
        fix = f"did you mean {', '.join(near)}?" if near else "`mlgen explain` lists all codes"
        raise Misuse("unknown-code", f'no finding has the code "{code}"', fix=fix)
    text = manual()[code]
    if form is Format.JSON:
        answer_json({"code": code, "title": CODES[code], "text": text})
    else:
        sys.stdout.write(f"{code}: {CODES[code]}\n\n{text}\n")


def manual() -> dict[str, str]:
    """The pages of the manual: code -> text below its heading in codes.md."""
    pages = resources.files("mlgen").joinpath("codes.md").read_text("utf-8").split("\n## ")[1:]
    return {head.strip(): body.strip() for head, _, body in (page.partition("\n") for page in pages)}
