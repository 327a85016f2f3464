"""The arguments of a run, `-p name=value`: typed and checked, all problems at once, before anything starts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

from mlgen import canonical, diagnostic
from mlgen.diagnostic import Misuse
from mlgen.ledger.records.run import Given
from mlgen.local.arguments import Arguments, Location, recorded_path
from mlgen.plan.model import Input, ParamRef, Plan
from mlgen.spec.checks.arguments import is_remote, split_digest
from mlgen.store import BUCKETS
from mlgen.values import Type, argument_problem, parse

MAX_BYTES = 32 * 1024  # of all params: each record repeats them, and has 64 KiB for everything


def parse_arguments(
    plan: Plan,
    given: Sequence[str],
    *,
    project: Path,
    cwd: Path,
    has: Callable[[str], bool] | None = None,
) -> Arguments:
    """The arguments of a run: defaults, overridden by what is given as `name=value`.

    project: the folder that a spec's paths start at; cwd: the one that given paths start at. has: whether there is
    what a spec names, where that is not read from the folder.
    Raises Misuse with every problem: unknown, missing, of the wrong type, out of range, no such file.
    """
    problems: list[str] = []
    texts = _pairs(plan, given, problems)
    params: dict[str, str] = {}
    for param in plan.params:
        text = texts.get(param.name, param.default)
        if text is None:
            problems.append(f'param "{param.name}" ({param.type}) is required: -p {param.name}=…')
        elif problem := argument_problem(param, text) or _unset(plan, param.name, text):
            problems.append(f'param "{param.name}": {problem}')
        else:
            params[param.name] = _canonical(text) if param.type is Type.JSON else text
    inputs: dict[str, Location] = {}
    for item in plan.inputs:
        found = _location(item, texts.get(item.name), project, cwd, has)
        if isinstance(found, Location):
            inputs[item.name] = found
        else:
            problems.append(f'input "{item.name}": {found}')
    if sum(len(canonical.encode(text)) for text in params.values()) > MAX_BYTES:
        largest = max(params, key=lambda name: len(params[name]))
        problems.append(f"the params have more than {MAX_BYTES:,} bytes: shorten {largest}, or make it an input")
    if problems:
        raise _misuse(plan, problems)
    return Arguments(params, inputs)


def given_of(arguments: Arguments, names: Iterable[str]) -> Given:
    """What a run's record says of the arguments that somebody gave. names: theirs."""
    some = set(names)
    params = tuple(name for name in arguments.params if name in some)
    # A path that is not UTF-8 no record could hold: whoever resumes the run is told that there is no such file.
    texts = {name: str(at).encode(errors="replace").decode() for name, at in arguments.inputs.items()}
    return Given(params, {name: text for name, text in texts.items() if name in some})


def _canonical(text: str) -> str:
    """JSON in the one spelling of records; a string keeps its quotes, as it is read as JSON again."""
    return canonical.encode(parse(Type.JSON, text)).decode()


def _unset(plan: Plan, param: str, text: str) -> str | None:
    """What is wrong with a text that says nothing, as `check` has it of a default."""
    key = ParamRef(param)
    tasks = [] if text.strip() else [task.name for task in plan.tasks if task.cache and task.cache.key == key]
    return f'an empty text as the cache key of "{tasks[0]}" would be the same for every run' if tasks else None


def _pairs(plan: Plan, given: Iterable[str], problems: list[str]) -> dict[str, str]:
    known = [p.name for p in plan.params] + [i.name for i in plan.inputs]
    texts: dict[str, str] = {}
    for item in given:
        name, equals, text = item.partition("=")
        if not equals:
            problems.append(f'"{item[:80]}" is not of the form name=value')
        elif name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f': did you mean "{near[0]}"?' if near else ""
            problems.append(f'"{name[:80]}" is neither a param nor an input{hint}')
        elif name in texts:
            problems.append(f'"{name}" is given twice')
        else:
            texts[name] = text
    return texts


def _location(
    item: Input, given: str | None, project: Path, cwd: Path, has: Callable[[str], bool] | None
) -> Location | str:
    """Where an input lies, or what is wrong with it. A given one replaces the spec's whole, digest and all."""
    if given is None and item.uri is None:
        return f"is required: -p {item.name}=PATH or URI"
    uri, digest = (item.uri or "", item.digest) if given is None else split_digest(given)
    if is_remote(uri):
        if uri.startswith(BUCKETS):
            return Location(uri, digest)
        return f'"{uri[:80]}" is neither a path nor {", ".join(BUCKETS)}'
    here = (project if given is None else cwd) / uri
    if not uri or not (has(uri) if given is None and has else here.exists()):
        return f"there is no {here}" if uri else "is empty"
    return Location(recorded_path(here, project), digest)


def _misuse(plan: Plan, problems: list[str]) -> Misuse:
    what = problems[0] if len(problems) == 1 else f"{len(problems)} arguments cannot be meant"
    params = [f"{p.name} ({p.type}{'' if p.default is None else ', default ' + p.default[:40]})" for p in plan.params]
    inputs = [f"{i.name} ({i.type})" for i in plan.inputs]
    return Misuse(
        "bad-argument",
        what,
        why="" if len(problems) == 1 else "\n".join(diagnostic.visible(p) for p in problems),
        fix=f'"{plan.name}" takes: {", ".join(params + inputs)}' if params or inputs else f'"{plan.name}" takes none',
    )
