"""`mlgen ledger verify`: whether a ledger is what its writers made it."""

from __future__ import annotations

import os
import re
import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from mlgen.cli.clock import SystemClock
from mlgen.cli.counting import Counting
from mlgen.cli.ledgers import verify_memory, verify_text
from mlgen.cli.ledgers.elsewhere import with_all_files, with_history
from mlgen.cli.ledgers.reconcile import grace_of
from mlgen.cli.ledgers.records import Records, open_records
from mlgen.cli.options import EnvOption, Format, FormatOption
from mlgen.cli.output import answer_json
from mlgen.cli.projects.workspace import Workspace
from mlgen.diagnostic import CannotAnswer, Misuse
from mlgen.git import GitError, Repository, branch_ref
from mlgen.ledger.faults import broken
from mlgen.ledger.folding.spool import Spool
from mlgen.ledger.verify.artifacts import check as check_artifacts
from mlgen.ledger.verify.finding import MOST, Finding, Found
from mlgen.ledger.verify.span import Terms
from mlgen.ledger.verify.verify import Asked, Verified
from mlgen.ledger.verify.verify import verify as verify_ledger
from mlgen.spec.project import Environment

PATIENCE_SECONDS = 10.0  # with a bucket that an auditor's machine may not reach
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_EXPECTED = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")

SinceOption = Annotated[
    str | None,
    typer.Option("--since", metavar="COMMIT|DATE", help="Only what came after a commit, or since a day (UTC)."),
]
ExpectOption = Annotated[
    str | None,
    typer.Option("--expect", metavar="ID", help="A commit, or a chain value kept elsewhere, that must be there."),
]


def verify(
    *,
    since: SinceOption = None,
    expect: ExpectOption = None,
    artifacts: Annotated[
        bool, typer.Option("--artifacts", help="Read the bytes of every artifact, and compare their digests.")
    ] = False,
    cluster: Annotated[
        bool, typer.Option("--cluster", help="Compare with the runs that the cluster still has.")
    ] = False,
    grace: Annotated[
        str, typer.Option("--grace", metavar="TIME", help="With --cluster: how long after an end it may be untold.")
    ] = "15m",
    full: Annotated[bool, typer.Option("--full", help="Walk all commits, also those verified before.")] = False,
    env: EnvOption = "local",
    form: FormatOption = Format.TEXT,
) -> None:
    """Verify that nothing in the ledger was changed: each commit, each record, all signatures. Exit 1 on findings."""
    records, wait = open_records(Workspace.around(), env), grace_of(grace)
    if cluster and not records.in_cluster:
        fix = "name an environment with a `namespace`"
        raise Misuse("bad-option", f'--cluster: "{env}" runs in no cluster', fix=fix)
    asked_since, expected = _since(since), _expected(expect)
    folder = verify_memory.folder_of(records)
    memory = verify_memory.recall(folder) if folder else None
    try:
        repository, verified = _verified(records, Asked(asked_since, expected, full, memory))
    except GitError as error:
        raise broken(records.branch, str(error)) from None
    found = verified.found if verified else Found()
    if verified is None and (memory or expected):
        known = expected or (memory.seen.commit if memory else "")
        found.add(Finding("ledger-rewritten", f'there is no branch "{records.branch}" any more; it had {known}'))
    held = memory is not None or asked_since is not None or expected is not None
    notes = _notes(verified, records, held=held, by_time=isinstance(asked_since, datetime))
    dead = _dead(records, found, notes)
    if verified is None and not found.count:
        raise _no_ledger(records)
    if folder and verified is not None and verified.memory is not None:
        verify_memory.remember(folder, verified.memory)
    elif folder and memory is not None:
        notes.append(f"what was verified before is kept in {folder}: remove it if the rewrite is meant")
    answer = _answer(verified, records, notes, dead)
    if artifacts and repository is not None and verified is not None:
        answer |= _artifacts(repository, verified, records, found)
    if cluster and repository is not None and verified is not None:
        from mlgen.cli.ledgers.verify_cluster import against  # here: most questions need no cluster

        answer |= against(repository, verified.tip, records, found, wait)
    answer |= _findings(found)
    if form is Format.JSON:
        answer_json(answer)
    else:
        sys.stdout.write(verify_text.text(answer))
    raise typer.Exit(1 if found.count else 0)


