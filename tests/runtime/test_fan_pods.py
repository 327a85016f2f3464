"""Items of a fan as pods: what each leaves, how many failures are borne, and what readers find."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from mlgen.ledger.records.task import Item, State
from mlgen.runtime.attempts import following
from mlgen.runtime.attempts.retrying import Policy
from mlgen.runtime.fans import gathering, outcomes
from mlgen.runtime.fans.model import Count, FanDocument, Late, ListDocument
from mlgen.runtime.pod import ender, verdict
from mlgen.runtime.protocol import In, Out
from mlgen.store import Folder
from mlgen.values import Type
from tests.rights import Rights
from tests.runtime.pods import MakePod, Pod, until

AUC, MODEL, NOTE = Out("auc", Type.METRIC), Out("model", Type.MODEL), Out("note", Type.STRING, True, 64)
SWEEP = FanDocument((("lr", Type.NUMBER),), failures=1, pick="max auc", of=3)
TRAIN = 'echo "$lr" > "$model"; echo "0.$lr" > "$auc"'


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdict, "ENTRYPOINT_SECONDS", 0.4)
    monkeypatch.setattr(verdict, "TOGETHER_SECONDS", 0.2)
    monkeypatch.setattr(following, "TELLING_SECONDS", 1)


class Sweep:
    """The pods of one run's fan. Each is run to its end by `trial`."""

    def __init__(self, make: MakePod, fan: FanDocument = SWEEP) -> None:
        self.make, self.fan, self.uid = make, fan, str(uuid4())

    def pod(self, index: int, **options: object) -> Pod:
        found = self.make(
            outs=(AUC, MODEL, NOTE), fan=self.fan, index=index, item={"lr": str(index + 1)}, run_uid=self.uid, **options
        )
        found.sidecar()
        return found

    def trial(self, index: int, script: str = TRAIN, **options: object) -> tuple[int, Pod]:
        pod = self.pod(index, **options)
        code = pod.stage_in()
        if code == 0:
            pod.main(script)
            code = pod.stage_out()
        pod.programs[0].wait()
        return code, pod

    def reader(self, *ins: In) -> Pod:
        found = self.make(ins=ins, outs=(NOTE,), run_uid=self.uid)
        found.sidecar()
        return found


def late(name: str, out: str, type_: Type, *, pick: bool = True, of: int | None = 3, optional: bool = False) -> In:
    source = Late("train", out, True, "auc" if pick else None, True, of)
    return In(name, "out" if type_.is_artifact else "value", type_, optional, source)


def test_the_winner_and_a_failure_that_is_borne(make: MakePod, tmp_path: Path) -> None:
    sweep = Sweep(make)
    assert sweep.trial(0)[0] == 0
    code, failed = sweep.trial(1, f"{TRAIN}; exit 4")
    assert (code, failed.results) == (0, {"outcome": "FAIL"})
    code, best = sweep.trial(2)
    assert (code, best.results) == (0, {"outcome": "COMPLETE"})
    items = {r.item.index: r for r in best.records if r.item}
    assert [items[n].state for n in range(3)] == [State.COMPLETE, State.FAIL, State.COMPLETE]
    assert items[1].item == Item(1, 3, {"lr": 2}, "max auc")
    assert "/train.2." in items[2].outputs[0].uri

    reader = sweep.reader(
        late("model", "model", Type.MODEL),
        late("rate", "lr", Type.NUMBER),
        late("gone", "note", Type.STRING, optional=True),
    )
    assert reader.stage_in() == 0
    assert reader.main('[ "$(cat "$model")" = 3 ] && [ "$rate" = 3 ] && [ -z "${gone+set}" ]') == 0
    assert reader.stage_out() == 0
    reader.programs[0].wait()
    (made,) = [r for r in reader.records if r.item is None]
    assert [i.name for i in made.inputs] == ["model"]


