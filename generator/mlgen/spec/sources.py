"""Other repositories whose tasks specs use: what mlgen.yaml asks for, and what mlgen.lock has of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mlgen.canonical import folder_digest
from mlgen.diagnostic import Diagnostic, Misuse, Span
from mlgen.git import check_url
from mlgen.spec.checks.names import NODE, rename
from mlgen.spec.document import Document
from mlgen.spec.model import Files, Place
from mlgen.spec.paths import VENDOR
from mlgen.spec.project import SourceRepository

COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]{0,200}")
_NO_REF = re.compile(r"\.\.|//|/\.|\.lock(/|$)|[./]$")  # what git-check-ref-format(1) refuses


@dataclass(frozen=True, slots=True)
class Locked:
    """A source as it was fetched. digest: of its folder in vendor/."""

    url: str
    ref: str
    commit: str
    digest: str


def build_sources(top: dict[str, Any], place: Place, found: list[Diagnostic]) -> dict[str, SourceRepository]:
    """`sources` of mlgen.yaml; what cannot be one is told and left out."""
    sources, given = {}, top.get("sources")
    for name, value in (given if isinstance(given, dict) else {}).items():
        url, ref = (value.get("url"), value.get("ref")) if isinstance(value, dict) else (None, None)
        if not isinstance(url, str) or not isinstance(ref, str) or not url or not ref:
            continue  # told with the shape
        problems = list(_problems(name, url, ref, place / "sources" / name))
        found += problems
        if not problems:
            sources[name] = SourceRepository(url, ref)
    return sources


def _problems(name: str, url: str, ref: str, place: Place) -> Iterator[Diagnostic]:
    if not NODE.fullmatch(name) or len(name) > 40:
        why = "it is the name of a folder, and stands before the / of `use`"
        yield place.key_finding("bad-name", f'"{name[:80]}" is not a name for a source', why, rename(name, "-"))
    try:
        check_url(url)
    except Misuse as error:
        at = place / "url"
        found = at.finding(
            "bad-source", error.message, error.why, error.fix.replace("name a Secret in ledger.secret; ", "")
        )
        yield Diagnostic(found.code, found.message, found.span, found.why, found.fix, secret=True)
    if not _REF.fullmatch(ref) or _NO_REF.search(ref):
        why = "it is asked of the repository as it stands"
        fix = "write the name of a branch or tag, such as v3, or the full id of a commit"
        yield (place / "ref").finding("bad-source", f'"{ref[:80]}" is no branch, tag or commit', why, fix)


def build_locked(document: Document) -> dict[str, Locked]:
    """`sources` of a mlgen.lock; what is not whole is left out: its shape was told."""
    top = document.data if isinstance(document.data, dict) else {}
    given = top.get("sources")
    found = {}
    for name, value in (given if isinstance(given, dict) else {}).items():
        parts = [value.get(key) for key in ("url", "ref", "commit", "digest")] if isinstance(value, dict) else []
        texts = [part for part in parts if isinstance(part, str)]
        if len(texts) == 4 and NODE.fullmatch(name):
            found[name] = Locked(*texts)
    return found


def fault(
    name: str, wanted: SourceRepository | None, locked: Mapping[str, Locked], files: Files, span: Span
) -> Diagnostic | None:
    """Why the files of a source are not those that were pinned. wanted: what mlgen.yaml says; None: nobody asks.

    span: where it is told.
    """
    have = locked.get(name)
    if have is None or (wanted is not None and (have.url, have.ref) != (wanted.url, wanted.ref)):
        message = f"mlgen.lock does not pin {name}"
        if have is not None and wanted is not None:
            message = f'mlgen.lock pins {name} at "{have.ref}" of {have.url}, not at "{wanted.ref}"'
            message += "" if have.url == wanted.url else f" of {wanted.url}"
        why = "what runs is what was reviewed: a commit, and its files in this repository"
        return Diagnostic("source-not-locked", message, span, why, "mlgen lock")
    folder = f"{VENDOR}/{name}"
    try:
        digest = folder_digest(files.listing(folder)) if files.kind(folder) == "folder" else ""
    except ValueError as error:
        digest, why = "", f"{error}; what lies there was fetched from {have.commit[:12]}"
    else:
        why = f"they were fetched from {have.commit[:12]}, and a change is made there" if digest else "it is not there"
    if digest == have.digest:
        return None
    message = f"the files in {folder} are not those that mlgen.lock pins"
    fix = "mlgen lock, which fetches them again"
    if digest:
        fix += "; where Git ignores some of them, let it not"
    return Diagnostic("source-changed", message, span, why, fix)
