"""A store in a folder of this machine. What it keeps appears whole, under its key, or not at all."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from mlgen.diagnostic import CannotAnswer
from mlgen.store import disk
from mlgen.store.base import SMALL, Item, check_digest, check_key, check_size
from mlgen.store.beneath import Held, hold
from mlgen.store.content import Content, copy_file, measure, measure_held
from mlgen.store.errors import BadArtifact, Missing, Taken


@dataclass(frozen=True, slots=True)
class Folder:
    """root: the folder, made when first written to. uri: its name in records, relative to the project if below it."""

    root: Path
    uri: str

    def put(self, key: str, data: bytes) -> None:
        target = self._path(key)
        with self._disk():
            disk.make_folder(target.parent)
            part, handle = disk.new_part(target.parent, disk.open_new)
            try:
                with os.fdopen(handle, "wb") as stream:
                    stream.write(data)
                    stream.flush()
                    os.fsync(handle)
                disk.appear(part, target)
            except FileExistsError:
                if _read(target, len(data) + 1) != data:
                    raise Taken(f"other bytes are kept as {key} in {self.uri} already") from None
            finally:
                part.unlink()
            disk.sync(target.parent)

    def get(self, key: str, *, at_most: int = SMALL) -> bytes:
        try:
            data = _read(self._path(key), at_most + 1)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise Missing(f"{self.uri} keeps nothing as {key}") from None
        return check_size(data, at_most, f"{self.uri}/{key}")

    def keys(self, folder: str) -> list[str]:
        return sorted(self._below(folder))

    def items(self, folder: str) -> Iterator[Item]:
        for key in self.keys(folder):
            with suppress(FileNotFoundError, NotADirectoryError):  # somebody forgot it meanwhile
                yield _item(key, os.lstat(self.root / key))

    def _below(self, folder: str) -> Iterator[str]:
        top = check_key(folder.rstrip("/"))
        _check_plain(self._path(top))
        waiting = [top]
        while waiting:
            below = waiting.pop()
            with suppress(FileNotFoundError, NotADirectoryError), os.scandir(self.root / below) as entries:
                for entry in entries:
                    if entry.name.startswith(disk.PART):  # a file or folder that a kill left unfinished
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(f"{below}/{entry.name}")
                    elif entry.is_file(follow_symlinks=False):
                        yield f"{below}/{entry.name}"

    def item(self, key: str) -> Item | None:
        with suppress(FileNotFoundError, NotADirectoryError):
            found = os.lstat(self._path(key))
            return _item(key, found) if stat.S_ISREG(found.st_mode) else None
        return None

    def delete(self, key: str) -> None:
        with suppress(FileNotFoundError, NotADirectoryError):
            self._path(key).unlink()

    def delete_all(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.delete(key)

    def listing(self) -> Iterator[Item]:
        waiting = [""]
        while waiting:
            below = waiting.pop()
            with suppress(FileNotFoundError, NotADirectoryError):
                if below and not below.endswith("/"):
                    yield _item(below, os.lstat(self.root / below))
                    continue
                with os.scandir(self.root / below) as entries:
                    # A folder's name with its "/", and the last first: so names come in the order of a bucket's keys.
                    waiting += sorted((f"{below}{_told(entry)}" for entry in entries if _is_plain(entry)), reverse=True)

    def discard(self, keys: Sequence[str]) -> None:
        self.delete_all(keys)
        emptied = {parent for key in keys for parent in PurePosixPath(key).parents[:-1]}
        for folder in sorted(emptied, key=lambda folder: -len(folder.parts)):
            with suppress(OSError):  # something is in it still, or again
                (self.root / folder).rmdir()

    def has(self, key: str) -> bool:
        return os.path.lexists(self._path(key))

    def size_of(self, key: str) -> int | None:
        try:
            with hold(self._path(key)) as held:
                if not held.is_folder:
                    return held.size_bytes
                return sum(_size_below(held, name) for name in held.files())
        except (Missing, BadArtifact, FileNotFoundError, NotADirectoryError):
            return None

    def put_artifact(self, key: str, path: Path, *, beneath: Path | None = None) -> Content:
        target = self._path(key)
        with self._disk(), hold(path, beneath=beneath) as held:
            disk.make_folder(target.parent)
            content = (self._put_folder if held.is_folder else self._put_file)(target, held)
            if content is None:
                content = measure_held(held)
                if measure(target).digest != content.digest:
                    raise Taken(f"another artifact is kept as {key} in {self.uri} already")
            disk.sync(target.parent)
            return content

    def put_file(self, key: str, held: Held) -> Content:
        target = self._path(key)
        with self._disk():
            disk.make_folder(target.parent)
            content = self._put_file(target, held)
            if content is None:
                content = measure_held(held)
                if measure(target).digest != content.digest:
                    raise Taken(f"another artifact is kept as {key} in {self.uri} already")
            disk.sync(target.parent)
            return content

    def get_artifact(self, key: str, destination: Path, *, digest: str | None = None) -> Content:
        source = self._path(key.rstrip("/"))
        with self._disk(), hold(source) as held:
            disk.check_free(destination)
            try:
                if held.is_folder:
                    destination.mkdir()
                found = (disk.copy_folder if held.is_folder else disk.copy_one)(held, destination)
                return check_digest(found, digest, f"{self.uri}/{key}")
            except BaseException:
                disk.remove(destination)
                raise

    def measure_artifact(self, key: str) -> Content:
        return measure(self._path(key.rstrip("/")))

    def _put_file(self, target: Path, held: Held) -> Content | None:
        """Keep a file; None when the key is taken."""
        part, handle = disk.new_part(target.parent, lambda part: disk.open_new(part, 0o444))
        try:
            with os.fdopen(handle, "wb") as stream:
                passed = copy_file(held, stream)
                stream.flush()
                os.fsync(handle)
            disk.appear(part, target)
        except FileExistsError:
            return None
        finally:
            part.unlink()
        return passed.content(held.path.name)

    def _put_folder(self, target: Path, held: Held) -> Content | None:
        """Keep a folder; None when the key is taken.

        The files of a folder are not synced one by one, which takes minutes for a data set of small ones: a power
        cut in the next seconds may cost bytes, and the digest in the record tells.
        """
        part, _ = disk.new_part(target.parent, Path.mkdir)
        try:
            content = disk.copy_folder(held, part)
            return content if disk.rename_folder(part, target) else None
        finally:
            disk.remove(part)

    def _path(self, key: str) -> Path:
        """Where a key is. Raises CannotAnswer when a folder on the way is a link: it may lead to anybody's files."""
        path = self.root
        for part in check_key(key).split("/")[:-1]:
            path /= part
            _check_plain(path)
        return self.root / key

    @contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise CannotAnswer(
                "disk-full",
                f"no space left on the disk of {self.uri}",
                why="nothing was half written: what a store keeps appears whole or not at all",
                fix=f"make room on the disk of {self.root} and run the same command again",
            ) from None


def _size_below(folder: Held, name: str) -> int:
    with folder.open(name) as held:
        return held.size_bytes


def _is_plain(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)


def _told(entry: os.DirEntry[str]) -> str:
    return f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name


def _item(key: str, found: os.stat_result) -> Item:
    return Item(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))


def _check_plain(path: Path) -> None:
    """Raises CannotAnswer for a link."""
    if path.is_symlink():
        raise CannotAnswer(
            "store-linked",
            f"{path} is a link, and a store follows none",
            why="below its root a store has what it made itself; a link, as a clone may bring one, leads elsewhere",
            fix="remove the link; the root itself may be one, or set `artifacts` to the other folder",
        )


def _read(path: Path, at_most: int) -> bytes:
    """The first bytes of a file. Raises CannotAnswer for a link."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno == errno.ELOOP:
            _check_plain(path)
        raise
    with os.fdopen(handle, "rb") as stream:
        return stream.read(at_most)
