"""Step stage-out of a pod, also of one that only evaluates gates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlgen.diagnostic import CannotAnswer
from mlgen.ledger.records.task import State, TaskRecord
from mlgen.runtime import stage_out
from mlgen.runtime.attempts.retrying import Cause
from mlgen.runtime.clock import timestamp
from mlgen.runtime.ending import (
    PRUNED,
    SIDECAR_FAILED,
    SIGNAL_EXIT_CODE,
    STEP_FAILED,
    SUCCEEDED,
    Ending,
    fix,
    is_last,
    of_pod_exit_code,
    of_timeout,
)
from mlgen.runtime.outs import sentence
from mlgen.runtime.pod import tekton
from mlgen.runtime.pod.contract import OUTCOME, Places, escape_result
from mlgen.runtime.pod.handover import MAIN_GONE, NOT_RUN, OOM_KILLS, OVERTIME, SEALED, STARTED
from mlgen.runtime.pod.invocation import GatePod
from mlgen.runtime.pod.keeping import keep as keep_all
from mlgen.runtime.pod.keeping import tell_texts
from mlgen.runtime.pod.memory import grew, oom_kills
from mlgen.runtime.pod.post import LOOK_SECONDS, Post
from mlgen.runtime.pod.record import without_outs
from mlgen.runtime.pod.results import blame, put_by_program, too_large
from mlgen.runtime.stage_in import staged_inputs
from mlgen.runtime.texts import result
from mlgen.store import Store
from mlgen.store.disk import remove

if TYPE_CHECKING:  # of tasks that are cached, and of fans
    from mlgen.runtime.cache.entries import Entry
    from mlgen.runtime.fans.model import ListDocument

SEAL_SECONDS = 900  # for the sidecar's seal, should it be there and silent; it gives up long before


def keep(post: Post) -> int:
    """Step stage-out; the exit code that it ends with: the author's, 255 for a signal.

    Raises CannotAnswer "not-kept" where outs are not what they must be, "not-recorded" where the record of the
    execution could not be made durable, or says otherwise.
    """
    handover = post.handover
    handover.begin()
    post.at("begun")
    hit = _hit(post)
    ending, staged = _made(post) if hit is None else _taken(post, hit)
    post.at("staged")
    # Before they are recorded: of a record that says COMPLETE, the next tasks have the results.
    staged = _with_results(post, ending, staged)
    post.at("results")
    tell_texts(post, staged.texts)
    kept = fix(staged.record, post.secrets.values())
    for line in kept.told:
        post.say(line)
    record, data = kept.entry, kept.data
    if handover.decide(data) != data:
        _forget_results(post)
        raise CannotAnswer("not-recorded", "the execution was recorded as ended before stage-out was done")
    handover.wake()
    post.at("decided")
    problem = _await_seal(post, data)
    if problem is not None:
        _forget_results(post)
        raise CannotAnswer("not-recorded", f"the record of this execution cannot be kept: {problem}")
    _tell_cache(post, stage_out.Staged(record, staged.texts), hit)
    if record.state is State.COMPLETE or record.reason == PRUNED or _is_borne(post, record):
        return 0
    if post.document.nodes is not None and _blames_another(post):
        raise CannotAnswer("node-failed", record.error or "")
    if ending.exit_code is None or ending.state is State.COMPLETE:
        _forget_results(post)
        raise CannotAnswer("not-kept", record.error or "")
    return ending.exit_code if ending.exit_code > 0 else SIGNAL_EXIT_CODE  # 0: told to end at its timeout, and did well


def _hit(post: Post) -> Entry | None:
    """What stage-in took from the cache."""
    if post.document.cache is None:
        return None
    from mlgen.runtime.cache.around import hit_of  # here: a plain task loads nothing of the cache, nor of fans

    return hit_of(post.document, post.tree)


def _made(post: Post) -> tuple[Ending, stage_out.Staged]:
    """What became of the author's program."""
    started_at, intruders = post.handover.told(STARTED) or timestamp(post.clock.now()), []
    if post.handover.told(NOT_RUN) is None:
        intruders = _await_main(post)
        ending = _ending(post, started_at, timestamp(post.clock.now()))
    else:  # of a rank that nobody needs
        ending = Ending(State.COMPLETE, SUCCEEDED, None, None, started_at, timestamp(post.clock.now()))
    if post.document.nodes is not None:
        from mlgen.runtime.nodes import parting  # here: nearly all tasks have one node

        ending = parting.ending_of(post, ending)
    return ending, _stage_out(post, ending, intruders)


