"""What a pod's identity may delete, as the guide "Secrets" names it: any other delete is refused, and remembered."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlgen.diagnostic import CannotAnswer
from mlgen.store.bucket import Bucket
from mlgen.store.folder import Folder

GUIDE = Path(__file__).parents[1] / "generator" / "guides" / "secrets.md"


def named() -> tuple[str, ...]:
    """The folders below which the guide lets a pod delete; the first is the one without which nothing goes on."""
    rows = [line for line in GUIDE.read_text().splitlines() if line.startswith("| `_")]
    found = tuple(folder for row in rows for folder in re.findall(r"`(_[a-z_/]+/)`", row.split("|")[1]))
    assert found[0] == "_ledger/spool/"
    return found


@dataclass(frozen=True)
class Rights:
    """may: folders. log: of what was refused, a key a line; also by processes that are forked from this one."""

    may: tuple[str, ...]
    log: Path

    @property
    def refused(self) -> list[str]:
        return self.log.read_text().splitlines()

    def check(self, keys: Sequence[str]) -> None:
        beyond = [key for key in keys if not key.startswith(self.may)]
        if beyond:
            with self.log.open("a") as log:
                log.writelines(f"{key}\n" for key in beyond)
            raise CannotAnswer("store-denied", f"{beyond[0]} may not be deleted")


def bind(patch: pytest.MonkeyPatch, rights: Rights) -> Rights:
    """Let no store delete more than that."""
    rights.log.touch()
    delete, delete_some = Folder.delete, Bucket._delete

    def of_folder(self: Folder, key: str) -> None:
        rights.check([key])
        delete(self, key)

    def of_bucket(self: Bucket, keys: str | list[str]) -> None:
        rights.check([keys] if isinstance(keys, str) else keys)
        delete_some(self, keys)

    patch.setattr(Folder, "delete", of_folder)
    patch.setattr(Bucket, "_delete", of_bucket)
    return rights
