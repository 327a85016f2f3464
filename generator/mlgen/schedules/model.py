"""A schedule of a plan, and the run of one of its times: what it is called and what it is given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from mlgen import canonical
from mlgen.schedules import cron
from mlgen.schedules.zones import zone as zone_of

HASH_LENGTH = 6  # hex digits of what a run is given, and of a schedule


class Concurrency(StrEnum):
    """What happens at a time at which a scheduled run of the pipeline still goes on."""

    ALLOW = "allow"
    FORBID = "forbid"
    REPLACE = "replace"


class Scheduled(StrEnum):
    """A param that is given the time: its date in the schedule's zone, or the instant as RFC 3339 in UTC."""

    DATE = "date"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Schedule:
    """params: texts by name. scheduled: what of the time by name. catch_up_seconds: how late a start may be."""

    cron: str
    zone: str
    concurrency: Concurrency
    catch_up_seconds: int
    params: tuple[tuple[str, str], ...] = ()
    scheduled: tuple[tuple[str, Scheduled], ...] = ()

    def to_json(self) -> dict[str, object]:
        found: dict[str, object] = {
            "cron": self.cron,
            "zone": self.zone,
            "concurrency": str(self.concurrency),
            "catchUpSeconds": self.catch_up_seconds,
        }
        found |= {"params": dict(self.params)} if self.params else {}
        return found | ({"scheduled": {name: str(what) for name, what in self.scheduled}} if self.scheduled else {})

    @staticmethod
    def from_json(data: dict[str, object]) -> Schedule:
        """Raises KeyError, TypeError, ValueError or AttributeError for what `to_json` never made."""
        params, scheduled = data.get("params", {}), data.get("scheduled", {})
        seconds = data["catchUpSeconds"]
        if not isinstance(params, dict) or not isinstance(scheduled, dict) or not isinstance(seconds, int):
            raise TypeError("no schedule")
        return Schedule(
            str(data["cron"]),
            str(data["zone"]),
            Concurrency(str(data["concurrency"])),
            seconds,
            tuple(sorted((str(name), str(text)) for name, text in params.items())),
            tuple(sorted((str(name), Scheduled(str(what))) for name, what in scheduled.items())),
        )

    def __str__(self) -> str:
        """In words, on a line."""
        given = [f"{name} = {text}" for name, text in self.params]
        given += [f"{name} = the {what}" for name, what in self.scheduled]
        late = f"{self.catch_up_seconds // 3600}h" if self.catch_up_seconds % 3600 == 0 else f"{self.catch_up_seconds}s"
        said = [f'"{self.cron}" {self.zone}', f"{self.concurrency} others", f"up to {late} late", *given]
        return ", ".join(said)

    @property
    def digest(self) -> str:
        """A few hex digits that tell it from the other schedules of its pipeline."""
        return canonical.digest(self.to_json()).removeprefix("sha256:")[:HASH_LENGTH]

    @property
    def by_date(self) -> bool:
        """Whether the run of a time is that of its date: then it is the run that a backfill of that date makes."""
        return [what for _, what in self.scheduled] == [Scheduled.DATE]

    def due(self, now: datetime, *, since: datetime | None = None, most: int | None = None) -> list[datetime]:
        """The times that have come: since when they are asked for, else of the time to catch up with.

        most: of the first ones, where no more are wanted.
        """
        after = since if since is not None else now - timedelta(seconds=self.catch_up_seconds)
        return cron.between(cron.parse(self.cron), self.zone, after, now, most=most)

    def arguments(self, time: datetime) -> dict[str, str]:
        """The texts of params that the run of a time is given."""
        return {**dict(self.params), **{name: self._text(what, time) for name, what in self.scheduled}}

    def run_name(self, pipeline: str, time: datetime) -> str:
        """What the run of a time is called: the same wherever and however often it is started, so it is one run."""
        given = [f"{name}={text}" for name, text in self.params]
        if self.by_date:
            return f"{prefix(pipeline, given)}-{self._text(Scheduled.DATE, time)}"
        given += [f"{name}={what}" for name, what in self.scheduled]
        return f"{prefix(pipeline, given)}-{time.astimezone(UTC):%Y%m%d-%H%M}"

    def _text(self, what: Scheduled, time: datetime) -> str:
        if what is Scheduled.DATE:
            return time.astimezone(zone_of(self.zone)).date().isoformat()
        return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def prefix(pipeline: str, given: list[str]) -> str:
    """What the names of runs begin with that are given `name=value`s: others where they are given others."""
    return f"{pipeline}-{canonical.digest(sorted(given)).removeprefix('sha256:')[:HASH_LENGTH]}" if given else pipeline
