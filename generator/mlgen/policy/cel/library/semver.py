"""Semantic versions. Source: k8s.io/apiserver/pkg/cel/library/semverlib.go, over blang/semver."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from mlgen.policy.cel.signatures import Implementation
from mlgen.policy.cel.values import Wordless

_NUMBER = r"(0|[1-9][0-9]*)"
_SEMVER = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?"
)
_LARGEST = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Semver:
    """pre: the identifiers before a release. What follows `+` orders nothing."""

    major: int
    minor: int
    patch: int
    pre: tuple[str, ...]
    cel_type: ClassVar[str] = "kubernetes.Semver"


def _parse(text: str, normalize: bool = False) -> Semver | None:
    if normalize:
        text = _normal(text)
    match = _SEMVER.fullmatch(text)
    if match is None:
        return None
    pre = tuple(match[4].split(".")) if match[4] else ()
    if any(p.isdigit() and len(p) > 1 and p[0] == "0" for p in pre):
        return None
    numbers = [int(match[n]) for n in (1, 2, 3)]
    return None if max(numbers) > _LARGEST else Semver(numbers[0], numbers[1], numbers[2], pre)


def _normal(text: str) -> str:
    text = text.removeprefix("v")
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+){0,2})([-+].*)?", text)
    if match is None:
        return text
    numbers = [n.lstrip("0") or "0" for n in match[1].split(".")]
    if len(numbers) < 3 and match[2]:
        return text
    return ".".join([*numbers, "0", "0"][:3]) + (match[2] or "")


def _semver(text: str, normalize: bool = False) -> Semver:
    found = _parse(text, normalize)
    if found is None:
        # The cluster's error names the flaw; which of several, is its parser's own.
        raise Wordless(f"{text} is no semantic version")
    return found


def _key(part: str) -> tuple[int, int, str]:
    return (0, int(part), "") if part.isdigit() else (1, 0, part)


def _compare(a: Semver, b: Semver) -> int:
    left, right = (a.major, a.minor, a.patch), (b.major, b.minor, b.patch)
    if left != right:
        return 1 if left > right else -1
    if bool(a.pre) != bool(b.pre):
        return -1 if a.pre else 1
    before, after = [_key(p) for p in a.pre], [_key(p) for p in b.pre]
    return (before > after) - (before < after)


FUNCTIONS: dict[str, Implementation] = {
    "semver(string) -> semver": _semver,
    "semver(string,bool) -> semver": _semver,
    "isSemver(string) -> bool": lambda text: _parse(text) is not None,
    "isSemver(string,bool) -> bool": lambda text, normalize: _parse(text, normalize) is not None,
    "<semver>.major() -> int": lambda v: v.major,
    "<semver>.minor() -> int": lambda v: v.minor,
    "<semver>.patch() -> int": lambda v: v.patch,
    "<semver>.compareTo(semver) -> int": _compare,
    "<semver>.isLessThan(semver) -> bool": lambda a, b: _compare(a, b) < 0,
    "<semver>.isGreaterThan(semver) -> bool": lambda a, b: _compare(a, b) > 0,
}
