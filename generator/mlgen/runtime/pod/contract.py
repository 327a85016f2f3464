"""The contract between a rendered Task and the programs of ours in its pod: folders, variables, arguments.

A Task names no run. What one run decides reaches `mlgen-runtime` in these ways, the same for stage-in, stage-out and
the results sidecar; record has those that are marked, a gate's pod MLGEN_TASK alone:

    MLGEN_TASK *              the TaskDocument, canonical JSON
    MLGEN_RUN, _RUN_UID *     name and uid of the PipelineRun
    MLGEN_TASK_RUN, _TASK_RUN_UID, _NAMESPACE, _POD, _POD_UID
                              who executes; the attempt is the N of "-pod-retryN" at the end of MLGEN_POD, else 0
    MLGEN_SPEC_DIGEST, _PLAN_DIGEST, _SOURCE, _COMMIT, _REPOSITORY *
                              annotations mlgen.dev/{spec-digest,plan-digest,source,commit,repository} of the
                              PipelineRun, which Tekton copies to the pod; empty where the run has none
    MLGEN_IN_<name>           the text of an artifact in (`runtime.texts`); values go to main alone, but for tasks that
                              are cached, whose key they are part of, or have a checkpoint
    MLGEN_RUN_FILE, _NO_CACHE stage-in of a task that is cached: where it writes whether main is to run; and the
                              PipelineRun's annotation mlgen.dev/no-cache
    MLGEN_INDEX, _ROW         of a fan's items: the item's number, of which _ROW counts the sixteens
    MLGEN_RESUMES             record, and stage-in of a task with a checkpoint: the PipelineRun's annotation
                              mlgen.dev/resumes, the uid of the run that it takes up, then those of the runs that this
                              took up in turn, with commas between; empty where it takes up none
    MLGEN_RANK                of a task on several nodes: which of the others than rank 0 this pod is
    MLGEN_POD_ADDRESS         results of such a task: the pod's own address
    MLGEN_EXIT_CODE_FILE      stage-out: Tekton writes main's exit code there
    MLGEN_DOLLAR              main that reads values of other tasks, and a gate's pod: see `escape_result`
    MLGEN_SECRET_<VARIABLE>   stage-out and results: the text of each secret of main, which no record may hold; not
                              set where the secret is not there, as main's container cannot start then
    MLGEN_LABELS, _OWNER      record: JSON of the labels that people gave the run, of the PipelineRun's annotation
                              mlgen.dev/labels; and its label mlgen.dev/owner; empty where the run has none
    MLGEN_RUN_STATUS, _TASKS  record, and main of a finally task: Succeeded Failed Completed None, and JSON
                              {task: {status, reason}} of all tasks; where Tekton has a fan as several tasks, _TASKS
                              goes to stage-in, which tells main's script by a file what became of the whole
    AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY *
                              of the environment's `s3.secret`, where it has one
    MLGEN_BUCKET_<i>_AWS_…    stage-in of a task that reads inputs: of the i-th of `Platform.buckets`

The program is `mlgen-runtime VERB VALUE…`, each VALUE a param of the run, or for a gate's pod what its gates read,
written by `value` below; of an item also its variables as `item.<name>`, or the lists that it comes from. A gate's pod
runs `stage-out` with a document whose `image` is null: it evaluates, writes its results, and neither seals nor records.

The sidecar also sees the folders in which Tekton's entrypoint tells how stage-in and main ended. What the three
programs tell each other is in `runtime.pod.handover`.

Kubernetes expands `$(NAME)` in variables and arguments and makes `$$` a `$`, so that every `$` of an author is doubled
on its way in (`escape`): by the renderer in what it writes, by `mlgen run --env` in params. No such text may hold what
Tekton replaces, which `check` and `mlgen run` refuse; results may, and stage-out writes them so that Tekton sees none
of it (`escape_result`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlgen.ledger.records.fields import RUN_ID
from mlgen.values import Type

OUTCOME = "outcome"  # the one result of a fan's item: its record's state; FAIL of a TaskRun that ended well
RUN, HIT = "run", "hit"  # results of stage-in and of a lookup's pod: whether main is to run; whether there was a hit
WHEN = (
    "when:"  # before an argument of a lookup's pod: what its task's gate says, "true" or "false", or a gate over params
)

ROOT = "/mlgen"  # Tree.root: all containers
STATE = "/mlgen-state"  # Tree.state: ours only
END = f"{ROOT}/end"  # FIFO that the sidecar of a task on several nodes, or that bears failures, writes: it ends main
ALIVE = f"{ROOT}/alive"  # FIFO that the sidecar makes and reads, held open while the container of a script lives
STAGE_IN_RUN = "/mlgen-stage-in"  # Tekton's run folder of step stage-in, in the sidecar
MAIN_RUN = "/mlgen-main"  # the same of step main: out, out.err, status/exitCode
LEDGER_SECRET = "/mlgen-secrets/ledger"  # files of the environment's `ledger.secret`, if any, where a pod may fold
RESULTS = "/tekton/results"  # a file for each out and each `if-<n>`, written by stage-out
ITEM = "item"  # before the name of a fan's variable, among the values
RANK = "MLGEN_RANK"  # variable: of a task on several nodes, which of the others than rank 0
ADDRESS = "MLGEN_POD_ADDRESS"  # variable: the pod's own address
OVERTIME_SECONDS = 30  # between a timeout that the sidecar minds and that of the step: ten to end, ten until a kill
SECRET = "MLGEN_SECRET_"  # before the name of main's variable
ARTIFACTS = "/tekton/artifacts"  # of Tekton's artifacts, which mlgen does not use


# A user that no passwd entry names has none of these, and getpass, pip or torch fail without.
HOME: dict[str, str] = {
    "HOME": f"{ROOT}/home",
    "USER": "mlgen",
    "LOGNAME": "mlgen",
    "TMPDIR": f"{ROOT}/tmp",
    "XDG_CACHE_HOME": f"{ROOT}/home/.cache",
}


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are in a pod, as our containers see them."""

    root: Path = Path(ROOT)
    state: Path = Path(STATE)
    stage_in_run: Path = Path(STAGE_IN_RUN)
    main_run: Path = Path(MAIN_RUN)
    results: Path = Path(RESULTS)
    ledger_secret: Path = Path(LEDGER_SECRET)
    kernel: Path = Path("/proc/vmstat")
    artifacts: Path = Path(ARTIFACTS)


