"""Kinds of the External Secrets Operator: where an environment's Secrets come from. No value is ever in any of them.

A SecretStore of the namespace, never a ClusterSecretStore: what one team may read, no other namespace can ask for. An
ExternalSecret owns the Secret that it makes. Tokens come from generators, which live for an hour or less.
Source: external-secrets config/crds/bases (external-secrets.io/v1, generators.external-secrets.io/v1alpha1); what their
defaults would add is written out, but in stores, where it differs from version to version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mlgen.render.identity import account
from mlgen.render.manifests import MADE_BY, Manifest
from mlgen.render.names import manifest_path, of_environment
from mlgen.render.staging import Data
from mlgen.spec.external import ExternalSecrets, Provider
from mlgen.spec.project import Environment
from mlgen.spec.quantities import duration_text

PROJECT_FILE = "mlgen.yaml"
GROUP, GENERATORS = "external-secrets.io", "generators.external-secrets.io"
_MAX_NAME = 63
_KINDS = {
    "github": "GithubAccessToken",
    "ecr": "ECRAuthorizationToken",
    "gcr": "GCRAccessToken",
    "acr": "ACRAccessToken",
}
_BASIC, _DOCKER = "kubernetes.io/basic-auth", "kubernetes.io/dockerconfigjson"


def secret_manifests(environment: Environment) -> list[Manifest]:
    """The accounts with an identity, the store and the Secrets of an environment; none where it asks for none of them.

    Functions of mlgen.yaml alone: an edited spec changes none.
    """
    comment = (
        f"{MADE_BY}{PROJECT_FILE} for the environment {environment.name}; do not edit:",
        f"change {PROJECT_FILE}, then `mlgen render --env {environment.name}`",
    )
    return [
        Manifest(manifest_path(environment, str(data["kind"]), name), comment, data)
        for name, data in _objects(environment)
    ]


def reader(environment: Environment) -> str:
    """The name of the store of an environment, and of the account that the operator reads it with."""
    return of_environment("mlgen-secrets", environment.name, _MAX_NAME)


def kinds(environment: Environment) -> tuple[tuple[str, str], ...]:
    """(group, kind) of what `secret_manifests` makes besides accounts."""
    made = ((str(data["apiVersion"]).partition("/")[0], str(data["kind"])) for _, data in _objects(environment))
    return tuple(sorted({(group, kind) for group, kind in made if group != "v1"}))


def _objects(environment: Environment) -> Iterator[tuple[str, Data]]:
    """Each with its name."""
    if environment.identity is not None:
        name = environment.service_account
        yield name, account(environment, name, environment.identity)
    external = environment.external_secrets
    if external is None:
        return
    store = external.store
    if (store is not None and store.kind != "name") or any(token.kind != "github" for _, token in external.tokens):
        yield reader(environment), account(environment, reader(environment), external.identity)
    if store is not None and store.kind != "name":
        provider = _PROVIDERS[store.kind](store, {"name": reader(environment)})
        name = reader(environment)
        yield name, _object(environment, f"{GROUP}/v1", "SecretStore", name, {"provider": provider})
    for name, keys in external.secrets:
        yield (
            name,
            _external(
                environment, external, name, {"data": [_data(key, remote) for key, remote in keys]}, _typed(keys)
            ),
        )
    for name, token in external.tokens:
        spec = _GENERATORS[token.kind](token, {"name": reader(environment)})
        yield name, _object(environment, f"{GENERATORS}/v1alpha1", _KINDS[token.kind], name, spec)
        yield name, _external(environment, external, name, {"dataFrom": [_generated(token, name)]}, _template(token))


def _object(environment: Environment, version: str, kind: str, name: str, spec: Data) -> Data:
    labels = {"mlgen.dev/env": environment.name, **dict(environment.labels)}
    metadata: Data = {"name": name, "namespace": environment.namespace, "labels": labels}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def _external(
    environment: Environment, external: ExternalSecrets, name: str, source: Data, template: Data | None
) -> Data:
    # Retain: a store that cannot be reached, or a token that is refused once, takes no Secret from a running pod.
    target: Data = {"name": name, "creationPolicy": "Owner", "deletionPolicy": "Retain"}
    if template is not None:
        target["template"] = {"engineVersion": "v2", "mergePolicy": "Replace", **template}
    spec: Data = {
        "refreshPolicy": "Periodic",
        "refreshInterval": duration_text(external.refresh_seconds),
    }
    store = external.store
    if "data" in source and store is not None:  # a generator needs none
        name_of_store = store.get("name") if store.kind == "name" else reader(environment)
        spec["secretStoreRef"] = {"name": name_of_store, "kind": "SecretStore"}
    spec |= {"target": target, **source}
    return _object(environment, f"{GROUP}/v1", "ExternalSecret", name, spec)


def _data(key: str, remote: str) -> Data:
    path, _, part = remote.partition("#")
    return {"secretKey": key, "remoteRef": {"key": path, **({"property": part} if part else {})}}


def _typed(keys: tuple[tuple[str, str], ...]) -> Data | None:
    """What pulls images has a type of its own, without which nobody reads it."""
    if [key for key, _ in keys] != [".dockerconfigjson"]:
        return None
    return {"type": _DOCKER, "data": {".dockerconfigjson": '{{ index . ".dockerconfigjson" }}'}}


def _generated(token: Provider, name: str) -> Data:
    reference = {"apiVersion": f"{GENERATORS}/v1alpha1", "kind": _KINDS[token.kind], "name": name}
    return {"sourceRef": {"generatorRef": reference}}


def _template(token: Provider) -> Data:
    if token.kind == "github":
        return {"type": _BASIC, "data": {"username": "x-access-token", "password": "{{ .token }}"}}
    host = "{{ .proxy_endpoint }}" if token.kind == "ecr" else str(token.get("registry"))
    login = '{"username":{{ .username | toJson }},"password":{{ .password | toJson }}}'
    return {"type": _DOCKER, "data": {".dockerconfigjson": f'{{"auths":{{"{host}":{login}}}}}'}}


Account = Data  # {"name": of a ServiceAccount}


def _aws(store: Provider, account: Account) -> Data:
    auth = {"jwt": {"serviceAccountRef": account}}
    return {"aws": {"service": "SecretsManager", "region": store.get("region"), "auth": auth}}


def _gcp(store: Provider, account: Account) -> Data:
    auth = {"workloadIdentity": {"serviceAccountRef": account}}
    return {"gcpsm": {"projectID": store.get("project"), "auth": auth}}


def _azure(store: Provider, account: Account) -> Data:
    given: Data = {"authType": "WorkloadIdentity", "vaultUrl": store.get("vault"), "tenantId": store.get("tenant")}
    return {"azurekv": {**{k: v for k, v in given.items() if v}, "serviceAccountRef": account}}


def _vault(store: Provider, account: Account) -> Data:
    mount = store.get("mount") or "kubernetes"
    auth = {"kubernetes": {"mountPath": mount, "role": store.get("role"), "serviceAccountRef": account}}
    return {
        "vault": {"server": store.get("server"), "path": store.get("path") or "secret", "version": "v2", "auth": auth}
    }


def _github(token: Provider, _account: Account) -> Data:
    secret, _, key = str(token.get("private_key")).partition("/")
    url = token.get("url")
    return {
        "appID": token.get("app"),
        "installID": token.get("installation"),
        **({"url": url} if url else {}),
        "repositories": list(token.listed("repositories")),
        "permissions": {"contents": "write"},
        "auth": {"privateKey": {"secretRef": {"name": secret, "key": key}}},
    }


def _ecr(token: Provider, account: Account) -> Data:
    return {"region": token.get("region"), "auth": {"jwt": {"serviceAccountRef": account}}}


def _gcr(token: Provider, account: Account) -> Data:
    cluster = {
        "serviceAccountRef": account,
        "clusterProjectID": token.get("project"),
        "clusterName": token.get("cluster"),
        "clusterLocation": token.get("location"),
    }
    return {"projectID": token.get("project"), "auth": {"workloadIdentity": cluster}}


def _acr(token: Provider, account: Account) -> Data:
    tenant = token.get("tenant")
    return {
        **({"tenantId": tenant} if tenant else {}),
        "registry": token.get("registry"),
        "environmentType": "PublicCloud",
        "auth": {"workloadIdentity": {"serviceAccountRef": account}},
    }


_Make = Callable[[Provider, Account], Data]
_PROVIDERS: dict[str, _Make] = {"aws": _aws, "gcp": _gcp, "azure": _azure, "vault": _vault}
_GENERATORS: dict[str, _Make] = {"github": _github, "ecr": _ecr, "gcr": _gcr, "acr": _acr}
