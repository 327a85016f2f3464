"""What a work tree and a commit have in common, as commands use them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol


class Tree(Protocol):
    """Files below a project's folder, as checks, plans and runs may see them (`spec.model.Files`, and their bytes).

    Paths are posix and relative to the project's folder.
    """

    def kind(self, path: str) -> str | None:
        """ "file", "folder", "escape" for what lies or leads outside the repository, or None."""

    def exists(self, path: str) -> bool:
        """Whether anything has this name, were it a link that leads nowhere."""

    def beside(self, path: str) -> Sequence[str]:
        """The names in the folder that a path is in, sorted; none where it is no folder of the project."""

    def read(self, path: str) -> bytes:
        """The bytes of a spec, one more than a spec may have at most. Raises OSError, ValueError for no file."""

    def sha256(self, path: str) -> str:
        """The digest of a file, or of a folder with all its files: what `store` says of the same bytes.

        Raises ValueError when it holds a link, and for what is Git's or a run's own.
        """

    def listing(self, folder: str) -> Mapping[str, str]:
        """The files of a code folder: posix path below it -> 64 hex digits. Raises ValueError when it holds a link."""

    def files(self, folder: str, scratch: Path) -> dict[str, Path]:
        """The files of a code folder: posix path below it -> where it lies.

        scratch: an empty folder, into which is copied what lies in no folder yet.
        """

    def place(self, path: str, scratch: Path) -> Path:
        """Where a file or folder lies. scratch: as for `files`."""
