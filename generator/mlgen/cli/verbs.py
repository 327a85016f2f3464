"""The verbs: a name, the line it has in the help, and by its name the module that is imported when it is asked for."""

from __future__ import annotations

VERBS: dict[str, str] = {
    "init": "Make a working repository in a folder",
    "check": "Check specs: shape and meaning, every finding at once",
    "plan": "Show what will happen: order, gates, resources",
    "graph": "Draw a pipeline as Mermaid or DOT",
    "render": "Write the Tekton manifests of an environment",
    "tasks": "List and show the tasks that specs may use",
    "policy": "Try the rules in policies/ by their cases",
    "lock": "Pin images and tasks of other repositories in mlgen.lock",
    "diff": "Say what a change means: in words, in amounts, as objects",
    "promote": "Pin an environment to a commit, and render it",
    "publish": "Upload the code and files that an environment's manifests pin",
    "run": "Run a pipeline, on this machine or in a cluster",
    "logs": "Show what the tasks of a run printed",
    "runs": "List, show and compare runs, from the ledger",
    "lineage": "Say where an artifact came from and what was made of it",
    "ledger": "Fold records into the ledger; verify, sign, export, import, erase",
    "gc": "Throw away artifacts and Tasks that nothing needs any more",
    "schema": "Print a JSON schema, for an editor, or the reference of its keys",
    "lsp": "Serve an editor: findings, completion, hover, definitions, renames",
    "explain": "Explain the code of a finding",
}

HEAD = """\
mlgen: machine-learning pipelines as reviewed specs, rendered to plain Tekton, recorded in Git.

Usage: mlgen COMMAND [ARGS]... [-C DIR] [--help]

"""


def help_text() -> str:
    """The help of `mlgen` itself."""
    width = max(map(len, VERBS))
    lines = [f"  {name:{width}}  {line}\n" for name, line in VERBS.items()]
    return (
        HEAD
        + "Commands:\n"
        + "".join(lines)
        + "\nEach answers `mlgen COMMAND --help`. Exit: 0 yes, 1 no, 2 asked wrongly, 3 could not answer.\n"
    )
