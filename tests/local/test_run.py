from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlgen import canonical
from mlgen.diagnostic import CannotAnswer, Misuse
from mlgen.ledger.records.task import State
from mlgen.local.code import lay
from mlgen.local.events import Ended, Noted, Skipped, Started
from mlgen.local.log import tail
from mlgen.local.recover import Recovered, recover
from mlgen.local.run import run
from mlgen.local.rundir import RunFolder
from mlgen.local.schedule import GATE_FALSE, MISSING, STOPPING
from mlgen.plan.model import Code, GateTask, Input, Param, Value
from mlgen.store import Content, Folder, Store
from mlgen.values import Type
from tests.local.plans import condition, evaluation, in_, out, plan, task
from tests.local.runs import Project, RealClock, alive, entries, environment


def test_values_and_artifacts_go_from_task_to_task(project: Project) -> None:
    (project.root / "raw.csv").write_text("a,b\n1,2\n")
    made = plan(
        task(
            "prepare",
            'sort "$raw" > "$clean"; wc -l < "$clean" > "$rows"; mkdir "$parts"; echo 1 > "$parts/one"',
            ins=[in_("raw", "inputs.raw", Type.DATASET)],
            outs=[out("clean", Type.DATASET), out("parts", Type.DIRECTORY), out("rows", Type.INTEGER)],
        ),
        task(
            "train",
            'test "$rows" = 2; cat "$clean" "$parts/one"; echo "$epochs $rate $note"; echo 0.91 > "$auc"',
            ins=[
                in_("clean", "prepare.clean", Type.DATASET),
                in_("parts", "prepare.parts", Type.DIRECTORY),
                in_("rows", "prepare.rows", Type.INTEGER),
                in_("epochs", "params.epochs", Type.INTEGER),
                in_("rate", Value(Type.NUMBER, "1e-3"), Type.NUMBER),
                in_("note", Value(Type.STRING, 'a $(rm -rf /) "b"\n'), Type.STRING),
            ],
            outs=[out("auc", Type.METRIC)],
        ),
        params=[Param("epochs", Type.INTEGER, "20")],
        inputs=[Input("raw", Type.DATASET, "raw.csv", None)],
    )
    told = project.run(made, "epochs=3")
    assert told.outcome.state is State.COMPLETE
    assert told.outcome.ok
    assert told.log("train") == '1,2\na,b\n1\n3 1e-3 a $(rm -rf /) "b"\n\n'
    prepare, train = told.records["prepare-0"], told.records["train-0"]
    assert prepare.values == {"rows": 2}
    assert train.metrics == {"auc": 0.91}
    assert train.values == {}
    assert [a.uri for a in prepare.inputs] == ["raw.csv"]
    assert prepare.inputs[0].digest == canonical.digest_bytes(b"a,b\n1,2\n")
    assert {a.name: a.uri for a in prepare.outputs} == {
        name: f"artifacts/demo/demo-x1/prepare.{prepare.run_id[:8]}/{name}" for name in ("clean", "parts")
    }
    assert [(a.name, a.uri, a.digest, a.size_bytes) for a in train.inputs] == [
        (a.name, a.uri, a.digest, a.size_bytes) for a in prepare.outputs
    ]
    assert (project.root / prepare.outputs[0].uri).read_text() == "1,2\na,b\n"
    assert train.params == {"epochs": 3}
    assert train.engine == "local"
    assert (train.exit_code, train.reason, train.error) == (0, "Succeeded", None)
    assert told.run.state is State.COMPLETE
    assert told.run.path == "/".join(train.path.split("/")[:-1]) + "/run.json"


def test_an_author_cannot_alter_what_is_stored(project: Project) -> None:
    made = plan(
        task("a", 'echo one > "$x"', outs=[out("x", Type.FILE)]),
        task("b", 'chmod u+w "$x" 2>&1 || true; echo two > "$x" || true', ins=[in_("x", "a.x", Type.FILE)]),
    )
    told = project.run(made)
    assert (project.root / told.records["a-0"].outputs[0].uri).read_text() == "one\n"


def test_command_elements_are_literal_and_found_by_the_tasks_path(project: Project) -> None:
    made = plan(task("a", ["printf", "%s|", "$HOME", "`id`", "a b", ""]))
    assert project.run(made).log("a") == "$HOME|`id`|a b||"


