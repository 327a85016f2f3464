"""A record that no ledger would take is kept all the same, as one that says so."""

from __future__ import annotations

import pytest

from mlgen.ledger.records.task import Item, State
from mlgen.runtime.ending import check_recordable, fix, of_exit_code, record_of
from mlgen.runtime.protocol import Execution, TaskDocument

DIGEST = "sha256:" + "5" * 64
START, END = "2026-11-28T10:00:00Z", "2026-11-28T10:00:01Z"
DOCUMENT = TaskDocument("churn", "prod", "train", (), (), (), "s3://b/p", None, None, None, 60)


@pytest.mark.parametrize(
    ("params", "item"),
    [({"text": "x" * 80_000}, None), ({}, Item(3, 4, {"text": "x" * 80_000}, "max auc"))],
    ids=["params", "the values of an item"],
)
def test_what_was_given_is_too_long(params: dict[str, str], item: Item | None) -> None:
    execution = Execution(
        run="churn-x1",
        run_uid="6c2f8f0e-1111-4111-8111-111111111111",
        run_id="6c2f8f0e-1111-5111-8111-111111111111",
        attempt=0,
        ins={},
        gate_values={},
        params=params,
        spec_digest=DIGEST,
        plan_digest=DIGEST,
        commit=None,
        engine="tekton",
        item=item,
    )
    check_recordable(DOCUMENT, execution, START)
    kept = fix(record_of(DOCUMENT, execution, of_exit_code(0, START, END))).entry
    assert kept.state is State.FAIL
    assert "more than 65,536: shorten " in (kept.error or "")
    assert kept.item == (item and Item(3, 4, {}, "max auc"))
