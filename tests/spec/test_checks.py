"""What specs must mean: the edges of each rule, and one finding a cause. The plain cases are in tests/invalid."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlgen import diagnostic
from mlgen.diagnostic import Findings
from mlgen.plan.make import make
from mlgen.plan.text import to_json
from mlgen.spec.checks.context import Context
from mlgen.spec.document import read
from mlgen.spec.shape import check_shape
from tests.spec.mutations import mutated
from tests.spec.texts import CONTEXT, loaded, plan_of, told
from tests.strategies import Files, Spec, source, specs


def spec(body: str, name: str = "demo") -> bytes:
    return f"version: 1\nname: {name}\n{body}".encode()


def task(name: str, **parts: str) -> str:
    """A line of `tasks`."""
    given = {"run": "echo", **parts}
    return f"  {name}: {{{', '.join(f'{key}: {value}' for key, value in given.items() if value)}}}\n"


def codes(data: bytes, **how: Any) -> list[str]:
    return [code for code, _, _ in told(data, **how)]


@pytest.mark.parametrize(
    ("pipeline", "name", "found"),
    [
        ("demo", "t" * 37, []),
        ("demo", "t" * 38, ["name-too-long"]),
        ("p" * 40, "t", []),
        ("p" * 41, "t", ["name-too-long"]),  # at `name`, once: no task's name would fit
        ("p" * 500, "t", ["name-too-long"]),
        ("demo", "T" * 500, ["bad-name"]),
        ("demo", "record", ["reserved-name"]),
        ("demo", "records", []),
        ("demo", "t-", ["bad-name"]),
        ("demo", "1t", ["bad-name"]),
        ("demo", "t--t", []),
    ],
)
def test_names_of_tasks(pipeline: str, name: str, found: list[str]) -> None:
    assert codes(spec(f"tasks:\n{task(name)}{task('a')}", pipeline), name=pipeline) == found


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("x" * 40, []),
        ("x" * 41, ["bad-name"]),
        ("x_1", []),
        ("x_", ["bad-name"]),
        ("_x", ["bad-name"]),
        ("X", ["bad-name"]),
        ("no_proxy", ["reserved-name"]),
        ("proxy", []),
        ("path", []),
        ("run", []),  # reserved for tasks only
        ("sweep", []),  # reserved as a key only
    ],
)
def test_names_of_variables(name: str, found: list[str]) -> None:
    assert codes(spec(f"params: {{{name}: 1}}\ntasks:\n{task('t', **{'in': f'[params.{name}]'})}")) == found
    assert codes(spec(f"tasks:\n{task('t', out=f'{{{name}: file}}')}{task('u', **{'in': f'[t.{name}]'})}")) == found
    assert codes(spec(f"tasks:\n{task('t', **{'in': f'{{{name}: 1}}'})}")) == found


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ({"in": "[a.x]", "out": "[x]"}, 1),
        ({"in": "{x: 1}", "env": "{x: y1}"}, 1),
        ({"out": "[x]", "secrets": "{x: s/k}"}, 1),
        ({"env": "{x: y1}", "secrets": "{x: s/k}"}, 1),
        ({"in": "[a.x, params.x]", "out": "[x]", "env": "{x: y1}"}, 3),
        ({"in": "[a.x]", "out": "[y1]", "env": "{X: y1}"}, 0),
        ({"in": "{one: a.x, two: a.x}"}, 0),
    ],
)
def test_all_variables_of_a_task_have_names_of_their_own(parts: dict[str, str], found: int) -> None:
    text = spec(f"params: {{x: 1}}\ntasks:\n{task('a', out='[x]', **{'in': '{n: params.x}'})}{task('t', **parts)}")
    assert codes(text) == ["name-collision"] * found


def test_a_default_env_collides_where_it_reaches() -> None:
    text = spec(f"defaults: {{env: {{x: one}}}}\ntasks:\n{task('a', out='[x]')}{task('b', out='[x]', env='{}')}")
    assert told(text) == [("name-collision", 3, 18)]


class Known(Files):
    """A repository that has the task file."""

    def kind(self, path: str) -> str | None:
        return "file" if path in USED else super().kind(path)


KNOWN = Context(Known(), CONTEXT.project)
USED = {"tasks/t.yaml": b"version: 1\nkind: task\nname: t\nin: {model: {type: model}, n: {type: number, minimum: 0}}\n"}
USED["tasks/t.yaml"] += b"out: {score: metric}\nenv: {LEVEL: '1'}\nrun: echo\n"


@pytest.mark.parametrize(
    ("ins", "found"),
    [
        ("{model: a.m, n: 1}", []),
        ("{model: a.m, n: 1.5}", []),
        ("{model: a.f, n: params.i}", []),  # a file may be a model; an integer is a number
        ("{model: a.m, n: a.auc}", []),  # a metric is read like a number anywhere
        ("{model: a.m}", ["missing-in"]),
        ("{}", ["missing-in", "missing-in"]),
        ("[a.m]", ["missing-in", "missing-in", "unknown-in"]),
        ("{model: a.m, n: 1, extra: 2}", ["unknown-in"]),
        ("{model: a.d, n: 1}", ["edge-type"]),
        ("{model: a.m, n: -1}", ["edge-type"]),
        ("{model: a.m, n: true}", ["edge-type"]),
        ("{model: a.m, n: params.s}", ["edge-type"]),
        ("{model: {value: x}, n: 1}", ["edge-type"]),
        ("{model: nonsense, n: 1}", ["bad-ref"]),
        ("{model: b.m, n: 1}", ["unknown-task"]),
        ("[nonsense]", ["bad-ref"]),
    ],
)
def test_what_a_task_file_is_given(ins: str, found: list[str]) -> None:
    outs = "{m: model, f: file, d: dataset, auc: metric}"
    text = spec(f"params: {{i: 1, s: x}}\ntasks:\n{task('a', out=outs)}  t: {{use: tasks/t.yaml, in: {ins}}}\n")
    assert [code for code in codes(text, task_files=USED, context=KNOWN) if code != "unused"] == found


def test_a_task_file_is_as_it_is_whoever_uses_it() -> None:
    call = "{use: tasks/t.yaml, in: {model: a.m, n: 1}, memory: 8Gi}"
    text = spec(
        f"defaults: {{image: busybox, memory: 4Gi, env: {{model: x}}}}\ntasks:\n{task('a', out='{m: model}', env='{}')}"
        f"  t: {call}\n  use: {{run: echo, in: [t.score], env: {{}}}}\n"
    )
    found = loaded(text, task_files=USED, context=KNOWN)
    assert [d.code for d in found[1]] == ["unpinned-image"]
    assert found[0] is not None
    task_ = make(found[0], Known(), {}, spec_digest="").task("t")
    assert (task_.image, task_.memory.text, task_.env) == (None, "8Gi", (("LEVEL", "1"),))


def test_what_is_wrong_in_a_task_file_is_told_there_and_once() -> None:
    wrong = {
        "tasks/t.yaml": b"version: 1\nkind: task\nname: t\nin: {x: {type: file}}\nout: [x]\nrun: echo $(params.x)\n"
    }
    calls = "".join(f"  t{i}: {{use: tasks/t.yaml, in: {{x: a.m}}}}\n" for i in range(2))
    _, found = loaded(spec(f"tasks:\n{task('a', out='[m]')}{calls}"), task_files=wrong, context=KNOWN)
    places = [(d.code, d.span.file, d.span.line) for d in diagnostic.sort(found)]
    assert places == [("name-collision", "tasks/t.yaml", 5), ("tekton-variable", "tasks/t.yaml", 6)]


@pytest.mark.parametrize(
    ("param", "found"),
    [
        ("{type: integer, default: 5}", []),
        ('{type: integer, default: "5"}', []),
        ("{type: string, default: 2026}", []),
        ("{type: number, default: 1}", []),
        ("{type: json, default: {a: [1]}}", []),
        ('{type: json, default: "[1]"}', []),
        ("{type: boolean, default: 1}", ["bad-default"]),
        ("{type: string, default: {a: 1}}", ["bad-default"]),
        ("{default: 5, minimum: 5, maximum: 5}", []),
        ("{default: 5, minimum: 6, maximum: 5}", ["bad-range"]),
        ("{default: a, minimum: 6, maximum: 5}", ["bad-range", "bad-range"]),
        ("{choices: [1, 2.5], default: 1.0}", []),
        ('{choices: ["1", "2"], default: 1}', []),
        ("{choices: [true, 1], default: 1}", ["bad-choices"]),
        ("{choices: [true], default: true}", []),
        ("{choices: [1], type: text}", ["bad-value"]),
        ("{choices: [[1], 2]}", ["wrong-type"]),
        ("{minimum: 1}", ["missing-key"]),
        ("", ["wrong-type"]),
        ('"a\\0b"', ["bad-value"]),
    ],
)
def test_params(param: str, found: list[str]) -> None:
    assert codes(spec(f"params:\n  x: {param}\ntasks:\n{task('t', **{'in': '[params.x]'})}")) == found


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("parms: {x: 1}\ntasks:\n  t: {run: echo, in: [params.x, inputs.y]}\n", ["unknown-key"]),
        ("params: 5\ntasks:\n  t: {run: echo, in: [params.x]}\n", ["wrong-type"]),
        ("tasks:\n  a: {run: echo, outs: [x]}\n  t: {run: echo, in: [a.x]}\n", ["unknown-key"]),
        ("tasks:\n  a: {run: echo, out: x}\n  t: {run: echo, in: [a.x]}\n", ["wrong-type"]),
        ("tasks:\n  a: {run: echo, out: {x: nonsense}}\n  t: {run: echo, in: [a.x]}\n", ["bad-value"]),
        ("tasks:\n  a:\n  t: {run: echo, in: [a.x]}\n", ["wrong-type"]),
        ("tasks:\n  a: {use: nowhere.yaml}\n  t: {run: echo, in: [a.x], if: a.y > 1}\n", ["no-such-path"]),
        ("params: {x: 1}\ntasks:\n  t: {run: echo, in: [[params.x]]}\n", ["wrong-type"]),
        ("params: {x: 1}\ntasks:\n  t: {run: echo, if: 5}\n", ["wrong-type"]),
        ("params: {x: 1}\ntasks:\n  t: {run: echo, if: params.x}\n", ["gate-syntax"]),
        ("params: {x: 1}\ntasks:\n  t: {run: echo, ins: [params.x]}\n", ["unknown-key"]),
        ("params: {x: 1}\ntasks:\n  t: {run: echo}\n  t: {run: echo, in: [params.x]}\n", ["duplicate-key"]),
        ("params: {x: off}\ntasks:\n  t: {run: echo, in: [params.x]}\n", ["quote-it"]),
        ("tasks:\n  a: {run: echo, image: ''}\n", ["bad-value"]),
        ("tasks:\n  a: {run: echo, timeout: 5, gpu: true}\n", ["wrong-type", "wrong-type"]),
        ("defaults: {image: X, gpu: nope}\ntasks:\n  a: {run: echo}\n  b: {run: echo}\n", ["bad-image", "bad-gpu"]),
        ("defaults: {gpu: z9:1}\ntasks:\n  a: {run: echo}\n  b: {run: echo}\n", ["unknown-pool"]),
        ("params: {X: 1}\ntasks:\n  t: {run: echo, in: [params.X]}\n", ["bad-name"]),
        ("tasks:\n  A: {run: echo, out: [X]}\n  t: {run: echo, in: [A.X]}\n", ["bad-name", "bad-name"]),
    ],
)
def test_one_cause_is_told_once(body: str, found: list[str]) -> None:
    assert codes(spec(body)) == found


def test_a_mistake_elsewhere_hides_no_other() -> None:
    body = "owner: 5\nparams: {x: 1}\ntasks:\n  t: {run: echo, memory: 5, in: [params.y]}\n"
    assert codes(spec(body)) == ["wrong-type", "unused", "wrong-type", "unknown-param"]


def test_places_in_texts_of_several_lines() -> None:
    body = """\
