"""Trials of a search (decision 0032): what a trial is told to try, whether it should stop, and what that makes of it.

The same in both engines: locally the outcomes of earlier trials are in memory, in a pod stage-in finds them in the
bucket and leaves them beside the execution's state, for the sidecar.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mlgen import canonical
from mlgen.canonical import Json
from mlgen.ledger.records.task import Item, State
from mlgen.runtime.ending import PRUNED, Ending
from mlgen.runtime.fans.outcomes import Outcome, latest
from mlgen.runtime.protocol import Tree
from mlgen.runtime.regular import Unreadable, read_regular
from mlgen.search import reports
from mlgen.search.ask import ask_wave
from mlgen.search.model import Report, Search, Told, values
from mlgen.search.prune import stop_step
from mlgen.values import to_text

EARLIER, STOPPED = "earlier.json", "stopped"  # in Tree.state: what was told before the wave; the step of the verdict
LOOK_SECONDS = 0.2  # between looks at what a trial reports


def told(search: Search, outcomes: Iterable[Outcome]) -> list[Told]:
    """What became of trials, as a search is told it. outcomes: of any attempts."""
    found = []
    for outcome in latest(outcomes):
        score = outcome.metrics.get(search.metric) if outcome.state is State.COMPLETE else None
        known = isinstance(score, int | float) and not isinstance(score, bool)
        texts = {d.name: to_text(outcome.values[d.name]) for d in search.space if d.name in outcome.values}
        if len(texts) == len(search.space):
            value = float(score) if known else None  # type: ignore[arg-type]  # a number, as `known` says
            found.append(Told(outcome.index, texts, value, outcome.pruned, outcome.reports))
    return found


def before(search: Search, index: int, outcomes: Iterable[Outcome]) -> list[Told]:
    """Of these, those before a trial's wave: all that its values and verdicts hang on."""
    return [one for one in told(search, outcomes) if one.index < search.wave(index)]


def proposed(search: Search, index: int, earlier: Sequence[Told]) -> tuple[Item, dict[str, str]]:
    """A trial: the item for its record, and the text of each variable. earlier: as `before` gives.

    Raises CannotAnswer "no-optuna".
    """
    return item(search, index, ask_wave(search, earlier, index)[-1])


def item(search: Search, index: int, texts: dict[str, str]) -> tuple[Item, dict[str, str]]:
    """The same, of a trial whose values are known."""
    pick = f"{'max' if search.highest else 'min'} {search.metric}"
    return Item(index, search.trials, values(search, texts), pick), texts


def variables(tree: Tree) -> dict[str, str]:
    """What a trial's program finds in its environment."""
    return {
        reports.VARIABLE: str(tree.root / reports.FILE),
        reports.STOP_VARIABLE: str(tree.root / reports.STOP_FILE),
    }


def keep_earlier(tree: Tree, earlier: Sequence[Told]) -> None:
    """Leave what verdicts hang on for the sidecar."""
    data: list[Json] = [
        {"index": t.index, "score": t.score, "pruned": t.pruned, "reports": [list(r) for r in t.reports]}
        for t in earlier
    ]
    (tree.state / EARLIER).write_bytes(canonical.encode(data))


def kept_earlier(tree: Tree) -> list[Told]:
    """What stage-in left; nothing before that."""
    try:
        data = json.loads((tree.state / EARLIER).read_bytes())
    except FileNotFoundError:
        return []
    return [
        Told(one["index"], {}, one["score"], one["pruned"], tuple((s, float(v)) for s, v in one["reports"]))
        for one in data
    ]


@dataclass
class Watcher:
    """Looks at what one trial reports, and tells it when it should stop. earlier: as `before` gives."""

    search: Search
    index: int
    earlier: Sequence[Told]
    tree: Tree
    stopped: bool = False
    _seen: tuple[int, int] = (0, 0)  # of the file: its size, and when it was changed

    def look(self) -> None:
        """Does nothing where nothing was reported since the last look."""
        path = self.tree.root / reports.FILE
        try:
            stat = path.lstat()
        except OSError:
            return
        seen = (stat.st_size, stat.st_mtime_ns)
        if self.stopped or seen == self._seen:
            return
        self._seen = seen
        step = stop_step(self.search, self.index, self.earlier, reports.read_file(path))
        if step is not None:
            self.stopped = True
            (self.tree.state / STOPPED).write_text(str(step))
            _mark(self.tree.root / reports.STOP_FILE)


def _mark(path: Path) -> None:
    try:
        path.touch()
    except OSError:  # the program has put something there, and so it is told
        return


def ended(search: Search, tree: Tree, ending: Ending, *, has_metric: bool) -> Ending:
    """How a trial ended: one that was told to stop, ends well and leaves no metric was pruned."""
    step = _stop_told(tree)
    if step is None or has_metric or ending.state is not State.COMPLETE:
        return ending
    rule = search.prune.name if search.prune else "a rule"
    return replace(ending, state=State.ABORT, reason=PRUNED, error=f"stopped early, at step {step}, by {rule}")


def _stop_told(tree: Tree) -> int | None:
    try:
        return int(read_regular(tree.state / STOPPED).decode())
    except (FileNotFoundError, Unreadable, ValueError):
        return None


def reported(tree: Tree, ending: Ending) -> tuple[Report, ...]:
    """What a trial reported, for those after it. ending: as `ended` gives it.

    Of one that was pruned up to the verdict: how much it wrote after that hangs on when it saw it.
    """
    found, step = reports.read_file(tree.root / reports.FILE), _stop_told(tree)
    return tuple(one for one in found if one[0] <= step) if ending.reason == PRUNED and step is not None else found
