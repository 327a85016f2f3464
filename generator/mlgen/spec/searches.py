"""What a sweep says of a search beside its space: who proposes, and when a trial is stopped early."""

from __future__ import annotations

from difflib import get_close_matches

from mlgen.diagnostic import Diagnostic
from mlgen.search.model import PRUNERS, SAMPLERS, Prune
from mlgen.spec.model import Place, SearchKeys

KEYS = ("sampler", "prune")  # of a sweep, which only a search has
_PERCENTILE_KEEP = 25.0  # of a hundred trials


def read_search(data: dict[str, object], place: Place, found: list[Diagnostic]) -> SearchKeys:
    """Of a sweep's map; what could not be read has its default, and was told with the shape or is told here."""
    sampler, more = _named(data.get("sampler", SAMPLERS[0]), place / "sampler", SAMPLERS, found)
    prune = None
    if "prune" in data:
        name, given = _named(data["prune"], place / "prune", PRUNERS, found)
        prune = _prune(name or PRUNERS[0], given)
    return SearchKeys(sampler or SAMPLERS[0], _whole(more, "startup", SearchKeys().startup), prune)


def _named(
    value: object, place: Place, names: tuple[str, ...], found: list[Diagnostic]
) -> tuple[str | None, dict[str, object]]:
    """A name, and what else a map says."""
    if isinstance(value, dict):
        name = value.get("name")
        return (name if name in names else None), value
    if not isinstance(value, str) or value in names:
        return (value if isinstance(value, str) else None), {}
    what = place.route[-1]
    guess = next(iter(get_close_matches(value[:80], names)), None)
    why = f"it is one of: {', '.join(names)}"
    fix = f"write {guess}" if guess else f"write {what}: {names[0]}"
    found.append(place.finding("bad-value", f'`{what}` cannot be "{value[:80]}"', why, fix))
    return None, {}


def _prune(name: str, given: dict[str, object]) -> Prune:
    default = Prune(name)
    keep, last = given.get("keep"), given.get("last")
    share = keep if isinstance(keep, int | float) and not isinstance(keep, bool) else _PERCENTILE_KEEP
    return Prune(
        name,
        startup=_whole(given, "startup", default.startup),
        warmup=_whole(given, "warmup", default.warmup),
        keep=float(share) if name == "percentile" else default.keep,
        first=max(_whole(given, "first", default.first), 1),
        last=last if isinstance(last, int) and last >= 1 else None,
        reduction=max(_whole(given, "reduction", default.reduction), 2),
    )


def _whole(given: dict[str, object], key: str, default: int) -> int:
    value = given.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else default
