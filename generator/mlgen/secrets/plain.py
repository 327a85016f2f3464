"""Most records hold nothing that could be a secret, and that can be told in a moment, without an expression."""

from __future__ import annotations

SHORTEST_PIECE = 10  # characters without a separator, of both cases and with a digit, that what is random has

# One of these is in all that `search.spans` finds, as far as it has no long piece of both cases with a digit in it: a
# part of a name, in lower case; punctuation; or the first word of a token.
_CUES = (b"passw", b"pwd", b"passphrase", b"secret", b"token", b"credential", b"auth", b"dapi", b"dose", b"dkea")
_MARKS = (b"api_org_", b"--user", b" -u", b"\\u", b" -p", b"%40", b"Pass")
_CUE_WORDS = frozenset({
    b"xoxa", b"xoxb", b"xoxe", b"xoxo", b"xoxp", b"xoxr", b"xoxs", b"bearer", b"basic", b"Bearer", b"Basic",
    b"BEARER", b"BASIC", b"Sig", b"sig", b"SIG", b"signature", b"Signature", b"wandb", b"WANDB", b"ghp", b"gho",
    b"ghu", b"ghs", b"ghr", b"glpat", b"glptt", b"gldt", b"glrt", b"glcbt", b"gloas", b"glft", b"glimt", b"glagent",
    b"glsoat", b"xapp", b"sk", b"rk", b"whsec", b"hf", b"npm", b"pypi", b"gsk", b"r8", b"xai", b"pplx", b"dckr",
    b"dop", b"doo", b"dor", b"hvs", b"hvb", b"hvr", b"glc", b"glsa", b"shpat", b"shpca", b"shppa", b"shpss",
    b"GOCSPX", b"pass", b"PASS", b"pw", b"PW", b"lsv2", b"sbp", b"PMAK", b"figd", b"nvapi", b"pcsk",
})  # fmt: skip
_UPPER_CUES = (b"AKIA", b"ASIA", b"ABIA", b"AIza", b"SK", b"MII", b"eyJ")
_WORDS = bytes(c if chr(c).isascii() and chr(c).isalnum() else 0x20 for c in range(256))


def is_plain(data: bytes) -> bool:
    """Whether nothing in it can be found, told without an expression: nearly all records are told so."""
    if data.count(b"@") != data.count(b"@sha256:"):
        return False
    pieces = set(data.translate(_WORDS).split())
    if not _CUE_WORDS.isdisjoint(pieces) or any(mark in data for mark in _MARKS):
        return False
    names = b" ".join(pieces).lower()  # a third of the data: a record says many words more than once
    # "cacheKey" is in each record.
    if names.count(b"key") != names.count(b"cachekey") or any(cue in names for cue in _CUES):
        return False
    return not any(
        len(one) >= SHORTEST_PIECE
        and (not (one.islower() or one.isalpha() or one.isupper() or one.isdigit()) or one.startswith(_UPPER_CUES))
        for one in pieces
    )
