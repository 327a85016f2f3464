"""Which failures the engine tries again, when, and from where a program continues."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import pytest

from mlgen.diagnostic import CannotAnswer
from mlgen.ledger.records.task import State
from mlgen.local.events import Ended, Event, Noted, Started
from mlgen.local.recover import recover
from mlgen.plan.model import Checkpoint, Retry, Value
from mlgen.store import Folder
from mlgen.values import Type
from tests.local.forked import fork_run
from tests.local.ledger import spool
from tests.local.plans import in_, out, plan, task
from tests.local.runs import Project, RealClock

LISTED = Retry(infrastructure=True, codes=(75,))
STATE = Checkpoint("state", 1)
TRAIN = """
steps=../../steps
n=$(cat "$state/step" 2>/dev/null || echo 0)
while [ "$n" -lt 8 ]; do
  n=$((n + 1)); echo "$n" > "$state/step.tmp"; mv "$state/step.tmp" "$state/step"; echo "$n" >> "$steps"
  if [ "$n" = 4 ] && mkdir died 2>/dev/null && mkdir ../../died 2>/dev/null; then %s; fi
done
echo "$n" > "$x"
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.mark.parametrize(
    ("script", "attempts", "cause"),
    [
        ("exit 2", 1, "program"),
        ("exit 75", 3, "program"),
        ("kill -9 $$", 3, "infrastructure"),
        ("exit 137", 3, "infrastructure"),
        ("kill -SEGV $$", 3, "infrastructure"),
        ("exit 139", 1, "program"),
        ("sleep 60", 3, "infrastructure"),  # its timeout
        ("true", 1, "program"),  # the out is not written
    ],
)
def test_attempts_by_how_the_one_before_ended(project: Project, script: str, attempts: int, cause: str) -> None:
    one = task("a", script, outs=[out("x")], retries=2, retry=LISTED, timeout=1)
    told = project.run(plan(one))
    assert len(told.records) == attempts
    assert {record.cause for record in told.records.values()} == {cause}
    assert told.outcome.state is State.FAIL
    assert ("not tried again" in (told.records["a-0"].error or "")) == (attempts == 1)


def test_a_command_that_is_not_there_is_the_programs_own(project: Project) -> None:
    told = project.run(plan(task("a", ["no-such-program"], retries=2, retry=LISTED)))
    assert list(told.records) == ["a-0"]
    assert told.records["a-0"].cause == "program"


def test_without_a_policy_any_failure_is_tried_again_and_records_say_no_more(project: Project) -> None:
    told = project.run(plan(task("a", "exit 2", retries=2)))
    assert [record.cause for record in told.records.values()] == [None, None, None]


def test_what_is_not_idempotent_is_not_tried_again(project: Project) -> None:
    told = project.run(plan(task("a", "kill -9 $$", retries=2, idempotent=False)))
    assert list(told.records) == ["a-0"]
    assert "not tried again: it is not idempotent" in (told.records["a-0"].error or "")


def test_others_run_while_one_waits_for_its_turn(project: Project) -> None:
    """The wait takes no slot, and is over in time."""
    flaky = task("a", "test -e ../../again || { : > ../../again; exit 1; }", retries=1, retry=Retry(backoff_seconds=1))
    began = time.monotonic()
    told = project.run(plan(flaky, task("b", after=["c"]), task("c")), slots=1)
    assert told.outcome.state is State.COMPLETE
    assert time.monotonic() - began >= 1.0
    order = [(e.task, e.attempt) for e in told.events if isinstance(e, Started)]
    assert order == [("a", 0), ("c", 0), ("b", 0), ("a", 1)] or order[-1] == ("a", 1)


def test_an_interrupt_ends_a_wait(project: Project) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, Ended):
            os.kill(os.getpid(), signal.SIGTERM)

    flaky = task("a", "exit 1", retries=1, retry=Retry(backoff_seconds=300))
    told = project.run(plan(flaky), on_event=stop)
    assert told.outcome.interrupted
    assert list(told.records) == ["a-0"]


