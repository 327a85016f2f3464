"""Params and inputs under another name: the same ones where all that read the one read the other, just as before."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import product
from typing import TypeVar

from mlgen.plan.model import Input, InputRef, Param, ParamRef, Plan, Task

T = TypeVar("T", Param, Input)


def renamed_params(old: Plan, new: Plan) -> dict[str, str]:
    """New name -> old name. Plans with one name for one task."""
    return _renamed({p.name: p for p in old.params}, {p.name: p for p in new.params}, "params", old, new)


def renamed_inputs(old: Plan, new: Plan) -> dict[str, str]:
    """New name -> old name, likewise."""
    return _renamed({i.name: i for i in old.inputs}, {i.name: i for i in new.inputs}, "inputs", old, new)


def _renamed(were: Mapping[str, T], are: Mapping[str, T], owner: str, old: Plan, new: Plan) -> dict[str, str]:
    """Of those that went and came, pairs that are the only ones alike: first in all they are, then in type and use."""
    found: dict[str, str] = {}
    alike: tuple[Callable[[T], object], ...] = (lambda one: replace(one, name=""), lambda one: one.type)
    for what, is_kept in product(alike, (True, False)):
        lost = {n: one for n, one in were.items() if n not in are and n not in found.values()}
        made = {n: one for n, one in are.items() if n not in were and n not in found}
        gone, come = (
            _by_use(some, what, partial(_uses, plan, owner, is_kept)) for some, plan in ((lost, old), (made, new))
        )
        found |= {come[key][0]: gone[key][0] for key in come if len(come[key]) == len(gone.get(key, ())) == 1}
    return found


def _by_use(
    some: Mapping[str, T], what: Callable[[T], object], uses: Callable[[str], frozenset[tuple[str, str, str]]]
) -> dict[object, list[str]]:
    found: dict[object, list[str]] = {}
    for name, one in some.items():
        if used := uses(name):  # of what nobody reads, nothing tells that it is the same
            found.setdefault((what(one), used), []).append(name)
    return found


def _uses(plan: Plan, owner: str, is_kept: bool, name: str) -> frozenset[tuple[str, str, str]]:
    """Who reads it and how: task, the name there, the gate without its name.

    is_kept: whether the name there counts where it is that of the argument, as it is when nobody gives it another.
    """
    ref = f"{owner}.{name}"
    there = re.compile(rf"\b{re.escape(ref)}(?![\w-])")
    found = set()
    for task in plan.all_tasks:
        found |= {
            (task.name, i.name if is_kept or i.name != name else "", "") for i in task.ins if str(i.source) == ref
        }
        found |= {(task.name, "", there.sub(owner, c.text)) for c in task.conditions if there.search(c.text)}
    return frozenset(found)


def with_arguments(plan: Plan, params: Mapping[str, str], inputs: Mapping[str, str]) -> Plan:
    """The plan whose tasks read arguments by other names: old name -> new name. Gates stay as they are written."""

    def named(task: Task) -> Task:
        sources = [(i, i.source) for i in task.ins]
        ins = [
            replace(item, source=ParamRef(params.get(source.name, source.name)))
            if isinstance(source, ParamRef)
            else replace(item, source=InputRef(inputs.get(source.name, source.name)))
            if isinstance(source, InputRef)
            else item
            for item, source in sources
        ]
        return replace(task, ins=tuple(ins))

    if not params and not inputs:
        return plan
    return replace(plan, tasks=tuple(map(named, plan.tasks)), finally_tasks=tuple(map(named, plan.finally_tasks)))
