"""Shape: one finding for each cause, and three validators of one mind."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import jsonschema
import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings

from mlgen.diagnostic import Severity, sort
from mlgen.spec import shape
from mlgen.spec.document import read
from mlgen.spec.reader import MAX_FINDINGS
from mlgen.spec.shape import Kind, check_shape, schema
from tests.spec.mutations import VALID, mutated
from tests.strategies import Spec, source, specs

KINDS: tuple[Kind, ...] = ("pipeline", "task", "project", "lock")
HEAD = "version: 1\nname: x\ntasks:\n  a: {run: x}\n"

# (kind, text, place and code of each finding)
BAD: list[tuple[Kind, str, list[str]]] = [
    ("pipeline", HEAD, []),
    ("pipeline", "[]", ["1:1 wrong-type"]),
    ("pipeline", "x", ["1:1 wrong-type"]),
    ("pipeline", "# first line\nlabels: {}\n", ["1:1 missing-key", "1:1 missing-key", "1:1 missing-key"]),
    ("pipeline", HEAD.replace("name: x", ""), ["1:1 missing-key"]),
    ("pipeline", HEAD.replace("name:", "nam:"), ["2:1 unknown-key"]),  # and not: `name` is missing
    ("pipeline", "version: 2\nnoise: 1\n", ["1:10 unknown-version"]),
    ("pipeline", HEAD.replace("version: 1", "version: 0"), ["1:10 unknown-version"]),
    ("pipeline", HEAD.replace("version: 1", "version: '1'"), ["1:10 wrong-type"]),
    ("pipeline", HEAD.replace("version: 1", "version: 1.0"), ["1:10 wrong-type"]),
    ("pipeline", HEAD.replace("version: 1", "version: true"), ["1:10 wrong-type"]),
    ("pipeline", "version: 1\nname: x\ntasks: {}\n", ["3:1 bad-value"]),
    ("pipeline", "version: 1\nname: x\ntasks:\n", ["3:1 wrong-type"]),
    ("pipeline", "version: 1\nname: x\ntasks: [a]\n", ["3:8 wrong-type"]),
    ("pipeline", HEAD + "  b:\n", ["5:3 wrong-type"]),
    ("pipeline", HEAD + "  b: {}\n", ["5:3 missing-key"]),
    ("pipeline", HEAD + "  b: {runs: x}\n", ["5:7 unknown-key"]),
    ("pipeline", HEAD + "  b: {run: x, use: z}\n", ["5:15 bad-value"]),
    ("pipeline", HEAD + "  b: {use: z, run: x}\n", ["5:15 bad-value"]),
    ("pipeline", HEAD + "  b: {run: ''}\n", ["5:7 bad-value"]),
    ("pipeline", HEAD + "  b: {run: []}\n", ["5:7 bad-value"]),
    ("pipeline", HEAD + "  b: {run: [x, 1, true]}\n", []),
    ("pipeline", HEAD + "  b: {run: [x, [1], null]}\n", ["5:16 wrong-type", "5:21 wrong-type"]),
    ("pipeline", HEAD + "  b: {run: x, in: a.x}\n", ["5:19 wrong-type"]),
    ("pipeline", HEAD + "  b: {run: x, in: [1]}\n", ["5:20 wrong-type"]),
    ("pipeline", HEAD + "  b: {run: x, in: {p: 1, q: true, r: a.x, s: {value: [1]}}}\n", []),
    ("pipeline", HEAD + "  b: {run: x, in: {p: [1], q: {}, r: , s: {value: }}}\n",
     ["5:23 wrong-type", "5:28 missing-key", "5:35 wrong-type", "5:44 wrong-type"]),
    ("pipeline", HEAD + "  b: {run: x, out: [p, q]}\n", []),
    ("pipeline", HEAD + "  b: {run: x, out: {p: modle, q: {type: text}, r: {optional: 1}, s: {max: 0}}}\n",
     ["5:24 bad-value", "5:41 bad-value", "5:62 wrong-type", "5:75 bad-value"]),
    ("pipeline", HEAD + "  b: {run: x, retries: 10, gpu: 1.0, timeout: 30, memory: 2, cpu: true}\n",
     ["5:24 bad-value", "5:33 wrong-type", "5:47 wrong-type", "5:59 wrong-type", "5:67 wrong-type"]),
    ("pipeline", HEAD + "  b: {run: x, after: a, if: true, cache: 1, Image: x}\n",
     ["5:22 wrong-type", "5:29 wrong-type", "5:42 wrong-type", "5:45 unknown-key"]),
    ("pipeline", HEAD + "  b: {run: x, env: {A: 1, B: [x]}, secrets: {C: 1}}\n",
     ["5:30 wrong-type", "5:49 wrong-type"]),
    ("pipeline", HEAD + "finally:\n  z: {run: x, after: [a], slo: 1}\n", ["6:15 unknown-key", "6:27 reserved-key"]),
    ("pipeline", HEAD + "slo: {}\nparam: {}\n", ["5:1 reserved-key", "6:1 unknown-key"]),
    ("pipeline", HEAD + "params: {sweep: 1, on: x}\n", []),  # reserved are keys of tasks, not names
    ("pipeline", HEAD + "params: {a: {}, b: , c: {type: str}, d: {choices: []}, e: {type: json, foo: 1}, f: [1]}\n",
     ["5:10 missing-key", "5:17 wrong-type", "5:32 bad-value", "5:42 bad-value", "5:72 unknown-key"]),
    ("pipeline", HEAD + "params: {a: {minimum: x}, b: {default: }}\n",
     ["5:10 missing-key", "5:23 wrong-type", "5:31 wrong-type"]),
    ("pipeline", HEAD + "inputs: {a: 1, b: {}, c: {type: metric}, d: {url: x}}\n",
     ["5:13 wrong-type", "5:33 bad-value", "5:46 unknown-key"]),
    ("pipeline", HEAD + "defaults: {run: x, retries: -1}\n", ["5:12 unknown-key", "5:29 bad-value"]),
    ("pipeline", HEAD + "labels: {a: 1}\nowner: [x]\n", ["5:13 wrong-type", "6:8 wrong-type"]),
    # what reading refused is told once
    ("pipeline", HEAD + "  b: {run: yes, retries: 010, timeout: 1:30, <<: {}}\n",
     ["5:12 quote-it", "5:26 quote-it", "5:40 quote-it", "5:46 yaml-alias"]),
    ("pipeline", HEAD + "name: z\n", ["5:1 duplicate-key"]),
    ("pipeline", "", ["1:1 missing-key"]),
    # names, references and quantities are check's
    ("pipeline", HEAD + "  B: {run: x, in: [bad], timeout: soon, memory: 2GB, gpu: many, use_: 1}\n",
     ["5:65 unknown-key"]),
    ("pipeline", HEAD + "  b: {use: z, out: [x], env: {A: b}}\n", []),
    ("task", "version: 1\nkind: task\nname: x\nrun: x\nin: {m: {type: model}, s: {choices: [a, b]}}\nout: {f: file}\n",
     []),
    ("task", "version: 1\nkind: tasks\nname: x\nrun: x\nin: {m: model, n: {}}\nuse: z\nslo: 1\n",
     ["2:7 bad-value", "5:9 wrong-type", "5:16 missing-key", "6:1 unknown-key", "7:1 reserved-key"]),
    ("task", "version: 1\n", ["1:1 missing-key"] * 3),
    ("project", "version: 1\n", []),
    ("project", "version: 1\nenvironments: {local: {artefacts: x, ca: z}}\n",
     ["2:24 unknown-key", "2:38 reserved-key"]),
    ("project", "version: 1\nsweep: 1\nenvironments: {local: {ca: main}}\n", ["2:1 unknown-key", "3:24 reserved-key"]),
    ("project", "version: 1\nenvironments: {p: {user: 0, queue: 60, ledger: {fold: never}, gpus: {a: {}}}}\n",
     ["2:26 bad-value", "2:36 wrong-type", "2:55 bad-value", "2:70 missing-key"]),
    ("project", "version: 1\nenvironments: {p: {s3: {key: x}, limits: {gpu: -1}, registries: [''], labels: {a: 1}}}\n",
     ["2:25 unknown-key", "2:48 bad-value", "2:66 bad-value", "2:83 wrong-type"]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text", "expected"), BAD)
def test_each_cause_has_one_finding_at_its_place(kind: Kind, text: str, expected: list[str]) -> None:
    document = read("x.yaml", text.encode())
    found = sort([*document.diagnostics, *check_shape(document, kind)[0]])
    assert [f"{d.span.line}:{d.span.column} {d.code}" for d in found] == expected
    assert all(d.message and d.severity is Severity.ERROR for d in found)


OUT_MAP = "write `out` as a map, not a list: out: {no: file}"
GPU = "write a whole number or a text, such as gpu: 1"
FOR = "`i` is a {}, not a list, a map or a text"
GRID = "`i` is a {}, not a list or a map"


@pytest.mark.parametrize(
    ("text", "message", "fix"),
    [
        ("nam: y\n", 'the file has no key "nam"', "write name"),
        ("  b: {imag: x, run: x}\n", 'task "b" has no key "imag"', "write image"),
        ("  b: {run: x, zzz: x}\n", 'task "b" has no key "zzz"', "remove it"),
        ("  b: {}\n", 'task "b" has none of `run` and `use`', "add `run` or `use`"),
        ("  b: {run: x, after: a}\n", "`after` is a text, not a list", "write after: [a]"),
        (
            "  b: {run: x, timeout: 30}\n",
            "`timeout` is a whole number, not a text",
            "write timeout: 30s for seconds, or 30m for minutes",
        ),
        (
            "  b: {run: x, retries: 2.0}\n",
            "`retries` is a number with a decimal point, not a whole number or a map",
            "write retries: 2",
        ),
        ("  b: {run: x, out: {m: modle}}\n", '`m` cannot be "modle"', "write model"),
        (
            "  b: {run: x, in: [a.x, 1]}\n",
            "item 2 of `in` is a whole number, not a text",
            "a value needs a name: write `in` as a map, {NAME: 1}",
        ),
        ("  b: {run: x, command: y}\n", 'task "b" has no key "command"', "write run"),
        ("  b: {run: x, out: [{no: file}]}\n", "item 1 of `out` is a map, not a text", OUT_MAP),
        ("  b: {run: x, gpu: [1]}\n", "`gpu` is a list, not a whole number or a text", GPU),
        ("  b: {run: x, for: {i: 5}}\n", FOR.format("whole number"), "write i: {range: 5} for 0 to 4"),
        ("  b: {run: x, for: {i: 0}}\n", FOR.format("whole number"), "write i: [0]"),
        (
            "  b: {run: x, for: {memory: 5}}\n",
            "`memory` is a whole number, not a list, a map or a text",
            "write memory: {range: 5} for 0 to 4",
        ),
        ("  b: {run: x, for: {i: true}}\n", FOR.format("boolean"), "write i: [true]"),
        ("  b: {run: x, sweep: {grid: {i: 5}}}\n", GRID.format("whole number"), "write i: {range: 5} for 0 to 4"),
        ("  b: {run: x, sweep: {grid: {i: 1..5}}}\n", GRID.format("text"), "write i: {range: [1, 6]}"),
        ("  b: {run: x, sweep: {grid: {i: 5..1}}}\n", GRID.format("text"), "write i: [5..1]"),
        ("  b: {run: x, sweep: {grid: {i: -1-5}}}\n", GRID.format("text"), "write i: {range: [-1, 6]}"),
        ("  b: {run: x, sweep: {random: {i: 1..5}, trials: 2}}\n", GRID.format("text"), "write i: {min: 1, max: 5}"),
        (
            "  b: {run: x, retries: {count: 1, backoff: 1}}\n",
            "`backoff` is a whole number, not a text",
            "write backoff: 1s for seconds, or 1m for minutes",
        ),
        ("labels: {a: 0x10}\n", "`a` is a whole number, not a text", 'quote it: "0x10"'),
        ("slo: 1\n", 'not yet: "slo" is kept for a later version of mlgen', "remove it"),
    ],
)
def test_findings_say_what_to_write(text: str, message: str, fix: str) -> None:
    document = read("x.yaml", (HEAD + text).encode())
    assert [(d.message, d.fix) for d in check_shape(document, "pipeline")[0]] == [(message, fix)]


def test_bad_routes_are_told_to_those_who_read_on() -> None:
    text = HEAD + "  b: {run: x, retries: ten, colour: red}\nparams: {p: no}\nlabels: {}\n"
    document = read("x.yaml", text.replace("name: x\n", "").encode())
    bad = check_shape(document, "pipeline")[1]
    assert bad == {("name",), ("tasks", "b", "retries"), ("tasks", "b", "colour"), ("params", "p")}


def test_a_newer_format_is_not_judged() -> None:
    found, bad = check_shape(read("x.yaml", b"version: 2\nanything: [1]\n"), "pipeline")
    assert [d.fix for d in found] == ["upgrade mlgen"]
    assert () in bad


def test_findings_of_one_file_end_somewhere() -> None:
    text = HEAD + "labels:\n" + "".join(f"  l{i}: {'no' if i < 10 else i}\n" for i in range(300))
    document = read("x.yaml", text.encode())
    found, _ = check_shape(document, "pipeline")
    assert len(document.diagnostics) + len(found) == MAX_FINDINGS + 1
    assert found[-1].code == "too-many-findings"


@pytest.mark.parametrize("kind", KINDS)
def test_schemas_are_valid_and_told_in_full(kind: Kind) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(kind))
    for where, part in parts(schema(kind), "#"):
        if where.count("/") <= 2 and "$ref" not in part and where != "#/$defs/labels":
            assert part.get("title"), where
            assert part.get("description"), where
        for example in part.get("examples", []):
            here = {**part, "$defs": schema(kind)["$defs"], "$schema": schema(kind)["$schema"]}
            assert jsonschema_rs.is_valid(here, example), (where, example)


def test_files_of_two_kinds_share_their_definitions() -> None:
    for name in schema("pipeline")["$defs"].keys() & schema("task")["$defs"].keys():
        assert schema("pipeline")["$defs"][name] == schema("task")["$defs"][name], name
    for name in ("size", "duration"):
        assert schema("pipeline")["$defs"][name] == schema("project")["$defs"][name], name


WALKED = {
    "$ref", "type", "const", "enum", "minimum", "maximum", "minLength", "minItems", "minProperties", "required",
    "anyOf", "oneOf", "if", "then", "items", "properties", "additionalProperties",
}  # fmt: skip
WORDS = {"$schema", "$id", "$defs", "title", "description", "enumDescriptions", "examples", "default"}


def parts(part: Any, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """All schemas within a schema."""
    if not isinstance(part, dict):
        return
    yield where, part
    for key in ("items", "additionalProperties", "propertyNames", "if", "then"):
        yield from parts(part.get(key), f"{where}/{key}")
    for key in ("properties", "$defs", "dependentSchemas"):
        for name, child in part.get(key, {}).items():
            yield from parts(child, f"{where}/{key}/{name}")
    for key in ("anyOf", "oneOf", "allOf"):
        for index, child in enumerate(part.get(key, [])):
            yield from parts(child, f"{where}/{key}/{index}")


@pytest.mark.parametrize("kind", KINDS)
def test_our_walk_knows_every_keyword_of_the_schemas(kind: Kind) -> None:
    for where, part in parts(schema(kind), "#"):
        assert part.keys() <= WALKED | WORDS | shape.LEFT_TO_CHECK, where
        if "if" in part:
            assert part["if"].keys() == {"type"}, where
        for branch in [*part.get("anyOf", []), *part.get("oneOf", [])]:
            assert list(branch) == ["required"], where
            assert len(branch["required"]) == 1, where


def without(part: Any, keywords: frozenset[str]) -> Any:
    if isinstance(part, list):
        return [without(item, keywords) for item in part]
    if not isinstance(part, dict):
        return part
    return {key: without(value, keywords) for key, value in part.items() if key not in keywords}


@pytest.mark.parametrize("kind", KINDS)
def test_three_validators_are_of_one_mind(kind: Kind) -> None:
    random_ = random.Random(7)
    reference = jsonschema.Draft202012Validator(schema(kind))
    fast = jsonschema_rs.Draft202012Validator(schema(kind))
    walked = jsonschema_rs.Draft202012Validator(without(schema(kind), shape.LEFT_TO_CHECK))
    verdicts = set()
    for count in range(200):
        data = mutated(VALID[kind], random_) if count else VALID[kind]
        document = read("x.yaml", json.dumps(data, ensure_ascii=False).encode())
        if document.data is None:
            continue
        assert document.data == data
        verdict = fast.is_valid(data)
        assert reference.is_valid(data) == verdict
        found = check_shape(document, kind)[0]
        assert bool(found) != (walked.is_valid(data) or document.diagnostics != ())
        verdicts.add(verdict)
    assert verdicts == {True, False}


@given(specs())
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_valid_specs_have_a_good_shape(spec: Spec) -> None:
    document = read("x.yaml", source(spec))
    assert document.diagnostics == ()
    assert check_shape(document, "pipeline") == ([], set())
    assert jsonschema_rs.is_valid(schema("pipeline"), document.data)


def test_no_schema_is_ever_fetched() -> None:
    with pytest.raises(Exception, match="is not fetched"):
        jsonschema_rs.Draft202012Validator({"$ref": "https://example.invalid/x.json"}, retriever=shape._refuse)