def _no_ledger(records: Records) -> CannotAnswer:
    return CannotAnswer(
        "no-ledger",
        f'there is no ledger to verify: {records.ledger.url or "this repository"} has no branch "{records.branch}"',
        why="nothing was recorded yet; or the branch was taken away, or has another name",
        fix="`mlgen run` makes the branch; if there was one, its host's log of pushes says who took it away",
    )


def _since(text: str | None) -> str | datetime | None:
    if text is None or _COMMIT.fullmatch(text):
        return text
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        fix = "a commit's id (7 digits of it, or more), a day such as 2026-11-28, or a time such as 2026-11-28T12:00Z"
        raise Misuse("bad-option", f"--since {text[:80]}: neither a commit's id nor a date", fix=fix) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _expected(text: str | None) -> str | None:
    if text is not None and not _EXPECTED.fullmatch(text):
        fix = "give a whole commit id, or the 64 digits after `chain` that `mlgen ledger verify` printed before"
        raise Misuse("bad-option", f"--expect {text[:80]}: neither a commit's id nor a chain value", fix=fix)
    return text


def _verified(records: Records, asked: Asked) -> tuple[Repository | None, Verified | None]:
    """The repository that has the ledger, and what is found there; None where there is none, or no branch."""
    ledger = records.ledger
    repository = records.repository if ledger.url is None else with_history(ledger, lambda: records.signers)
    tip = repository.tip(branch_ref(records.branch)) if repository else None
    if repository is None or tip is None:
        return repository, None
    if isinstance(asked.since, str) and not _EXPECTED.fullmatch(asked.since) and not repository.resolve(asked.since):
        fix = "`git log` of the ledger's branch lists them; give more digits, or all"
        raise Misuse("bad-option", f"--since {asked.since}: no commit here, or several, begin so", fix=fix)
    verified = _verify(repository, tip, records, asked)
    if ledger.url is not None and "missing-bytes" in verified.found.counts:
        # Of a file that a commit changed or took away, the newest one does not have the bytes, and a host may.
        repository = with_all_files(ledger, repository)
        verified = _verify(repository, tip, records, asked)
    return repository, verified


def _verify(repository: Repository, tip: str, records: Records, asked: Asked) -> Verified:
    terms = Terms(records.signers, _elsewhere(records))
    with Counting("verifying") as counting:
        return verify_ledger(
            repository,
            tip,
            terms,
            asked,
            now=SystemClock().now(),
            jobs=os.cpu_count() or 1,
            on_progress=lambda commits, count: counting.say(f"{commits:,} commits, {count:,} records"),
        )


def _environments(records: Records) -> list[Environment]:
    known = {e.name: e for e in (Environment("local"), *records.workspace.project.environments, records.environment)}
    return list(known.values())


def _elsewhere(records: Records) -> frozenset[str]:
    """The environments of mlgen.yaml whose records belong to other ledgers."""
    place = (records.ledger.url, records.ledger.branch)
    return frozenset(e.name for e in _environments(records) if (e.ledger.url, e.ledger.branch) != place)


def _dead(records: Records, found: Found, notes: list[str]) -> int | None:
    """How many records could not land; None where that cannot be seen from here."""
    try:
        spool = Spool(records.open_at(records.environment.artifacts, patience_seconds=PATIENCE_SECONDS))
        dead = spool.dead()
        told = dead[:MOST]
        reasons = dict(zip(told, spool.reasons(told), strict=True))
    except CannotAnswer as fault:
        notes.append(f"records that could not land are not looked for: {fault.message}")
        return None
    for key in dead:
        said = ": ".join(part for part in reasons.get(key, ()) if part)
        found.add(Finding("dead-letter", said or "nothing says why", "", key))
    return len(dead)