def resumed_by(annotation: str) -> tuple[str, ...]:
    """The uids that an annotation mlgen.dev/resumes names; none where it is not as mlgen writes it."""
    uids = tuple(annotation.split(","))
    return uids if all(map(RUN_ID.fullmatch, uids)) else ()


def escape(text: str) -> str:
    """The text as Kubernetes must be given it in a variable, command or argument, to arrive unchanged.

    Source: k8s.io/kubernetes third_party/forked/golang/expansion.
    """
    return text.replace("$", "$$")


DOLLAR = "MLGEN_DOLLAR"  # a variable that holds one `$`: the first of each container whose params are results


def escape_result(text: str) -> str:
    """The text of a result as it must be written, to arrive unchanged where another task has it as a param.

    Tekton fills params in first and only then its other variables, so that it would take `$$(context.taskRun.name)`
    of a param for one of those. It knows no variable called DOLLAR; Kubernetes expands that one, and looks at
    what comes of it no more.

    Source: tektoncd/pipeline pkg/reconciler/taskrun/taskrun.go, createPod; tried on 1.15.
    """
    return escape(text).replace("$$(", f"$({DOLLAR})(")


_ESCAPED = re.compile(rf"\$(?:\$|\({DOLLAR}\))")


def unescape(text: str) -> str:
    """What Kubernetes makes of a text in a pod: the inverse of `escape` and of `escape_result`."""
    return _ESCAPED.sub("$", text)


# Tekton checks a Pipeline once more with its params filled in, and takes any `$(name)` in one for a variable that it
# does not know, also `$(MLGEN_DOLLAR)`: the run fails in the middle. What names something in brackets passes, and is
# replaced where the Task has it. So no param may hold either (results may; literals stand in Tasks).
# Source: tektoncd/pipeline pkg/apis/pipeline/v1/pipeline_validation.go, validateVarSubstitutionExpressions, and
# pkg/reconciler/taskrun/resources/apply.go; tried on 1.15.
NOT_IN_PARAMS = re.compile(r"\$\((?:[_a-zA-Z0-9.-]+(?:\[(?:[0-9]+|\*)\])?\)|(?:[a-z]+\.)?(?:params|results)\[[\"'])")


def value(ref: str, type_: Type, text: str, *, optional: bool = False) -> str:
    """One argument: what `ref` ("params.x" or "task.out") is in this run.

    text: as a result or param holds it: of an optional out empty when unwritten, else "+" and the text.
    """
    return f"{ref}:{type_}{'?' if optional else ''}={text}"


_VALUE = re.compile(r"(?P<ref>[a-z0-9-]+\.[a-z0-9_]+):(?P<type>[a-z]+)(?P<optional>\??)=(?P<text>.*)", re.DOTALL)


def read_value(argument: str) -> tuple[str, Type, str, bool]:
    """(ref, type, text, optional): the inverse of `value`. Raises ValueError."""
    match = _VALUE.fullmatch(argument)
    if not match:
        raise ValueError(f'"{argument[:80]}" is not of the form ref:type=text')
    return match["ref"], Type(match["type"]), match["text"], bool(match["optional"])


@dataclass(frozen=True, slots=True)
class Bucket:
    """How a bucket is reached; None: as its provider has it. secret: name of the Secret with its keys, for errors."""

    endpoint: str | None = None
    region: str | None = None
    secret: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {"endpoint": self.endpoint, "region": self.region, "secret": self.secret}

    @staticmethod
    def from_json(data: dict[str, Any]) -> Bucket:
        return Bucket(data["endpoint"], data["region"], data["secret"])


@dataclass(frozen=True, slots=True)
class Fold:
    """The ledger that a pod may fold into, and how old the branch's last fold must be for that.

    secret: the name of the Secret whose files lie at LEDGER_SECRET, for errors; None: the ledger needs none.
    """

    url: str
    branch: str
    interval_seconds: int
    secret: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "url": self.url,
            "branch": self.branch,
            "intervalSeconds": self.interval_seconds,
            "secret": self.secret,
        }

    @staticmethod
    def from_json(data: dict[str, Any]) -> Fold:
        return Fold(data["url"], data["branch"], data["intervalSeconds"], data["secret"])


@dataclass(frozen=True, slots=True)
class Platform:
    """What a pod must know of its environment besides `artifacts`.

    s3: where artifacts lie, if in s3. buckets: name -> where inputs lie elsewhere, by name. fold None: spool only.
    """

    s3: Bucket = Bucket()
    buckets: tuple[tuple[str, Bucket], ...] = ()
    fold: Fold | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "s3": self.s3.to_json(),
            "buckets": {name: bucket.to_json() for name, bucket in self.buckets},
            "fold": self.fold.to_json() if self.fold else None,
        }

    @staticmethod
    def from_json(data: dict[str, Any]) -> Platform:
        buckets = tuple((name, Bucket.from_json(bucket)) for name, bucket in sorted(data["buckets"].items()))
        return Platform(Bucket.from_json(data["s3"]), buckets, Fold.from_json(data["fold"]) if data["fold"] else None)
