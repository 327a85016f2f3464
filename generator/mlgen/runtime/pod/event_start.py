"""`mlgen-runtime start` in a pod that an event made: creates the PipelineRun of the event, once.

What the cluster's filter left of the event is a file: base64 of JSON, see `mlgen.triggers.cel`. Nothing of it is
trusted: its values are judged as those of `mlgen run -p`, and one that does not fit starts nothing.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlgen import canonical
from mlgen.diagnostic import CannotAnswer, Misuse, visible
from mlgen.runtime.pod import contract as pod
from mlgen.runtime.pod.start import Asking, Server, create, named
from mlgen.triggers.events import read_json
from mlgen.triggers.matching import MOST, Param, Told, arguments, of_document
from mlgen.triggers.model import Trigger

EVENT_FOLDER, EVENT_FILE = "/mlgen-event", "event"
ANNOTATION = "mlgen.dev/event"  # of the pod: what was left of the event; of a run: which event started it
LABEL = "mlgen.dev/trigger"  # of the runs that events started: the name of their Trigger
MAX_IDENTITY = 500  # characters of which event it was, for people

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Start:
    """What a pod is to start. run: the PipelineRun without a name. params: of those that the event gives, by name."""

    pipeline: str
    trigger: Trigger
    params: Mapping[str, Param]
    run: Object

    @staticmethod
    def read(data: bytes) -> Start:
        """Raises CannotAnswer for what another version has written."""
        try:
            found = json.loads(data)
            params = {name: Param.from_json(param) for name, param in found["params"].items()}
            return Start(str(found["pipeline"]), Trigger.from_json(found["on"]), params, dict(found["run"]))
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            why = "`mlgen render` and the runtime image that mlgen.yaml names must be of versions that fit"
            raise CannotAnswer("bad-invocation", f"what this pod was given cannot be read: {error}", why=why) from None


def is_meant(data: bytes) -> bool:
    """Whether what is to be started is an event's."""
    try:
        found = json.loads(data)
    except ValueError:
        return False
    return isinstance(found, dict) and "on" in found


def event() -> bytes:
    """What was left of the event. Raises CannotAnswer."""
    try:
        return (Path(EVENT_FOLDER) / EVENT_FILE).read_bytes()
    except OSError as error:
        raise CannotAnswer("bad-invocation", f"there is no event: {error}") from None


def start(what: Start, data: bytes, server: Server, pause: Callable[[float], object] = time.sleep) -> str:
    """Create the runs of an event; a line for each.

    Raises Misuse for an event that cannot be read, and after those that fit for values that do not; CannotAnswer where
    the cluster refuses a run.
    """
    asking = Asking(server, pause)
    lines, refused = [], []
    for one in runs_of(what, data):
        name = what.trigger.run_name(what.pipeline, one.identity)
        texts, problems = given(what, one)
        words = f"for {visible(' '.join(one.identity))[:MAX_IDENTITY]}"
        if problems:
            refused.append(f"{name} is not started, {words}: {'; '.join(visible(text) for text in problems)}")
            continue
        notes = {ANNOTATION: canonical.encode(list(one.identity)).decode()[:MAX_IDENTITY]}
        run = named(what.run, name, notes, texts)
        lines.append(create(run, LABEL, what.trigger.concurrency, words, asking))
    if refused:
        fix = "change the params of the spec, or what its trigger takes"
        raise Misuse("bad-event", "\n".join([*lines, *refused]), why="its values do not fit the params", fix=fix)
    return "\n".join(lines) or "nothing is asked for"


def runs_of(what: Start, data: bytes) -> list[Told]:
    """The runs that an event asks for. Raises Misuse where it cannot be read."""
    try:
        found = list(of_document(what.trigger, read_json(base64.b64decode(data, validate=True))))
    except (ValueError, binascii.Error) as error:
        raise Misuse("bad-event", f"the event cannot be read: {visible(str(error))}") from None
    if len(found) > MOST:
        raise Misuse("bad-event", f"the event asks for {len(found):,} runs, {MOST} are the most")
    return found


def given(what: Start, one: Told) -> tuple[dict[str, str], list[str]]:
    """The texts of a run's params, and what is wrong with them."""
    texts, problems = arguments(what.trigger, what.params, one)
    for name in one.values:
        if name in texts and (found := pod.NOT_IN_PARAMS.search(texts[name])):
            problems.append(f"{name}: it holds {found[0][:80]}, which Tekton takes for a variable of its own")
    return texts, problems
