"""Plans and environments → the bytes of every file: all of them, or what stands against them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mlgen.diagnostic import Misuse
from mlgen.plan.model import Plan
from mlgen.render.cronjob import cron_manifests
from mlgen.render.limits import MAX_OBJECT_BYTES, Problem, check_limits, check_objects
from mlgen.render.manifests import manifests
from mlgen.render.secrets import secret_manifests
from mlgen.render.starts import start_manifests
from mlgen.render.triggered import listener_manifests
from mlgen.spec.project import Environment


@dataclass(frozen=True, slots=True)
class Rendering:
    """files: posix path below the output folder -> content, sorted; not all of them where there are problems.

    problems: with the plan that has each, and once where several environments have it.
    """

    files: dict[str, bytes]
    problems: tuple[tuple[Plan, Problem], ...]


def render_all(
    plans: Sequence[Plan], environments: Sequence[Environment], *, known: Iterable[Environment] = ()
) -> Rendering:
    """Everything that `mlgen render` writes. Raises Misuse when two plans have one name.

    known: all environments of the project, where these are only some.
    """
    known = tuple(known) or environments
    files = {
        m.path: m.bytes
        for environment in environments
        for m in (
            *cron_manifests(environment, known),
            *secret_manifests(environment),
            *listener_manifests(environment),
        )
    }
    problems: list[tuple[Plan, Problem]] = []
    for plan in plans:
        found: dict[Problem, None] = {}
        for environment in environments:
            found |= dict.fromkeys(check_limits(plan, environment))
            if not found:
                # One plan's objects at a time: as data they take twenty times the room of their bytes.
                found |= dict.fromkeys(_render(plan, environment, files))
        problems += [(plan, problem) for problem in found]
    return Rendering(dict(sorted(files.items())), tuple(problems))


def _render(plan: Plan, environment: Environment, files: dict[str, bytes]) -> list[Problem]:
    large = []
    for manifest in (*manifests(plan, environment), *start_manifests(plan, environment)):
        if manifest.path in files:
            raise Misuse(
                "name-collision",
                f"two specs would both write {manifest.path}",
                why="a pipeline's objects carry its name",
                fix="give every pipeline a name of its own",
            )
        files[manifest.path] = manifest.bytes
        # As JSON, which is what counts, an object has at most twice the bytes of our YAML: a backslash for each.
        if 2 * len(files[manifest.path]) > MAX_OBJECT_BYTES:
            large.append(manifest)
    return check_objects(plan, large)
