"""One attempt of a task, from its folder to its record. The engine says when; nothing here waits."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from mlgen.diagnostic import CannotAnswer
from mlgen.ledger.records.clean import Clean
from mlgen.ledger.records.task import Item, State, TaskRecord
from mlgen.local import code, shorttmp
from mlgen.local.containers import command
from mlgen.local.containers.container import Container
from mlgen.local.group import Group, log_forms
from mlgen.local.group import error as group_error
from mlgen.local.group import forget as forget_group
from mlgen.local.log import Log
from mlgen.local.processes import Process, Processes
from mlgen.local.rundir import AttemptFolder, AttemptStarted
from mlgen.local.wakeups import Wakeups
from mlgen.local.whole import write
from mlgen.plan.model import Script, Task
from mlgen.runtime.attempts.retrying import Cause
from mlgen.runtime.attempts.saving import Saving
from mlgen.runtime.cache.around import Asked, arrive, keep, taken
from mlgen.runtime.cache.entries import Entry, settle
from mlgen.runtime.cache.recorded import digest_of
from mlgen.runtime.ending import (
    CANCELLED,
    SIGNALLED,
    STEP_FAILED,
    TIMED_OUT,
    Ending,
    fix,
    of_exit_code,
    of_pod_exit_code,
    of_timeout,
    record_of,
    signal_name,
)
from mlgen.runtime.fans.trials import Watcher
from mlgen.runtime.outs import StagingError, sentence
from mlgen.runtime.prelude import prelude
from mlgen.runtime.protocol import Execution, TaskDocument
from mlgen.runtime.stage_in import OpenStore, prepare, stage_in, staged_inputs
from mlgen.runtime.stage_out import Staged, stage_out
from mlgen.store import Store, StoreError
from mlgen.store.disk import remove

MOST_FILES = 2000  # of code, that an entry of the cache lists

INDEX = "MLGEN_INDEX"


@dataclass
class Attempt:
    """What is known of an attempt. kept_code: the run's copy of its code. secrets: those of this task.

    earlier_checkpoints: where else to look for a checkpoint, where this run has none.
    """

    task: Task
    document: TaskDocument
    execution: Execution
    folder: AttemptFolder
    kept_code: Path | None
    secrets: Mapping[str, str]
    started_at: str
    began: float  # monotonic seconds
    process: Process | None = None
    log: Log | None = None
    deadline: float | None = None  # of the program: when it is asked to end, then when it is made to
    hit: Entry | None = None  # what an earlier execution made: then the program need not run
    notes: list[str] = field(default_factory=list)  # lines for people, of staging
    asked_to_end: str | None = None  # the reason: TIMED_OUT or CANCELLED
    item: Item | None = None  # which one of a task that runs many times
    texts: Mapping[str, str] = field(default_factory=dict)  # of the item's variables
    watcher: Watcher | None = None  # of a search's trial
    container: Container | None = None  # None: the program is a process of this machine
    image: str = ""  # what the container is made from
    earlier_checkpoints: tuple[str, ...] = ()
    launched: bool = False
    saving: Saving | None = None  # of the task's checkpoint
    grace_seconds: float = 10.0  # that other nodes have to end when one has

    @property
    def key(self) -> tuple[str, int | None]:
        """What it is an attempt of: a task, or an item of it."""
        return self.task.name, self.item.index if self.item else None

    @property
    def name(self) -> str:
        """What people call it."""
        return self.task.name if self.item is None else f"{self.task.name}[{self.item.index}]"

    @property
    def group(self) -> Group | None:
        """Of a task on several nodes."""
        return Group(self.task, self.folder.tree) if self.task.nodes > 1 else None

    @property
    def variables(self) -> Mapping[str, str]:
        """Of the program of an item."""
        return {} if self.item is None else {**self.texts, INDEX: str(self.item.index)}

    @property
    def moves_bytes(self) -> bool:
        """Whether staging copies or hashes files, which may take long."""
        artifacts = any(i.kind != "value" for i in self.document.ins) or any(
            o.type.is_artifact for o in self.document.outs
        )
        needs = self.kept_code is not None or self.document.cache is not None or self.saving is not None
        return artifacts or needs

    def begin(self) -> None:
        """Make the folder, and say in it what recovery must know should this be the last that is heard."""
        self.folder.path.mkdir()
        self.folder.write_start(AttemptStarted(self.document, self.execution, self.started_at))

    def stage_in(self, open_at: OpenStore, asked: Asked) -> str | None:
        """Make ready what the program reads, or find that it need not run; the problem, if neither can be."""
        try:
            prepare(self.folder.tree, checkpoint=self.saving is not None)
            bring = partial(self._bring, asked.store, open_at)
            self.hit = arrive(self.document, self.execution, self.folder.tree, asked, bring)
        except StagingError as error:
            return str(error)
        return None

    def _bring(self, store: Store, open_at: OpenStore) -> None:
        if self.kept_code is not None:
            code.lay(self.kept_code, self.folder.tree.work)
        stage_in(self.document, self.execution, self.folder.tree, store, open_at)
        if self.saving is not None:
            self.saving.checkpoint.restore(self.earlier_checkpoints)
        if self.group is not None:
            self.group.lay()

    def take(self, ended_at: str) -> Staged:
        """What became of an attempt whose program need not run."""
        assert self.hit is not None
        staged = taken(
            self.document,
            self.execution,
            self.hit,
            inputs=staged_inputs(self.folder.tree),
            started_at=self.started_at,
            ended_at=ended_at,
        )
        self._clean(keep=False)
        return staged

    def launch(self, processes: Processes, env: Mapping[str, str], wakeups: Wakeups) -> str | None:
        """Start the author's program; the problem, if it cannot be started."""
        self.log = Log(self.folder.log, log_forms(self.secrets.values(), self.task.nodes), wakeups)
        args, env = self._command(env)
        try:
            self.process = processes.spawn(args, cwd=self.folder.tree.work, env=env, output=self.log.output)
        except OSError as error:
            return self._unstarted(str(error.strerror or error))
        except ValueError as error:  # what no process can be given, as a NUL that nobody refused before
            return self._unstarted(str(error))
        finally:
            self.log.handed_over()
        self.launched = True
        if self.saving is not None:
            self.saving.start()
        return None

    def _unstarted(self, why: str) -> str:
        what = self.task.run.args[0] if not isinstance(self.task.run, Script) else "sh"
        return f"{what[:200]} cannot be started: {why}"

    def _command(self, env: Mapping[str, str]) -> tuple[list[str], Mapping[str, str]]:
        """What is started, and with which variables. env: of the program."""
        if isinstance(self.task.run, Script):
            # A file, as in a pod: the kernel allows an argument 128 KiB, and here the text can be read afterwards.
            write(self.folder.script, (prelude() + self.task.run.text).encode())
        if self.container is not None:
            return self._container_command(self.container, env), self._client_environment(self.container)
        program = ["/bin/sh", str(self.folder.script)]
        if not isinstance(self.task.run, Script):
            program = list(self.task.run.args)
        if self.group is not None:
            return self.group.command(program, env, self.grace_seconds), env
        return program, env

    def _client_environment(self, container: Container) -> Mapping[str, str]:
        return command.environment(container.client, self.secrets, self.execution.run_uid)

    def _container_command(self, container: Container, env: Mapping[str, str]) -> list[str]:
        return command.command(
            container.client,
            self.task,
            image=self.image,
            name=container.name,
            uid=self.execution.run_uid,
            tree=self.folder.tree,
            script=self.folder.script,
            variables=env,
            secrets=self.secrets.keys(),
        )

    def ended(self, code: int, ended_at: str) -> Ending:
        """How the program's end is told. code: its exit code, or minus the number of a signal that ended it."""
        exit_code = max(code, SIGNALLED)
        if self.asked_to_end == CANCELLED:
            return self.stopped(exit_code, ended_at)
        if self.asked_to_end == TIMED_OUT:
            return of_timeout(exit_code, self.task.timeout_seconds, self.started_at, ended_at)
        if self.group is not None:
            return self._ended_group(self.group, code, ended_at)
        return of_exit_code(exit_code, self.started_at, ended_at, signal=signal_name(-code))

    def _ended_group(self, group: Group, code: int, ended_at: str) -> Ending:
        """How the end of several nodes is told: as that of the one that decided. code: of who started them."""
        told = group.told()
        if told is not None and told.problem is not None:
            return self.failed(self._unstarted(told.problem), Cause.PROGRAM, ended_at)
        code = told.exit_code if told is not None else code
        ending = of_exit_code(max(code, SIGNALLED), self.started_at, ended_at, signal=signal_name(-code))
        if told is None or ending.error is None:
            return ending
        return replace(ending, error=group_error(told, self.task.nodes, ending.error))

    def ended_container(self, container: Container, code: int, ended_at: str) -> Ending:
        """How the end of a container's client is told, whose exit code that is; the container is gone afterwards."""
        end = container.end()
        if self.asked_to_end is not None:
            return self.ended(code if end.exit_code is None else end.exit_code, ended_at)
        if not end.started:
            # 127 with no container: a command that is not in the image; the client's own words are in the log.
            problem = f"{container.client.name} could not start a container of {self.image}: the log says why"
            return self.failed(problem, Cause.PROGRAM if code in (126, 127) else Cause.INFRASTRUCTURE, ended_at)
        exit_code = max(code, SIGNALLED) if end.exit_code is None else end.exit_code
        return of_pod_exit_code(exit_code, self.started_at, ended_at, out_of_memory=end.out_of_memory)

    def stopped(self, exit_code: int | None, ended_at: str) -> Ending:
        """How an attempt is told that an interrupted run took away."""
        return Ending(State.ABORT, CANCELLED, exit_code, "the run was interrupted", self.started_at, ended_at)

    def failed(self, problem: str, cause: Cause, ended_at: str) -> Ending:
        """How an attempt is told whose program never started."""
        return Ending(State.FAIL, STEP_FAILED, None, problem, self.started_at, ended_at, cause)

    def stage_out(self, store: Store, ending: Ending) -> Staged:
        """Keep what the program left, and remove what nobody needs any more."""
        staged = stage_out(self.document, self.execution, self.folder.tree, store, ending, secrets=self.secrets)
        if self.saving is not None:
            self._end_checkpoint(self.saving, staged.record.state)
        self._clean(keep=staged.record.state is not State.COMPLETE)
        return staged

    def _end_checkpoint(self, saving: Saving, state: State) -> None:
        """Keep what the program left for the next attempt, or forget all of a task that is done."""
        if state is not State.COMPLETE:
            saving.save()
            return
        try:
            saving.checkpoint.remove()
        except (StoreError, CannotAnswer, OSError) as error:  # what stays is for `mlgen gc`
            saving.say(f"its checkpoint is not removed: {sentence(error)}")

    def give_up(self, ended_at: str) -> Staged:
        """What is told of an attempt whose staging nobody waits for any more."""
        ending = self.stopped(None, ended_at)
        inputs = staged_inputs(self.folder.tree)
        key = digest_of(self.document, self.folder.tree)
        return Staged(record_of(self.document, self.execution, ending, inputs=inputs, cache_key=key), {})

    def keep_entry(self, store: Store, staged: Staged) -> None:
        """What the cache is told of the attempt, once its record is durable."""
        if self.hit is not None:
            settle(store, self.hit, self.execution.run_id)
        elif self.document.cache is not None and staged.record.state is State.COMPLETE:
            files = code.listing(self.kept_code) if self.kept_code is not None else {}
            keep(self.document, self.folder.tree, store, staged, files if len(files) <= MOST_FILES else None)

    def write_record(self, staged: Staged) -> tuple[Staged, Clean[TaskRecord]]:
        """Fix the record's bytes in the folder; of a record that no ledger takes, one that says so."""
        kept = fix(staged.record, self.secrets.values())
        write(self.folder.record, kept.data)
        return Staged(kept.entry, staged.texts if kept.entry.state is State.COMPLETE else {}), kept

    def _clean(self, *, keep: bool) -> None:
        """Remove the tree; of an attempt that did not end well, keep what its author will want to look at."""
        shorttmp.forget(self.folder.tree.tmp, self.execution.run_id)
        if not keep:
            forget_group(self.folder.path)
        names = ("in", "home", "tmp", "checkpoint") if keep else ("in", "home", "tmp", "checkpoint", "work", "out")
        for name in names:
            folder = self.folder.path / name
            try:
                os.rmdir(folder)
            except OSError:  # not empty; what cannot be removed stays, and harms nobody
                remove(folder, all_that_can=True)
