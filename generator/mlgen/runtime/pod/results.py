"""Tekton's folders of results: what a program left there that is not its to write, and how much goes through them.

The entrypoint of each step reads them when its program has ended: main's just before stage-out begins, or meanwhile.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path

from mlgen.runtime.pod.contract import ARTIFACTS, RESULTS, Places
from mlgen.store.disk import remove

# Kubernetes shares 12,288 bytes among the messages in which the containers of a pod, init containers counted, say how
# they ended, and cuts a longer one: Tekton then finds no results in it, and the task has succeeded without any. Ours
# are six at most, and 2,048 bytes arrive (2,049 did not, on 1.34). This leaves room for two that others add, as service
# meshes do, 1,536 bytes, and in these for Tekton's own 64.
# Source: kubernetes pkg/kubelet/status/status_manager.go, normalizeStatus; tektoncd/pipeline pkg/termination/write.go.
MAX_RESULTS_BYTES = 1400
_SIX_BYTES = frozenset("<>&\u2028\u2029") | {chr(code) for code in range(0x20)} - set("\n\r\t")
_TWO_BYTES = frozenset('"\\\n\r\t')

PROVENANCE = "provenance.json"  # the one name in a folder of artifacts that Tekton reads
HOLD_SECONDS = 0.1  # a pipe is held open for whoever was about to open it
MOST_NAMED = 3


def json_bytes(text: str) -> int:
    """The bytes of a text, without quotes, in the JSON that Go writes.

    Source: Go's encoding/json, appendString; before 1.22 it wrote backspace and form feed in six bytes too.
    """
    return sum(6 if c in _SIX_BYTES else 2 if c in _TWO_BYTES else len(c.encode()) for c in text)


def too_large(results: Mapping[str, str]) -> str | None:
    """Why results cannot be handed on, in a sentence; None where they can. results: by name, as they are written."""
    sizes = {
        name: len('{"key":"","value":"","type":1},') + json_bytes(name) + json_bytes(text)
        for name, text in results.items()
    }
    total = sum(sizes.values()) + 1  # brackets, and a comma less
    if total <= MAX_RESULTS_BYTES:
        return None
    largest = sorted(sizes, key=lambda name: -sizes[name])[:MOST_NAMED]
    named = ", ".join(f'"{name}" {sizes[name]:,}' for name in largest)
    return (
        f"the outs take {total:,} bytes as results, {MAX_RESULTS_BYTES:,} are handed on: {named}. Write less (each of "
        "< > & and of control characters takes six bytes), or make what is long a file"
    )


def put_by_program(
    places: Places, exit_code_file: Path, names: Iterable[str], pause: Callable[[float], None]
) -> list[str]:
    """What main's program put where Tekton reads results and artifacts: paths, a few at most.

    What lies at names that Tekton reads is taken away, and its entrypoint, should it wait at a pipe there, goes on.
    names: of the results. exit_code_file: Tekton's, beside main's artifacts. Nothing here waits for what it finds.
    """
    own = exit_code_file.parent / "artifacts"  # main's, which stage-out can read and not change
    read_by_tekton = [*(places.results / name for name in names), places.artifacts / PROVENANCE, own / PROVENANCE]
    found = [path for path in read_by_tekton if os.path.lexists(path)]
    told = [_as_main_sees(path, places) for path in found] or [f"{RESULTS}/{name}" for name in _any(places.results)]
    held = [descriptor for path in found if (descriptor := _hold(path)) is not None]
    for path in found:
        with suppress(OSError):
            remove(path)
    if held:
        pause(HOLD_SECONDS)
    for descriptor in held:
        os.close(descriptor)
    return told[:MOST_NAMED]


def blame(intruders: list[str], names: Iterable[str]) -> str:
    """What is said of a program that put something there, in a sentence."""
    outs = [name for name in names if f"{RESULTS}/{name}" in intruders and not name.startswith("if-")]
    instead = f'write to "${outs[0]}"' if outs else "outs are written to the paths in their variables"
    return f"the program wrote to {', '.join(intruders)}, which is Tekton's: {instead}"


def _any(folder: Path) -> list[str]:
    """Some names in a folder; whether there are more is of no interest."""
    with suppress(OSError), os.scandir(folder) as entries:
        return sorted(entry.name for entry in islice(entries, MOST_NAMED))
    return []


def _as_main_sees(path: Path, places: Places) -> str:
    if path.parent == places.results:
        return f"{RESULTS}/{path.name}"
    return f"{ARTIFACTS}/{path.name}" if path.parent == places.artifacts else str(path)


def _hold(path: Path) -> int | None:
    """A pipe at a path, also at the end of a link, opened so that whoever waits at it goes on once this is closed."""
    for attempt in ("as it is", "with a mode that lets us"):
        with suppress(OSError):
            if not stat.S_ISFIFO(path.stat().st_mode):
                return None
            if attempt != "as it is":
                path.chmod(0o600)
            # For reading too: for writing alone it could not be opened before the reader is there. Neither waits.
            return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    return None
