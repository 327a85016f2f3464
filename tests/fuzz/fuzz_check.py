"""Looks for input that ends other than in findings: bytes → read → shape → check → plan → manifests.

    python tests/fuzz/fuzz_check.py --seconds 60 [--seed N] [--keep DIR] [--guided]

Without findings a spec must give a plan and manifests that read back; a document that the published schema refuses
must have a finding; nothing may raise, hang, or point outside its file. --guided lets atheris, where it is installed,
choose inputs by what they reach. Exit 1 with the input kept when something is found.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import random
import re
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "generator"), str(ROOT)]  # run as a program, this file is not in a package

from mlgen import canonical, diagnostic  # noqa: E402
from mlgen.codes import CODES  # noqa: E402
from mlgen.diagnostic import Diagnostic, Findings  # noqa: E402
from mlgen.plan.make import make  # noqa: E402
from mlgen.plan.model import Plan  # noqa: E402
from mlgen.plan.text import to_json  # noqa: E402
from mlgen.render.limits import check_limits  # noqa: E402
from mlgen.render.manifests import manifests  # noqa: E402
from mlgen.spec.checks.context import Context  # noqa: E402
from mlgen.spec.document import Document, read  # noqa: E402
from mlgen.spec.load import load_lock, load_pipeline, load_project, load_task_file  # noqa: E402
from mlgen.spec.project import Environment, GpuPool, Ledger, Project  # noqa: E402
from mlgen.spec.reader import MAX_FINDINGS  # noqa: E402
from mlgen.spec.shape import Kind, schema  # noqa: E402
from tests.fuzz.mutate import mutate  # noqa: E402
from tests.fuzz.seeds import SEEDS, TASK_FILE  # noqa: E402
from tests.strategies import Files  # noqa: E402

MOST_WRONG = 20  # then it ends: they are probably one mistake
SLOW_SECONDS = 5  # of CPU, for one input: ours are small, and a megabyte has 2
TASK_PATH = "pipelines/tasks/t.yaml"
DIGEST = "sha256:" + "0" * 64
PROD = Environment(
    name="prod",
    namespace="ml-prod",
    artifacts="s3://ml-artifacts/prod",
    ledger=Ledger("https://git.example/ledger.git"),
    runtime_image=f"ghcr.io/acme/mlgen-runtime@{DIGEST}",
    gpus=(("a100", GpuPool("nvidia.com/gpu")), ("default", GpuPool("nvidia.com/gpu"))),
)


class Repository(Files):
    """What specs may name: code folders, a data file, a task file, and what lies beside our own specs."""

    def kind(self, path: str) -> str | None:
        return "escape" if path.startswith("..") else BESIDE.get(path) or super().kind(path)

    def sha256(self, path: str) -> str:
        here = ROOT / path
        return (
            canonical.digest_bytes(here.read_bytes()) if BESIDE.get(path) and here.is_file() else super().sha256(path)
        )

    def listing(self, folder: str) -> Mapping[str, str]:
        return self.listings.get(folder, {"main.py": "3" * 64})


BESIDE = {TASK_PATH: "file"}
for _path in (ROOT / "pipelines").rglob("*"):
    BESIDE[_path.relative_to(ROOT).as_posix()] = "folder" if _path.is_dir() else "file"
CONTEXT = Context(Repository(), Project(environments=(Environment("local"), PROD)))
PUBLISHED = {
    kind: jsonschema_rs.Draft202012Validator(schema(kind), retriever=lambda uri: {})
    for kind in ("pipeline", "task", "project")
}
KINDS: tuple[Kind, ...] = ("pipeline", "task", "project")


class Wrong(Exception):
    """What the input brought about is not what was promised."""


def judge(kind: Kind, data: bytes) -> str:
    """Take one file all the way; return what it came to: the codes of its findings.

    Raises whatever goes wrong; Wrong when a promise is not kept.
    """
    document = read(_file(data), data)
    plan, found = _loaded(kind, document)
    if len(found) > MAX_FINDINGS + 1:
        raise Wrong("more findings than the cap")
    _told(document, found)
    if not diagnostic.failed(found) and not PUBLISHED[kind].is_valid(document.data):
        raise Wrong("the published schema refuses what check finds nothing in")
    if plan is not None:
        _rendered(plan)
    return " ".join(sorted({kind, *(one.code for one in found)}))


def _loaded(kind: Kind, document: Document) -> tuple[Plan | None, list[Diagnostic]]:
    if kind == "project":
        load_lock(document)
        return None, load_project(document)[1]
    if kind == "task":
        return None, load_task_file(document, CONTEXT)[1]
    used = load_task_file(read(TASK_PATH, TASK_FILE), CONTEXT)[0]
    pipeline, found = load_pipeline(document, {TASK_PATH: used} if used else {}, CONTEXT)
    if pipeline is None or diagnostic.failed(found):
        return None, found
    try:
        return make(pipeline, CONTEXT.files, {}, spec_digest=DIGEST), found
    except Findings as more:
        return None, [*found, *more.diagnostics]


def _file(data: bytes) -> str:
    """A path that fits the name within, where there is one: every other would only have that finding."""
    match = re.search(rb"^[ {\"]*name[\": ]+([a-z][a-z0-9-]*)", data, re.MULTILINE)
    return f"pipelines/{match[1].decode() if match else 'x'}.yaml"


def _told(document: Document, found: list[Diagnostic]) -> None:
    """Every finding can be shown, and its places are in the file."""
    lines = [*document.lines] or [""]
    for one in diagnostic.sort(found):
        if one.code not in CODES:
            raise Wrong(f"unknown code {one.code}")
        json.dumps(diagnostic.to_json(one))
        diagnostic.to_text(one, document.lines).encode()
        for span in (one.span, *(r.span for r in one.related)):
            if span.file != document.file:
                continue
            start, end = (span.line, span.column), (span.end_line, span.end_column)
            if not (1, 1) <= start <= end or end[0] > len(lines) or start[1] > len(lines[start[0] - 1]) + 1:
                raise Wrong(f"{one.code} points outside its file: {span}")


def _rendered(plan: Plan) -> None:
    """The plan is JSON of one digest; its manifests are YAML that says the same."""
    canonical.encode(to_json(plan))
    if check_limits(plan, PROD):
        return
    for manifest in manifests(plan, PROD):
        again = read(manifest.path, manifest.bytes)
        if again.diagnostics or again.data != manifest.data:
            raise Wrong(f"{manifest.path} does not read back")


def examine(kind: Kind, data: bytes, keep: Path) -> str | None:
    """What a file came to; None when something went wrong: the input is kept and told."""
    start = time.process_time()
    try:
        outcome = judge(kind, data)
        if time.process_time() - start > SLOW_SECONDS:
            raise Wrong(f"took {time.process_time() - start:.1f} s")
    except Exception:
        keep.mkdir(parents=True, exist_ok=True)
        path = keep / f"{kind}-{hashlib.sha256(data).hexdigest()[:12]}.yaml"
        path.write_bytes(data)
        print(f"{path}: {data[:300]!r}\n{traceback.format_exc(limit=-4)}", file=sys.stderr, flush=True)
        return None
    return outcome


def blind(seconds: float, random_: random.Random, keep: Path) -> int:
    """Mutations of valid files and of files that came to something new. Returns how many inputs went wrong."""
    seen: set[str] = set()
    odd: dict[Kind, list[bytes]] = {kind: list(SEEDS[kind]) for kind in KINDS}
    count = wrong = 0
    end = time.process_time() + seconds
    while time.process_time() < end and wrong < MOST_WRONG:
        kind = random_.choice(KINDS) if random_.random() < 0.3 else "pipeline"
        data = random_.choice(SEEDS[kind] if random_.random() < 0.5 else odd[kind])
        data = mutate(data, random_) if count > 50 else data
        outcome = examine(kind, data, keep)
        count += 1
        wrong += outcome is None
        if outcome and outcome not in seen:
            seen.add(outcome)
            odd[kind].append(data)
    print(f"{count} inputs, {len(seen)} outcomes, {wrong} wrong")
    return wrong


def guided(seconds: float, seed: int, keep: Path) -> int:
    """As `blind`, with inputs chosen by the code they reach. Never returns: atheris ends the process."""
    atheris: Any = importlib.import_module("atheris")  # not among the locked tools
    atheris.instrument_all()
    end = time.process_time() + seconds
    state = {"count": 0, "wrong": 0}

    def one(raw: bytes) -> None:
        state["count"] += 1
        kind = KINDS[raw[0] % 3] if raw else "pipeline"
        state["wrong"] += examine(kind, raw[1:], keep) is None
        if time.process_time() > end or state["wrong"] >= MOST_WRONG:
            print(f"{state['count']} inputs, {state['wrong']} wrong", flush=True)
            os._exit(min(1, state["wrong"]))

    def change(raw: bytes, size: int, seed: int) -> bytes:
        changed = atheris.Mutate(raw, size) if seed % 3 == 0 else raw[:1] + mutate(raw[1:], random.Random(seed))
        return bytes(changed[:size])

    with tempfile.TemporaryDirectory() as folder:
        for index, kind in enumerate(KINDS):
            for number, text in enumerate(SEEDS[kind]):
                Path(folder, f"{kind}{number}").write_bytes(bytes([index]) + text)
        arguments = [sys.argv[0], "-max_len=20000", f"-seed={seed}", "-print_final_stats=0", "-verbosity=0", folder]
        atheris.Setup(arguments, one, custom_mutator=change)
        atheris.Fuzz()
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60, help="of CPU")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument(
        "--keep", type=Path, default=Path(tempfile.gettempdir()) / "mlgen-fuzz", help="for what is found"
    )
    parser.add_argument("--guided", action="store_true", help="with atheris")
    given: Any = parser.parse_args()
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(1 << 31)
    print(f"seed {seed}", flush=True)
    if given.guided:
        return min(1, guided(given.seconds, seed, given.keep))
    return min(1, blind(given.seconds, random.Random(seed), given.keep))


if __name__ == "__main__":
    sys.exit(main())
