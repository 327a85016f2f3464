"""What `mlgen run` was asked for, and which of it excludes the rest."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from mlgen.cli.options import Format
from mlgen.cli.resuming.ask import Ask
from mlgen.diagnostic import Misuse


class Engine(StrEnum):
    """Whose containers run the tasks of a run on this machine."""

    DOCKER = "docker"
    PODMAN = "podman"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options as they were given. ask: what of an earlier run is taken over."""

    file: Path | None
    given: tuple[str, ...]
    env: str
    name: str | None
    engine: Engine | None
    detach: bool
    logs: bool
    ask: Ask
    dates: str | None
    step: str | None
    parallel: int | None
    no_cache: bool
    explain_cache: bool
    due: bool
    since: str | None
    event: Path | None
    dry_run: bool
    form: Format

    @property
    def backfill(self) -> bool:
        return self.dates is not None or self.step is not None or self.parallel is not None

    @property
    def more(self) -> list[str]:
        """What each of several runs is given as well."""
        engine = [] if self.engine is None else ["--engine", str(self.engine)]
        return [*engine, *(["--no-cache"] if self.no_cache else [])]

    def check(self) -> None:
        """Raises Misuse for options that do not go together, whatever the environment."""
        if self.due or self.event is not None:
            self._check_starts()
            return
        if self.since is not None or self.dry_run:
            raise Misuse("bad-option", "--since and --dry-run are for --due", fix="leave them out, or add --due")
        if self.file is None:
            raise Misuse("bad-option", "no spec is named", fix="name one: mlgen run pipelines/hello.yaml")
        if self.explain_cache and self.no_cache:
            fix = "leave --no-cache out to see what would be cached: with it, every task runs"
            raise Misuse("options", "--explain-cache and --no-cache exclude each other", fix=fix)
        if self.explain_cache and (self.ask or self.backfill or self.detach or self.logs):
            message = "--resume, --from, --only, --backfill, --detach and --logs exclude --explain-cache"
            why = "it runs nothing, and says what a run of the whole pipeline would take"
            raise Misuse("bad-option", message, why=why, fix="leave them out; a date of a backfill is given by -p")
        if self.backfill:
            self._check_backfill()

    def _check_starts(self) -> None:
        single = (self.given, self.ask, self.name, self.dates, self.detach, self.logs, self.explain_cache)
        if self.due and (any(single) or self.event is not None):
            fix = "give --due alone, with --env, --since and --dry-run: params and names are the schedule's"
            raise Misuse("bad-option", "other options exclude --due", fix=fix)
        if self.event is not None and (any(single) or self.since is not None):
            fix = "give --event alone, with --env and --dry-run: params and names are the trigger's"
            raise Misuse("bad-option", "other options exclude --event", fix=fix)

    def _check_backfill(self) -> None:
        if self.dates is None:
            fix = "leave them out, or add --backfill"
            raise Misuse("bad-option", "--step and --parallel are for --backfill", fix=fix)
        if self.ask or self.detach or self.logs:
            given = "--detach and --logs" if self.detach or self.logs else "--resume, --from and --only"
            fix = "leave them out: what a date's run lacks is resumed by itself"
            raise Misuse("bad-option", f"{given} are for a single run, not for --backfill", fix=fix)

    def check_place(self, *, in_cluster: bool) -> None:
        """Raises Misuse for options that are another kind of environment's."""
        if in_cluster and self.engine is not None:
            message = f"--engine is for runs on this machine, and {self.env} is a cluster"
            raise Misuse("bad-option", message, fix="leave it out")
        if not in_cluster and (self.detach or self.logs):
            option = "--detach" if self.detach else "--logs"
            fix = "leave it out: `mlgen logs` shows them"
            raise Misuse("bad-option", f"{option} is for runs in a cluster", fix=fix)
        if self.detach and self.logs:
            raise Misuse("options", "--detach and --logs exclude each other", fix="give one of them")
