"""What two states of an environment have otherwise as objects: their texts, and what Argo CD will do about them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from mlgen.plan.model import Plan
from mlgen.render.argocd import argocd_manifests
from mlgen.render.cronjob import cron_manifests
from mlgen.render.limits import Problem, check_limits
from mlgen.render.manifests import Manifest, manifests
from mlgen.render.secrets import secret_manifests
from mlgen.render.starts import start_manifests
from mlgen.render.triggered import listener_manifests
from mlgen.spec.project import Environment, Project

SYNCED = "/manifests/"  # what Argo CD syncs; people create `runs/`, administrators apply `argocd/` and `cluster/`

Key = tuple[str, str, str]  # of an object whose name may change: kind, pipeline as it is called now, task


class Act(StrEnum):
    """What Argo CD does with an object.

    keep: its file is gone and it stays in the cluster: a Task (`Prune=false`), or anything, where the whole folder that
    an Application syncs is gone, which is an error to Argo CD (ComparisonError: app path does not exist).
    """

    CREATE = "create"
    CHANGE = "change"
    PRUNE = "prune"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class Action:
    act: Act
    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """An object whose file is not the same. old, new: what the files hold; None where there was, or is, none."""

    kind: str
    pipeline: str
    task: str
    old: Manifest | None
    new: Manifest | None

    @property
    def path(self) -> str:
        """Of the file as it is now, or was, below the output folder."""
        one = self.new or self.old
        assert one is not None, "a file was or is"
        return one.path

    @property
    def old_path(self) -> str | None:
        """Where the file was, if elsewhere: a Task is named by its content."""
        return self.old.path if self.old and self.new and self.old.path != self.new.path else None

    @property
    def before(self) -> str | None:
        """The file's text as it was; written when it is asked for: of thousands of files only some are shown."""
        return None if self.old is None else self.old.bytes.decode()

    @property
    def after(self) -> str | None:
        """The file's text as it is."""
        return None if self.new is None else self.new.bytes.decode()


@dataclass(frozen=True, slots=True)
class Objects:
    """changes: by path. actions: by act, kind and name. problems: why the state of now cannot be rendered whole."""

    changes: tuple[ObjectChange, ...]
    actions: tuple[Action, ...]
    problems: tuple[tuple[Plan, Problem], ...]


Pair = tuple[Plan | None, Plan | None, Mapping[str, str]]  # before, after, new name -> old name of tasks


@dataclass(frozen=True, slots=True)
class State:
    """An environment and its project, on one side. folder: of the project, below its repository's top."""

    environment: Environment
    project: Project
    folder: str = ""


def compare_objects(before: State | None, after: State | None, pairs: Sequence[Pair]) -> Objects:
    """The objects that differ. pairs: every pipeline that may; what is equal on both sides is not rendered."""
    same = before is not None and after is not None and _rendered_alike(before.environment, after.environment)
    old, new = _of_environment(before), _of_environment(after)
    problems: list[tuple[Plan, Problem]] = []
    for plan, now, names in pairs:
        if same and plan == now:
            continue
        if before is not None and plan is not None:
            old |= _of(plan, before.environment, now.name if now else plan.name, {o: n for n, o in names.items()}, [])
        if after is not None and now is not None:
            new |= _of(now, after.environment, now.name, {}, problems)
    keys = dict.fromkeys([*new, *old])
    changes = [c for key in keys if (c := _change(key, old.get(key), new.get(key))) is not None]
    return Objects(
        tuple(sorted(changes, key=lambda c: c.path)),
        tuple(_actions(old.values(), new.values(), all_gone=after is None)),
        tuple(problems),
    )


def _rendered_alike(before: Environment, after: Environment) -> bool:
    """Whether two settings of an environment give each pipeline the same objects."""
    return replace(before, pin=None) == replace(after, pin=None)


def _of_environment(state: State | None) -> dict[Key, Manifest]:
    """The objects that an environment has once.

    Not the Job that looks before a sync whether all was published: it names what all pipelines pin, also those that
    were not read, and is no resource of Argo CD's but a hook.
    """
    if state is None:
        return {}
    cron = cron_manifests(state.environment, state.project.environments)
    argocd = argocd_manifests(state.project, state.environment, state.folder)
    others = (*secret_manifests(state.environment), *listener_manifests(state.environment))
    secrets = {(_kind(m), "", m.name): m for m in others}  # several of a kind
    return {(_kind(m), "", ""): m for m in (*cron, *argocd)} | secrets


def _of(
    plan: Plan,
    environment: Environment,
    name: str,
    names: Mapping[str, str],
    problems: list[tuple[Plan, Problem]],
) -> dict[Key, Manifest]:
    """A pipeline's objects; none where it cannot be rendered. name, names: what it and its tasks are called now."""
    if found := check_limits(plan, environment):
        problems += [(plan, problem) for problem in found]
        return {}
    starts = {(_kind(m), name, m.name): m for m in start_manifests(plan, environment)}  # several of a kind
    return {(_kind(m), name, names.get(m.task or "", m.task or "")): m for m in manifests(plan, environment)} | starts


def _change(key: Key, before: Manifest | None, after: Manifest | None) -> ObjectChange | None:
    return None if _is_same(before, after) else ObjectChange(*key, before, after)


def _is_same(before: Manifest | None, after: Manifest | None) -> bool:
    if before is None or after is None:
        return before is after
    # To write both takes longer than all else, so that comes last.
    return before.path == after.path and before.data == after.data and before.bytes == after.bytes


def _actions(before: Iterable[Manifest], after: Iterable[Manifest], *, all_gone: bool) -> Iterator[Action]:
    old, new = ({_identity(m): m for m in found if SYNCED in m.path} for found in (before, after))
    acts = []
    for identity in {*old, *new}:
        if identity not in old:
            acts.append(Action(Act.CREATE, *identity))
        elif identity not in new:
            acts.append(Action(Act.KEEP if all_gone or identity[0] == "Task" else Act.PRUNE, *identity))
        elif old[identity].data != new[identity].data:
            acts.append(Action(Act.CHANGE, *identity))
    order = list(Act)
    yield from sorted(acts, key=lambda a: (order.index(a.act), a.kind, a.namespace, a.name))


def _identity(manifest: Manifest) -> tuple[str, str, str]:
    metadata = manifest.data["metadata"]
    assert isinstance(metadata, dict)
    return _kind(manifest), str(metadata["namespace"]), str(metadata.get("name", ""))


def _kind(manifest: Manifest) -> str:
    return str(manifest.data["kind"])
