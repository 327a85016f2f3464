"""A run from its first file to its last: the one function that the command line calls."""

from __future__ import annotations

import os
from collections.abc import Callable

from mlgen.diagnostic import CannotAnswer, Misuse
from mlgen.ledger.records.run import RunRecord
from mlgen.local import code, environment, rundirs
from mlgen.local.active import Parts
from mlgen.local.engine import Engine
from mlgen.local.events import Noted, OnEvent, Outcome
from mlgen.local.job import Job
from mlgen.local.processes import Processes
from mlgen.local.rundir import RunFolder
from mlgen.local.spooler import Spooler
from mlgen.local.wakeups import Wakeups
from mlgen.runtime.clock import Clock, timestamp
from mlgen.runtime.secrets import check_given, held_secret, masked
from mlgen.runtime.stage_in import OpenStore
from mlgen.store import Store
from mlgen.values import to_text


def _nowhere(_point: str) -> None:
    pass


def run(
    job: Job,
    *,
    store: Store,
    open_at: OpenStore,
    spool: Callable[[bytes], object],
    fold: Callable[[], str | None],
    clock: Clock,
    on_event: OnEvent,
    at: Callable[[str], None] = _nowhere,
) -> Outcome:
    """Run a plan on this machine; what became of it.

    store: of the environment's artifacts. open_at: the store at a URI, for inputs. spool: makes a record's bytes
    durable. fold: lands what is spooled, and names the ledger's commit. at: see `Parts`.
    Where the spool or the ledger cannot be used, the records wait, in the run's folder or in the spool, and the run
    is no less what it was. Raises Misuse for a name that another run has, and for a secret that is not set, or that an
    argument holds or looks like; CannotAnswer and OSError when the run cannot go on: every process is ended then, and
    recovery tells the rest. To be called in the main thread, as it takes the signals SIGINT, SIGTERM and SIGHUP for its
    own.
    """
    secrets = environment.secrets(job.plan, {**job.kept_secrets, **job.environ})
    _refuse_secret_arguments(job, secrets)
    uris = {name: location.uri for name, location in job.arguments.inputs.items()}
    for line in check_given(job.run, job.arguments.values(job.plan), uris):
        on_event(Noted(line))
    started = job.started(timestamp(clock.now()))
    with Wakeups() as wakeups:
        folder, lock = rundirs.create(job.project, started)
        try:
            _keep_code(job, folder)
            at("created")
            spooler = Spooler(spool)
            processes = Processes(job.uid, at, job.client)
            parts = Parts(store, open_at, spooler, processes, wakeups, clock, on_event, at)
            engine = Engine(job, folder, started, secrets, parts)
            try:
                told = _all_tasks(engine)
                at("tasks-ended")
                spooled = _wait_for(spooler, on_event)
            except Exception as error:  # raised again: only recovery must know that nobody killed this run
                folder.note_fault(masked(str(error), secrets.values()))
                raise
            finally:
                processes.close()
                spooler.abandon()
            folder.forget_code()
            if spooled:
                folder.finish()
        finally:
            os.close(lock)
        at("finished")
        commit = _fold(fold, on_event) if spooled else None
    return Outcome(
        run=told.run,
        uid=told.uid,
        state=told.state,
        tasks=told.tasks,
        finally_tasks=engine.schedule.finally_statuses,
        ledger=commit,
        folder=folder.path,
        interrupted=engine.interrupted,
        whys=engine.schedule.whys,
    )


def _refuse_secret_arguments(job: Job, secrets: dict[str, str]) -> None:
    values = job.arguments.values(job.plan)
    given = {f'param "{name}"': [text, to_text(values[name])] for name, text in job.arguments.params.items()}
    given |= {f'input "{name}"': [location.uri] for name, location in job.arguments.inputs.items()}
    for what, texts in given.items():
        secret = held_secret(texts, secrets)
        if secret is not None:
            raise Misuse(
                "bad-argument",
                f"{what} holds the secret {secret}",
                why="params and inputs are recorded in the ledger, for everyone who can read it",
                fix=f"give another value; a task reads the secret as ${secret}",
            )


def _all_tasks(engine: Engine) -> RunRecord:
    told = engine.run_tasks()
    engine.tell_run(told)
    engine.run_finally(told)
    return told


def _keep_code(job: Job, folder: RunFolder) -> None:
    for task in job.plan.all_tasks:
        if task.code is not None and not folder.code(task.code.digest).exists():
            code.keep(task.code, job.code[task.code.folders], folder.code(task.code.digest))


def _wait_for(spooler: Spooler, on_event: OnEvent) -> bool:
    """Whether all records are in the spool."""
    try:
        spooler.close()
    except (CannotAnswer, OSError) as reason:
        on_event(Noted(f"the records wait in the run's folder for the next command: {_sentence(reason)}"))
        return False
    return True


def _fold(fold: Callable[[], str | None], on_event: OnEvent) -> str | None:
    try:
        return fold()
    except (CannotAnswer, OSError) as reason:
        on_event(Noted(f"the records wait in the spool: {_sentence(reason)}"))
        return None


def _sentence(reason: CannotAnswer | OSError) -> str:
    if isinstance(reason, OSError):
        return str(reason)
    return f"{reason.message} ({reason.fix})" if reason.fix else reason.message
