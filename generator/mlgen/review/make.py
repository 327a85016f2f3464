"""Two sides → what changed between them, all in one place, for the writers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mlgen.plan.model import Plan
from mlgen.render.argocd import CLUSTER_FOLDER as CLUSTER
from mlgen.render.argocd import FOLDER as ARGOCD
from mlgen.render.limits import Problem, check_limits
from mlgen.review.amounts import Amount, amounts
from mlgen.review.change import Change, Effect, Kind, Sentence, rank, worst
from mlgen.review.files import lock_changes, source_changes
from mlgen.review.inflight import in_flight, secrets_of, secrets_of_plan
from mlgen.review.names import with_names
from mlgen.review.objects import Action, ObjectChange, Pair, State, compare_objects
from mlgen.review.picture import Picture, picture
from mlgen.review.pipelines import PipelineReview, compare
from mlgen.review.project import environment_changes, project_changes
from mlgen.review.renames import renamed_pipelines
from mlgen.review.tasks import Listing
from mlgen.spec.project import Environment, Project


@dataclass(frozen=True, slots=True)
class Side:
    """A state of a project. plans: by name; those that are equal on both sides may be left out of both.

    label: what it is called. code: the files of folders. broken: specs that cannot be planned. commit: the id of the
    one that it is read from; None: the work tree. folder: of the project, below its repository's top. sources: of
    mlgen.lock, name -> ref and commit.
    """

    label: str
    project: Project
    plans: Mapping[str, Plan]
    code: Listing
    lock: Mapping[str, str] = field(default_factory=dict)
    broken: tuple[str, ...] = ()
    commit: str | None = None
    folder: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)

    def state(self, name: str) -> State | None:
        """An environment that is rendered, by its name."""
        found = self.project.environment(name)
        return State(found, self.project, self.folder) if found is not None and found.namespace is not None else None


@dataclass(frozen=True, slots=True)
class EnvironmentReview:
    """What becomes of an environment. was: its name before, which is another where two environments are compared.

    publish: whether code or files of the repository are pinned that were not before.
    """

    name: str
    was: str
    objects: tuple[ObjectChange, ...]
    actions: tuple[Action, ...]
    in_flight: tuple[Sentence, ...]
    publish: bool


@dataclass(frozen=True, slots=True)
class Part:
    """The comparison of two sides, for the environments that are read there; most reviews have one."""

    before: str
    after: str
    commits: tuple[str | None, str | None]
    names: tuple[str, ...]
    pipelines: tuple[PipelineReview, ...]
    amounts: Mapping[str, tuple[Amount, ...]]
    pictures: Mapping[str, Picture]
    lock: tuple[Change, ...]
    environments: tuple[EnvironmentReview, ...]
    problems: tuple[tuple[Plan, Problem], ...]
    broken_before: tuple[str, ...]
    notes: tuple[Sentence, ...] = ()


@dataclass(frozen=True, slots=True)
class Review:
    """All that is told. project: of mlgen.yaml. policies: of policies/.

    settings: what two environments have otherwise in it, and is no change of either.
    """

    parts: tuple[Part, ...]
    project: tuple[Change, ...]
    policies: tuple[Change, ...]
    notes: tuple[Sentence, ...] = ()
    settings: tuple[Change, ...] = ()

    @property
    def changes(self) -> tuple[Change, ...]:
        """Every change, of whatever."""
        found = [change for part in self.parts for one in part.pipelines for change in one.changes]
        return (*self.project, *self.policies, *found, *(change for part in self.parts for change in part.lock))

    @property
    def effect(self) -> Effect:
        return worst(self.changes)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is otherwise, objects included."""
        return not self.changes and not any(e.objects for part in self.parts for e in part.environments)


def make_part(before: Side, after: Side, names: Sequence[tuple[str, str]]) -> Part:
    """The comparison of two sides. names: of the environments: before, after; the same unless two are compared."""
    pairs = _pairs(before.plans, after.plans)
    reviews = [compare(old, new, before.code, after.code) for old, new in pairs]
    told = [review for review in reviews if review.changes or review.kind is not Kind.CHANGED]
    told.sort(key=lambda review: (rank(review.effect), review.name))
    every: list[Pair] = [(r.before, r.after, dict(r.task_names)) for r in reviews]
    environments, problems = [], list[tuple[Plan, Problem]]()
    for was, name in names:
        found, wrong = _environment(before, after, was, name, every)
        problems += wrong
        if found is not None:
            environments.append(found)
    pictures = {review.name: drawn for review in told if (drawn := picture(review)) is not None}
    return Part(
        before.label,
        after.label,
        (before.commit, after.commit),
        tuple(name for _, name in names),
        tuple(told),
        {review.name: taken for review in told if (taken := _amounts(review))},
        pictures,
        (
            *lock_changes(before.lock, after.lock, after.plans.values()),
            *source_changes(before.sources, after.sources),
        ),
        tuple(environments),
        tuple(problems),
        before.broken,
        tuple(_notes(before, after, names, environments)),
    )