@pytest.mark.parametrize("died", ["kill -9 $$", "exit 75", "sleep 1.3; kill -9 $$"])
def test_a_training_that_died_continues(project: Project, died: str) -> None:
    one = task("a", TRAIN % died, outs=[out("x", Type.INTEGER)], retries=2, retry=LISTED, checkpoint=STATE)
    told = project.run(plan(one))
    assert told.outcome.state is State.COMPLETE
    assert (told.folder / "steps").read_text().split() == [str(n) for n in range(1, 9)]
    assert not [path for path in project.root.rglob("_attempts/**/*") if path.is_file()]


def test_the_engine_is_killed_and_what_was_saved_stays(project: Project) -> None:
    """For `mlgen run --resume`."""
    one = task("a", TRAIN % "sleep 30", outs=[out("x", Type.INTEGER)], retries=2, retry=LISTED, checkpoint=STATE)
    engine = fork_run(project.root, plan(one))
    until = time.monotonic() + 20
    while not list(project.root.rglob("_attempts/**/*.json")):
        assert time.monotonic() < until
        time.sleep(0.02)
    os.kill(engine, signal.SIGKILL)
    os.waitpid(engine, 0)
    recover(project.root, spool=spool(project.root), clock=RealClock())
    (saved,) = project.root.rglob("_attempts/**/*-0")
    assert saved.read_text() == "4\n"


def test_a_full_disk_is_told_once_and_fails_nothing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_self: Folder, _key: str, _held: object) -> None:
        raise CannotAnswer("disk-full", "no space left on the disk")

    monkeypatch.setattr(Folder, "put_file", full)
    one = task("a", TRAIN % "sleep 2.5", outs=[out("x", Type.INTEGER)], checkpoint=STATE)
    told = project.run(plan(one))
    assert told.outcome.state is State.COMPLETE
    notes = [event.text for event in told.events if isinstance(event, Noted)]
    assert len(notes) == 1
    assert notes[0].startswith("a: the checkpoint is not saved: no space left on the disk")


def test_a_run_that_takes_up_another_continues_where_nothing_changed(project: Project) -> None:
    ins = [in_("rate", Value(Type.NUMBER, "0.1"))]
    failing = task("a", TRAIN % "exit 3", outs=[out("x", Type.INTEGER)], checkpoint=STATE, ins=ins)
    first = project.run(plan(failing))
    assert first.outcome.state is State.FAIL
    steps = (first.folder / "steps").read_text()
    project.spooled.clear()
    other = task(
        "a", TRAIN % "exit 3", outs=failing.outs, checkpoint=STATE, ins=[in_("rate", Value(Type.NUMBER, "0.2"))]
    )
    for number, (one, began) in enumerate([(failing, 5), (other, 1)]):
        uid = str(uuid5(NAMESPACE_URL, f"{project.root}{number}"))
        run_ = f"demo-y{number}"
        told = project.run(plan(one), run=run_, uid=uid, resumes=first.outcome.uid)
        assert (told.folder / "steps").read_text().split()[0] == str(began)
        project.spooled.clear()
    assert steps.split() == ["1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("left", "why"),
    [
        ('printf x > "$state/$(printf "m\\377")"', "'m\\udcff' has a name that is not UTF-8"),
        (
            f"""{sys.executable} -c 'import os
os.chdir(os.environ["state"])
for _ in range(1500): os.mkdir("a"); os.chdir("a")'""",
            "has more than 1,024 bytes with its folders",
        ),
    ],
)
def test_a_checkpoint_that_cannot_be_saved_ends_no_run(project: Project, left: str, why: str) -> None:
    failing = task("a", f'echo 1 > "$state/f"; {left}; exit 3', checkpoint=Checkpoint("state", 3600))
    try:
        told = project.run(plan(failing, task("b")))
    finally:  # pytest removes what is left by recursion
        subprocess.run(["rm", "-rf", project.root / ".mlgen" / "runs"], check=True)
    assert told.outcome.state is State.FAIL
    assert told.records["a-0"].exit_code == 3
    assert told.records["b-0"].state is State.COMPLETE
    (note,) = [event.text for event in told.events if isinstance(event, Noted)]
    assert note.startswith("a: the checkpoint is not saved: ")
    assert why in note
