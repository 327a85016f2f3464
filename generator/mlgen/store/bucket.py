"""A store in a bucket: s3://, gs:// or az://, through obstore.

A kill in the middle of an upload leaves objects without a manifest, which no reader takes for a folder, and parts of a
multipart upload, which nobody sees: a bucket wants the rule that drops those ("AbortIncompleteMultipartUpload").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from mlgen.store import disk, manifest
from mlgen.store.base import SMALL, Item, check_digest, check_key
from mlgen.store.beneath import Held, hold
from mlgen.store.connect import connect
from mlgen.store.content import Content, File, Hashed, folder_content
from mlgen.store.errors import BadArtifact, Mismatch, Missing, TooLarge
from mlgen.store.manifest import Listed
from mlgen.store.refusal import Place, is_bucket_missing, refusals
from mlgen.store.transfer import IN_FLIGHT_BYTES, download, find, in_order, look, persist, put_once, upload

if TYPE_CHECKING:
    from obstore import ObjectMeta  # it exists for types only

PAGE = 1000  # objects that S3 lists, or deletes, in one request
MANIFEST = ".files.json"  # beside a folder artifact: what it holds; an out's name has no dot, so no out has this key


@dataclass(frozen=True, slots=True)
class Bucket:
    """place: what it is called in records and errors."""

    objects: ObjectStore
    place: Place

    @staticmethod
    def open(uri: str, options: Mapping[str, str], *, patience_seconds: float) -> Bucket:
        """The bucket at a URI; see `connect`."""
        return Bucket(*connect(uri, options, patience_seconds=patience_seconds))

    @property
    def uri(self) -> str:
        return self.place.uri

    def put(self, key: str, data: bytes) -> None:
        with refusals(self.place):
            put_once(self.objects, check_key(key), data, self._where(key))

    def get(self, key: str, *, at_most: int = SMALL) -> bytes:
        with refusals(self.place):
            found = find(self.objects, check_key(key))
            if found is None:
                raise Missing(f"{self.uri} keeps nothing as {key}")
            if found.meta["size"] > at_most:
                raise TooLarge(f"{self.uri}/{key} has more than {at_most:,} bytes")
            return bytes(found.bytes())

    def keys(self, folder: str) -> list[str]:
        return sorted(item.key for item in self.items(folder))

    def items(self, folder: str) -> Iterator[Item]:
        prefix, last = check_key(folder.rstrip("/")) + "/", ""
        pages = obstore.list(self.objects, prefix, chunk_size=PAGE)

        def page() -> Sequence[ObjectMeta]:
            nonlocal pages
            try:
                return next(pages, [])
            except BaseError:  # a stream that broke is at its end
                pages = obstore.list(self.objects, prefix, chunk_size=PAGE, offset=last or None)
                raise

        with refusals(self.place):
            while found := persist(self.objects, page):
                last = found[-1]["path"]
                yield from map(_item, found)

    def item(self, key: str) -> Item | None:
        with refusals(self.place):
            found = find(self.objects, check_key(key))
            return None if found is None else _item(found.meta)

    def delete(self, key: str) -> None:
        self._delete(check_key(key))

    def delete_all(self, keys: Sequence[str]) -> None:
        if keys:
            self._delete([check_key(key) for key in keys])

    def _delete(self, keys: str | list[str]) -> None:
        """Of several keys 1,000 go in a request to S3, and 20 requests side by side."""
        with refusals(self.place, may="delete"):
            try:
                persist(self.objects, lambda: obstore.delete(self.objects, keys))
            except FileNotFoundError as error:
                if is_bucket_missing(error):
                    raise

    def listing(self) -> Iterator[Item]:
        with refusals(self.place):
            for page in obstore.list(self.objects, chunk_size=PAGE):
                yield from map(_item, page)

    def discard(self, keys: Sequence[str]) -> None:
        # Request by request: those that are sent at once are done in any order.
        for at in range(0, len(keys), PAGE):
            self.delete_all(keys[at : at + PAGE])

    def has(self, key: str) -> bool:
        with refusals(self.place):
            return any(find(self.objects, name) is not None for name in (check_key(key), key + MANIFEST))

    def size_of(self, key: str) -> int | None:
        with refusals(self.place):
            if (found := find(self.objects, check_key(key))) is not None:
                return int(found.meta["size"])
            with suppress(BadArtifact):
                listing = self._listing(key, is_folder=False)
                if listing is not None:
                    there = {item.key: item.size_bytes for item in self.items(key)} if listing else {}
                    if all(there.get(f"{key}/{one.path}") == one.size_bytes for one in listing):
                        return sum(one.size_bytes for one in listing)
            return None

    def put_artifact(self, key: str, path: Path, *, beneath: Path | None = None) -> Content:
        check_key(key)
        with refusals(self.place), hold(path, beneath=beneath) as held:
            if held.is_folder:
                return self._upload_folder(key, held)
            return upload(self.objects, key, held, self._where(key)).content(path.name)

    def put_file(self, key: str, held: Held) -> Content:
        check_key(key)
        with refusals(self.place):
            return upload(self.objects, key, held, self._where(key)).content(held.path.name)

    def _upload_folder(self, key: str, folder: Held) -> Content:
        names = [check_key(f"{key}/{name}") and name for name in folder.files()]  # all good before any goes up
        manifest.check_writable(names, str(folder.path))
        calls = ((_weight(_size_bytes(folder, name)), partial(self._upload, key, folder, name)) for name in names)
        with closing(in_order(calls)) as uploads:
            files = list(uploads)
        # Last: a folder is there once its manifest is.
        put_once(self.objects, key + MANIFEST, manifest.write(files), self._where(key))
        return folder_content(files)

    def _upload(self, key: str, folder: Held, name: str) -> File:
        with folder.open(name) as held:
            return upload(self.objects, f"{key}/{name}", held, self._where(f"{key}/{name}")).file(name)

    def get_artifact(self, key: str, destination: Path, *, digest: str | None = None) -> Content:
        name = check_key(key.rstrip("/"))
        disk.check_free(destination)
        try:
            with refusals(self.place):
                found = self._download_any(name, destination, is_folder=key.endswith("/"))
            return check_digest(found, digest, f"{self.uri}/{key}")
        except BaseException:
            disk.remove(destination)
            raise

    def _download_any(self, key: str, destination: Path, *, is_folder: bool) -> Content:
        if not is_folder:  # a folder has no object of its own name
            passed = download(self.objects, key, destination, self._where(key))
            if passed is not None:
                return passed.content(key.rpartition("/")[2])
        listing = self._listing(key, is_folder=is_folder)
        if listing is None:
            raise Missing(f"{self.uri} keeps nothing as {key}")
        destination.mkdir()
        calls = ((_weight(item.size_bytes), partial(self._download, key, destination, item)) for item in listing)
        with closing(in_order(calls)) as downloads:
            return folder_content(downloads)

    def measure_artifact(self, key: str) -> Content:
        name = check_key(key.rstrip("/"))
        with refusals(self.place):
            if not key.endswith("/") and (passed := look(self.objects, name, self._where(name))) is not None:
                return passed.content(name.rpartition("/")[2])
            listing = self._listing(name, is_folder=key.endswith("/"))
            if listing is None:
                raise Missing(f"{self.uri} keeps nothing as {key}")
            named = {f"{name}/{item.path}" for item in listing}
            for item in self.items(name):
                if item.key not in named and not item.key.endswith("/"):
                    raise Mismatch(f"{self._where(item.key)} is there, and the folder's manifest does not name it")
            calls = ((_weight(item.size_bytes), partial(self._look, name, item)) for item in listing)
            with closing(in_order(calls)) as files:
                return folder_content(files)

    def _look(self, key: str, item: Listed) -> File:
        where = self._where(f"{key}/{item.path}")
        return _as_listed(look(self.objects, f"{key}/{item.path}", where, expected_bytes=item.size_bytes), item, where)

    def _listing(self, key: str, *, is_folder: bool) -> list[Listed] | None:
        """The files of a folder artifact, or (is_folder) of one that others uploaded; None where there is neither."""
        where = self._where(key)
        with suppress(Missing):
            try:
                return manifest.read(self.get(key + MANIFEST, at_most=manifest.MAX_BYTES), where)
            except TooLarge as error:
                raise BadArtifact(f"the list of files of {where} is not one that mlgen wrote: {error}") from None
        if not is_folder:
            return None  # files without a manifest may be half of an upload
        # Object stores have no folders; consoles mark one by an empty object whose key ends in "/".
        below = [Listed(item.key.removeprefix(f"{key}/"), item.size_bytes) for item in self.items(key)]
        found = [item for item in below if item.path and not item.path.endswith("/")]
        return manifest.check_paths(found, where) or None

    def _download(self, key: str, destination: Path, item: Listed) -> File:
        where = self._where(f"{key}/{item.path}")
        target = destination / item.path
        target.parent.mkdir(parents=True, exist_ok=True)
        passed = download(self.objects, f"{key}/{item.path}", target, where, expected_bytes=item.size_bytes)
        return _as_listed(passed, item, where)

    def _where(self, key: str) -> str:
        return f"{key} in {self.uri}"


def _item(meta: ObjectMeta) -> Item:
    return Item(meta["path"], meta["size"], meta["last_modified"])


def _as_listed(passed: Hashed | None, item: Listed, where: str) -> File:
    """A file of a folder, as it was read. Raises Mismatch where it is not what the folder's manifest says."""
    if passed is None:
        raise Mismatch(f"{where} is not there, and the folder's manifest names it")
    if item.sha256 not in (None, passed.sha256):
        raise Mismatch(f"{where} has the digest sha256:{passed.sha256}, not sha256:{item.sha256}")
    return passed.file(item.path)


def _size_bytes(folder: Held, name: str) -> int:
    with folder.open(name) as held:
        return held.size_bytes


def _weight(size_bytes: int) -> int:
    """What a file holds in memory while it travels."""
    return min(size_bytes, IN_FLIGHT_BYTES)