def test_all_items_in_order(make: MakePod) -> None:
    sweep = Sweep(make, FanDocument((("lr", Type.NUMBER),), failures=1, of=3))
    sweep.trial(2)
    sweep.trial(1, "exit 4")
    sweep.trial(0, f"{TRAIN}; printf 'it is\\n$5\\n\\n' > \"$note\"")
    ins = [
        late(name, name, kind, pick=False)
        for name, kind in [("auc", Type.METRIC), ("note", Type.STRING), ("lr", Type.NUMBER)]
    ]
    reader = sweep.reader(*ins, late("models", "model", Type.MODEL, pick=False))
    assert reader.stage_in() == 0
    script = 'printf "%s\\n" "$auc $lr" "$note"; (cd "$models"; for f in *; do echo "$f $(cat $f)"; done)'
    reader.main(f'( {script} ) > "{reader.folder}/said"')
    assert (reader.folder / "said").read_text().splitlines() == [
        "[0.1,null,0.3] [1,null,3]",
        json.dumps(["it is\n$5\n", None, None], separators=(",", ":")),
        "0000 1",
        "0002 3",
    ]


def test_over_the_limit_the_task_fails_and_nothing_more_starts(make: MakePod) -> None:
    sweep = Sweep(make)
    assert sweep.trial(0, "exit 4")[0] == 0
    code, second = sweep.trial(1, "exit 5")
    assert (code, second.results) == (5, {})
    code, third = sweep.trial(2)
    assert code == 3
    assert (
        "error[called-off]: 2 items have failed, and the task bears 1: this one was not started"
        in third.programs[1].text
    )
    (record,) = [r for r in third.records if r.item and r.item.index == 2]
    assert (record.state, record.exit_code) == (State.ABORT, None)
    assert "was not started" in (record.error or "")


def test_an_attempt_that_is_made_again_is_no_failed_item(make: MakePod, tmp_path: Path) -> None:
    sweep = Sweep(make, FanDocument((("lr", Type.NUMBER),), failures=0, of=1, retries=1))
    assert sweep.trial(0, "exit 4")[0] == 4
    assert sweep.trial(0, attempt=1)[0] == 0
    found = gathering.read(Folder(tmp_path / "store", str(tmp_path / "store")), "churn", sweep.uid, "train")
    assert sorted((o.attempt, o.state) for o in found) == [(0, State.FAIL), (1, State.COMPLETE)]
    reader = sweep.reader(late("auc", "auc", Type.METRIC, pick=False, of=1))
    assert reader.stage_in() == 0
    assert reader.main('[ "$auc" = "[0.1]" ]') == 0


def test_an_item_that_left_no_outcome_is_no_gap(make: MakePod) -> None:
    sweep = Sweep(make)
    sweep.trial(0)
    reader = sweep.reader(late("auc", "auc", Type.METRIC))
    assert reader.stage_in() == 3
    assert 'what became of "train" is not there for 2 of 3 items: 1, 2' in reader.programs[-1].text


@pytest.mark.parametrize("point", ["decided", "recorded"])
def test_stage_out_or_sidecar_killed(make: MakePod, point: str) -> None:
    """Whoever lives puts the outcome, and a TaskRun ends well only where it is there."""
    sweep = Sweep(make)
    pod = sweep.make(outs=(AUC, MODEL, NOTE), fan=sweep.fan, index=0, item={"lr": "1"}, run_uid=sweep.uid)
    beside = pod.sidecar(**({"kill_at": "recorded"} if point == "recorded" else {}))
    pod.stage_in()
    pod.main(TRAIN)
    out = pod.begin("stage-out", **({"kill_at": "decided"} if point == "decided" else {}))
    out.wait()
    beside.wait()
    store = Folder(pod.store, str(pod.store))
    until(lambda: len(gathering.read(store, "churn", sweep.uid, "train")) == 1, "the outcome is there")
    assert pod.only_record().state is State.COMPLETE


