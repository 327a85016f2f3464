"""The forms in which a secret can come out again: what logs and errors mask is what no record may hold."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote, quote_plus

from mlgen.canonical import Json
from mlgen.diagnostic import Misuse
from mlgen.secrets import MASK, Finding, find

SHORTEST_LINE = 4  # characters: a line of a secret below it, such as the "{" of a key file, hides nothing
SHORTEST_CODE = 8  # characters in base64: less is in many texts by chance
_URL_SAFE = str.maketrans("+/", "-_")


def needles(secrets: Iterable[str]) -> tuple[str, ...]:
    """What is looked for: each secret, and each line of one that has several, in each form that it takes by accident.

    As it is, as JSON escapes it, as a URL does, and in base64 at any place of a longer text, as in a header `Basic` of
    HTTP. A program that wants to show a secret can still do so: reversed, in hex, encrypted. Longest first, as it must
    match.
    """
    found: set[str] = set()
    for secret in secrets:
        lines = [line.strip() for line in secret.splitlines()]
        found |= {secret, secret.strip()} | {line for line in lines if len(line) >= SHORTEST_LINE}
    found = {text for text in found if text.strip()}
    for text in list(found):
        found |= {json.dumps(text, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
        found |= {quoted(text, safe="", errors="surrogateescape") for quoted in (quote, quote_plus)}
        found |= set(_in_base64(text.encode(errors="surrogateescape")))
    return tuple(sorted(found, key=lambda text: (-len(text), text)))


def _in_base64(secret: bytes) -> Iterator[str]:
    """The characters that are the secret's own in the base64 of a text with the secret in it, by where it begins there.

    Each character holds six bits: those at the edges that hold bits of what is before or behind are left out.
    """
    for before in range(3):
        whole = b64encode(bytes(before) + secret)[-(-before * 8 // 6) : (before + len(secret)) * 8 // 6].decode()
        if len(whole) >= SHORTEST_CODE:
            yield from (whole, whole.translate(_URL_SAFE))


def held_secret(texts: Iterable[str], secrets: Mapping[str, str]) -> str | None:
    """The name of a secret of which one of the texts holds a form; None for none. secrets: name -> text."""
    texts = list(texts)
    for name, secret in secrets.items():
        if any(needle in text for needle in needles([secret]) for text in texts):
            return name
    return None


def check_given(name: str, params: Mapping[str, Json], uris: Mapping[str, str]) -> list[str]:
    """What is to be said of what a run is given before it starts: lines about what will be masked in its records.

    name: of the run. uris: of its inputs. Raises Misuse for what looks like a token, a key or a password: nothing is
    lost yet, and a person can mend it; for what only looks random nobody is held up.
    """
    looked = {"the name of the run": name}
    looked |= {f'param "{param}"': json.dumps({param: value}) for param, value in params.items()}
    looked |= {f'input "{uri}"': uris[uri] for uri in uris}
    found: list[tuple[str, Finding]] = [(what, one) for what, text in looked.items() for one in find(text)]
    for what, one in found:
        if not one.is_guess:
            raise Misuse(
                "bad-argument",
                f"{what} looks like {one.kind}",
                why="names, params and inputs are recorded in the ledger, for everyone who can read it",
                fix="keep it in a Secret, and name that under `secrets` of the task that needs it",
            )
    return [
        f"{what} looks like {one.kind}: records have {MASK} for it, unless its name ends in _id" for what, one in found
    ]


def masked(text: str, secrets: Iterable[str]) -> str:
    """A text for people without the secrets in it."""
    found = needles(secrets)
    return re.sub("|".join(map(re.escape, found)), MASK, text) if found else text
