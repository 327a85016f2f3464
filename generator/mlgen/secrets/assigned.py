"""Secrets that a text itself calls so: `password=...`, `Authorization: Bearer ...`, `curl -u user:...`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from string import ascii_lowercase, ascii_uppercase

from mlgen.secrets.names import named
from mlgen.secrets.shapes import Span, is_placeholder
from mlgen.secrets.words import unexplained

_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
_VALUE = r"([^\s\"'\\,;&<>(){}\[\]]{4,512})"
_LONG = 64  # characters of a value
_ASSIGNED = re.compile(r"[^\s=]=[^\s=]?\Z")
_NAME_BEFORE = re.compile(r"[A-Za-z0-9_.-]{0,40}$")


@cache
def _expressions() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """(how a name ends, of a text in lower case; what may follow it: a value, one in quotes; one after an option)."""
    # Without a flag for case: then Python looks at their first letters only, in a tenth of the time.
    name = (
        r"(?:api|access|private|secret|signing|encryption|account|auth|service)[_ -]?keys?"
        r"|passw(?:or)?ds?|passphrases?|passwort|pass|pwd?|authorization|auth|secrets?|credentials?|tokens?"
    )
    # Quotes may be escaped, as in JSON within a string.
    sign = r"\s{0,3}(?:=>|[:=])\s{0,3}"
    return (
        re.compile(name),
        re.compile(rf"[\"'\\]{{0,4}}{sign}[\"'\\]{{0,4}}{_VALUE}"),
        re.compile(rf"[\"'\\]{{0,4}}{sign}\\?[\"']([^\"'\\\n]{{4,512}})"),
        re.compile(rf"\s{{1,3}}[\"']?{_VALUE}"),
    )


_SCHEME = re.compile(r"(?i:bearer|basic|token)\s{1,3}([A-Za-z0-9+/_.~-]{8,4096}={0,2})")
_USER = re.compile(r"\s(?:-u|--user)[\s=]{1,3}[\"']?[^\s:\"']{0,64}:([^\s\"'/\\$<*{][^\s\"']{3,255})")
_PROGRAM = re.compile(
    r"(?:\bsshpass\s{1,3}-p\s{0,3}|\bmysql[a-z]{0,9}\s(?:[^\n|;&]{0,100}?\s)?-p)[\"']?([^\s\"']{4,255})"
)
_NETRC = re.compile(r"\blogin\s{1,3}\S{1,64}\s{1,3}password\s{1,3}(\S{4,255})")


def assigned(text: str) -> Iterator[Span]:
    """Values in a text that a name before them calls secret."""
    yield from _named(text)
    for match in _SCHEME.finditer(text):
        if unexplained(match[1]) >= 8:
            yield Span(*match.span(1), "credentials of HTTP")
    for match in _USER.finditer(text):
        if unexplained(match[1]):  # not `docker run --user 1000:1000`, `-u nobody:nogroup`
            yield Span(*match.span(1), "a password")
    for expression, word in ((_PROGRAM, "-p"), (_NETRC, "login")):
        if word in text:
            for match in expression.finditer(text):
                if not is_placeholder(match[1]):
                    yield Span(*match.span(1), "a password")


def _named(text: str) -> Iterator[Span]:
    name, value, quoted, argument = _expressions()
    done = 0
    for word in name.finditer(text.translate(_LOWER)):
        if word.start() < done:
            continue
        follows = [(value, False), (quoted, True)]
        if text[word.start() - 1 : word.start()] == "-":
            follows.append((argument, False))
        for expression, in_quotes in follows:
            match = expression.match(text, word.end())
            if match is None:
                continue
            start, end = match.span(1)
            if text[end : end + 1] in ("(", "["):  # code, which says where the secret comes from
                continue
            before = _NAME_BEFORE.search(text[max(0, word.start() - 40) : word.start()])
            # "password: expected" is one; what is in quotes is not.
            sentence = not in_quotes and not _ASSIGNED.search(text, word.start(), start)
            whole = (before[0] if before else "") + text[word.start() : word.end()]
            kind = named(whole, text[start:end], sentence=sentence)
            if kind is not None:
                yield Span(start, end, kind)
            # "token: password=…" is looked at twice; a row of such names not as often as it has names.
            if kind is not None or end - start > _LONG:
                done = end
