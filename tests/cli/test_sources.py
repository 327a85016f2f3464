"""Tasks of other repositories: `mlgen lock` fetches them from a real host, and everything else reads what is here."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import git_host
from tests.cli.pinned import Say
from tests.git_host import READER, WRITER, GitHost

GENERATOR = Path(__file__).parents[2] / "generator"
TRAIN = """\
version: 1
kind: task
name: train
description: Trains a model
in: {features: {type: dataset}, epochs: {type: integer, default: 3}, note: {type: string, optional: true}}
out: {model: model, auc: metric}
code: src/train
run: python train.py
"""
PREP = """\
version: 1
name: prep
params: {rows: 2}
inputs: {raw: {type: dataset}, names: ../data/names.csv}
outs: [build.features]
tasks:
  clean:
    run: head -n "$rows" "$raw" > "$cleaned"; cat "$names" >> "$cleaned"
    in: [params.rows, inputs.raw, inputs.names]
    out: {cleaned: dataset}
  build: {run: cp "$cleaned" "$features", in: [clean.cleaned], out: {features: dataset}}
  fit: {use: ./train@1.yaml, in: {features: build.features}}
"""
SPEC = """\
version: 1
name: churn
inputs: {raw: {uri: data/raw.csv, type: dataset}}
tasks:
  prep: {use: shared/prep@1, in: {raw: inputs.raw}}
  train: {use: shared/train@1, in: {features: prep.features}}
