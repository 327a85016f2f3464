"""Takes what a review left to its pull request: report.py comment|sarif ARCHIVE, on `workflow_run`.

The archive may be a stranger's: whoever sends a pull request may change the workflow that makes it. So nothing in it
is run, written to a path that it names, or believed: which pull request it is of is asked of GitHub, by the commit that
the trusted event names, and its text cannot mention, link, embed or hide anything.
Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import json
import lzma
import os
import re
import struct
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BOT = "github-actions[bot]"  # who comments with a workflow's token
MARKER = "<!-- mlgen-review -->"  # the first line of our comment, by which it is found again
MOST_COMMENT = 65_536  # bytes: as many characters as a comment may have, in any language
MOST_SARIF = 20 << 20  # bytes: ten times what 5,000 findings take, of which no more are shown
ATTEMPTS = 5
PAGES = 30  # of a hundred comments

_TAGS = r"/?(?:details|summary|sub|code)>|br>"  # all that our own Markdown has
_ENTITIES = r"(?:amp|lt|gt|quot|#x27);"
# A host looks for these in what is left when all marks are read, so what stands around them in the source says little:
# each is broken wherever it stands, but for the digest of an image.
_INERT = (
    (re.compile(rf"<(?!(?:{_TAGS}))(?=[A-Za-z/!?])"), "<\u200b"),  # a tag, or a comment that hides the rest
    (re.compile(rf"&(?!{_ENTITIES})(?=[#A-Za-z])"), "&\u200b"),  # any of the following in other letters
    (
        re.compile(r"(?<![A-Za-z0-9])@(?=[A-Za-z0-9])|@(?!sha256:)(?=[A-Za-z0-9])"),
        "@\u200b",
    ),  # a person, a commit, mail
    (re.compile(r"#(?=[0-9])"), "#\u200b"),  # leaves a note at an issue, here or of any repository
    (re.compile(r"(GH-)(?=[0-9])", re.IGNORECASE), "\\1\u200b"),
    (re.compile(r"\](?=[(\[:])"), "]\u200b"),  # a link, an image, what a link is named for
    (re.compile(r"(https?|ftp|mailto|xmpp):(?=\S)", re.IGNORECASE), "\\1\u200b:"),  # becomes a link by itself
    (re.compile(r"(www)\.", re.IGNORECASE), "\\1\u200b."),
)
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff]")


# What reading a zip file raises, of the file and of each way to pack. ValueError: names that are no text.
_BROKEN = (OSError, EOFError, MemoryError, NotImplementedError, RuntimeError, ValueError, struct.error,
           zipfile.BadZipFile, zlib.error, lzma.LZMAError)  # fmt: skip


class Refused(Exception):
    """What was left cannot be reported: one line."""


def main() -> None:
    what, archive = sys.argv[1:3]
    try:
        event = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text())["workflow_run"]
        _report(what, Path(archive), event, GitHub())
    except Refused as reason:
        sys.exit(f"::error title=mlgen report::{_property(str(reason))}")


def _report(what: str, archive: Path, event: dict[str, Any], github: GitHub) -> None:
    pulls = list(github.pull_requests(event)) if event["event"] == "pull_request" else []
    if what == "comment":
        text = body(_member(archive, "comment.md", MOST_COMMENT))
        for number in pulls:
            print(f"pull request {number}: {github.comment(number, text)}")
        if not pulls:
            print("no open pull request is at the commit of this review: nothing to comment on")
        return
    ref = f"refs/pull/{pulls[0]}/head" if pulls else _pushed(event)
    if ref is None:
        print("no open pull request is at the commit of this review: nothing for code scanning")
        return
    file = Path(os.environ["RUNNER_TEMP"]) / "mlgen.sarif"
    file.write_text(json.dumps(sarif(_member(archive, "mlgen.sarif", MOST_SARIF))))
    with Path(os.environ["GITHUB_OUTPUT"]).open("a") as stream:
        stream.write(f"ref={ref}\nsha={_sha(event['head_sha'])}\nsarif={file}\n")


def _pushed(event: dict[str, Any]) -> str | None:
    """The ref of a push to the default branch, against which code scanning compares pull requests."""
    branch, own = event["head_branch"], event["repository"]
    is_own = event["head_repository"]["full_name"] == own["full_name"]
    if event["event"] == "push" and is_own and branch == own.get("default_branch", branch):
        return f"refs/heads/{branch}" if re.fullmatch(r"[A-Za-z0-9._/-]+", branch) else None
    return None


def _sha(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", text):
        raise Refused("the event names no commit")
    return text


def _member(archive: Path, name: str, most: int) -> bytes:
    """One file of the archive, read up to its end or to a byte too many: a small archive may hold a huge one."""
    try:
        with zipfile.ZipFile(archive) as packed, packed.open(name) as stream:
            data = stream.read(most + 1)
    except KeyError:
        raise Refused(f"the review left no {name}") from None
    except _BROKEN as error:
        raise Refused(f"the review's archive cannot be read: {error}") from None
    if len(data) > most:
        raise Refused(f"the review's {name} has more than {most:,} bytes")
    return data


def body(data: bytes) -> str:
    """The comment: ours as it is, a stranger's without what would do anything but be read."""
    text = _CONTROL.sub("", data.decode(errors="replace").replace("\r", ""))
    text = re.sub(r"\A<!-- [a-z-]+ -->\n", "", text)
    for found, instead in _INERT:
        text = found.sub(instead, text)
    if not text.strip():
        raise Refused("the review left an empty comment")
    text = f"{MARKER}\n{text}"
    if len(text) > MOST_COMMENT:  # what makes it inert takes characters
        text = text[: MOST_COMMENT - 80].rpartition("\n")[0] + "\n\n… cut: the job's summary has all of it\n"
    return text


