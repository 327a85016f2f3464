"""`mlgen lock` of many images, with the registry that tests have: MLGEN_E2E_REGISTRY, of which busybox:1 is copied.

    python bench/lock.py [IMAGES]

Prints wall and cpu seconds of a first lock, of one with nothing to do, of `--check`, and of `--check --upgrade`.
"""

from __future__ import annotations

import os
import sys
import uuid
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "generator")]

from tests.registry.hub import drop, push  # noqa: E402
from watch import watch  # noqa: E402 - the path to it is made above

COMMANDS = (("lock",), ("lock",), ("lock", "--check"), ("lock", "--check", "--upgrade"), ("check",))


def main(images: int) -> None:
    registry = os.environ["MLGEN_E2E_REGISTRY"]
    run = uuid.uuid4().hex[:8]
    names = [f"mlgen-bench-lock/{run}-{n}" for n in range(images)]
    digests = {name: push(registry, name, "1", name) for name in names}
    with TemporaryDirectory() as folder:
        project = Path(folder)
        (project / "pipelines").mkdir()
        (project / "mlgen.yaml").write_text("version: 1\n")
        tasks = "".join(f"  t{n}: {{run: echo, image: '{registry}/{name}:1'}}\n" for n, name in enumerate(names))
        (project / "pipelines/many.yaml").write_text(f"version: 1\nname: many\ntasks:\n{tasks}")
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "generator"), "HOME": folder}
        for command in COMMANDS:
            shown = " ".join(command)
            done = watch([sys.executable, "-m", "mlgen", *command], cwd=project, env=env)
            print(f"{shown:24}  {done.wall_seconds:6.2f} s  {done.cpu_seconds:6.2f} s cpu  {done.own_bytes >> 20} MiB")
    for name, digest in digests.items():
        drop(registry, name, [digest])


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
