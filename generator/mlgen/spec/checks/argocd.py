"""`argocd` of mlgen.yaml: what is rendered from it names one repository, one revision and clusters of environments."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

from mlgen.diagnostic import Diagnostic, Misuse
from mlgen.git import check_url
from mlgen.spec.checks.names import NODE, rename
from mlgen.spec.doubt import Doubt
from mlgen.spec.model import Place

KEYS = ("version", "repository", "argocd", "sources", "environments")  # of mlgen.yaml

_GLOB = re.compile(r"[*?\[\]{}!]")  # what an AppProject takes for a pattern: it would allow other repositories
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]{0,250}")
_CLUSTER = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


def argocd(top: dict[str, Any], environments: Collection[str], place: Place, doubt: Doubt) -> Iterator[Diagnostic]:
    """The findings. top: mlgen.yaml. place: of all of it."""
    settings = top.get("argocd")
    if not isinstance(settings, dict):
        return
    here = place / "argocd"
    repository = top.get("repository")
    if "repository" not in top and doubt.knows((), "repository", KEYS):
        why = "an Application names what it syncs"
        fix = "add repository: https://git.example/acme/ml"
        yield here.key_finding("missing-key", "Argo CD is asked for, and mlgen.yaml has no `repository`", why, fix)
    elif isinstance(repository, str) and repository:
        yield from _repository(repository, place / "repository")
    namespace, revision = settings.get("namespace"), settings.get("revision")
    if isinstance(namespace, str) and namespace and not (NODE.fullmatch(namespace) and len(namespace) <= 63):
        message = f'"{namespace[:80]}" is not the name of a namespace'
        yield (here / "namespace").finding("bad-name", message, fix=rename(namespace, "-"))
    if isinstance(revision, str) and revision and not _REVISION.fullmatch(revision):
        message = f'"{revision[:80]}" is not a branch, tag or commit that Argo CD can follow'
        yield (here / "revision").finding("bad-name", message, fix="write the name of a branch, such as main")
    clusters = settings.get("clusters")
    for name, cluster in (clusters if isinstance(clusters, dict) else {}).items():
        where = here / "clusters" / name
        if name not in environments:
            known = ", ".join(sorted(environments))
            yield where.key_finding(
                "unknown-environment", f'there is no environment "{name[:80]}"', fix=f"mlgen.yaml has: {known}"
            )
        if isinstance(cluster, str) and cluster and not _CLUSTER.fullmatch(cluster):
            message = f'"{cluster[:80]}" is not the name of a cluster'
            yield where.finding("bad-name", message, fix="write the name that `argocd cluster list` shows")


def _repository(url: str, place: Place) -> Iterator[Diagnostic]:
    try:
        check_url(url)
    except Misuse as error:
        found = place.finding("bad-uri", error.message, error.why, error.fix)
        yield replace(found, secret="@" in url or "?" in url)  # the line may hold a password
        return
    if _GLOB.search(url):
        why = "in an AppProject it would be a pattern, and allow other repositories as well"
        yield place.finding("bad-uri", f'"{url[:80]}" has a character that matches many', why, "write one URL")