def _notes(verified: Verified | None, records: Records, *, held: bool, by_time: bool) -> list[str]:
    """What is no finding, and should be known.

    held: whether something that was known before was compared. by_time: whether commits were chosen by what they say.
    """
    if verified is None:
        return []
    walked, notes = verified.walked, []
    if by_time:
        notes.append(
            "commits were chosen by their own times, which their makers wrote: a commit's id is sure, as --since"
        )
    if verified.memory is not None and not held:
        notes.append(
            "nothing verified before was continued here: a history that was rewritten earlier, consistently, is found "
            "only by --expect with a chain value that was kept elsewhere"
        )
    if unchecked := walked.signatures.get("unchecked"):
        notes.append(f"{unchecked:,} commits are signed, and ledger.signers of mlgen.yaml does not say by whose keys")
    if walked.has_signed and walked.stretches[0].how == "unsigned":
        first = walked.stretches[0]
        notes.append(
            f"the first {first.commits:,} commits, up to {first.last}, are not signed: signing began after them"
        )
    if walked.odd_times:
        oid, what = walked.odd_times[0]
        others = f" and {len(walked.odd_times) - 1} more" if walked.odd_times[1:] else ""
        notes.append(f"commit {oid}{others}: its time is {what}; clocks differ, or somebody wrote the time by hand")
    known = {environment.name for environment in _environments(records)}
    for name, count in sorted(walked.environments.items()):
        if name not in known:
            notes.append(f"{count:,} records are of the environment {name[:80]}, which mlgen.yaml does not have")
    return notes


def _answer(verified: Verified | None, records: Records, notes: list[str], dead: int | None) -> dict[str, Any]:
    walked = verified.walked if verified else None
    return {
        "ledger": verified.tip if verified else None,
        "branch": records.branch,
        "chain": (verified.chain or None) if verified else None,
        "since": verified.since if verified else None,
        "remembered": verified.remembered if verified else False,
        "epoch": verified.epoch.number if verified and verified.epoch else None,
        "commits": walked.commits if walked else 0,
        "records": walked.records if walked else 0,
        "environments": walked.environments if walked else {},
        "signatures": walked.signatures if walked else {},
        "signers": walked.principals if walked else {},
        "stretches": [
            {"how": one.how, "first": one.first, "last": one.last, "commits": one.commits}
            for one in (walked.stretches if walked else ())
        ],
        "dead": dead,
        "notes": notes,
    }


def _findings(found: Found) -> dict[str, Any]:
    return {
        "findings": [
            {
                "code": one.code,
                "message": one.message,
                "commit": one.commit or None,
                "path": one.path or None,
                "why": one.kind.why,
                "fix": one.kind.fix,
            }
            for one in found.kept
        ],
        "counts": dict(sorted(found.counts.items())),
    }


def _artifacts(repository: Repository, verified: Verified, records: Records, found: Found) -> dict[str, Any]:
    place = (records.ledger.url, records.ledger.branch)
    here = [e for e in _environments(records) if (e.ledger.url, e.ledger.branch) == place]
    stores = {store.uri: store for store in (Records(records.workspace, e).store for e in here)}
    since = None if verified.remembered else verified.since
    with Counting("reading") as counting:
        checked = check_artifacts(
            repository,
            verified.tip,
            stores,
            found,
            since=since,
            on_progress=lambda count, size: counting.say(f"{count:,} artifacts, {size / 1e9:,.1f} GB"),
        )
    return {
        "artifacts": {
            "right": checked.artifacts,
            "sizeBytes": checked.size_bytes,
            "collected": checked.collected,
            "elsewhere": checked.elsewhere,
        }
    }
