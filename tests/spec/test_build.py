"""From a document to a pipeline: what is read, and what is left open where it cannot be."""

from __future__ import annotations

import pytest

from mlgen.spec.build import build, build_task_file
from mlgen.spec.document import read
from mlgen.spec.model import Literal, Pipeline, Ref
from mlgen.spec.paths import resolve, uses
from mlgen.spec.settings import Amount, GpuAsk, Retries, SecretKey
from mlgen.spec.shape import check_shape
from mlgen.values import Type


def built(text: str) -> tuple[Pipeline, list[str]]:
    document = read("pipelines/demo.yaml", text.encode())
    pipeline, found = build(document, {}, check_shape(document, "pipeline")[1])
    return pipeline, [d.code for d in found]


@pytest.mark.parametrize(
    ("path", "named_in", "found"),
    [
        ("src", "pipelines/demo.yaml", "src"),
        ("./src", "pipelines/demo.yaml", "pipelines/src"),
        ("../src", "pipelines/demo.yaml", "src"),
        ("../src", "demo.yaml", "../src"),
        ("./", "pipelines/demo.yaml", "pipelines"),
        (".", "pipelines/demo.yaml", "pipelines"),
        ("..", "pipelines/demo.yaml", "."),
        ("a/../../b", "pipelines/demo.yaml", "../b"),
        ("a/./b/", "pipelines/demo.yaml", "a/b"),
        ("...", "pipelines/demo.yaml", "..."),
        ("..a/b", "pipelines/demo.yaml", "..a/b"),
        (".hidden", "pipelines/demo.yaml", ".hidden"),
        ("a b/é", "pipelines/demo.yaml", "a b/é"),
    ],
)
def test_paths_start_at_the_naming_file_or_at_the_project(path: str, named_in: str, found: str) -> None:
    assert resolve(path, named_in) == found


@pytest.mark.parametrize("path", ["", "/a", "//a", "a//b", "a\\b", "a\nb", "a\x1b", "\u202ea"])
def test_what_is_no_path_of_a_repository(path: str) -> None:
    with pytest.raises(ValueError, match="is not a relative path"):
        resolve(path, "pipelines/demo.yaml")


def test_task_files_are_found_also_in_a_broken_spec() -> None:
    text = (
        "tasks: {a: {use: ./t.yaml}, b: {use: t.yaml}, c: {use: /t.yaml}, d: {use: 5}, e: 5}\nfinally: {z: {use: x}}\n"
    )
    found = [(path, place.route) for path, place in uses(read("pipelines/demo.yaml", text.encode()))]
    assert found == [
        ("pipelines/t.yaml", ("tasks", "a", "use")), ("t.yaml", ("tasks", "b", "use")), ("x", ("finally", "z", "use")),
    ]  # fmt: skip
    assert list(uses(read("pipelines/demo.yaml", b"[tasks]"))) == []


def test_ins_are_references_or_literals() -> None:
    text = """\
tasks:
  a: {run: x, in: [params.x, b.y]}
  b: {run: x, in: {one: inputs.x, two: 2.50, three: true, four: {value: params.x}, five: {value: {a: 1}}, six: 1e3}}
"""
    pipeline, found = built(text)
    assert found == []
    assert [(i.name, str(i.source), i.keyed) for i in pipeline.tasks["a"].ins] == [
        ("x", "params.x", False), ("y", "b.y", False),
    ]  # fmt: skip
    sources = {i.name: i.source for i in pipeline.tasks["b"].ins}
    assert isinstance(sources["one"], Ref)
    assert {name: source for name, source in sources.items() if isinstance(source, Literal)} == {
        "two": Literal(Type.NUMBER, "2.50"),
        "three": Literal(Type.BOOLEAN, "true"),
        "four": Literal(Type.STRING, "params.x"),
        "five": Literal(Type.JSON, '{"a":1}'),
        "six": Literal(Type.NUMBER, "1e3"),
    }


