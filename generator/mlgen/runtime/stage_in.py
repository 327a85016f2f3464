"""Before the author's program: its folders made, its artifacts copied and verified."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mlgen.diagnostic import Fault
from mlgen.ledger.records.artifact import Artifact
from mlgen.runtime.outs import StagingError, reason_of
from mlgen.runtime.protocol import Execution, In, TaskDocument, Tree
from mlgen.runtime.regular import Unreadable, read_regular
from mlgen.runtime.texts import read_result, split_pointer
from mlgen.store import Store, StoreError, locate

OpenStore = Callable[[str], Store]
INPUTS = "inputs.json"  # in Tree.state: what stage-in verified, for the record that stage-out writes


def prepare(tree: Tree, *, checkpoint: bool = False) -> None:
    """Make the folders of an execution. The root exists; in a pod the kubelet may have made some.

    What else has such a name stays: a sidecar that is started again finds what the author's program made of them.
    """
    names = ("in", "out", "work", "home", "tmp", *(("checkpoint",) if checkpoint else ()))
    for name in names:
        with suppress(FileExistsError):
            (tree.root / name).mkdir()


def stage_in(document: TaskDocument, execution: Execution, tree: Tree, store: Store, open_at: OpenStore) -> None:
    """Copy the artifacts that enter a task to where it reads them, each verified while it is copied.

    A copy and not a link, so that no author's program can alter what is stored. store: of the environment's
    artifacts. open_at: the store at a URI, for inputs. Raises StagingError, naming the in, the URI and the reason.
    """
    artifacts = []
    # One after the other: the store has as many requests under way as the container's memory allows.
    for item in document.ins:
        if item.kind != "value":
            text = read_result(execution.ins[item.name], optional=item.optional)
            if text is not None and is_many(item):
                artifacts += _fetch_all(item, text, tree.input(item.name), store, open_at)
            elif text is not None:
                artifacts.append(_fetch(item, text, tree.input(item.name), store, open_at))
    note_inputs(tree, artifacts)


def note_inputs(tree: Tree, artifacts: Sequence[Artifact]) -> None:
    """Note what enters, for the record."""
    if artifacts:
        (tree.state / INPUTS).write_text(json.dumps([asdict(a) for a in artifacts]))


def is_many(item: In) -> bool:
    """Whether an in is of all items of a fan: of artifacts its text is a json list of pointers, null for none."""
    return item.late is not None and item.late.fan and item.late.pick is None


def _fetch_all(item: In, text: str, folder: Path, store: Store, open_at: OpenStore) -> list[Artifact]:
    """A folder with one entry an item, named by its number; empty where no item left anything."""
    from mlgen.runtime.fans.late import folder_entries  # here: only readers of fans have such ins

    folder.mkdir()
    entries = folder_entries(json.loads(text))
    return [_fetch(item, pointer, folder / entry, store, open_at) for entry, pointer in entries]


def staged_inputs(tree: Tree) -> tuple[Artifact, ...]:
    """The artifacts that stage-in brought; none where it did not get to its end."""
    try:
        return tuple(_artifact(data) for data in json.loads(read_regular(tree.state / INPUTS)))
    except (FileNotFoundError, Unreadable, TypeError, ValueError, RecursionError):  # here the program can write, too
        return ()


def _artifact(data: dict[str, Any]) -> Artifact:
    found = Artifact(**data)
    texts = (found.name, found.uri, found.digest, found.media_type, found.type)
    if not all(isinstance(text, str) for text in texts) or type(found.size_bytes) is not int:
        raise TypeError("not what stage-in wrote")
    return found


def _fetch(item: In, text: str, destination: Path, store: Store, open_at: OpenStore) -> Artifact:
    where, digest = split_pointer(text)
    try:
        if item.kind == "input":
            uri, (at, key) = where, locate(where)
            content = open_at(at).get_artifact(key, destination, digest=digest)
        else:
            uri = f"{store.uri}/{where}"
            content = store.get_artifact(where, destination, digest=digest)
    except (StoreError, Fault, OSError) as error:
        raise StagingError(f'in "{item.name}" cannot be read from {where}: {reason_of(error)}') from None
    return Artifact(item.name, uri, content.digest, content.size_bytes, content.media_type, str(item.type))