"""
MODEL = """\
import os
open(os.environ["model"], "w").write("m")
open(os.environ["auc"], "w").write("0." + os.environ["epochs"])
"""


@dataclass
class Far:
    """The shared repository: where it is worked on, and where it is served."""

    host: GitHost
    work: Path
    bare: Path

    @property
    def url(self) -> str:
        return f"{self.host.url}/tasks.git"

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self.work, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self, files: dict[str, str], *refs: str) -> str:
        """A commit with files, pushed, with tags or branches at it."""
        for path, text in files.items():
            file = self.work / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "tasks")
        return self.push(*refs)

    def push(self, *refs: str) -> str:
        self.git("push", "-q", "-f", str(self.bare), "HEAD:refs/heads/main", *(f"HEAD:{ref}" for ref in refs))
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Far]:
    config = tmp_path / "gitconfig"
    helper = f'"!f() {{ echo username={READER[0]}; echo password={READER[1]}; }}; f"'
    config.write_text(f"[credential]\n\thelper = {helper}\n[user]\n\tname = a\n\temail = a@example.org\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with git_host.serve(tmp_path / "host") as host:
        bare, work = host.repository("tasks"), tmp_path / "far"
        subprocess.run(["git", "init", "-q", "-b", "main", work], check=True)
        found = Far(host, work, bare)
        files = {
            "tasks/train@1.yaml": TRAIN,
            "tasks/prep@1.yaml": PREP,
            "src/train/train.py": MODEL,
            "src/train/.gitignore": "*.csv\n",
            "src/other/secret.py": "not used\n",
            "data/names.csv": "names\n",
        }
        found.commit(files, "refs/tags/v1")
        yield found


@pytest.fixture
def project(tmp_path: Path, far: Far, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "near"
    (root / "pipelines").mkdir(parents=True)
    (root / "data").mkdir()
    (root / "data/raw.csv").write_text("1\n2\n3\n")
    (root / "pipelines/churn.yaml").write_text(SPEC)
    source(root, far)
    subprocess.run(["git", "init", "-q", root], check=True)
    monkeypatch.chdir(root)
    return root


def source(root: Path, far: Far, ref: str = "v1") -> None:
    (root / "mlgen.yaml").write_text(f'version: 1\nsources:\n  shared: {{url: "{far.url}", ref: {ref}}}\n')


def files(root: Path) -> dict[str, str]:
    found = root / "vendor"
    return {p.relative_to(found).as_posix(): p.read_text() for p in found.rglob("*") if p.is_file()}


def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was made")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)


def test_what_is_used_is_fetched_and_pinned_and_then_nobody_is_asked(
    project: Path, far: Far, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = say("check")
    assert code == 1
    assert "error[source-not-locked]: shared/prep@1 is not in this repository" in out
    code, out, err = say("lock")
    assert (code, err) == (0, ""), out
    commit = far.git("rev-parse", "HEAD")
    assert f"added    shared  {commit[:12]}\n" in out
    assert sorted(files(project)) == [
        "shared/data/names.csv",
        "shared/src/train/train.py",
        "shared/tasks/prep@1.yaml",
        "shared/tasks/train@1.yaml",
    ], "what is used, with its code and inputs; not what Git itself would read, nor what nobody uses"
    lock = (project / "mlgen.lock").read_text()
    assert f'commit: "{commit}"' in lock
    assert READER[1] not in lock
    far.bare.rename(far.bare.with_name("gone.git"))
    asked = len(far.host.requests)
    offline(monkeypatch)
    assert say("check")[:2] == (0, "1 spec checked: nothing to mend\n")
    assert say("lock")[0] == 0
    assert say("lock", "--check")[0] == 0
    assert say("plan", "pipelines/churn.yaml")[0] == 0
    assert len(far.host.requests) == asked


def test_a_run_uses_code_and_inputs_that_came_along(project: Path, say: Say) -> None:
    assert say("lock")[0] == 0
    code, out, err = say("run", "pipelines/churn.yaml", "--format", "json")
    assert code == 0, err
    tasks = json.loads(out)["tasks"]
    assert {name: task["status"] for name, task in tasks.items()} == dict.fromkeys(
        ("prep-clean", "prep-build", "prep-fit", "train"), "Succeeded"
    )


def test_a_tag_that_moved_is_told_and_taken_only_when_asked_for(project: Path, far: Far, say: Say) -> None:
    assert say("lock")[0] == 0
    old = far.git("rev-parse", "HEAD")
    new = far.commit({"tasks/train@1.yaml": TRAIN.replace("default: 3", "default: 4")}, "refs/tags/v1")
    assert say("lock")[0] == 0
    assert "default: 3" in files(project)["shared/tasks/train@1.yaml"]
    code, out, _ = say("lock", "--check", "--upgrade")
    assert code == 1
    assert f"moved    shared  {old[:12]} → {new[:12]}" in out
    assert "default: 3" in files(project)["shared/tasks/train@1.yaml"]
    code, out, _ = say("lock", "--upgrade")
    assert code == 0
    assert f"changed  shared  {old[:12]} → {new[:12]}" in out
    assert "default: 4" in files(project)["shared/tasks/train@1.yaml"]
    assert say("lock", "--check", "--upgrade")[0] == 0


def test_a_branch_a_tag_with_a_message_and_a_commit_are_refs(project: Path, far: Far, say: Say) -> None:
    first = far.git("rev-parse", "HEAD")
    far.git("tag", "-a", "-m", "two", "v2")
    far.git("push", "-q", str(far.bare), "v2")
    for ref in ("main", "v2", first):
        source(project, far, ref)
        code, out, err = say("lock")
        assert (code, first[:12] in out) == (0, True), err
        assert say("check")[0] == 0
    far.commit({"tasks/train@1.yaml": TRAIN + "# more\n"})
    assert say("lock", "--upgrade")[0] == 0
    assert "# more" not in files(project)["shared/tasks/train@1.yaml"], "a commit does not move"


def test_another_ref_in_mlgen_yaml_wants_another_lock(project: Path, far: Far, say: Say) -> None:
    assert say("lock")[0] == 0
    far.commit({"tasks/train@1.yaml": TRAIN.replace("default: 3", "default: 5")}, "refs/tags/v2")
    source(project, far, "v2")
    code, out, _ = say("check")
    assert code == 1
    assert 'mlgen.lock pins shared at "v1" of' in out
    assert say("lock", "--check")[0] == 1
    assert say("lock")[0] == 0
    assert "default: 5" in files(project)["shared/tasks/train@1.yaml"]


def test_a_file_changed_here_is_told_and_fetched_again(project: Path, say: Say) -> None:
    assert say("lock")[0] == 0
    good = files(project)
    (project / "vendor/shared/src/train/train.py").write_text("import evil\n")
    (project / "vendor/shared/src/train/more.py").write_text("more\n")
    code, out, _ = say("check")
    assert code == 1
    assert "mlgen.yaml:3:3: error[source-changed]" in out
    assert say("run", "pipelines/churn.yaml")[0] == 1
    code, out, _ = say("lock")
    assert code == 0
    assert out.startswith("fetched  shared")
    assert files(project) == good


def test_what_nobody_uses_any_more_goes(project: Path, say: Say) -> None:
    assert say("lock")[0] == 0
    spec = project / "pipelines/churn.yaml"
    spec.write_text(
        SPEC.replace("  prep: {use: shared/prep@1, in: {raw: inputs.raw}}\n", "").replace("prep.features", "inputs.raw")
    )
    assert say("lock", "--check")[0] == 1
    assert say("lock")[0] == 0
    assert sorted(files(project)) == ["shared/src/train/train.py", "shared/tasks/train@1.yaml"]
    spec.write_text("version: 1\nname: churn\ntasks: {a: {run: echo}}\n")
    code, out, _ = say("lock")
    assert (code, "removed  shared" in out) == (0, True)
    assert not (project / "vendor").exists()
    assert "shared" not in (project / "mlgen.lock").read_text()
    assert say("check")[0] == 0


def test_a_folder_of_others_is_not_taken(project: Path, say: Say) -> None:
    (project / "vendor/shared").mkdir(parents=True)
    (project / "vendor/shared/go.mod").write_text("module x\n")
    code, _, err = say("lock")
    assert code == 3
    assert "vendor/shared is there already" in err
    assert files(project) == {"shared/go.mod": "module x\n"}


def test_files_that_git_ignores_are_told(project: Path, say: Say) -> None:
    (project / ".gitignore").write_text("data/\n")
    code, _, err = say("lock")
    assert code == 3
    assert "Git ignores vendor/shared/data/names.csv" in err
    (project / ".gitignore").write_text("data/\n!/vendor/**\n")
    assert say("lock")[0] == 0
    assert say("check")[0] == 0


def a_link(work: Path) -> None:
    (work / "src/train/passwd").symlink_to("/etc/passwd")


def a_link_of_a_folder(work: Path) -> None:
    shutil.rmtree(work / "src/train")
    (work / "src/train").symlink_to("../../../..")


def a_link_in_place_of_the_task(work: Path) -> None:
    (work / "tasks/train@1.yaml").unlink()
    (work / "tasks/train@1.yaml").symlink_to("/etc/passwd")


def a_pointer_of_git_lfs(work: Path) -> None:
    (work / "src/train/m.bin").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")


def a_huge_file(work: Path) -> None:
    (work / "src/train/m.bin").write_bytes(b"\0" * (17 << 20))


def many_files(work: Path) -> None:
    for number in range(2100):
        (work / f"src/train/{number}.txt").write_text("")


HOSTILE = (a_link, a_link_of_a_folder, a_link_in_place_of_the_task, a_pointer_of_git_lfs, a_huge_file, many_files)


@pytest.mark.parametrize("what", HOSTILE)
def test_what_may_not_be_taken_along_is_refused(
    project: Path, far: Far, say: Say, what: Callable[[Path], None]
) -> None:
    what(far.work)
    far.commit({}, "refs/tags/v1")
    code, _, err = say("lock")
    assert code == 1, err
    assert "error[bad-source]: shared has what cannot be taken along" in err
    assert "pipelines/churn.yaml:" in err
    assert not (project / "vendor").exists()
    assert not (project / "mlgen.lock").exists()


def test_a_submodule_is_refused(project: Path, far: Far, say: Say) -> None:
    far.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},src/train/sub")
    far.git("commit", "-q", "-m", "sub")
    far.push("refs/tags/v1")
    code, _, err = say("lock")
    assert (code, "another repository, a submodule" in err) == (1, True)


def test_a_name_that_leads_out_is_refused(project: Path, far: Far, say: Say) -> None:
    blob = far.git("rev-parse", "HEAD:src/train/train.py")
    data = b"100644 ..\0" + bytes.fromhex(blob)
    git = ["git", "-C", str(far.work), "hash-object", "-t", "tree", "-w", "--stdin", "--literally"]
    tree = subprocess.run(git, input=data, capture_output=True, check=True).stdout.decode().strip()
    listed = far.git("ls-tree", "HEAD:src").replace(far.git("rev-parse", "HEAD:src/train"), tree)
    src = subprocess.run(
        ["git", "-C", str(far.work), "mktree"], input=listed + "\n", text=True, capture_output=True, check=True
    )
    top = far.git("ls-tree", "HEAD").replace(far.git("rev-parse", "HEAD:src"), src.stdout.strip())
    root = subprocess.run(
        ["git", "-C", str(far.work), "mktree"], input=top + "\n", text=True, capture_output=True, check=True
    )
    commit = far.git("commit-tree", "-m", "evil", root.stdout.strip())
    far.git("push", "-q", "-f", str(far.bare), f"{commit}:refs/tags/v1")
    code, _, err = say("lock")
    assert (code, "as no Git makes it" in err) == (1, True), err
    assert not (project / "vendor").exists()


def test_a_task_there_that_leaves_its_repository_is_told(project: Path, far: Far, say: Say) -> None:
    far.commit({"tasks/train@1.yaml": TRAIN.replace("src/train", "../../../..")}, "refs/tags/v1")
    for command in ("lock", "check"):
        code, out, err = say(command)
        assert code == 1
        assert "vendor/shared/tasks/train@1.yaml:7:7: error[path-escape]" in out + err


def test_what_is_not_there_is_told_with_what_is(project: Path, far: Far, say: Say) -> None:
    spec = project / "pipelines/churn.yaml"
    spec.write_text(SPEC.replace("shared/train@1", "shared/train@2"))
    code, _, err = say("lock")
    assert code == 1
    assert "pipelines/churn.yaml:6:16: error[no-such-path]: shared has no tasks/train@2.yaml at v1" in err
    assert "it has: prep@1, train@1" in err
    assert "write shared/train@1" in err
    source(project, far, "v9")
    code, _, err = say("lock")
    assert (code, 'has no branch or tag "v9"' in err) == (3, True)


def test_a_commit_that_vanished_leaves_what_is_here(project: Path, far: Far, say: Say) -> None:
    assert say("lock")[0] == 0
    far.git("checkout", "-q", "--orphan", "anew")
    far.commit({}, "refs/tags/v1")
    subprocess.run(["git", "--git-dir", far.bare, "reflog", "expire", "--expire=now", "--all"], check=True)
    subprocess.run(["git", "--git-dir", far.bare, "gc", "-q", "--prune=now"], check=True)
    shutil.rmtree(Path(os.environ["XDG_CACHE_HOME"]))
    assert say("check")[0] == 0
    assert say("lock")[0] == 0
    shutil.rmtree(project / "vendor")
    code, _, err = say("lock")
    assert code == 3
    assert "which is wanted of it" in err
    assert "mlgen lock --upgrade" in err
    assert say("lock", "--upgrade")[0] == 0
    assert say("check")[0] == 0


@pytest.mark.parametrize("old", [False, True])
def test_hosts_that_give_no_single_objects_will_do(project: Path, far: Far, say: Say, old: bool) -> None:
    far.host.old = old
    subprocess.run(["git", "--git-dir", far.bare, "config", "uploadpack.allowFilter", "false"], check=True)
    assert say("lock")[0] == 0
    assert say("check")[0] == 0


def test_who_may_not_read_is_told_and_no_password_is_shown(
    project: Path, far: Far, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert say("lock")[0] == 0
    for path in [p for p in project.rglob("*") if p.is_file()]:
        assert READER[1].encode() not in path.read_bytes()
    (project / "pipelines/churn.yaml").write_text(
        SPEC.replace("  prep: {use: shared/prep@1, in: {raw: inputs.raw}}\n", "").replace("prep.features", "inputs.raw")
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_TERMINAL_PROMPT", "0")
    shutil.rmtree(Path(os.environ["XDG_CACHE_HOME"]))
    code, out, err = say("lock")
    assert code == 3
    assert "does not let this user read" in err
    assert READER[1] not in out + err
    assert WRITER[1] not in out + err


def lock_process(project: Path) -> subprocess.Popen[bytes]:
    environ = {**os.environ, "PYTHONPATH": str(GENERATOR)}
    command = [sys.executable, "-m", "mlgen", "lock"]
    return subprocess.Popen(command, cwd=project, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_two_at_once_and_one_that_is_killed(project: Path, far: Far, say: Say) -> None:
    pair = [lock_process(project), lock_process(project)]
    assert [process.wait(60) for process in pair] == [0, 0]
    for process in pair:
        process.communicate()
    good = files(project)
    assert say("check")[0] == 0
    shutil.rmtree(project / "vendor")
    shutil.rmtree(Path(os.environ["XDG_CACHE_HOME"]))
    far.host.fault = lambda path: "drip" if path.endswith("upload-pack") else ""
    process = lock_process(project)
    time.sleep(1.5)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    far.host.fault = git_host.no_fault
    code, out, _ = say("check")
    assert (code, "source-" in out) == (1, True)
    assert say("lock")[0] == 0
    assert files(project) == good
    assert say("check")[0] == 0


def test_answers_in_json(project: Path, far: Far, say: Say) -> None:
    code, out, _ = say("lock", "--format", "json")
    assert code == 0
    (one,) = json.loads(out)["sources"]
    assert (one["name"], one["what"], one["old"]) == ("shared", "added", None)
    assert one["new"] | {"digest": ""} == {
        "url": far.url,
        "ref": "v1",
        "commit": far.git("rev-parse", "HEAD"),
        "digest": "",
    }
    assert one["place"] == {"file": "mlgen.yaml", "line": 3, "column": 3}
