"""`mlgen explain CODE`: the manual's page of one code."""

from __future__ import annotations

import sys
from difflib import get_close_matches
from importlib import resources
from typing import Annotated

import typer

from mlgen.cli.faults import FAULTS, MISUSES, REFUSALS
from mlgen.cli.main import new_app
from mlgen.cli.options import Format, FormatOption
from mlgen.cli.output import answer_json
from mlgen.codes import CODES
from mlgen.diagnostic import Misuse
from mlgen.ledger.verify.finding import KINDS

app = new_app()


OF_FAULT = """\
It says why {who} could not do its work; your specs need not be at fault. It is printed as

  error[{code}]: what happened
     why  how it came about
     fix  how to mend it

with the names and paths that are meant, {where}."""
OF_LEDGER = """\
`mlgen ledger verify` found it in the ledger. Why it matters: {why}.
What to do: {fix}."""
OF_REFUSAL = """\
`mlgen ledger fold` says it of a record that does not land. What never can lies in `_ledger/dead/` of the environment's
artifacts, beside a .reason file; `mlgen ledger fold --dead` tries it again.
What to do: {fix}."""
ASKED_WRONGLY = "by the command itself, which exits with 2: it was asked wrongly"
NO_ANSWER = "by the command itself, which exits with 3, or "
OF_POD = "by a pod of a run in a cluster: `mlgen run` shows it below its task, `mlgen logs RUN TASK --env E` later"
IN_PODS = (
    "bad-event",
    "bad-invocation",
    "called-off",
    "node-failed",
    "not-in-a-pod",
    "not-kept",
    "not-recorded",
    "not-staged",
    "unpublished",
    "usage",
)


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
    # One word may be a fault of a command, a finding of `verify`, and why a record did not land.
    pages: list[tuple[str, str]] = []
    if code in REFUSALS:
        title, fix = REFUSALS[code]
        pages.append((title, OF_REFUSAL.format(fix=fix)))
    if code in KINDS:
        kind = KINDS[code]
        pages.append((kind.title, OF_LEDGER.format(why=kind.why, fix=kind.fix)))
    if code in FAULTS:
        pages.append((FAULTS[code], _of_fault(code)))
    if pages:
        return pages[0][0], "\n\n".join(text for _, text in pages)
    near = get_close_matches(code, [*CODES, *FAULTS, *KINDS, *REFUSALS], n=3)
    fix = f"did you mean {', '.join(near)}?" if near else "`mlgen explain` lists the codes of findings"
    raise Misuse("unknown-code", f'nothing has the code "{code[:80]}"', fix=fix)


def _of_fault(code: str) -> str:
    """What can be said of a fault without knowing of its case: whose it is, and where that is told."""
    if code in MISUSES and code not in IN_PODS:
        return OF_FAULT.format(code=code, who="a command", where=ASKED_WRONGLY)
    if code in IN_PODS:
        return OF_FAULT.format(code=code, who="a task's pod", where=OF_POD)
    return OF_FAULT.format(code=code, who="a command, or a task's pod,", where=NO_ANSWER + OF_POD)


def manual() -> dict[str, str]:
    """The pages of the manual: code -> text below its heading in codes.md."""
    pages = resources.files("mlgen").joinpath("codes.md").read_text("utf-8").split("\n## ")[1:]
    return {head.strip(): body.strip() for head, _, body in (page.partition("\n") for page in pages)}
