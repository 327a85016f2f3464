"""`mlgen ledger epoch --drop …`: erase records, by a history that begins anew without them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Annotated, Any

import typer

from mlgen import git
from mlgen.cli.clock import SystemClock
from mlgen.cli.counting import Counting
from mlgen.cli.ledgers.elsewhere import Mirror, signer
from mlgen.cli.ledgers.records import Records, open_records
from mlgen.cli.options import EnvOption, Format, FormatOption
from mlgen.cli.output import answer_json, answer_of_a_deed, note
from mlgen.cli.projects.workspace import Workspace
from mlgen.diagnostic import CannotAnswer, Misuse, visible
from mlgen.git import Branches, Repository, past
from mlgen.ledger import epoch as epochs
from mlgen.ledger.chain import Batch
from mlgen.ledger.erasure import Survey, begin, forget, pending, wanted
from mlgen.ledger.faults import broken

SHOWN = 20  # of each kind; `--format json` has all
MAX_REASON = 500  # characters


def epoch(
    *,
    drop: Annotated[
        list[str] | None, typer.Option("--drop", metavar="RUN|PATH", help="A run, or a file or folder of the ledger.")
    ] = None,
    because: Annotated[
        str, typer.Option("--because", metavar="TEXT", help="Why, for all to read and for ever: name nobody.")
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without: only say what would go.")] = False,
    env: EnvOption = "local",
    form: FormatOption = Format.TEXT,
) -> None:
    """Erase records: the ledger's history begins anew without them. Readers accept it as an epoch of the one before.

    Without --drop all files are kept: what was wrong with the commits before is left behind, and nothing else.
    Older clones, the host's copies and the artifacts still have them: "Erase a person's data" in
    https://github.com/mlgen/mlgen/blob/main/generator/guides/ledger.md
    """
    if len(because) > MAX_REASON or not because.isprintable():
        raise Misuse("bad-option", "--because is one line of text", fix=f"of at most {MAX_REASON} characters")
    records = open_records(Workspace.around(), env)
    ref = git.branch_ref(records.branch)
    with _git_errors(records.branch), Counting("reading") as counting, Batch() as batch:
        ledger = _open(records, ref)
        tip = ledger.refresh()
        waiting = _pending(records, insist=yes)
        names = (file.path for file in ledger.repository.tree_files(tip, "", repositories=True))
        gone = wanted(drop or (), chain(names, (waiting or {}).values()), env)
        survey = Survey(ledger.repository, gone, batch, lambda count: counting.say(f"{count:,} files"))
        survey.look(tip)
        number = ledger.number(tip)
        keys = None if waiting is None else [key for key, path in waiting.items() if gone.has(path)]
        root = None
        if yes:
            # First: what waits would else land again. If it is on the branch, too, it goes with it.
            forget(records.spool, keys or [])
        if yes and (survey.dropped or not drop):
            now = int(SystemClock().now().timestamp())
            move = partial(begin, survey, ledger.branches, ref, refresh=ledger.refresh)
            root = move(number=number, seconds=now, because=because)
    answer = {
        "epoch": number,
        "previous": survey.tip,
        "done": yes,
        "ledger": root or (tip if yes else None),
        "dropped": survey.dropped,
        "kept": survey.kept,
        "siblings": survey.siblings,
        "referring": survey.referring,
        "artifacts": survey.artifacts,
        "shared": survey.shared,
        "waiting": keys,
    }
    with answer_of_a_deed():
        if form is Format.JSON:
            answer_json(answer)
        else:
            sys.stdout.write("".join(visible(line) + "\n" for line in _lines(answer)))


@dataclass(frozen=True)
class _Ledger:
    """repository: where the epoch is made. branches: whose ref moves. refresh: brings the tip's files into the
    repository, and says its id. root: the commit that a tip's history begins with."""

    repository: Repository
    branches: Branches
    refresh: Callable[[], str]
    root: Callable[[str], bytes]

    def number(self, tip: str) -> int:
        """Of the epoch that would begin after a tip."""
        before = epochs.of_commit(self.root(tip))
        return 1 if before is None else before.number + 1


def _open(records: Records, ref: str) -> _Ledger:
    sign = signer(records.ledger)
    if records.ledger.url is not None:
        mirror = Mirror(records.ledger, lambda: records.signers)
        repository = replace(mirror.refresh(), signer=sign)

        def refresh() -> str:
            found = mirror.refresh()
            past.follow(
                mirror.remote, records.branch
            )  # so that `ledger verify` here knows the tip which the epoch names
            return _tip(found, ref, records)

        return _Ledger(repository, mirror.remote, refresh, lambda tip: _root_elsewhere(mirror, ref, tip))
    found = records.repository
    if found is None:
        raise _empty(records)
    here = replace(found, signer=sign)
    place = here.checked_out(records.branch)
    if place is not None:
        raise CannotAnswer(
            "ledger-checked-out",
            f'the ledger\'s branch "{records.branch}" is checked out in {place}',
            why="were it moved, the files there would look changed, and those that go would stay",
            fix="check out another branch there",
        )
    return _Ledger(here, here, lambda: _tip(here, ref, records), lambda tip: epochs.root_of(here, tip))


def _tip(repository: Repository, ref: str, records: Records) -> str:
    tip = repository.tip(ref)
    if tip is None:
        raise _empty(records)
    return tip


def _root_elsewhere(mirror: Mirror, ref: str, tip: str) -> bytes:
    ancestry = mirror.remote.ancestry
    ancestry.bring(ref, tip, whole=True)
    return ancestry.commit(ancestry.root(tip))


def _empty(records: Records) -> Misuse:
    fix = "`mlgen runs list` says what it has"
    return Misuse("unknown-run", f'the ledger of {records.environment.name} has no branch "{records.branch}"', fix=fix)


@contextmanager
def _git_errors(branch: str) -> Iterator[None]:
    try:
        yield
    except git.GitError as error:
        raise broken(branch, str(error)) from None


def _pending(records: Records, *, insist: bool) -> dict[str, str] | None:
    """As `pending`; None where the spool cannot be asked, unless we insist."""
    try:
        return pending(records.spool)
    except CannotAnswer as fault:
        if insist:
            raise
        note(f"what of it waits in the spool is not known: {fault.message}")
        return None


def _lines(answer: dict[str, Any]) -> Iterator[str]:
    done = answer["done"]
    yield from _some("dropped" if done else "would go", answer["dropped"])
    if answer["waiting"]:
        yield f"in the spool  {len(answer['waiting'])} copies{' forgotten' if done else ''}"
    yield from _some("stays, of the same runs", answer["siblings"])
    yield from _some("stays, and read what they made", answer["referring"])
    yield from _some("artifact, which stays in the bucket", answer["artifacts"])
    yield from _some("artifact, which stays, and that kept records read", answer["shared"])
    count, kept = len(answer["dropped"]), answer["kept"]
    if done and answer["ledger"] == answer["previous"]:
        yield "nothing of it is in the ledger: no epoch began"
    elif done:
        yield f"{count} dropped, {kept} kept: epoch {answer['epoch']} after {answer['previous']}"
        yield f"ledger  {answer['ledger']}"
        yield "clones, the host's own copies and backups still have them: see the guide, ledger.md"
    else:
        yield f"{count} would go, {kept} stay: epoch {answer['epoch']} after {answer['previous']}"
        yield "nothing was done; --yes does it"


def _some(word: str, paths: list[str]) -> Iterator[str]:
    yield from (f"{word}  {path}" for path in paths[:SHOWN])
    if len(paths) > SHOWN:
        yield f"{word}  and {len(paths) - SHOWN} more; --format json names all"