def test_a_command_that_does_not_exist_fails_with_its_name(project: Project) -> None:
    record = project.run(plan(task("a", ["no-such-program", "x"]))).records["a-0"]
    assert record.state is State.FAIL
    assert record.exit_code is None
    assert record.error == "no-such-program cannot be started: No such file or directory"


def test_what_no_process_can_be_given_fails_its_task_and_not_the_run(project: Project) -> None:
    told = project.run(plan(task("a", ["echo", "x\0y"]), task("b", "echo b")))
    assert told.records["a-0"].error == "echo cannot be started: embedded null byte"
    assert told.records["a-0"].state is State.FAIL


def test_a_script_ends_at_its_first_failing_line(project: Project) -> None:
    told = project.run(plan(task("a", "echo before\nfalse\necho after")))
    assert told.log("a") == "before\n"
    assert told.records["a-0"].exit_code == 1
    assert told.records["a-0"].reason == "StepFailed"
    assert told.run.state is State.FAIL
    assert not told.outcome.ok


def test_a_signal_is_exit_code_minus_one(project: Project) -> None:
    record = project.run(plan(task("a", "kill -9 $$"))).records["a-0"]
    assert (record.exit_code, record.state) == (-1, State.FAIL)


def test_an_optional_out_that_is_not_written_is_unset_in_its_reader(project: Project) -> None:
    outs = [out("note", optional=True), out("curve", Type.PLOT, optional=True), out("both", optional=True)]
    ins = [
        in_("note", "a.note", optional=True),
        in_("curve", "a.curve", Type.PLOT, optional=True),
        in_("both", "a.both", optional=True),
    ]
    made = plan(
        task("a", 'printf "+x" > "$both"', outs=outs),
        task("b", 'echo "${note-unset} ${curve-unset} ${both-unset}"', ins=ins),
    )
    told = project.run(made)
    assert told.log("b") == "unset unset +x\n"
    assert told.records["b-0"].inputs == ()


def test_retries_leave_a_record_each_and_the_last_one_counts(project: Project) -> None:
    flag = project.root / "flag"
    made = plan(
        task(
            "a", f'echo try; test -e {flag} || {{ touch {flag}; exit 3; }}; echo 1 > "$x"', outs=[out("x")], retries=2
        ),
        task("b", 'echo "$x"', ins=[in_("x", "a.x")]),
    )
    told = project.run(made)
    assert {k: (r.state, r.exit_code) for k, r in told.records.items()} == {
        "a-0": (State.FAIL, 3),
        "a-1": (State.COMPLETE, 0),
        "b-0": (State.COMPLETE, 0),
    }
    assert told.log("a", 0) == told.log("a", 1) == "try\n"
    assert [e.retried for e in told.events if isinstance(e, Ended)] == [True, False, False]
    assert len({r.run_id for r in told.records.values()}) == 3


def test_a_timeout_ends_the_whole_group(project: Project) -> None:
    made = plan(
        task(
            "a",
            "trap '' TERM; sleep 60 & echo $! > \"$pid\"; wait; sleep 60",
            outs=[out("pid", Type.INTEGER)],
            timeout=1,
        )
    )
    told = project.run(made, grace_seconds=0.2)
    record = told.records["a-0"]
    assert (record.state, record.reason, record.exit_code) == (State.FAIL, "TaskRunTimeout", -1)
    assert record.error == "the program had not ended after 1 s, its timeout"
    assert not alive(record.values["pid"])


def test_background_children_end_with_their_task(project: Project) -> None:
    made = plan(
        task("a", 'sleep 60 & echo $! > "$pid"', outs=[out("pid", Type.INTEGER)]),
        # Z: ended, and only not reaped yet by whoever inherited it.
        task("b", "sed -n 's/^State:.//p' /proc/$pid/status || true", ins=[in_("pid", "a.pid", Type.INTEGER)]),
    )
    assert project.run(made).log("b")[:1] in ("", "Z", "s")


def test_a_process_that_left_its_group_ends_with_the_run(project: Project) -> None:
    made = plan(task("a", 'setsid sleep 60 & echo $! > "$pid"', outs=[out("pid", Type.INTEGER)]))
    pid = project.run(made).records["a-0"].values["pid"]
    assert not alive(pid)


