"""A task that runs many times in a few words: for plans, pictures and reviews."""

from __future__ import annotations

from mlgen.plan.model import Fan, OutRef

MOST_NAMED = 6  # variables


def fan_text(fan: Fan) -> str:
    """Such as "sweep of 12 trials of depth and rate, 4 at once, 1 may fail, picks max auc"."""
    return ", ".join(part for part in (items_text(fan), at_once(fan), borne(fan), pick_text(fan)) if part)


def items_text(fan: Fan) -> str:
    """Which items there are, and how many."""
    names = [variable.name for variable in fan.variables]
    named = _joined(names if len(names) <= MOST_NAMED else [*names[: MOST_NAMED - 1], "others"])
    if fan.of is not None:
        what = "trial" if fan.kind == "sweep" else "item"
        count = f"{fan.of:,} {what}{'' if fan.of == 1 else 's'}" if fan.of else f"no {what}s"
        return f"{'search' if fan.search else fan.kind} of {count} of {named}"
    lists = _joined(sorted({str(source) for source in fan.lists if isinstance(source, OutRef)}))
    return f"for each of {lists}, as {named}"


def at_once(fan: Fan) -> str:
    """How many run at once; empty without a bound."""
    return f"{fan.parallel:,} at once" if fan.parallel is not None else ""


def borne(fan: Fan) -> str:
    """How many may fail; empty where none may."""
    return f"{fan.failures:,} may fail" if fan.failures else ""


def pick_text(fan: Fan) -> str:
    """What the winner is chosen by; empty where readers get all."""
    return f"picks {'max' if fan.pick.highest else 'min'} {fan.pick.metric}" if fan.pick else ""


def _joined(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
