"""Params and inputs: defaults that fit, URIs that can be read, digests that are true."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mlgen.diagnostic import Diagnostic
from mlgen.spec.build import DIGEST
from mlgen.spec.checks.context import Context, a
from mlgen.spec.checks.nearby import as_written
from mlgen.spec.model import Input, Param, Pipeline, Place
from mlgen.spec.paths import resolve
from mlgen.values import Type, argument_problem, range_problem, value_problem

BUCKET_SCHEMES = ("s3", "gs", "az")
LATER_SCHEMES = ("https", "http", "hf", "run", "model")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://?")
_BUCKET_URI = re.compile(rf"(?:{'|'.join(BUCKET_SCHEMES)})://[A-Za-z0-9][A-Za-z0-9._-]{{1,221}}/[^\s?#\\]{{1,1024}}")


STARTS = "paths with ./ or ../ start at the spec's folder, others at the folder of mlgen.yaml"
RELATIVE = "write the path from the folder of mlgen.yaml on, with / between its parts and none before them"


def params(pipeline: Pipeline, _context: Context) -> Iterator[Diagnostic]:
    """A param's own parts agree: type, default, choices, minimum, maximum."""
    for param in pipeline.params.values():
        yield from param_parts(param)


def param_parts(param: Param) -> Iterator[Diagnostic]:
    """The findings of one param, or of one in of a task file."""
    place, kind = param.place, param.type
    if kind is None:
        if param.choices and isinstance(place.value, dict) and "type" not in place.value:
            message = f'the choices of "{param.name}" are of different types'
            yield (place / "choices").finding("bad-choices", message, fix="write `type:` and choices of that type")
        return
    misplaced = [key for key in ("minimum", "maximum") if getattr(param, key) is not None and not kind.is_number]
    for key in misplaced:
        message = f'"{param.name}" is {a(kind)}: only numbers have a {key}'
        yield (place / key).finding("bad-range", message, fix="remove it, or write `choices`")
    if not misplaced and _above(param.minimum, param.maximum):
        message = f'the minimum of "{param.name}" is above its maximum: no value fits'
        yield (place / "minimum").finding("bad-range", message, fix="exchange them")
        return
    for index, choice in enumerate(param.choices):
        if problem := value_problem(kind, choice) or range_problem(param, choice):
            message = f'a choice of "{param.name}" does not fit: {problem}'
            yield (place / "choices" / index).finding("bad-choices", message, fix="change it, or what the param allows")
    yield from _default(param)


def _above(low: float | None, high: float | None) -> bool:
    return low is not None and high is not None and low > high


def _default(param: Param) -> Iterator[Diagnostic]:
    where = param.place / "default" if isinstance(param.place.value, dict) else param.place
    if param.default is None or param.type is None:
        return
    problem = argument_problem(param, param.default)
    if param.type is not Type.JSON and isinstance(where.value, list | dict):
        problem = f"it is a {'list' if isinstance(where.value, list) else 'map'}, not {a(param.type)}"
    if problem:
        message, why = (
            f'the default of "{param.name}" does not fit: {problem}',
            "a run that gives no value would fail at once",
        )
        yield where.finding("bad-default", message, why, "change it, or what the param allows")


def split_digest(uri: str) -> tuple[str, str | None]:
    """A URI and the digest it may end with: `s3://b/k@sha256:…`."""
    head, at, digest = uri.rpartition("@")
    return (head, digest) if at and DIGEST.fullmatch(digest) else (uri, None)


def is_remote(uri: str) -> bool:
    """Whether a URI has a scheme; otherwise it is a path in the repository."""
    return _SCHEME.match(uri) is not None or uri.partition(":")[0] in LATER_SCHEMES


def inputs(pipeline: Pipeline, context: Context) -> Iterator[Diagnostic]:
    """An input's URI is of a kind that is read, its path is in the repository, its digest true."""
    for item in pipeline.inputs.values():
        if item.digest is not None and not DIGEST.fullmatch(item.digest):
            fix = digest_fix(item.digest, " (`sha256sum FILE` prints them)")
            yield (item.place / "digest").finding("bad-digest", f'"{item.digest[:80]}" is not a digest', fix=fix)
        if item.uri is not None:
            yield from _uri(item, item.uri, context)


def digest_fix(written: str, whence: str = "") -> str:
    """How to mend a text that is no digest. whence: where digests come from, in brackets."""
    if re.fullmatch(r"(?i:sha256:)?[0-9A-Fa-f]{64}", written):
        return f"write sha256:{written[-64:].lower()}"
    return f'write "sha256:" and 64 hex digits{whence}'


def _uri(item: Input, given: str, context: Context) -> Iterator[Diagnostic]:
    uri, digest = split_digest(given)
    place = item.place / "uri" if isinstance(item.place.value, dict) else item.place
    if digest is not None and item.digest is not None and digest != item.digest and DIGEST.fullmatch(item.digest):
        message = f'the input "{item.name}" has two digests, here and at the end of its uri'
        yield (item.place / "digest").finding("digest-mismatch", message, "no bytes have both", "remove the wrong one")
        return
    if is_remote(uri):
        yield from _remote(uri, place)
        return
    try:
        path = resolve(uri, item.place.document.file)
    except ValueError as error:
        yield place.finding("bad-uri", str(error), "an input without a scheme is a path in the repository", RELATIVE)
        return
    kind = context.files.kind(path)
    if kind == "escape":
        yield left_repository(uri, place)
    elif kind is None:
        guess = as_written(uri, item.place.document.file, context.files, "file", "folder")
        fix = f"write {guess}" if guess else "write the path of a file that Git tracks"
        yield place.finding("no-such-path", f'there is no "{path[:80]}"', STARTS, fix)
    else:
        yield from _bytes(item, place, path, digest or item.digest, context)


def _remote(uri: str, place: Place) -> Iterator[Diagnostic]:
    scheme = uri.partition(":")[0]
    if scheme in LATER_SCHEMES:
        fix = "copy the bytes into a bucket"
        yield place.finding("scheme-not-yet", f"inputs from {scheme}: are not supported yet", fix=fix)
    elif not _BUCKET_URI.fullmatch(uri) or not uri.isprintable() or {".", ".."} & set(uri.split("/")):
        fix = "write s3://bucket/key, gs://bucket/key, az://container/key, or a path in the repository"
        yield place.finding("bad-uri", f'"{uri[:80]}" cannot be an input', fix=fix)


def left_repository(path: str, place: Place) -> Diagnostic:
    """The finding for a path that leads outside."""
    why = "a spec reads only what is reviewed with it"
    fix = "put what it names into the repository, or a file into a bucket"
    return place.finding("path-escape", f'"{path[:80]}" leaves the repository', why, fix)


def _bytes(item: Input, place: Place, path: str, digest: str | None, context: Context) -> Iterator[Diagnostic]:
    try:
        actual = context.files.sha256(path)
    except ValueError as error:
        why = "an input is files that are reviewed with the spec: what a link, Git or a run holds is not"
        yield place.finding(
            "path-escape", str(error), why, "write the path of a folder that holds the files themselves"
        )
        return
    if digest is not None and DIGEST.fullmatch(digest) and actual != digest:
        where = item.place / "digest" if item.digest else place
        message = f'"{path[:80]}" has other bytes than its digest says'
        fix = f"restore the file, or write digest: {actual}"
        if item.digest is None:
            fix = f"restore the file, or write {split_digest(str(place.value))[0]}@{actual}"
        yield where.finding(
            "digest-mismatch", message, "a run would read other bytes than those that were reviewed", fix
        )
