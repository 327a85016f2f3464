"""The forms in which a secret can come out again: what logs and errors mask is what no record may hold."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

from mlgen.canonical import Json
from mlgen.diagnostic import Misuse
from mlgen.secrets import MASK, Finding, find

SHORTEST_LINE = 4  # characters: a line of a secret below it, such as the "{" of a key file, hides nothing


def needles(secrets: Iterable[str]) -> tuple[str, ...]:
    """What is looked for: each secret, and each line of one that has several, as it is and as JSON escapes it.

    Longest first, as it must match.
    """
    found: set[str] = set()
    for secret in secrets:
        lines = [line.strip() for line in secret.splitlines()]
        found |= {secret, secret.strip()} | {line for line in lines if len(line) >= SHORTEST_LINE}
    found = {text for text in found if text.strip()}
    for text in list(found):
        found |= {json.dumps(text, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
    return tuple(sorted(found, key=lambda text: (-len(text), text)))


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
