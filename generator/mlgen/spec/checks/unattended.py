"""What a pipeline must have whose runs start by themselves: nobody is there who could give what lacks."""

from __future__ import annotations

from collections.abc import Iterator

from mlgen.diagnostic import Diagnostic, Related
from mlgen.spec.model import Pipeline, Place


def inputs_without_uri(pipeline: Pipeline, place: Place, code: str, starter: str) -> Iterator[Diagnostic]:
    """place: of the key that starts runs. starter: what that is, for people."""
    for item in pipeline.inputs.values() if "inputs" in pipeline.known else ():
        if item.uri is None:
            message = f'the input "{item.name}" has no URI, so that no {starter} can start the pipeline'
            related = (Related("the input", item.place.key_span),)
            fix = "give it one, or read it by a task from a param"
            yield place.key_finding(code, message, "its runs would not start", fix, related)
