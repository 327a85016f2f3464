"""Regular expressions are RE2's, as in the cluster: `matches` asks Google's library; find is ours, for a subset."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from mlgen.policy.cel.meter import METER
from mlgen.policy.cel.signatures import Implementation
from mlgen.policy.cel.values import CelError, NotEvaluated


def spend(text: str, pattern: str) -> None:
    METER.pay((len(text) // 10 + 1) * (len(pattern) // 4 + 1))


@lru_cache(maxsize=1)
def _environment() -> Any:
    from cel_expr_python import cel  # here: 7 ms that nobody pays who has no policy

    return cel.NewEnv(variables={"s": cel.Type.STRING})


@lru_cache(maxsize=1000)
def _asks(pattern: str) -> Any:
    """A program of one pattern: it is not compiled anew for each text."""
    written = "".join(c if c.isalnum() and c.isascii() else f"\\U{ord(c):08x}" for c in pattern)
    return _environment().compile(f's.matches("{written}")')


@lru_cache(maxsize=100_000)
def search(text: str, pattern: str) -> bool:
    """Whether RE2 finds the pattern in the text. Raises CelError for a pattern that is none."""
    alike = _alike(pattern)
    if alike is not None and len(text) <= alike[1]:
        return alike[0].search(text) is not None
    return _search(text, pattern)


def _search(text: str, pattern: str) -> bool:
    """As Google's library says, which reads the pattern anew for each text."""
    if r"\C" in pattern:  # a byte, which Google's library knows and Go's does not
        raise CelError("error parsing regexp: invalid escape sequence: `\\C`")
    found = _asks(pattern).eval(data={"s": text}).value()
    if isinstance(found, bool):
        return found
    raise CelError(f"error parsing regexp: {found}")


def _matches(text: str, pattern: str) -> bool:
    METER.pay((len(text) // 10 + 1) * (len(pattern) // 4 + 1))
    return search(text, pattern)


# What Python and RE2 read alike; the rest is refused, not guessed.
_TOKEN = re.compile(
    r"""
    \\[dDwWsSbB.\\\-/()\[\]{}*+?^$|"'@:,;=_~!#%&<> ] | \\[tnrfv] | \\A
  | \[\^?(?:\\[dw.\-\\\]\[^/+*?$tnr]|[^\]\[\\])+\]
  | \((?:\?:|\?P<[A-Za-z_]\w*>|(?!\?)) | [)|.^$]
  | [*+?]\??(?![*+?]) | \{\d{1,3}(?:,\d{0,3})?\}\??(?![*+?])
  | [^\\\[\](){}|.^$*+?]
    """,
    re.VERBOSE,
)


# As Python writes it: its white space has a vertical tab, too.
_WRITTEN = {"$": r"\Z", r"\s": r"[\t\n\f\r ]", r"\S": r"[^\t\n\f\r ]"}


@lru_cache(maxsize=1000)
def _python(pattern: str) -> re.Pattern[str]:
    """The same pattern for Python. Raises NotEvaluated where the two might differ."""
    _search("", pattern)  # an error of RE2's is one of the cluster's
    out, at = [], 0
    while at < len(pattern):
        match = _TOKEN.match(pattern, at)
        if match is None:
            raise NotEvaluated(f"the regular expression {pattern} is not known to mean the same here")
        out.append(_WRITTEN.get(match[0], match[0]))
        at = match.end()
    try:
        return re.compile("".join(out), re.ASCII)
    except re.error:
        raise NotEvaluated(f"the regular expression {pattern} is not known to mean the same here") from None


_ATOM = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]])*\]")
_GROUP = re.compile(r"\([^()*+{]*\)(?![*+?{])")
_UNBOUNDED = re.compile(r"[*+]|\{\d*,")
_STEPS = 1_000_000_000  # the most that Python, which tries where RE2 does not, may take: less than a second


@lru_cache(maxsize=1000)
def _alike(pattern: str) -> tuple[re.Pattern[str], int] | None:
    """The pattern for Python, ten times as fast, and the longest text for which that holds; None where it may not."""
    try:
        found = _python(pattern)
    except (CelError, NotEvaluated):
        return None
    plain = _GROUP.sub("c", _ATOM.sub("c", pattern))
    if "(" in plain or ")" in plain:  # a group that is repeated, or repeats
        return None
    most = max(len(_UNBOUNDED.findall(alternative)) for alternative in plain.split("|"))
    return found, int(_STEPS ** (1 / (most + 1))) if most else _STEPS


def _find(text: str, pattern: str) -> str:
    spend(text, pattern)
    match = _python(pattern).search(text)
    return match[0] if match else ""


def _find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    spend(text, pattern)
    found, last = [], -1
    for match in _python(pattern).finditer(text):
        if match[0] == "" and match.start() == last:
            continue  # RE2 gives no empty match beside the one before
        last = match.end()
        found.append(match[0])
    return found if limit < 0 else found[:limit]


FUNCTIONS: dict[str, Implementation] = {
    "<string>.find(string) -> string": _find,
    "<string>.findAll(string) -> list(string)": _find_all,
    "<string>.findAll(string,int) -> list(string)": _find_all,
}
BUILT_IN: dict[str, Implementation] = {
    "<string>.matches(string) -> bool": _matches,
    "matches(string,string) -> bool": _matches,
}
