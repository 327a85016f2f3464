"""How git proves who it is to a host: with the files of a Kubernetes Secret, or as the user has set git up."""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_FOLDER = "MLGEN_GIT_SECRET"
# git runs it with sh. It reads the files each time: a token that was renewed is the one that is sent. What it prints
# goes to git by a pipe; no command line and no file has the token. `printf` is built into the shell.
_HELPER = (
    '!f() { test "$1" = get || return 0; '
    f'printf "username=%s\\npassword=%s\\n" "$(cat "${_FOLDER}/username")" "$(cat "${_FOLDER}/password")"; }}; f'
)


@contextmanager
def presented(secret: Path | None, scratch: Path) -> Iterator[tuple[list[str], Mapping[str, str]]]:
    """(settings, variables) for one call of git.

    secret: a folder with `username` and `password`, or with `ssh-privatekey` and `known_hosts`; without either pair,
    and for None, git asks as the user has set it up. scratch: where the copy of a key may lie meanwhile.
    """
    if secret is None or not (kinds := _kinds(secret)):
        yield [], {}
        return
    settings: list[str] = []
    variables = {"GIT_ASKPASS": ""}  # empty: no program is asked, and no window opens, for what the files do not have
    if "http" in kinds:
        settings = ["credential.helper=", f"credential.helper={_HELPER}", "credential.useHttpPath=false"]
        variables[_FOLDER] = str(secret)
    if "ssh" not in kinds:
        yield settings, variables
        return
    # ssh takes no key that others may read, and a mounted Secret is readable by the pod's group.
    with tempfile.NamedTemporaryFile(dir=scratch, prefix="key-") as key, (secret / "ssh-privatekey").open("rb") as own:
        shutil.copyfileobj(own, key)
        key.write(b"\n")  # ssh wants a newline at its end, and values of Secrets have often lost it
        key.flush()
        with named_user(scratch) as user:
            command = shlex.join([*user, *_ssh(Path(key.name), secret / "known_hosts")])
            yield settings, {**variables, "GIT_SSH_COMMAND": command, "GIT_SSH_VARIANT": "ssh"}


def has_credentials(secret: Path | None) -> bool:
    """Whether a folder holds what `presented` can use."""
    return secret is not None and bool(_kinds(secret))


def _kinds(secret: Path) -> list[str]:
    pairs = {"http": ("username", "password"), "ssh": ("ssh-privatekey", "known_hosts")}
    return [kind for kind, files in pairs.items() if all(os.access(secret / file, os.R_OK) for file in files)]


@contextmanager
def named_user(scratch: Path) -> Iterator[list[str]]:
    """What ssh is started by: it ends at once as a user that no passwd entry names, as a pod's mostly is.

    libnss-wrapper, which the runtime image has, answers for the system; without it ssh says what it would have said.
    Source: nss_wrapper(1).
    """
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        pass
    else:
        yield []
        return
    with (
        tempfile.NamedTemporaryFile("w", dir=scratch) as users,
        tempfile.NamedTemporaryFile("w", dir=scratch) as groups,
    ):
        users.write(f"mlgen:x:{os.getuid()}:{os.getgid()}:mlgen:/:/bin/sh\n")
        groups.write(f"mlgen:x:{os.getgid()}:\n")
        users.flush()
        groups.flush()
        files = [f"NSS_WRAPPER_PASSWD={users.name}", f"NSS_WRAPPER_GROUP={groups.name}"]
        yield ["env", "LD_PRELOAD=libnss_wrapper.so", *files]


def _ssh(key: Path, known_hosts: Path) -> list[str]:
    options = {
        "IdentityFile": key,
        "UserKnownHostsFile": known_hosts,
        "IdentitiesOnly": "yes",
        "StrictHostKeyChecking": "yes",
        "BatchMode": "yes",
        "ConnectTimeout": "10",
    }
    return ["ssh", "-F", "/dev/null", *(f"-o{name}={value}" for name, value in options.items())]
