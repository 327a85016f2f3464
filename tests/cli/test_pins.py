"""Environments that are pinned to a commit, as each command sees them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.cli.pinned import DIGEST, FILES, Say, change, project, rendered, spec
from tests.revisions import commit, lay, repository, run_git


def pin(root: Path, to: str, env: str = "prod") -> None:
    (root / "mlgen.yaml").write_text(project(**{env: to}))


def test_a_clean_work_tree_and_a_pin_to_its_commit_render_the_same(root: Path, say: Say) -> None:
    assert say("render")[0] == 0
    before = rendered(root, "prod"), rendered(root, "dev")
    assert len(before[0]) > 4
    pin(root, run_git(root, "rev-parse", "HEAD"))
    counted = f"0 written, 0 removed, {len(before[0]) * 2} unchanged in tekton/\n"
    assert say("render") == (0, f"{counted}{len(before[0]) * 2} files are not in Git yet: git add tekton\n", "")
    assert (rendered(root, "prod"), rendered(root, "dev")) == before


@pytest.mark.parametrize(
    "changed",
    [
        {"pipelines/churn.yaml": spec().replace("epochs 1", "epochs 2")},
        {"src/train.py": "print(2)\n"},
        {"pipelines/tasks/tell.yaml": FILES["pipelines/tasks/tell.yaml"].replace("echo 1", "echo 2")},
        {"mlgen.lock": FILES["mlgen.lock"].replace("1" * 64, "2" * 64)},
        {"data/rows.csv": "id\n1\n"},
        {"pipelines/fraud.yaml": spec("fraud")},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_what_changes_after_the_pin_reaches_the_other_environment_alone(
    root: Path, say: Say, changed: dict[str, str]
) -> None:
    say("render")
    prod, dev = rendered(root, "prod"), rendered(root, "dev")
    pin(root, commit(root))
    lay(root, changed)
    code, out, _ = say("render", "--check")
    assert code == 1
    assert "tekton/dev/" in out
    assert "tekton/prod/" not in out
    assert say("render")[0] == 0
    assert rendered(root, "prod") == prod
    assert rendered(root, "dev") != dev
    assert say("render", "--check")[0] == 0


def test_the_runtime_image_of_an_environment_is_that_of_its_own_lock(root: Path, say: Say) -> None:
    tag, digests = "ghcr.io/acme/mlgen-runtime:1", ["sha256:" + n * 64 for n in "34"]
    lines = [f'  "{tag}": "{digest}"\n' for digest in digests]
    first = change(root, {"mlgen.lock": FILES["mlgen.lock"] + lines[0]})
    text = project(prod=first).replace(f"ghcr.io/acme/mlgen-runtime@{DIGEST}", tag)
    lay(root, {"mlgen.lock": FILES["mlgen.lock"] + lines[1], "mlgen.yaml": text})
    assert say("render")[0] == 0
    for env, digest, other in (("prod", *digests), ("dev", *digests[::-1])):
        files = b"".join(rendered(root, env).values()).decode()
        assert f"{tag}@{digest}" in files
        assert other not in files
    assert say("render", "--check")[0] == 0


def test_a_spec_that_was_removed_stays_where_it_is_pinned(root: Path, say: Say) -> None:
    first = change(root, {"pipelines/fraud.yaml": spec("fraud")})
    say("render")
    (root / "pipelines/fraud.yaml").unlink()
    pin(root, first)
    assert say("render")[0] == 0
    assert "manifests/pipeline-fraud.yaml" in rendered(root, "prod")
    assert "manifests/pipeline-fraud.yaml" not in rendered(root, "dev")
    code, _, err = say("render", "pipelines/fraud.yaml")  # nothing of dev is touched
    assert (code, err) == (0, "dev has no pipelines/fraud.yaml: nothing is rendered there\n")
    code, _, err = say("render", "pipelines/fraud.yaml", "--env", "dev")
    assert code == 2
    assert "there is no file pipelines/fraud.yaml" in err
    shutil.rmtree(root / "pipelines")
    assert say("render", "--check", "--env", "prod")[0] == 0


def test_a_spec_that_only_the_work_tree_has_is_told_clearly(root: Path, say: Say) -> None:
    first = run_git(root, "rev-parse", "HEAD")
    pin(root, first)
    lay(root, {"pipelines/fraud.yaml": spec("fraud")})
    code, _, err = say("render", "pipelines/fraud.yaml")
    assert (code, err) == (
        0,
        f"prod has no pipelines/fraud.yaml, as it is pinned to {first[:12]}: nothing is rendered there\n",
    )
    for arguments in (["render"], ["publish"], ["run"]):
        code, _, err = say(*arguments, "pipelines/fraud.yaml", "--env", "prod")
        assert code == 2, arguments
        assert f"there is no file pipelines/fraud.yaml, at {first[:12]}, which prod is pinned to" in err
        assert "mlgen promote --to prod" in err
    assert say("plan", "pipelines/fraud.yaml")[0] == 0


def test_what_a_pinned_commit_has_is_judged_by_the_environment_of_today(root: Path, say: Say) -> None:
    first = run_git(root, "rev-parse", "HEAD")
    (root / "mlgen.yaml").write_text(project(prod=first).replace("memory: 4Gi", "memory: 1Gi"))
    lay(root, {"pipelines/churn.yaml": spec().replace("memory: 2Gi", "memory: 1Gi")})
    code, out, _ = say("check", "--format", "json")
    (found,) = json.loads(out)["findings"]
    line = next(i for i, text in enumerate((root / "mlgen.yaml").read_text().splitlines(), 1) if "pin:" in text)
    assert (code, found["code"], found["file"], found["line"]) == (1, "over-limit", "mlgen.yaml", line)
    assert found["message"].startswith(f"prod is pinned to {first[:12]}, where pipelines/churn.yaml:6 has: ")
    assert found["fix"].endswith("commit it, then mlgen promote --to prod")
    (related,) = found["related"]
    assert (related["file"], related["line"], related["message"]) == (
        "pipelines/churn.yaml",
        6,
        f"as it is at {first[:12]}",
    )
    code, _, err = say("render")
    assert code == 1
    assert err.count("error[over-limit]") == 1
    assert f"mlgen.yaml:{line}:10: error[over-limit]: prod is pinned to" in err
    assert not (root / "tekton").exists()


def test_a_broken_spec_at_the_pin_is_told_at_the_pin(root: Path, say: Say) -> None:
    broken = change(root, {"pipelines/churn.yaml": spec().replace("inputs.rows", "inputs.raws")})
    lay(root, {"pipelines/churn.yaml": spec()})
    pin(root, broken)
    for arguments in (
        ["check"],
        ["render"],
        ["publish", "--env", "prod"],
        ["run", "pipelines/churn.yaml", "--env", "prod"],
    ):
        code, out, err = say(*arguments)
        assert code == 1, arguments
        assert "error[unknown-input]: prod is pinned to" in out + err
        assert "see  pipelines/churn.yaml:6:" in out + err
    assert say("render", "--env", "dev")[0] == 0


def test_a_pin_that_is_not_here_stops_what_needs_it_alone(root: Path, say: Say) -> None:
    lost = "3f786850e387550fdab836ed7e6dc881de23001b"
    pin(root, lost)
    for arguments in (["check"], ["render"], ["render", "--env", "prod"], ["publish", "--env", "prod"]):
        code, out, err = say(*arguments)
        assert code == 1, arguments
        assert f"error[unknown-pin]: prod is pinned to {lost[:12]}, which is not here" in out + err
    run_git(root, "remote", "add", "origin", "https://git.example/ml.git")
    assert f"git fetch origin {lost}" in say("check")[1]
    assert say("render", "--env", "dev")[0] == 0
    assert say("plan", "pipelines/churn.yaml")[0] == 0


@pytest.mark.parametrize("written", ["main", "HEAD", "v1", "SHORT"])
def test_a_pin_that_is_no_full_id_is_mended_by_the_one_it_means(root: Path, say: Say, written: str) -> None:
    first = run_git(root, "rev-parse", "HEAD")
    run_git(root, "tag", "-m", "x", "v1")
    pin(root, first[:10] if written == "SHORT" else written)
    code, out, _ = say("check")
    assert code == 1
    assert "error[bad-pin]" in out
    assert f'fix  write "{first}"' in out


def test_a_tag_by_its_id_is_no_commit(root: Path, say: Say) -> None:
    run_git(root, "tag", "-m", "x", "v1")
    pin(root, run_git(root, "rev-parse", "v1"))
    code, out, _ = say("check")
    assert (code, out.count("error[bad-pin]")) == (1, 1)
    assert run_git(root, "rev-parse", "HEAD") in out


def test_a_shallow_clone_says_how_to_get_the_rest(root: Path, say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    pin(root, run_git(root, "rev-parse", "HEAD"))
    commit(root)
    run_git(root.parent, "clone", "-q", "--depth", "1", f"file://{root}", "shallow")
    monkeypatch.chdir(root.parent / "shallow")
    for arguments in (["check"], ["render"], ["render", "--check"]):
        code, _, err = say(*arguments)
        assert code == 3, arguments
        assert "error[shallow-clone]: prod is pinned to" in err
        assert "fix  git fetch --unshallow\n   fix  in CI: fetch-depth: 0" in err
    run_git(root.parent / "shallow", "fetch", "-q", "--unshallow")
    assert say("render")[0] == 0


@pytest.mark.parametrize("where", ["subfolder", "worktree", "detached", "sha256"])
def test_a_repository_of_any_form_has_pins(
    tmp_path: Path, say: Say, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    top = tmp_path / "r"
    prefix = "teams/ml/" if where == "subfolder" else ""
    files = {f"{prefix}{name}": text for name, text in FILES.items()}
    first = repository(top, files, object_format="sha256" if where == "sha256" else "sha1")
    if where == "worktree":
        run_git(top, "worktree", "add", "-q", str(tmp_path / "w"))
        top = tmp_path / "w"
    if where == "detached":
        run_git(top, "checkout", "-q", "--detach")
    root = top / prefix
    monkeypatch.chdir(root)
    say("render")
    before = rendered(root, "prod")
    pin(root, first)
    lay(root, {"src/train.py": "print(2)\n"})
    assert say("render")[0] == 0
    assert rendered(root, "prod") == before != rendered(root, "dev")


def test_outside_of_git_a_pin_is_not_here(tmp_path: Path, say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(tmp_path, {**FILES, "mlgen.yaml": project(prod="1" * 40)})
    monkeypatch.chdir(tmp_path)
    code, out, _ = say("check")
    assert code == 1
    assert "error[unknown-pin]" in out
    assert "work in a clone" in out
    assert os.path.exists("mlgen.yaml")


POLICY = """\
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-fraud}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules: [{apiGroups: [tekton.dev], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [pipelines]}]
  validations:
    - expression: object.metadata.name != "fraud"
      message: not this one
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-fraud}
spec: {policyName: no-fraud, validationActions: [Deny]}
"""


def test_a_rule_of_today_judges_what_is_pinned(root: Path, say: Say) -> None:
    first = change(root, {"pipelines/fraud.yaml": spec("fraud")})
    (root / "pipelines/fraud.yaml").unlink()
    lay(root, {"policies/no-fraud.yaml": POLICY, "mlgen.yaml": project(prod=first)})
    code, out, _ = say("check", "--format", "json")
    found = [one for one in json.loads(out)["findings"] if one["severity"] == "error"]
    assert code == 1
    assert [(one["file"], one["related"][0]["file"]) for one in found] == [("mlgen.yaml", "pipelines/fraud.yaml")]
    assert found[0]["message"].startswith(f"prod is pinned to {first[:12]}, where pipelines/fraud.yaml:")
    assert "not this one" in found[0]["message"]
    pin(root, commit(root))
    assert say("check")[0] == 0


def test_a_runtime_image_is_pinned_by_the_lock_that_is_read_there(root: Path, say: Say) -> None:
    first = run_git(root, "rev-parse", "HEAD")
    tagged = "ghcr.io/acme/mlgen-runtime:2"
    lay(root, {"mlgen.yaml": project(prod=first).replace(f"ghcr.io/acme/mlgen-runtime@{DIGEST}", tagged)})
    findings = json.loads(say("check", "--format", "json")[1])["findings"]
    assert [(one["code"], one["severity"]) for one in findings] == [("unpinned-image", "warning")] * 2
    assert findings[0]["fix"] == "`mlgen lock` pins it in mlgen.lock; or write name@sha256:…"
    assert f"(prod reads that of {first[:12]}: commit it, then mlgen promote --to prod)" in findings[1]["fix"]
    lay(root, {"mlgen.lock": f'{FILES["mlgen.lock"]}  "{tagged}": "{DIGEST}"\n'})
    (one,) = json.loads(say("check", "--format", "json")[1])["findings"]
    assert "prod reads that of" in one["fix"]
    commit(root)
    assert say("promote", "--to", "prod")[0] == 0
    assert json.loads(say("check", "--format", "json")[1])["findings"] == []
