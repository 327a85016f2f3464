"""`mlgen promote --to E`: an environment's pin moved and what follows from it rendered, for a pull request to show."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Annotated

import typer

from mlgen.cli.ledgers.records import environment_of
from mlgen.cli.main import new_app
from mlgen.cli.options import Format, FormatOption
from mlgen.cli.output import answer_json, answer_of_a_deed, note
from mlgen.cli.projects import pins, promotion, revisions
from mlgen.cli.projects.promotion import Move
from mlgen.cli.projects.rewriting import alone, rewrite
from mlgen.cli.projects.workspace import PROJECT_FILE, Workspace
from mlgen.cli.render import OUT
from mlgen.diagnostic import CannotAnswer, Findings, Misuse, failed, sentence
from mlgen.render.files import Changes, compare, scope_of, write
from mlgen.secrets.telling import without_secrets
from mlgen.spec.edit import with_pin
from mlgen.spec.project import Environment

app = new_app()


@app.command()
def promote(
    *,
    to: Annotated[list[str], typer.Option("--to", metavar="E", help="The environment whose pin moves. Repeatable.")],
    source: Annotated[
        str | None, typer.Option("--from", metavar="E", help="To what this one has: its pin, or HEAD without a pin.")
    ] = None,
    revision: Annotated[
        str | None, typer.Option("--revision", metavar="REV", help="To a commit; an earlier one rolls back.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
    form: FormatOption = Format.TEXT,
) -> None:
    """Pin an environment to a commit, and render it: a change of mlgen.yaml and tekton/ that a pull request shows.

    Without --from and --revision: to HEAD. Where nothing would be rendered otherwise at HEAD, the pin stays. mlgen.yaml
    is written last, so what was cut off is finished by the same command.
    """
    if source is not None and revision is not None:
        raise Misuse("options", "--from and --revision both say to which commit", fix="give one of them")
    if source is not None and source in to:
        fix = "name another environment, or a commit by --revision"
        raise Misuse("options", f'"{source}" has what it has: --from and --to are the same', fix=fix)
    workspace = Workspace.around()
    # As a whole: two at once would each render what the other's pin is not, and one of the pins would be lost.
    with nullcontext() if dry_run else alone(workspace):
        moves, changes, warnings = _promote(workspace, list(dict.fromkeys(to)), source, revision, dry_run=dry_run)
    with answer_of_a_deed():
        if form is Format.JSON:
            answer_json(_json(moves, changes, warnings, dry_run=dry_run))
        else:
            sys.stdout.write(
                "".join(f"{sentence(without_secrets(line))}\n" for line in _text(moves, changes, dry_run=dry_run))
            )


def _promote(
    workspace: Workspace, to: Sequence[str], source: str | None, revision: str | None, *, dry_run: bool
) -> tuple[list[Move], Changes, list[str]]:
    _check(workspace, to)
    commit, clean = _target(workspace, source, revision)
    before, moves = workspace.project_data, list[Move]()
    data = before
    for name in to:
        made = _pinned(data, name, commit)
        move = promotion.move_of(workspace, workspace.with_project(made), name, commit)
        if clean:
            promotion.refuse_dirty(workspace, move.rendering.plans, commit, to)
        if clean and move.same and move.old is not None:  # HEAD is later only by what is of no account here
            move = promotion.stayed(workspace, move)
        else:
            data = made
        moves.append(move)
    warnings = _warnings(workspace, moves)
    for warning in warnings:
        note(warning)
    changes = _render(workspace, moves, dry_run=dry_run)
    if data != before and not dry_run:
        _replace(workspace, before, data)
    return moves, changes, warnings


def _check(workspace: Workspace, to: Sequence[str]) -> None:
    """Raises Misuse for an environment that has no pin, Findings for mlgen.yaml; a pin that is to be moved is none."""
    ours = {workspace.pin_of(e) for e in workspace.project_as_read.environments if e.name in to}
    found = [one for one in workspace.check([]) if one.span.file == PROJECT_FILE]
    found = [one for one in found if not (one.code == "bad-pin" and one.span in ours)]
    if failed(found):
        raise Findings(found)
    for name in to:
        environment = environment_of(workspace.project_as_read, name)
        if environment.namespace is None:
            why = "a run on this machine reads the files as they lie there"
            raise Misuse("bad-option", f'"{name}" is not rendered, so it has no pin', why=why, fix="name one with pods")


def _target(workspace: Workspace, source: str | None, revision: str | None) -> tuple[str, bool]:
    """The commit that is meant, and whether the work tree must be as it is: where it is what the files are."""
    repository = revisions.repository_of(workspace.repository, workspace.root)
    if revision is not None:
        return revisions.commit_of(repository, revision), False
    if source is not None:
        environment = environment_of(workspace.project_as_read, source)
        if environment.pin is not None:
            workspace.source_of(environment)  # raises where it is not here
            return environment.pin, False
    return revisions.commit_of(repository, "HEAD"), True


def _pinned(data: bytes, name: str, commit: str) -> bytes:
    made = with_pin(data, name, commit)
    if made is None:
        why = "its lines are written in a way that is not edited here"
        fix = f'write `pin: "{commit}"` into {name} of {PROJECT_FILE}, then mlgen render --env {name}'
        raise Misuse("not-edited", f"the pin of {name} cannot be moved in {PROJECT_FILE}", why=why, fix=fix)
    return made


def _warnings(workspace: Workspace, moves: Sequence[Move]) -> list[str]:
    repository = revisions.repository_of(workspace.repository, workspace.root)
    found = []
    for commit in dict.fromkeys(move.new for move in moves if move.moves):
        if (branch := promotion.unmerged(repository, commit)) is not None:
            what = f"{commit[: pins.SHORT]} is not on {branch}, as it was last fetched"
            found.append(f"{what}: merge it first, or others cannot render what is pinned to it, and a squash loses it")
    return found


def _render(workspace: Workspace, moves: Sequence[Move], *, dry_run: bool) -> Changes:
    """Write what is rendered. Raises Misuse "in-the-way" before anything is written."""
    root = workspace.own(OUT)
    files, plans, environments = dict[str, bytes](), [], list[Environment]()
    for move in moves:
        files |= move.rendering.files
        plans += move.rendering.plans
        environments += move.rendering.environments
    scope = scope_of(plans, environments, whole=True)
    if dry_run:
        differences = compare(root, files, scope)
        removed = tuple(one.path for one in differences if one.kind == "stale")
        written = tuple(one.path for one in differences if one.kind != "stale")
        return Changes(written, removed, len(files) - len(written))
    return write(root, files, scope)


def _replace(workspace: Workspace, before: bytes, data: bytes) -> None:
    """Put mlgen.yaml there. Raises CannotAnswer "project-changed" where it is not what it was before."""
    why = "somebody else wrote it while the environment was rendered"
    changed = CannotAnswer("project-changed", f"{PROJECT_FILE} is not changed", why=why, fix="run it again")
    rewrite(workspace, PROJECT_FILE, before, data, changed)


def _json(moves: Sequence[Move], changes: Changes, warnings: Sequence[str], *, dry_run: bool) -> dict[str, object]:
    return {
        "environments": [
            {
                "environment": move.environment,
                "from": move.old,
                "to": move.new,
                "moved": move.moves,
                "commits": move.commits,
                "subjects": [
                    {"commit": one.oid, "subject": sentence(without_secrets(one.text))} for one in move.subjects
                ],
                "pipelines": move.pipelines,
            }
            for move in moves
        ],
        "written": list(changes.written),
        "removed": list(changes.removed),
        "unchanged": changes.unchanged,
        "warnings": list(map(without_secrets, warnings)),
        "dryRun": dry_run,
    }


def _text(moves: Sequence[Move], changes: Changes, *, dry_run: bool) -> Iterator[str]:
    for move in moves:
        yield from _move_text(move)
    would = "would be " if dry_run else ""
    counts = f"{len(changes.written)} {would}written, {len(changes.removed)} {would}removed"
    yield f"{counts}, {changes.unchanged} unchanged in {OUT}/"
    moved = [move.environment for move in moves if move.moves]
    if moved and not dry_run:
        word = "pins" if len(moved) > 1 else "pin"
        yield f"{PROJECT_FILE} has the new {word}; see mlgen diff --base HEAD --env {moved[0]}"


def _move_text(move: Move) -> Iterator[str]:
    short = move.new[: pins.SHORT]
    if not move.moves:
        yield f"{move.environment}  stays at {short}: {_stays(move)}"
        return
    old = "the files as they are" if move.old is None else move.old[: pins.SHORT]
    yield f"{move.environment}  {old} → {short}{_distance(move)}"
    for one in move.subjects:
        yield f"  {'- ' if (move.commits or 0) < 0 else ''}{one.oid[: pins.SHORT]}  {one.text}"
    if move.commits is not None and abs(move.commits) > len(move.subjects):
        yield f"  … and {abs(move.commits) - len(move.subjects)} more"
    if move.pipelines is None:
        yield "  what it had before cannot be read"
    elif not any(move.pipelines.values()):
        yield "  no pipeline means anything else" if not move.same else "  it renders to the same files as before"
    else:
        yield from (f"  {word:8} {', '.join(names)}" for word, names in move.pipelines.items() if names)


def _stays(move: Move) -> str:
    return "it is there already" if move.later is None else f"{move.later[: pins.SHORT]} has nothing else for it"


def _distance(move: Move) -> str:
    if move.old is None:
        return ""
    if move.commits is None:
        return ", on another line of history"
    count = f"{abs(move.commits)} commit{'' if abs(move.commits) == 1 else 's'}"
    return f", back by {count}" if move.commits < 0 else f", {count}"
