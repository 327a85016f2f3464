"""Environments of mlgen.yaml: what is rendered from one can be applied, and its pods have what they need."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from mlgen.diagnostic import Diagnostic, Misuse
from mlgen.git import branch_ref, check_url
from mlgen.registry.reference import IMAGE
from mlgen.spec.checks.names import NODE, label, rename
from mlgen.spec.doubt import Doubt
from mlgen.spec.model import Place
from mlgen.spec.settings import POOL

ENVIRONMENT_KEYS = (
    "namespace", "pin", "artifacts", "s3", "buckets", "ledger", "service_account", "identity", "external_secrets",
    "user", "runtime_image", "image_pull_secrets", "gpus", "spot", "workspaces", "priorities", "kueue", "registries",
    "limits", "limit_cpu", "queue", "staging", "labels",
)  # fmt: skip
LEDGER_KEYS = ("url", "branch", "secret", "fold", "interval", "signers")

# RFC 1123: what Kubernetes takes as the name of a namespace, and of most other objects.
PIN = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_OBJECT = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
# Kubernetes keeps the domains kubernetes.io and its subdomains for itself, and `requests.` for quotas.
_EXTENDED = re.compile(
    rf"(?!requests\.)(?!([^/]*\.)?kubernetes\.io/){_OBJECT.pattern}/[A-Za-z0-9]([A-Za-z0-9_.-]{{0,61}}[A-Za-z0-9])?"
)
_ARTIFACTS = re.compile(r"(?:s3|gs|az)://[A-Za-z0-9][A-Za-z0-9._-]{1,221}(?:/[A-Za-z0-9._=-]+)*/?")
_ENDPOINT = re.compile(r"https?://[^\s/?#]+(/[^\s?#]*)?")

_NAME_RULE = "small letters, digits and -, a letter or digit at both ends"


def environment(name: str, data: dict[str, Any], place: Place, doubt: Doubt) -> Iterator[Diagnostic]:
    """The findings of one environment, as it is written."""
    if not NODE.fullmatch(name) or len(name) > 63:
        message, why = f'"{name[:80]}" is not a name for an environment', f"{_NAME_RULE}, at most 63"
        yield place.key_finding("bad-name", message, why, rename(name, "-"))
    for key in _missing(name, data, place, doubt):
        why = "an environment with a namespace has pods, and they need it"
        if key == "namespace":
            why = "only `local` runs without a cluster"
        yield place.key_finding(
            "missing-key", f'environment "{name[:80]}" has no `{key}`', why, f"add {_REQUIRED[key]}"
        )
    yield from _names(data, place)
    yield from _addresses(data, place)
    yield from _branch(_map(data, "ledger").get("branch"), place / "ledger" / "branch")
    for pool, value in _map(data, "gpus").items():
        yield from _pool(pool, value if isinstance(value, dict) else {}, place / "gpus" / pool)
    yield from _labels(_map(data, "spot"), "node_selector", place / "spot", ours=True)
    yield from _mapped(data, place)
    yield from _labels(data, "labels", place)
    yield from _pin(name, data, place)


def _mapped(data: dict[str, Any], place: Place) -> Iterator[Diagnostic]:
    """Names that specs use, and what each is called in the cluster."""
    kinds, queues = _map(data, "workspaces"), _map(_map(data, "kueue"), "queues")
    classes = place / "workspaces"
    for kind in kinds:
        yield from _meaning(
            kind, _map(kinds, kind).get("storage_class"), classes / kind, classes / kind / "storage_class"
        )
    for section, names in (
        (place / "priorities", _map(data, "priorities")),
        (place / "kueue" / "queues", queues),
    ):
        for name, value in names.items():
            yield from _meaning(name, value, section / name, section / name)


def _meaning(name: str, value: object, key: Place, at: Place) -> Iterator[Diagnostic]:
    if not POOL.fullmatch(name):
        yield key.key_finding(
            "bad-name", f'"{name[:80]}" is no name that a spec can use', _NAME_RULE, rename(name, "-")
        )
    if isinstance(value, str) and not (_OBJECT.fullmatch(value) and len(value) <= 253):
        message = f'"{value[:80]}" is not the name of an object of Kubernetes'
        yield at.finding("bad-name", message, f"{_NAME_RULE}; dots between such parts", rename(value, "-"))


_REQUIRED = {
    "namespace": "namespace: ml-prod",
    "artifacts": "artifacts: s3://bucket/prefix",
    "runtime_image": "runtime_image: name@sha256:…",
    "ledger": "ledger: {url: https://host/path.git}",
    "ledger.url": "url: https://host/path.git to `ledger`",
}


def _missing(name: str, data: dict[str, Any], place: Place, doubt: Doubt) -> list[str]:
    """The keys that the environment needs and does not have."""
    absent = [k for k in _REQUIRED if k not in data and doubt.knows(place.route, k, ENVIRONMENT_KEYS)]
    if "namespace" not in data:
        return ["namespace"] if name != "local" and "namespace" in absent else []
    if "url" in _map(data, "ledger") or not doubt.knows((*place.route, "ledger"), "url", LEDGER_KEYS):
        absent = [k for k in absent if k != "ledger.url"]
    return absent if "ledger" in data else [k for k in absent if k != "ledger.url"]


def _names(data: dict[str, Any], place: Place) -> Iterator[Diagnostic]:
    found = [("namespace", place / "namespace", data.get("namespace"), _NAMESPACE)]
    found.append(("service account", place / "service_account", data.get("service_account"), _OBJECT))
    secrets = [(place / key / "secret", _map(data, key).get("secret")) for key in ("s3", "ledger")]
    for bucket, value in _map(data, "buckets").items():
        secrets.append(
            (place / "buckets" / bucket / "secret", value.get("secret") if isinstance(value, dict) else None)
        )
    pull = data.get("image_pull_secrets")
    secrets += [(place / "image_pull_secrets" / i, s) for i, s in enumerate(pull if isinstance(pull, list) else [])]
    found += [("secret", where, name, _OBJECT) for where, name in secrets]
    for what, where, name, rule in found:
        if isinstance(name, str) and name and (not rule.fullmatch(name) or len(name) > 253):
            yield where.finding("bad-name", f'"{name[:80]}" is not the name of a {what}', _NAME_RULE, rename(name, "-"))


def _pin(name: str, data: dict[str, Any], place: Place) -> Iterator[Diagnostic]:
    pin = data.get("pin")
    if not isinstance(pin, str):
        return
    if "namespace" not in data:
        why = "without a namespace, nothing is rendered: a run on this machine reads the files as they lie there"
        yield (place / "pin").key_finding("bad-pin", f'"{name[:80]}" cannot be pinned', why, "remove the pin")
    elif not PIN.fullmatch(pin):
        why = "a branch or tag may move, and a short id may come to mean another commit"
        fix = (
            f"write what `git rev-parse {pin}` prints" if _REVISION.fullmatch(pin) else "write the 40 digits of its id"
        )
        yield (place / "pin").finding("bad-pin", f'"{pin[:80]}" is not the full id of a commit', why, fix)


def _branch(branch: object, place: Place) -> Iterator[Diagnostic]:
    if not isinstance(branch, str) or not branch:
        return
    try:
        branch_ref(branch)
    except Misuse as error:
        yield place.finding("bad-name", error.message, "Git has no branch of that name", f"write {error.fix}")


def _git_url(url: str, place: Place) -> Iterator[Diagnostic]:
    try:
        check_url(url)
    except Misuse as error:
        found = place.finding("bad-uri", error.message, error.why, error.fix)
        yield replace(found, secret="@" in url or "?" in url)  # the line may hold a password


def _addresses(data: dict[str, Any], place: Place) -> Iterator[Diagnostic]:
    image, artifacts, url = data.get("runtime_image"), data.get("artifacts"), _map(data, "ledger").get("url")
    if isinstance(image, str) and image and not IMAGE.fullmatch(image):
        fix = "write name:tag or name@sha256:<64 hex digits>"
        yield (place / "runtime_image").finding("bad-image", f'"{image[:80]}" is not an image reference', fix=fix)
    if isinstance(artifacts, str) and artifacts:
        yield from _artifacts(artifacts, place / "artifacts", in_pods="namespace" in data)
    if isinstance(url, str) and url:
        yield from _git_url(url, place / "ledger" / "url")
    stores = [(place / "s3", _map(data, "s3"))]
    stores += [(place / "buckets" / k, v) for k, v in _map(data, "buckets").items() if isinstance(v, dict)]
    for where, store in stores:
        endpoint = store.get("endpoint")
        if isinstance(endpoint, str) and endpoint and not _ENDPOINT.fullmatch(endpoint):
            fix = "write https://host or http://host:port"
            yield (where / "endpoint").finding("bad-uri", f'"{endpoint[:80]}" is not the URL of a service', fix=fix)


def _artifacts(uri: str, place: Place, *, in_pods: bool) -> Iterator[Diagnostic]:
    fix = "write s3://bucket/prefix, gs://bucket/prefix or az://container/prefix"
    if in_pods and not _holds_artifacts(uri):
        why = "pods share no disk: what one leaves, the next reads from a bucket"
        yield place.finding("bad-uri", f'"{uri[:80]}" cannot hold the artifacts of pods', why, fix)
    elif "://" in uri and not uri.startswith("file://") and not _holds_artifacts(uri):
        yield place.finding("bad-uri", f'"{uri[:80]}" cannot hold artifacts', fix=f"write a folder, or {fix[6:]}")


def _holds_artifacts(uri: str) -> bool:
    return _ARTIFACTS.fullmatch(uri) is not None and {".", ".."}.isdisjoint(uri.split("/"))


def _pool(name: str, data: dict[str, Any], place: Place) -> Iterator[Diagnostic]:
    if not POOL.fullmatch(name):
        why = f"a task asks for it as {name[:40]}:1; {_NAME_RULE}, at most 40"
        yield place.key_finding("bad-name", f'"{name[:80]}" is not a name for a GPU pool', why, rename(name, "-"))
    resource = data.get("resource")
    if isinstance(resource, str) and resource and not _EXTENDED.fullmatch(resource):
        why = "a task has its cpu and memory already; GPUs are extended resources, named after who makes them"
        yield (place / "resource").finding(
            "bad-name", f'"{resource[:80]}" is no extended resource', why, "write domain/name, such as nvidia.com/gpu"
        )
    yield from _labels(data, "node_selector", place, ours=True)


def _labels(data: dict[str, Any], key: str, place: Place, *, ours: bool = False) -> Iterator[Diagnostic]:
    for name, value in _map(data, key).items():
        if isinstance(value, str):
            yield from label(name, value, place / key / name, any_prefix=ours)


def _map(data: dict[str, Any], key: str) -> dict[str, Any]:
    found = data.get(key)
    return found if isinstance(found, dict) else {}
