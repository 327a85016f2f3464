"""What readers of late tasks are given (decision 0031): the winner's outs, or those of all items, in order.

Pure: who reads the outcomes, from a bucket or from memory, is `gathering`'s or an engine's business.
"""

from __future__ import annotations

from collections.abc import Sequence

from mlgen import canonical
from mlgen.canonical import Json
from mlgen.ledger.records.task import State
from mlgen.runtime.fans.model import Late
from mlgen.runtime.fans.outcomes import Outcome, latest, winner
from mlgen.runtime.outs import StagingError
from mlgen.values import Type, parse, to_text

MAX_TEXT_BYTES = 120_000  # of one variable: Linux starts no program with one of 128 KiB


def text_of(late: Late, type_: Type, outcomes: Sequence[Outcome]) -> str | None:
    """What a reader of a late out or variable is given; None for an optional out that was not written.

    Of all items: of a value a json list, of an artifact a json list of pointers; null where an item left none.
    outcomes: of the whole task, as found. Raises StagingError where there is nothing to read.
    """
    if late.fan and late.pick is None:
        found: list[Json] = [_json(late, type_, outcome) for outcome in latest(outcomes)]
        return _bounded(late, canonical.encode(found).decode())
    chosen = chosen_of(late, outcomes)
    return _text(chosen, late.out)


def chosen_of(late: Late, outcomes: Sequence[Outcome]) -> Outcome:
    """The one execution whose outs are read. Raises StagingError."""
    if late.pick is not None:
        best = winner(outcomes, late.pick, highest=late.highest)
        if best is None:
            raise StagingError(f'no item of "{late.task}" has the metric "{late.pick}": there is none to pick')
        return best
    found = [outcome for outcome in latest(outcomes) if outcome.state is State.COMPLETE]
    if not found:
        raise StagingError(f'what "{late.task}" left is not there')
    return found[0]


def missing(outcomes: Sequence[Outcome], of: int) -> list[int]:
    """Which items have no outcome, by their numbers."""
    there = {outcome.index for outcome in outcomes}
    return [index for index in range(of) if index not in there]


def folder_entries(pointers: Sequence[str | None]) -> list[tuple[str, str]]:
    """(entry, pointer) of a folder of many artifacts: the item's number, in four digits or as many as all need."""
    digits = max(4, len(str(len(pointers) - 1)))
    return [(f"{index:0{digits}}", pointer) for index, pointer in enumerate(pointers) if pointer is not None]


def _text(outcome: Outcome, name: str) -> str | None:
    if name in outcome.texts:
        return outcome.texts[name]
    return to_text(outcome.values[name]) if name in outcome.values else None


def _json(late: Late, type_: Type, outcome: Outcome) -> Json:
    if outcome.state is not State.COMPLETE:
        return None
    if late.out in outcome.values and late.out not in outcome.texts:
        return outcome.values[late.out]
    text = outcome.texts.get(late.out)
    if text is None or type_.is_artifact:
        return text
    return parse(type_, text)


def _bounded(late: Late, text: str) -> str:
    size = len(text.encode())
    if size > MAX_TEXT_BYTES:
        raise StagingError(
            f'"{late.out}" of all items of "{late.task}" takes {size:,} bytes, '
            f"and a variable holds {MAX_TEXT_BYTES:,}: make it a file"
        )
    return text