@pytest.mark.parametrize(
    ("type_", "write", "said"),
    [
        (Type.NUMBER, "echo nan", 'out "x" (number): NaN and infinities are no numbers that JSON can carry'),
        (Type.INTEGER, "echo 1.5", 'out "x" (integer): "1.5" is not an integer'),
        (Type.STRING, "printf 'a\\377'", 'out "x" is not UTF-8 text at byte 2'),
        (Type.STRING, "head -c 129 /dev/zero | tr '\\0' x", 'out "x" has 129 bytes, more than 128: make it a file'),
        (Type.STRING, "true; rm \"$x\"; mkfifo \"$x\"; true", 'out "x" cannot be read'),
        (Type.MODEL, "true; rm \"$x\"; ln -s /etc/passwd \"$x\"; true", 'out "x" cannot be kept'),
        (Type.STRING, "true; rm \"$x\"; true", 'out "x" was not written'),
        (Type.MODEL, "true; rm \"$x\"; true", 'out "x" was not written'),
    ],
)  # fmt: skip
def test_outs_that_are_not_what_the_spec_says_fail_the_task(
    project: Project, type_: Type, write: str, said: str
) -> None:
    first, _, rest = write.partition(";")
    record = project.run(plan(task("a", f'{first} > "$x"; {rest}', outs=[out("x", type_)]))).records["a-0"]
    assert (record.state, record.exit_code) == (State.FAIL, 0)
    assert record.error is not None
    assert record.error.startswith(said)
    assert record.outputs == ()


def test_a_string_of_just_the_most_bytes_passes(project: Project) -> None:
    made = plan(task("a", "printf '%0128d\\n' 7 > \"$x\"", outs=[out("x")]))
    assert len(str(project.run(made).records["a-0"].values["x"])) == 128


def test_a_failed_task_hands_on_nothing_but_its_values_are_recorded(project: Project) -> None:
    made = plan(
        task(
            "a",
            'echo 5 > "$loss"; echo half > "$model"; exit 4',
            outs=[out("loss", Type.METRIC), out("model", Type.MODEL)],
        ),
        task("b", after=["a"]),
    )
    told = project.run(made)
    record = told.records["a-0"]
    assert (record.metrics, record.outputs, record.exit_code) == ({"loss": 5}, (), 4)
    assert told.reasons() == {"a": "StepFailed", "b": STOPPING}
    assert (told.folder / "a-0" / "out" / "model").exists()


def test_gates_skip_by_what_a_task_decided(project: Project) -> None:
    gate = evaluation(0, "train.auc >= params.floor", train__auc=Type.METRIC, params__floor=Type.NUMBER)
    made = plan(
        task("train", 'echo 0.8 > "$auc"', outs=[out("auc", Type.METRIC)], evaluates=[gate]),
        task(
            "good", reads=["train"], conditions=[condition(gate.text, "train", 0)], outs=[out("x")], run='echo 1 > "$x"'
        ),
        task("needs", ins=[in_("x", "good.x")]),
        task("then", after=["good"]),
        params=[Param("floor", Type.NUMBER, "0.9")],
    )
    told = project.run(made)
    assert told.reasons() == {"train": "Succeeded", "good": GATE_FALSE, "needs": MISSING, "then": "Succeeded"}
    assert told.run.state is State.COMPLETE
    assert Skipped("good", GATE_FALSE, "train.auc >= params.floor (0.8 >= 0.9)") in told.events
    assert set(told.records) == {"train-0", "then-0"}
    again = Project(project.root / "again")
    again.root.mkdir()
    assert again.run(made, "floor=0.7").reasons()["good"] == "Succeeded"


def test_finally_learns_how_the_tasks_ended(project: Project) -> None:
    made = plan(
        task("bad", "exit 2"),
        task("later", after=["bad"]),
        finally_tasks=[
            task("tell", 'echo "$MLGEN_RUN_STATUS"; echo "$MLGEN_TASKS"'),
            task("big", conditions=[condition("params.n > 3", "if-big", 0)]),
        ],
        gate_tasks=[GateTask("if-big", "big", (), (evaluation(0, "params.n > 3", params__n=Type.INTEGER),))],
        params=[Param("n", Type.INTEGER, "1")],
    )
    told = project.run(made)
    status, tasks = told.log("tell").splitlines()
    assert status == "Failed"
    assert json.loads(tasks) == {
        "bad": {"status": "Failed", "reason": "StepFailed"},
        "later": {"status": "None", "reason": STOPPING},
    }
    assert {n: (s.status, s.reason) for n, s in told.outcome.finally_tasks.items()} == {
        "tell": ("Succeeded", "Succeeded"),
        "big": ("None", GATE_FALSE),
    }
    assert set(told.run.tasks) == {"bad", "later"}