def _blames_another(post: Post) -> bool:
    from mlgen.runtime.nodes import parting  # here: as above

    return parting.blames_another(post)


def _taken(post: Post, hit: Entry) -> tuple[Ending, stage_out.Staged]:
    """What becomes of an execution whose program did not run, as its outs were made before."""
    from mlgen.runtime.cache.around import taken  # here: see `_hit`

    now = timestamp(post.clock.now())
    started_at = post.handover.told(STARTED) or now
    inputs = staged_inputs(post.tree)
    staged = taken(post.document, post.execution, hit, inputs=inputs, started_at=started_at, ended_at=now)
    return Ending(State.COMPLETE, SUCCEEDED, None, None, started_at, now), staged


def _tell_cache(post: Post, staged: stage_out.Staged, hit: Entry | None) -> None:
    """What the cache is told, once the record is durable; a task is no worse for what it cannot be told."""
    if post.document.cache is None:
        return
    from mlgen.runtime.cache.around import keep as keep_entry  # here: see `_hit`
    from mlgen.runtime.cache.entries import settle

    try:
        if hit is not None:
            settle(post.store, hit, post.execution.run_id)
        else:
            keep_entry(post.document, post.tree, post.store, staged)
    except Exception as error:
        post.say(f"not kept for the cache: {sentence(error)}")


def evaluate(pod: GatePod, places: Places, open_store: Callable[[], Store]) -> None:
    """The only step of a pod that evaluates gates, or counts the items of a fan. Raises StagingError, Fault."""
    from mlgen.runtime.fans import counting  # here: see `_hit`
    from mlgen.runtime.fans.gathering import Gathering

    document = pod.document
    gathering = Gathering(open_store, document.pipeline, pod.run_uid)
    late = {one.name: gathering.text(one.late, one.type) for one in document.ins if one.late}
    values = {**pod.values, **{name: text for name, text in late.items() if text is not None}}

    def read(one: ListDocument) -> str | None:
        return gathering.text(one.late, one.type) if one.late else values.get(str(one.source))

    texts = stage_out.evaluate(document, values, {})
    for count in document.counts:
        texts |= counting.tell(count, read, open_store(), document.pipeline, pod.run_uid)
    for name, text in texts.items():
        (places.results / name).write_text(text)


def _is_borne(post: Post, record: TaskRecord) -> bool:
    """Whether the item of a fan that failed is one of those that its task bears: then its TaskRun ends well."""
    fan, document, run = post.document.fan, post.document, post.execution
    if fan is None or not fan.failures or not is_last(document, record):
        return False
    from mlgen.runtime.fans.gathering import failed  # here: see `_hit`

    # This one's outcome is there already: so of any two, the one that looks last sees both.
    gone = failed(post.store, document.pipeline, run.run_uid, document.task, borne=fan.failures)
    if len(gone) > fan.failures:
        return False
    _write_results(post, {OUTCOME: str(State.FAIL)})
    post.say(f"{len(gone)} of the {fan.failures} failed items that the task bears")
    return True


def _await_main(post: Post) -> list[str]:
    """Wait until nothing of main can write any more: its script can make the file for which this step waited.

    As long as the sidecar lives to tell, and main may run. What its program put where Tekton reads results: without
    a look meanwhile, its entrypoint could wait at a pipe there for as long.
    """
    found: dict[str, None] = {}

    def look() -> None:
        code_file = Path(post.pod.exit_code_file)
        found.update(dict.fromkeys(put_by_program(post.places, code_file, _result_names(post), post.pause)))

    look()
    handover, clock = post.handover, post.clock
    deadline = clock.monotonic() + post.document.timeout_seconds
    while handover.told(MAIN_GONE) is None and not handover.ended("results") and handover.decided() is None:
        if clock.monotonic() >= deadline:
            break
        post.pause(LOOK_SECONDS)
        look()
    return list(found)


def _ending(post: Post, started_at: str, ended_at: str) -> Ending:
    code = tekton.exit_code(Path(post.pod.exit_code_file))
    if post.handover.told(OVERTIME) is not None:
        return of_timeout(code, post.document.timeout_seconds, started_at, ended_at)
    if code is None:
        error = "the exit code of the program cannot be read"
        return Ending(State.FAIL, STEP_FAILED, None, error, started_at, ended_at)
    out_of_memory = grew(post.handover.told(OOM_KILLS), oom_kills(post.places.kernel))
    return of_pod_exit_code(code, started_at, ended_at, out_of_memory=out_of_memory)


