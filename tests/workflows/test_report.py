"""The job with rights: it believes nothing of what a stranger's job left, and edits one comment in its place."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tests.workflows.github_api import BOT, GitHub, serving

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / ".github/actions/report/report.py"
SHA = "a" * 40


def _module() -> Any:
    spec = importlib.util.spec_from_file_location("report", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


report = _module()


@pytest.fixture
def github() -> Iterator[GitHub]:
    with serving(GitHub([pull(7)])) as running:
        yield running


def pull(number: int, sha: str = SHA, repository: str | None = "mallory/ml", ref: str = "patch/1 ü") -> dict[str, Any]:
    repo = None if repository is None else {"full_name": repository}
    return {"number": number, "head": {"sha": sha, "ref": ref, "repo": repo, "user": {"login": "mallory"}}}


def event(kind: str = "pull_request", owner: str = "mallory", branch: str = "patch/1 ü") -> dict[str, Any]:
    return {
        "event": kind,
        "head_sha": SHA,
        "head_branch": branch,
        "head_repository": {"full_name": f"{owner}/ml", "owner": {"login": owner}},
        "repository": {"full_name": "acme/ml", "default_branch": "main"},
        "pull_requests": [],
    }


def archive(folder: Path, **files: bytes) -> Path:
    path = folder / "review.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in files.items():
            packed.writestr(name.replace("__", "."), data)
    return path


def run(
    what: str, packed: Path, github: GitHub, folder: Path, told: dict[str, Any] | None = None
) -> subprocess.CompletedProcess[str]:
    (folder / "event.json").write_text(json.dumps({"workflow_run": told or event()}))
    (folder / "output").write_text("")
    environ = {
        **os.environ,
        "GITHUB_EVENT_PATH": str(folder / "event.json"),
        "GITHUB_OUTPUT": str(folder / "output"),
        "RUNNER_TEMP": str(folder),
        "GITHUB_API_URL": github.url,
        "GITHUB_REPOSITORY": "acme/ml",
        "GH_TOKEN": "secret",
    }
    command = [sys.executable, str(SCRIPT), what, str(packed)]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)


def test_a_pull_request_gets_one_comment_which_is_edited(github: GitHub, tmp_path: Path) -> None:
    github.add("mallory", f"{report.MARKER}\nnot ours, whatever it begins with")
    github.add(BOT, "another workflow's")
    done = run("comment", archive(tmp_path, comment__md=b"<!-- mlgen-diff -->\n### one\n"), github, tmp_path)
    assert (done.returncode, done.stdout) == (0, "pull request 7: comment written\n"), done.stderr
    done = run("comment", archive(tmp_path, comment__md=b"<!-- mlgen-diff -->\n### two\n"), github, tmp_path)
    assert done.stdout == "pull request 7: comment edited\n"
    done = run("comment", archive(tmp_path, comment__md=b"<!-- mlgen-diff -->\n### two\n"), github, tmp_path)
    assert done.stdout == "pull request 7: the comment says so already\n"
    assert [c["body"] for c in github.comments][2:] == [f"{report.MARKER}\n### two\n"]


def test_its_comment_is_found_behind_hundreds_of_others(github: GitHub, tmp_path: Path) -> None:
    for _ in range(250):
        github.add("someone", "hello")
    github.add(BOT, f"{report.MARKER}\nold")
    assert run("comment", archive(tmp_path, comment__md=b"new"), github, tmp_path).returncode == 0
    assert len(github.comments) == 251
    assert github.comments[-1]["body"] == f"{report.MARKER}\nnew"


@pytest.mark.parametrize(
    "pulls",
    [
        [],
        [pull(7, sha="b" * 40)],  # pushed to since
        [pull(7, repository="eve/ml")],  # of a repository that is another one's
        [pull(7, repository=None)],  # of a repository that is no more
    ],
)
def test_nothing_is_said_where_the_newest_commit_is_another(
    pulls: list[dict[str, Any]], github: GitHub, tmp_path: Path
) -> None:
    github.pulls = pulls
    done = run("comment", archive(tmp_path, comment__md=b"text"), github, tmp_path)
    assert (done.returncode, github.comments) == (0, [])
    assert "nothing to comment on" in done.stdout


def test_the_archive_does_not_say_whose_it_is(github: GitHub, tmp_path: Path) -> None:
    packed = archive(tmp_path, comment__md=b"text", pr__txt=b"1", number=b"1")
    assert run("comment", packed, github, tmp_path).returncode == 0
    assert [c["issue"] for c in github.comments] == [7]


HOSTILE = [
    "@acme/admins please merge",
    "(@root)",
    "<img src=x onerror=alert(1)>",
    "<!-- hidden",
    "</details><script>alert(1)</script>",
    "<a href='https://evil.example'>review passed</a>",
    "![x](https://evil.example/pixel.png)",
    "[approved](https://evil.example)",
    "[approved][1]\n\n[1]: https://evil.example",
    "[1]: //evil.example\n\n[1]",
    "<https://evil.example>",
    "https://evil.example www.evil.example mailto:a@evil.example boss@evil.example",
    "fixes #1, GH-2, _#12_, **#13**",
    "octocat/Hello-World#1 octocat/Hello-World@7fd1a60b01f91b314f59955a4e4d4e80d8edf11d",
    "_@octocat_ __@octocat__ ~~@octocat~~",
    "&commat;octocat &#64;octocat &#x40;octocat &num;12 &lt;img src=x&gt;",
    "@sha256:x and a_@sha256:x",
    "\u202egnirts\u202c",
    "<details\n><summary>",
    "<DETAILS><IMG SRC=x>",
    "```\n</details>@acme/admins <img src=x>",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_strangers_text_is_only_read(text: str) -> None:
    _assert_inert(report.body(text.encode()))


@given(st.lists(st.sampled_from([*HOSTILE, "\n\n", "`", "```\n", "<details>", "<", "@", "](", "//x", ":", " "])))
def test_no_mixture_of_it_does_more(parts: list[str]) -> None:
    text = "".join(parts)
    if text.strip():
        _assert_inert(report.body(text.encode()))


TAGS = re.compile(r"</?(?:details|summary|sub|code)>|<br>")  # what our own comment has
TAG = re.compile(r"<[A-Za-z/!?]")
CALLS = re.compile(r"(?i)(?:^|[^a-z0-9])@[a-z0-9]|[a-z0-9]@(?!sha256:)[a-z0-9]|#\d|https?:/|www\.[a-z]|[\u202a-\u202e]")


def _assert_inert(text: str) -> None:
    parser = MarkdownIt("gfm-like", {"html": True, "linkify": False})
    for token in parser.parse(text.removeprefix(report.MARKER)):
        for one in [token, *(token.children or [])]:
            assert one.type not in ("link_open", "image"), one
            if one.type.startswith("html"):
                assert not TAG.search(TAGS.sub("", one.content)), one
            if one.type == "text":  # as a host sees it, when marks and entities are resolved
                assert not CALLS.search(one.content), one
    assert not CALLS.search(text)


def test_our_own_comment_stays_as_it_is() -> None:
    ours = (
        "### mlgen diff: **runs**\n\n- **runs** `train.image` `ghcr.io/a/b@sha256:ab` → `s3://ml/x`\n\n"
        "<details><summary>x</summary>\n\n```diff\n- a\n+ b\n```\n\n</details>\n"
    )
    assert report.body(f"<!-- mlgen-diff -->\n{ours}".encode()) == f"{report.MARKER}\n{ours}"
    whole = (Path(__file__).parents[1] / "cli" / "diff" / "markdown.out").read_text()
    assert report.body(whole.encode()) == whole.replace("<!-- mlgen-diff -->", report.MARKER, 1)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "left no comment.md"),
        ({"comment__md": b"  \n"}, "empty comment"),
        ({"comment__md": b"x" * 65_537}, "more than 65,536 bytes"),
        ({"comment__md": bytes(200 << 20)}, "more than 65,536 bytes"),  # packed, it is small
    ],
)
def test_what_cannot_be_a_comment_is_refused(
    files: dict[str, bytes], said: str, github: GitHub, tmp_path: Path
) -> None:
    done = run("comment", archive(tmp_path, **files), github, tmp_path)
    assert (done.returncode, github.comments) == (1, [])
    assert done.stderr.startswith("::error title=mlgen report::")
    assert said in done.stderr


def _named_by_no_text(data: bytes) -> bytes:
    """The name's bytes are flagged as UTF-8, and are none."""
    return data.replace(b"comment.md", b"comm\xff\xfe.md").replace(b"PK\x01\x02\x14\x03\x14\x00\x00\x00",
                                                                  b"PK\x01\x02\x14\x03\x14\x00\x00\x08")  # fmt: skip


