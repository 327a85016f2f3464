"""Tasks in the images they declare, by real engines; on a machine without one these are skipped."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.local.containers.engines import IMAGE, Here, Host

SPEC = f"""\
version: 1
name: p
defaults: {{image: {IMAGE}, memory: 64Mi}}
params: {{word: "he said \\"$HOME\\" $(date) `date` 'x'\\n  second "}}
tasks:
  make:
    run: |
      echo "$word" > "$text"
      id -u; echo "$HOME $TMPDIR $WORKERS"; echo ${{TOKEN#se}}; env
      mkdir "$many"; echo 1 > "$many/one"
    in: [params.word]
    out: {{text: file, many: directory, none: {{type: string, optional: true}}}}
    env: {{WORKERS: "$8", DOCKER_HOST: "tcp://192.0.2.1:1"}}
    secrets: {{TOKEN: hf/token}}
  count:
    run: [sh, -c, 'cat "$text" "$many/one"; printf 7 > "$n"', $(literal)]
    in: [make.text, make.many]
    out: {{n: integer}}
  gated:
    if: count.n > 6
    run: '[ -z "${{none+set}}" ]; echo gate'
    in: [make.none]
finally:
  tell: {{run: 'echo "$MLGEN_RUN_STATUS"'}}
"""


def test_a_pipeline_in_containers(here: Here) -> None:
    here.write(SPEC)
    code, out, err = here.run("--format", "json", TOKEN="secretive-word")
    assert code == 0, err + "".join(p.read_text() for p in here.root.glob(".mlgen/runs/*/*/log"))
    assert {name: task["status"] for name, task in json.loads(out)["tasks"].items()} == dict.fromkeys(
        ("make", "count", "gated"), "Succeeded"
    )
    log = here.log("make")
    assert log.startswith(f"{os.getuid()}\n/mlgen/home /mlgen/tmp $8\n")
    assert "secretive" not in log  # masked, as everywhere
    inside = dict(line.split("=", 1) for line in log.splitlines() if "=" in line)
    assert inside["text"] == "/mlgen/out/text"
    assert "VIRTUAL_ENV" not in inside
    assert here.log("count") == "he said \"$HOME\" $(date) `date` 'x'\n  second \n1\n"
    assert here.log("tell") == "Succeeded\n"
    records = here.records()
    assert {facet["engine"] for facet in records.values()} == {here.host.name}
    assert {facet["image"] for facet in records.values()} == {IMAGE}
    assert records["count"]["values"] == {"n": 7}
    assert all(path.stat().st_uid == os.getuid() for path in here.root.rglob("*"))


def test_programs_that_fail(here: Here) -> None:
    here.write(f"""\
version: 1
name: p
defaults: {{image: {IMAGE}, timeout: 5s}}
tasks:
  a: {{run: exit 3}}
  b: {{run: sleep 60}}
""")
    assert here.run()[0] == 1
    records = here.records()
    assert (records["a"]["exitCode"], records["a"]["reason"]) == (3, "StepFailed")
    assert records["b"]["reason"] == "TaskRunTimeout"
    assert here.host.containers() == []


def test_a_program_that_is_not_in_the_image(here: Here) -> None:
    here.write(f"version: 1\nname: p\ntasks:\n  a: {{run: [no-such-program], image: {IMAGE}}}\n")
    code, _, err = here.run()
    assert code == 1
    assert "no such file" in err.lower() or "no-such-program" in err  # runc names it, catatonit does not


def test_what_cannot_run_in_a_container_runs_nothing(here: Here) -> None:
    here.write(f"version: 1\nname: p\ntasks:\n  a: {{run: 'true', image: {IMAGE}}}\n  b: {{run: 'true'}}\n")
    code, _, err = here.run()
    assert code == 2
    assert "without an image, so in no container: b" in err
    here.write("version: 1\nname: p\ntasks:\n  a: {run: 'true', image: 'localhost:1/none/such:1'}\n")
    code, _, err = here.run()
    assert code == 3
    assert "cannot pull localhost:1/none/such:1" in err
    assert not list(here.root.glob(".mlgen/runs/*"))


LONG = f"""\
version: 1
name: p
tasks:
  a: {{run: "echo up; sleep 300", image: {IMAGE}}}
  b: {{run: "trap '' TERM; echo up; while :; do sleep 1; done", image: {IMAGE}}}
"""


def _up(here: Here) -> None:
    until = time.monotonic() + 60
    while [p.read_text() for p in here.root.glob(".mlgen/runs/*/*/log")] != ["up\n", "up\n"]:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_an_interrupted_run_leaves_no_container(here: Here) -> None:
    here.write(LONG)
    process = here.start("run", "pipelines/p.yaml", "--engine", here.host.name)
    _up(here)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert here.host.containers() == []
    assert {facet["state"] for facet in here.records().values()} == {"ABORT"}


@pytest.mark.parametrize("guardian_too", [False, True])
def test_a_killed_engine_leaves_no_container(here: Here, guardian_too: bool) -> None:
    here.write(LONG)
    process = here.start("run", "pipelines/p.yaml", "--engine", here.host.name)
    _up(here)
    if guardian_too:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        for child in children:
            if b"guardian.py" in Path(f"/proc/{child}/cmdline").read_bytes():
                os.kill(int(child), signal.SIGKILL)
    process.kill()
    process.wait()
    if guardian_too:
        assert here.host.containers()
    else:
        until = time.monotonic() + 20
        while here.host.containers() and time.monotonic() < until:
            time.sleep(0.1)
    assert {facet["reason"] for facet in here.records().values()} == {"EngineLost"}
    assert here.host.containers() == []
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    process.stderr.close()


def test_the_guides_command(here: Here) -> None:
    guide = (Path(__file__).parents[3] / "generator/guides/containers.md").read_text()
    here.write(f"version: 1\nname: train\ntasks:\n  a: {{run: 'true', image: {IMAGE}}}\n", name="train")
    command = "mlgen run pipelines/train.yaml --engine podman"
    assert f"```sh\n{command}\n```" in guide
    assert here.mlgen(*command.replace("podman", here.host.name).split()[1:])[0] == 0


def test_an_engine_that_is_not_there(tmp_path: Path) -> None:
    here = Here(tmp_path, Host("podman", {**os.environ, "PYTHONPATH": os.environ.get("PYTHONPATH", "")}))
    here.write(f"version: 1\nname: p\ntasks:\n  a: {{run: 'true', image: {IMAGE}}}\n")
    empty = tmp_path / "empty"
    empty.mkdir()
    git = next(Path(folder) for folder in os.environ["PATH"].split(":") if (Path(folder) / "git").exists())
    (empty / "git").symlink_to(git / "git")
    code, _, err = here.run(PATH=str(empty), PYTHONPATH=str(Path(__file__).parents[3] / "generator"))
    assert code == 3
    assert "podman is not installed" in err
