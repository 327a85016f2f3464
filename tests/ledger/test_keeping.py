"""Which artifacts are kept, and what a sweep of a store does with the others."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from obstore.store import MemoryStore

from mlgen.cluster import podlogs
from mlgen.ledger.gc import keeping
from mlgen.ledger.gc.collected import FOLDER, collected, note
from mlgen.ledger.gc.keeping import Policy, Survey, place_of
from mlgen.ledger.gc.sweep import Fate, Found, Judge, Kind, collect, found_in, kind_of
from mlgen.ledger.records.entry import Entry
from mlgen.ledger.records.run import RunRecord
from mlgen.ledger.records.task import State, TaskRecord
from mlgen.runtime import bundle
from mlgen.runtime.fans import outcomes
from mlgen.runtime.fans.outcomes import Outcome
from mlgen.runtime.pod import milestone
from mlgen.store import Folder, Item, Store
from mlgen.store.bucket import Bucket
from mlgen.store.refusal import Place
from tests.ledger import records
from tests.ledger.records import artifact, uid

NOW = datetime(2026, 12, 1, tzinfo=UTC)
FUTURE = datetime.now(UTC) + timedelta(days=3650)  # what is put in a test is old by then
HEX = "ab" * 32
BASE = "s3://b/pre"


def store() -> Store:
    return Bucket(MemoryStore(), Place(BASE))


def locate(uri: str) -> str | None:
    return uri.removeprefix(f"{BASE}/") if uri.startswith(f"{BASE}/") else None


def survey(*entries: Entry, models: bool = True, envs: frozenset[str] = frozenset({"prod"})) -> Survey:
    made = Survey(locate, envs, models=models)
    for entry in entries:
        made.add(entry)
    return made


def ended(days: float) -> str:
    return f"{NOW - timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}"


def run(name: str, days: float, **changes: Any) -> RunRecord:
    return records.run(name, env="prod", ended_at=ended(days), **changes)


def task(name: str, days: float, **changes: Any) -> TaskRecord:
    return records.task(name, env="prod", ended_at=ended(days), **changes)


def out(run: str, name: str, kind: str = "dataset") -> Any:
    return artifact(name, f"{BASE}/churn/{run}/train.{uid(run)[:8]}/{name}", kind=kind)


def kept(made: Survey, policy: Policy) -> set[str]:
    return {made.runs[one].name for one in made.keep_runs(policy, NOW)}


def test_names_are_those_that_others_give() -> None:
    assert keeping.CODE == bundle.CODE
    assert keeping.INPUTS == bundle.INPUTS
    assert keeping.LOGS == podlogs.FOLDER
    assert place_of(bundle.code_key(records.DIGEST)) == keeping.code_place(records.DIGEST)
    assert kind_of(bundle.code_key(records.DIGEST)) is Kind.CODE
    assert kind_of(bundle.input_key(records.DIGEST, "data/a b.csv")) is Kind.INPUT
    noted = milestone._key(milestone.Milestone.STARTED, "churn", "r1", uid("r1"))
    assert kind_of(noted) is Kind.MILESTONE
    for log in ("train-0.12345678.log", "train.3-0.12345678.log"):
        assert kind_of(f"{podlogs.log_folder(uid('r1'))}/{log}") is Kind.LOGS
    assert keeping.OUTCOMES == outcomes.PREFIX
    item = Outcome(3, 0, uid("r1"), State.FAIL, {}, {}, {})
    told = [outcomes.key("churn", uid("r1"), "train", item), outcomes.count_key("churn", uid("r1"), "train", 1)]
    assert [kind_of(key) for key in told] == [Kind.OUTCOME] * 2
    assert {place_of(key) for key in told} == {f"_outcomes/churn/{uid('r1')}/train"}
    assert kind_of("churn/r1/train.3.12345678/model") is Kind.OUT


@pytest.mark.parametrize(
    "key",
    ["x", "churn/r1", "churn/r1/x", "churn/r1/train/model", "_code/x", "_other/a/b/c", "Churn/r/t.12345678/o", "_code"],
)
def test_what_has_no_name_of_ours_is_foreign(key: str) -> None:
    assert kind_of(key) is Kind.FOREIGN


@pytest.mark.parametrize("folder", [
    "churn/r1", "churn/r1/train.12345678", "_code", f"_inputs/{HEX}", f"_logs/{uid('r1')}",
])  # fmt: skip
def test_half_a_file_is_told_by_its_name_and_place(folder: str) -> None:
    for half in (".part-77-0", ".part-77-0.copy", ".part-77-0/a/b"):
        assert kind_of(f"{folder}/{half}") is Kind.UNFINISHED
        assert kind_of(f"x y/{folder}/{half}") is not Kind.UNFINISHED
    for theirs in ("data/.part-77-0", "data/.part-00000-c000.snappy.parquet.crc", ".part-00000.crc", ".part-x"):
        assert kind_of(f"{folder}/{theirs}") is not Kind.UNFINISHED


def test_what_programs_wrote_into_an_artifact_is_a_part_of_it() -> None:
    keys = [
        f"churn/x/train.12345678/out/{name}" for name in (".part-00000-c000.parquet.crc", "part-00000-c000.parquet")
    ]
    (found,) = found_in(map(_item, keys))
    assert (found.kind, found.keys) == (Kind.OUT, tuple(keys))


def test_a_run_is_kept_by_any_rule() -> None:
    made = survey(*(run(name, days) for name, days in {"a": 1, "b": 20, "c": 40, "d": 60}.items()))
    assert kept(made, Policy(None, None)) == set()
    assert kept(made, Policy(30, None)) == {"a", "b"}
    assert kept(made, Policy(None, 1)) == {"a"}
    assert kept(made, Policy(0, 3)) == {"a", "b", "c"}
    assert kept(made, Policy(30, None, ("d",))) == {"a", "b", "d"}
    assert kept(made, Policy(None, None, (uid("c")[:8],))) == {"c"}
    assert kept(made, Policy(19, None, skew=timedelta(days=1, seconds=1))) == {"a", "b"}


def test_the_latest_that_succeeded_is_kept_beside_later_ones_that_did_not() -> None:
    failed = [run(f"f{days}", days, state=State.FAIL) for days in (1, 2, 3)]
    made = survey(*failed, run("good", 50), run("old", 60))
    assert kept(made, Policy(None, 1)) == {"f1", "good"}


def test_each_pipeline_of_each_environment_has_its_latest() -> None:
    made = survey(
        run("a", 1),
        run("b", 2, pipeline="other"),
        records.run("c", env="dev", ended_at=ended(3)),
        envs=frozenset({"prod", "dev"}),
    )
    assert kept(made, Policy(None, 1)) == {"a", "b", "c"}


def test_a_run_without_an_end_goes_on() -> None:
    made = survey(task("going", 20), task("lost", 31))
    assert kept(made, Policy(None, None)) == {"going"}


def fate_of(made: Survey, key: str, *, orphans: bool = False) -> Fate:
    (found,) = found_in([_item(key)])
    return Judge(made.marked, made.known, FUTURE, orphans=orphans).fate(found)


def _item(key: str) -> Item:
    return Item(key, 1, NOW)


def key_of(run: str, name: str) -> str:
    found = locate(out(run, name).uri)
    assert found is not None
    return found


def test_what_a_kept_run_read_is_kept_when_its_own_run_is_not() -> None:
    made = survey(
        task("old", 50, outputs=(out("old", "data"), out("old", "rest"), out("old", "m", "model"))),
        run("old", 50),
        task("new", 1, inputs=(out("old", "data"),), code_digest=f"sha256:{HEX}"),
        run("new", 1),
    )
    assert kept(made, Policy(30, None)) == {"new"}
    assert fate_of(made, key_of("old", "data")) is Fate.KEPT
    assert fate_of(made, key_of("old", "data") + "/deep/file") is Fate.KEPT
    assert fate_of(made, key_of("old", "data") + ".files.json") is Fate.KEPT
    assert fate_of(made, key_of("old", "m")) is Fate.KEPT  # a model
    assert fate_of(made, key_of("old", "rest")) is Fate.GOES
    assert fate_of(made, f"_code/{HEX}.tar") is Fate.KEPT
    assert fate_of(made, f"_logs/{uid('new')}/train-0.12345678.log") is Fate.KEPT
    assert fate_of(made, f"_logs/{uid('old')}/train-0.12345678.log") is Fate.GOES
    assert fate_of(made, key_of("new", "what-no-record-names")) is Fate.KEPT


def test_a_name_that_begins_alike_is_another() -> None:
    made = survey(task("r", 50), run("r", 50), run("r2", 1))
    assert kept(made, Policy(30, None)) == {"r2"}
    assert fate_of(made, key_of("r", "x")) is Fate.GOES
    assert fate_of(made, key_of("r2", "x")) is Fate.KEPT


def test_an_input_that_is_a_folder_of_runs_keeps_all_of_it() -> None:
    for uri in (f"{BASE}/churn/old/", f"{BASE}/churn/"):
        reads = task("new", 1, inputs=(artifact("x", uri),))
        made = survey(task("old", 50, outputs=(out("old", "d"),)), run("old", 50), reads, run("new", 1))
        assert kept(made, Policy(30, None)) == {"new"}
        assert fate_of(made, key_of("old", "d")) is Fate.KEPT


def test_what_an_old_run_read_elsewhere_makes_nothing_known() -> None:
    """A record may name anything: whose artifact it is, only the record of who made it says."""
    reads = task("old", 50, inputs=(artifact("x", f"{BASE}/other/"), out("stranger", "d")))
    made = survey(reads, run("old", 50), run("new", 1))
    assert kept(made, Policy(30, None)) == {"new"}
    assert fate_of(made, key_of("stranger", "d")) is Fate.UNKNOWN
    assert fate_of(made, "other/r/t.12345678/d") is Fate.UNKNOWN


def test_of_another_environment_only_what_it_refers_to_is_told() -> None:
    made = survey(
        records.task("dev", env="dev", ended_at=ended(500), inputs=(out("old", "d"),)),
        task("old", 50, outputs=(out("old", "d"), out("old", "e"))),
        run("old", 50),
        run("new", 1),
    )
    assert set(made.runs) == {uid("old"), uid("new")}
    assert kept(made, Policy(30, None)) == {"new"}
    assert fate_of(made, key_of("old", "d")) is Fate.KEPT
    assert fate_of(made, key_of("old", "e")) is Fate.GOES


def test_what_is_unknown_goes_only_when_asked() -> None:
    made = survey(run("new", 1))
    made.keep_runs(Policy(30, None), NOW)
    assert fate_of(made, "churn/x/train.12345678/d") is Fate.UNKNOWN
    assert fate_of(made, "churn/x/train.12345678/d", orphans=True) is Fate.GOES
    assert fate_of(made, f"_inputs/{HEX}/data.csv") is Fate.UNKNOWN
    assert fate_of(made, "some/thing", orphans=True) is Fate.FOREIGN
    assert fate_of(made, "churn/x/train.12345678/.part-77-0") is Fate.GOES  # half a file


def test_what_is_young_stays() -> None:
    made = survey(task("old", 50), run("old", 50), run("new", 1))
    made.keep_runs(Policy(30, None), NOW)
    (found,) = found_in([_item(key_of("old", "d"))])
    assert Judge(made.marked, made.known, NOW).fate(found) is Fate.YOUNG
    assert Judge(made.marked, made.known, NOW + timedelta(seconds=1)).fate(found) is Fate.GOES


def test_an_artifact_is_one_thing_and_as_young_as_its_youngest_file() -> None:
    place = "churn/r/train.12345678"
    keys = [f"{place}/out.files.json", f"{place}/out/a/b", f"{place}/out/c", f"{place}/out_b", "_ledger/spool/x"]
    kept_store = store()
    for key in keys:
        kept_store.put(key, b"12")
    found = list(found_in(kept_store.listing()))
    assert [(one.place, len(one.keys), one.size_bytes) for one in found] == [
        (f"{place}/out", 3, 6),
        (f"{place}/out_b", 1, 2),
    ]


# Property: whatever the ledger and the bucket are, what is kept is there afterwards, and all else that may go is gone.


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Entry], set[str]]:
    """Records of some runs that read one another's outs, and keys that no record names."""
    made: list[str] = []
    entries: list[Entry] = []
    for at in range(draw(st.integers(1, 8))):
        name = f"r{at}"
        days = draw(st.integers(0, 100))
        inputs = tuple(artifact("i", uri) for uri in draw(st.lists(st.sampled_from(made or ["s3://x/y"]), max_size=3)))
        outs = tuple(
            out(name, one, draw(st.sampled_from(["dataset", "model"])))
            for one in draw(st.sets(st.sampled_from(["a", "ab", "a_b"])))
        )
        code = draw(st.sampled_from([None, f"sha256:{HEX}", "sha256:" + "cd" * 32]))
        entries.append(task(name, days, inputs=inputs, outputs=outs, code_digest=code))
        made += [one.uri for one in outs]
        if draw(st.booleans()):
            entries.append(run(name, days, state=draw(st.sampled_from(list(State)))))
    strays = draw(st.sets(st.sampled_from([f"_code/{HEX}.tar", "x/y/t.12345678/o", f"_inputs/{HEX}/n", "_ledger/a"])))
    return entries, strays


