"""Where a program of ours stands in a task's pod: what it was given, and what it works with."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from mlgen.ledger.records.task import Item
from mlgen.runtime.clock import Clock
from mlgen.runtime.pod.contract import Places
from mlgen.runtime.pod.handover import ITEM, Handover
from mlgen.runtime.pod.invocation import TaskPod
from mlgen.runtime.protocol import Execution, TaskDocument, Tree
from mlgen.store import Store

LOOK_SECONDS = 0.02  # between looks at what another program tells


class CalledOff(Exception):
    """Why an item is not run, in words for people."""


def _nowhere(_point: str) -> None:
    pass


@dataclass(frozen=True)
class Post:
    """open_store: of the environment's artifacts; raises CannotAnswer. pause: waits for so many seconds.
    say: a line for people, in the container's log.

    at: is told which point is reached, so that a test can end the program there.
    """

    pod: TaskPod
    places: Places
    open_store: Callable[[], Store]
    clock: Clock
    pause: Callable[[float], None]
    say: Callable[[str], None]
    at: Callable[[str], None] = _nowhere

    @property
    def rank(self) -> int:
        """Of a task on several nodes, which of them this pod is; rank 0 makes the record."""
        return self.pod.rank

    @property
    def document(self) -> TaskDocument:
        return self.pod.document

    @property
    def pod_uid(self) -> str:
        return str((self.pod.execution.tekton or {}).get("podUid"))

    @property
    def secrets(self) -> Mapping[str, str]:
        """Name -> text, of the author's program."""
        return self.pod.secrets

    @property
    def execution(self) -> Execution:
        """Of an item of lists that only the bucket knows: with its values, once stage-in has read them there."""
        execution = self.pod.execution
        told = self.handover.told(ITEM) if execution.item is not None else None
        return execution if told is None else replace(execution, item=Item(**{**json.loads(told), "reports": ()}))

    @property
    def tree(self) -> Tree:
        return Tree(self.places.root, self.places.state)

    @cached_property
    def handover(self) -> Handover:
        return Handover(self.places.state, self.pod.verb)

    @cached_property
    def store(self) -> Store:
        """Opened when first asked for: a pod that keeps nothing need not load a bucket's client."""
        return self.open_store()

    def hear(self, name: str, seconds: float) -> str | None:
        """The text of what the sidecar tells, once it does; None where it ended without, or is silent for so long."""
        deadline = self.clock.monotonic() + seconds
        while self.clock.monotonic() < deadline:
            lost = self.handover.ended("results")  # before the look: the sidecar tells, then ends
            text = self.handover.told(name)
            if text is not None or lost:
                return text
            self.pause(LOOK_SECONDS)
        return None
