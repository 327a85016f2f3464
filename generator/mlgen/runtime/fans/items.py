"""The items of a fan (decision 0031): which combination of its variables a number means, and how many there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod

from mlgen.canonical import Json
from mlgen.ledger.records.task import Item
from mlgen.runtime.fans.model import Count, FanDocument, ListDocument
from mlgen.runtime.outs import StagingError
from mlgen.values import parse, parse_json, parse_string, to_text

MOST_OF_A_RUN = 256  # items of a list that only the run knows: its producer's results have to say which there are
CHUNK = 16  # items of a chunk of such a list: so neither the numbers of chunks nor those of the rest fill a result

ReadList = Callable[[ListDocument], str | None]  # the json text of a list; None where an optional out was not written


def of_row(fan: FanDocument, index: int, texts: Mapping[str, str]) -> Item:
    """The item of a fan whose rows are known beforehand. texts: of its variables, by name."""
    assert fan.of is not None, "as many as there are rows"
    return Item(index, fan.of, {name: parse(type_, texts[name]) for name, type_ in fan.variables}, fan.pick)


def of_lists(fan: FanDocument, index: int, read: ReadList) -> tuple[Item, dict[str, str]]:
    """The item of a fan over lists of the run, and the text of each variable. Raises StagingError."""
    lists = elements(fan.lists, read)
    of, rest, at = prod(map(len, lists)), index, list[int]()
    if index >= of:
        raise StagingError(f"there is no item {index} among {of}")
    for values in reversed(lists):  # the last one is the innermost
        rest, here = divmod(rest, len(values))
        at.insert(0, here)
    found = {name: values[here] for (name, _), values, here in zip(fan.variables, lists, at, strict=True)}
    texts = {name: to_text(value) for name, value in found.items()}
    for (name, type_), one in zip(fan.variables, fan.lists, strict=True):
        if isinstance(one.source, tuple):
            found[name] = parse(type_, texts[name])
    return Item(index, of, found), texts


def elements(lists: tuple[ListDocument, ...], read: ReadList) -> list[list[Json]]:
    """What each list holds. Raises StagingError where one is no list, or holds a text that no variable can."""
    return [_elements(one, read) for one in lists]


def _elements(one: ListDocument, read: ReadList) -> list[Json]:
    if isinstance(one.source, tuple):
        return list(one.source)
    text = read(one)
    if text is None:
        return []
    try:
        value = parse_json(text)
    except ValueError as error:
        raise StagingError(f'"{one.source}" cannot be gone through: {error}') from None
    if not isinstance(value, list):
        raise StagingError(f'"{one.source}" cannot be gone through: it is no JSON list, but {text[:40]}')
    for index, element in enumerate(value):
        if isinstance(element, str):
            try:
                parse_string(element)
            except ValueError as error:
                raise StagingError(f'"{one.source}" cannot be gone through: element {index}: {error}') from None
    return value


@dataclass(frozen=True, slots=True)
class Counted:
    """of: items. full: chunks of as many items as one has. rest: the items after those, by number."""

    of: int
    full: int
    rest: range


def counted(count: Count, read: ReadList) -> Counted:
    """How many items a fan has. Raises StagingError where a list is none, or holds too many."""
    of = prod(map(len, elements(count.lists, read)))
    if of > MOST_OF_A_RUN:
        raise StagingError(
            f'"{count.task}" would run {of:,} times, and at most {MOST_OF_A_RUN} for lists that only the run knows: '
            "hand on fewer, longer pieces"
        )
    full = of // count.chunk
    return Counted(of, full, range(full * count.chunk, of))
