"""What mlgen.lock should hold: the images that specs name by a tag, and where; what is asked of registries for them."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from mlgen.cli.output import coloured
from mlgen.cli.projects.workspace import LOCK_FILE, PROJECT_FILE, Workspace
from mlgen.diagnostic import Diagnostic, Related, Span
from mlgen.registry.failure import Failure, Kind
from mlgen.registry.reference import HUB, IMAGE, Reference, parse
from mlgen.spec.checks.context import listed
from mlgen.spec.model import Place

if TYPE_CHECKING:  # it brings what speaks HTTP, which only who asks needs
    from mlgen.registry.client import Registries

AT_ONCE = 8
SECONDS = 90  # for an image, with all tries
SHOWN_PLACES, SHOWN_TAGS = 3, 6

Places = Mapping[str, Sequence[Span]]


@dataclass(frozen=True, slots=True)
class Changes:
    """Of a lock, each by image, sorted. added and changed have the new digests; "": nobody asked for it.

    unknown: which registries were asked for, and told nothing of; what the lock has of them stays, and is in no other.
    before: the lock as it is. places: where images are named; of those that no file names, their entries.
    """

    added: Mapping[str, str]
    changed: Mapping[str, str]
    removed: Sequence[str]
    kept: Sequence[str]
    unknown: Sequence[str]
    before: Mapping[str, str]
    places: Places

    @property
    def any(self) -> bool:
        return bool(self.added or self.changed or self.removed)


def named(workspace: Workspace, paths: Sequence[str], *, environments: bool) -> dict[str, list[Span]]:
    """The images that are named by a tag, and where, sorted. environments: those of mlgen.yaml, too.

    Raises Findings when a file has errors: what it names cannot be told.
    """
    found: dict[str, list[Span]] = {}
    settings = [task.settings.get("image") for task in workspace.tasks(paths)]
    places = [(str(setting.value), setting.place.span) for setting in settings if setting]
    for e in workspace.project.environments if environments else ():
        if e.runtime_image is not None:
            place = Place(workspace.document(PROJECT_FILE), ("environments", e.name, "runtime_image"))
            places.append((str(place.value), place.span))
    for image, span in sorted(places):
        if (match := IMAGE.fullmatch(image)) and not match["digest"]:
            spans = found.setdefault(image, [])
            if span not in spans:  # one of `defaults` is that of many tasks
                spans.append(span)
    return found


def entries(workspace: Workspace, images: Iterable[str]) -> dict[str, list[Span]]:
    """Where mlgen.lock has these images."""
    document = workspace.document(LOCK_FILE)
    return {image: [document.key_span(("images", image))] for image in images}


def registries(insecure: Iterable[str]) -> Registries:
    """The registries, as this user asks them: with the logins of docker and podman, through the proxy."""
    # Here: what speaks HTTP takes 0.1 s to import, and most calls ask nobody.
    from urllib.request import getproxies_environment

    from mlgen.registry.client import Registries
    from mlgen.registry.credentials import Credentials
    from mlgen.registry.transport import Transport

    return Registries(Transport(getproxies_environment(), frozenset(insecure)), Credentials.of(os.environ))


def resolve(
    images: Sequence[str], lock: Mapping[str, str], places: Places, asked: Registries
) -> tuple[dict[str, str], list[Diagnostic]]:
    """The digests that images have now, and a finding for each that none is known of. All are asked, some at once."""
    from mlgen.registry.together import together  # here: as in `registries`

    spellings: dict[Reference, list[str]] = {}  # one image may be written in several ways
    for image in images:
        spellings.setdefault(parse(image), []).append(image)

    def ask(reference: Reference) -> str:
        known = {lock.get(image) for image in spellings[reference]}
        return asked.digest(reference, known.pop() if len(known) == 1 else None)

    digests, failures = dict[str, str](), dict[Reference, Failure]()
    progress = _Progress(len(spellings))
    for reference, answer in together(ask, list(spellings), at_once=AT_ONCE, seconds=SECONDS):
        progress.one_more()
        match answer:
            case str():
                digests |= dict.fromkeys(spellings[reference], answer)
            case Failure():
                failures[reference] = answer
            case None:
                failures[reference] = Failure(Kind.UNREACHABLE, f"{reference.host} has not answered in {SECONDS} s")
            case _:
                raise answer
    progress.end()
    tags = _tags([r for r, failure in failures.items() if failure.kind is Kind.UNKNOWN], asked)
    # A host that is not reached is told once, with all that it has; of anything else, each image is a thing of its own.
    groups: dict[tuple[str, ...], list[tuple[str, Reference]]] = {}
    for reference, failure in failures.items():
        for image in spellings[reference]:
            key = (failure.why, failure.fix) if failure.kind is Kind.UNREACHABLE else (failure.why, image)
            groups.setdefault(key, []).append((image, reference))
    found = [_finding(group, failures[group[0][1]], places, tags.get(group[0][1])) for group in groups.values()]
    return digests, sorted(found, key=lambda d: d.span)


def _tags(references: Sequence[Reference], asked: Registries) -> dict[Reference, Sequence[str]]:
    """Tags that there are, where that can be found out: it is for a hint."""
    from mlgen.registry.together import together  # here: as in `registries`

    answers = together(asked.tags, references, at_once=AT_ONCE, seconds=SECONDS)
    return {reference: found for reference, found in answers if isinstance(found, tuple)}


def _finding(
    group: Sequence[tuple[str, Reference]], failure: Failure, places: Places, tags: Sequence[str] | None
) -> Diagnostic:
    spans = sorted((span, image) for image, _ in group for span in places[image])
    (span, image), reference = spans[0], group[0][1]
    fix = failure.fix
    if failure.kind is Kind.DENIED and not fix:
        fix = f"`docker login{'' if reference.host == HUB else f' {reference.host}'}`, with a user who may read it"
    elif failure.kind is Kind.UNKNOWN:
        fix = _other_tag(reference, tags)
    elif failure.kind is Kind.ODD and not fix:
        fix = "see whether that host is a registry; `docker pull` says more"
    related = tuple(Related(f'"{name}" is named here', where) for where, name in spans[1 : 1 + SHOWN_PLACES])
    what = f'"{image}"' if len(group) == 1 else f'"{image}" and {len(group) - 1} more'
    message = (
        f'"{image}" is not there' if failure.kind is Kind.UNKNOWN else f"{reference.host} gave no digest of {what}"
    )
    return Diagnostic(failure.kind, message, span, failure.why, fix or "try again", related)


def _other_tag(reference: Reference, tags: Sequence[str] | None) -> str:
    if not tags:
        return f"push it, or mend the name: {reference.host} shows no tags of {reference.repository}"
    near = sorted(get_close_matches(reference.tag, tags, n=SHOWN_TAGS, cutoff=0.5))
    return (
        f"push it, or name another tag, such as {listed(near)}" if near else f"its tags: {listed(tags[-SHOWN_TAGS:])}"
    )


class _Progress:
    """A count on stderr, on a terminal only."""

    def __init__(self, all_: int) -> None:
        self._all, self._done, self._shown = all_, 0, all_ > 0 and coloured(sys.stderr)
        self._show()

    def one_more(self) -> None:
        self._done += 1
        self._show()

    def _show(self) -> None:
        if self._shown:
            sys.stderr.write(f"\rregistries asked for {self._done} of {self._all} images")
            sys.stderr.flush()

    def end(self) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")


def changes(
    places: Places,
    lock: Mapping[str, str],
    digests: Mapping[str, str],
    *,
    unused: Collection[str],
    unknown: Collection[str],
) -> Changes:
    """What becomes of a lock. digests: those that registries gave. unused: entries that no file names."""
    added = {image: digests.get(image, "") for image in sorted(places.keys() - lock.keys() - set(unknown))}
    moved = {image: digests[image] for image in sorted(digests.keys() & lock.keys()) if digests[image] != lock[image]}
    kept = sorted(lock.keys() - moved.keys() - set(unused) - set(unknown))
    return Changes(added, moved, sorted(unused), kept, sorted(unknown), lock, places)
