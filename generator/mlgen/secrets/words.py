"""What only its looks give away: long strings of letters and digits that nothing explains.

Records are full of strings that look random and are not secret: digests, UUIDs, ids of Git, names of pods. They are of
one case, or made of words; what is random over letters of both cases and digits is none of them.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from collections.abc import Iterator

from mlgen.secrets.look import RANDOM
from mlgen.secrets.plain import SHORTEST_PIECE
from mlgen.secrets.shapes import Span

SHORTEST, LONGEST = 20, 100  # of what is random in a string: less is an id, more is data, such as an embedding

_PIECE = re.compile(r"[A-Za-z0-9]+")
# Words, as people write them, which have vowels; and numbers, versions, dates.
_EXPLAINED = re.compile(
    r"(?=[AEIOU]|[A-Z][a-z]*[aeiouy])[A-Z][a-z]{2,}|(?=[a-z]*[aeiouy])[a-z]{4,}|[0-9]{5,}|[A-Z]{6,}"
)
_PLAIN_PIECE = re.compile(r"[A-Z]?[a-z]+(?:[A-Z][a-z]{2,})*|[A-Z]+|[a-z]{0,2}[0-9]+[a-z]{0,2}")
_RUN = re.compile(r"[A-Za-z0-9+/_-]{20,}={0,2}")
# What everybody may know: digests, as in lock files and as ssh shows a key's fingerprint; its public keys;
# certificates; ids of IPFS; pictures and the like; where a document of Google's is, which says nothing of who may read
# it; what an address calls an id.
_PUBLIC = re.compile(
    r"(?i:sha(?:1|256|384|512)|md5|crc32c?)[-:=][A-Za-z0-9+/_-]+|AAAA[A-Z][23]NzaC1[A-Za-z0-9+/]+|\bQm[1-9A-HJ-NP-Za-km-z]{44}\b"
    r"|(?:docs|drive|colab\.research)\.google\.com/[^\s\"'<>]+|(?<=[?&]id=)[A-Za-z0-9_-]+|;base64,[A-Za-z0-9+/]+"
    r"|-----BEGIN (?:CERTIFICATE|PUBLIC KEY)-----[A-Za-z0-9+/=\s\\]+"
)


def unexplained(text: str) -> int:
    """How many characters of a text are in no plain word, number or version."""
    return sum(len(piece) for piece in _PIECE.findall(text) if not _PLAIN_PIECE.fullmatch(piece))


def random_strings(text: str) -> Iterator[Span]:
    """Long strings of both cases and digits that are neither words nor text in base64, nor known to all."""
    for run in _RUN.finditer(_PUBLIC.sub(lambda public: " " * len(public[0]), text)):
        if _is_random(run[0]) and text_of_base64(run[0]) is None:
            yield Span(run.start(), run.end(), RANDOM)


def _is_random(run: str) -> bool:
    pieces = [p for p in _PIECE.findall(run) if not _PLAIN_PIECE.fullmatch(p)]
    length = sum(map(len, pieces))
    if not SHORTEST <= length <= LONGEST or not any(map(is_mixed, pieces)):
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
