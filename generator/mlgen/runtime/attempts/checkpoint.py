"""The folder that survives attempts: saved while a program runs, found again by the next attempt (decision 0035).

    _attempts/<pipeline>/<run uid>/<task>/<item>/<generation>-<8 hex of the runId>/<save>.json   a save's files
                                                                                  /<save>-<n>    their bytes

Each execution saves into a generation of its own, above all that it finds: so one that is thought dead and saves on
alters nothing that another has, and is read only where no later one saved. A list is put last, once all its bytes are
kept; so a save is there whole or not at all.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from mlgen import canonical
from mlgen.diagnostic import Fault
from mlgen.ledger.records.fields import BadRecord, loads
from mlgen.runtime.attempts.snapshot import Torn, Trait, still
from mlgen.runtime.outs import StagingError, reason_of
from mlgen.runtime.protocol import Execution, TaskDocument, Tree
from mlgen.store import BadArtifact, Mismatch, Missing, Store, StoreError, forget
from mlgen.store.base import check_key
from mlgen.store.disk import empty

PREFIX = "_attempts"
KEPT = 2  # saves of a generation
PAUSES_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0)  # between tries to find the folder still
VERSION = 1
_LIST = re.compile(r"(?P<generation>[0-9]{4,9})-(?P<who>[0-9a-f]{8})/(?P<save>[0-9]{6,9})\.json")
_OWN = re.compile(r"(?P<generation>[0-9]{4,9})-(?P<who>[0-9a-f]{8})/")


def attempts_folder(document: TaskDocument, execution: Execution) -> str:
    """Where the attempts of a task in a run leave what the next ones must know, below the artifacts."""
    return f"{PREFIX}/{document.pipeline}/{execution.run_uid}/{document.task}"


def checkpoint_folder(pipeline: str, run_uid: str, task: str, index: int = 0) -> str:
    """Where the saves of a task's checkpoint in a run lie, below the artifacts. index: of a fan's item."""
    return f"{PREFIX}/{pipeline}/{run_uid}/{task}/{index}"


def checkpoint_of(store: Store, document: TaskDocument, execution: Execution, tree: Tree) -> Checkpoint:
    """The checkpoint of an execution."""
    index = execution.item.index if execution.item else 0
    at = checkpoint_folder(document.pipeline, execution.run_uid, document.task, index)
    return Checkpoint(store, at, tree.checkpoint, tree.root, execution.run_id)


@dataclass(frozen=True, slots=True)
class Kept:
    """A file of a save. key: of its bytes, below the generation. digest: "sha256:…"."""

    path: str
    key: str
    digest: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Saved:
    """What a save, or a restored one, holds; moved_bytes: those that had to be copied."""

    files: int
    size_bytes: int
    moved_bytes: int


def _to_bytes(files: Iterable[Kept], identity: str | None) -> bytes:
    listed = [{"path": f.path, "key": f.key, "digest": f.digest, "sizeBytes": f.size_bytes} for f in files]
    of = {} if identity is None else {"of": identity}
    return canonical.encode({"version": VERSION, "files": listed, **of})


def _from_bytes(data: bytes, *, identity: str | None = None) -> list[Kept]:
    """identity: what it must be of, if that matters. Raises BadRecord, BadKey: a bucket may hold anything."""
    fields = loads(data)
    if fields.integer("version") > VERSION:
        raise BadRecord("the checkpoint was saved by a newer mlgen")
    if identity is not None and fields.optional_text("of") != identity:
        raise BadRecord("the checkpoint is of a task that computes from something else")
    return [
        Kept(check_key(f.text("path")), check_key(f.text("key")), f.text("digest"), f.integer("sizeBytes"))
        for f in fields.objects("files")
    ]


@dataclass
class Checkpoint:
    """The folder of one execution. at: where its saves lie. beneath: above `folder`, written to by us alone.

    identity: a digest of what the program computes from, where another run may go on from here.
    Its methods may be called from several threads: one waits for the other.
    """

    store: Store
    at: str
    folder: Path
    beneath: Path
    run_id: str
    pause: Callable[[float], None] = time.sleep
    identity: str | None = None
    _lock: Lock = field(default_factory=Lock)
    _generation: str | None = None
    _save: int = 0
    _known: dict[Trait, Kept] = field(default_factory=dict)
    _saves: list[int] = field(default_factory=list)

    def save(self) -> Saved | None:
        """Keep the folder as it is; None where it is as it was last kept, or empty.

        Raises Torn when it does not keep still, and whatever the store raises: nothing is lost of earlier saves then.
        """
        with self._lock:
            for pause in (*PAUSES_SECONDS, None):
                try:
                    return self._save_now()
                except Torn:
                    if pause is None:
                        raise
                self.pause(pause)
        raise AssertionError("the last try returns or raises")

    def _save_now(self) -> Saved | None:
        with still(self.folder, self.beneath, frozenset(self._known)) as found:
            if set(found.files) == self._known.keys():
                return None
            generation = self._begin()
            self._save += 1
            put: list[str] = []
            kept: dict[Trait, Kept] = {}
            moved = 0
            try:
                for number, trait in enumerate(found.files):
                    known = self._known.get(trait)
                    if known is None:
                        key = f"{self._save:06}-{number}"
                        put.append(f"{generation}/{key}")
                        with found.open(trait) as held:
                            content = self.store.put_file(put[-1], held)
                        known = Kept(trait.path, key, content.digest, content.size_bytes)
                        moved += content.size_bytes
                    kept[trait] = known
                self.store.put(f"{generation}/{self._save:06}.json", _to_bytes(kept.values(), self.identity))
            except BaseException:
                self._forget(put)
                raise
        self._known = kept
        self._saves.append(self._save)
        self._prune(generation)
        return Saved(len(kept), sum(k.size_bytes for k in kept.values()), moved)

    def _begin(self) -> str:
        """This execution's generation; where its sidecar was killed and is here again, the one that it had."""
        if self._generation is None:
            found = {match["who"]: int(match["generation"]) for match in self._matches(_OWN)}
            who = self.run_id[:8]
            number = found.get(who, max(found.values(), default=0) + 1)
            self._generation = f"{self.at}/{number:04}-{who}"
            # Above whatever a predecessor put, whole or not.
            names = (key.removeprefix(f"{self._generation}/") for key in self.store.keys(self._generation))
            self._save = max((int(name[:6]) for name in names if name[:6].isdecimal()), default=0)
        return self._generation

    def _matches(self, pattern: re.Pattern[str]) -> list[re.Match[str]]:
        keys = (key.removeprefix(f"{self.at}/") for key in self.store.keys(self.at))
        return [match for key in keys if (match := pattern.match(key))]

    def _prune(self, generation: str) -> None:
        """Forget what no save that is kept needs; of other generations once two of this one are there."""
        if len(self._saves) < KEPT:
            return
        self._saves = self._saves[-KEPT:]
        keep = {f"{generation}/{save:06}.json" for save in self._saves}
        for one in keep:
            keep = keep | {f"{generation}/{kept.key}" for kept in _from_bytes(self.store.get(one))}
        own = int(generation.rpartition("/")[2].partition("-")[0])
        stale = []
        for key in self.store.keys(self.at):
            match = _OWN.match(key.removeprefix(f"{self.at}/"))
            ours = key.startswith(f"{generation}/")
            if match and key not in keep and (ours or int(match["generation"]) < own):
                stale.append(key)
        self._forget(stale)

    def _forget(self, keys: Sequence[str]) -> None:
        # Lists first: whoever finds one finds its bytes, unless it is forgotten at this moment.
        # What stays harms nobody: the next save, the end of the task or `mlgen gc` forgets it.
        forget(self.store, sorted(keys, key=lambda key: not key.endswith(".json")))

    def restore(self, earlier: Sequence[str] = ()) -> Saved | None:
        """Lay the last save into the folder, which is there and empty; None where there is none.

        earlier: where else to look, in this order, once none is here: for saves of the same identity. A save that is
        damaged is passed over for the one before. Raises StagingError where the store cannot be asked.
        """
        try:
            for at in (self.at, *(earlier if self.identity else ())):
                for base, name in self._lists(at):
                    saved = self._lay(base, name, None if at == self.at else self.identity)
                    if saved is not None:
                        return saved
        except (StoreError, Fault, OSError) as error:
            raise StagingError(f"the checkpoint cannot be read: {reason_of(error)}") from None
        return None

    def _lists(self, at: str) -> list[tuple[str, str]]:
        """(generation, name) of the lists at a place, the last save first."""
        keys = (key.removeprefix(f"{at}/") for key in self.store.keys(at))
        found = [match for key in keys if (match := _LIST.fullmatch(key))]
        found.sort(key=lambda m: (int(m["generation"]), m["who"], int(m["save"])), reverse=True)
        return [(f"{at}/{m['generation']}-{m['who']}", f"{m['save']}.json") for m in found]

    def _lay(self, base: str, name: str, identity: str | None) -> Saved | None:
        try:
            files = _from_bytes(self.store.get(f"{base}/{name}"), identity=identity)
            for kept in files:
                target = self.folder / kept.path
                target.parent.mkdir(parents=True, exist_ok=True)
                self.store.get_artifact(f"{base}/{kept.key}", target, digest=kept.digest)
        except (Missing, Mismatch, BadArtifact, BadRecord, ValueError, FileExistsError):
            empty(self.folder)
            return None
        size = sum(kept.size_bytes for kept in files)
        return Saved(len(files), size, size)

    def remove(self) -> None:
        """Forget all saves: the task is done."""
        with self._lock:
            self._forget(self.store.keys(self.at))
