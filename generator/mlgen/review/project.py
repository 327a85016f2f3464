"""What two states of mlgen.yaml have otherwise: environments added, removed, and each of their settings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass

from mlgen import canonical
from mlgen.review.change import Change, Effect, Kind, of_maps
from mlgen.review.tasks import time_text
from mlgen.spec.project import Environment, Project
from mlgen.spec.quantities import size_text

# Of an environment's settings; what is not here reaches runs.
_EFFECTS = {
    "registries": Effect.RULES,
    "limits": Effect.RULES,
    "labels": Effect.METADATA,
    "limit_cpu": Effect.RESOURCES,
    "spot": Effect.RESOURCES,
    "workspaces": Effect.RESOURCES,
    "priorities": Effect.RESOURCES,
    "kueue": Effect.RESOURCES,
    "queue": Effect.RESOURCES,
    "staging": Effect.RESOURCES,
    "ledger.signers": Effect.RULES,
    "pin": Effect.NONE,  # what it moves is told of the pipelines themselves
}


def project_changes(before: Project, after: Project, names: Iterable[str] | None = None) -> tuple[Change, ...]:
    """The changes of mlgen.yaml by its keys, such as "prod.ledger.url". names: of the environments, if not all."""
    found = of_maps(
        _one("repository", before.repository), _one("repository", after.repository), Effect.METADATA, key=""
    )
    settings_of = [dict(_flat("argocd", project.argocd)) for project in (before, after)]
    found += of_maps(settings_of[0].items(), settings_of[1].items(), Effect.RULES, key="")
    wanted = None if names is None else set(names)
    for name in sorted({e.name for project in (before, after) for e in project.environments}):
        if wanted is None or name in wanted:
            found += environment_changes(before.environment(name), after.environment(name))
    return tuple(found)


def environment_changes(before: Environment | None, after: Environment | None) -> list[Change]:
    """The changes of an environment, of any name."""
    if before is None and after is None:
        return []
    if before is None or after is None:
        environment = after or before
        assert environment is not None
        kind = Kind.NEW if before is None else Kind.REMOVED
        verb = "is a new environment" if before is None else "is no environment any more"
        where = f"namespace {environment.namespace}" if environment.namespace else "not rendered"
        return [Change(Effect.RUNS, kind, "", environment.name, verb=verb, note=where)]
    old, new = (dict(settings(environment)) for environment in (before, after))
    found = []
    pools = {name for name, _ in before.gpus} & {name for name, _ in after.gpus}
    for name in sorted({*old, *new}):
        effect = _effect(name)
        if name.startswith("gpus.") and not any(name.startswith(f"gpus.{pool}.") for pool in pools):
            effect = Effect.RULES  # a pool that comes or goes: who asks for one that is not there, is refused
        found += of_maps(_one(name, old.get(name)), _one(name, new.get(name)), effect, key=after.name)
    return found


def _one(name: str, text: str | None) -> list[tuple[str, str]]:
    return [] if text is None else [(name, text)]


def _effect(name: str) -> Effect:
    parts = name.split(".")
    known = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((_EFFECTS[key] for key in known if key in _EFFECTS), Effect.RUNS)


def settings(environment: Environment) -> Iterator[tuple[str, str]]:
    """Every setting that is given, by its key in the file: ("s3.region", "eu-1")."""
    for field in fields(environment):
        if field.name != "name":
            yield from _flat(_key(field.name), getattr(environment, field.name))


_UNITS = ("_seconds", "_bytes")


def _key(name: str) -> str:
    if name == "queues":
        return "kueue.queues"
    return next((name.removesuffix(unit) for unit in _UNITS if name.endswith(unit)), name)


def _flat(key: str, value: object, unit: str = "") -> Iterator[tuple[str, str]]:
    """The texts of a value: of each field of ours, of each entry of a map (a tuple of pairs), else of it as a whole."""
    if value is None or value == () or (key == "triggers" and value is False):
        return
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _flat(f"{key}.{_key(field.name)}", getattr(value, field.name), field.name)
    elif isinstance(value, tuple) and all(isinstance(v, tuple) and len(v) == 2 for v in value):
        for name, item in value:
            yield from _flat(f"{key}.{name}", item)
    elif isinstance(value, tuple) and all(isinstance(v, str) for v in value):
        yield key, ", ".join(value)
    elif isinstance(value, str):
        yield key, value
    elif isinstance(value, int) and not isinstance(value, bool):
        text = time_text(value) if unit.endswith("_seconds") or key in ("queue", "staging") else str(value)
        yield key, size_text(value) if unit.endswith("_bytes") else text
    else:
        yield key, canonical.encode(value).decode()
