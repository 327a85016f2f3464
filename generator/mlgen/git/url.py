"""URLs of repositories elsewhere: which of them git is given, and how they are shown."""

from __future__ import annotations

import re

from mlgen.diagnostic import Misuse

# Not file: the repository at its other end may name hooks, and a clone may bring both. Not git: anybody may answer.
PROTOCOLS = ("https", "http", "ssh")
_URL = re.compile(
    r"(?P<scheme>[a-z]+)://(?:(?P<user>[^/\s]*)@)?(?:[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9a-fA-F:]+\])?(?::[0-9]+)?/[^\s\x00-\x1f]+"
    r"|[A-Za-z0-9][A-Za-z0-9._-]*@[A-Za-z0-9][A-Za-z0-9.-]*:[^\s\x00-\x1f]+"
)


def check_url(url: str) -> None:
    """Raises Misuse "bad-git-url" for what is not to be given to git, or holds a password."""
    match = _URL.fullmatch(url)
    if not match or (match["scheme"] or "ssh") not in PROTOCOLS:
        fix = "write https://host/path.git, ssh://user@host/path.git or user@host:path.git"
        shown = re.sub(r"://\S*@", "://", url)[:80]  # wherever a password may end in what is no URL
        raise Misuse("bad-git-url", f'"{shown}" is not the URL of a Git repository', fix=fix)
    user = match["user"]
    if user is not None and (":" in user or match["scheme"].startswith("http")):
        why = "what stands in a spec, everybody reads"
        fix = "leave it out: name a Secret in ledger.secret; on your machine git's credential helper has it"
        raise Misuse("bad-git-url", f"the URL {masked(url)} has credentials in it", why=why, fix=fix)
    if "?" in url:
        raise Misuse(
            "bad-git-url",
            f"the URL {masked(url).partition('?')[0]} goes on with a query",
            why="no Git host wants one, but for a token, which everybody would read in the spec",
            fix="leave it out: name a Secret in ledger.secret; on your machine git's credential helper has the token",
        )


def masked(text: str) -> str:
    """A text with the users of URLs, which may be tokens, left out."""
    return re.sub(r"(\w+://)[^/\s]*@", r"\1", text)
