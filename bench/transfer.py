"""Measures how an artifact gets into a bucket and out beside other tools: python bench/transfer.py [--quick]

mlgen hashes while it copies; the others copy and then run `sha256sum` on the files, which their users must do to know
what they have. All use the bucket of MLGEN_E2E_S3_ENDPOINT, _ACCESS_KEY, _SECRET_KEY and _BUCKET, in turns, each under
a prefix of its own that is deleted afterwards. Figures are medians of the rounds.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import obstore
from obstore.store import S3Store

import peers
from measure import Usage, measure

ROOT = Path(__file__).resolve().parent.parent
VARIABLES = {"endpoint": "ENDPOINT", "access_key_id": "ACCESS_KEY", "secret_access_key": "SECRET_KEY"}
REGION = "us-east-1"
# What stage-in and stage-out do with an artifact. Arguments: up or down, the store, the path here.
OURS = """
import os, sys
from pathlib import Path
from mlgen.store import open_store
verb, uri, path = sys.argv[1:]
options = {name: os.environ[name] for name in ("endpoint", "region", "access_key_id", "secret_access_key")}
store = open_store(uri, options=options, base=Path())
print((store.put_artifact if verb == "up" else store.get_artifact)("artifact", Path(path)).digest)
"""
HEAD = ["| what | tool | wall | mlgen to it | CPU | memory |", "|---|---|--:|--:|--:|--:|"]
MEBI = 1 << 20
Command: TypeAlias = list[str | Path]


@dataclass(frozen=True, slots=True)
class Copier:
    """A tool. up, down: the command between a path here (a file, or a folder's files) and a URI."""

    name: str
    up: Callable[[Path, str], Command]
    down: Callable[[str, Path], Command]
    hashes: bool = False  # by itself, while it copies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round, small sizes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", metavar="WORD", help="cases whose title holds this word")
    args = parser.parse_args()
    reach = {option: os.environ[f"MLGEN_E2E_S3_{name}"] for option, name in VARIABLES.items()} | {"region": REGION}
    bucket = Bucket(os.environ.get("MLGEN_E2E_S3_BUCKET", "mlgen"), reach)
    tools = copiers(reach["endpoint"])
    big, many, rounds = (64, 50, 1) if args.quick else (1024, 1000, args.rounds)
    cases = {f"one file of {big:,} MiB": (1, big), f"{many:,} files of 1 MiB": (many, 1)}
    lines = []
    for title, (count, mebibytes) in cases.items():
        if args.only in title:
            with TemporaryDirectory(prefix="mlgen-transfer-") as folder:
                lines += compare(title, make(Path(folder) / "made", count, mebibytes), tools, bucket, rounds)
    print("\n".join([*HEAD, *lines]))


def make(path: Path, count: int, mebibytes: int) -> Path:
    """A file of so many MiB, or a folder of several; of random bytes, which nothing on the way can shrink."""
    if count > 1:
        path.mkdir()
    for number in range(count):
        with (path / f"{number:04}.bin" if count > 1 else path).open("wb") as file:
            for _ in range(mebibytes):
                file.write(os.urandom(MEBI))
    return path


@dataclass(frozen=True, slots=True)
class Bucket:
    name: str
    reach: Mapping[str, str]

    def clear(self, prefix: str) -> None:
        allow: dict[str, bool] = {"allow_http": True}
        store = S3Store(self.name, config=dict(self.reach), client_options=allow)  # type: ignore[arg-type]
        for page in obstore.list(store, prefix):
            obstore.delete(store, [item["path"] for item in page])


def copiers(endpoint: str) -> list[Copier]:
    """mlgen first, then the peers that could be installed."""
    found = peers.find_or_make_copiers()
    ours: Command = [sys.executable, "-c", OURS]
    known = [
        Copier("mlgen", lambda path, uri: [*ours, "up", uri, path], lambda uri, path: [*ours, "down", uri, path], True)
    ]
    if "s5cmd" in found:
        known.append(s5cmd([found["s5cmd"], "--endpoint-url", endpoint, "--log", "error", "cp"]))
    if "rclone" in found:
        # By itself it moves four files at a time; its manual advises more for many small ones.
        known.append(rclone([found["rclone"], "copy", "--transfers", "16", "--checkers", "16", "--s3-no-check-bucket"]))
    if "aws" in found:
        known.append(aws([found["aws"], "--endpoint-url", endpoint, "s3", "cp", "--quiet"]))
    return known


def s5cmd(cp: Command) -> Copier:
    return Copier(
        "s5cmd",
        lambda path, uri: [*cp, f"{path}/" if path.is_dir() else path, f"{uri}/artifact/"],
        lambda uri, path: [*cp, f"{uri}/artifact/*", f"{path}/"],
    )


def rclone(copy: Command) -> Copier:
    def remote(uri: str) -> str:
        return f"bench:{uri.removeprefix('s3://')}/artifact"

    return Copier("rclone", lambda path, uri: [*copy, path, remote(uri)], lambda uri, path: [*copy, remote(uri), path])


def aws(cp: Command) -> Copier:
    return Copier(
        "aws",
        lambda path, uri: [*cp, *(["--recursive"] if path.is_dir() else []), path, f"{uri}/artifact/"],
        lambda uri, path: [*cp, "--recursive", f"{uri}/artifact/", path],
    )


def compare(title: str, source: Path, tools: list[Copier], bucket: Bucket, rounds: int) -> list[str]:
    """The rows of a case: all tools in turns, up and down."""
    usages: dict[tuple[str, str], list[Usage]] = {}
    env = environment(bucket.reach)
    for _ in range(rounds):
        for tool in tools:
            prefix = f"store-bench-{uuid.uuid4()}"
            uri = f"s3://{bucket.name}/{prefix}"
            try:
                with TemporaryDirectory(prefix="mlgen-transfer-") as folder:
                    target = Path(folder) / "copy"
                    up, down = tool.up(source, uri), tool.down(uri, target)
                    for verb, command, made in (("up", up, source), ("down", down, target)):
                        os.sync()  # nobody pays for the bytes of who came before
                        used = measure(command if tool.hashes else hashed(command, made), cwd=Path(folder), env=env)
                        usages.setdefault((verb, tool.name), []).append(used)
                        print(f"{title} {verb} {tool.name}: {used.wall_seconds:.1f} s", file=sys.stderr)
            finally:
                bucket.clear(prefix)
    return [row for verb in ("up", "down") for row in table(f"{title}, {verb}", verb, tools, usages)]


def hashed(command: Command, made: Path) -> Command:
    """A command, and the digests of the files at a path after it."""
    script = '"$@" && find "$MADE" -type f -print0 | xargs -0 sha256sum'
    return ["env", f"MADE={made}", "sh", "-c", script, "sh", *command]


def table(title: str, verb: str, tools: list[Copier], usages: Mapping[tuple[str, str], list[Usage]]) -> list[str]:
    def median(name: str) -> float:
        return statistics.median(used.wall_seconds for used in usages[verb, name])

    rows = []
    for tool in tools:
        used = usages[verb, tool.name]
        cpu, memory = statistics.median(u.cpu_seconds for u in used), max(u.rss_bytes for u in used)
        ratio = f"{median(tool.name) / median(tools[0].name):.2f}"
        first = title if tool is tools[0] else ""
        walls = f"{median(tool.name):.2f} s"
        rows.append(f"| {first} | {tool.name} | {walls} | {ratio} | {cpu:.1f} s | {memory / MEBI:.0f} MiB |")
    return rows


def environment(reach: Mapping[str, str]) -> dict[str, str]:
    """What each tool wants to be told, in its own variables."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AWS", "MLGEN", "PYTHON"))}
    key, secret = reach["access_key_id"], reach["secret_access_key"]
    env |= {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_REGION": REGION}
    remote = {"TYPE": "s3", "PROVIDER": "Other", "ENDPOINT": reach["endpoint"], "ACCESS_KEY_ID": key}
    remote |= {"SECRET_ACCESS_KEY": secret, "REGION": REGION}
    env |= {f"RCLONE_CONFIG_BENCH_{name}": value for name, value in remote.items()}
    return env | dict(reach) | {"PYTHONPATH": str(ROOT / "generator")}


if __name__ == "__main__":
    if shutil.which("sha256sum") is None:
        sys.exit("sha256sum is not there: it is what the other tools are followed by")
    main()