def _stage_out(post: Post, ending: Ending, intruders: list[str]) -> stage_out.Staged:
    if intruders and ending.state is State.COMPLETE:
        # Tekton hands them on, or fails the pod for them, whatever is recorded.
        ending = replace(ending, state=State.FAIL, reason=STEP_FAILED, error=blame(intruders, _result_names(post)))
    try:
        staged = stage_out.stage_out(post.document, post.execution, post.tree, post.store, ending, secrets=post.secrets)
    except Exception as error:
        return _failed(post, ending, STEP_FAILED, sentence(error), Cause.INFRASTRUCTURE)
    if post.handover.ended("results"):  # Tekton fails such a pod, whatever its steps do
        return _failed(post, ending, SIDECAR_FAILED, "the results sidecar was killed")
    return staged


def _failed(post: Post, ending: Ending, reason: str, error: str, cause: Cause | None = None) -> stage_out.Staged:
    """An execution that fails for another reason than its program; one whose program failed goes on saying so."""
    if ending.state is State.COMPLETE:
        ending = replace(ending, state=State.FAIL, reason=reason, error=error, cause=cause)
    return stage_out.Staged(without_outs(post, ending), {})


def _with_results(post: Post, ending: Ending, staged: stage_out.Staged) -> stage_out.Staged:
    """What became of an execution, with its results written, or failed because they cannot be."""
    document = post.document
    optional = {out.name: out.optional for out in document.outs}
    texts = {
        name: escape_result(result(text, optional=optional.get(name, False))) for name, text in staged.texts.items()
    }
    if staged.record.state is State.COMPLETE:
        if document.fan is not None:
            texts = {OUTCOME: str(State.COMPLETE)}
        try:
            texts |= _counts(post, staged)
        except Exception as error:
            texts, staged = {}, _failed(post, ending, STEP_FAILED, sentence(error))
    elif staged.record.reason == PRUNED:
        texts = {OUTCOME: str(State.ABORT)}
    problem = too_large(texts)
    if problem is not None:
        texts, staged = {}, _failed(post, ending, STEP_FAILED, problem)
    try:
        _write_results(post, texts)
    except OSError as error:
        problem = f"the results cannot be written: {sentence(error)}"
        return _failed(post, ending, STEP_FAILED, problem, Cause.INFRASTRUCTURE)
    return staged


def _counts(post: Post, staged: stage_out.Staged) -> dict[str, str]:
    """The results that say how many items the fans have that go through a list of this task. Raises StagingError."""
    if not post.document.counts:
        return {}
    from mlgen.runtime.fans import counting  # here: see `_hit`

    document, own = post.document, {f"{post.document.task}.{name}": text for name, text in staged.texts.items()}
    found: dict[str, str] = {}
    for count in document.counts:
        found |= counting.tell(
            count, lambda one: own.get(str(one.source)), post.store, document.pipeline, post.execution.run_uid
        )
    return found


def _forget_results(post: Post) -> None:
    """Leave no results of an execution that failed after all; Tekton hands on what a failed task wrote."""
    with suppress(OSError):
        _write_results(post, {})


def _write_results(post: Post, texts: Mapping[str, str]) -> None:
    """Write a file for each text, and take away all others that Tekton would read."""
    for name in _result_names(post):
        path = post.places.results / name
        remove(path)
        if name in texts:
            with path.open("x", newline="") as file:  # "x": what comes there meanwhile, as a link, is not written to
                file.write(texts[name])


def _result_names(post: Post) -> list[str]:
    document = post.document
    if document.fan is not None:
        return [OUTCOME]
    names = [*(out.name for out in document.outs), *(f"if-{e.index}" for e in document.evaluates)]
    if document.counts:
        from mlgen.runtime.fans import counting  # here: see `_hit`

        for count in document.counts:
            names += counting.names(count.index, square=count.square).all
    return names


def _await_seal(post: Post, data: bytes) -> str | None:
    """Wait until the record is durable; why it could not be made so."""
    sealed = post.hear(SEALED, SEAL_SECONDS)
    if sealed is not None:
        return sealed or None
    from mlgen.runtime.attempts.next_attempt import tell_next  # here: else the sidecar does it

    # The sidecar was killed. The same bytes have the same key, so that it does not matter whether it had put them.
    try:
        keep_all(post, data)
        if post.rank == 0:
            tell_next(post, data)
    except Exception as error:
        return sentence(error)
    return None
