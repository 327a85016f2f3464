"""Files that Git lays down with other bytes than it keeps are told of, and nothing is rendered of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.pinned import Say, change, project, spec
from tests.revisions import lay, run_git

YEN = "GB_1988-80"  # in which the byte of `¥` is that of `$`


def told(answer: str) -> list[tuple[str, str]]:
    return [(one["code"], one["file"]) for one in json.loads(answer)["findings"]]


@pytest.mark.parametrize(
    "path", ["pipelines/churn.yaml", "pipelines/tasks/tell.yaml", "mlgen.yaml", "mlgen.lock", "src/train.py"]
)
def test_an_encoding_is_told_of_whatever_is_read(root: Path, say: Say, path: str) -> None:
    assert say("render")[0] == 0
    change(root, {".gitattributes": f"/{path} working-tree-encoding={YEN}\n"})
    code, out, _ = say("check", "--format", "json")
    assert (code, told(out)) == (1, [("changed-by-git", path)])
    for command in (["render"], ["render", "--check"], ["plan", "pipelines/churn.yaml"]):
        code, _, err = say(*command)
        assert (code, f"{path}:1:1: error[changed-by-git]" in err) == (1, True), command
    assert f"working-tree-encoding={YEN}\n" in err
    assert "fix  take working-tree-encoding from it in .gitattributes" in err


def test_what_a_review_shows_as_a_price_is_no_command(root: Path, say: Say) -> None:
    change(root, {"pipelines/churn.yaml": spec().replace("echo 1", "echo in yen: ¥(id)")})
    change(root, {".gitattributes": f"pipelines/churn.yaml text working-tree-encoding={YEN}\n"})
    run_git(root.parent, "clone", "-q", str(root), "clone")
    code, out, _ = say("check", "-C", str(root.parent / "clone"), "--format", "json")
    assert code == 1
    assert ("changed-by-git", "pipelines/churn.yaml") in told(out)


@pytest.mark.parametrize("attribute", ["ident", "filter=own"])
def test_text_has_no_other_conversion(root: Path, say: Say, attribute: str) -> None:
    change(root, {".gitattributes": f"*.yaml {attribute}\n*.py {attribute}\n"})
    code, out, _ = say("check", "--format", "json")
    files = ["mlgen.yaml", "pipelines/churn.yaml", "pipelines/tasks/tell.yaml"]
    assert (code, told(out)) == (1, [("changed-by-git", path) for path in files])


@pytest.mark.parametrize(
    "attributes", ["* text=auto eol=lf", "* -text", "* working-tree-encoding=UTF-8", "*.csv ident"]
)
def test_what_changes_no_meaning_is_left_alone(root: Path, say: Say, attributes: str) -> None:
    change(root, {".gitattributes": f"{attributes}\n"})
    assert say("check")[0] == 0


def test_a_link_is_judged_by_where_it_leads(root: Path, say: Say) -> None:
    lay(root, {"kept/other.yaml": spec("other").replace("ghcr.io/acme/other:1", "ghcr.io/acme/churn:1")})
    (root / "pipelines/other.yaml").symlink_to("../kept/other.yaml")
    change(root, {".gitattributes": f"kept/** working-tree-encoding={YEN}\n"})
    code, out, _ = say("check", "--format", "json")
    assert (code, told(out)) == (1, [("changed-by-git", "pipelines/other.yaml")])


def test_what_is_pinned_is_read_as_git_keeps_it(root: Path, say: Say) -> None:
    first = run_git(root, "rev-parse", "HEAD")
    change(
        root, {"mlgen.yaml": project(dev=first, prod=first), ".gitattributes": f"src/* working-tree-encoding={YEN}\n"}
    )
    assert say("render")[0] == 0
