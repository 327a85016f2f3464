"""Fans of which the run found that they have no items, as Tekton tells of them."""

from __future__ import annotations

from typing import Any

import pytest

from mlgen.cluster import view
from mlgen.cluster.empty import EMPTY, empty
from mlgen.cluster.events import Failure, Skipped
from mlgen.cluster.telling import Teller
from mlgen.ledger.records.run import TaskStatus

FULL = {"input": "$(tasks.make.results.for-0-full)", "operator": "notin", "values": ["0"]}
OVER = {"input": "$(tasks.make.results.for-0-over)", "operator": "notin", "values": ["0"]}
GATE = {"input": "$(tasks.make.results.if-0)", "operator": "in", "values": ["true"]}
FALSE = "When Expressions evaluated to false"


def piece(name: str, when: list[Any], *, fan: bool = True) -> dict[str, Any]:
    matrix = {"matrix": {"params": [{"name": "mlgen-index", "value": ["$(tasks.make.results.for-0-rest[*])"]}]}}
    return {"name": name, "taskRef": {"name": "demo-each-0123456789"}, "when": when, **(matrix if fan else {})}


def skipped(name: str, *whens: tuple[dict[str, Any], str]) -> dict[str, Any]:
    filled = [when | {"input": text} for when, text in whens]
    return {"name": name, "reason": FALSE, "whenExpressions": filled}


def run_of(pieces: list[dict[str, Any]], told: list[dict[str, Any]]) -> dict[str, Any]:
    metadata = {"name": "r", "namespace": "n", "uid": "u", "labels": {}, "annotations": {}}
    return {"metadata": metadata, "status": {"pipelineSpec": {"tasks": pieces}, "skippedTasks": told}}


def test_it_has_succeeded() -> None:
    pieces = [piece("each", [GATE, FULL]), piece("each-c1", [GATE, OVER])]
    told = [skipped("each", (GATE, "true"), (FULL, "0")), skipped("each-c1", (GATE, "true"), (OVER, "0"))]
    run = run_of(pieces, told)
    assert empty(run, ["each", "each-c1"])
    objects = view.Objects(run)
    assert view.settled(objects, ["each"]) == {"each": TaskStatus("Succeeded", "")}
    events = list(Teller(lambda _: (Failure("", ""), ())).news(objects))
    assert [event for event in events if isinstance(event, Skipped)] == [Skipped("each", EMPTY)]


@pytest.mark.parametrize(
    ("pieces", "told"),
    [
        (  # its gate is false
            [piece("each", [GATE, FULL]), piece("each-c1", [GATE, OVER])],
            [skipped("each", (GATE, "false"), (FULL, "0")), skipped("each-c1", (GATE, "false"), (OVER, "0"))],
        ),
        ([piece("each", [FULL]), piece("each-c1", [OVER])], [skipped("each", (FULL, "0"))]),  # one is still to come
        ([piece("each", [FULL], fan=False)], [skipped("each", (FULL, "0"))]),
        ([piece("each", [GATE])], [skipped("each", (GATE, "false"))]),
        ([piece("each", [FULL])], [{"name": "each", "reason": "PipelineRun was stopping"}]),
        ([], []),
    ],
)
def test_what_was_skipped_otherwise_has_not(pieces: list[dict[str, Any]], told: list[dict[str, Any]]) -> None:
    names = [one["name"] for one in pieces] or ["each"]
    assert not empty(run_of(pieces, told), names)
    status = view.settled(view.Objects(run_of(pieces, told)), ["each"]).get("each")
    assert status is None or status.status == "None"


def test_it_is_told_once_all_of_it_is_known() -> None:
    """Tekton lists what it skips before it has filled in the results, as on 1.15."""
    pieces = [piece("each", [GATE, FULL]), piece("each-c1", [GATE, OVER])]
    whole = [skipped("each", (GATE, "true"), (FULL, "0")), skipped("each-c1", (GATE, "true"), (OVER, "0"))]
    early = [skipped("each", (GATE, "true"), (FULL, str(FULL["input"])))]
    teller = Teller(lambda _: (Failure("", ""), ()))
    told = [
        [event for event in teller.news(view.Objects(run_of(pieces, some))) if isinstance(event, Skipped)]
        for some in (early, whole[:1], whole, whole)
    ]
    assert told == [[], [], [Skipped("each", EMPTY)], []]
    teller = Teller(lambda _: (Failure("", ""), ()))
    false = [skipped("each", (GATE, "false"), (FULL, "0"))]
    assert Skipped("each", FALSE) in list(teller.news(view.Objects(run_of(pieces, false))))