params: {x: 1}
tasks:
  a:
    run: |
      set -e

        echo "é $(params.x)"
    in: [params.x]
  b:
    run: >
      echo
      $(context.name)
    if: >-
      params.x
      == "1"
  c: {run: "echo \\t$(tasks.x)", env: {A: '''$(params.x)'}}
"""
    assert told(spec(body)) == [
        ("tekton-variable", 9, 17),
        ("tekton-variable", 14, 7),  # in a folded text, too
        ("gate-type", 16, 7),
        ("tekton-variable", 18, 20),
        ("tekton-variable", 18, 45),
    ]


HOSTILE = [
    "\\e[2J\\e[31m",
    "\\u009b2J",
    "\\u202egnp.exe",
    "a\\nb: error[forged]: x",
    "\\u2028forged",
    "z" * 400_000,
    "é" * 100_000,
]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_are_shown_harmless_and_short(name: str) -> None:
    begin = time.process_time()
    data = spec(
        f'params: {{"{name}": 1}}\ninputs: {{"{name}": "{name}"}}\nlabels: {{"{name}": "{name}"}}\ntasks:\n'
        f'  "{name}": {{run: echo, in: ["{name}"], "{name}": 1, image: "{name}", env: {{"{name}": 1}}}}\n'
    )
    document = read("pipelines/demo.yaml", data)
    _, found = loaded(data)
    assert found
    for finding in found:
        text = diagnostic.to_text(finding, document.lines)
        assert all(diagnostic.visible(line) == line for line in text.split("\n"))
        assert len(text) < 4000
        assert len(str(diagnostic.to_json(finding))) < 4000
    assert time.process_time() - begin < 5


def test_many_mistakes_are_no_matter_of_squares() -> None:
    names = [f"task-with-a-long-name-{i}" for i in range(3000)]
    body = "".join(f"  {name}: {{run: echo, in: [params.missing-{name}]}}\n" for name in names)
    begin = time.process_time()
    found = codes(spec(f"params: {{{', '.join(f'param_{i}: 1' for i in range(1500))}}}\ntasks:\n{body}"))
    assert len(found) == 101
    assert found[-1] == "too-many-findings"
    assert time.process_time() - begin < 10


def listed(count: int, item: str = "a{}") -> str:
    return ", ".join(item.format(i) for i in range(count))


LARGE = {
    "outs": (f"tasks:\n  t: {{run: echo, out: [{listed(60_000)}]}}\n", []),
    "defaults for many tasks": (
        f"defaults: {{env: {{{listed(2000, 'a{}: b')}}}}}\ntasks:\n"
        + "".join(map(task, (f"t{i}" for i in range(9000)))),
        ["too-large"],
    ),
    "variables of Tekton": (
        'tasks:\n  t:\n    run: "' + "\\t$(params.x)" * 40_000 + '"\n',
        ["script-too-large", *["tekton-variable"] * 10],
    ),
    "choices": (
        f"params: {{x: {{choices: [{listed(30_000)}]}}}}\ntasks:\n  t: {{use: tasks/t.yaml, in: [params.x]}}\n",
        ["edge-type"],
    ),
}


@pytest.mark.parametrize("case", LARGE)
def test_large_specs_take_seconds_not_minutes(case: str) -> None:
    body, found = LARGE[case]
    file = f"version: 1\nkind: task\nname: t\nin: {{x: {{choices: [{listed(29_999)}]}}}}\nrun: echo\n"
    begin = time.process_time()
    assert codes(spec(body), task_files={"tasks/t.yaml": file.encode()}, context=KNOWN) == found
    assert time.process_time() - begin < 10


def test_warnings_without_number_are_told_all() -> None:
    params = ", ".join(f"p{i}: 1" for i in range(150))
    assert codes(spec(f"params: {{{params}}}\ntasks:\n{task('t')}")) == ["unused"] * 150


def test_code_folders_that_cover_each_other() -> None:
    def collisions(**listings: list[str]) -> list[str]:
        files = Files(**{folder: dict.fromkeys(names, "0" * 64) for folder, names in listings.items()})
        folders = ", ".join(listings)
        text = spec(f"tasks:\n{task('t', code=f'[{folders}]')}")
        return codes(text, context=Context(files))

    assert collisions(one=["a", "b/c"], two=["c", "b/d"]) == []
    assert collisions(one=["a"], two=["a"]) == ["code-collision"]
    assert collisions(one=["a"], two=["a/b"]) == ["code-collision"]
    assert collisions(one=["a/b/c"], two=["a/b"]) == ["code-collision"]
    assert collisions(one=["a"], two=["b"], three=["a", "b"]) == ["code-collision"]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(specs(max_tasks=3), st.randoms(use_true_random=False))
def test_a_changed_spec_ends_in_findings_or_in_a_plan(spec_: Spec, random: Any) -> None:
    changed = mutated(spec_, random)
    name = changed.get("name")
    data = source(changed)
    document = read(f"pipelines/{name if isinstance(name, str) else 'demo'}.yaml", data)
    shape, _ = check_shape(document, "pipeline")
    pipeline, found = loaded(data, name=name if isinstance(name, str) else "demo")
    assert {d.code for d in shape} <= {d.code for d in found}
    if pipeline is not None and not diagnostic.failed(found):
        assert not shape
        try:
            to_json(make(pipeline, CONTEXT.files, {}, spec_digest=""))
        except Findings as more:
            assert more.diagnostics  # noqa: PT017 - the pod of a gate may lack a name


def test_numbers_and_booleans_of_variables_keep_their_text() -> None:
    (made,) = plan_of(spec("tasks:\n  t: {run: echo, env: {A: 1e3, B: 0x1F, C: TRUE, D: '007', E: 1.50}}\n")).tasks
    assert made.env == (("A", "1e3"), ("B", "0x1F"), ("C", "true"), ("D", "007"), ("E", "1.50"))
