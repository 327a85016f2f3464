"""A case of the corpus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """spec: of the policy, without what the corpus adds. bindings: further keys of their specs. params: ConfigMaps."""

    name: str
    spec: Json
    bindings: tuple[Json, ...] = ({},)
    params: tuple[Json, ...] = ()
    objects: tuple[str, ...] = ("plain", "odd", "bare")