def _packed_by_broken_lzma(folder: Path) -> bytes:
    path = folder / "lzma.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as packed:
        packed.writestr("comment.md", b"text" * 100)
    data = bytearray(path.read_bytes())
    at = data.index(b"comment.md") + len("comment.md")
    data[at + 4 : at + 12] = b"\xff" * 8
    return bytes(data)


@pytest.mark.parametrize("kind", ["none", "name", "lzma", "cut"])
def test_an_archive_that_is_none_is_refused(kind: str, github: GitHub, tmp_path: Path) -> None:
    whole = archive(tmp_path, comment__md=b"text").read_bytes()
    made = {
        "none": b"PK\x03\x04 broken",
        "name": _named_by_no_text(whole),
        "lzma": _packed_by_broken_lzma(tmp_path),
        "cut": whole[:-10],
    }
    (tmp_path / "review.zip").write_bytes(made[kind])
    done = run("comment", tmp_path / "review.zip", github, tmp_path)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)


def test_what_is_inert_still_fits() -> None:
    text = report.body(("@a\n" * 20_000).encode())
    assert len(text) <= report.MOST_COMMENT
    assert text.endswith("all of it\n")


@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_a_busy_host_is_asked_again(method: str, github: GitHub, tmp_path: Path) -> None:
    github.add(BOT, f"{report.MARKER}\nold")
    github.failures[method] = [429, 429]
    assert run("comment", archive(tmp_path, comment__md=b"new"), github, tmp_path).returncode == 0
    assert [c["body"] for c in github.comments] == [f"{report.MARKER}\nnew"]


