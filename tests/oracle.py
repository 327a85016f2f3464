"""Tekton's own admission, as a program that answers for a manifest: found by the variable MLGEN_ORACLE alone."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

needs_oracle = pytest.mark.skipif(
    not os.environ.get("MLGEN_ORACLE"),
    reason="needs Tekton's admission: MLGEN_ORACLE is not set to the program that answers for it",
)


class Oracle:
    """Answers for one object at a time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, manifest: object) -> dict[str, Any]:
        """{"admitted": bool, "errors": [...], "defaulted": what the cluster would store}."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(manifest) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def insist(self, manifest: Any) -> None:
        """The object is admitted, and stored as it is written: nothing is added, changed or removed."""
        answer = self.ask(manifest)
        name = f"{manifest['kind']} {manifest['metadata']}"
        assert answer["admitted"] is True, f"{name}: {answer['errors']}"
        assert answer["defaulted"] == manifest, name


@contextmanager
def running() -> Iterator[Oracle]:
    """The oracle, as long as the block runs."""
    with subprocess.Popen(
        [os.environ["MLGEN_ORACLE"], "--server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Oracle(process)
        finally:
            assert process.stdin
            process.stdin.close()  # it ends with its input
