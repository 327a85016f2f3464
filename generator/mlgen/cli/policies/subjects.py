"""What policies judge: the objects that plans render to in an environment, as plain data, and the Pods made of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from mlgen.plan.model import Plan
from mlgen.policy import pods
from mlgen.policy.containers import Images
from mlgen.render.argocd import namespace_of
from mlgen.render.cronjob import cron_manifests
from mlgen.render.fans import Pieces
from mlgen.render.limits import check_limits
from mlgen.render.manifests import manifests, one_task
from mlgen.render.published import published_manifests
from mlgen.render.secrets import secret_manifests
from mlgen.render.starts import start_manifests
from mlgen.render.triggered import listener_manifests
from mlgen.spec.model import Pipeline
from mlgen.spec.project import Environment

Data = dict[str, Any]
Rendered = list[tuple[Data, str | None]]  # objects, each with whose Task it is


@dataclass(frozen=True, slots=True)
class Subject:
    """An object that is judged, and what it is made from. task: whose Task or Pod it is. attempt: of a Pod."""

    environment: Environment
    data: Data
    plan: Plan | None = None
    pipeline: Pipeline | None = None
    task: str | None = None
    attempt: int = 0

    @property
    def kind(self) -> str:
        return str(self.data["kind"])

    @property
    def name(self) -> str:
        metadata = self.data["metadata"]
        return f"{self.kind} {metadata.get('name') or metadata['generateName']}"


def namespace(environment: Environment) -> Data:
    """The Namespace of an environment, as the API server has it."""
    made = Plain()(namespace_of(environment))
    made["metadata"]["labels"]["kubernetes.io/metadata.name"] = environment.namespace
    return cast("Data", made)


def of_environment(plans: Iterable[Plan], environment: Environment, known: Iterable[Environment]) -> list[Data]:
    """The objects of an environment that are of no one pipeline, and the pods of its jobs.

    known: all environments of the project.
    """
    made = [
        *cron_manifests(environment, known),
        *secret_manifests(environment),
        *listener_manifests(environment),
        *published_manifests(plans, environment),
    ]
    objects = [Plain()(one.data) for one in made]
    return [*objects, *(pods.pod_of_job(one) for one in objects if one["kind"] in ("CronJob", "Job"))]


def rendered(plan: Plan, environment: Environment) -> Rendered:
    """The objects of a plan as plain data, each with whose Task it is, and the pods that start it at its times."""
    plain = Plain()
    found = [(plain(m.data), m.task) for m in (*manifests(plan, environment), *start_manifests(plan, environment))]
    jobs = [one for one, _ in found if one["kind"] == "CronJob"]
    for one, _ in found:
        if one["kind"] == "Trigger":
            jobs += one["spec"]["template"]["spec"]["resourcetemplates"]
    return [*found, *((pods.pod_of_job(one), None) for one in jobs)]


def rendered_task(plan: Plan, environment: Environment, task: str | None) -> Data | None:
    """One Task of a plan, as `rendered` has it."""
    found = one_task(plan, environment, task)
    return None if found is None else Plain()(found)


class Plain:
    """Rendered data as plain dicts, which is what expressions know; the parts that many objects share, once."""

    def __init__(self) -> None:
        self._shared: dict[int, tuple[object, object]] = {}

    def __call__(self, data: Any) -> Any:
        kind = type(data)
        if kind is dict:
            return {key: value if type(value) is str else self(value) for key, value in data.items()}
        if kind is list or kind is tuple:
            return [value if type(value) is str else self(value) for value in data]
        if isinstance(data, dict):
            known = self._shared.get(id(data))
            if known is None:
                known = self._shared[id(data)] = (data, self(dict(data)))  # the original, so that its id stays its own
            return known[1]
        return data


def pods_of(objects: Rendered, images: Images) -> Iterator[pods.Projected]:
    """The pods of a run. images: Tekton's own, in the cluster that is meant."""
    of_kind: dict[str, list[Data]] = {}
    for data, _ in objects:
        of_kind.setdefault(str(data["kind"]), []).append(data)
    return pods.pods(of_kind["Pipeline"][0], of_kind["Task"], of_kind["PipelineRun"][0], images)


def subjects(plan: Plan, pipeline: Pipeline, environment: Environment, images: Images) -> Iterator[Subject]:
    if check_limits(plan, environment):
        return
    objects = rendered(plan, environment)
    for data, task in objects:
        yield Subject(environment, data, plan, pipeline, task)
    owner = Pieces(plan).owner
    for one in pods_of(objects, images):
        yield Subject(environment, one.pod, plan, pipeline, owner(one.task), one.attempt)


# Whose words are taken, where several break one rule.
_KINDS = ("Task", "Pipeline", "PipelineRun", "CronJob", "Job", "Pod")


def rank(subject: Subject) -> int:
    return _KINDS.index(subject.kind) if subject.kind in _KINDS else len(_KINDS)


def same(one: Data, other: Data) -> bool:
    """Whether two objects of an environment are the same one, rendered twice: a Job's name tells what it asks for."""
    names = [str(data["metadata"]["name"]).rsplit("-", 1)[0] for data in (one, other)]
    return one["kind"] == other["kind"] and (one["kind"] != "Pod" or names[0].split("-")[:2] == names[1].split("-")[:2])
