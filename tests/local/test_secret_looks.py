"""A run on this machine and what looks like a secret: refused where nothing is lost yet, masked where something is."""

from __future__ import annotations

import pytest

from mlgen.diagnostic import Misuse
from mlgen.ledger.records.task import State
from mlgen.local.events import Noted
from mlgen.plan.model import Param
from mlgen.secrets import find
from mlgen.values import Type
from tests.local.plans import in_, out, plan, task
from tests.local.runs import Project, Told
from tests.local.test_run import RAW

TOKEN = "gl" + "pat-" + "A1b2C3d4E5f6G7h8I9j0"
RANDOM = "1BxiMVs0XRA5" + "nFMdKvBdBZjgmUUqptlbs74"


def notes(told: Told) -> list[str]:
    return [event.text for event in told.events if isinstance(event, Noted)]


def test_a_value_is_handed_on_and_masked_in_the_record(project: Project) -> None:
    made = plan(
        task("a", f'printf %s {TOKEN} > "$x"', outs=[out("x")]),
        task("b", f'test "$x" = {TOKEN}', ins=[in_("x", "a.x")]),
    )
    told = project.run(made)
    assert told.outcome.state is State.COMPLETE
    assert told.records["a-0"].values == {"x": "***"}
    assert notes(told) == ["a: values.x looks like a GitLab token: its record has *** instead"]
    assert not any(TOKEN.encode() in data or find(data) for data in project.spooled)


def test_an_error_is_masked(project: Project) -> None:
    told = project.run(plan(task("a", f'mkdir "$x"; mkfifo "$x/{TOKEN}"', outs=[out("x", Type.DIRECTORY)])))
    assert told.records["a-0"].state is State.FAIL
    assert "***" in str(told.records["a-0"].error)
    assert not any(TOKEN.encode() in data for data in project.spooled)


@pytest.mark.parametrize("given", [
    f"note={TOKEN}", f"note=see {TOKEN}", "password=letmein", f"raw=s3://data/raw.csv?X-Amz-Signature={'ab' * 32}",
])  # fmt: skip
def test_an_argument_that_looks_like_one_stops_the_run_before_anything_starts(project: Project, given: str) -> None:
    params = [Param("note", Type.STRING, ""), Param("password", Type.STRING, "")]
    with pytest.raises(Misuse, match="looks like a") as caught:
        project.run(plan(task("a"), params=params, inputs=[RAW]), given)
    assert caught.value.code == "bad-argument"
    assert not any(word in str(vars(caught.value)) for word in (TOKEN, "letmein"))
    assert list(project.root.rglob("run.lock")) == []
    assert project.spooled == []


def test_a_default_is_looked_at_too(project: Project) -> None:
    with pytest.raises(Misuse, match='param "note" looks like a GitLab token'):
        project.run(plan(task("a"), params=[Param("note", Type.STRING, TOKEN)]))


def test_what_only_looks_random_stops_nothing(project: Project) -> None:
    params = [Param("drive", Type.STRING, RANDOM), Param("drive_id", Type.STRING, RANDOM)]
    made = plan(task("a", f'test "$drive" = {RANDOM}', ins=[in_("drive", "params.drive")]), params=params)
    told = project.run(made)
    assert told.outcome.state is State.COMPLETE
    assert told.run.params == told.records["a-0"].params == {"drive": "***", "drive_id": RANDOM}
    assert notes(told) == [
        'param "drive" looks like a random string: records have *** for it, unless its name ends in _id'
    ]