def test_finally_learns_of_what_failed_however_many_were_skipped(project: Project) -> None:
    later = [task(f"later-{index:04}-{'x' * 40}", after=["bad"]) for index in range(1300)]
    tell = task("tell", 'printf "%s" "$MLGEN_TASKS" | cat')
    told = project.run(plan(task("bad", "exit 2"), *later, finally_tasks=[tell]))
    assert json.loads(told.log("tell")) == {"bad": {"status": "Failed", "reason": "StepFailed"}}
    (note,) = [event.text for event in told.events if isinstance(event, Noted)]
    assert note.startswith("MLGEN_TASKS leaves out 1,300 of 1,301 tasks, first those that were skipped")
    assert len(told.run.tasks) == 1301


def test_a_failed_finally_task_fails_the_command_and_not_the_run(project: Project) -> None:
    told = project.run(plan(task("a"), finally_tasks=[task("tell", "exit 1")]))
    assert told.run.state is State.COMPLETE
    assert told.records["tell-0"].state is State.FAIL
    assert not told.outcome.ok


def test_independent_tasks_run_at_the_same_time(project: Project) -> None:
    # Each waits for the other: only together do they end.
    meet = 'echo > "$here/$me"; until test -e "$here/$other"; do sleep 0.02; done'
    here = {"here": str(project.root)}
    made = plan(
        task("a", meet, env={**here, "me": "1", "other": "2"}, timeout=20),
        task("b", meet, env={**here, "me": "2", "other": "1"}, timeout=20),
    )
    assert project.run(made, slots=2).outcome.ok


def test_a_task_inherits_little_and_its_own(project: Project) -> None:
    script = 'env; echo "where=$(cd "$TMPDIR" && pwd -P)"'
    made = plan(task("a", script, env={"MODE": "x"}, outs=[out("o", optional=True)]))
    environ = environment(HOME="/home/me", LC_ALL="C", AWS_SECRET_ACCESS_KEY="k", HTTPS_PROXY="p", MLGEN_DEBUG="1")
    told = project.run(made, environ=environ)
    seen = dict(line.split("=", 1) for line in told.log("a").splitlines())
    assert set(seen) - {"PWD", "SHLVL", "_", "OLDPWD", "where"} == {
        "PATH", "HOME", "LC_ALL", "HTTPS_PROXY", "MODE", "TMPDIR", "o", "MLGEN_RUN_UID",
    }  # fmt: skip
    assert seen["where"].startswith(str(told.folder.resolve()))


SOCKET = """
import os, socket, sys, tempfile
path = os.path.join(tempfile.mkdtemp(prefix="pymp-"), "listener-abcdefgh")
socket.socket(socket.AF_UNIX).bind(path)
sys.stdout.write(tempfile.gettempdir())
"""


def test_sockets_fit_into_a_deep_projects_temporary_folder(tmp_path: Path) -> None:
    project = Project(tmp_path / ("deep" * 20))
    project.root.mkdir()
    told = project.run(plan(task("a", f"{sys.executable} -c '{SOCKET}'")))
    assert told.outcome.ok, told.log("a")
    assert len(told.log("a")) < 30
    assert not os.path.lexists(told.log("a"))  # it goes with the attempt


def test_secrets_come_from_the_environment_and_leave_no_trace(project: Project) -> None:
    key = "-----BEGIN KEY-----\nabcdef\n-----END KEY-----"
    made = plan(
        task(
            "a",
            'printf "%s\\n" "$TOKEN" "$KEY"; echo "$KEY" | sed -n 2p >&2; echo "other: ${OTHER-unset}"',
            secrets=["TOKEN", "KEY"],
        ),
        task("b", 'echo "$OTHER" > "$x"', secrets=["OTHER"], outs=[out("x")]),
    )
    told = project.run(made, environ=environment(TOKEN="hunter2", KEY=key, OTHER="swordfish"), slots=1)
    assert told.log("a") == "***\n***\n***\nother: unset\n"
    assert told.records["b-0"].error == 'out "x" holds the secret OTHER, and outs are recorded: leave it out'
    for path in told.folder.rglob("*"):
        if path.is_file() and "out" not in path.parts:
            assert not any(secret in path.read_bytes() for secret in (b"hunter2", b"abcdef", b"swordfish")), path
    assert not any(b"swordfish" in data for data in project.spooled)


