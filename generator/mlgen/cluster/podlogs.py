"""What the containers of a pod printed, kept in the bucket before the pod is pruned."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from mlgen.cluster.api import Api, ApiError, Object
from mlgen.cluster.failure import OUR_CONTAINERS, STEP
from mlgen.cluster.numbers import number_of
from mlgen.cluster.view import MAIN, pod_attempt, task_of
from mlgen.store import Store, Taken
from mlgen.store.base import SMALL

FOLDER = "_logs"
MAX_BYTES = 64 << 20  # of one log; a kubelet keeps 10 MiB, or what its node was told to
OUR_BYTES = 1 << 20  # of what a container of ours may print at most before it is no error of ours
_CUT = b"\n(mlgen kept the first %d bytes; there were more)\n"
_OURS = b"mlgen-runtime: "

_NO_LOG = (400, 404)  # a container that never started; a pod that is gone


def log_key(run_uid: str, pod: Object) -> str:
    """Where the log of a pod, as `shape.read` takes it in, is kept, below the environment's artifacts."""
    about = pod["metadata"]
    number = number_of(pod)
    node = task_of(pod) if number is None else f"{task_of(pod)}.{number}"
    return f"{log_folder(run_uid)}/{node}-{pod_attempt(about['name'])}.{about['uid'][:8]}.log"


_KEY = re.compile(
    rf"{FOLDER}/[^/]+/(?P<task>[a-z0-9-]+)(\.(?P<item>[0-9]+))?-(?P<attempt>[0-9]+)\.(?P<pod>[0-9a-f]{{8}})\.log"
)


def read_log_key(key: str) -> tuple[str, int, str] | None:
    """(task or `task[item]`, attempt, first 8 of the pod's uid): the inverse of `log_key`; None of another key."""
    match = _KEY.fullmatch(key)
    if match is None:
        return None
    node = match["task"] if match["item"] is None else f"{match['task']}[{int(match['item'])}]"
    return node, int(match["attempt"]), match["pod"]


def log_folder(run_uid: str) -> str:
    """Where the logs of a run are kept, below the environment's artifacts."""
    return f"{FOLDER}/{run_uid}"


def keep(api: Api, pod: Object, store: Store, key: str, scratch: Path) -> None:
    """Keep what main of a pod printed, and after it the errors of our own containers. A key that is taken stays.

    scratch: a file that is written here, as large as the log. Raises ApiError, Unreachable, CannotAnswer.
    """
    with scratch.open("wb") as file:
        file.writelines(_capped(printed(api, pod)))
    with suppress(Taken):
        if scratch.stat().st_size <= SMALL:
            store.put(key, scratch.read_bytes())
        else:
            store.put_artifact(key, scratch)
    scratch.unlink()


def printed(api: Api, pod: Object) -> Iterator[bytes]:
    """What main of a pod printed, and after it the errors of our own containers. Raises ApiError, Unreachable."""
    containers = {one["name"]: one for one in (pod.get("status") or {}).get("containerStatuses") or ()}
    last = b"\n"
    if f"{STEP}{MAIN}" in containers:
        for chunk in _log(api, pod, f"{STEP}{MAIN}"):
            last = chunk[-1:] or last
            yield chunk
    if all(map(_went_well, containers.values())):
        return  # nearly every pod: one question instead of four
    for name in OUR_CONTAINERS:
        if name in containers and (told := _errors(_log(api, pod, name))):
            yield told if last == b"\n" else b"\n" + told
            last = b"\n"


def _went_well(container: Object) -> bool:
    return ((container.get("state") or {}).get("terminated") or {}).get("exitCode") == 0


def _log(api: Api, pod: Object, container: str) -> Iterator[bytes]:
    about = pod["metadata"]
    try:
        yield from api.log(about["namespace"], about["name"], container)
    except ApiError as error:
        if error.status not in _NO_LOG:
            raise


def _errors(chunks: Iterable[bytes]) -> bytes:
    """From the last error that a container of ours told, to the end of what it printed."""
    text = b""
    for chunk in chunks:
        text = (text + chunk)[-OUR_BYTES:]
    lines = text.splitlines(keepends=True)
    starts = [at for at, line in enumerate(lines) if line.startswith(_OURS)]
    told = b"".join(lines[starts[-1] :]) if starts else b""
    return told if not told or told.endswith(b"\n") else told + b"\n"


def _capped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    left = MAX_BYTES
    for chunk in chunks:
        yield chunk[:left]
        if len(chunk) > left:
            yield _CUT % MAX_BYTES
            return
        left -= len(chunk)