def sarif(data: bytes) -> dict[str, Any]:
    """The findings, as those of mlgen and of nothing else: code scanning closes what a tool's newest run leaves out.

    Only files of the repository are named, and no text is more than plain: Markdown is left out.
    """
    try:
        log = json.loads(data)
        [run] = log["runs"]
        driver = run["tool"]["driver"]
        results = [_result(one) for one in run["results"]]
        rules = [{key: rule[key] for key in ("id", "shortDescription", "defaultConfiguration") if key in rule}
                 for rule in driver.get("rules", [])]  # fmt: skip
        named = driver["name"]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise Refused(f"the review's mlgen.sarif is none: {error!r:.200}") from None
    if named != "mlgen" or log.get("version") != "2.1.0":
        raise Refused("the review's mlgen.sarif is of another tool")
    tool = {"driver": {"name": "mlgen", "rules": rules}}
    kept = {"tool": tool, "columnKind": "unicodeCodePoints", "results": results[:5000]}
    return {"version": "2.1.0", "runs": [kept]}


def _result(one: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {key: one[key] for key in ("ruleId", "level", "partialFingerprints") if key in one}
    places = [_place(place) for place in one["locations"][:1]]
    return {**kept, "message": {"text": str(one["message"]["text"])}, "locations": places}


def _place(place: dict[str, Any]) -> dict[str, Any]:
    physical = place["physicalLocation"]
    uri = str(physical["artifactLocation"]["uri"])
    if uri.startswith("/") or ":" in uri or ".." in urllib.parse.unquote(uri).split("/"):
        raise ValueError(f"a place outside of the repository: {uri}")
    region = {key: int(value) for key, value in physical.get("region", {}).items()
              if key in ("startLine", "startColumn", "endLine", "endColumn")}  # fmt: skip
    return {"physicalLocation": {"artifactLocation": {"uri": uri}, **({"region": region} if region else {})}}


class GitHub:
    """The parts of GitHub's REST API that a report needs, for the repository that the workflow belongs to."""

    def __init__(self) -> None:
        self.url = os.environ.get("GITHUB_API_URL", "https://api.github.com")
        self.repository = os.environ["GITHUB_REPOSITORY"]
        self._token = os.environ["GH_TOKEN"]

    def pull_requests(self, event: dict[str, Any]) -> Iterator[int]:
        """The open ones whose newest commit is the reviewed one: of an older commit nothing is said any more.

        An event names those of the own repository only, none of a fork: so they are looked for.
        """
        sha, repository = _sha(event["head_sha"]), event["head_repository"]
        head = urllib.parse.quote(f"{repository['owner']['login']}:{event['head_branch']}", safe="")
        for pull in self._ask("GET", f"pulls?state=open&per_page=100&head={head}"):
            same = (pull["head"].get("repo") or {}).get("full_name") == repository["full_name"]
            if same and pull["head"]["sha"] == sha:
                yield int(pull["number"])

    def comment(self, number: int, text: str) -> str:
        """Make the pull request's comment say the text; what was done. Again after a failure it edits, never adds."""
        for page in range(1, PAGES + 1):
            found = self._ask("GET", f"issues/{number}/comments?per_page=100&page={page}")
            for one in found:
                if (one.get("user") or {}).get("login") == BOT and (one.get("body") or "").startswith(MARKER):
                    if one["body"].replace("\r\n", "\n").rstrip() == text.rstrip():
                        return "the comment says so already"
                    self._ask("PATCH", f"issues/comments/{int(one['id'])}", {"body": text})
                    return "comment edited"
            if len(found) < 100:
                break
        self._ask("POST", f"issues/{number}/comments", {"body": text})
        return "comment written"

    def _ask(self, method: str, path: str, data: object = None) -> Any:
        """An answer. What is busy is asked again, but never to add a comment: it may be there already."""
        for attempt in range(1, ATTEMPTS + 1):
            request = urllib.request.Request(
                f"{self.url}/repos/{self.repository}/{path}",
                method=method,
                data=None if data is None else json.dumps(data).encode(),
                headers={"Authorization": f"Bearer {self._token}", "Accept": "application/vnd.github+json"},
            )
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                wait = error.headers.get("Retry-After", "")
                busy = error.code in (429, 500, 502, 503, 504) or (error.code == 403 and wait)
                if not busy or method == "POST" or attempt == ATTEMPTS:
                    raise Refused(f"GitHub says {error.code} to {method} {path.partition('?')[0]}") from None
                time.sleep(min(int(wait) if wait.isdigit() else 2**attempt, 60))
            except OSError as error:
                if method == "POST" or attempt == ATTEMPTS:
                    raise Refused(f"GitHub cannot be reached: {error}") from None
                time.sleep(2**attempt)
        raise AssertionError("the last attempt returns or raises")


def _property(text: str) -> str:
    """Text of a workflow command. Source: actions/toolkit, packages/core/src/command.ts."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


if __name__ == "__main__":
    main()
