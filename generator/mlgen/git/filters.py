"""Filters of a repository: programs that git runs on a file that changed."""

from __future__ import annotations

from collections.abc import Callable

from mlgen.git.command import GitError


def off(run: Callable[..., bytes]) -> dict[str, str]:
    """The variables that switch off the repository's own filters. run: a git command in it.

    The user's filters (LFS, for one) stay: they are in the user's config, not in what was cloned or unpacked.
    """
    pattern = r"^filter\..*\.(clean|smudge|process)$"
    try:
        found = run("config", "--null", "--show-scope", "--name-only", "--get-regexp", pattern)
    except GitError:  # there are none
        return {}
    parts = found.decode(errors="surrogateescape").split("\0")
    keys = [key for scope, key in zip(parts[::2], parts[1::2], strict=False) if scope in ("local", "worktree")]
    settings = {key: "" for key in keys} | {f"{key.rpartition('.')[0]}.required": "false" for key in keys}
    variables = {"GIT_CONFIG_COUNT": str(len(settings))}
    for at, (key, value) in enumerate(settings.items()):
        variables |= {f"GIT_CONFIG_KEY_{at}": key, f"GIT_CONFIG_VALUE_{at}": value}
    return variables
