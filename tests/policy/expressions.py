"""The corpus' objects, and its expressions: a line each in data/*.cel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

Json = dict[str, Any]

SPECS: dict[str, tuple[Json, Json]] = {
    "plain": (
        {"labels": {"team": "risk"}, "annotations": {"a.b/c": "d"}},
        {
            **{"i": 3, "j": -7, "f": 2.5, "g": 3, "s": "abc", "t": "", "b": True, "n": None, "l": [1, 2, 3]},
            **{"m": {"x": {"y": 1}}, "e": [], "o": {}, "strings": ["b", "a"], "mixed": [1, "a", None], "q": "500m"},
            **{"u": "grüß 😀", "namespace": "ns", "dash-ed": 1},
            "steps": [{"image": "ghcr.io/acme/a@sha256:00", "name": "main"}, {"image": "busybox:1"}],
        },
    ),
    "odd": (
        {"annotations": {}},
        {
            **{"i": "3", "f": "x", "s": 5, "l": {"a": 1}, "m": [1], "b": "true", "n": 0, "strings": [], "steps": None},
            **{"j": 9223372036854775807, "g": 1e300, "t": "a\nb", "q": "1Gi", "u": "\0\x1b[2J", "e": None, "o": None},
        },
    ),
    "bare": ({}, {}),
}
ALL = tuple(SPECS)


def read(name: str) -> list[str]:
    """The expressions of a file."""
    lines = (Path(__file__).parent / "data" / f"{name}.cel").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("//")]
