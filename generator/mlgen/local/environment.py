"""The environment variables of a local task: what it may inherit, and what its spec and run give it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from mlgen.diagnostic import Misuse
from mlgen.local.secrets_file import FILE
from mlgen.plan.model import Plan

INHERITED = re.compile(
    r"PATH|HOME|LANG|LC_.+|TZ|VIRTUAL_ENV|CONDA_.+|CUDA_.+|NVIDIA_.+|LD_LIBRARY_PATH"
    r"|(?:http|https|ftp|no|all)_proxy|(?:HTTP|HTTPS|FTP|NO|ALL)_PROXY"
)


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """What a task sees of the user's environment: enough to find programs, GPUs and the network, nothing else."""
    return {name: value for name, value in environ.items() if INHERITED.fullmatch(name)}


def secrets(plan: Plan, environ: Mapping[str, str]) -> dict[str, str]:
    """The secrets of all tasks, variable -> value. environ: the user's, over what a file of secrets holds.

    Raises Misuse, naming all that are missing, before anything starts.
    """
    wanted = {ref.variable: ref for task in plan.all_tasks for ref in task.secrets}
    missing = [wanted[name] for name in sorted(wanted) if name not in environ]
    if missing:
        names = ", ".join(ref.variable for ref in missing)
        raise Misuse(
            "missing-secret",
            f"not set, neither in the environment nor in {FILE}: {names}",
            why="; ".join(f"{r.variable} is key {r.key} of secret {r.secret} in a cluster" for r in missing),
            fix=f"export {missing[0].variable}=…, or write a line NAME=value for each into {FILE}, with `chmod 600`",
        )
    return {name: environ[name] for name in wanted}


def used(names: Iterable[str], values: Mapping[str, str]) -> dict[str, str]:
    """The named ones of the values."""
    return {name: values[name] for name in names}
