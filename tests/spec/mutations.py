"""Valid documents of each kind, and small changes to them that no author would make."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

from mlgen.spec.shape import Kind

VALID: dict[Kind, dict[str, Any]] = {
    "pipeline": {
        "version": 1, "name": "churn", "description": "d", "owner": "o", "labels": {"a": "b"},
        "params": {"a": 1, "b": {"type": "number", "default": 0.5, "minimum": 0}, "c": {"choices": ["x"]}, "d": [1]},
        "inputs": {"i": "s3://bucket/c", "j": {"uri": "data/labels.csv", "type": "model"}},
        "defaults": {"image": "x:1", "code": ["src"], "cpu": 1.5, "memory": "1Gi", "env": {"A": "b"}},
        "tasks": {
            "a": {"run": ["x", 1], "in": ["params.a"], "out": {"m": "model", "n": {"type": "json", "max": 3}}},
            "b": {"run": "x", "in": {"m": "a.m", "v": {"value": [1]}, "w": 3}, "if": "params.a == 1"},
            "c": {"use": "./tasks/t.yaml", "in": {"model": "a.m", "stage": {"value": "prod"}, "n": 1}, "gpu": "a100:1"},
            "d": {"run": "x", "after": ["b"], "retries": 3, "timeout": "1h", "shm": "1Gi"},
        },
        "finally": {"z": {"run": "x", "out": ["o"], "disk": "2Ti", "secrets": {"S": "s/k"}}},
    },
    "task": {
        "version": 1, "kind": "task", "name": "x", "run": "x", "in": {"m": {"type": "model"}, "n": {"choices": [1]}},
        "out": {"o": "file"}, "image": "x:1", "gpu": 2,
    },
    "project": {
        "version": 1, "repository": "https://x",
        "environments": {
            "local": {"artifacts": "x", "ledger": {"branch": "l"}},
            "prod": {
                "namespace": "ml", "artifacts": "s3://bucket/y", "runtime_image": "x:1",
                "ledger": {"url": "https://git.example/l.git", "interval": "10s"},
                "gpus": {"a": {"resource": "r", "node_selector": {"a": "b"}, "tolerations": [{"operator": "Exists"}]}},
                "limits": {"gpu": 1, "memory": "1Gi"}, "s3": {"region": "r"}, "buckets": {"b": {}}, "user": 5,
            },
        },
    },
    "lock": {"version": 1, "images": {"ghcr.io/acme/churn:1.8": f"sha256:{'0' * 64}", "busybox": f"sha256:{'1' * 64}"}},
}  # fmt: skip

ODD: list[Any] = [
    None, True, 0, 1, -1, 10, 2**53 - 1, 0.5, "", "x", "X", "é", "1h", "sha256:", "a.b", [], ["x"], [None], {},
    {"type": "model"}, {"value": 1}, {"x": {}}, {"run": "x"},
]  # fmt: skip


def mutated(value: Any, random_: random.Random) -> Any:
    """A copy with one to three values or keys replaced, removed, moved or added."""
    value = copy.deepcopy(value)
    for _ in range(random_.randint(1, 3)):
        containers = [c for c in walk(value) if c]
        here = random_.choice(containers)
        key = random_.choice(list(here) if isinstance(here, dict) else range(len(here)))
        match random_.randint(0, 3):
            case 0:
                here[key] = copy.deepcopy(random_.choice(ODD))
            case 1:
                del here[key]
            case 2 if isinstance(here, dict):
                here[random_.choice(["run", "use", "x", "type", "sweep", "A b", f"{key}s"])] = here.pop(key)
            case _:
                here[key] = copy.deepcopy(random_.choice(containers))
        if not value:
            break
    return value


def walk(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        yield value
        for child in value.values() if isinstance(value, dict) else value:
            yield from walk(child)