@pytest.mark.parametrize("given", ["note=use swordfish", "raw=s3://b/k?token=swordfish"])
def test_an_argument_that_holds_a_secret_stops_the_run_before_anything_starts(project: Project, given: str) -> None:
    made = plan(task("a", secrets=["TOKEN"]), params=[Param("note", Type.STRING, "")], inputs=[RAW])
    with pytest.raises(Misuse, match="holds the secret TOKEN"):
        project.run(made, given, environ=environment(TOKEN="swordfish\n"))
    assert not (project.root / ".mlgen").exists()


def test_no_error_shows_a_secret(project: Project) -> None:
    made = plan(task("a", 'mkdir "$x"; mkfifo "$x/$TOKEN"', secrets=["TOKEN"], outs=[out("x", Type.DIRECTORY)]))
    told = project.run(made, environ=environment(TOKEN="swordfish"))
    error = told.records["a-0"].error
    assert error is not None
    assert "***" in error
    assert "swordfish" not in error


def test_a_missing_secret_stops_before_anything_starts(project: Project) -> None:
    with pytest.raises(Misuse, match="TOKEN") as caught:
        project.run(plan(task("a", secrets=["TOKEN", "KEY"])), environ=environment(KEY="k"))
    assert "key token of secret vault" in caught.value.why
    assert not (project.root / ".mlgen").exists()


def test_code_is_laid_fresh_into_each_working_directory(project: Project) -> None:
    (project.root / "src" / "lib").mkdir(parents=True)
    files = {"main.py": b"print('hello')\n", "lib/a.txt": b"a"}
    for name, data in files.items():
        (project.root / "src" / name).write_bytes(data)
    digest = canonical.folder_digest({n: canonical.digest_bytes(d)[7:] for n, d in files.items()})
    code = Code(("src",), digest)
    made = plan(
        task("a", "cat main.py lib/a.txt; rm main.py; echo changed > lib/a.txt", code=code),
        task("b", "cat main.py lib/a.txt; pwd", code=code, after=["a"]),
    )
    listing = {name: project.root / "src" / name for name in files}
    told = project.run(made, code={("src",): listing})
    assert told.log("a") == "print('hello')\na"
    assert told.log("b").startswith("print('hello')\na")
    assert told.log("b").strip().endswith(f"{told.folder}/b-0/work")
    assert (project.root / "src" / "lib" / "a.txt").read_bytes() == b"a"
    assert told.records["a-0"].code_digest == digest
    (project.root / "src" / "main.py").write_bytes(b"edited")
    with pytest.raises(CannotAnswer, match="changed while"):
        Project(project.root).run(made, code={("src",): listing}, run="demo-x2", uid=uid(1))


