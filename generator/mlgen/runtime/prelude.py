"""The lines above an author's script, the same in every engine: POSIX sh, as dash, bash and busybox read it."""

from __future__ import annotations

from collections.abc import Iterable


def prelude(
    *,
    optional_values: Iterable[str] = (),
    optional_artifacts: Iterable[str] = (),
    late: Iterable[tuple[str, str]] = (),
    alive: str | None = None,
    end: str | None = None,
) -> str:
    """The first lines of a script; the author's text follows unchanged.

    optional_values: ins whose variable holds "+" and the text, or nothing where the out was not written.
    optional_artifacts: ins whose variable holds a path where nothing lies if the out was not written.
    Both are unset where unwritten. late: (variable, path) of texts that stage-in wrote, or did not where there is none.
    alive: path of a FIFO that stays open as long as the script's container lives, so that its reader learns of its end
    however it ends. end: path of a FIFO: at its first line the script's process group is told to end, at the next one
    killed. No path has characters that a shell would read.
    """
    lines = ["#!/bin/sh", "set -e"]
    if alive is not None:
        # A process of its own holds it, and the script none of it: what an author does with a descriptor, as
        # `exec 9>lock` or a program that closes them all, is no death. Twice in the background, so that `wait` knows
        # nothing of it. Open before the script goes on; for reading too, as opening for writing alone waits for a
        # reader, for ever if that one died.
        # Deaf, as `kill 0` is a usual way to end one's own children.
        deaf = "trap '' HUP INT QUIT USR1 USR2 TERM"
        lines.append(f"( {deaf}; exec 9<>{alive}; ( while read -r _ <&9; do :; done ) >/dev/null 2>&1 & )")
    if end is not None:
        # Tekton's entrypoint makes the script the leader of a group, and is itself in none that this reaches.
        wait = f"exec 8<>{end}; read -r _ <&8 && kill -TERM 0; read -r _ <&8 && kill -KILL 0"
        lines.append(f"( trap '' HUP INT QUIT USR1 USR2 TERM; ( {wait} ) >/dev/null 2>&1 & )")
    for name in optional_values:
        lines.append(f"case ${name} in +*) {name}=${{{name}#+}} ;; *) unset {name} ;; esac")
    for name in optional_artifacts:
        lines.append(f'[ -e "${name}" ] || unset {name}')
    for name, path in late:
        # The dot keeps newlines at the end, which a command's substitution would drop.
        lines.append(f"if [ -e {path} ]; then {name}=$(cat {path}; echo .); {name}=${{{name}%.}}; export {name}; fi")
    return "\n".join(lines) + "\n"
