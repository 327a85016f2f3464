"""What is asked of a repository's branches, whether the repository is here or elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from mlgen.git.objects import Object


class Look(Protocol):
    """Refs and objects as they are when asked."""

    def get(self, name: str) -> Object | None:
        """The commit that a ref, by its full name, points to; None when there is none."""

    def files(self, commit: str, paths: Iterable[str]) -> dict[str, bytes]:
        """The bytes at those of the paths that a commit, by its id, has."""


class Branches(Protocol):
    """What a fold needs: `Repository` and `Remote` have it. The methods say more there."""

    def checked_out(self, branch: str) -> Path | None: ...

    def tip(self, ref: str) -> str | None: ...

    def reader(self) -> AbstractContextManager[Look]: ...

    def commit(self, files: Mapping[str, bytes], *, parent: str | None, message: str, seconds: int) -> str: ...

    def move_ref(self, ref: str, new: str, *, old: str | None) -> None: ...
