"""What a pipeline must have whose runs start by themselves: nobody is there who could give what lacks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mlgen.diagnostic import Diagnostic, Related
from mlgen.spec.checks.context import listed, near
from mlgen.spec.model import Param, Pipeline, Place, ScheduledParam, TriggerParam

NOT_STARTED = "its runs would not start"


def inputs_without_uri(pipeline: Pipeline, place: Place, code: str, starter: str) -> Iterator[Diagnostic]:
    """place: of the key that starts runs. starter: what that is, for people."""
    for item in pipeline.inputs.values() if "inputs" in pipeline.known else ():
        if item.uri is None:
            message = f'the input "{item.name}" has no URI, so that no {starter} can start the pipeline'
            related = (Related("the input", item.place.key_span),)
            fix = "give it one, or read it by a task from a param"
            yield place.key_finding(code, message, NOT_STARTED, fix, related)


def unknown_param(pipeline: Pipeline, given: ScheduledParam | TriggerParam, starter: str) -> Iterator[Diagnostic]:
    """Of a name that is none of the pipeline's params, as far as those could be read."""
    if "params" in pipeline.known:
        guess = near(given.name, pipeline.params)
        message = f'the {starter} gives "{given.name[:80]}", which is no param'
        fix = f"write {guess}" if guess else "remove it, or add it to `params`"
        why = f"the params are: {listed(pipeline.params)}"
        yield given.place.key_finding("unknown-param", message, why, fix)


def lacking(pipeline: Pipeline, given: Iterable[ScheduledParam | TriggerParam]) -> list[Param]:
    """The params without a default that nothing gives; none where the params could not be read."""
    names = {one.name for one in given}
    params = pipeline.params.values() if "params" in pipeline.known else ()
    return [param for param in params if param.is_required and param.type and param.name not in names]
