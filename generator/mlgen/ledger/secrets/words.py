"""What only its name or its looks give away: `password=...`, and long strings that nothing explains.

Records are full of strings that look random and are not secret: digests, UUIDs, ids of Git, names of pods. They are of
one case, or made of words; what is random over letters of both cases and digits is none of them.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from functools import cache

from mlgen.ledger.secrets.look import RANDOM
from mlgen.ledger.secrets.plain import SHORTEST_PIECE
from mlgen.ledger.secrets.shapes import Span

SHORTEST, LONGEST = 20, 256  # of a random string: shorter ones are ids, longer ones are data

_PASSWORDS = frozenset(["password", "passwd", "pwd", "passphrase", "passwort"])
_TOKENS = frozenset(["token", "secret", "apikey", "credential", "credentials", "auth", "authorization", "accesskey"])
_KEYS = frozenset({
    "api", "access", "private", "secret", "signing", "encryption", "account", "auth", "service", "wandb", "openai",
    "anthropic", "hf", "huggingface", "neptune", "comet", "mlflow", "azure", "aws", "github", "gitlab",
})  # fmt: skip
_KINDS = {"token": "a token", "key": "a key", "apikey": "a key", "accesskey": "a key"}
_NAMES = _PASSWORDS | _TOKENS | {"key"}
# Of a language model's vocabulary, or of a list that is read in pages.
_HARMLESS_TOKENS = frozenset({
    "pad", "eos", "bos", "sep", "cls", "mask", "unk", "special", "stop", "start", "end", "first", "last", "next",
    "page", "continuation", "sync", "prefix", "image", "audio", "video",
})  # fmt: skip
# What is named so may look random.
_IDS = frozenset({
    "id", "ids", "uid", "uuid", "digest", "hash", "checksum", "etag", "md5", "sha", "sha1", "sha256", "sha384",
    "sha512", "crc32", "integrity", "fingerprint", "revision", "version", "commit", "ref", "cursor",
})  # fmt: skip
_PLACEHOLDERS = frozenset({
    "none", "null", "nil", "true", "false", "empty", "redacted", "masked", "hidden", "secret", "password", "passwd",
    "token", "example", "changeme", "required", "optional", "unset", "missing", "invalid", "expired", "unknown",
    "default", "undefined", "bearer", "basic",
})  # fmt: skip

_NAME_PART = re.compile(r"[A-Z]?[a-z]+[0-9]*|[A-Z]+(?![a-z])[0-9]*|[0-9]+")
_PIECE = re.compile(r"[A-Za-z0-9]+")
# Words, as people write them; and numbers, versions, dates.
_EXPLAINED = re.compile(r"[A-Z][a-z]{2,}|[a-z]{4,}|[0-9]{5,}|[A-Z]{5,}")
_PLAIN_PIECE = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[a-z]{0,2}[0-9]+[a-z]{0,2}")
_RUN = re.compile(r"[A-Za-z0-9+/_-]{20,}={0,2}")
# Digests as in lock files, and as ssh shows a key's fingerprint; and its public keys.
_PUBLIC = re.compile(r"(?:sha(?:1|256|384|512)|md5)-|AAAA[A-Z][23]NzaC1")
_SAID_DIGEST = re.compile(r"(?i:sha(?:1|256|384|512)|md5|crc32c?)[:=]\Z")


@cache
def _assignments() -> tuple[re.Pattern[str], ...]:
    word = (
        r"(?:passw(?:or)?d|pwd|passphrase|passwort|token|secret|credentials?|auth(?:orization)?"
        r"|(?:api|access|private|secret|signing|encryption|account|auth|service)[_ -]?key)"
    )
    value = r"([^\s\"'\\,;&<>(){}\[\]]{4,512})"
    return (
        # More of its name may go before, which `_NAME_BEFORE` reads. Quotes may be escaped, as in JSON within a string.
        re.compile(rf"(?i:{word})[\"'\\]{{0,4}}\s{{0,3}}(?:=>|[:=])\s{{0,3}}[\"'\\]{{0,4}}{value}"),
        re.compile(rf"(?i:{word})[\"'\\]{{0,4}}\s{{0,3}}(?:=>|[:=])\s{{0,3}}\\?(?P<quote>[\"'])([^\"'\\\n]{{4,512}})"),
        re.compile(rf"(?<=-)(?i:{word})\s{{1,3}}[\"']?{value}"),
    )


_ASSIGNED = re.compile(r"[^\s=]=[^\s=]?\Z")
_SCHEME = re.compile(r"(?i:bearer|basic|token)\s{1,3}([A-Za-z0-9+/_.~-]{8,4096}={0,2})")
_USER = re.compile(r"\s(?:-u|--user)[\s=]{1,3}[\"']?[^\s:\"']{0,64}:([^\s\"'/\\$<*{][^\s\"']{3,255})")
_NAME_BEFORE = re.compile(r"[A-Za-z0-9_.-]{0,40}$")


def assigned(text: str) -> Iterator[Span]:
    """Values in a text that a name before them calls secret."""
    for expression in _assignments():
        for match in expression.finditer(text):
            start, end = match.span(match.lastindex or 0)
            before = _NAME_BEFORE.search(text[max(0, match.start() - 40) : match.start()])
            word = re.split(r"[\"'\\\s:=]", match[0], maxsplit=1)[0]
            if text[end : end + 1] in ("(", "["):  # code, which says where the secret comes from
                continue
            # "password: expected" is one; what is in quotes is not.
            sentence = "quote" not in match.re.groupindex and not _ASSIGNED.search(text, match.start(), start)
            kind = named((before[0] if before else "") + word, text[start:end], sentence=sentence)
            if kind is not None:
                yield Span(start, end, kind)
    for match in _SCHEME.finditer(text):
        if unexplained(match[1]) >= 8:
            yield Span(*match.span(1), "credentials of HTTP")
    for match in _USER.finditer(text):
        if unexplained(match[1]):  # not `docker run --user 1000:1000`, `-u nobody:nogroup`
            yield Span(*match.span(1), "a password")


def named(name: str, value: str, *, sentence: bool = False) -> str | None:
    """What a value is that stands under a name, if its name calls it secret; None if not.

    sentence: it may be a word of one, which a password is not taken for.
    """
    if not name or len(value) < 4:
        return None
    parts = [part.lower() for part in _NAME_PART.findall(name[-40:])][-2:]
    last, before = parts[-1] if parts else "", parts[-2] if len(parts) > 1 else ""
    if last not in _NAMES or _is_placeholder(value):
        return None
    if last in _PASSWORDS:
        return None if sentence and not unexplained(value) else "a password"
    is_token = last in _TOKENS and before not in _HARMLESS_TOKENS
    if not is_token and not (last == "key" and before in _KEYS):
        return None
    if len(value) < 8 or any(c.isspace() for c in value) or unexplained(value) < 8:
        return None
    return _KINDS.get(last, "a secret")


def explains(name: str) -> bool:
    """Whether what stands under a name may look random: an id, a digest, where a list goes on."""
    parts = [part.lower() for part in _NAME_PART.findall(name[-40:])]
    last, before = parts[-1] if parts else "", parts[-2] if len(parts) > 1 else ""
    return last in _IDS or (last == "token" and before in _HARMLESS_TOKENS)


def _is_placeholder(value: str) -> bool:
    return value[:1] in "*<${%[" or value.lower().strip(".!?:") in _PLACEHOLDERS or len(set(value)) < 3 or "(" in value


def unexplained(text: str) -> int:
    """How many characters of a text are in no plain word, number or version."""
    return sum(len(piece) for piece in _PIECE.findall(text) if not _PLAIN_PIECE.fullmatch(piece))


def random_strings(text: str) -> Iterator[Span]:
    """Long strings of both cases and digits that are neither words nor text in base64, nor said to be a digest."""
    for run in _RUN.finditer(text):
        if len(run[0]) > LONGEST or not _is_random(run[0]) or _PUBLIC.match(run[0]):
            continue
        if not _SAID_DIGEST.search(text, max(0, run.start() - 8), run.start()) and text_of_base64(run[0]) is None:
            yield Span(run.start(), run.end(), RANDOM)


def _is_random(run: str) -> bool:
    pieces = [p for p in _PIECE.findall(run) if not _PLAIN_PIECE.fullmatch(p)]
    length = sum(map(len, pieces))
    if length < SHORTEST or not any(map(is_mixed, pieces)):
        return False
    words = sum(len(word) for piece in pieces for word in _EXPLAINED.findall(piece))
    return words <= length / 2


def is_mixed(piece: str) -> bool:
    """Whether it is long enough, of both cases, and has a digit."""
    return len(piece) >= SHORTEST_PIECE and not piece.isalpha() and piece != piece.lower() and piece != piece.upper()


def text_of_base64(run: str) -> str | None:
    """The text that a string is in base64; None where it is none: random bytes are hardly ever readable."""
    bare = run.rstrip("=")
    if len(bare) % 4 == 1:
        return None
    try:
        text = urlsafe_b64decode(bare.replace("+", "-").replace("/", "_") + "=" * (-len(bare) % 4)).decode()
    except ValueError:
        return None
    return text if text.isprintable() or text.replace("\n", "").replace("\t", "").isprintable() else None


def base64_texts(text: str) -> Iterator[tuple[int, int, str]]:
    """(start, end, what it says) of each text in base64."""
    for run in _RUN.finditer(text):
        said = text_of_base64(run[0])
        if said is not None:
            yield run.start(), run.end(), said
