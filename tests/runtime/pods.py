"""A pod on this machine: our programs as real processes, and files written as Tekton's entrypoint writes them."""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from mlgen.ledger.folding.spool import Spool
from mlgen.ledger.records.entry import from_bytes
from mlgen.ledger.records.run import RunRecord
from mlgen.ledger.records.task import TaskRecord
from mlgen.runtime.__main__ import main
from mlgen.runtime.attempts.retrying import Policy
from mlgen.runtime.fans import trials
from mlgen.runtime.fans.model import Count, FanDocument
from mlgen.runtime.nodes.model import NodesDocument
from mlgen.runtime.nodes.variables import ADDRESS, variables
from mlgen.runtime.pod import contract as pod
from mlgen.runtime.pod.contract import Places
from mlgen.runtime.prelude import prelude
from mlgen.runtime.protocol import CheckpointDocument, Evaluation, In, Out, Statuses, TaskDocument, Tree
from mlgen.store import Folder
from mlgen.values import Type

DIGEST = "sha256:" + "5" * 64
PATIENCE = 30.0  # seconds, for anything: the machine may be busy
# A process that is forked while another thread starts a program has the pipe by which that one learns of the start, and
# keeps it for life.
FORKING = threading.Lock()


def until(what: Callable[[], object], why: str) -> None:
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end, f"waited {PATIENCE:.0f} s until {why}"
        time.sleep(0.01)


@dataclass
class Program:
    """A process of `mlgen-runtime`, forked so that nothing need be imported again. log: what it wrote to stderr."""

    pid: int
    log: Path
    code: int | None = None

    def wait(self) -> int:
        """The exit code; minus the signal's number."""
        until(self._ended, f"process {self.pid} ends; it says: {self.text}")
        assert self.code is not None
        return self.code

    def _ended(self) -> bool:
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code is not None

    @property
    def alive(self) -> bool:
        return not self._ended()

    def stopped(self) -> bool:
        """Whether it waits for SIGCONT."""
        return os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is not None

    def kill(self, number: int = signal.SIGKILL) -> None:
        if self.alive:
            os.kill(self.pid, number)

    @property
    def text(self) -> str:
        """What it says, but for what it used."""
        lines = self.log.read_text().splitlines(keepends=True)
        return "".join(line for line in lines if " s of cpu, " not in line)


