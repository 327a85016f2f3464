"""What `mlgen gc artifacts` answers: counted by what becomes of things, as JSON and in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mlgen.cli.collecting.marking import Marking
from mlgen.cli.ledgers.records import Records
from mlgen.git.url import masked
from mlgen.ledger.gc.sweep import Fate, Found

FIRST = 10  # names of what goes that people are shown


@dataclass(slots=True)
class Sum:
    """count: artifacts, or other things that go as a whole."""

    count: int = 0
    objects: int = 0
    size_bytes: int = 0
    oldest: datetime | None = None
    newest: datetime | None = None

    def add(self, found: Found) -> None:
        self.count += 1
        self.objects += len(found.keys)
        self.size_bytes += found.size_bytes
        self.oldest = min(self.oldest or found.kept_at, found.kept_at)
        self.newest = max(self.newest or found.kept_at, found.kept_at)

    def merge(self, other: Sum) -> None:
        self.count += other.count
        self.objects += other.objects
        self.size_bytes += other.size_bytes
        self.oldest = min(filter(None, (self.oldest, other.oldest)), default=None)
        self.newest = max(filter(None, (self.newest, other.newest)), default=None)

    def json(self) -> dict[str, Any]:
        return {
            "artifacts": self.count,
            "objects": self.objects,
            "sizeBytes": self.size_bytes,
            "oldest": _time(self.oldest),
            "newest": _time(self.newest),
        }


def _time(at: datetime | None) -> str | None:
    return None if at is None else f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


@dataclass
class Tally:
    """every: whether all that goes is named, and not only the first. folders: of runs on this machine, by name."""

    every: bool
    seen: int = 0
    going_count: int = 0
    folders: list[str] = field(default_factory=list)
    going: list[Found] = field(default_factory=list)
    _sums: dict[tuple[Fate, str, str], Sum] = field(default_factory=lambda: defaultdict(Sum))

    def add(self, found: Found, fate: Fate) -> None:
        self.seen += 1
        self.going_count += fate is Fate.GOES
        self._sums[fate, found.pipeline or "", found.kind].add(found)
        if fate is Fate.GOES and (self.every or len(self.going) < FIRST):
            self.going.append(found)

    def total(self, fate: Fate) -> Sum:
        whole = Sum()
        for (one, _, _), part in self._sums.items():
            if one is fate:
                whole.merge(part)
        return whole

    def parts(self, fate: Fate) -> Iterator[tuple[str, str, Sum]]:
        """(pipeline or "", kind, sum)."""
        for (one, pipeline, kind), part in sorted(self._sums.items()):
            if one is fate:
                yield pipeline, kind, part


def answer(tally: Tally, records: Records, marking: Marking, kept: set[str], *, deleted: bool) -> dict[str, Any]:
    """The answer, as JSON."""
    parts = [{"pipeline": p or None, "kind": k, **s.json()} for p, k, s in tally.parts(Fate.GOES)]
    uri = records.store.uri
    named = [
        {"uri": f"{uri}/{f.place}", "kind": f.kind, "sizeBytes": f.size_bytes, "keptAt": _time(f.kept_at)}
        for f in tally.going
    ]
    return {
        "env": records.environment.name,
        "artifacts": uri,
        "deleted": deleted,
        "goes": {**tally.total(Fate.GOES).json(), "parts": parts, "named": named, "runFolders": tally.folders},
        **{str(fate): tally.total(fate).json() for fate in Fate if fate is not Fate.GOES},
        "runs": {"all": len(marking.survey.runs), "kept": len(kept)},
        "ledgers": [
            {"url": masked(one.records.ledger.url or "") or None, "branch": one.records.branch, "commit": one.commit}
            for one in marking.ledgers
        ],
    }


# What becomes of things -> why, for people.
WHY = {
    Fate.KEPT: "of kept runs, or referred to by one, by a spec or by a manifest",
    Fate.YOUNG: "not kept, but too young to go",
    Fate.UNKNOWN: "no record tells of them; --orphans lets them go as well",
    Fate.FOREIGN: "under no name that mlgen gives; they stay",
}


def lines(found: dict[str, Any]) -> Iterator[str]:
    """The same in words."""
    goes = found["goes"]
    yield f"{'deleted' if found['deleted'] else 'would go':9} {_counted(goes)}"
    for part in goes["parts"]:
        yield f"            {part['pipeline'] or '-':24} {part['kind']:11} {_counted(part)}"
    if goes["runFolders"]:
        yield f"            {len(goes['runFolders'])} folders of runs in .mlgen/runs, with their logs"
    if not found["deleted"]:
        yield from (f"            {one['uri']}" for one in goes["named"][:FIRST])
        if goes["artifacts"] > FIRST:
            yield f"            and {goes['artifacts'] - FIRST:,} more; --format json names all"
    for fate, why in WHY.items():
        if found[fate]["artifacts"]:
            yield f"{fate:9} {_counted(found[fate])}: {why}"
    yield f"{'runs':9} {found['runs']['kept']:,} of {found['runs']['all']:,} kept"
    for ledger in found["ledgers"]:
        yield f"{'ledger':9} {ledger['commit'] or 'empty'}{' of ' + ledger['url'] if ledger['url'] else ''}"
    if not found["deleted"] and (goes["artifacts"] or goes["runFolders"]):
        yield "nothing was deleted: --delete does it"


def _counted(part: dict[str, Any]) -> str:
    if not part["artifacts"]:
        return "nothing"
    days = sorted({part["oldest"][:10], part["newest"][:10]})
    return f"{part['artifacts']:,} ({size(part['sizeBytes'])}), written {' to '.join(days)}"


def size(size_bytes: int) -> str:
    """Bytes for people."""
    number, units = float(size_bytes), ("B", "KiB", "MiB", "GiB", "TiB")
    for unit in units:
        if number < 1024 or unit == units[-1]:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    raise AssertionError("the last unit takes all")
