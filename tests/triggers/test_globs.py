"""Globs: as the regular expression that clusters judge by has them, and in no time whatever the text."""

from __future__ import annotations

import json
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgen.triggers import model
from mlgen.triggers.events import Event
from mlgen.triggers.globs import matches, pattern
from mlgen.triggers.matching import passes, told
from mlgen.triggers.model import Field, How, Kind, Root, Trigger


@settings(max_examples=1000, deadline=None)
@given(st.text("ab/*?.\n$", max_size=10), st.text("ab/*?.\n$", max_size=12))
def test_they_are_their_regular_expressions(glob: str, text: str) -> None:
    assert matches(glob, text) == (re.fullmatch(pattern(glob), text) is not None)


@settings(max_examples=500, deadline=None)
@given(st.text("ab/*?", max_size=8), st.data())
def test_what_is_made_by_one_fits(glob: str, data: st.DataObject) -> None:
    fills = {"**": st.text("ab/", max_size=4), "*": st.text("ab", max_size=4), "?": st.sampled_from("ab")}
    parts = re.findall(r"\*\*|\*|\?|[^*?]+", glob)
    text = "".join(data.draw(fills[part]) if part in fills else part for part in parts)
    assert matches(glob, text)
    assert re.fullmatch(pattern(glob), text)


@pytest.mark.parametrize("glob", ["in/*-*-*.csv", "*-*-*-*-*-*-*-*x", "**-**-**-**x", "in/**-*-**-*?*.csv"])
def test_no_text_holds_one_up(glob: str) -> None:
    begun = time.perf_counter()
    assert not matches(glob, "in/" + "-" * 50_000)
    test = model.Test(Field(Root.DATA, ("x",)), How.GLOB, (glob,))
    assert not passes(test, Event({}, {"data": {"x": "in/" + "-" * 50_000}}))
    assert time.perf_counter() - begun < 10  # Python's re: hours


@pytest.mark.parametrize(("key", "runs"), [("-" * 1021, 1), ("-" * 1022, 0), ("%C3%BC" * 510, 1), ("%C3%BC" * 511, 0)])
def test_a_key_is_no_longer_than_s3_has_them(key: str, runs: int) -> None:
    record = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "bkt"}, "object": {"key": f"in/{key}"}}}
    body = json.loads(json.dumps({"Records": [record]}))
    assert len(told(Trigger(Kind.OBJECT, "s3://bkt/in/*"), Event({}, body))) == runs
