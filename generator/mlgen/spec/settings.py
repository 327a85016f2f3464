"""The keys that a task and `defaults` share, each read to one type."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlgen.diagnostic import Diagnostic
from mlgen.registry.reference import IMAGE
from mlgen.spec import quantities
from mlgen.spec.model import Place, Setting
from mlgen.values import Type, type_of

SETTINGS = (
    "image", "code", "cpu", "memory", "disk", "shm", "gpu", "timeout", "retries", "idempotent", "checkpoint", "spot",
    "workspace", "priority", "queue", "nodes", "env", "secrets", "cache",
)  # fmt: skip
OF_A_TASK = ("nodes",)  # not in `defaults`
# What the caller of a task file may set.
RESOURCES = (
    "cpu", "memory", "disk", "shm", "gpu", "timeout", "retries", "spot", "workspace", "priority", "queue", "nodes",
    "cache",
)  # fmt: skip

DEFAULT_KIND = "default"  # of a workspace, a queue or a GPU pool that is not named
POOL = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")
_GPU = re.compile(rf"(?:(?P<pool>{POOL.pattern}):)?(?P<count>[1-9][0-9]{{0,2}})")
_SECRET = re.compile(r"(?P<secret>[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)/(?P<key>[A-Za-z0-9._-]{1,253})")


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount of bytes, with the text that Kubernetes stores."""

    text: str
    bytes: int


@dataclass(frozen=True, slots=True)
class GpuAsk:
    pool: str
    count: int


@dataclass(frozen=True, slots=True)
class WorkspaceAsk:
    kind: str
    amount: Amount


@dataclass(frozen=True, slots=True)
class SecretKey:
    secret: str
    key: str


@dataclass(frozen=True, slots=True)
class CacheAsk:
    """Whether a task may be answered from what an earlier execution made. key: (type, text) of a literal, or of a ref
    (None, its text), whose place is `key_place`."""

    on: bool
    max_age_seconds: int | None = None
    key: tuple[Type | None, str] | None = None
    key_place: Place | None = None


INFRASTRUCTURE = "infrastructure"


@dataclass(frozen=True, slots=True)
class Retries:
    """How often, after how long at first, and after which failures a task is tried again.

    on: exit codes and INFRASTRUCTURE; None: any failure.
    """

    count: int
    backoff_seconds: int = 0
    on: frozenset[int | str] | None = None


@dataclass(frozen=True, slots=True)
class CheckpointAsk:
    name: str
    place: Place
    every_seconds: int | None = None


def read_settings(data: dict[str, object], place: Place, found: list[Diagnostic]) -> dict[str, Setting]:
    """The settings in a task, a task file or `defaults`. What cannot be read is told and left out."""
    settings = {}
    for key in SETTINGS:
        if key in data and (setting := _read(key, data[key], place / key, found)) is not None:
            settings[key] = Setting(setting, place / key)
    return settings


Reader = Callable[[Any, Place, list[Diagnostic]], object]


def _read(key: str, value: object, place: Place, found: list[Diagnostic]) -> object:
    """The value by its key; None for what the schema refuses, which was told with the shape."""
    kinds, read = _READERS[key]
    if (isinstance(value, bool) and kinds not in (bool, CACHE_KINDS)) or not isinstance(value, kinds):
        return None
    try:
        return read(value, place, found)
    except ValueError as error:
        found.append(place.finding(_CODE[key], str(error), fix=_FIX.get(key, "")))
        return None


_CODE = {
    "image": "bad-image", "cpu": "bad-quantity", "memory": "bad-quantity", "disk": "bad-quantity",
    "shm": "bad-quantity", "workspace": "bad-quantity", "timeout": "bad-duration", "gpu": "bad-gpu",
}  # fmt: skip
_FIX = {
    "image": "write name:tag or name@sha256:<64 hex digits>, such as ghcr.io/acme/churn:1.8",
    "timeout": quantities.DURATION_RULE,
    "cpu": quantities.CPU_RULE,
    **dict.fromkeys(("memory", "disk", "shm", "workspace"), quantities.SIZE_RULE),
    "gpu": "write a count, such as 1, or pool:count, such as a100:2",
}


