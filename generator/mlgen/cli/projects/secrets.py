"""The secrets of a run on this machine: from the environment, else from a file that Git must not have."""

from __future__ import annotations

from mlgen.cli.projects.workspace import Workspace
from mlgen.diagnostic import Misuse
from mlgen.local import secrets_file
from mlgen.local.secrets_file import FILE
from mlgen.plan.model import Plan


def kept_secrets(workspace: Workspace, plan: Plan) -> dict[str, str]:
    """What `.mlgen/secrets.env` holds, name -> text; it is opened only for a plan with secrets.

    Raises Misuse as `secrets_file.read`, and where Git tracks the file or would with the next `git add`.
    """
    if not any(task.secrets for task in plan.all_tasks):
        return {}
    found = secrets_file.read(workspace.root)
    repository = workspace.repository
    if not found or repository is None or repository.work_tree is None:
        return found
    path = workspace.root / FILE
    if repository.tracked([path]):
        raise Misuse(
            "secrets-file",
            f"Git tracks {FILE}",
            why="who can clone the repository has the secrets that it ever held",
            fix=f"git rm --cached {FILE}, put .mlgen/ into .gitignore, and revoke what it holds",
        )
    if repository.untracked([path]):
        why = "the next `git add` would take it"
        raise Misuse("secrets-file", f"Git does not ignore {FILE}", why=why, fix="put .mlgen/ into .gitignore")
    return found
