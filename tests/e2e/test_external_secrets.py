"""A real API server takes what is rendered for the External Secrets Operator, strictly, and stores what we wrote.

Only its kinds are there, for as long as this test: no operator, so that nothing is fetched and no Secret is made. They
are those of MLGEN_E2E_EXTERNAL_SECRETS, a folder such as config/crds/bases of external-secrets; without it, what
tests/data has of them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.cluster import Manifest, kubectl, moved
from tests.e2e.settings import need
from tests.e2e.test_admission import essence, kept
from tests.render.test_secrets import CLIENT, FORMS, STORES, TOKENS, environment, objects

GROUPS = {
    "external-secrets.io": ("externalsecrets", "secretstores"),
    "generators.external-secrets.io": (
        "githubaccesstokens", "ecrauthorizationtokens", "gcraccesstokens", "acraccesstokens"
    ),
}  # fmt: skip


@pytest.fixture
def kinds() -> Iterator[None]:
    """The kinds, unless somebody's operator brought them."""
    need("KUBECONFIG")
    names = [f"{plural}.{group}" for group, plurals in GROUPS.items() for plural in plurals]
    there = set(kubectl("get", "crds", "-o", "name").split())
    new = [name for name in names if f"customresourcedefinition.apiextensions.k8s.io/{name}" not in there]
    for name in new:
        kubectl("create", "-f", "-", given=_crd(name))
    try:
        if new:
            kubectl("wait", "--for=condition=Established", "--timeout=60s", *(f"crd/{name}" for name in new))
        yield
    finally:
        if new:
            kubectl("delete", "crd", "--ignore-not-found", *new)


def _crd(name: str) -> Manifest:
    plural, _, group = name.partition(".")
    folder = os.environ.get("MLGEN_E2E_EXTERNAL_SECRETS")
    if folder:
        crd: Manifest = yaml.safe_load((Path(folder) / f"{group}_{plural}.yaml").read_text())
        crd["spec"].pop("conversion", None)  # the operator's webhook, for versions that nobody writes here
        return crd
    [known] = [key for key in FORMS if f"{key.rpartition(' ')[2].lower()}s.{key.partition('/')[0]}" == name]
    version, _, kind = known.partition("/")[2].partition(" ")
    schema = {"type": "object", "properties": {"spec": _open(FORMS[known])}}
    served = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"kind": kind, "plural": plural}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": name},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [served]},
    }


def _open(form: Any) -> Any:
    """As Kubernetes has schemas: what they do not name is refused without a word of them."""
    if isinstance(form, dict):
        return {key: _open(value) for key, value in form.items() if (key, value) != ("additionalProperties", False)}
    return form


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
    as_stored, as_written = essence(stored), essence(ours)
    for key, written in as_written.items():
        if key[0] == "SecretStore":  # a version's newest defaults stand beside it, which older versions do not know
            assert kept(written["spec"], as_stored[key]["spec"])
        else:
            assert as_stored[key] == written
    [account] = [data for data in made if data["metadata"]["name"] == "mlgen-runner"]
    found = json.loads(kubectl("get", "serviceaccount", "mlgen-runner", "-n", namespace, "-o", "json"))
    assert kept(moved([account], namespace)["items"][0], found)
