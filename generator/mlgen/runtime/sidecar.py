"""The results sidecar: there before step 1, it sees how the execution ends and makes its record durable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mlgen.diagnostic import Fault
from mlgen.ledger.spool import Spool
from mlgen.runtime import tekton
from mlgen.runtime.clock import timestamp
from mlgen.runtime.ending import fix, record_of
from mlgen.runtime.handover import FAILED, OOM_KILLS, READY, SEALED, STAGED, STARTED, UNREACHABLE
from mlgen.runtime.memory import grew, oom_kills
from mlgen.runtime.milestone import Milestone, note
from mlgen.runtime.outs import sentence
from mlgen.runtime.post import Post
from mlgen.runtime.stage_in import prepare, staged_inputs
from mlgen.runtime.verdict import Sight, judge
from mlgen.runtime.watch import Errand, Watch

REACH_SECONDS = 120  # to reach the spool, before step 1
KEEP_SECONDS = 600  # to put the record into the spool
KEEP_UNREACHED_SECONDS = 20  # the same where the spool was never reached
REFUSED_SECONDS = 10  # for a store that is there and says no, should it only have begun to say yes
AWAY = ("store-unreachable", "store-busy")  # what may be over if one waits
PATIENCE_SECONDS = 20.0  # of one request: then it says what is wrong, and is made again
STOP_SECONDS = 25  # of the 30 that Kubernetes gives a pod that is told to end
FOLD_SECONDS = 3  # stage-out waits for it
RETRY_SECONDS = (0.2, 0.5, 1, 2, 5)  # between tries; then the last of them
FAST, SLOW = 0.05, 5.0  # seconds between looks: at first, and in a task of many hours


@dataclass
class Sidecar:
    """One execution as the sidecar sees it. fold: lands what waits in the spool, where this pod is to do so."""

    post: Post
    fold: Callable[[], object] | None = None
    _first_seen: dict[str, float] = field(default_factory=dict)

    def run(self) -> None:
        """Run until the record is durable, or as durable as can be."""
        self.post.handover.begin()
        self.post.handover.tell(STARTED, timestamp(self.post.clock.now()))
        count = oom_kills(self.post.places.kernel)
        self.post.handover.tell(OOM_KILLS, "" if count is None else str(count))
        prepare(self.post.tree)
        watch = Watch(self.post.places.root / "alive", self.post.places.state)
        self.post.at("begun")
        unreached = self._reach(watch)
        if unreached is not None:
            self.post.handover.tell(UNREACHABLE, unreached)
        self.post.handover.tell(READY)
        self.post.at("ready")
        data = self._await_record(watch)
        self.post.at("decided")
        if data is None:
            return
        problem = self._keep(data, watch, KEEP_SECONDS if unreached is None else KEEP_UNREACHED_SECONDS)
        self.post.at("kept")
        if problem is None and self.fold is not None and not watch.stopping:
            self._fold(self.fold, watch)
            self.post.at("folded")
        self.post.handover.tell(SEALED, problem or "")

    def _reach(self, watch: Watch) -> str | None:
        """Reach the spool; why it cannot be, None when it is."""
        run = self.post.execution

        def reach() -> None:
            note(
                self.post.store,
                Milestone.STARTED,
                pipeline=self.post.document.pipeline,
                run=run.run,
                run_uid=run.run_uid,
                time=self._started_at,
            )

        return self._insist(reach, watch, REACH_SECONDS)

    def _keep(self, data: bytes, watch: Watch, seconds: float) -> str | None:
        """Make the record's bytes wait in the spool; why it cannot be done, None when they do."""
        return self._insist(lambda: Spool(self.post.store).put_bytes(data), watch, seconds)

    def _fold(self, fold: Callable[[], object], watch: Watch) -> None:
        """Fold, for a short while; what did not land waits for another fold."""
        errand = watch.run_errand(fold)
        if not self._finish(errand, watch, FOLD_SECONDS):
            self.post.say(f"the record waits in the spool: the ledger took longer than {FOLD_SECONDS} s")
        elif errand.error is not None:
            self.post.say(f"the record waits in the spool: {sentence(errand.error)}")

    def _insist(self, work: Callable[[], object], watch: Watch, seconds: float) -> str | None:
        """Try until it is done, for so many seconds; why it could not be."""
        began = self.post.clock.monotonic()
        pauses, pause = iter(RETRY_SECONDS), 0.0
        problem = f"{self.post.document.artifacts} did not answer"
        while True:
            errand = watch.run_errand(work)
            if not self._finish(errand, watch, began + seconds - self.post.clock.monotonic()):
                return problem
            if errand.error is None:
                return None
            problem, pause = sentence(errand.error), next(pauses, pause)
            is_away = isinstance(errand.error, Fault) and errand.error.code in AWAY
            left = began + (seconds if is_away else min(seconds, REFUSED_SECONDS)) - self.post.clock.monotonic()
            if watch.stopping:
                left = min(left, self._stop_left(watch))
            if left <= pause:
                return problem
            self._pause(watch, pause)

    def _finish(self, errand: Errand, watch: Watch, seconds: float) -> bool:
        """Wait for an errand's end, less long when told to end; whether it ended."""
        deadline = self.post.clock.monotonic() + seconds
        while not errand.done:
            left = deadline - self.post.clock.monotonic()
            if watch.stopping:
                left = min(left, self._stop_left(watch))
            if left <= 0:
                return False
            watch.wait(min(left, 1.0))
        return True

    def _pause(self, watch: Watch, seconds: float) -> None:
        until = self.post.clock.monotonic() + seconds
        while (left := until - self.post.clock.monotonic()) > 0:
            watch.wait(left)

    def _stop_left(self, watch: Watch) -> float:
        return STOP_SECONDS - (self._since("stopping", watch.stopping) or 0.0)

    def _await_record(self, watch: Watch) -> bytes | None:
        """The record's bytes, once they are decided; None where there is nothing to record."""
        began = self.post.clock.monotonic()
        while True:
            data = self.post.handover.decided()
            if data is not None:
                return data
            sight = self._look(watch)
            verdict = judge(sight, self.post.document.timeout_seconds)
            if verdict is not None:
                if verdict.release is not None:
                    tekton.skip_after(self._run_folders[verdict.release])
                ending = verdict.ending(self._started_at, timestamp(self.post.clock.now()))
                inputs = staged_inputs(self.post.tree)
                self.post.at("judged")
                return self.post.handover.decide(
                    fix(record_of(self.post.document, self.post.execution, ending, inputs=inputs))[1]
                )
            if sight.stopping is not None and not sight.stage_in_began:
                # No step has begun: why the pod never came so far is known to those alone who stopped it.
                return None
            watch.wait(self._pace(began, sight))

    @property
    def _run_folders(self) -> dict[str, Path]:
        return {"stage-in": self.post.places.stage_in_run, "main": self.post.places.main_run}

    @property
    def _started_at(self) -> str:
        started = self.post.handover.told(STARTED)
        assert started is not None, "told at the beginning"
        return started

    def _look(self, watch: Watch) -> Sight:
        failure, told = self.post.handover.told(FAILED), self.post.handover
        staged = told.told(STAGED) is not None
        ended = tekton.ended(self.post.places.main_run)
        stage_in_gone = not staged and failure is None and told.ended("stage-in")
        return Sight(
            failure=failure,
            stage_in_began=told.began("stage-in"),
            staged=self._since("staged", staged),
            stage_in_gone=self._since("stage-in gone", stage_in_gone),
            main_skipped=self._since("main skipped", tekton.skipped(self.post.places.main_run)),
            main_gone=self._since("main gone", watch.main_gone),
            main_ended=self._since("main ended", ended),
            stage_out_began=told.began("stage-out"),
            stage_out_gone=self._since("stage-out gone", told.ended("stage-out")),
            out_of_memory=watch.main_gone and grew(told.told(OOM_KILLS), oom_kills(self.post.places.kernel)) is True,
            stopping=self._since("stopping", watch.stopping),
            exit_code=tekton.exit_code(self.post.places.main_run / "status" / "exitCode") if ended else None,
        )

    def _since(self, what: str, is_so: bool) -> float | None:
        """Seconds since it was first seen; None where it is not so."""
        if not is_so:
            return None
        now = self.post.clock.monotonic()
        return now - self._first_seen.setdefault(what, now)

    def _pace(self, began: float, sight: Sight) -> float:
        """Seconds until the next look: short at first and whenever something is about to be decided."""
        waiting = (sight.stage_in_gone, sight.main_skipped, sight.main_gone, sight.stage_out_gone)
        if any(seconds is not None for seconds in waiting) or sight.main_ended is not None:
            return 0.2
        return min(max(FAST, (self.post.clock.monotonic() - began) / 50), SLOW)
