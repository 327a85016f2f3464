"""What the External Secrets Operator and three clouds are told: of every store, token and identity that there is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from mlgen.diagnostic import Diagnostic
from mlgen.render.argocd import argocd_manifests
from mlgen.render.cronjob import cron_manifests
from mlgen.render.secrets import secret_manifests
from mlgen.spec.document import read
from mlgen.spec.load import load_project
from mlgen.spec.project import Environment, Project

FORMS = json.loads((Path(__file__).parents[1] / "data" / "external_secrets.json").read_text())
HEAD = """
version: 1
repository: https://git.example/acme/ml
argocd: {}
environments:
  prod:
    namespace: ml-prod
    artifacts: s3://ml-artifacts/prod
    ledger: {url: "https://github.com/acme/ml-ledger.git"}
    service_account: mlgen-runner
    labels: {team: risk}
    runtime_image: ghcr.io/acme/mlgen-runtime@sha256:0000000000000000000000000000000000000000000000000000000000000000
"""
ROLE = "arn:aws:iam::111122223333:role/ml-prod"
EMAIL = "ml-prod@acme-ml.iam.gserviceaccount.com"
CLIENT = "6a9b7c1e-0d42-4f6b-9d0a-2f1c3e4d5b6a"
STORES = [
    "{name: team-store}",
    "{aws: {region: eu-west-1}}",
    "{gcp: {project: acme-ml}}",
    '{azure: {vault: "https://acme-ml.vault.azure.net"}}',
    f'{{azure: {{vault: "https://acme-ml.vault.azure.net", tenant: {CLIENT}}}}}',
    '{vault: {server: "https://vault.example", role: ml-prod}}',
    '{vault: {server: "https://vault.example:8200/", role: ml, path: kv/ml, mount: kubernetes/eu}}',
]
TOKENS = [
    'github: {app: "1", installation: "2", private_key: app/key.pem, repositories: [ml-ledger]}',
    'github: {app: "1", installation: "2", private_key: app/k, repositories: [a, b], url: "https://github.acme.example"}',
    "ecr: {region: eu-west-1}",
    "gcr: {registry: europe-docker.pkg.dev, project: acme-ml, cluster: ml, location: europe-west1}",
    "acr: {registry: acme.azurecr.io}",
    f"acr: {{registry: acme.azurecr.io, tenant: {CLIENT}}}",
]


def load(text: str) -> tuple[Project, list[Diagnostic]]:
    return load_project(read("mlgen.yaml", (HEAD + text).encode()))


def environment(text: str) -> Environment:
    project, found = load(text)
    assert found == []
    [one] = project.rendered
    return one


def objects(one: Environment) -> list[Any]:
    """As they are read from the files."""
    made = [yaml.safe_load(manifest.bytes) for manifest in secret_manifests(one)]
    for data in made:
        assert data["metadata"]["namespace"] == "ml-prod"
        assert data["metadata"]["labels"] == {"mlgen.dev/env": "prod", "team": "risk"}
        if data["kind"] != "ServiceAccount":
            jsonschema.validate(data["spec"], FORMS[f"{data['apiVersion']} {data['kind']}"])
    return made


def of(kind: str, made: list[Any]) -> Any:
    [found] = [data for data in made if data["kind"] == kind]
    return found


@pytest.mark.parametrize("store", STORES)
def test_a_store_is_of_its_namespace_and_read_by_an_account_of_its_own(store: str) -> None:
    external = f"    external_secrets: {{store: {store}, secrets: {{hf: {{token: 'ml/hf#token', all: ml/hf}}}}}}\n"
    made = objects(environment(external))
    secret = of("ExternalSecret", made)["spec"]
    assert secret["secretStoreRef"]["kind"] == "SecretStore"
    assert secret["target"] == {"name": "hf", "creationPolicy": "Owner", "deletionPolicy": "Retain"}
    assert (secret["refreshPolicy"], secret["refreshInterval"]) == ("Periodic", "15m0s")
    assert secret["data"][0] == {"secretKey": "all", "remoteRef": {"key": "ml/hf"}}
    assert secret["data"][1] == {"secretKey": "token", "remoteRef": {"key": "ml/hf", "property": "token"}}
    if "name:" in store:
        assert secret["secretStoreRef"]["name"] == "team-store"
        assert len(made) == 1
    else:
        assert secret["secretStoreRef"]["name"] == of("SecretStore", made)["metadata"]["name"] == "mlgen-secrets-prod"
        assert of("ServiceAccount", made)["automountServiceAccountToken"] is False
        assert '"mlgen-secrets-prod"' in json.dumps(of("SecretStore", made)["spec"]["provider"])
    assert "ClusterSecretStore" not in json.dumps(made)


@pytest.mark.parametrize("token", TOKENS)
def test_a_token_is_made_anew_and_has_the_type_that_its_readers_want(token: str) -> None:
    external = f"    external_secrets: {{refresh: 20m, tokens: {{t: {{{token}}}}}, others: [app]}}\n"
    made = objects(environment(external))
    secret = of("ExternalSecret", made)["spec"]
    reference = secret["dataFrom"][0]["sourceRef"]["generatorRef"]
    generator = of(reference["kind"], made)
    assert (reference["apiVersion"], reference["name"]) == (generator["apiVersion"], generator["metadata"]["name"])
    assert secret["refreshInterval"] == "20m0s"
    assert "secretStoreRef" not in secret
    template = secret["target"]["template"]
    if token.startswith("github"):
        assert template["type"] == "kubernetes.io/basic-auth"
        assert set(template["data"]) == {"username", "password"}
        assert generator["spec"]["permissions"] == {"contents": "write"}
    else:
        assert template["type"] == "kubernetes.io/dockerconfigjson"
        shown = template["data"][".dockerconfigjson"]
        for name in ("username", "password"):
            shown = shown.replace(f"{{{{ .{name} | toJson }}}}", json.dumps(f"the {name}"))
        [login] = json.loads(shown)["auths"].values()
        assert login == {"username": "the username", "password": "the password"}


def test_pulled_images_have_their_type() -> None:
    text = "    external_secrets: {store: {name: s}, secrets: {ghcr: {.dockerconfigjson: ml/ghcr}}}\n"
    template = of("ExternalSecret", objects(environment(text)))["spec"]["target"]["template"]
    assert template["type"] == "kubernetes.io/dockerconfigjson"


@pytest.mark.parametrize(
    ("cloud", "name", "annotation"),
    [
        ("aws", ROLE, "eks.amazonaws.com/role-arn"),
        ("gcp", EMAIL, "iam.gke.io/gcp-service-account"),
        ("azure", CLIENT, "azure.workload.identity/client-id"),
    ],
)
def test_an_identity_is_that_of_all_who_touch_the_bucket(cloud: str, name: str, annotation: str) -> None:
    one = environment(f'    identity: {{{cloud}: "{name}"}}\n')
    account = of("ServiceAccount", objects(one))
    cron = [yaml.safe_load(manifest.bytes) for manifest in cron_manifests(one, [one])]
    assert account["metadata"]["name"] == "mlgen-runner"
    for each in (account, of("ServiceAccount", cron)):
        assert each["metadata"]["annotations"] == {annotation: name}
        assert each["automountServiceAccountToken"] is False
    labels = of("CronJob", cron)["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
    assert (labels.get("azure.workload.identity/use") == "true") is (cloud == "azure")


def test_the_app_project_allows_what_is_asked_for_and_nothing_else() -> None:
    text = "    external_secrets: {tokens: {t: {ecr: {region: eu-west-1}}}}\n"
    allowed = {}
    for given in ("", text):
        project, found = load(given)
        assert found == []
        made = [yaml.safe_load(m.bytes) for m in argocd_manifests(project, project.rendered[0], "")]
        allowed[given] = of("AppProject", made)["spec"]["namespaceResourceWhitelist"]
    more = [kind for kind in allowed[text] if kind not in allowed[""]]
    assert more == [
        {"group": "external-secrets.io", "kind": "ExternalSecret"},
        {"group": "generators.external-secrets.io", "kind": "ECRAuthorizationToken"},
    ]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("identity: {aws: admin}", "bad-name"),
        (f'identity: {{gcp: "{ROLE}"}}', "bad-name"),
        (f"identity: {{azure: {CLIENT[:-1]}}}", "bad-name"),
        (f'identity: {{aws: "{ROLE}", azure: {CLIENT}}}', "bad-value"),
        ("identity: {}", "missing-key"),
        ("external_secrets: {store: {}}", "missing-key"),
        ("external_secrets: {store: {aws: {}}}", "missing-key"),
        ("external_secrets: {store: {aws: {region: x}, name: y}}", "bad-value"),
        ("external_secrets: {store: {cluster: x}}", "unknown-key"),
        ("external_secrets: {secrets: {hf: {token: x}}}", "missing-key"),
        ("external_secrets: {store: {name: x}, secrets: {Hf: {token: x}}}", "bad-name"),
        ("external_secrets: {store: {name: x}, secrets: {hf: {to ken: x}}}", "bad-name"),
        ("external_secrets: {store: {name: x}, secrets: {hf: {token: 'a#b#c'}}}", "bad-value"),
        ("external_secrets: {store: {name: x}, secrets: {hf: {}}}", "bad-value"),
        ("external_secrets: {store: {vault: {server: 'http://v', role: r}}}", "bad-uri"),
        (
            "external_secrets: {store: {name: x}, secrets: {a: {b: c}}, tokens: {a: {ecr: {region: r}}}}",
            "name-collision",
        ),
        ("external_secrets: {refresh: 5}", "wrong-type"),
        ("external_secrets: {tokens: {a: {github: {app: 1}}}}", "missing-key"),
    ],
)
def test_what_could_not_be_applied_is_told(text: str, code: str) -> None:
    found = [finding.code for finding in load(f"    {text}\n")[1]]
    assert code in found


def test_an_identity_is_never_that_of_the_default_account() -> None:
    text = HEAD.replace("    service_account: mlgen-runner\n", "") + f'    identity: {{aws: "{ROLE}"}}\n'
    [finding] = load_project(read("mlgen.yaml", text.encode()))[1]
    assert (finding.code, "service_account" in finding.message) == ("missing-key", True)
