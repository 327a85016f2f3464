"""The results sidecar: there before step 1, it sees how the execution ends and makes its record durable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from mlgen.runtime.clock import timestamp
from mlgen.runtime.ending import check_recordable, fix
from mlgen.runtime.outs import sentence
from mlgen.runtime.pod import tekton
from mlgen.runtime.pod.handover import (
    CALLED_OFF,
    FAILED,
    MAIN_AT,
    MAIN_GONE,
    OOM_KILLS,
    READY,
    REFUSED,
    SEALED,
    STAGED,
    STARTED,
    UNREACHABLE,
)
from mlgen.runtime.pod.keeping import keep
from mlgen.runtime.pod.memory import grew, oom_kills
from mlgen.runtime.pod.milestone import Milestone, note
from mlgen.runtime.pod.post import Post
from mlgen.runtime.pod.record import without_outs
from mlgen.runtime.pod.verdict import Sight, Verdict, judge
from mlgen.runtime.pod.watch import Watch
from mlgen.runtime.stage_in import prepare

if TYPE_CHECKING:  # of tasks with a policy of retries, of trials, and of several nodes
    from mlgen.runtime.attempts.next_attempt import NextAttempt
    from mlgen.runtime.attempts.notes import Refused
    from mlgen.runtime.fans.trials import Watcher
    from mlgen.runtime.nodes.member import Member
    from mlgen.runtime.pod.overtime import Overtime

REACH_SECONDS = 120  # to reach the spool, before step 1
KEEP_SECONDS = 600  # to put the record into the spool
KEEP_UNREACHED_SECONDS = 20  # the same where the spool was never reached
PATIENCE_SECONDS = 20.0  # of one request: then it says what is wrong, and is made again
PART_SECONDS = 60  # to tell the other nodes of an end
FOLD_SECONDS = 3  # stage-out waits for it
FAST_SECONDS, SLOW_SECONDS = 0.05, 5.0  # between looks: when something has just happened, and when nothing does
TRIAL_SECONDS = 1.0  # at most, where a trial may have to be stopped


@dataclass
class Sidecar:
    """One execution as the sidecar sees it. fold: lands what waits in the spool, where this pod is to do so."""

    post: Post
    fold: Callable[[], object] | None = None
    _first_seen: dict[str, float] = field(default_factory=dict)
    _followed: set[str] = field(default_factory=set)
    _next: NextAttempt | None = None
    _member: Member | None = None  # of a task on several nodes
    _overtime: Overtime | None = None  # of an item whose failure may be borne
    _release: str | None = None  # a step that died with its entrypoint
    _watcher: Watcher | None = None  # of a search's trial, once its program may run

    def run(self) -> None:
        """Run until the record is durable, or as durable as can be. Again after a kill: what was told stays told.

        Raises CannotAnswer "bad-invocation"; stage-in then brings nothing.
        """
        post, handover = self.post, self.post.handover
        handover.begin()
        now = timestamp(post.clock.now())
        check_recordable(post.document, post.execution, now)
        handover.tell(STARTED, now)
        count = oom_kills(post.places.kernel)
        handover.tell(OOM_KILLS, "" if count is None else str(count))
        prepare(post.tree, checkpoint=post.document.checkpoint is not None)
        if post.document.nodes is not None:
            from mlgen.runtime.nodes.member import Member  # here: nearly all tasks have one node

            self._member = Member(post, post.pod.address)
        elif post.document.fan is not None and post.document.fan.failures:
            from mlgen.runtime.pod.overtime import Overtime  # here: of tasks that bear failures alone

            self._overtime = Overtime(post)
        watch = Watch(post.places.root / "alive", post.places.state, post.clock)
        post.at("begun")
        unreached = watch.insist(self._note_start, REACH_SECONDS)
        if unreached is not None:
            handover.tell(UNREACHABLE, unreached)
        handover.tell(READY)
        post.at("ready")
        if post.rank == 0 and (post.document.retry or post.document.checkpoint):
            from mlgen.runtime.attempts.next_attempt import NextAttempt  # here: a plain task tells the next one nothing

            self._next = NextAttempt(post)
        record = self._await_record(watch)
        post.at("decided")
        if record is None:
            return
        keep_seconds = KEEP_SECONDS if unreached is None else KEEP_UNREACHED_SECONDS
        problem = watch.insist(lambda: keep(post, record), keep_seconds)
        post.at("kept")
        self._part(watch, record, kept=problem is None)
        if self._next is not None:
            self._next.conclude(watch, record, lambda: self._main_is_gone(watch))
            self._let_go()  # only now: the next attempt begins as soon as this pod's steps have ended
        if problem is None and not watch.stopping:
            self._fold(watch)
            post.at("folded")
        handover.tell(SEALED, problem or "")

    def _part(self, watch: Watch, record: bytes, *, kept: bool) -> None:
        """Have the other nodes know how this one ended. kept: whether its record is durable."""
        if self._member is None:
            return
        problem = watch.insist(partial(self._member.tell_end, record), PART_SECONDS)
        if problem is None and kept:
            problem = watch.insist(partial(self._member.tell_kept, record), PART_SECONDS)
        if problem is not None:
            self.post.say(f"the other nodes do not know how this one ended: {problem}")

    def _note_start(self) -> None:
        run, pipeline = self.post.execution, self.post.document.pipeline
        where = partial(note, self.post.store, Milestone.STARTED, pipeline=pipeline)
        where(run=run.run, run_uid=run.run_uid, time=self._started_at)

    def _fold(self, watch: Watch) -> None:
        """Fold, for a short while; what did not land waits for another fold."""
        if self.fold is None:
            return
        errand = watch.attempt(self.fold, FOLD_SECONDS)
        if not errand.done:
            self.post.say(f"the record waits in the spool: the ledger took longer than {FOLD_SECONDS} s")
        elif errand.error is not None:
            self.post.say(f"the record waits in the spool: {sentence(errand.error)}")

    def _await_record(self, watch: Watch) -> bytes | None:
        """The record's bytes, once they are decided; None where there is nothing to record."""
        while True:
            record = self.post.handover.decided()
            if record is not None:
                return record
            for step in ("stage-in", "stage-out"):
                self._follow(step, watch)
            sight = self._look(watch)
            self._look_at_trial(sight)
            nodes = self.post.document.nodes
            count = nodes.count if nodes is not None else 1
            verdict = judge(sight, self.post.document.timeout_seconds, rank=self.post.rank, count=count)
            if verdict is not None:
                self.post.at("judged")
                return self._decide(verdict)
            if sight.stopping is not None and not sight.stage_in_began:
                # No step has begun: why the pod never came so far is known to those alone who stopped it.
                return None
            pace = self._pace()
            if self._watcher is not None and not self._watcher.stopped:
                pace = min(pace, TRIAL_SECONDS)
            if self._member is not None:
                self._member.follow(watch)
                pace = self._member.patience(pace)
            if self._overtime is not None:
                self._overtime.follow(watch, sight)
                pace = self._overtime.patience(pace)
            if self._next is None:
                watch.wait(pace)
                continue
            self._next.follow(watch, staged=sight.staged is not None)
            watch.wait(self._next.patience(pace))

    def _main_is_gone(self, watch: Watch) -> bool:
        run = self.post.places.main_run
        return watch.main_gone or tekton.ended(run) or tekton.skipped(run)

    def _look_at_trial(self, sight: Sight) -> None:
        """Tell a search's trial to stop, once it should."""
        execution, fan = self.post.execution, self.post.document.fan
        if fan is None or fan.search is None or fan.search.prune is None or sight.staged is None:
            return
        assert execution.item is not None, "of a search"
        if self._watcher is None:
            from mlgen.runtime.fans import trials  # here: of searches alone
            from mlgen.runtime.fans.trials import Watcher

            tree = self.post.tree
            self._watcher = Watcher(fan.search, execution.item.index, trials.kept_earlier(tree), tree)
        self._watcher.look()

    def _follow(self, step: str, watch: Watch) -> None:
        """Be woken by the end of a step of ours: where it was killed, Tekton may stop the pod within two seconds."""
        if step not in self._followed and self.post.handover.began(step):
            self._followed.add(step)
            watch.beside(partial(self.post.handover.await_end, step))

    def _let_go(self) -> None:
        """Have the steps skipped that wait for one that died."""
        if self._release is not None:
            places = self.post.places
            tekton.skip_after({"stage-in": places.stage_in_run, "main": places.main_run}[self._release])

    def _decide(self, verdict: Verdict) -> bytes:
        post = self.post
        self._release = verdict.release
        if self._next is None:
            self._let_go()
        ending = verdict.ending(self._started_at, timestamp(post.clock.now()))
        return post.handover.decide(fix(without_outs(post, ending), post.secrets.values()).data)

    @property
    def _started_at(self) -> str:
        started = self.post.handover.told(STARTED)
        assert started is not None, "told at the beginning"
        return started

    def _look(self, watch: Watch) -> Sight:
        handover, places = self.post.handover, self.post.places
        failure = handover.told(FAILED)
        called_off = handover.told(CALLED_OFF)
        staged = handover.told(STAGED) is not None
        ended = tekton.ended(places.main_run)
        if self._member is not None and (ended or watch.main_gone):
            handover.tell(MAIN_AT, timestamp(self.post.clock.now()))
        group = self._member.group if self._member is not None else None
        if ended and not tekton.skipped(places.main_run) and not watch.main_held:
            handover.tell(MAIN_GONE)
        refused = handover.told(REFUSED)
        untold = not staged and failure is None and called_off is None and refused is None
        memory_was_short = grew(handover.told(OOM_KILLS), oom_kills(places.kernel)) if watch.main_gone else None
        return Sight(
            failure=failure,
            called_off=called_off,
            refused=_refused(refused) if refused is not None else None,
            stage_in_began=handover.began("stage-in"),
            staged=self._since("staged", staged),
            stage_in_gone=self._since("stage-in gone", untold and handover.ended("stage-in")),
            main_skipped=self._since("main skipped", tekton.skipped(places.main_run)),
            main_gone=self._since("main gone", watch.main_gone),
            main_ended=self._since("main ended", ended),
            stage_out_began=handover.began("stage-out"),
            stage_out_gone=self._since("stage-out gone", handover.ended("stage-out")),
            group=group,
            grouped=self._since("grouped", group is not None),
            out_of_memory=memory_was_short is True,
            stopping=self._since("stopping", watch.stopping),
            exit_code=self._exit_code() if ended else None,
        )

    def _exit_code(self) -> int | None:
        run = self.post.places.main_run
        return tekton.exit_code(run / "status" / "exitCode", beneath=run)

    def _since(self, what: str, is_so: bool) -> float | None:
        """Seconds since it was first seen; None where it is not so."""
        if not is_so:
            return None
        now = self.post.clock.monotonic()
        return now - self._first_seen.setdefault(what, now)

    def _pace(self) -> float:
        """Seconds until the next look: a part of the time for which nothing new was seen.

        So a task of many hours is looked at some thousand times, and every grace in `verdict` many times.
        """
        news = max(self._first_seen.values(), default=None)
        if news is None:
            news = self._first_seen.setdefault("the pod", self.post.clock.monotonic())
        return min(max(FAST_SECONDS, (self.post.clock.monotonic() - news) / 20), SLOW_SECONDS)


def _refused(text: str) -> Refused:
    from mlgen.runtime.attempts.notes import Refused  # here: stage-in refuses only where a spec has a policy

    return Refused.from_text(text)