@settings(max_examples=150, deadline=None)
@given(
    histories(),
    st.builds(Policy, st.integers(0, 60), st.integers(0, 3)),
    st.booleans(),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_nothing_that_a_kept_record_refers_to_ever_goes(
    history: tuple[list[Entry], set[str]], policy: Policy, models: bool, orphans: bool, shuffle: random.Random
) -> None:
    entries, strays = history
    keep_store = store()
    tasks = [entry for entry in entries if isinstance(entry, TaskRecord)]
    for entry in tasks:
        for one in entry.outputs:
            keep_store.put(locate(one.uri) or "", b"1")
    for key in strays:
        keep_store.put(key, b"1")
    before = {item.key for item in keep_store.listing()}
    shuffle.shuffle(entries)
    made = survey(*entries, models=models)
    kept_uids = made.keep_runs(policy, NOW)
    judge = Judge(made.marked, made.known, FUTURE, orphans=orphans)
    late = task("late", 0, inputs=tuple(tasks[0].outputs))  # lands between mark and sweep
    going = [one for one in found_in(keep_store.listing()) if judge.fate(one) is Fate.GOES]
    done = dict(_collect(going, keep_store, judge, lambda: made.keep(late)))
    left = {item.key for item in keep_store.listing() if not item.key.startswith(FOLDER)}
    referred = [late, *(entry for entry in tasks if entry.run_uid in kept_uids)]
    needed = {locate(one.uri) for entry in referred for one in (*entry.inputs, *entry.outputs)}
    needed |= {f"_code/{(entry.code_digest or '')[7:]}.tar" for entry in referred}
    needed |= {locate(one.uri) for entry in tasks for one in entry.outputs if one.type == "model"} if models else set()
    assert needed & before <= left
    assert strays - {f"_code/{HEX}.tar"} <= left or orphans
    told = collected(keep_store)
    assert {f"{BASE}/{key}" for key in before - left} == set(told)
    assert {key for found, fate in done.items() if fate is Fate.GOES for key in found.keys} == before - left
    expendable = {locate(one.uri) for entry in tasks if entry.run_uid not in kept_uids for one in entry.outputs}
    assert not (expendable - needed) & left


def _collect(going: Iterable[Found], where: Store, judge: Judge, again: Any) -> Iterator[tuple[Found, Fate]]:
    return collect(
        going,
        where,
        judge,
        look_again=again,
        note=lambda keys: note(where, keys, now=NOW, env="prod", ledgers=["c" * 40]),
    )


def test_a_list_is_there_before_anything_goes(tmp_path: Path) -> None:
    """A kill between the two leaves the list, and the artifact."""
    where = Folder(tmp_path / "kept", BASE)
    where.put(key_of("old", "d"), b"1")
    made = survey(task("old", 50), run("old", 50), run("new", 1))
    made.keep_runs(Policy(30, None), NOW)
    judge = Judge(made.marked, made.known, FUTURE)
    seen = []

    def killed(keys: Sequence[str]) -> None:
        note(where, keys, now=NOW, env="prod", ledgers=["c" * 40])
        seen.append(where.has(key_of("old", "d")))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(collect(found_in(where.listing()), where, judge, look_again=lambda: None, note=killed))
    assert seen == [True]
    assert where.has(key_of("old", "d"))
    list(_collect(list(found_in(where.listing())), where, judge, lambda: None))
    assert not where.has(key_of("old", "d"))
    about = collected(where)[out("old", "d").uri]
    assert about.time == "2026-12-01T00:00:00Z"
    assert about.ledgers == ("c" * 40,)


def test_many_are_listed_in_parts_and_rubbish_says_nothing(tmp_path: Path) -> None:
    where = Folder(tmp_path / "kept", BASE)
    names = [f"churn/r/{'t' * 200}.12345678/{at}" for at in range(12_000)]
    note(where, names, now=NOW, env="prod", ledgers=[])
    assert len(where.keys(FOLDER)) == 2
    for at, rubbish in enumerate((b"", b"[]", b'{"time": 1}', b'{"artifacts": [1], "time": "", "ledgers": []}')):
        where.put(f"{FOLDER}/rubbish{at}.json", rubbish)
    assert set(collected(where)) == {f"{BASE}/{name}" for name in names}


def test_two_sweeps_at_once_do_what_one_does(tmp_path: Path) -> None:
    where = Folder(tmp_path / "kept", BASE)
    for at in range(200):
        where.put(f"churn/{'old' if at % 2 else 'new'}/train.12345678/o{at}/deep/file", b"1")
    made = survey(run("old", 50), run("new", 1))
    made.keep_runs(Policy(30, None), NOW)
    judge = Judge(made.marked, made.known, FUTURE)

    def sweep(_: int) -> int:
        going = (one for one in found_in(where.listing()) if judge.fate(one) is Fate.GOES)
        return sum(1 for _ in _collect(going, where, judge, lambda: None))

    with ThreadPoolExecutor(2) as pool:
        counts = list(pool.map(sweep, range(2)))
    assert max(counts) == 100
    left = [item.key for item in where.listing() if not item.key.startswith("_ledger/")]
    assert len(left) == 100
    assert all(key.startswith("churn/new/") for key in left)
    assert not (where.root / "churn" / "old").exists()