def test_a_list_of_the_run(make: MakePod, tmp_path: Path) -> None:
    uid, lists = str(uuid4()), (ListDocument("shards.list"), ListDocument(("10", "20")))
    count = Count(0, "each", 16, True, lists)
    producer = make(outs=(Out("list", Type.JSON, False, 1024),), counts=(count,), run_uid=uid)
    # The harness calls each task train: the list is its own.
    count = Count(0, "each", 16, True, (ListDocument("train.list"), lists[1]))
    producer.counts = (count,)
    producer.sidecar()
    producer.stage_in()
    producer.main("""echo '["eu", {"a": "$(x)"}, 3]' > "$list" """)
    assert producer.stage_out() == 0
    rest = json.dumps([str(n) for n in range(6)], separators=(",", ":"))
    assert {k: v for k, v in producer.results.items() if k != "list"} == {
        "for-0-full": "0", "for-0-over": "6", "for-0-rest": rest, "for-0-rows": "[]",
    }  # fmt: skip
    store = Folder(tmp_path / "store", str(tmp_path / "store"))
    assert gathering.count(store, "churn", uid, "each") == 6

    fan = FanDocument((("shard", Type.JSON), ("size", Type.INTEGER)), lists=(ListDocument("shards.list"), lists[1]))
    item = make(fan=fan, index=3, run_uid=uid, values=("""shards.list:json=["eu",{"a":"$(x)"},3]""",), outs=(NOTE,))
    item.sidecar()
    assert item.stage_in() == 0
    assert item.main("""[ "$shard" = '{"a":"$(x)"}' ] && [ "$size" = 20 ]""") == 0
    assert item.stage_out() == 0
    item.programs[0].wait()
    (record,) = [r for r in item.records if r.item]
    assert record.item == Item(3, 6, {"shard": {"a": "$(x)"}, "size": 20})


def test_of_several_attempts_of_a_producer_the_last_list_counts(make: MakePod, tmp_path: Path, least: Rights) -> None:
    uid = str(uuid4())
    store = Folder(tmp_path / "store", str(tmp_path / "store"))
    for attempt, many in enumerate([3, 2, 3]):
        count = Count(0, "each", 16, False, (ListDocument("train.list"),))
        pod = make(outs=(Out("list", Type.JSON, False, 1024),), counts=(count,), run_uid=uid, attempt=attempt)
        pod.sidecar()
        pod.stage_in()
        pod.main(f"echo '{list(range(many))}' > \"$list\"")
        assert pod.stage_out() == 0
        assert gathering.count(store, "churn", uid, "each") == many
    assert least.refused == []
    assert gathering.read(store, "churn", uid, "each") == [], "what was told of their number is no outcome"


def test_a_number_of_items_is_told_once_more_only_where_it_is_another(tmp_path: Path) -> None:
    store = Folder(tmp_path / "store", "store")
    for of in (5, 5, 4, 4):
        gathering.put_count(store, "churn", "u", "each", of)
    folder = outcomes.count_folder("churn", "u", "each")
    store.put(f"{folder}/x.json", b"not ours")
    assert [key.rpartition("/")[2] for key in store.keys(folder)] == ["1.json", "2.json", "x.json"]
    assert gathering.count(store, "churn", "u", "each") == 4


@pytest.mark.parametrize(("text", "said"), [
    ('{"a": 1}', 'cannot be gone through: it is no JSON list, but {"a": 1}'),
    (json.dumps(list(range(200))), '"each" would run 400 times, and at most 256'),
    (r'["b", "a\\u0000b"]', 'cannot be gone through: element 1: a text with a NUL character'),
])  # fmt: skip
def test_a_list_that_is_none(make: MakePod, text: str, said: str) -> None:
    count = Count(0, "each", 16, True, (ListDocument("train.list"), ListDocument(("10", "20"))))
    pod = make(outs=(Out("list", Type.JSON, False, 4096),), counts=(count,))
    pod.sidecar()
    pod.stage_in()
    pod.main(f"echo '{text}' > \"$list\"")
    assert pod.stage_out() == 3
    assert said in pod.programs[-1].text
    pod.programs[0].wait()
    assert (pod.only_record().state, pod.results) == (State.FAIL, {})


REFUSED = Policy(1, infrastructure=True, codes=())  # `on: [infrastructure]`


@pytest.mark.parametrize("policy", [REFUSED, Policy(1, idempotent=False)], ids=["on", "not-idempotent"])
def test_an_item_that_is_not_tried_again_is_borne_at_once(make: MakePod, policy: Policy) -> None:
    """As on a laptop: attempts that its policy refuses are none for which to wait."""
    sweep = Sweep(make, replace(SWEEP, retries=1))
    code, failed = sweep.trial(0, "exit 4", retry=policy)
    assert (code, failed.results) == (0, {"outcome": "FAIL"})
    assert sweep.trial(1, retry=policy)[0] == 0
    code, second = sweep.trial(2, "exit 4", retry=policy)  # and it is counted, once
    assert (code, second.results) == (4, {})
    code, again = sweep.trial(2, attempt=1, retry=policy)  # which Tekton starts: of an item that has failed already
    assert code == 4
    (record,) = [r for r in again.records if r.attempt]
    assert (record.state, record.exit_code) == (State.FAIL, 4)
    assert "; not tried again: " in (record.error or "")


