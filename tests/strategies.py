"""Valid specs, as hypothesis draws them, and the way from a spec to its plan without files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import strategies as st

from mlgen import canonical, diagnostic
from mlgen.plan.make import make
from mlgen.plan.model import Plan
from mlgen.runtime.pod.contract import NOT_IN_PARAMS
from mlgen.spec.checks.context import Context
from mlgen.spec.checks.names import RESERVED
from mlgen.spec.checks.platform import TEKTON
from mlgen.spec.document import read
from mlgen.spec.load import load_pipeline
from mlgen.spec.project import S3, Environment, GpuPool, Ledger, Project

Spec = dict[str, Any]

DIGEST = "sha256:" + "0123456789abcdef" * 4
ARTIFACTS = ["file", "directory", "dataset", "model", "report", "plot"]
NUMBERS = ("integer", "number", "metric")
POOLS = ("default", "a100")

# Short names beside long ones, and letters that YAML 1.1 takes for booleans.
VARIABLES = st.sampled_from(["y", "n", "x", "on", "e5"]) | st.from_regex(
    r"[a-z]([a-z0-9_]{0,12}[a-z0-9])?", fullmatch=True
)
VARIABLES = VARIABLES.filter(lambda name: not name.endswith("_proxy"))
NODES = (
    st.sampled_from(["y", "no", "t-1"]) | st.from_regex(r"[a-z]([a-z0-9-]{0,15}[a-z0-9])?", fullmatch=True)
).filter(lambda name: name not in RESERVED and not name.startswith("if-"))
TEXTS = st.one_of(
    st.sampled_from(
        ["", " ", "no", "1e5", "$x", "$$", "$(date)", "${x}", "a: b", "#", "- a\n- b\n", "é", "日本", "😀", '"', "\\"]
    ),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
).filter(lambda text: not TEKTON.search(text))
PARAM_TEXTS = TEXTS.filter(lambda text: not NOT_IN_PARAMS.search(text))
SCRIPTS = TEXTS.map(lambda text: f"echo '{text}'\n") | st.just('python train.py "$x" | tee $(basename "$y")\n')
INTEGERS = st.integers(-(2**53) + 1, 2**53 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32)
LABELS = st.dictionaries(
    st.from_regex(r"([a-z]{1,5}\.example/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,10}[A-Za-z0-9])?", fullmatch=True),
    st.from_regex(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,10}[A-Za-z0-9])?)?", fullmatch=True),
    max_size=3,
)
SETTINGS = st.fixed_dictionaries(
    {
        "image": st.sampled_from(
            ["python:3.11", f"ghcr.io/acme/churn:1.8@{DIGEST}", f"localhost:5000/a/b@{DIGEST}", "busybox"]
        )
    },
    optional={
        "code": st.sampled_from(["src", ["src", "lib"]]),
        "cpu": st.sampled_from([1, 0.5, "250m", 64, 2.125, 1000]),
        "memory": st.sampled_from(["1Gi", "2048Mi", "500M", "1024Ki", "3Ti", "7k"]),
        "disk": st.sampled_from(["100Gi", "1024Gi"]),
        "shm": st.sampled_from(["16Gi", "64Mi"]),
        "gpu": st.sampled_from([1, 8, "a100:2", "default:1"]),
        "timeout": st.sampled_from(["30m", "6h", "90m", "45s", "1h1s", "8760h"]),
        "retries": st.integers(0, 9),
        "env": st.dictionaries(
            st.sampled_from(["OMP_NUM_THREADS", "HOME", "A", "Y"]), TEXTS | INTEGERS | st.booleans(), max_size=3
        ),
        "secrets": st.dictionaries(st.sampled_from(["HF_TOKEN", "B"]), st.just("hf/token.txt"), max_size=2),
    },
)


def _literals(type_: str) -> st.SearchStrategy[Any]:
    match type_:
        case "string":
            return PARAM_TEXTS
        case "integer":
            return INTEGERS
        case "number" | "metric":
            return FLOATS | INTEGERS
        case "boolean":
            return st.booleans()
    return st.lists(INTEGERS | PARAM_TEXTS, max_size=3)


@st.composite
def _params(draw: st.DrawFn) -> Spec:
    type_ = draw(st.sampled_from(["string", "integer", "number", "boolean", "json"]))
    form = draw(st.sampled_from(["plain", "typed", "default", "choices"]))
    value = draw(_literals(type_))
    if form == "plain":
        return {
            "value": value,
            "type": "number" if isinstance(value, float) else "integer" if type_ == "number" else type_,
        }
    long: Spec = {"type": type_}
    if form != "typed":
        long["default"] = value
    if form == "choices" and type_ != "json":
        long["choices"] = [value, *draw(st.lists(_literals(type_), max_size=2))]
    if draw(st.booleans()):
        long["description"] = draw(TEXTS)
    return {"value": long, "type": type_}


INPUTS = st.one_of(
    st.sampled_from(["s3://ml-data/a/b.csv", "gs://data/x/", f"s3://ml-data/$x/b@{DIGEST}", "data/labels.csv"]),
    st.fixed_dictionaries(
        {"type": st.sampled_from(ARTIFACTS)}, optional={"uri": st.just("az://box/k"), "digest": st.just(DIGEST)}
    ),
)


@st.composite
def _gates(draw: st.DrawFn, values: Mapping[str, str], depth: int = 0) -> str:
    """A gate over values: ref -> type, of which some is neither json nor an artifact."""
    shape = draw(st.sampled_from(["compare"] * 4 + ["and", "and", "or", "not"])) if depth < 3 else "compare"
    if shape in ("and", "or"):
        parts = draw(st.lists(_gates(values, depth + 1), min_size=2, max_size=3))
        return f" {shape} ".join(f"({part})" for part in parts)
    if shape == "not":
        return f"not ({draw(_gates(values, depth + 1))})"
    ref = draw(st.sampled_from(sorted(values)))
    kind = values[ref]
    literal = (
        st.booleans()
        if kind == "boolean"
        else TEXTS
        if kind == "string"
        else INTEGERS | FLOATS.map(lambda f: round(f, 3))
    )
    if draw(st.booleans()) and kind != "boolean":
        choices = draw(st.lists(literal, min_size=1, max_size=3))
        return f"{ref} {draw(st.sampled_from(['in', 'not in']))} {json.dumps(choices, ensure_ascii=False)}"
    ops = ["==", "!=", "<", "<=", ">", ">="] if kind in NUMBERS else ["==", "!="]
    sides = [ref, json.dumps(draw(literal), ensure_ascii=False)]
    if draw(st.booleans()):
        sides.reverse()
    return f"{sides[0]} {draw(st.sampled_from(ops))} {sides[1]}"


@dataclass
class _Known:
    """What a task may read: ref -> type; and the refs of optional outs."""

    values: dict[str, str] = field(default_factory=dict)
    artifacts: dict[str, str] = field(default_factory=dict)
    optional: set[str] = field(default_factory=set)

    def comparable(self) -> dict[str, str]:
        return {ref: kind for ref, kind in self.values.items() if kind != "json"}


@st.composite
def _tasks(draw: st.DrawFn, known: _Known, before: list[str], *, final: bool) -> Spec:
    exec_form = draw(st.booleans())
    task: Spec = {"run": draw(st.lists(TEXTS, min_size=1, max_size=4)) if exec_form else draw(SCRIPTS)}
    if exec_form and not task["run"][0]:
        task["run"][0] = "python"
    task |= draw(SETTINGS)
    taken = {*task.get("env", {}), *task.get("secrets", {})}
    refs = sorted({**known.values, **known.artifacts}.keys() - (known.optional if exec_form else set()))
    ins: Spec = {}
    chosen = draw(st.lists(st.sampled_from(refs), max_size=4, unique=True)) if refs else []
    as_list = draw(st.booleans())
    for ref in chosen:
        fresh = VARIABLES.filter(lambda name: name not in ins and name not in taken)
        ins[ref.split(".")[1] if as_list else draw(fresh)] = ref  # of two with one name, the later one
    if not as_list and draw(st.booleans()):
        name = draw(VARIABLES.filter(lambda name: name not in ins and name not in taken))
        ins[name] = draw(
            st.booleans() | INTEGERS | FLOATS | st.fixed_dictionaries({"value": TEXTS | st.lists(INTEGERS)})
        )
    if ins:
        task["in"] = list(ins.values()) if as_list else ins
    outs: Spec = {}
    for name in draw(st.lists(VARIABLES, max_size=4, unique=True)):
        if name not in ins and name not in taken:
            type_ = draw(st.sampled_from([*ARTIFACTS, *NUMBERS, "string", "boolean", "json"]))
            optional = draw(st.booleans()) and not final
            outs[name] = {"type": type_, "optional": True} if optional else type_
            if type_ in ("string", "json") and draw(st.booleans()):
                outs[name] = {"type": type_, "optional": optional, "max": draw(st.integers(1, 128))}
    if outs:
        task["out"] = list(outs) if all(type_ == "file" for type_ in outs.values()) else outs
    if bool(known.comparable()) and draw(st.booleans()):
        task["if"] = draw(_gates(known.comparable()))
    if before and not final and draw(st.booleans()):
        task["after"] = [draw(st.sampled_from(before))]
    return task


def _learn(known: _Known, name: str, task: Spec) -> None:
    outs = task.get("out", {})
    for out, given in (dict.fromkeys(outs, "file") if isinstance(outs, list) else outs).items():
        type_ = given["type"] if isinstance(given, dict) else given
        ref = f"{name}.{out}"
        (known.artifacts if type_ in ARTIFACTS else known.values)[ref] = type_
        if isinstance(given, dict) and given["optional"]:
            known.optional.add(ref)


@st.composite
def specs(draw: st.DrawFn, max_tasks: int = 5) -> Spec:
    """A valid spec as plain data: `check` finds no error in it."""
    params = draw(st.dictionaries(VARIABLES, _params(), max_size=4))
    inputs = draw(st.dictionaries(VARIABLES.filter(lambda name: name not in params), INPUTS, max_size=3))
    known = _Known({f"params.{name}": param["type"] for name, param in params.items()})
    known.artifacts = {f"inputs.{name}": "file" for name in inputs}
    spec: Spec = {
        "version": 1,
        "name": draw(NODES),
        "params": {n: p["value"] for n, p in params.items()},
        "inputs": inputs,
    }
    if draw(st.booleans()):
        spec |= {"description": draw(TEXTS), "owner": "risk-team", "labels": draw(LABELS), "defaults": draw(SETTINGS)}
    names = draw(st.lists(NODES, min_size=1, max_size=max_tasks, unique=True))
    final_names = draw(st.lists(NODES.filter(lambda name: name not in names), max_size=2, unique=True))
    arguments = _Known(dict(known.values), dict(known.artifacts))
    spec["tasks"] = {}
    for index, name in enumerate(names):
        spec["tasks"][name] = draw(_tasks(known, names[:index], final=False))
        _learn(known, name, spec["tasks"][name])
    spec["finally"] = {name: draw(_tasks(arguments, [], final=True)) for name in final_names}
    return spec


@st.composite
def environments(draw: st.DrawFn) -> Environment:
    """A valid environment that is rendered."""
    secret = st.none() | st.just("s3-credentials")
    s3s = st.builds(S3, st.none() | st.just("https://s3.example"), st.none() | st.just("eu-1"), secret)
    pools = {
        pool: GpuPool(
            draw(st.sampled_from(["nvidia.com/gpu", "amd.com/gpu"])),
            draw(st.sampled_from([(), (("pool", "a100"), ("y", "no"))])),
            draw(st.sampled_from([(), ({"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},)])),
            draw(st.none() | st.just(7200)),
        )
        for pool in POOLS
    }
    return Environment(
        name=draw(st.sampled_from(["prod", "prod-risk", "on"])),
        namespace="ml-prod",
        artifacts=draw(st.sampled_from(["s3://ml-artifacts/prod", "gs://b/p", "az://c"])),
        s3=draw(s3s),
        buckets=tuple(sorted(draw(st.dictionaries(st.sampled_from(["ml-data", "other.bucket"]), s3s)).items())),
        ledger=Ledger(
            "https://git.example/acme/ledger.git",
            "ledger",
            draw(st.none() | st.just("ledger-token")),
            draw(st.sampled_from(["task", "run", "cron"])),
        ),
        service_account=draw(st.sampled_from(["default", "mlgen-runner"])),
        user=draw(st.sampled_from([1000, 65532])),
        runtime_image=f"ghcr.io/acme/mlgen-runtime@{DIGEST}",
        image_pull_secrets=draw(st.sampled_from([(), ("ghcr",)])),
        gpus=tuple(sorted(pools.items())),
        queue_seconds=draw(st.sampled_from([60, 3600])),
        staging_seconds=draw(st.sampled_from([90, 3600])),
        labels=tuple(sorted(draw(LABELS).items())),
    )


def environment(**changes: Any) -> Environment:
    """A plain environment that is rendered."""
    runtime = f"ghcr.io/acme/mlgen-runtime@{DIGEST}"
    ledger = Ledger("https://git.example/acme/ledger.git")
    plain = Environment("prod", "ml-prod", "s3://ml-artifacts/prod", ledger=ledger, runtime_image=runtime)
    return replace(plain, **changes)


class Files:
    """A repository with two code folders and a data file. Contents can be changed to see what follows."""

    def __init__(self, **listings: Mapping[str, str]) -> None:
        self.listings: dict[str, Mapping[str, str]] = {
            "src": {"train.py": "1" * 64},
            "lib": {"lib.py": "2" * 64},
            **listings,
        }

    def kind(self, path: str) -> str | None:
        return "folder" if path in self.listings else "file" if path == "data/labels.csv" else None

    def beside(self, path: str) -> list[str]:
        names = [*self.listings, "data/labels.csv"]
        return sorted({n.rpartition("/")[2] for n in names if n.rpartition("/")[0] == path.rpartition("/")[0]})

    def sha256(self, path: str) -> str:
        return canonical.digest(path)

    def listing(self, folder: str) -> Mapping[str, str]:
        return self.listings[folder]


_ODD = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def source(spec: Spec) -> bytes:
    """A spec as text: JSON, which YAML reads, with what only YAML wants escaped."""
    text = json.dumps(spec, ensure_ascii=False, indent=1)
    return _ODD.sub(lambda match: f"\\u{ord(match[0]):04x}", text).encode()


def load(spec: Spec, files: Files | None = None, *known: Environment) -> Plan:
    """The plan of a spec. Fails where `check` finds an error: the strategy promised a valid one.

    known: environments that mlgen.yaml has, for the names that they give a meaning.
    """
    files = files or Files()
    data = source(spec)
    document = read(f"pipelines/{spec['name']}.yaml", data)
    pools = tuple((pool, GpuPool("nvidia.com/gpu")) for pool in POOLS)
    project = Project(environments=(Environment("local", gpus=pools), *known))
    pipeline, found = load_pipeline(document, {}, Context(files, project))
    errors = [d for d in found if diagnostic.failed([d])]
    assert pipeline is not None
    assert not errors, "\n".join(diagnostic.to_text(d, document.lines) for d in errors)
    return make(pipeline, files, {}, spec_digest=canonical.digest_bytes(data))
