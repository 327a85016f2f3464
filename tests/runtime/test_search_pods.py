"""Trials of a search as pods: each asks for its values, reports, stops when told to, and tells the next ones."""

from __future__ import annotations

from uuid import uuid4

import pytest

from mlgen.ledger.records.task import State, TaskRecord
from mlgen.runtime.ending import PRUNED
from mlgen.runtime.fans import trials
from mlgen.runtime.fans.model import FanDocument, Late
from mlgen.runtime.pod import sidecar
from mlgen.runtime.protocol import In, Out, Tree
from mlgen.search.ask import ask_wave
from mlgen.search.model import Dimension, Prune, Search, Told
from mlgen.values import Type
from tests.runtime.pods import MakePod, Pod

SEARCH = Search(
    (Dimension("lr", Type.NUMBER, low=0.001, high=1.0, log=True), Dimension("kind", Type.STRING, ("a b", "$c"))),
    trials=5,
    metric="auc",
    highest=True,
    parallel=2,
    startup=2,
    prune=Prune("median", startup=1),
)
FAN = FanDocument((("lr", Type.NUMBER), ("kind", Type.STRING)), failures=1, pick="auc", of=SEARCH.trials, search=SEARCH)
OUTS = (Out("auc", Type.METRIC), Out("model", Type.MODEL))
FIT = 'printf "%s" "$lr $kind" > "$model"; echo "1 0.5" >> "$MLGEN_REPORT"; echo 0.7 > "$auc"'
WAITING = """
echo "1 0.1" >> "$MLGEN_REPORT"
for n in $(seq 200); do [ ! -e "$MLGEN_PRUNE" ] || exit 0; sleep 0.05; done
echo 0.1 > "$auc"; : > "$model"
"""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sidecar, "TRIAL_SECONDS", 0.05)


class Trials:
    """The pods of one search, run one after the other."""

    def __init__(self, make: MakePod) -> None:
        self.make, self.uid = make, str(uuid4())

    def run(self, index: int, script: str = FIT) -> tuple[int, Pod, TaskRecord]:
        pod = self.make(outs=OUTS, fan=FAN, index=index, run_uid=self.uid)
        pod.sidecar()
        assert pod.stage_in() == 0, pod.programs[1].text
        pod.main(script)
        code = pod.stage_out()
        pod.programs[0].wait()
        (record,) = [r for r in pod.records if r.item and r.item.index == index]
        return code, pod, record


def texts_of(record: TaskRecord) -> dict[str, str]:
    assert record.item is not None
    return {name: str(value) for name, value in record.item.values.items()}


def test_trials_are_proposed_by_the_waves_before_and_the_winner_is_read(make: MakePod) -> None:
    trials_ = Trials(make)
    expected = ask_wave(SEARCH, [], 1)
    told = []
    for index in (1, 0):  # as pods come
        code, pod, record = trials_.run(index)
        assert (code, pod.results, record.state) == (0, {"outcome": "COMPLETE"}, State.COMPLETE)
        assert texts_of(record) == expected[index]
        assert record.item is not None
        assert (record.item.of, record.item.pick, record.item.reports) == (5, "max auc", ((1, 0.5),))
        told.append(Told(index, expected[index], 0.7, reports=((1, 0.5),)))

    _, _, third = trials_.run(2)

    assert texts_of(third) == ask_wave(SEARCH, told, 2)[0]

    rate = In("rate", "value", Type.NUMBER, late=Late("train", "lr", True, "auc", True, 3))
    reader = make(ins=(rate,), outs=(), run_uid=trials_.uid)
    reader.sidecar()
    assert reader.stage_in() == 0
    assert reader.main(f'[ "$rate" = "{expected[0]["lr"]}" ]') == 0


def test_a_trial_that_falls_behind_is_told_to_stop(make: MakePod) -> None:
    trials_ = Trials(make)
    for index in (0, 1):
        trials_.run(index)

    code, pod, record = trials_.run(2, WAITING)

    assert (code, pod.results) == (0, {"outcome": "ABORT"})
    assert (record.state, record.reason, record.exit_code) == (State.ABORT, PRUNED, 0)
    assert record.error == "stopped early, at step 1, by median"
    assert record.item is not None
    assert record.item.reports == ((1, 0.1),)
    # No failure, of which the task bears one; and the next wave is told of it.
    code, pod, record = trials_.run(3, "exit 4")
    assert (code, pod.results, record.state) == (0, {"outcome": "FAIL"}, State.FAIL)
    assert trials_.run(4)[0] == 0


def test_what_the_program_makes_of_the_files_does_no_harm(make: MakePod) -> None:
    trials_ = Trials(make)
    for index, script in enumerate(
        ('mkdir "$MLGEN_REPORT"', 'mkfifo "$MLGEN_REPORT"', 'ln -s /etc/passwd "$MLGEN_REPORT"')
    ):
        code, _, record = trials_.run(index, f'{script}; mkdir "$MLGEN_PRUNE"; : > "$model"; echo 0.7 > "$auc"')
        assert (code, record.state) == (0, State.COMPLETE)
        assert record.item is not None
        assert record.item.reports == ()


def test_told_and_kept(make: MakePod) -> None:
    pod = make(fan=FAN)
    tree = Tree(pod.places.root, pod.places.state)
    earlier = [Told(0, {"lr": "0.1"}, 0.5, reports=((1, 0.25), (2, 0.5))), Told(1, {"lr": "0.2"}, pruned=True)]
    assert trials.kept_earlier(tree) == []

    trials.keep_earlier(tree, earlier)

    assert [(t.index, t.score, t.pruned, t.reports) for t in trials.kept_earlier(tree)] == [
        (t.index, t.score, t.pruned, t.reports) for t in earlier
    ]
