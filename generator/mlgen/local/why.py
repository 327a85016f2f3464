"""Why a task does not run, in words for people: what its gate read, which task before it is to blame."""

from __future__ import annotations

from collections.abc import Callable, Container

from mlgen import gates
from mlgen.canonical import Json
from mlgen.gates import Ref
from mlgen.plan.model import Condition, OutRef, Task
from mlgen.values import to_short_text

INTERRUPTED = "the run was interrupted"
NOT_ASKED = "it was not asked for"
CUT_SHORT = "the run stopped before all its items had run"


def gate_false(condition: Condition, read: Callable[[Ref], Json]) -> str:
    """A false condition and, in brackets, the same with what its references were."""
    shown, at = "", 0
    for ref in gates.refs(condition.gate):
        value = read(ref)
        text = "nothing" if value is None else to_short_text(value)
        shown += condition.text[at : ref.start] + text
        at = ref.end
    return f"{condition.text} ({shown}{condition.text[at:]})"


def missing(task: Task, absent: Container[str | None]) -> str:
    """Which out a task would have read. absent: tasks that have none."""
    sources = [*(i.source for i in task.ins), *(task.fan.lists if task.fan else ())]
    lost = sorted({str(source) for source in sources if isinstance(source, OutRef) and source.task in absent})
    if lost:
        return f"it reads {', '.join(lost)}, which was not made"
    texts = [c.text for c in task.conditions if c.evaluator in absent]
    return f"its gate could not be decided: {' and '.join(texts)}"


def failed(task: str) -> str:
    return f"{task} failed"


def skipped(parent: str) -> str:
    return f"{parent}, which it waits for, was skipped"
