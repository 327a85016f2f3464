"""Files of OpenLineage events from elsewhere: every form that producers write, and each fault at its place."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Sequence
from typing import Any

import pytest

from mlgen.ledger.records import foreign, imported
from mlgen.ledger.records.foreign import Foreign, LeftOut, NotOpenLineage, Place
from tests.ledger.test_imported import event

FIRST, SECOND = event(), event(eventType="START", outputs=[])
KEPT = [imported.mark(one, "prod") for one in (FIRST, SECOND)]


def read(text: str | bytes) -> list[Foreign | LeftOut]:
    return list(foreign.read(io.BytesIO(text.encode() if isinstance(text, str) else text), "prod"))


def kept(found: Sequence[Foreign | LeftOut]) -> list[bytes]:
    return [one.data for one in found if isinstance(one, Foreign)]


@pytest.mark.parametrize(
    "text",
    [
        f"{json.dumps(FIRST)}\n{json.dumps(SECOND)}\n",
        f"\r\n{json.dumps(FIRST)}\r\n\r\n{json.dumps(SECOND)}",
        json.dumps([FIRST, SECOND]),
        json.dumps([FIRST, SECOND], indent=2),
        f"{json.dumps([FIRST])}\n{json.dumps([SECOND])}",
        f"{json.dumps(FIRST, indent=1)}\n{json.dumps(SECOND, indent=1)}",
        f"\ufeff{json.dumps(FIRST)}\n{json.dumps(SECOND)}\n",
        f"{json.dumps(FIRST)}{json.dumps(SECOND)}",
    ],
    ids=["ndjson", "crlf", "array", "pretty-array", "array-a-line", "pretty", "bom", "concatenated"],
)
def test_every_form_of_file_gives_the_same_bytes(text: str) -> None:
    assert kept(read(text)) == KEPT


@pytest.mark.parametrize("text", ["", "\n\n", "[]", " [ ] "])
def test_a_file_without_events_has_none(text: str) -> None:
    assert read(text) == []


def test_places_are_those_of_the_events() -> None:
    assert [one.place for one in read(f"\n{json.dumps(FIRST)}\n {json.dumps(FIRST)}")] == [Place(2, 1), Place(3, 2)]
    assert [one.place for one in read(f"[\n {json.dumps(FIRST)}\n, {json.dumps(FIRST)}]")] == [Place(2, 2), Place(3, 3)]


def test_events_of_jobs_and_datasets_alone_are_left_out() -> None:
    about = {k: FIRST[k] for k in ("eventTime", "producer", "job")}
    job = about | {"schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/JobEvent"}
    assert read(json.dumps(job)) == [LeftOut(Place(1, 1))]
    with pytest.raises(NotOpenLineage, match="run is not an object"):
        read(json.dumps(about | {"schemaURL": FIRST["schemaURL"]}))


GOOD = json.dumps(FIRST)


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("hello", Place(1, 1), "Expecting value"),
        ("42", Place(1, 1), "no event"),
        ('"text"', Place(1, 1), "no event"),
        (f"{GOOD}\n{{}}", Place(2, 1), "run is not an object"),
        (f'{GOOD}\n{{"a": }}', Place(2, 7), "Expecting value"),
        (f"{GOOD}\n  [1]", Place(2, 4), "no event"),
        (f"[{GOOD},\n 7]", Place(2, 2), "no event"),
        (f"[{GOOD}\n{GOOD}]", Place(2, 1), "comma"),
        (f"[{GOOD}", Place(1, len(GOOD) + 2), "comma"),
        (f"[{GOOD},", Place(1, len(GOOD) + 3), "Expecting value"),
        (f"[{GOOD},]", Place(1, len(GOOD) + 3), "Expecting value"),
        (f'{GOOD}\n{{"a": NaN}}', Place(2, 1), "NaN"),
        (f'{GOOD}\n{{"a": 1e999}}', Place(2, 1), "too large"),
        (f'{GOOD}\n{{"a": {"1" * 5000}}}', Place(2, 1), "5,000 digits"),
        (f"{GOOD}\n{json.dumps({**FIRST, 'a': chr(0xD800)})}", Place(2, 1), "half of a surrogate pair"),
        (f'{GOOD}\n{{"a": 1, "a": 2}}', Place(2, 1), "twice"),
        (f'{GOOD}\n{{"a": "\\ud800"}}', Place(2, 1), "run is not an object"),
        (GOOD + "\n" + "[" * 100_000, Place(2, 2), "nested too deep"),
        (json.dumps({**FIRST, "deep": json.loads("[" * 70 + "]" * 70)}), Place(1, 1), "nested too deep"),
        (f"{GOOD}\n".encode() + b'{"a": "\xff"}', Place(2, 8), "UTF-8"),
        (f"{GOOD}\n".encode() + b'"' + b"x" * foreign.MAX_LINE, Place(2, 1), "longer than"),
        (b" \n" * 2 + b"[" + b" " * foreign.MAX_WHOLE, Place(3, 1), "begins a file of more than"),
        (b"PAR1\x00\xff\xfe", Place(1, 6), "UTF-8"),
    ],
)
def test_what_is_no_openlineage_is_refused_at_its_place(text: str | bytes, place: Place, said: str) -> None:
    with pytest.raises(NotOpenLineage, match=said) as refused:
        read(text)
    assert refused.value.place == place


def test_what_looks_secret_is_masked_and_told() -> None:
    token = "ghp_" + "aB3dE5gH7jK9mN1pQ3sT5vX7zA9cE1gI3kM5"
    spoiled: dict[str, Any] = {**FIRST, "run": {**FIRST["run"], "facets": {"conf": {"spark.auth.token": token}}}}
    (found,) = read(json.dumps(spoiled))
    assert isinstance(found, Foreign)
    assert token.encode() not in found.data
    assert found.masked
    assert token not in str(found.masked)
    assert kept(read(json.dumps(spoiled))) == [found.data]


def test_a_long_list_on_one_line_takes_time_in_proportion() -> None:
    def seconds(count: int) -> float:
        text = json.dumps([FIRST] * count).encode()
        began = time.process_time()
        assert sum(1 for _ in foreign.read(io.BytesIO(text), "prod")) == count
        return time.process_time() - began

    few, many = (min(seconds(count) for _ in range(3)) for count in (250, 2000))  # others are at work here, too
    assert many < 12 * few
