from __future__ import annotations

from pathlib import Path

import pytest

from mlgen.diagnostic import Misuse
from mlgen.local.arguments import Location
from mlgen.local.params import parse_arguments
from mlgen.plan.model import Input, Param, Plan
from mlgen.values import Type
from tests.local.plans import plan, task

DIGEST = "sha256:" + "a" * 64


def given(
    *texts: str, cwd: Path, params: list[Param] | None = None, inputs: list[Input] | None = None
) -> dict[str, str]:
    return parse_arguments(made(params, inputs), texts, project=cwd, cwd=cwd).params


def made(params: list[Param] | None = None, inputs: list[Input] | None = None) -> Plan:
    return plan(task("a"), params=params or [], inputs=inputs or [])


PARAMS = [
    Param("epochs", Type.INTEGER, "20", minimum=1, maximum=100),
    Param("grid", Type.JSON, "[1, 2]"),
    Param("rate", Type.NUMBER, "1e-3"),
    Param("since", Type.STRING, None),
    Param("target", Type.STRING, "none", choices=("none", "prod")),
]


def test_defaults_are_overridden_and_a_number_keeps_its_text(tmp_path: Path) -> None:
    assert given("since=2026=x", "rate=5E-4", 'grid={"b": 1, "a": [1]}', cwd=tmp_path, params=PARAMS) == {
        "epochs": "20",
        "grid": '{"a":[1],"b":1}',
        "rate": "5E-4",
        "since": "2026=x",
        "target": "none",
    }


@pytest.mark.parametrize("text", ['"5"', '"x"', '"[1]"', '""', '"null"'])
def test_a_text_of_json_stays_one(tmp_path: Path, text: str) -> None:
    chosen = made([Param("j", Type.JSON, "[1]")])
    arguments = parse_arguments(chosen, [f"j={text}"], project=tmp_path, cwd=tmp_path)
    assert (arguments.params, arguments.values(chosen)) == ({"j": text}, {"j": text[1:-1]})


def test_values_are_parsed_for_records(tmp_path: Path) -> None:
    chosen = made(PARAMS)
    arguments = parse_arguments(chosen, ["since="], project=tmp_path, cwd=tmp_path)
    assert arguments.values(chosen) == {"epochs": 20, "grid": [1, 2], "rate": 0.001, "since": "", "target": "none"}


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    texts = ["epoch=3", "epochs=many", "rate=nan", "target=staging", "nothing", "grid=1", "grid=2", "raw=none.csv"]
    inputs = [Input("raw", Type.DATASET, None, None), Input("labels", Type.DATASET, None, None)]
    with pytest.raises(Misuse) as caught:
        given(*texts, cwd=tmp_path, params=PARAMS, inputs=inputs)
    assert caught.value.message == "9 arguments cannot be meant"
    assert caught.value.why.split("\n") == [
        '"epoch" is neither a param nor an input: did you mean "epochs"?',
        '"nothing" is not of the form name=value',
        '"grid" is given twice',
        'param "epochs": "many" is not an integer',
        'param "rate": NaN and infinities are no numbers that JSON can carry',
        'param "since" (string) is required: -p since=…',
        'param "target": "staging" is none of none, prod',
        f'input "raw": there is no {tmp_path}/none.csv',
        'input "labels": is required: -p labels=PATH or URI',
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("epochs=0", 'param "epochs": 0 is below the minimum 1'),
        ("epochs=101", 'param "epochs": 101 is above the maximum 100'),
        ("epochs=1.0", 'param "epochs": "1.0" is not an integer'),
        ("since=a\0b", 'param "since": a text with a NUL character fits into no environment variable'),
        ("grid={", 'param "grid": not JSON: Expecting property name enclosed in double quotes at character 2'),
    ],
)
def test_one_problem_is_the_message(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(Misuse) as caught:
        given("since=x" if not text.startswith("since") else "epochs=1", text, cwd=tmp_path, params=PARAMS)
    assert caught.value.message == problem
    assert '"demo" takes: epochs (integer, default 20)' in caught.value.fix


def test_params_that_no_record_could_hold_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="make it an input"):
        given(f"since={'x' * 40000}", cwd=tmp_path, params=PARAMS)


def test_inputs_start_where_they_are_named(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "raw.csv").touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine.csv").touch()
    project, cwd = tmp_path / "data", tmp_path / "elsewhere"
    chosen = made(inputs=[Input("raw", Type.DATASET, "raw.csv", DIGEST)])

    def located(*texts: str) -> Location:
        return parse_arguments(chosen, texts, project=project, cwd=cwd).inputs["raw"]

    assert located() == Location("raw.csv", DIGEST)
    assert located("raw=mine.csv") == Location(str(cwd / "mine.csv"), None)
    assert located(f"raw=../data/raw.csv@{DIGEST}") == Location("raw.csv", DIGEST)
    assert located(f"raw=s3://b/k@{DIGEST}") == Location("s3://b/k", DIGEST)
    assert str(located("raw=s3://b/k")) == "s3://b/k"
    for text, problem in {
        "raw=": "is empty",
        "raw=https://x/y": '"https://x/y" is neither a path nor s3://, gs://, az://',
        "raw=none": f"there is no {cwd}/none",
    }.items():
        with pytest.raises(Misuse) as caught:
            located(text)
        assert caught.value.message == f'input "raw": {problem}'


@pytest.mark.parametrize(("opening", "inner", "closing"), [("[", "", "]"), ('{"a":', "1", "}")])
def test_json_that_is_nested_too_deep_for_a_record_is_refused(
    tmp_path: Path, opening: str, inner: str, closing: str
) -> None:
    params = [Param("grid", Type.JSON, None)]
    fits = opening * 64 + inner + closing * 64
    assert given(f"grid={fits}", cwd=tmp_path, params=params) == {"grid": fits}
    for levels in (65, 490, 100_000):
        with pytest.raises(Misuse, match="nested"):
            given(f"grid={opening * levels + inner + closing * levels}", cwd=tmp_path, params=params)
