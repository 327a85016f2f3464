"""What was verified before, kept in a folder of the user's: so that a history that was rewritten is found.

A rewritten history can be consistent in itself. Only who remembers an earlier tip, or the chain's value there, sees it.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mlgen import canonical
from mlgen.ledger.verify.identity import new_keys
from mlgen.ledger.verify.walk import Stretch, Walked

_VERSION = 1
_STATE = "state.json"


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest commit that continued all that was seen before. chain: the chain's value there, "" if it has none.

    at: when it was seen, RFC 3339.
    """

    commit: str
    chain: str
    at: str


@dataclass(frozen=True, slots=True)
class Clean:
    """The newest commit up to which nothing was wrong, and what the walk saw. terms: digest of what it went by."""

    commit: str
    terms: str
    walked: Walked


@dataclass(frozen=True, slots=True)
class Memory:
    """seen: whatever was found. clean: where a later walk may begin; None where it must begin anew."""

    seen: Seen
    clean: Clean | None = None


def load(folder: Path) -> Memory | None:
    """What a folder remembers; None where there is nothing. Raises ValueError for what `save` did not write."""
    try:
        data = json.loads((folder / _STATE).read_bytes())
    except FileNotFoundError:
        return None
    try:
        if data["version"] != _VERSION:
            raise ValueError(f"its version is {data['version']!r}")
        seen = Seen(**data["seen"])
    except (KeyError, TypeError) as error:
        raise ValueError(str(error)) from None
    try:
        clean = data["clean"] and Clean(data["clean"]["commit"], data["clean"]["terms"], _walked(folder, data["clean"]))
    except (KeyError, TypeError, ValueError, OSError):
        clean = None  # another process may have put its own there meanwhile: the walk is longer, and nothing else
    return Memory(seen, clean)


def save(folder: Path, memory: Memory) -> None:
    """Remember. After a kill at any point, a folder remembers what it did before, or what it was told."""
    folder.mkdir(parents=True, exist_ok=True)
    clean: dict[str, Any] | None = None
    if memory.clean is not None:
        keys = memory.clean.walked.keys.tobytes()
        name = f"keys-{hashlib.sha256(keys).hexdigest()}"
        _write(folder / name, keys)
        walked = _plain(memory.clean.walked)
        clean = {"commit": memory.clean.commit, "terms": memory.clean.terms, "walked": walked, "keys": name}
    _write(folder / _STATE, canonical.encode({"version": _VERSION, "seen": asdict(memory.seen), "clean": clean}))
    for other in folder.glob("keys-*"):
        if clean is None or other.name != clean["keys"]:
            with suppress(FileNotFoundError):  # two processes may remember at once
                other.unlink()


def _walked(folder: Path, clean: dict[str, Any]) -> Walked:
    data = (folder / Path(clean["keys"]).name).read_bytes()
    if clean["keys"] != f"keys-{hashlib.sha256(data).hexdigest()}":
        raise ValueError("its keys are damaged")
    keys = new_keys()
    keys.frombytes(data)
    about = dict(clean["walked"])
    about["stretches"] = [Stretch(**one) for one in about["stretches"]]
    about["odd_times"] = [(oid, what) for oid, what in about["odd_times"]]
    return Walked(**about, keys=keys)


def _plain(walked: Walked) -> dict[str, Any]:
    names = (name for name in Walked.__dataclass_fields__ if name not in ("keys", "found"))
    found = {name: getattr(walked, name) for name in names}
    return {**found, "stretches": [asdict(one) for one in walked.stretches]}


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
