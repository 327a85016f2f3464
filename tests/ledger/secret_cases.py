"""Texts of tests/data/secrets with their random parts filled in: real-looking secrets, and harmless look-alikes."""

from __future__ import annotations

import re
import string
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from mlgen import canonical

FOLDER = Path(__file__).parent.parent / "data" / "secrets"
BASE62 = string.ascii_letters + string.digits
ALPHABETS = {
    "base62": BASE62,
    "base64": BASE62 + "+/",
    "base64url": BASE62 + "-_",
    "base58": "".join(sorted(set(BASE62) - set("0OIl"))),
    "hex": "0123456789abcdef",
    "digits": string.digits,
    "upper": string.ascii_uppercase + "234567",
    "lower36": string.ascii_lowercase + string.digits,
    "alpha": string.ascii_letters,
}
_HOLE = re.compile(r"\{(?:(?P<encoded>b64of):)?(?P<what>[a-z0-9]+):(?P<length>\d+)\}|\{\}")
_LINE = re.compile(r"(?P<kind>[^:]+): (?:(?P<name>[A-Za-z_][A-Za-z0-9_]*) = )?(?P<text>.*)")


@dataclass(frozen=True, slots=True)
class Case:
    """kind: of the line. name: of the param that holds it. text: with all holes filled."""

    kind: str
    name: str | None
    text: str


def cases(file: str, seed: int) -> Iterator[Case]:
    """One of each line of a file. In a line that has `\\n` it is a line's end, and `\\\\` one backslash."""
    random = Random(seed)
    for line in (FOLDER / file).read_text().splitlines():
        if line and not line.startswith("#"):
            match = _LINE.fullmatch(line)
            assert match is not None, line
            text = _HOLE.sub(lambda hole: _fill(hole, random), match["text"])
            text = re.sub(r"\\(n|\\)", lambda escape: "\n" if escape[1] == "n" else "\\", text)
            yield Case(match["kind"], match["name"], text)


def _fill(hole: re.Match[str], random: Random) -> str:
    if hole["what"] is None:
        return ""  # only there so that the line is none of what scanners look for
    length = int(hole["length"])
    if hole["what"] == "json":
        text = canonical.encode({"n": random.randrange(10**6), "mode": "fast", "x": "y" * length}).decode()
    elif hole["what"] == "said":
        words = ["anna:", "trains", "models", "at", "noon", "on", "7", "nodes", "and", "sleeps", "well"]
        text = " ".join(random.choices(words, k=length))[:length]
    else:
        text = "".join(random.choices(ALPHABETS[hole["what"]], k=length))
    return b64encode(text.encode()).decode() if hole["encoded"] else text


def as_data(case: Case) -> list[bytes]:
    """Where a record may have the text: a param's value, and within an error message."""
    if case.name is not None:
        return [canonical.encode({"params": {case.name: case.text}, "cacheKey": None})]
    return [
        canonical.encode({"params": {"note": case.text}, "cacheKey": None}),
        canonical.encode({"message": f"it failed with {case.text} in the end"}),
    ]