def test_a_failure_that_is_tried_again_is_borne_with_the_last_attempt(make: MakePod) -> None:
    sweep = Sweep(make, replace(SWEEP, retries=1))
    assert sweep.trial(0, "kill -9 $$", retry=REFUSED)[0] == 255
    code, last = sweep.trial(0, "kill -9 $$", attempt=1, retry=REFUSED)
    assert (code, last.results) == (0, {"outcome": "FAIL"})
    assert "1 of the 1 failed items that the task bears" in last.programs[-1].text


@pytest.mark.parametrize("attempt", [0, 1])
def test_an_item_that_succeeded_after_all_is_no_failed_one(make: MakePod, attempt: int) -> None:
    """In the pod that is made again for one that vanished, or in an attempt that did not hear how the last ended."""
    sweep = Sweep(make, replace(SWEEP, retries=1))
    assert sweep.trial(0, "exit 4", retry=REFUSED)[0] == 0
    assert sweep.trial(1, "exit 4", retry=REFUSED)[0] == 4
    same = sweep.make(outs=(AUC, MODEL, NOTE), run_uid=sweep.uid).store
    for told in same.rglob("_attempts/**/0-0.json"):
        told.unlink()
    assert sweep.trial(0, attempt=attempt, retry=REFUSED)[0] == 0
    assert sweep.trial(2, retry=REFUSED)[0] == 0, "one has failed, and one is borne"


SLOW = replace(SWEEP, of=2)


@pytest.mark.parametrize(("script", "exit_code"), [
    ("sleep 30", -1),
    ("trap 'exit 0' TERM; while :; do sleep 0.1; done", 0),
    ("trap '' TERM; while :; do sleep 0.1; done", -1),
])  # fmt: skip
def test_an_item_that_takes_too_long_is_borne(
    make: MakePod, monkeypatch: pytest.MonkeyPatch, script: str, exit_code: int
) -> None:
    """It ends before Tekton would end it, and skip stage-out: told to, or killed where it does not listen."""
    monkeypatch.setattr(ender, "GRACE_SECONDS", 1.0)
    sweep = Sweep(make, SLOW)
    began = time.monotonic()
    code, late_one = sweep.trial(0, script, timeout_seconds=1)
    assert time.monotonic() - began < 20
    assert (code, late_one.results) == (0, {"outcome": "FAIL"})
    record = late_one.only_record()
    assert (record.state, record.reason, record.exit_code) == (State.FAIL, "TaskRunTimeout", exit_code)
    assert record.error == "the program had not ended after 1 s, its timeout"
    code, second = sweep.trial(1, script, timeout_seconds=1)
    assert (code, second.results) == (255, {})


def test_an_item_that_takes_too_long_and_listens_to_nobody_is_ended_by_tekton(make: MakePod) -> None:
    """Nor is one of the exec form told: its step has the timeout of the spec, and stage-out is skipped."""
    sweep = Sweep(make, SLOW)
    pod = sweep.pod(0, timeout_seconds=1)
    assert pod.stage_in() == 0
    time.sleep(1.5)  # the exec form holds no FIFO by which the sidecar would know that it began
    (pod.places.main_run / "out.err").touch()
    assert pod.programs[0].wait() == 0
    record = pod.only_record()
    assert (record.reason, record.exit_code) == ("TaskRunTimeout", -1)
    assert not (pod.places.state / "overtime").exists()


def test_the_time_of_an_item_begins_with_its_program(make: MakePod) -> None:
    """Its image may be pulled meanwhile: `timeout` is the program's."""
    sweep = Sweep(make, SLOW)
    pod = sweep.pod(0, timeout_seconds=3)
    assert pod.stage_in() == 0
    time.sleep(3.2)
    pod.main(f"sleep 1; {TRAIN}")
    assert pod.stage_out() == 0
    assert pod.results == {"outcome": "COMPLETE"}
