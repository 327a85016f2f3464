"""Rendered files on disk: whole or not at all, ours and nothing else."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mlgen.diagnostic import Misuse
from mlgen.render.files import Difference, Scope, compare, to_stdout, write
from mlgen.render.rendering import render_all
from tests.strategies import Spec, environment, load

PROD = Scope(("prod",))


def spec(name: str = "churn", **tasks: str) -> Spec:
    given = tasks or {"train": "python train.py"}
    return {"version": 1, "name": name, "tasks": {n: {"run": run, "image": "python:3.11"} for n, run in given.items()}}


def files(*specs: Spec) -> dict[str, bytes]:
    rendering = render_all([load(one) for one in specs], [environment()])
    assert not rendering.problems
    return rendering.files


def tree(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_a_fresh_folder_holds_all_files_and_nothing_else(tmp_path: Path) -> None:
    wanted = files(spec())
    changes = write(tmp_path / "tekton", wanted, PROD)
    assert tree(tmp_path / "tekton") == wanted
    assert (list(changes.written), changes.removed, changes.unchanged) == (list(wanted), (), 0)
    assert {"prod/manifests/pipeline-churn.yaml", "prod/runs/churn.yaml"} < wanted.keys()
    assert "prod/manifests/cronjob-mlgen-ledger-prod.yaml" in wanted


def test_what_is_the_same_is_not_written_again(tmp_path: Path) -> None:
    wanted = files(spec())
    write(tmp_path, wanted, PROD)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.yaml")}
    changes = write(tmp_path, wanted, PROD)
    assert (changes.written, changes.removed, changes.unchanged) == ((), (), len(wanted))
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.yaml")} == before


def test_an_edit_replaces_the_task_and_leaves_every_other_file(tmp_path: Path) -> None:
    write(tmp_path, files(spec(prepare="a", train="b")), PROD)
    changes = write(tmp_path, files(spec(prepare="a", train="c")), PROD)
    assert len(changes.removed) == 1
    assert changes.removed[0].startswith("prod/manifests/task-churn-train-")
    assert [path.split("-")[:3] for path in changes.written] == [
        ["prod/manifests/pipeline", "churn.yaml"],
        ["prod/manifests/task", "churn", "train"],
        ["prod/runs/churn.yaml"],  # its digests
    ]
    assert tree(tmp_path) == files(spec(prepare="a", train="c"))


def test_only_our_own_stale_files_are_removed(tmp_path: Path) -> None:
    write(tmp_path, files(spec("old")), PROD)
    theirs = {
        "prod/manifests/theirs.yaml": b"# made by hand\nkind: ConfigMap\n",
        "prod/manifests/quote.yaml": b"x: |\n  # made by mlgen from a.yaml for the environment prod; do not edit:\n",
        "prod/manifests/kustomization": b"# made by mlgen from a.yaml for the environment prod; do not edit:\n",
        "prod/README.md": b"ours to keep",
        "staging/manifests/other.yaml": b"# made by mlgen from a.yaml for the environment staging; do not edit:\n",
    }
    for path, data in theirs.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    write(tmp_path, files(spec("new")), PROD)
    assert tree(tmp_path) == {**files(spec("new")), **theirs}


def test_a_rendering_of_some_specs_leaves_the_files_of_the_others(tmp_path: Path) -> None:
    write(tmp_path, files(spec("a"), spec("b", one="x", two="y")), PROD)
    one_only = files(spec("b", one="x"))
    write(tmp_path, one_only, Scope(("prod",), frozenset({"pipelines/b.yaml"})))
    assert tree(tmp_path) == {**files(spec("a")), **one_only}


@pytest.mark.parametrize("place", ["prod", "prod/manifests", "prod/runs/churn.yaml"])
def test_no_link_is_followed_out_of_the_folder(tmp_path: Path, place: str) -> None:
    outside, out = tmp_path / "outside", tmp_path / "out"
    outside.mkdir()
    (outside / "churn.yaml").write_bytes(b"")
    (out / place).parent.mkdir(parents=True)
    (out / place).symlink_to(outside / "churn.yaml" if place.endswith(".yaml") else outside)
    with pytest.raises(Misuse, match=place):
        write(out, files(spec()), PROD)
    assert tree(outside) == {"churn.yaml": b""}
    assert [p for p in out.rglob("*") if p.is_file() and not p.is_symlink()] == []


@pytest.mark.parametrize("make", [lambda p: p.write_text("kind: Mine"), lambda p: p.mkdir(), os.mkfifo])
def test_what_is_not_ours_is_not_overwritten(tmp_path: Path, make: object) -> None:
    (tmp_path / "prod/manifests").mkdir(parents=True)
    make(tmp_path / "prod/manifests/pipeline-churn.yaml")  # type: ignore[operator]
    with pytest.raises(Misuse, match="not made by mlgen"):
        write(tmp_path, files(spec()), PROD)
    assert not (tmp_path / "prod/runs").exists(), "nothing was written"


def test_what_differs_is_told_and_nothing_is_touched(tmp_path: Path) -> None:
    wanted = files(spec())
    assert {d.kind for d in compare(tmp_path / "none", wanted, PROD)} == {"missing"}
    write(tmp_path, wanted, PROD)
    assert compare(tmp_path, wanted, PROD) == []
    run, pipeline = "prod/runs/churn.yaml", "prod/manifests/pipeline-churn.yaml"
    (tmp_path / run).write_bytes(wanted[run].replace(b"runAsUser: 1000", b"runAsUser: 0"))
    (tmp_path / pipeline).unlink()
    (tmp_path / "prod/manifests/task-churn-gone-0123456789.yaml").write_bytes(wanted[run])
    before = tree(tmp_path)
    assert compare(tmp_path, wanted, PROD) == [
        Difference(pipeline, "missing"),
        Difference("prod/manifests/task-churn-gone-0123456789.yaml", "stale"),
        Difference(run, "different", "@@ -33 +33 @@\n-        runAsUser: 0\n+        runAsUser: 1000"),
    ]
    assert tree(tmp_path) == before
    write(tmp_path, wanted, PROD)
    assert compare(tmp_path, wanted, PROD) == []


def test_what_no_spec_renders_to_is_told_where_all_is_synced(tmp_path: Path) -> None:
    """A RoleBinding by hand, a kustomization that reads another repository: reviews take all here for rendered."""
    wanted = files(spec("a"), spec("b"))
    write(tmp_path, wanted, PROD)
    ours = b"# made by mlgen from pipelines/b.yaml for the environment prod; do not edit:\n"
    strays = {
        "kustomization": ours,
        "mine.yaml": b"kind: RoleBinding\n",
        "mine.json": b"{}",
        ".argocd-source.yaml": b"",
    }
    for name, data in strays.items():
        (tmp_path / "prod/manifests" / name).write_bytes(data)
    (tmp_path / "prod/manifests/folder").mkdir()
    (tmp_path / "prod/runs/mine.yaml").write_bytes(b"never synced")
    expected = [(f"prod/manifests/{name}", "stray") for name in sorted([*strays, "folder"])]
    assert [(d.path, d.kind) for d in compare(tmp_path, wanted, PROD)] == expected
    some = files(spec("a"))
    found = compare(tmp_path, some, Scope(("prod",), frozenset({"pipelines/a.yaml"})))
    assert [(d.path, d.kind) for d in found] == expected, "those of other specs are ours"
    before = tree(tmp_path)
    write(tmp_path, wanted, PROD)
    assert tree(tmp_path) == before


def test_an_empty_file_that_a_power_cut_left_is_replaced(tmp_path: Path) -> None:
    wanted = files(spec())
    write(tmp_path, wanted, PROD)
    (tmp_path / "prod/runs/churn.yaml").write_bytes(b"")
    write(tmp_path, wanted, PROD)
    assert tree(tmp_path) == wanted


def test_stdout_has_every_file_after_its_path() -> None:
    wanted = files(spec())
    parts = to_stdout(wanted, "tekton").split(b"---\n# tekton/")[1:]
    assert [part.split(b"\n", 1)[0].decode() for part in parts] == sorted(wanted)
    assert [part.split(b"\n", 1)[1] for part in parts] == [wanted[path] for path in sorted(wanted)]


WRITER = """
import sys
from pathlib import Path
from mlgen.render.files import Scope, write
head = b"# made by mlgen from pipelines/a.yaml for the environment prod; do not edit:\\n"
files = {f"prod/manifests/{i:03}.yaml": head + sys.argv[2].encode() * 20000 for i in range(200)}
print("start", flush=True)
write(Path(sys.argv[1]), files, Scope(("prod",)))
"""


def writer(root: Path, letter: str) -> subprocess.Popen[bytes]:
    environ = {**os.environ, "PYTHONPATH": "generator"}
    command = [sys.executable, "-c", WRITER, str(root), letter]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ)


def contents(root: Path) -> set[bytes]:
    return {data.split(b"\n", 1)[1] for path, data in tree(root).items() if path.endswith(".yaml")}


def test_after_a_kill_every_file_is_whole_and_the_next_rendering_mends_the_rest(tmp_path: Path) -> None:
    with writer(tmp_path, "a") as first:
        first.wait(timeout=30)
    for delay in (0.0, 0.005, 0.02):
        with writer(tmp_path, "b") as killed:
            assert killed.stdout
            killed.stdout.readline()
            signal.sigtimedwait([], delay)
            killed.kill()
        assert contents(tmp_path) <= {b"a" * 20000, b"b" * 20000}
    with writer(tmp_path, "b") as mended:
        mended.wait(timeout=30)
    assert contents(tmp_path) == {b"b" * 20000}
    assert len(list(tmp_path.rglob("*"))) == 202, "no temporary file stays"


def test_what_a_killed_rendering_left_goes_with_the_next_though_nothing_changed(tmp_path: Path) -> None:
    wanted = files(spec())
    write(tmp_path, wanted, PROD)
    (tmp_path / "prod/runs/.mlgen-render.tmp").write_bytes(b"half")
    assert write(tmp_path, wanted, PROD).written == ()
    assert tree(tmp_path) == wanted


def test_a_full_disk_leaves_no_half_file(tmp_path: Path) -> None:
    wanted = files(spec())
    write(tmp_path, wanted, PROD)
    larger = {path: data + b"# more\n" * 3000 for path, data in wanted.items()}
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (16000, old[1])
    )  # Python ignores SIGXFSZ: write() fails as on a full disk
    try:
        with pytest.raises(OSError, match="File too large"):
            write(tmp_path, larger, PROD)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert tree(tmp_path) == wanted
    write(tmp_path, larger, PROD)
    assert tree(tmp_path) == larger


def test_two_renderings_at_once_leave_one_of_them(tmp_path: Path) -> None:
    with writer(tmp_path, "a") as one, writer(tmp_path, "b") as two:
        assert (one.wait(timeout=30), two.wait(timeout=30)) == (0, 0)
    assert contents(tmp_path) in ({b"a" * 20000}, {b"b" * 20000})


def test_nothing_to_do_needs_no_right_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(*_path: object, **_at: object) -> None:
        raise OSError(30, "Read-only file system")

    wanted = files(spec())
    write(tmp_path, wanted, PROD)
    monkeypatch.setattr(os, "unlink", read_only)  # as on a read-only mount, whether there is such a file or not
    assert write(tmp_path, wanted, PROD).unchanged == len(wanted)