def _pairs(old: Mapping[str, Plan], new: Mapping[str, Plan]) -> list[tuple[Plan | None, Plan | None]]:
    gone = {name: plan for name, plan in old.items() if name not in new}
    come = {name: plan for name, plan in new.items() if name not in old}
    renamed = renamed_pipelines(gone, come)
    found: list[tuple[Plan | None, Plan | None]] = [
        (old.get(renamed.get(name, name)), plan) for name, plan in sorted(new.items())
    ]
    return found + [(plan, None) for name, plan in sorted(gone.items()) if name not in renamed.values()]


def _amounts(review: PipelineReview) -> tuple[Amount, ...]:
    names = {was: now for now, was in review.task_names}
    return amounts(with_names(review.before, names) if review.before else None, review.after)


def _environment(
    before: Side, after: Side, was: str, name: str, pairs: Sequence[Pair]
) -> tuple[EnvironmentReview | None, tuple[tuple[Plan, Problem], ...]]:
    old, new = before.state(was), after.state(name)
    if old is None and new is None:
        return None, ()
    found = compare_objects(old, new, pairs)
    if not found.changes:
        return None, found.problems
    environments = (old.environment if old else None, new.environment if new else None)
    told = in_flight(*environments, pairs, found.actions) if was == name else ()
    actions = found.actions if was == name else ()
    review = EnvironmentReview(name, was, found.changes, actions, tuple(told), _publishes(*environments, pairs))
    return review, found.problems


def _notes(
    before: Side, after: Side, names: Sequence[tuple[str, str]], environments: Sequence[EnvironmentReview]
) -> Iterator[Sentence]:
    """What people have to do that no sync does."""
    for was, name in names:
        new = after.state(name)
        if new is not None and before.state(was) is None:
            secrets = sorted(secrets_of(new.environment).union(*map(secrets_of_plan, after.plans.values())))
            yield Sentence(
                "{} is new: before the first run its namespace {} needs the account {} and the Secrets {}.",
                (name, new.environment.namespace or "", new.environment.service_account, ", ".join(secrets) or "none"),
            )
    for was, name in names:
        old = before.state(was)
        lost = [plan.name for plan in before.plans.values() if old and check_limits(plan, old.environment)]
        if lost:
            told = "{} could not be rendered for {} at {}: its objects there are told as new."
            yield Sentence(told, (", ".join(sorted(lost)), was, before.label))
        if old is not None and after.state(name) is None:
            yield from _gone(old, after)
    for one in environments:
        if after.state(one.name) is None:
            continue
        for folder, kept in ((ARGOCD, "Argo CD"), (CLUSTER, "the cluster")):
            if any(f"/{folder}/" in change.path for change in one.objects):
                yield Sentence(f"Who keeps {kept} applies {{}}: no sync does.", (f"tekton/{one.name}/{folder}",))


def _gone(old: State, after: Side) -> Iterator[Sentence]:
    """What stays of an environment that is no more, and who else may be at it."""
    environment = old.environment
    heirs = [e.name for e in after.project.rendered if e.namespace == environment.namespace]
    if heirs and old.project.argocd is not None:
        yield Sentence(
            "{} is gone, and its namespace {} is that of {}: delete the Application of {} before the next sync, or two "
            "write the same objects.",
            (environment.name, environment.namespace or "", ", ".join(heirs), environment.name),
        )


def _publishes(before: Environment | None, after: Environment | None, pairs: Sequence[Pair]) -> bool:
    """Whether a pipeline pins code or files that it did not, or the bucket is another one: they have to be there."""
    if after is None:
        return False
    anew = before is None or before.artifacts != after.artifacts
    return any(_pinned(new) - (set() if anew else _pinned(old)) for old, new, _ in pairs)


def _pinned(plan: Plan | None) -> set[str]:
    if plan is None:
        return set()
    code = {task.code.digest for task in plan.all_tasks if task.code}
    return code | {item.digest for item in plan.inputs if item.path is not None and item.digest is not None}


def settings_changes(before: Project, after: Project, names: Sequence[tuple[str, str]] | None) -> tuple[Change, ...]:
    """The changes of mlgen.yaml; names: of the environments that are asked for, as `make_part` takes them."""
    if names is None:
        return project_changes(before, after)
    return tuple(
        change
        for was, name in names
        for change in environment_changes(before.environment(was), after.environment(name))
    )