@dataclass
class Pod:
    """store: of the artifacts, which several pods may share. places: as in /mlgen and so on."""

    folder: Path
    store: Path
    ins: tuple[In, ...] = ()
    outs: tuple[Out, ...] = ()
    evaluates: tuple[Evaluation, ...] = ()
    given: dict[str, str] = field(default_factory=dict)
    values: tuple[str, ...] = ()
    timeout_seconds: int = 60
    code_digest: str | None = None
    attempt: int = 0
    fold: pod.Fold | None = None
    fan: FanDocument | None = None
    counts: tuple[Count, ...] = ()
    index: int = 0
    item: dict[str, str] = field(default_factory=dict)
    retry: Policy | None = None
    checkpoint: CheckpointDocument | None = None
    resumes: str = ""
    statuses: Statuses | None = None
    tasks: str = "{}"
    nodes: NodesDocument | None = None
    rank: int = 0
    run_uid: str = field(default_factory=lambda: str(uuid4()))
    pod_uid: str = field(default_factory=lambda: str(uuid4()))
    programs: list[Program] = field(default_factory=list)
    container: subprocess.Popen[bytes] | None = None  # main's
    gone: bool = False

    def __post_init__(self) -> None:
        for name in ("mlgen", "mlgen-state", "run-0", "run-1/status", "steps/artifacts", "results", "artifacts"):
            (self.folder / name).mkdir(parents=True)
        self.kernel_has_killed(3)

    def kernel_has_killed(self, processes: int) -> None:
        self.places.kernel.write_text(f"pgfault 12\noom_kill {processes}\nnuma_hit 1\n")

    @property
    def places(self) -> Places:
        at = self.folder
        names = ("mlgen", "mlgen-state", "run-0", "run-1", "results", "secret", "vmstat", "artifacts")
        return Places(*(at / name for name in names))

    @property
    def document(self) -> TaskDocument:
        return TaskDocument(
            "churn", "prod", "train", self.ins, self.outs, self.evaluates, str(self.store), self.code_digest,
            "img", None, self.timeout_seconds, pod.Platform(fold=self.fold), self.fan,
            counts=self.counts, retry=self.retry, checkpoint=self.checkpoint, statuses=self.statuses, nodes=self.nodes,
        )  # fmt: skip

    def environ(self) -> dict[str, str]:
        name = "churn-x1-train-pod" + (f"-retry{self.attempt}" if self.attempt else "")
        return {
            "MLGEN_TASK": json.dumps(self.document.to_json()),
            "MLGEN_RUN": "churn-x1",
            "MLGEN_RUN_UID": self.run_uid,
            "MLGEN_TASK_RUN": "churn-x1-train",
            "MLGEN_TASK_RUN_UID": self.run_uid,
            "MLGEN_NAMESPACE": "ml",
            "MLGEN_POD": name,
            "MLGEN_POD_UID": self.pod_uid,
            "MLGEN_SPEC_DIGEST": DIGEST,
            "MLGEN_PLAN_DIGEST": DIGEST,
            "MLGEN_RESUMES": self.resumes,
            "MLGEN_TASKS": self.tasks,
            "MLGEN_EXIT_CODE_FILE": str(self.folder / "steps" / "exitCode"),
            "MLGEN_RUN_FILE": str(self.folder / "run-file"),
            **({"MLGEN_RANK": str(self.rank)} if self.rank else {}),
            **({"MLGEN_POD_ADDRESS": "127.0.0.1"} if self.nodes else {}),
            **({"MLGEN_INDEX": str(self.index)} if self.fan else {}),
            **{f"MLGEN_IN_{name}": text for name, text in self.given.items()},
        }

    def _item_values(self) -> list[str]:
        types = dict(self.fan.variables) if self.fan else {}
        return [pod.value(f"{pod.ITEM}.{name}", types[name], text) for name, text in self.item.items()]

    def begin(self, verb: str, *, kill_at: str | None = None, stop_at: str | None = None, **environ: str) -> Program:
        """Start a program. kill_at: the point where it is killed. stop_at: where it is now, and waits for SIGCONT."""

        def at(point: str) -> None:
            if point == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            if point == stop_at:
                os.kill(os.getpid(), signal.SIGSTOP)

        log = self.folder / f"{verb}.{len(self.programs)}.log"
        with FORKING, warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # a test's own server may run in a thread here
            pid = os.fork()
        if pid == 0:
            code = 70
            try:
                os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT, 0o644), 2)
                sys.stderr = os.fdopen(2, "w", closefd=False)
                faulthandler.register(signal.SIGUSR1)  # where it hangs, for a test that waited in vain
                sys.argv = ["mlgen-runtime", verb, *self._item_values(), *self.values]
                os.environ.clear()
                os.environ.update(self.environ() | environ)
                code = main(self.places, at)
                sys.stderr.flush()
            finally:
                os._exit(code)
        program = Program(pid, log)
        self.programs.append(program)
        until(log.exists, f"{verb} begins")
        if stop_at is not None:
            until(program.stopped, f"{verb} comes to {stop_at!r}; it says: {program.text}")
        return program

    def sidecar(self, **options: Any) -> Program:
        """Start the sidecar; it is ready, or dead."""
        program = self.begin("results", **options)
        ready = self.places.state / "ready"
        until(lambda: ready.exists() or not program.alive, f"the sidecar is ready: {program.text}")
        return program

    def stage_in(self, **options: Any) -> int:
        """Run step 0 to its end."""
        code = self.begin("stage-in", **options).wait()
        (self.folder / "run-0" / ("out.err" if code else "out")).touch()
        if code:  # main's entrypoint does not run it, nor does stage-out's
            (self.folder / "run-1" / "out.err").touch()
        return code

    def main(self, script: str, *, tells: bool = True) -> int:
        """Run the author's script to its end. tells: whether its entrypoint lives to tell."""
        files = self.places.root / "in"
        late = [(i.name, str(files / i.name)) for i in self.ins if i.late and i.kind == "value"]
        late += [(name, str(files / name)) for name, _ in (self.fan.variables if self.fan else ())]
        late += [(ADDRESS, str(files / ADDRESS))] if self.nodes else []
        end = str(self.places.root / "end") if self.nodes or (self.fan and self.fan.failures) else None
        text = prelude(alive=str(self.places.root / "alive"), late=late, end=end) + script
        env = {"PATH": os.environ["PATH"]}
        env |= {i.name: str(files / i.name) for i in self.ins if i.kind != "value"} | self.item
        env |= {o.name: str(self.places.root / "out" / o.name) for o in self.outs}
        if self.checkpoint:
            env[self.checkpoint.name] = str(self.places.root / "checkpoint")
        env |= variables(self.rank, self.nodes.count) if self.nodes else {}
        if self.fan and self.fan.search:
            env |= trials.variables(Tree(self.places.root, self.places.state))
        with FORKING:
            self.container = subprocess.Popen(["sh", "-c", text], env=env, cwd=self.folder, start_new_session=True)
        code = self.container.wait()
        self._kill_container()  # what is left in a container ends with its entrypoint
        if tells and not self.gone:
            self.main_ended(max(code, -1))
        return code

    def _kill_container(self) -> None:
        if self.container is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.container.pid, signal.SIGKILL)

    def main_ended(self, code: int) -> None:
        for path in (self.folder / "run-1" / "status" / "exitCode", self.folder / "steps" / "exitCode"):
            path.write_text(str(code))
        (self.folder / "run-1" / "out").touch()

    def stage_out(self, **options: Any) -> int:
        """Run step 2 to its end."""
        return self.begin("stage-out", **options).wait()

    @property
    def results(self) -> dict[str, str]:
        return {path.name: path.read_bytes().decode() for path in self.places.results.iterdir()}

    @property
    def records(self) -> list[TaskRecord]:
        """Of this pod's run."""
        spool = Spool(Folder(self.store, str(self.store)))
        found = [from_bytes(spool.get(key) or b"") for key in spool.waiting()]
        return [r for r in found if isinstance(r, TaskRecord) and r.run_uid == self.run_uid]

    @property
    def runs(self) -> list[RunRecord]:
        spool = Spool(Folder(self.store, str(self.store)))
        found = [from_bytes(spool.get(key) or b"") for key in spool.waiting()]
        return [r for r in found if isinstance(r, RunRecord)]

    def only_record(self) -> TaskRecord:
        (record,) = self.records
        return record

    def end(self) -> None:
        """As where its node goes away: nothing of it lives on."""
        self.gone = True
        self._kill_container()
        for program in self.programs:
            program.kill()
            program.wait()


def an_artifact(store: Path, key: str, text: str) -> str:
    """Keep a file as another task's out; its text as an in."""
    path = store.parent / "made"
    path.write_text(text)
    content = Folder(store, str(store)).put_artifact(key, path)
    return f"{key}@{content.digest}"


MODEL = Out("model", Type.MODEL)
ROWS = Out("rows", Type.INTEGER)
WRITE = 'echo weights > "$model"; echo 7 > "$rows"'  # what a program does that writes both
MakePod = Callable[..., Pod]