def uid(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


def test_an_input_that_is_not_what_its_digest_says_fails_with_its_name(project: Project) -> None:
    (project.root / "raw.csv").write_text("changed")
    wrong = "sha256:" + "0" * 64
    made = plan(
        task("a", ins=[in_("raw", "inputs.raw", Type.DATASET)]),
        inputs=[Input("raw", Type.DATASET, "raw.csv", wrong)],
    )
    record = project.run(made).records["a-0"]
    assert record.state is State.FAIL
    assert record.exit_code is None
    assert record.error is not None
    assert record.error.startswith('in "raw" cannot be read from raw.csv: ')
    assert wrong in record.error


def test_code_without_files_is_an_empty_working_directory(project: Project) -> None:
    code = Code(("src",), canonical.folder_digest({}))
    told = project.run(plan(task("a", "ls -A", code=code)), code={("src",): {}})
    assert (told.outcome.ok, told.log("a")) == (True, "")


def test_a_full_disk_while_code_is_laid_is_known_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_source: Path, _target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    kept, work = tmp_path / "kept", tmp_path / "work"
    (kept / "below").mkdir(parents=True)
    (kept / "below" / "a.py").touch()
    work.mkdir()
    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space") as caught:
        lay(kept, work)
    assert caught.value.errno == errno.ENOSPC


def test_events_tell_the_story(project: Project) -> None:
    told = project.run(plan(task("a")))
    kinds = [type(event) for event in told.events]
    assert kinds == [Started, Ended]


def test_a_repository_that_takes_no_writes_costs_a_line_and_not_the_run(project: Project) -> None:
    def read_only() -> str:
        raise OSError(errno.EROFS, "Read-only file system", ".git/objects")

    told = project.run(plan(task("a")), fold=read_only)
    assert told.outcome.ok
    notes = [e.text for e in told.events if isinstance(e, Noted)]
    assert len(notes) == 1
    assert "Read-only file system" in notes[0]


def test_a_ledger_that_cannot_be_written_costs_a_line_and_not_the_run(project: Project) -> None:
    def locked() -> str:
        raise CannotAnswer("ledger-locked", "the branch ledger is locked", fix="remove the lock")

    told = project.run(plan(task("a")), fold=locked)
    assert told.outcome.ok
    assert told.outcome.ledger is None
    notes = [e for e in told.events if isinstance(e, Noted)]
    assert notes == [Noted("the records wait in the spool: the branch ledger is locked (remove the lock)")]


def test_a_spool_that_cannot_be_used_leaves_the_records_to_the_next_command(project: Project) -> None:
    def full(_data: bytes) -> None:
        raise CannotAnswer("disk-full", "no space left")

    told = run(project.job(plan(task("a"))), **project.parts(spool=full))
    assert told.ok
    assert told.ledger is None
    assert recover(project.root, spool=project.spooled.append, clock=RealClock()) == [
        Recovered("demo-x1", cut_off=False, fault=None)
    ]
    records, run_record = entries(project.spooled)
    assert run_record is not None
    assert (records["a-0"].state, run_record.state) == (State.COMPLETE, State.COMPLETE)


@pytest.mark.parametrize("damage", ["of another version", "a pipe", "of another type"])
def test_a_run_that_recovery_cannot_read_is_named_and_keeps_no_other_from_being_told(
    project: Project, damage: str
) -> None:
    def full(_data: bytes) -> None:
        raise CannotAnswer("disk-full", "no space left")

    runs = [run(project.job(plan(task("a")), run=name), **project.parts(spool=full)) for name in ("x1", "x2")]
    start = runs[0].folder / "start.json"
    if damage == "a pipe":
        start.unlink()
        os.mkfifo(start)
    else:
        start.write_text('{"of": "another version"}' if damage == "of another version" else "[1]")
    found = recover(project.root, spool=project.spooled.append, clock=RealClock())
    assert [(r.run, r.told) for r in found] == [("x1", False), ("x2", True)]
    assert f"remove {runs[0].folder}/run.lock" in str(found[0].fault)
    again = recover(project.root, spool=project.spooled.append, clock=RealClock())
    assert [r.run for r in again] == ["x1"]


@pytest.mark.parametrize(
    "tamper",
    [
        "mkdir -p ../record.json/x",
        "mkfifo ../record.json",
        "mkfifo ../.record.json.new",
        "mkdir -p ../.record.json.new/x",
        "rm ../log; mkfifo ../log; false",
        "mkfifo ../inputs.json",
        "echo '[1]' > ../inputs.json",
        "echo '[{\"name\": 1}]' > ../inputs.json",
        'echo \'[{"name":1,"uri":1,"digest":1,"size_bytes":1,"media_type":1,"type":1}]\' > ../inputs.json',
    ],
)
def test_a_task_that_tampers_with_its_folder_is_told_and_waited_for_by_nobody(project: Project, tamper: str) -> None:
    told = project.run(plan(task("a", tamper)))
    assert told.records["a-0"].state is (State.FAIL if "false" in tamper else State.COMPLETE)
    assert tail(told.folder / "a-0" / "log", 5) == []


@pytest.mark.parametrize("type_", [Type.STRING, Type.FILE])
@pytest.mark.parametrize("spoil", ["rmdir ../out; echo 1 > ../out", "chmod 000 ../out", "mkdir $x; mkfifo $x/p"])
def test_an_out_that_cannot_be_read_fails_its_task(project: Project, type_: Type, spoil: str) -> None:
    if "chmod" in spoil and os.getuid() == 0:
        pytest.skip("root may read everything")
    told = project.run(plan(task("a", spoil, outs=[out("x", type_)])))
    assert told.records["a-0"].state is State.FAIL
    assert 'out "x"' in str(told.records["a-0"].error)
    (told.folder / "a-0" / "out").chmod(0o755)


@pytest.mark.parametrize("tamper", ["mkfifo", "mkdir", "echo '[1]\n{' >"])
def test_a_skip_is_noted_whatever_a_task_put_in_the_notes_place(project: Project, tamper: str) -> None:
    told = project.run(plan(task("a", f"{tamper} ../../skipped.jsonl; false"), task("b", after=["a"])))
    assert RunFolder(told.folder).skipped() == {"b": (STOPPING, "a failed")}


def test_nothing_is_left_of_a_task_that_ended_well_but_what_people_read(project: Project) -> None:
    told = project.run(plan(task("a", 'echo 1 > "$x"; touch work "$TMPDIR/t"', outs=[out("x", Type.FILE)])))
    assert sorted(p.name for p in (told.folder / "a-0").iterdir()) == ["log", "record.json", "script", "start.json"]
    assert sorted(p.name for p in told.folder.iterdir()) == ["a-0", "run.json", "start.json"]


RAW = Input("raw", Type.FILE, "s3://x/y.csv", None)


def unreachable(uri: str) -> Store:
    raise CannotAnswer("store-unreachable", f"{uri} cannot be used: no route to host", fix="see that it is reached")


def test_an_input_that_cannot_be_reached_fails_its_task(project: Project) -> None:
    chosen = plan(
        task("a", ins=[in_("raw", "inputs.raw", Type.FILE)]),
        task("b", after=["a"]),
        finally_tasks=[task("tell")],
        inputs=[RAW],
    )
    outcome = run(project.job(chosen), **project.parts(open_at=unreachable))
    told = project.told(outcome, [])
    assert (outcome.state, outcome.ok) == (State.FAIL, False)
    assert told.records["a-0"].error == (
        'in "raw" cannot be read from s3://x/y.csv: s3://x cannot be used: no route to host (see that it is reached)'
    )
    assert told.records["tell-0"].state is State.COMPLETE
    assert recover(project.root, spool=project.spooled.append, clock=RealClock()) == []


class Broken(Folder):
    """A store that is reached no more when something is to be kept."""

    def put_artifact(self, key: str, path: Path, *, beneath: Path | None = None) -> Content:
        unreachable(key)
        raise AssertionError


def test_folders_in_each_other_do_not_stop_the_engine(project: Project) -> None:
    nest = "i=0; while [ $i -lt 1100 ]; do mkdir d; cd d; i=$((i+1)); done"
    told = project.told(run(project.job(plan(task("a", nest))), **project.parts()), [])
    subprocess.run(["rm", "-rf", project.root / ".mlgen"], check=True)  # Python could not, for pytest neither
    assert told.records["a-0"].state is State.COMPLETE


def test_an_out_that_cannot_be_kept_fails_its_task(project: Project) -> None:
    chosen = plan(task("a", 'echo 1 > "$x"', outs=[out("x", Type.FILE)]), finally_tasks=[task("tell")])
    store = Broken(project.root / "artifacts", "artifacts")
    told = project.told(run(project.job(chosen), **project.parts(store=store)), [])
    assert 'out "x" cannot be kept: ' in (told.records["a-0"].error or "")
    assert told.records["tell-0"].state is State.COMPLETE


def test_a_run_that_could_not_go_on_is_not_called_killed(project: Project) -> None:
    def full(_uri: str) -> Store:
        raise CannotAnswer("disk-full", "no space left on the disk")

    chosen = plan(task("a", ins=[in_("raw", "inputs.raw", Type.FILE)]), inputs=[RAW])
    with pytest.raises(CannotAnswer, match="no space left"):
        run(project.job(chosen), **project.parts(open_at=full))
    told = recover(project.root, spool=project.spooled.append, clock=RealClock())
    assert told == [Recovered("demo-x1", cut_off=True, fault="no space left on the disk")]
    records, _ = entries(project.spooled)
    assert records["a-0"].error == "the engine could not go on before this ended: no space left on the disk"
