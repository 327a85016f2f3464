"""`mlgen explain CODE`: the manual's page of one code."""

from __future__ import annotations

import sys
from difflib import get_close_matches
from importlib import resources
from typing import Annotated

import typer

from mlgen.cli.faults import FAULTS
from mlgen.cli.main import new_app
from mlgen.cli.options import Format, FormatOption
from mlgen.cli.output import answer_json
from mlgen.diagnostic import CODES, Misuse

app = new_app()


OF_FAULT = "Not about your specs: it tells where it is printed, after `why` and `fix`, what is to be done."


@app.command()
def explain(
    code: Annotated[
        str | None, typer.Argument(metavar="[CODE]", help="A code such as unknown-out. Without one: all of them.")
    ] = None,
    form: FormatOption = Format.TEXT,
) -> None:
    """Explain the code of a finding or fault."""
    if code is None:
        listing = "".join(f"{name:22} {text}\n" for name, text in CODES.items())
        answer_json(CODES) if form is Format.JSON else sys.stdout.write(listing)
        return
    title, text = _page(code)
    if form is Format.JSON:
        answer_json({"code": code, "title": title, "text": text})
    else:
        sys.stdout.write(f"{code}: {title}\n\n{text}\n")


def _page(code: str) -> tuple[str, str]:
    if code in CODES:
        return CODES[code], manual()[code]
    if code in FAULTS:
        return FAULTS[code], OF_FAULT
    near = get_close_matches(code, [*CODES, *FAULTS], n=3)
    fix = f"did you mean {', '.join(near)}?" if near else "`mlgen explain` lists the codes of findings"
    raise Misuse("unknown-code", f'nothing has the code "{code[:80]}"', fix=fix)


def manual() -> dict[str, str]:
    """The pages of the manual: code -> text below its heading in codes.md."""
    pages = resources.files("mlgen").joinpath("codes.md").read_text("utf-8").split("\n## ")[1:]
    return {head.strip(): body.strip() for head, _, body in (page.partition("\n") for page in pages)}
