"""A code bundle: the files of a task's `code` as one archive, packed where the author is, laid out in a pod.

It is known by the digest of the files in it and not by its own: a manifest pins what was reviewed, and whatever the
archive looks like, nothing else is laid out.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, BinaryIO

from mlgen.canonical import folder_digest
from mlgen.diagnostic import Fault
from mlgen.runtime.outs import StagingError, reason_of
from mlgen.runtime.protocol import TaskDocument, Tree
from mlgen.runtime.texts import pointer
from mlgen.store import Missing, Store, StoreError
from mlgen.store.base import check_key
from mlgen.store.disk import empty

CODE, INPUTS = "_code", "_inputs"  # folders of the environment's artifacts; no pipeline has a name with "_"
ARCHIVE = "code.tar"  # in Tree.state, while it is unpacked
CHUNK = 1 << 20  # bytes
MAX_NAME = 100  # characters
_UNPLAIN = re.compile(r"[^A-Za-z0-9._-]")  # a URI, a key and a param of Tekton take each of the others otherwise


def code_key(digest: str) -> str:
    """Where the bundle of code with this digest lies, below the environment's artifacts."""
    return f"{CODE}/{_hex(digest)}.tar"


def input_key(digest: str, path: str) -> str:
    """Where the published copy of a file or folder lies. path: where it was.

    Its name goes with it: people know it again in a lineage, and its media type is told from its suffix.
    """
    name = _UNPLAIN.sub("_", path.rstrip("/").rpartition("/")[2])[-MAX_NAME:]
    return f"{INPUTS}/{_hex(digest)}/{name}"


def input_text(artifacts: str, digest: str, path: str) -> str:
    """What a run in a cluster is told of a published input: its URI and digest."""
    return pointer(f"{artifacts.rstrip('/')}/{input_key(digest, path)}", digest)


def _hex(digest: str) -> str:
    return digest.removeprefix("sha256:")


def pack(files: Mapping[str, Path], archive: BinaryIO) -> str:
    """Write an archive of files (posix path -> where each lies); the folder digest of what went into it.

    The same files give the same bytes, whoever packs them, wherever and when: pax, sorted, no owners, times or modes.
    Raises OSError, also for a file that became shorter while it was read.
    """
    found = {}
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8", errors="strict") as tar:
        for name, path in sorted(files.items()):
            with path.open("rb") as stream:
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = os.fstat(stream.fileno()).st_size, 0o644
                passing = _Hashing(stream)
                tar.addfile(entry, passing)
                found[name] = passing.sha256
    return folder_digest(found)


def stage_code(document: TaskDocument, tree: Tree, store: Store) -> None:
    """Lay a task's code into its working directory; the folder is there, and what lies in it goes.

    store: of the environment's artifacts. The working directory has all of the code or, after StagingError, nothing.
    Raises StagingError: not published, not to be had, or not the code that the manifest pins.
    """
    digest = document.code_digest
    if digest is None:
        return
    key, archive = code_key(digest), tree.state / ARCHIVE
    publish = f"`mlgen publish --env {document.env}`"
    archive.unlink(missing_ok=True)
    empty(tree.work)
    try:
        store.get_artifact(key, archive)
        if (found := unpack(archive, tree.work)) != digest:
            raise BadBundle(f"its files have the digest {found}, not {digest}")
    except Missing:
        raise StagingError(f"the code of this task is not at {store.uri}/{key}: upload it with {publish}") from None
    except BadBundle as error:
        empty(tree.work)
        fix = f"delete it, then upload it again with {publish}"
        raise StagingError(f"{store.uri}/{key} is not the code of this task: {error}; {fix}") from None
    except (StoreError, Fault, OSError) as error:
        empty(tree.work)
        raise StagingError(f"the code cannot be read from {store.uri}/{key}: {reason_of(error)}") from None
    finally:
        archive.unlink(missing_ok=True)


class BadBundle(Exception):
    """An archive that no mlgen made; the message says how it is known, for people."""


def unpack(archive: Path, folder: Path) -> str:
    """Lay the files of an archive into an empty folder; their folder digest. Raises BadBundle and OSError.

    Plain files only, all of them below the folder, together no larger than the archive.
    """
    found = {}
    try:
        # "r:", as "r" would also decompress, and a small archive could fill the disk. Sparse files could, too.
        with tarfile.open(archive, "r:", encoding="utf-8", errors="strict") as tar:
            for entry in tar:
                if entry.type != tarfile.REGTYPE or entry.issparse():
                    raise BadBundle(f"{entry.name[:200]!r} in it is no plain file")
                content = tar.extractfile(entry)
                assert content is not None, "a plain file has a content"
                passing = _Hashing(content)
                target = folder / check_key(entry.name)
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("xb") as stream:
                    shutil.copyfileobj(passing, stream, CHUNK)
                found[entry.name] = passing.sha256
    except (tarfile.TarError, ValueError, FileExistsError, NotADirectoryError) as error:
        raise BadBundle(f"it cannot be unpacked: {error}") from None
    return folder_digest(found)


class _Hashing:
    """Reads on from a stream, and hashes what was read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._hash = stream, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._hash.update(data)
        return data

    @property
    def sha256(self) -> str:
        """64 hex digits."""
        return self._hash.hexdigest()
