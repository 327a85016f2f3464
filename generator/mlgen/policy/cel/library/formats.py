"""Kubernetes' named formats. Source: k8s.io/apiserver/pkg/cel/library/format.go, apimachinery/pkg/util/validation."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from mlgen.policy.cel.signatures import Implementation
from mlgen.policy.cel.values import NONE, NotEvaluated, Optional

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"


@dataclass(frozen=True, slots=True)
class NamedFormat:
    name: str
    cel_type: ClassVar[str] = "kubernetes.NamedFormat"


def _whole(pattern: str, longest: int) -> Callable[[str], bool]:
    compiled = re.compile(pattern)
    return lambda text: len(text.encode()) <= longest and compiled.fullmatch(text) is not None


_QUALIFIED = _whole(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]", 63)
_SUBDOMAIN = _whole(rf"{_LABEL}(\.{_LABEL})*", 253)


def _qualified(text: str) -> bool:
    prefix, slash, name = text.rpartition("/")
    return _QUALIFIED(name) and (not slash or _SUBDOMAIN(prefix))


def _masked(text: str) -> str:
    """A prefix as if a name stood there: what ends with a dash."""
    return text[:-2] + "a" if len(text) > 1 and text.endswith("-") else text


_KNOWN: dict[str, Callable[[str], bool] | None] = {
    "dns1123Label": _whole(_LABEL, 63),
    "dns1123Subdomain": _SUBDOMAIN,
    "dns1035Label": _whole(r"[a-z]([-a-z0-9]*[a-z0-9])?", 63),
    "qualifiedName": _qualified,
    "dns1123LabelPrefix": lambda text: _whole(_LABEL, 63)(_masked(text)),
    "dns1123SubdomainPrefix": lambda text: _SUBDOMAIN(_masked(text)),
    "dns1035LabelPrefix": None,
    "labelValue": _whole(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?", 63),
    "uri": None,
    "uuid": _whole(r"(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", 36),
    "byte": None,
    "date": None,
    "datetime": None,
}


def _validate(named: NamedFormat, text: str) -> Optional:
    """None where the text is of the format; else the reasons, whose words are the cluster's own."""
    fits = _KNOWN[named.name]
    if fits is None:
        raise NotEvaluated(f"the format {named.name} is not known here")
    return NONE if fits(text) else Optional([Reasons(named.name)])


class Reasons(str):
    """Why a text is not of a format: that there is a reason is known, its words are not."""


def _named(name: str) -> Optional:
    return Optional(NamedFormat(name)) if name in _KNOWN else NONE


FUNCTIONS: dict[str, Implementation] = {
    "format.named(string) -> optional(format)": _named,
    **{f"format.{name}() -> format": (lambda name=name: NamedFormat(name)) for name in _KNOWN},
    "<format>.validate(string) -> optional(list(string))": _validate,
}
