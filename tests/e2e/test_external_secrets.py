"""A real API server takes what is rendered for the External Secrets Operator, by the operator's own CRDs, strictly.

Only its CRDs are there, for as long as this test: no operator, so that nothing is fetched and no Secret is made.
MLGEN_E2E_EXTERNAL_SECRETS is a folder with them, such as config/crds/bases of external-secrets.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.cluster import Manifest, kubectl, moved
from tests.e2e.settings import need
from tests.e2e.test_admission import essence, kept
from tests.render.test_secrets import CLIENT, STORES, TOKENS, environment, objects

GROUPS = {
    "external-secrets.io": ("externalsecrets", "secretstores"),
    "generators.external-secrets.io": (
        "githubaccesstokens", "ecrauthorizationtokens", "gcraccesstokens", "acraccesstokens"
    ),
}  # fmt: skip


@pytest.fixture
def kinds() -> Iterator[None]:
    """The kinds, unless somebody's operator brought them."""
    folder = Path(need("MLGEN_E2E_EXTERNAL_SECRETS"))
    names = [f"{plural}.{group}" for group, plurals in GROUPS.items() for plural in plurals]
    there = set(kubectl("get", "crds", "-o", "name").split())
    new = [name for name in names if f"customresourcedefinition.apiextensions.k8s.io/{name}" not in there]
    for name in new:
        plural, _, group = name.partition(".")
        crd = yaml.safe_load((folder / f"{group}_{plural}.yaml").read_text())
        crd["spec"].pop("conversion", None)  # the operator's webhook, for versions that nobody writes here
        kubectl("create", "-f", "-", given=crd)
    try:
        if new:
            kubectl("wait", "--for=condition=Established", "--timeout=60s", *(f"crd/{name}" for name in new))
        yield
    finally:
        if new:
            kubectl("delete", "crd", "--ignore-not-found", *new)


def rendered() -> list[Manifest]:
    """Of every store and token, under names of their own."""
    made: list[Manifest] = []
    for at, store in enumerate(STORES):
        text = f"    external_secrets: {{store: {store}, secrets: {{s{at}: {{token: 'ml/hf#token'}}}}}}\n"
        made += _named(objects(environment(text)), f"-{at}")
    for at, token in enumerate(TOKENS):
        made += objects(environment(f"    external_secrets: {{tokens: {{t{at}: {{{token}}}}}, others: [app]}}\n"))
    made += objects(environment(f"    identity: {{azure: {CLIENT}}}\n"))
    unique = {(data["kind"], data["metadata"]["name"]): data for data in made}
    return list(unique.values())


def _named(made: list[Manifest], end: str) -> list[Manifest]:
    for data in made:
        if data["kind"] == "SecretStore":
            data["metadata"]["name"] += end
    return made


def test_the_cluster_stores_what_we_wrote(kinds: None, namespace: str) -> None:
    made = rendered()
    kubectl("create", "--validate=strict", "-f", "-", given=moved(made, namespace))
    asked = [f"{plural}.{group}" for group, plurals in GROUPS.items() for plural in plurals]
    stored = json.loads(kubectl("get", ",".join(asked), "-n", namespace, "-o", "json"))["items"]
    ours = [data for data in made if data["kind"] != "ServiceAccount"]
    assert len(stored) == len(ours) > len(STORES) + len(TOKENS)
    assert essence(stored) == essence(ours), "nothing is added: Argo CD finds no difference"
    [account] = [data for data in made if data["metadata"]["name"] == "mlgen-runner"]
    found = json.loads(kubectl("get", "serviceaccount", "mlgen-runner", "-n", namespace, "-o", "json"))
    assert kept(moved([account], namespace)["items"][0], found)
