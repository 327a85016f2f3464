"""What a fold did, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlgen.cli.output import note
from mlgen.ledger.folding.folded import Folded, Refused, alert

SHOWN = 20  # of the records that did not land; a log of each minute should stay one


def tell_refused(folded: Folded, env: str) -> None:
    """Say on stderr why records did not land; then, in one line for searched logs, that some never will."""
    refused = [*folded.conflicts, *folded.refused, *folded.left]
    for one in refused[:SHOWN]:
        note(f"{one.code}: {one.message}")
    if refused[SHOWN:]:
        note(f"{len(refused) - SHOWN} more did not land: `--format json` names them")
    line = alert(folded, env)
    if line is not None:
        note(line)


def folded_answer(folded: Folded) -> dict[str, Any]:
    """The answer of `ledger fold`, as JSON."""
    return {
        "landed": folded.landed,
        "already": folded.already,
        "conflicts": _refused(folded.conflicts),
        "refused": _refused(folded.refused),
        "left": _refused(folded.left),
        "later": folded.later,
        "byOthers": folded.by_others,
        "ledger": folded.commit,
    }


def _refused(refused: Sequence[Refused]) -> list[dict[str, Any]]:
    return [{"key": r.key, "code": r.code, "message": r.message, "path": r.path} for r in refused]


# What became of records -> what it means, where that needs words.
FATES = {
    "landed": "",
    "already": "on the branch already",
    "conflicts": "set aside: the branch has other bytes at their paths",
    "refused": "set aside: no ledger can take them",
    "left": "wait on: of another environment or a newer mlgen, or no records of ours",
}


def folded_lines(answer: dict[str, Any]) -> list[str]:
    """The same in words."""
    counts = {fate: len(answer[fate]) for fate in FATES}
    if answer["later"]:
        later = [f"{answer['later']} or more wait for the next push: the ledger has one each `interval`"]
    else:
        later = []
    told = [f"{n} {fate}" if not FATES[fate] else f"{n} {FATES[fate]}" for fate, n in counts.items() if n]
    nothing = "another fold landed what waited" if answer["byOthers"] else "nothing waited"
    return ["; ".join([*told, *later]) or nothing]