def _image(value: str, _place: Place, _found: list[Diagnostic]) -> str:
    if not IMAGE.fullmatch(value) or len(value) > 500:
        raise ValueError(f'"{value[:80]}" is not an image reference')
    return value


def _code(value: str | list[object], place: Place, _found: list[Diagnostic]) -> tuple[tuple[str, Place], ...]:
    if isinstance(value, str):
        return ((value, place),)
    return tuple((path, place / i) for i, path in enumerate(value) if isinstance(path, str))


def _cpu(value: str | float, place: Place, _found: list[Diagnostic]) -> int:
    if isinstance(value, str) and not quantities.CPU_TEXT.fullmatch(value):
        raise ValueError(f'"{value[:40]}" is not an amount of cpu')
    return quantities.cpu_millis(place.document.text(place.route))


def _amount(value: str, _place: Place, _found: list[Diagnostic]) -> Amount:
    return Amount(*quantities.size(value))


def _workspace(value: str, _place: Place, _found: list[Diagnostic]) -> WorkspaceAsk:
    kind, colon, size = value.rpartition(":")
    if colon and not POOL.fullmatch(kind):
        raise ValueError(f'"{kind[:40]}" is not the name of a kind of volume')
    return WorkspaceAsk(kind or DEFAULT_KIND, Amount(*quantities.size(size)))


def _name(value: str, _place: Place, _found: list[Diagnostic]) -> str | None:
    return value if POOL.fullmatch(value) else None  # the schema said so


def _timeout(value: str, _place: Place, _found: list[Diagnostic]) -> int:
    return quantities.duration_seconds(value)


def _retries(value: int | dict[str, Any], place: Place, found: list[Diagnostic]) -> Retries | None:
    if isinstance(value, int):
        return Retries(value) if 0 <= value <= 9 else None  # else: the schema said so
    count = value.get("count")
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= 9:
        return None
    return Retries(count, _duration(value.get("backoff"), place / "backoff", found) or 0, _on(value, place, found))


def _on(value: dict[str, Any], place: Place, found: list[Diagnostic]) -> frozenset[int | str] | None:
    listed = value.get("on")
    if not isinstance(listed, list):
        return None
    ends = set[int | str]()
    for index, end in enumerate(listed):
        if isinstance(end, bool) or not isinstance(end, int | str):
            continue  # the schema said so
        if isinstance(end, str) and end != INFRASTRUCTURE:
            message = f'"{end[:80]}" is not a failure that `on` knows'
            why = "a program tells its failures apart by exit codes; all that is not its own is infrastructure"
            found.append(
                (place / "on" / index).finding("bad-value", message, why, "write an exit code or infrastructure")
            )
        elif end in ends:
            message = f"{end} stands here a second time"
            found.append((place / "on" / index).finding("bad-value", message, "", "remove one of them"))
        ends.add(end)
    return frozenset(ends)


def _duration(text: object, place: Place, found: list[Diagnostic]) -> int | None:
    if not isinstance(text, str):
        return None
    try:
        return quantities.duration_seconds(text)
    except ValueError as error:
        found.append(place.finding("bad-duration", str(error), fix=quantities.DURATION_RULE))
        return None


def _checkpoint(value: str | dict[str, Any], place: Place, found: list[Diagnostic]) -> CheckpointAsk | None:
    if isinstance(value, str):
        return CheckpointAsk(value, place)
    name = value.get("name")
    every = _duration(value.get("every"), place / "every", found)
    return CheckpointAsk(name, place / "name", every) if isinstance(name, str) else None


def _flag(value: bool, _place: Place, _found: list[Diagnostic]) -> bool:
    return value


def _count(value: int, _place: Place, _found: list[Diagnostic]) -> int:
    return value


