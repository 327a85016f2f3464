"""`mlgen policy`: what has to do with the rules in policies/."""

from __future__ import annotations

import importlib
from typing import Any

import typer

from mlgen.cli.main import LazyGroup, new_app, with_directory

# name -> (its line in the help, module, function)
VERBS: dict[str, tuple[str, str, str]] = {
    "test": ("Try the policies by their cases, in policies/tests/", "policies.trying", "try_policies"),
}


class _Verbs(LazyGroup):
    verbs = VERBS

    def get_command(self, _ctx: object, name: str) -> Any:
        if name not in VERBS:
            return None
        _, module, function = VERBS[name]
        verb = new_app()
        verb.command(name)(getattr(importlib.import_module(f"mlgen.cli.{module}"), function))
        return with_directory(typer.main.get_command(verb))

    def format_commands(self, _ctx: object, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (line, _, _) in VERBS.items()])


app = new_app(cls=_Verbs, no_args_is_help=True)


@app.callback()
def policy() -> None:
    """Policies: the rules in policies/, which `check` and the cluster both ask."""
