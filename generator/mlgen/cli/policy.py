"""`mlgen policy`: what has to do with the rules in policies/."""

from __future__ import annotations

from mlgen.cli.main import verbs_below

# name -> (its line in the help, module, function)
VERBS: dict[str, tuple[str, str, str]] = {
    "test": ("Try the policies by their cases, in policies/tests/", "policies.trying", "try_policies"),
}


app = verbs_below(VERBS)


@app.callback()
def policy() -> None:
    """Policies: the rules in policies/, which `check` and the cluster both ask."""
