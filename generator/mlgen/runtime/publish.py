"""What pods fetch and no run makes: code and files of the author, uploaded below the artifacts before a run."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import TimeoutError as NotYet
from multiprocessing.pool import IMapIterator, ThreadPool
from pathlib import Path
from typing import TypeVar

from mlgen.diagnostic import CannotAnswer
from mlgen.plan.model import Plan
from mlgen.runtime import bundle
from mlgen.runtime.texts import pointer
from mlgen.store import Mismatch, Store, StoreError, locate, measure, open_store
from mlgen.worktree import Tree

AT_ONCE = 4  # uploads; each may be several streams and some 40 MiB of memory
WAIT_SECONDS = 0.5

T = TypeVar("T")


@dataclass(frozen=True, slots=True, order=True)
class Item:
    """One thing to publish. kind: "code" or "input". paths: folders of code, in order; of an input, its one path.

    Paths start at the project's folder; an input that a run was given may have an absolute one.
    """

    kind: str
    paths: tuple[str, ...]
    digest: str

    @property
    def key(self) -> str:
        """Where it is published, below the environment's artifacts."""
        return bundle.code_key(self.digest) if self.kind == "code" else bundle.input_key(self.digest, self.paths[0])

    def __str__(self) -> str:
        return f"{self.kind} {', '.join(self.paths)}"


@dataclass(frozen=True, slots=True)
class Published:
    """What `publish` found and did. Both in the order of the items."""

    uploaded: tuple[Item, ...]
    present: tuple[Item, ...]


def wanted(plans: Iterable[Plan]) -> list[Item]:
    """All that the manifests of these plans pin: each content once, sorted."""
    found: dict[str, Item] = {}
    for plan in plans:
        codes = [Item("code", task.code.folders, task.code.digest) for task in plan.all_tasks if task.code]
        inputs = [Item("input", (i.path,), i.digest) for i in plan.inputs if i.path is not None and i.digest]
        for item in [*codes, *inputs]:
            found.setdefault(item.key, item)
    return sorted(found.values())


def given(location: str, digest: str | None, *, base: Path, artifacts: str) -> tuple[str, Item | None]:
    """What a run in a cluster is told of an input that it was given, and what must be published for that.

    location: a URI of a bucket, or a path: absolute, or relative to `base`. artifacts: the environment's.
    Raises BadArtifact for a link or a special file, OSError.
    """
    if "://" in location:
        return (pointer(location, digest) if digest else location), None
    item = Item("input", (location,), digest or measure(base / location).digest)
    return bundle.input_text(artifacts, item.digest, location), item


def publish(
    items: Sequence[Item],
    *,
    store: Store,
    files: Tree,
    scratch: Path,
    on_missing: Callable[[Sequence[Item]], object] = lambda _items: None,
    on_end: Callable[[Item], object] = lambda _item: None,
) -> Published:
    """Upload what is not there. Content-addressed: again is harmless, from anywhere, also after a kill.

    items: of several with one key the last counts. store: of the environment's artifacts. files: the project, as its
    plans were made from it. scratch: an empty folder with room for copies of the items, so that what goes up is what
    was verified, whatever an editor does meanwhile.
    on_missing, on_end: told of what is to be uploaded, once, and of the end of each upload.
    Raises CannotAnswer "code-changed", "other-bytes", and what the store raises.
    """
    items = list({item.key: item for item in items}.values())  # a run may be given a file that its plan pins, too
    send = _Sender(store, files, scratch)
    # Threads that end with the process: after Ctrl-C nobody waits for an upload's end.
    with ThreadPool(AT_ONCE) as pool:
        missing = [item for item, there in _results(pool.imap(send.look, items)) if not there]
        if missing:
            on_missing(missing)
        for item in _results(pool.imap_unordered(send, missing)):
            on_end(item)
    return Published(tuple(missing), tuple(item for item in items if item not in missing))


def _results(calls: IMapIterator[T]) -> Iterator[T]:
    """Results as they come, waited for anew: Python overlooks a signal that comes just as it begins to wait."""
    while True:
        try:
            yield calls.next(timeout=WAIT_SECONDS)
        except NotYet:
            continue
        except StopIteration:
            return


@dataclass(frozen=True, slots=True)
class _Sender:
    store: Store
    files: Tree
    scratch: Path

    def look(self, item: Item) -> tuple[Item, bool]:
        return item, self.store.has(item.key)

    def __call__(self, item: Item) -> Item:
        copy = self.scratch / item.key.replace("/", "-")
        (self._pack if item.kind == "code" else self._copy)(item, copy)
        try:
            self.store.put_artifact(item.key, copy)
        except StoreError as error:
            raise _unpublishable(item, error) from None
        return item

    def _pack(self, item: Item, copy: Path) -> None:
        laid = copy.with_suffix(".files")  # those of a commit lie nowhere yet
        files = {name: path for folder in item.paths for name, path in self.files.files(folder, laid).items()}
        with copy.open("xb") as archive:
            try:
                found = bundle.pack(files, archive)
            except OSError as error:
                if error.errno not in (None, errno.ENOENT, errno.ENOTDIR):  # None: it became shorter
                    raise
                found = "gone"
        if found != item.digest:
            raise CannotAnswer(
                "code-changed",
                f"the files of {', '.join(item.paths)} changed while they were being published",
                why="manifests pin code by its digest, and only that very code may lie under it",
                fix="run it again, and render again if the code is to be another",
            )

    def _copy(self, item: Item, copy: Path) -> None:
        at, name = locate(str(self.files.place(item.paths[0], copy.with_suffix(".files"))))
        try:
            open_store(at, base=self.scratch).get_artifact(name, copy, digest=item.digest)
        except Mismatch as error:
            raise CannotAnswer(
                "other-bytes",
                f"{item.paths[0]} is not what is to be published: {error}",
                why="what is published is known by its digest, and only those very bytes may lie under it",
                fix="run it again if it was edited meanwhile, else restore it or correct the digest",
            ) from None
        except StoreError as error:
            raise _unpublishable(item, error) from None


def _unpublishable(item: Item, error: StoreError) -> CannotAnswer:
    return CannotAnswer("not-published", f"{item} cannot be published: {error}", fix="mend what it says")
