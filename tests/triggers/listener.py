"""An EventListener of Tekton Triggers, as its source has it: interceptors, bindings, and what a template becomes.

CEL by Google's library with Triggers' functions; of a template its raw JSON, into which texts are spliced.
Source: tektoncd/triggers v0.37 pkg/sink, pkg/interceptors/{cel,github,gitlab}, pkg/template.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import unquote, urlsplit

from cel_expr_python import cel
from cel_expr_python.ext import ext_encoders, ext_strings

Object = dict[str, Any]
_DYN_MAP = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
SECRETS: dict[tuple[str, str], str] = {}  # of the namespace, by name and key


@dataclass
class Listener:
    """triggers: objects of kind Trigger. errors: why those that failed did, which is in the listener's log alone."""

    triggers: list[Object]
    secrets: Mapping[tuple[str, str], str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def post(self, body: bytes, headers: Mapping[str, str] | None = None) -> list[Object]:
        """The objects that an event makes. Raises ValueError for a body that the listener answers with 400."""
        if not isinstance(json.loads(body), dict):
            raise ValueError("payload validation")
        head = {canonical_key(name): [value] for name, value in (headers or {}).items()}
        made = []
        for trigger in self.triggers:
            spec = trigger["spec"]
            extensions = self.intercepted(spec["interceptors"], body, head)
            if extensions is not None:
                [binding] = spec["bindings"]
                made += resources(spec["template"]["spec"], {binding["name"]: bound(binding["value"], extensions)})
        return made

    def intercepted(self, interceptors: list[Object], body: bytes, head: dict[str, list[str]]) -> Object | None:
        extensions: Object = {}
        for one in interceptors:
            assert one["ref"]["kind"] == "ClusterInterceptor"
            params = {param["name"]: param["value"] for param in one["params"]}
            if one["ref"]["name"] != "cel":
                if not self.is_from_host(one["ref"]["name"], params, body, head):
                    return None
                continue
            data = {"body": as_go(json.loads(body)), "header": head, "extensions": extensions, "requestURL": "/"}
            SECRETS.clear()
            SECRETS.update(self.secrets)
            try:
                if params.get("filter") and evaluate(params["filter"], data) is not True:
                    return None
                made = {one["key"]: evaluate(one["expression"], data) for one in params.get("overlays", ())}
            except RuntimeError as error:
                self.errors.append(str(error))
                return None
            extensions = {**extensions, **made}
        return extensions

    def is_from_host(self, host: str, params: Object, body: bytes, head: dict[str, list[str]]) -> bool:
        event = {"github": "X-Github-Event", "gitlab": "X-Gitlab-Event"}[host]
        if "eventTypes" in params and head.get(event, [""])[0] not in params["eventTypes"]:
            return False
        secret = self.secrets[params["secretRef"]["secretName"], params["secretRef"]["secretKey"]]
        if host == "gitlab":
            return head.get("X-Gitlab-Token", [""])[0] == secret
        signature = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        return head.get("X-Hub-Signature-256", [""])[0] == signature


def as_go(value: Any) -> Any:
    """JSON as Go reads it into an interface: every number is a float."""
    if isinstance(value, dict):
        return {key: as_go(one) for key, one in value.items()}
    if isinstance(value, list):
        return [as_go(one) for one in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def bound(value: str, extensions: Object) -> str:
    """getResults of jsonpath.go: a text's JSON without its quotes, anything else as JSON."""
    name = value.removeprefix("$(extensions.").removesuffix(")")
    found = extensions[name]
    text = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
    return text[1:-1] if isinstance(found, str) else text


def resources(template: Object, params: Mapping[str, str]) -> list[Object]:
    """ResolveResources of event.go, and verifyParamDeclarations of the webhook."""
    made = []
    for one in template["resourcetemplates"]:
        raw = json.dumps(one)
        declared = {param["name"] for param in template["params"]}
        assert set(re.findall(r"\$\(tt\.params\.([_a-zA-Z][_a-zA-Z0-9.-]*)\)", raw)) <= declared
        for name, value in params.items():
            raw = raw.replace(f"$(tt.params.{name})", value.replace("$(", "$$("))
        made.append(json.loads(raw.replace("$(uid)", "0c0a3ad5")))
    return made


def canonical_key(name: str) -> str:
    return "-".join(part[:1].upper() + part[1:].lower() for part in name.split("-"))


def evaluate(expression: str, data: Mapping[str, Any]) -> Any:
    """Raises RuntimeError where Triggers would say "error evaluating cel expression"."""
    try:
        return plain(_compiled(expression).eval(data=dict(data)))
    except (RuntimeError, ValueError, TypeError) as error:
        raise RuntimeError(f"{error} in {expression}") from None


def plain(value: Any) -> Any:
    value = value.plain_value() if hasattr(value, "plain_value") else value
    if isinstance(value, dict):
        return {str(plain(key)): plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


@cache
def _compiled(expression: str) -> Any:
    return _environment().compile(expression)


@cache
def _environment() -> Any:
    string, boolean = cel.Type.STRING, cel.Type.BOOL

    def member(name: str, parameters: list[Any], returns: Any, impl: Any) -> Any:
        return cel.FunctionDecl(name, [cel.Overload(f"triggers_{name}", returns, parameters, True, impl)])

    return cel.NewEnv(
        variables={"body": _DYN_MAP, "header": _DYN_MAP, "extensions": _DYN_MAP, "requestURL": string},
        extensions=[ext_strings.ExtStrings(), ext_encoders.ExtEncoders()],
        functions=[
            member("canonical", [_DYN_MAP, string], string, _canonical),
            member("compareSecret", [string, string, string], boolean, _compare_secret),
            member("parseURL", [string], _DYN_MAP, _parse_url),
            member("marshalJSON", [_DYN_MAP], string, lambda value: json.dumps(plain(value))),
        ],
    )


def _canonical(head: Any, key: str) -> str:
    return str((plain(head).get(canonical_key(key)) or [""])[0])


def _compare_secret(given: str, key: str, name: str) -> bool:
    return SECRETS[name, key] == given


def _parse_url(text: str) -> dict[str, str]:
    if re.search(r"[\x00-\x20\x7f]|%(?![0-9A-Fa-f]{2})", text):
        raise ValueError("net/url: invalid")
    return {"path": unquote(urlsplit(text).path, errors="surrogateescape")}
