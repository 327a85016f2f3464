"""The authorizer: it asks the cluster who may do what, which nobody can answer offline. Declared, never evaluated."""

from __future__ import annotations

from typing import Any

from mlgen.policy.cel.signatures import Implementation
from mlgen.policy.cel.values import NotEvaluated

UNKNOWN = "authorizer asks the cluster who may do what"


def _ask(*_: Any) -> Any:
    raise NotEvaluated(UNKNOWN)


FUNCTIONS: dict[str, Implementation] = {
    signature: _ask
    for signature in (
        "<authorizer>.path(string) -> path",
        "<path>.check(string) -> decision",
        "<authorizer>.group(string) -> group",
        "<authorizer>.serviceAccount(string,string) -> authorizer",
        "<group>.resource(string) -> resource",
        "<resource>.subresource(string) -> resource",
        "<resource>.namespace(string) -> resource",
        "<resource>.name(string) -> resource",
        "<resource>.fieldSelector(string) -> resource",
        "<resource>.labelSelector(string) -> resource",
        "<resource>.check(string) -> decision",
        "<decision>.allowed() -> bool",
        "<decision>.reason() -> string",
        "<decision>.errored() -> bool",
        "<decision>.error() -> string",
    )
}
