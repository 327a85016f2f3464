"""`mlgen lock` for the sources of mlgen.yaml: which of them are behind, and fetched."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mlgen.cli.projects import carrying
from mlgen.cli.projects.carrying import Wanted
from mlgen.cli.projects.rewriting import alone
from mlgen.cli.projects.workspace import PROJECT_FILE, Workspace
from mlgen.diagnostic import Span
from mlgen.spec.model import Place
from mlgen.spec.sources import COMMIT, Locked


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a source. old, new: None where there is none; new is None also where nobody asked yet.

    what: "added", "changed", "fetched" (the same commit, but other files of it are used, or were changed here),
    "removed" or "kept". place: in mlgen.yaml.
    """

    name: str
    what: str
    old: Locked | None
    new: Locked | None
    place: Span | None


def update(workspace: Workspace, paths: Iterable[str], *, upgrade: bool, check: bool) -> list[Change]:
    """Bring vendor/ and mlgen.lock to what specs use. check: only say what would be done; nobody is asked, but for
    an upgrade.

    Raises Findings where mlgen.yaml has errors, or a source does not have what is used of it; CannotAnswer.
    """
    project, locked = workspace.project, workspace.locked
    if not project.sources and not locked:
        return []
    used = carrying.wanted(workspace, paths)
    if check:
        return [*(_seen(workspace, one, upgrade=upgrade) for one in used.values()), *_unused(workspace, used)]
    changes = []
    with alone(workspace):
        workspace = workspace.afresh()  # who wrote it meanwhile may have done all of this
        for one in used.values():
            change = _brought(workspace, one, upgrade=upgrade)
            changes.append(change)
            if change.what != "kept" and change.new is not None:
                carrying.pin(workspace, {**workspace.afresh().locked, one.name: change.new})
        unused = _unused(workspace, used)
        for change in unused:
            carrying.remove(workspace, change.name)
        if unused:
            gone = {change.name for change in unused}
            carrying.pin(workspace, {n: one for n, one in workspace.afresh().locked.items() if n not in gone})
    return [*changes, *unused]


def _seen(workspace: Workspace, one: Wanted, *, upgrade: bool) -> Change:
    """What a source would become."""
    old, place = workspace.locked.get(one.name), _place(workspace, one.name)
    if not carrying.is_here(workspace, one):
        return Change(one.name, _what(workspace, one, old, None), old, None, place)
    assert old is not None, "it is pinned"
    if upgrade and not COMMIT.fullmatch(old.ref):
        from mlgen.cli.projects.fetching import Fetcher  # here: most calls ask nobody

        commit = Fetcher(one.name, workspace.project.sources[one.name]).at_ref().commit
        if commit != old.commit:
            return Change(one.name, "changed", old, Locked(old.url, old.ref, commit, ""), place)
    return Change(one.name, "kept", old, old, place)


def _brought(workspace: Workspace, one: Wanted, *, upgrade: bool) -> Change:
    """A source fetched where it is behind."""
    from mlgen.cli.projects.fetching import At, Fetcher  # here: most calls ask nobody

    old, source, place = (
        workspace.locked.get(one.name),
        workspace.project.sources[one.name],
        _place(workspace, one.name),
    )
    is_same = old is not None and (old.url, old.ref) == (source.url, source.ref)
    is_here = carrying.is_here(workspace, one)
    if is_here and (not upgrade or COMMIT.fullmatch(source.ref)):
        return Change(one.name, "kept", old, old, place)
    carrying.check_free(workspace, one.name)
    fetcher = Fetcher(one.name, source)
    at = At(old.commit, old.commit) if old is not None and is_same and not upgrade else fetcher.at_ref()
    if is_here and old is not None and at.commit == old.commit:
        return Change(one.name, "kept", old, old, place)
    digest = carrying.write(workspace, one.name, fetcher.files(at, one))
    new = Locked(source.url, source.ref, at.commit, digest)
    return Change(one.name, _what(workspace, one, old, new), old, new, place)


def _what(workspace: Workspace, one: Wanted, old: Locked | None, new: Locked | None) -> str:
    if old is None:
        return "added"
    source = workspace.project.sources[one.name]
    same = (old.url, old.ref) == (source.url, source.ref) and (new is None or new.commit == old.commit)
    return "fetched" if same else "changed"


def _unused(workspace: Workspace, used: Iterable[str]) -> list[Change]:
    """The sources of mlgen.lock that no spec uses any more."""
    gone = sorted(workspace.locked.keys() - set(used))
    return [Change(name, "removed", workspace.locked[name], None, _place(workspace, name)) for name in gone]


def _place(workspace: Workspace, name: str) -> Span | None:
    if name not in workspace.project.sources:
        return None
    return Place(workspace.document(PROJECT_FILE), ("sources", name)).key_span
