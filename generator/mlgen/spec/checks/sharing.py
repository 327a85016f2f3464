"""Environments that share a namespace: what each renders there must not be the other's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from mlgen.diagnostic import Diagnostic
from mlgen.spec.model import Place
from mlgen.spec.project import ArgoCD, Environment


def shared(environments: Sequence[Environment], argocd: ArgoCD | None, place: Place) -> Iterator[Diagnostic]:
    """The findings of each two that share one. argocd: alone knows whether two are in one cluster.

    place: of all environments.
    """
    for one, other in combinations(environments, 2):
        if one.namespace is None or one.namespace != other.namespace or _are_apart(one, other, argocd):
            continue
        where = place / other.name / "namespace"
        message = f'{one.name} and {other.name} are both in the namespace "{one.namespace}"'
        why, fix = "a Pipeline has one name in both: what is applied last is what both run", "give each its own"
        if argocd is not None:
            yield where.finding("name-collision", message, why, f"{fix}, or name their clusters in `argocd.clusters`")
        else:
            yield where.finding("shared-namespace", message, f"in one cluster, {why}", fix)
        yield from _made_twice(one, other, place)


def _are_apart(one: Environment, other: Environment, argocd: ArgoCD | None) -> bool:
    clusters: Mapping[str, str] = dict(argocd.clusters) if argocd is not None else {}
    return clusters.get(one.name) != clusters.get(other.name)


def _made_twice(one: Environment, other: Environment, place: Place) -> Iterator[Diagnostic]:
    """What both make that an environment has besides its pipelines."""
    made = {(what, name) for what, name, _ in _makes(one, place)}
    for what, name, where in _makes(other, place):
        if (what, name) in made:
            message = f'{one.name} and {other.name} both make the {what} "{name}" in {one.namespace}'
            fix = "give each environment a namespace, or let one of them name it among its `others`"
            if what != "secret":
                fix = "give each environment a namespace, or a `service_account` of its own"
            yield where.key_finding("name-collision", message, "Argo CD would undo one for the other", fix)


def _makes(one: Environment, place: Place) -> Iterator[tuple[str, str, Place]]:
    if one.identity is not None:
        yield "service account", one.service_account, place / one.name / "identity"
    if one.external_secrets is not None:
        here = place / one.name / "external_secrets"
        yield from (("secret", name, here / "secrets" / name) for name, _ in one.external_secrets.secrets)
        yield from (("secret", name, here / "tokens" / name) for name, _ in one.external_secrets.tokens)