@pytest.mark.parametrize(("method", "status"), [("POST", 502), ("GET", 403), ("POST", 403)])
def test_a_comment_is_never_added_twice_and_a_refusal_is_told(
    method: str, status: int, github: GitHub, tmp_path: Path
) -> None:
    github.failures[method] = [status]
    done = run("comment", archive(tmp_path, comment__md=b"new"), github, tmp_path)
    assert (done.returncode, github.comments) == (1, [])
    assert f"GitHub says {status}" in done.stderr
    assert "secret" not in done.stderr + done.stdout


LOG: dict[str, Any] = {
    "version": "2.1.0",
    "runs": [
        {
            "tool": {"driver": {"name": "mlgen", "rules": [{"id": "unused", "help": {"markdown": "![x](y)"}}]}},
            "results": [
                {
                    "ruleId": "unused",
                    "level": "warning",
                    "message": {"text": "x", "markdown": "<b>"},
                    "locations": [
                        {
                            "physicalLocation": {
                                "artifactLocation": {"uri": "pipelines/a.yaml"},
                                "region": {"startLine": 3, "snippet": {"text": "s"}},
                            }
                        }
                    ],
                    "partialFingerprints": {"mlgen/v1": "ab"},
                }
            ],
        }
    ],
}


def _with(change: str, value: object) -> bytes:
    log = json.loads(json.dumps(LOG))
    run = log["runs"][0]
    match change:
        case "tool":
            run["tool"]["driver"]["name"] = value
        case "uri":
            run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] = value
        case "runs":
            log["runs"] = value
        case "version":
            log["version"] = value
        case "line":
            run["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] = value
    return json.dumps(log).encode()


def test_findings_go_to_code_scanning_as_findings_of_mlgen_only(github: GitHub, tmp_path: Path) -> None:
    packed = archive(tmp_path, mlgen__sarif=json.dumps(LOG).encode())
    assert run("sarif", packed, github, tmp_path).returncode == 0
    outputs = dict(line.split("=", 1) for line in (tmp_path / "output").read_text().splitlines())
    assert (outputs["ref"], outputs["sha"]) == ("refs/pull/7/head", SHA)
    [one] = json.loads(Path(outputs["sarif"]).read_text())["runs"]
    assert one["results"][0]["message"] == {"text": "x"}
    assert one["results"][0]["partialFingerprints"] == {"mlgen/v1": "ab"}
    assert "markdown" not in json.dumps(one)


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"[" * 100_000,
        b"{}",
        _with("tool", "CodeQL"),
        _with("runs", LOG["runs"] * 2),
        _with("version", "2.0.0"),
        _with("line", float("inf")),
        *(_with("uri", uri) for uri in ("/etc/passwd", "../x", "a/%2e%2e/x", "file:///x", "https://evil.example/")),
    ],
)
def test_findings_of_other_tools_and_places_are_refused(data: bytes, github: GitHub, tmp_path: Path) -> None:
    done = run("sarif", archive(tmp_path, mlgen__sarif=data), github, tmp_path)
    assert (done.returncode, (tmp_path / "output").read_text()) == (1, "")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("told", "ref"),
    [
        (event("push", "acme", "main"), "refs/heads/main"),
        (event("push", "acme", "other"), None),
        (event("push", "mallory", "main"), None),
        (event("schedule", "acme", "main"), None),
    ],
)
def test_a_push_is_reported_for_the_default_branch_only(
    told: dict[str, Any], ref: str | None, github: GitHub, tmp_path: Path
) -> None:
    assert (
        run("sarif", archive(tmp_path, mlgen__sarif=json.dumps(LOG).encode()), github, tmp_path, told).returncode == 0
    )
    output = (tmp_path / "output").read_text()
    assert (f"ref={ref}\n" in output) if ref else output == ""