def _gpu(value: int | str, _place: Place, _found: list[Diagnostic]) -> GpuAsk:
    text = str(value)
    match = _GPU.fullmatch(text)
    if not match:
        raise ValueError(f'"{text[:40]}" is neither a count of GPUs nor pool:count')
    return GpuAsk(match["pool"] or "default", int(match["count"]))


def _env(value: dict[str, object], place: Place, _found: list[Diagnostic]) -> dict[str, Setting]:
    texts = {name: _scalar_text(item, place / name) for name, item in value.items()}
    return {name: Setting(text, place / name) for name, text in texts.items() if text is not None}


def _scalar_text(value: object, place: Place) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    return place.document.text(place.route) if isinstance(value, int | float) else None


def secret_key(text: str) -> SecretKey | None:
    """What a reference of the form secret/key names; None for another text."""
    match = _SECRET.fullmatch(text)
    return SecretKey(match["secret"], match["key"]) if match else None


def _secrets(data: dict[str, object], place: Place, found: list[Diagnostic]) -> dict[str, Setting]:
    read = {}
    for variable, value in data.items():
        here = place / variable
        if not isinstance(value, str):
            continue
        key = secret_key(value)
        if key is not None:
            read[variable] = Setting(key, here)
        else:
            message = f'secret "{variable[:80]}" is not a reference of the form secret/key'
            why = "a spec names a secret, it never holds one"
            fix = "write the Secret's name and its key, such as hf/token"
            found.append(Diagnostic("bad-value", message, here.span, why, fix, secret=True))
    return read


def _cache(value: bool | dict[str, Any], place: Place, found: list[Diagnostic]) -> CacheAsk:
    if isinstance(value, bool):
        return CacheAsk(value)
    max_age, key = value.get("max_age"), value.get("key")
    seconds = None
    if isinstance(max_age, str):
        try:
            seconds = quantities.duration_seconds(max_age)
        except ValueError as error:
            found.append((place / "max_age").finding("bad-duration", str(error), fix=quantities.DURATION_RULE))
    read: tuple[Type | None, str] | None = None
    key_place = None
    if isinstance(key, str):
        read, key_place = (None, key), place / "key"
    elif isinstance(key, dict) and isinstance(key.get("value"), str | int | float):
        key, key_place = key["value"], place / "key" / "value"
        read = (type_of(key), _scalar_text(key, key_place) or "")
    elif isinstance(key, int | float):
        read, key_place = (type_of(key), _scalar_text(key, place / "key") or ""), place / "key"
    return CacheAsk(value.get("off") is not True, seconds, read, key_place)


CACHE_KINDS = (bool, dict)

# key: (the types of a spec's value, its reader). image: str. code: tuple of (path, Place). cpu: int, thousandths.
# timeout: int, seconds. env: dict of Setting(str). secrets: dict of Setting(SecretKey). cache: CacheAsk.
# workspace: WorkspaceAsk. priority, queue: str.
# timeout: int, seconds. retries: Retries. idempotent, spot: bool. checkpoint: CheckpointAsk.
# nodes: int. env: dict of Setting(str). secrets: dict of Setting(SecretKey).
_READERS: dict[str, tuple[type | tuple[type, ...], Reader]] = {
    "image": (str, _image),
    "code": ((str, list), _code),
    "cpu": ((int, float, str), _cpu),
    "memory": (str, _amount),
    "disk": (str, _amount),
    "shm": (str, _amount),
    "gpu": ((int, str), _gpu),
    "timeout": (str, _timeout),
    "retries": ((int, dict), _retries),
    "idempotent": (bool, _flag),
    "checkpoint": ((str, dict), _checkpoint),
    "spot": (bool, _flag),
    "workspace": (str, _workspace),
    "priority": (str, _name),
    "queue": (str, _name),
    "nodes": (int, _count),
    "env": (dict, _env),
    "secrets": (dict, _secrets),
    "cache": (CACHE_KINDS, _cache),
}
