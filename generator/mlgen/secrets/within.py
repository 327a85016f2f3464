"""Where in plain data, such as that of a spec, something looks like a secret: by its own looks, or by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from mlgen.canonical import Json
from mlgen.secrets.look import RANDOM
from mlgen.secrets.plain import is_plain

Route = tuple[str | int, ...]


class Sight(NamedTuple):
    """route: of the value. start, end: in its text; None where it is the name above it. kind: as `Finding.kind`."""

    route: Route
    start: int | None
    end: int | None
    kind: str


def sights(data: Json, names_count: Callable[[Route], bool]) -> Iterator[Sight]:
    """Each secret in plain data; what only looks random is none. Takes time linear in the data.

    names_count: whether the name above the value at a route says what the value is: it may be a reference's.
    """
    if is_plain("\n".join(_texts(data)).encode(errors="surrogatepass")):
        return
    from mlgen.secrets import names  # here: their expressions take 15 ms, and most specs need none of them
    from mlgen.secrets.search import spans

    todo: list[tuple[Route, str, Json]] = [((), "", data)]
    while todo:
        route, name, value = todo.pop()
        if isinstance(value, dict):
            for (key, item), under in zip(value.items(), names.names_in_object(value.items(), name), strict=True):
                for span in spans(key):
                    if span.kind != RANDOM:
                        yield Sight((*route, key), None, None, span.kind)
                todo.append(((*route, key), under, item))
        elif isinstance(value, list):
            under_each = zip(value, names.names_in_list(value, name), strict=True)
            todo += [((*route, at), under, item) for at, (item, under) in enumerate(under_each)]
        elif isinstance(value, str):
            kind = names.named(name, value) if names_count(route) else None
            if kind is not None:
                yield Sight(route, 0, len(value), kind)
                continue
            yield from (Sight(route, s.start, s.end, s.kind) for s in spans(value) if s.kind != RANDOM)


def _texts(data: Json) -> Iterator[str]:
    todo = [data]
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            yield from value
            todo += value.values()
        elif isinstance(value, list):
            todo += value
        elif isinstance(value, str):
            yield value