def test_outs_have_types_and_sizes() -> None:
    pipeline, found = built(
        "tasks: {a: {run: x, out: {f: file, s: string, j: {type: json, max: 9, optional: true}, n: {}}}}"
    )
    assert found == []
    outs = pipeline.tasks["a"].outs.values()
    assert [(o.name, o.type, o.optional, o.max_bytes) for o in outs] == [
        ("f", Type.FILE, False, None), ("s", Type.STRING, False, 128), ("j", Type.JSON, True, 9),
        ("n", Type.FILE, False, None),
    ]  # fmt: skip
    assert built("tasks: {a: {run: x, out: {m: {type: model, max: 9}}}}")[1] == ["bad-value"]
    assert built("tasks: {a: {run: x, out: [a, b, a]}}")[1] == ["name-collision"]


def test_settings_are_read_to_what_they_mean() -> None:
    text = """\
defaults: {cpu: 0.5, memory: 2Gi}
tasks:
  a: {run: x, cpu: 250m, disk: 1024Mi, gpu: a100:2, timeout: 90m, retries: 2, secrets: {T: hf/token.txt}}
  b: {run: x, memory: 500M, gpu: 1}
"""
    pipeline, found = built(text)
    assert found == []
    a, b = ({key: s.value for key, s in task.settings.items()} for task in pipeline.tasks.values())
    secret = a.pop("secrets")
    assert isinstance(secret, dict)
    assert secret["T"].value == SecretKey("hf", "token.txt")
    assert a == {
        "cpu": 250, "memory": Amount("2Gi", 2 << 30), "disk": Amount("1Gi", 1 << 30), "gpu": GpuAsk("a100", 2),
        "timeout": 5400, "retries": Retries(2),
    }  # fmt: skip
    assert b == {"cpu": 500, "memory": Amount("500M", 500 * 10**6), "gpu": GpuAsk("default", 1)}


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("tasks: {a: {run: x}}", {"params", "inputs", "tasks"}),
        ("name: 5\ntasks: {a: {run: x}}", {"params", "inputs", "tasks"}),
        ("params: 5\ntasks: {a: {run: x}}", {"inputs", "tasks"}),
        ("parms: {}\ntasks: {a: {run: x}}", {"tasks"}),
        ("taks: {}", set()),
        ("params: {}\nparams: {}\ntasks: {a: {run: x}}", set()),
    ],
)
def test_what_was_not_read_whole_is_not_known(text: str, known: set[str]) -> None:
    assert built(text)[0].known == known


@pytest.mark.parametrize(
    ("task", "ins", "outs"),
    [
        ("{run: x}", True, True),
        ("{run: x, in: 5}", False, True),
        ("{run: x, if: [a]}", False, True),
        ("{run: x, out: 5}", True, False),
        ("{run: x, outs: [a]}", False, False),
        ("{run: x, in: [], outs: [a], if: a.b > 1}", True, False),
        ("{run: x, memory: 5}", True, True),
        ("[]", False, False),
        ("", False, False),
    ],
)
def test_what_was_not_read_of_a_task_is_not_known(task: str, ins: bool, outs: bool) -> None:
    found = built(f"tasks:\n  a: {task}\n")[0].tasks["a"]
    assert (found.ins_known, found.outs_known) == (ins, outs)


def test_a_task_file() -> None:
    text = b"""\
version: 1
kind: task
name: tell
in: {model: {type: model}, stage: {choices: [a, b]}, n: {type: number, minimum: 0, maximum: 1.5}}
out: {sent: boolean}
run: [tell, 1.50]
memory: 2Gi
"""
    file, found = build_task_file(read("tasks/tell.yaml", text))
    assert found == []
    assert [(i.name, i.type, i.choices, i.minimum, i.maximum) for i in file.ins.values()] == [
        ("model", Type.MODEL, (), None, None), ("stage", Type.STRING, ("a", "b"), None, None),
        ("n", Type.NUMBER, (), 0, 1.5),
    ]  # fmt: skip
    assert file.step is not None
    assert (file.path, file.name, file.step.args, list(file.outs)) == (
        "tasks/tell.yaml",
        "tell",
        ("tell", "1.50"),
        ["sent"],
    )
    assert file.settings["memory"].value == Amount("2Gi", 2 << 30)
