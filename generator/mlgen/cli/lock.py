"""`mlgen lock [FILE|IMAGE…]`: tags that specs name, as digests in mlgen.lock."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mlgen import diagnostic
from mlgen.cli import output
from mlgen.cli.main import new_app
from mlgen.cli.options import Format, FormatOption
from mlgen.cli.projects import locking
from mlgen.cli.projects.locking import Changes
from mlgen.cli.projects.rewriting import alone, held, rewrite
from mlgen.cli.projects.sourcing import Change, update
from mlgen.cli.projects.workspace import LOCK_FILE, Workspace
from mlgen.diagnostic import CannotAnswer, Diagnostic, Misuse, Span, visible
from mlgen.registry.failure import Kind
from mlgen.registry.reference import IMAGE
from mlgen.review.change import ARROW, short
from mlgen.spec.lock_text import mended

app = new_app()

Given = Annotated[
    list[str] | None,
    typer.Argument(metavar="[FILE|IMAGE]...", help="Specs, without any all of pipelines/; with --upgrade, images too."),
]


@app.command()
def lock(
    given: Given = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 when mlgen.lock is behind the specs. Asks nobody.")
    ] = False,
    upgrade: Annotated[
        bool, typer.Option("--upgrade", help="Ask what every tag is now; with --check: say which have moved.")
    ] = False,
    insecure_registry: Annotated[
        list[str] | None, typer.Option(metavar="HOST[:PORT]", help="A registry that speaks plain http.")
    ] = None,
    form: FormatOption = Format.TEXT,
) -> None:
    """Pin what specs name elsewhere: the digests of images, and tasks of other repositories, in mlgen.lock.

    Of the `sources` of mlgen.yaml, what specs use is copied to vendor/, as it is at the commit that is pinned.

    Digests that are there stay, unless --upgrade is given; entries that nothing names go, when no FILE is given.
    Registries are asked for what is missing only, or for the images that are named, with the logins that `docker login`
    or `podman login` keeps; repositories with the credentials that git has. Of an image that no registry tells, the
    file says what it said before, and the exit is not 0.
    """
    files, images = _sorted(given or [], upgrade)
    workspace = Workspace.around(files)
    sources = [] if images else update(workspace, workspace.specs(files), upgrade=upgrade, check=check)
    if check and any(one.what in ("added", "fetched") for one in sources):
        _print(locking.changes({}, {}, {}, unused=(), unknown=()), [], sources, form, check=check)
        raise typer.Exit(1)
    workspace = workspace.afresh()
    before, lock = held(workspace, LOCK_FILE), workspace.lock
    places = locking.named(workspace, workspace.specs(files), environments=not files)
    if nowhere := sorted(set(images) - places.keys()):
        raise Misuse("no-such-file", f"there is no file {nowhere[0]}, and no spec names such an image")
    unused = [] if files or images else sorted(lock.keys() - places.keys())
    if images:
        places = {image: places[image] for image in images}
    wanted = [] if check and not upgrade else [image for image in places if upgrade or image not in lock]
    digests, failed = (
        locking.resolve(wanted, lock, places, locking.registries(insecure_registry or [])) if wanted else ({}, [])
    )
    if unused:
        places |= locking.entries(workspace, unused)
    unknown = [image for image in wanted if image not in digests]
    found = locking.changes(places, lock, digests, unused=unused, unknown=unknown)
    if not check and found.any:
        _write(workspace, before, found)
    _print(found, failed, sources, form, check=check)
    if failed:
        raise typer.Exit(1 if all(d.code == Kind.UNKNOWN for d in failed) else 3)
    behind = found.any or any(one.what != "kept" for one in sources)
    raise typer.Exit(1 if check and behind else 0)


def _sorted(given: list[str], upgrade: bool) -> tuple[list[Path], list[str]]:
    """The files and the images among the arguments."""
    images = [text for text in given if upgrade and not os.path.lexists(text) and not text.endswith(".yaml")]
    files = [Path(text) for text in given if text not in images]
    for text in () if upgrade else given:
        if ":" in text and not os.path.lexists(text) and IMAGE.fullmatch(text):
            fix = f"mlgen lock --upgrade {text}, for what that image is now; without --upgrade, specs are named"
            raise Misuse("no-such-file", f"there is no file {text}", fix=fix)
    if files and images:
        raise Misuse("options", "files and images are named at once", fix="name the one or the other")
    return files, images


def _write(workspace: Workspace, before: bytes | None, found: Changes) -> None:
    """Write mlgen.lock, whole or not at all. before: its bytes when it was read."""
    try:
        data = mended(before, {**found.added, **found.changed}, found.removed)
    except ValueError as error:
        fix = "write `images` with a line `reference: digest` for each; comments may stand above them and behind"
        raise CannotAnswer("lock-layout", f"{LOCK_FILE} is not changed: {error}", fix=fix) from None
    why = "somebody else wrote it while registries were asked"
    changed = CannotAnswer("lock-changed", f"{LOCK_FILE} is not changed", why=why, fix="run it again")
    with alone(workspace):
        rewrite(workspace, LOCK_FILE, before, data, changed)


def _answer(found: Changes, failed: list[Diagnostic], sources: list[Change], *, written: bool) -> dict[str, object]:
    lists = {
        "added": [_json(found, image, new or None) for image, new in found.added.items()],
        "changed": [_json(found, image, new) for image, new in found.changed.items()],
        "removed": [_json(found, image, None) for image in found.removed],
        "kept": [_json(found, image, found.before[image]) for image in found.kept],
        "unknown": [_json(found, image, None) for image in found.unknown],
    }
    told = {"sources": [_source_json(one) for one in sources]} if sources else {}
    return {**lists, "failed": [diagnostic.to_json(d) for d in failed], **told, "written": written}


def _source_json(one: Change) -> dict[str, object]:
    return {
        "name": one.name,
        "what": one.what,
        "old": asdict(one.old) if one.old else None,
        "new": asdict(one.new) if one.new else None,
        "place": _place(one.place) if one.place else None,
    }


def _print(found: Changes, failed: list[Diagnostic], sources: list[Change], form: Format, *, check: bool) -> None:
    if form is Format.JSON:
        written = found.any or any(one.what != "kept" for one in sources)
        output.answer_json(_answer(found, failed, sources, written=written and not check))
        return
    if failed:
        output.findings_to_stderr(failed)
    words = ("missing", "moved", "unused") if check else ("added", "changed", "removed")
    added, before = found.added.items(), found.before
    lines = list(_source_lines(sources, check=check))
    lines += [f"{words[0]:8} {image}  {short(digest) if digest else _where(found, image)}" for image, digest in added]
    lines += [f"{words[1]:8} {i}  {short(before[i])} {ARROW} {short(digest)}" for i, digest in found.changed.items()]
    lines += [f"{words[2]:8} {image}{f'  {_where(found, image)}' if check else ''}" for image in found.removed]
    counts = zip((*words, "not known"), (found.added, found.changed, found.removed, found.unknown), strict=True)
    told = ", ".join(f"{len(images)} {word}" for word, images in counts if images)
    kept = len(found.kept) + sum(one.what == "kept" for one in sources)
    moved = found.changed or any(one.what == "changed" for one in sources)
    mending = found.any or any(one.what != "kept" for one in sources)
    fix = f"; to mend: mlgen lock{' --upgrade' if moved else ''}" if check and mending else ""
    lines.append(f"{LOCK_FILE}: {f'{told}, ' if told else ''}{kept} kept{fix}")
    sys.stdout.write("".join(f"{visible(line)}\n" for line in lines))


def _source_lines(sources: list[Change], *, check: bool) -> Iterator[str]:
    """A line for each source that is not as it was."""
    words = {"added": "missing", "fetched": "missing", "changed": "moved", "removed": "unused"} if check else {}
    for one in sources:
        commits = [side.commit[:12] for side in (one.old, one.new) if side]
        where = f"  {one.place}" if check and one.what in ("added", "fetched") and one.place else ""
        if one.what != "kept":
            told = f" {ARROW} ".join(dict.fromkeys(commits))
            yield f"{words.get(one.what, one.what):8} {one.name}  {told}".rstrip() + where


def _where(found: Changes, image: str) -> str:
    return str(found.places[image][0])


def _json(found: Changes, image: str, new: str | None) -> dict[str, object]:
    """old and new: digests; null where there is none, or nobody asked, or nobody answered."""
    places = [_place(span) for span in found.places.get(image, ())]
    return {"image": image, "old": found.before.get(image), "new": new, "places": places}


def _place(span: Span) -> dict[str, object]:
    return {"file": span.file, "line": span.line, "column": span.column}
