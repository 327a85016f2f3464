"""A store in a bucket: s3://, gs:// or az://, through obstore."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotSupportedError
from obstore.store import ObjectStore, from_url

from mlgen import canonical
from mlgen.diagnostic import CannotAnswer
from mlgen.store import disk
from mlgen.store.base import SMALL, check_digest, check_key
from mlgen.store.content import CHUNK, Content, File, Hashed, chunks, folder_content, measure, walk
from mlgen.store.errors import Missing, Taken, TooLarge

PART_BYTES = 8 << 20  # of a multipart upload; at 10,000 parts an object may have 80 GiB
MANIFEST_BYTES = 1 << 28  # some two million files
PARTS_AT_ONCE = 4  # so an upload holds some 40 MiB in memory
MANIFEST = ".files.json"  # beside a folder artifact: what it holds; an out's name has no dot, so no out has this key


@dataclass(frozen=True, slots=True)
class Bucket:
    """uri: with the prefix, without a "/" at its end."""

    objects: ObjectStore
    uri: str

    @staticmethod
    def open(uri: str, options: Mapping[str, str]) -> Bucket:
        """The bucket at a URI. Raises CannotAnswer when obstore cannot use the options."""
        config: Any = dict(options)
        plain_http = options.get("endpoint", "").startswith("http://")
        client: Any = {"allow_http": True} if plain_http else None
        with _reach(uri):
            return Bucket(from_url(uri, config=config, client_options=client), uri.rstrip("/"))

    def put(self, key: str, data: bytes) -> None:
        check_key(key)
        with _reach(self.uri):
            try:
                obstore.put(self.objects, key, data, mode="create", use_multipart=False)
            except AlreadyExistsError:
                self._same(key, data)
            except NotSupportedError:
                # A store without conditional writes. Keys that two writers share hold the digest of their bytes.
                with suppress(Missing):
                    return self._same(key, data)
                obstore.put(self.objects, key, data, use_multipart=False)

    def _same(self, key: str, data: bytes) -> None:
        if self.get(key) != data:
            raise Taken(f"other bytes are kept as {key} in {self.uri} already")

    def get(self, key: str, *, at_most: int = SMALL) -> bytes:
        with _reach(self.uri):
            try:
                found = obstore.get(self.objects, check_key(key))
                if found.meta["size"] > at_most:
                    raise TooLarge(f"{self.uri}/{key} has more than {at_most:,} bytes")
                return bytes(found.bytes())
            except FileNotFoundError:
                raise Missing(f"{self.uri} keeps nothing as {key}") from None

    def keys(self, folder: str) -> list[str]:
        prefix = check_key(folder.rstrip("/")) + "/"
        with _reach(self.uri):
            return sorted(item["path"] for page in obstore.list(self.objects, prefix) for item in page)

    def delete(self, key: str) -> None:
        with _reach(self.uri), suppress(FileNotFoundError):
            obstore.delete(self.objects, check_key(key))

    def has(self, key: str) -> bool:
        for name in (check_key(key), key + MANIFEST):
            with _reach(self.uri), suppress(FileNotFoundError):
                obstore.head(self.objects, name)
                return True
        return False

    def put_artifact(self, key: str, path: Path, *, move: bool = False) -> Content:
        check_key(key)
        if not os.path.lexists(path):
            raise Missing(f"there is nothing at {path}")
        with _reach(self.uri):
            if path.is_symlink() or not path.is_dir():
                return self._upload(key, path).content(path.name)
            names = [check_key(f"{key}/{name}") and name for name in walk(path)]  # all good before any goes up
            files = [self._upload(f"{key}/{name}", path / name).file(name) for name in names]
            # Last: a folder is there once its manifest is.
            self.put(key + MANIFEST, _manifest(files))
            return folder_content(files)

    def _upload(self, key: str, path: Path) -> Hashed:
        """Upload a file, hashing on the way: a plain put, for nobody else writes below an execution's prefix."""
        if path.is_symlink() or not path.is_file():
            measure(path)  # raises, with the words for what it is
        passed = Hashed(chunks(path, PART_BYTES))
        obstore.put(self.objects, key, passed, chunk_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE)
        kept = obstore.head(self.objects, key)["size"]
        if kept != passed.size_bytes:
            raise CannotAnswer(
                "store-broken", f"{self.uri} keeps {kept} bytes as {key}, and was given {passed.size_bytes}"
            )
        return passed

    def get_artifact(self, key: str, destination: Path, *, digest: str | None = None) -> Content:
        name = check_key(key.rstrip("/"))
        disk.check_free(destination)
        try:
            with _reach(self.uri):
                found = self._download_any(name, destination, is_folder=key.endswith("/"))
            return check_digest(found, digest, f"{self.uri}/{key}")
        except BaseException:
            disk.remove(destination)
            raise

    def _download_any(self, key: str, destination: Path, *, is_folder: bool) -> Content:
        if not is_folder:
            with suppress(FileNotFoundError):  # a folder has no object of its own name
                return self._download(key, destination).content(key.rpartition("/")[2])
        names = self._files(key, is_folder=is_folder)
        if names is None:
            raise Missing(f"{self.uri} keeps nothing as {key}")
        destination.mkdir()
        files = []
        for name in names:
            place = destination / name
            place.parent.mkdir(parents=True, exist_ok=True)
            files.append(self._download(f"{key}/{name}", place).file(name))
        return folder_content(files)

    def _files(self, key: str, *, is_folder: bool) -> list[str] | None:
        """The files of a folder artifact, or (is_folder) of one that others uploaded; None where there is neither."""
        with suppress(Missing):
            listing = json.loads(self.get(key + MANIFEST, at_most=MANIFEST_BYTES))["files"]
            return [check_key(item["path"]) for item in listing]
        if not is_folder:
            return None  # files without a manifest may be half of an upload
        # Object stores have no folders; consoles mark one by an empty object whose key ends in "/".
        below = [path.removeprefix(f"{key}/") for path in self.keys(key)]
        return [path for path in below if path and not path.endswith("/")] or None

    def _download(self, key: str, target: Path) -> Hashed:
        stream = obstore.get(self.objects, key).stream(min_chunk_size=CHUNK)
        with os.fdopen(disk.open_new(target), "wb") as file:
            passed = Hashed(bytes(chunk) for chunk in stream)
            file.writelines(passed)
        return passed


def _manifest(files: list[File]) -> bytes:
    listing = [{"path": f.path, "sha256": f.sha256, "sizeBytes": f.size_bytes} for f in files]
    return canonical.encode({"version": 1, "files": listing})


@contextmanager
def _reach(uri: str) -> Iterator[None]:
    try:
        yield
    except BaseError as error:
        raise CannotAnswer(
            "store-unreachable",
            f"{uri} cannot be used: {str(error).splitlines()[0][:300]}",
            fix="see that the bucket exists, that its endpoint is reached from here and that the credentials are good",
        ) from error
