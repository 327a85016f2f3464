"""Tasks that are taken from the cache: no process, the same outs, and never another's."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from mlgen import canonical
from mlgen.ledger.records.task import State
from mlgen.local import host
from mlgen.local.events import Ended, Noted
from mlgen.plan.model import Cache, Code, Param, ParamRef, Plan, Task
from mlgen.runtime.cache import entries as cache
from mlgen.runtime.protocol import Out
from mlgen.store import Store, open_store
from mlgen.values import Type
from tests.local.plans import in_, out, plan, task
from tests.local.runs import Project, Told
from tests.strategies import load


def cached(made: Task, **about: object) -> Task:
    return replace(made, cache=Cache(**about))  # type: ignore[arg-type]


def two_tasks(script: str = 'echo "$epochs" > "$model"; echo 0.9 > "$auc"', **about: object) -> Plan:
    """`prepare` reads nothing and leaves a folder and a count; `train` reads both."""
    return plan(
        cached(
            task(
                "prepare",
                'mkdir "$parts"; echo 1 > "$parts/one"; echo 7 > "$rows"',
                outs=[out("parts", Type.DIRECTORY), out("rows", Type.INTEGER), out("note", optional=True)],
            )
        ),
        cached(
            task(
                "train",
                script,
                ins=[
                    in_("parts", "prepare.parts", Type.DIRECTORY),
                    in_("rows", "prepare.rows", Type.INTEGER),
                    in_("epochs", "params.epochs", Type.INTEGER),
                ],
                outs=[out("model", Type.MODEL), out("auc", Type.METRIC)],
            ),
            **about,
        ),
        params=[Param("epochs", Type.INTEGER, "20"), Param("month", Type.STRING, "may")],
    )


def again(project: Project, made: Plan, *given: str, **settings: Any) -> Told:
    """Another run of the same project."""
    project.spooled.clear()
    return project.run(made, *given, run=f"demo-{uuid4().hex[:5]}", uid=str(uuid4()), **settings)


def store_of(project: Project) -> Store:
    return open_store("artifacts", base=project.root)


def ran(told: Told) -> dict[str, bool]:
    return {e.task: not e.cached for e in told.events if isinstance(e, Ended)}


def test_what_was_made_is_taken_with_the_same_outs_and_no_process(project: Project) -> None:
    first = again(project, two_tasks())
    second = again(project, two_tasks())
    assert ran(first) == {"prepare": True, "train": True}
    assert ran(second) == {"prepare": False, "train": False}
    assert not (second.folder / "train-0" / "log").exists()
    for name in ("prepare-0", "train-0"):
        made, taken = first.records[name], second.records[name]
        assert taken.state is State.COMPLETE
        assert (taken.outputs, taken.metrics, taken.values) == (made.outputs, made.metrics, made.values)
        assert (taken.original_run_id, taken.cache_key, taken.exit_code) == (made.run_id, made.cache_key, None)
        assert taken.inputs == made.inputs
        assert made.cache_key is not None
    third = again(project, two_tasks())
    assert third.records["train-0"].original_run_id == first.records["train-0"].run_id, "never a cached one"


def test_only_what_a_change_reaches_runs_again(project: Project) -> None:
    again(project, two_tasks())
    assert ran(again(project, two_tasks(), "epochs=3")) == {"prepare": False, "train": True}
    assert ran(again(project, two_tasks(), "epochs=3")) == {"prepare": False, "train": False}
    other = two_tasks('echo "$epochs" > "$model"; echo 0.8 > "$auc"')
    assert ran(again(project, other)) == {"prepare": False, "train": True}
    keyed = two_tasks(key=ParamRef("month"))
    assert ran(again(project, keyed)) == {"prepare": False, "train": True}
    assert ran(again(project, keyed, "month=june")) == {"prepare": False, "train": True}
    assert ran(again(project, keyed)) == {"prepare": False, "train": False}


def test_code_is_part_of_the_key_and_an_entry_lists_its_files(project: Project) -> None:
    def coded(text: str) -> Told:
        (project.root / "src").mkdir(exist_ok=True)
        (project.root / "src" / "a.sh").write_text(text)
        digest = canonical.folder_digest({"a.sh": hashlib.sha256(text.encode()).hexdigest()})
        made = plan(cached(task("a", 'sh a.sh > "$b"', outs=[out("b")], code=Code(("src",), digest))))
        return again(project, made, code={("src",): {"a.sh": project.root / "src" / "a.sh"}})

    assert ran(coded("echo 1")) == {"a": True}
    assert ran(coded("echo 1")) == {"a": False}
    assert ran(coded("echo 2")) == {"a": True}
    files = [entry.files for entry in cache.entries(store_of(project), "demo", "a")]
    assert [list(f or ()) for f in files] == [["a.sh"], ["a.sh"]]


def test_bytes_that_are_gone_or_changed_are_a_miss_and_said(project: Project) -> None:
    first = again(project, two_tasks())
    model = Path(project.root / first.records["train-0"].outputs[0].uri)
    model.chmod(0o644)
    model.write_text("longer than it was\n")
    second = again(project, two_tasks())
    assert ran(second) == {"prepare": False, "train": True}
    assert any("the bytes of model have changed" in e.text for e in second.events if isinstance(e, Noted))
    (project.root / first.records["prepare-0"].outputs[0].uri / "one").unlink()
    third = again(project, two_tasks())
    assert ran(third)["prepare"]
    assert ran(third)["train"] is False, "the same bytes were made again, so nothing differs after it"


def test_a_failed_or_an_old_execution_is_not_taken(project: Project) -> None:
    failing = plan(cached(task("a", 'echo 1 > "$b"; exit 1', outs=[out("b")])))
    for _ in range(2):
        told = again(project, failing)
        assert told.outcome.state is State.FAIL
        assert told.records["a-0"].cache_key is not None
    aged = plan(cached(task("a", 'echo 1 > "$b"', outs=[out("b")]), max_age_seconds=3600))
    again(project, aged)
    entry = cache.entries(store_of(project), "demo", "a")[0]
    for hours, taken in ((0.5, True), (2, False)):
        now = datetime.now(UTC) + timedelta(hours=hours)
        found = cache.look_up(
            store_of(project),
            entry.key,
            pipeline="demo",
            task="a",
            outs=[Out("b", Type.STRING)],
            max_age_seconds=3600,
            now=now,
            claimant=None,
        )
        assert isinstance(found, cache.Entry) is taken


def test_nothing_is_looked_for_where_told_so_and_what_is_made_is_kept(project: Project) -> None:
    again(project, two_tasks())
    assert ran(again(project, two_tasks(), look=False)) == {"prepare": True, "train": True}
    assert len(cache.entries(store_of(project), "demo", "train")) == 2


def test_what_others_wrote_among_the_entries_counts_for_nothing(project: Project) -> None:
    again(project, two_tasks())
    name = cache.entry_key(cache.entries(store_of(project), "demo", "train")[0])
    path = project.root / store_of(project).uri / name
    forged = json.loads(path.read_bytes())
    forged["parts"]["run"] = "another"
    path.write_text(json.dumps(forged))
    assert ran(again(project, two_tasks())) == {"prepare": False, "train": True}


def three_outs() -> Plan:
    """`t` leaves an artifact, a value and a metric; `u` reads all."""
    leaves = {"d": "dataset", "v": "integer", "m": "metric"}
    t = {"run": 'echo 1 > "$d"; echo 5 > "$v"; echo 0.5 > "$m"', "out": leaves, "cache": True}
    u = {"run": 'echo "$v $m" > "$x"', "in": ["t.d", "t.v", "t.m"], "out": ["x"]}
    return load({"version": 1, "name": "demo", "tasks": {"t": t, "u": u}})


@pytest.mark.parametrize(
    ("altered", "value", "why"),
    [
        (("texts", "v"), "x", "out v is not what its record says"),
        (("texts", "v"), "7", "out v is not what its record says"),
        (("texts", "v"), None, "out v is not what its record says"),
        (("texts", "m"), "0.6", "out m is not what its record says"),
        (("texts", "d"), "x@sha256:" + "0" * 64, "out d is not what its record says"),
        (("texts",), {"d": "x"}, "the outs are not those of the task"),
        (("texts", "more"), "x", "the outs are not those of the task"),
        (("record", "outputs"), [], "out d is not what its record says"),
        (("record", "run", "facets", "mlgen_task", "values"), {}, "out v is not what its record says"),
        (("record", "run", "facets", "mlgen_task", "values"), {"v": 5, "w": 6}, "the outs are not those of its record"),
    ],
)
def test_an_entry_that_contradicts_itself_or_its_task_is_a_miss(
    project: Project, altered: tuple[str, ...], value: object, why: str
) -> None:
    again(project, three_outs())
    path, entry = entry_of(project, "t")
    at = entry
    for name in altered[:-1]:
        at = at[name]
    at[altered[-1]] = value
    path.write_text(json.dumps(entry))
    told = again(project, three_outs())
    assert ran(told)["t"]
    assert told.outcome.state is State.COMPLETE
    assert any(f"not taken from the cache: {why}" in e.text for e in told.events if isinstance(e, Noted))
    assert store_of(project).keys(cache.CLAIMS) == []


def test_an_entry_whose_bytes_lie_at_no_place_is_a_miss(project: Project) -> None:
    again(project, three_outs())
    path, entry = entry_of(project, "t")
    place = f"{store_of(project).uri}/x//y"
    entry["record"]["outputs"][0]["name"] = place
    digest = entry["texts"]["d"].rpartition("@")[2]
    path.write_text(json.dumps(entry))
    assert ran(again(project, three_outs()))["t"], "the text says another place"
    for other in path.parent.iterdir():
        other.unlink()
    entry["texts"]["d"] = f"x//y@{digest}"
    path.write_text(json.dumps(entry))
    told = again(project, three_outs())
    assert ran(told)["t"]
    assert any("lie at no place of a store" in e.text for e in told.events if isinstance(e, Noted))


def test_an_entry_under_another_key_counts_for_nothing(project: Project) -> None:
    again(project, two_tasks())
    path, _ = entry_of(project, "train")
    again(project, two_tasks(), "epochs=3")
    other = next(p for p in path.parent.parent.glob("*/*.json") if p.parent != path.parent)
    (other.parent / path.name).write_bytes(path.read_bytes())
    other.unlink()
    assert ran(again(project, two_tasks(), "epochs=3"))["train"]


def entry_of(project: Project, name: str) -> tuple[Path, dict[str, Any]]:
    """Where the only entry of a task lies, and its fields."""
    key = cache.entry_key(cache.entries(store_of(project), "demo", name)[0])
    path = project.root / store_of(project).uri / key
    return path, json.loads(path.read_bytes())


def test_an_upgrade_of_a_package_is_another_key(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").write_text("#!/bin/sh\n")
    (tmp_path / "bin" / "python3").chmod(0o755)
    site = tmp_path / "lib" / "python3.12" / "site-packages"
    (site / "numpy-1.26.4.dist-info").mkdir(parents=True)
    environ = {"PATH": str(tmp_path / "bin")}
    before = host.parts(environ)
    (site / "numpy-1.26.4.dist-info").rename(site / "numpy-2.0.0.dist-info")
    after = host.parts(environ)
    assert {name for name in before if before[name] != after[name]} == {"packages"}
    assert set(host.parts({"PATH": "/nowhere"})) == {"machine"}


def test_no_claim_is_left_once_the_record_is_durable(project: Project) -> None:
    again(project, two_tasks())
    again(project, two_tasks())
    assert store_of(project).keys(cache.CLAIMS) == []


@pytest.mark.parametrize(("script", "ran"), [('echo "$x" > "$f"', [0]), ('echo "$MLGEN_INDEX" > "$f"', [0, 1, 2])])
def test_the_number_of_an_item_counts_where_its_script_says_it(tmp_path: Path, script: str, ran: list[int]) -> None:
    project = Project(tmp_path)

    def of(*values: int) -> Plan:
        each = {"run": script, "out": ["f"], "for": {"x": list(values)}, "cache": True}
        return load({"version": 1, "name": "demo", "tasks": {"each": each}})

    again(project, of(1, 2))
    told = again(project, of(3, 1, 2))
    found = sorted(r.item.index for r in told.records.values() if r.item and r.original_run_id is None)
    assert found == ran
