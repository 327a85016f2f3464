"""Time zones by their IANA names, from the package tzdata: the same on every machine, and in slim images."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo


@cache
def names() -> frozenset[str]:
    return frozenset((files("tzdata") / "zones").read_text(encoding="ascii").split())


@cache
def zone(name: str) -> ZoneInfo:
    """Raises ValueError for a name that is none. What the machine knows by that name is never asked."""
    if name not in names():  # before it becomes a path
        raise ValueError(f'"{name[:80]}" is no time zone')
    with files("tzdata.zoneinfo").joinpath(*name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)
