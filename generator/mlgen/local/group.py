"""A task on several nodes as this machine has it: one process for each, together one attempt (decision 0041)."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlgen.local import ranks
from mlgen.local.whole import write
from mlgen.plan.model import Task
from mlgen.runtime.nodes import variables as nodes
from mlgen.runtime.outs import StagingError
from mlgen.runtime.protocol import Tree
from mlgen.runtime.regular import Unreadable, read_regular
from mlgen.store.disk import remove

MOST_BYTES = 4096  # of what a group tells of its end: more is not from it


@dataclass(frozen=True, slots=True)
class Told:
    """How a group ended. rank: the one that decided. exit_code: its own, minus a signal's number for one.

    problem: why none could be started; else None.
    """

    rank: int
    exit_code: int
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """The ranks of an attempt. tree: its folders, which are rank 0's; the others have theirs in `nodes/<rank>`."""

    task: Task
    tree: Tree

    def lay(self) -> None:
        """Make the folders of the other ranks, with what is in rank 0's working directory. Raises StagingError."""
        try:
            for number in range(1, self.task.nodes):
                own = self._own(number)
                (own.root / "out").mkdir(parents=True)
                shutil.copytree(self.tree.work, own.work, symlinks=True)
        except OSError as error:
            raise StagingError(f"the working directory of another node cannot be made: {error}") from None

    def command(self, program: Sequence[str], env: Mapping[str, str], grace_seconds: float) -> list[str]:
        """The command that runs a program once a rank. env: of rank 0. Raises OSError."""
        told = {
            "command": list(program),
            "ranks": [self._rank(number, env) for number in range(self.task.nodes)],
            "graceSeconds": grace_seconds,
            "ended": str(self._ended),
        }
        write(self._file, json.dumps(told).encode())  # no secret: those are in the environment
        return [sys.executable, "-I", "-S", ranks.__file__, str(self._file)]

    def told(self) -> Told | None:
        """How it ended; None where it was made to end, and could not tell."""
        try:
            data = json.loads(read_regular(self._ended)[:MOST_BYTES])
            if "problem" in data:
                return Told(0, 127, str(data["problem"])[:MOST_BYTES])
            return Told(int(data["rank"]), int(data["exitCode"]))
        except (FileNotFoundError, Unreadable, ValueError, KeyError, TypeError):
            return None

    @property
    def _file(self) -> Path:
        return self.tree.root / "ranks.json"

    @property
    def _ended(self) -> Path:
        return self.tree.root / "ranks-ended.json"

    def _own(self, number: int) -> Tree:
        return Tree(self.tree.root / "nodes" / str(number), self.tree.state)

    def _rank(self, number: int, env: Mapping[str, str]) -> dict[str, object]:
        """Its working directory and variables. All read the same ins; what others than rank 0 leave is thrown away."""
        about = nodes.variables(number, self.task.nodes)
        if number == 0:
            return {"cwd": str(self.tree.work), "env": about}
        own = self._own(number)
        tmp = Path(env["TMPDIR"]) / f"node-{number}"
        tmp.mkdir(exist_ok=True)
        outs = {out.name: str(own.output(out.name)) for out in self.task.outs}
        return {"cwd": str(own.work), "env": {**outs, "TMPDIR": str(tmp), **about}}


def log_forms(secrets: Iterable[str], count: int) -> list[str]:
    """What to look for in a log whose every line begins with a rank: a secret of several lines is in it so, too."""
    found = list(secrets)
    found += [s.replace("\n", f"\n[{rank}] ") for s in found if "\n" in s for rank in range(count)]
    return found


def error(told: Told, count: int, sentence: str) -> str:
    """The error of an attempt, with the rank that it was."""
    rest = "the others were ended" if count > 2 else "the other was ended"
    return f"node {told.rank} of {count}: {sentence}; {rest}"


def forget(root: Path) -> None:
    """Remove the folders of the other ranks, and what they were told."""
    remove(root / "nodes", all_that_can=True)
    for name in ("ranks.json", "ranks-ended.json"):
        if os.path.lexists(root / name):
            os.unlink(root / name)
