"""Whether the bytes that records name are still there, and still those: each artifact is read once, whole."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlgen.git import Repository
from mlgen.ledger.gc.collected import Collection, collected
from mlgen.ledger.records.artifact import Artifact
from mlgen.ledger.records.fields import BadRecord
from mlgen.ledger.records.task import TaskRecord
from mlgen.ledger.stream import stream
from mlgen.ledger.verify.finding import Finding, Found
from mlgen.store import BadArtifact, BadKey, Mismatch, Missing, Store
from mlgen.store.threads import threads

if TYPE_CHECKING:
    from concurrent.futures import Future

_AT_ONCE = 4  # artifacts; of a large one, a store reads parts side by side by itself
_AHEAD = 64

OnProgress = Callable[[int, int], None]  # artifacts and bytes so far


@dataclass(slots=True)
class Checked:
    """artifacts, size_bytes: how many were read, and were right. collected: how many `gc artifacts` threw away.

    elsewhere: how many lie below none of the places that are read: inputs from other buckets, outs of other times.
    """

    artifacts: int = 0
    size_bytes: int = 0
    collected: int = 0
    elsewhere: int = 0


@dataclass(frozen=True, slots=True)
class _Named:
    """An artifact that a record names first, where it lies, and what is wrong with it: a code and why, or nothing."""

    artifact: Artifact
    path: str
    store: Store
    key: str

    def judge(self) -> tuple[str, str] | None:
        try:
            content = self.store.measure_artifact(self.key)
        except (Missing, BadKey) as error:
            return "artifact-missing", str(error)
        except (Mismatch, BadArtifact) as error:
            return "artifact-altered", str(error)
        if content.digest != self.artifact.digest:
            sizes = f"{content.size_bytes:,} bytes of {content.digest}"
            return "artifact-altered", f"{sizes}, not {self.artifact.size_bytes:,} of {self.artifact.digest}"
        return None


def check(
    repository: Repository,
    tip: str,
    stores: Mapping[str, Store],
    found: Found,
    *,
    since: str | None = None,
    on_progress: OnProgress = lambda _artifacts, _size_bytes: None,
) -> Checked:
    """Read every artifact that records at a tip name below some stores, each (URI, digest) once.

    stores: by what stands before "/" and a key in an artifact's URI. since: only of records that a commit has not.
    Raises GitError; CannotAnswer where a store cannot be used.
    """
    checked = Checked()
    survey = _Survey(stores, checked)
    thrown_away = _Lazily(list(stores.values()))
    for one, fault in _side_by_side(survey.named(repository, tip, since)):
        if fault is None:
            checked.artifacts += 1
            checked.size_bytes += one.artifact.size_bytes
        elif fault[0] == "artifact-missing" and one.artifact.uri in thrown_away.uris:
            checked.collected += 1
        else:
            found.add(Finding(fault[0], f"{one.artifact.uri}: {fault[1]}", "", one.path))
        on_progress(checked.artifacts, checked.size_bytes)
    return checked


@dataclass(frozen=True, slots=True)
class _Survey:
    stores: Mapping[str, Store]
    checked: Checked
    # Half of a digest of each (URI, digest): 10**6 take 100 MB, and nobody finds two that are equal.
    seen: set[bytes] = field(default_factory=set)

    def named(self, repository: Repository, tip: str, since: str | None) -> Iterator[_Named]:
        for stored in stream(repository, tip, since=since):
            try:
                record = stored.entry()
            except BadRecord:  # the walk has told of it
                continue
            if isinstance(record, TaskRecord):
                for artifact in (*record.outputs, *record.inputs):
                    if self._is_new(artifact) and (place := self._place(artifact.uri)) is not None:
                        yield _Named(artifact, stored.path, *place)

    def _is_new(self, artifact: Artifact) -> bool:
        key = hashlib.sha256(f"{artifact.digest}\n{artifact.uri}".encode()).digest()[:16]
        if key in self.seen:
            return False
        self.seen.add(key)
        return True

    def _place(self, uri: str) -> tuple[Store, str] | None:
        for prefix, store in self.stores.items():
            if uri.startswith(f"{prefix}/"):
                return store, uri[len(prefix) + 1 :]
        self.checked.elsewhere += 1
        return None


class _Lazily:
    """What was thrown away; looked up when something is missing. uris: of artifacts."""

    def __init__(self, stores: list[Store]) -> None:
        self._stores = stores
        self._found: dict[str, Collection] | None = None

    @property
    def uris(self) -> Mapping[str, Collection]:
        if self._found is None:
            self._found = {uri: about for store in self._stores for uri, about in collected(store).items()}
        return self._found


def _side_by_side(named: Iterator[_Named]) -> Iterator[tuple[_Named, tuple[str, str] | None]]:
    running: deque[tuple[_Named, Future[tuple[str, str] | None]]] = deque()
    with threads(_AT_ONCE) as pool:
        for one in named:
            running.append((one, pool.submit(one.judge)))
            if len(running) == _AHEAD:
                first, future = running.popleft()
                yield first, future.result()
        while running:
            first, future = running.popleft()
            yield first, future.result()
