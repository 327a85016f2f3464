"""Searches on this machine: the same trials for the same outcomes, the bad ones stopped early, the winner handed on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlgen.ledger.records.task import State, TaskRecord
from mlgen.local.events import Event, Started
from mlgen.plan.model import Plan
from mlgen.runtime.ending import PRUNED
from tests.local.runs import Project, Told
from tests.strategies import load

STEPS = """
for step in 1 2 3; do
  awk -v r="$rate" -v s=$step 'BEGIN { print s, 1 - (r - 0.3) ^ 2 - 1 / s }' >> "$MLGEN_REPORT"
  [ -z "$WAITS" ] || sleep 0.25
  if [ -e "$MLGEN_PRUNE" ]; then echo stopped; exit 0; fi
done
echo "$MLGEN_INDEX" > "$model"
awk -v r="$rate" 'BEGIN { print 1 - (r - 0.3) ^ 2 }' > "$auc"
"""


def plan(run: str = STEPS, *, waits: str = "", failures: int = 0, **sweep: object) -> Plan:
    search = {"search": {"rate": {"min": 0.01, "max": 1.0, "log": True}}, "trials": 6, "seed": 5, **sweep}
    train = {
        "run": run,
        "env": {"WAITS": waits},
        "out": {"model": "model", "auc": "metric"},
        "sweep": {"sampler": {"name": "tpe", "startup": 2}, **search},
        "parallel": 2,
        "pick": "max auc",
        **({"failures": failures} if failures else {}),
    }
    tell = {"run": 'echo "$rate $auc $(cat "$model")" > "$told"', "in": ["train.rate", "train.auc", "train.model"]}
    tasks = {"train": train, "tell": {**tell, "out": {"told": "string"}}}
    return load({"version": 1, "name": "demo", "tasks": tasks})


def trials(told: Told) -> list[TaskRecord]:
    found = [record for record in told.records.values() if record.task == "train"]
    return sorted(found, key=lambda record: record.item.index if record.item else -1)


def rates(told: Told) -> list[object]:
    return [record.item.values["rate"] for record in trials(told) if record.item]


def test_the_same_outcomes_give_the_same_trials(tmp_path: Path) -> None:
    runs = []
    for name, slots in (("a", 1), ("b", 2), ("c", 3)):
        (tmp_path / name).mkdir()
        runs.append(Project(tmp_path / name).run(plan(), slots=slots))

    assert [told.outcome.state for told in runs] == [State.COMPLETE] * 3
    assert rates(runs[0]) == rates(runs[1]) == rates(runs[2])
    assert len(set(map(str, rates(runs[0])))) == 6
    (tmp_path / "d").mkdir()
    other = Project(tmp_path / "d").run(plan(STEPS.replace("0.3", "0.9")))
    assert rates(other)[:2] == rates(runs[0])[:2]  # nothing was told yet
    assert rates(other)[2:] != rates(runs[0])[2:]


def test_the_winner_is_handed_on(tmp_path: Path) -> None:
    told = Project(tmp_path).run(plan())

    best = max(trials(told), key=lambda record: float(str(record.metrics["auc"])))
    assert best.item is not None
    rate, auc, index = str(told.records["tell-0"].values["told"]).split()
    assert (float(rate), float(auc), int(index)) == (best.item.values["rate"], best.metrics["auc"], best.item.index)
    assert best.item.pick == "max auc"
    assert [step for step, _ in best.item.reports] == [1, 2, 3]


def test_waves_follow_each_other(tmp_path: Path) -> None:
    events: list[Event] = []
    Project(tmp_path).run(plan(), slots=4, on_event=events.append)

    order = [e.item.index if isinstance(e, Started) and e.item else type(e).__name__ for e in events]
    running, most = 0, 0
    for what in order:
        running += isinstance(what, int)
        if what == "Ended":
            running -= 1
        if isinstance(what, int) and what % 2 == 0:
            assert running == 1, "a wave begins when the one before has ended"
        most = max(most, running)
    assert most == 2


def test_a_trial_that_falls_behind_is_stopped_and_is_no_failure(tmp_path: Path) -> None:
    rule = {"name": "median", "startup": 1}
    told = Project(tmp_path).run(plan(waits="yes", prune=rule, trials=8))

    pruned = [record for record in trials(told) if record.reason == PRUNED]
    assert told.outcome.state is State.COMPLETE
    assert pruned
    assert {record.state for record in pruned} == {State.ABORT}
    assert all(record.metrics == {} and record.outputs == () and record.exit_code == 0 for record in pruned)
    assert "stopped early, at step" in str(pruned[0].error)
    assert "stopped" in (told.folder / f"train.{pruned[0].item.index}-0" / "log").read_text()  # type: ignore[union-attr]
    winner = int(str(told.records["tell-0"].values["told"]).split()[2])
    assert winner not in {record.item.index for record in pruned if record.item}


def test_one_that_leaves_its_metric_has_completed_whatever_it_was_told(tmp_path: Path) -> None:
    rule = {"name": "median", "startup": 1}
    deaf = STEPS.replace('if [ -e "$MLGEN_PRUNE" ]; then echo stopped; exit 0; fi', "true")
    told = Project(tmp_path).run(plan(deaf, waits="yes", prune=rule))

    assert {record.state for record in trials(told)} == {State.COMPLETE}


def test_one_that_is_told_to_stop_and_fails_has_failed(tmp_path: Path) -> None:
    rule = {"name": "median", "startup": 1}
    bad = STEPS.replace("echo stopped; exit 0", "exit 7")
    told = Project(tmp_path).run(plan(bad, waits="yes", prune=rule, trials=8, failures=7))

    failed = [record for record in trials(told) if record.state is State.FAIL]
    assert failed
    assert {record.exit_code for record in failed} == {7}
    assert told.outcome.state is State.COMPLETE


def test_failed_trials_are_borne_and_told(tmp_path: Path) -> None:
    script = 'if [ "$MLGEN_INDEX" = 1 ]; then exit 3; fi' + STEPS
    told = Project(tmp_path).run(plan(script, failures=1))

    assert told.outcome.state is State.COMPLETE
    assert [record.state for record in trials(told)].count(State.FAIL) == 1
    (tmp_path / "b").mkdir()
    assert Project(tmp_path / "b").run(plan(script)).outcome.state is State.FAIL


def test_reports_that_are_none_stop_nobody(tmp_path: Path) -> None:
    odd = 'mkdir "$MLGEN_REPORT"; echo 1 > "$auc"; touch "$model"'
    told = Project(tmp_path).run(plan(odd, prune="median"))

    assert {record.state for record in trials(told)} == {State.COMPLETE}
    assert all(record.item is not None and record.item.reports == () for record in trials(told))


@pytest.mark.parametrize("rule", ["percentile", "halving", "hyperband"])
def test_every_rule_runs_to_a_winner(tmp_path: Path, rule: str) -> None:
    told = Project(tmp_path).run(plan(prune=rule))

    assert told.outcome.state is State.COMPLETE
    assert json.dumps(rates(told))
