"""The functions of CEL and of Kubernetes: a file a library, a line of signature a function."""

from __future__ import annotations

from mlgen.policy.cel.library import (
    authorizer,
    conversions,
    formats,
    lists,
    network,
    optionals,
    order,
    quantity,
    regex,
    semver,
    sets,
    strings,
    text_format,
    times,
    url,
)
from mlgen.policy.cel.signatures import NAMES, Table, declarations, parse

_MODULES = (
    authorizer,
    conversions,
    formats,
    lists,
    network,
    order,
    quantity,
    regex,
    semver,
    sets,
    strings,
    text_format,
    times,
    url,
)
_DECLARED = [parse(signature, function) for module in _MODULES for signature, function in module.FUNCTIONS.items()]
# The checker knows these by itself.
_BUILT_IN = [
    parse(signature, function)
    for module in (conversions, optionals, regex, strings, times)
    for signature, function in module.BUILT_IN.items()
]

OPAQUE = {
    NAMES["quantity"]: quantity.Quantity,
    NAMES["url"]: url.Url,
    NAMES["format"]: formats.NamedFormat,
    NAMES["semver"]: semver.Semver,
    NAMES["ip"]: network.Ip,
    NAMES["cidr"]: network.Cidr,
}
TABLE = Table([*_DECLARED, *_BUILT_IN], OPAQUE)
# What the checker has by these names is replaced by ours.
REPLACED = ("_<_", "_<=_", "_>_", "_>=_", "string")
DECLARATIONS = declarations(_DECLARED)
