"""`mlgen lsp` as an editor uses it: a process, messages over its pipes, files saved and not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cli.test_check import TOLD, WRONG
from tests.editor.client import ALL, Client, codes
from tests.editor.scenes import NAME, PROJECT, REGISTER, SPEC, TASK


def test_a_session(client: Client, capfd: pytest.CaptureFixture[str]) -> None:
    found = client.begin()
    assert found["serverInfo"]["name"] == "mlgen"
    assert found["capabilities"]["positionEncoding"] == "utf-16"
    assert client.note("client/registerCapability")["registrations"][0]["method"] == "workspace/didChangeWatchedFiles"
    client.open(NAME)
    assert codes(client.findings(NAME, version=1)) == []

    # a slip of the pen, never saved
    client.change(NAME, SPEC.replace("train.model,", "train.modl,"), 2)
    (finding,) = (f for f in client.findings(NAME, version=2) if f["severity"] == 1)
    assert finding["code"] == "unknown-out"
    assert finding["range"] == {"start": {"line": 10, "character": 16}, "end": {"line": 10, "character": 26}}
    assert "fix: write train.model" in finding["message"]
    assert finding["codeDescription"]["href"].endswith("codes.md#unknown-out")
    (action,) = client.ask(
        "textDocument/codeAction",
        textDocument={"uri": client.uri(NAME)},
        range=finding["range"],
        context={"diagnostics": [finding]},
    )
    assert action["title"] == "Write train.model"
    (edit,) = action["edit"]["changes"][client.uri(NAME)]
    assert edit == {"range": finding["range"], "newText": "train.model"}
    assert client.end() == 0
    assert capfd.readouterr().out == ""


def test_the_findings_are_those_of_check(client: Client) -> None:
    client.begin()
    client.open("pipelines/wrong.yaml", WRONG)
    found = client.findings("pipelines/wrong.yaml")
    places = [(f["code"], f["range"]["start"]["line"] + 1, f["range"]["start"]["character"] + 1) for f in found]
    assert [place for place in places if place[0] not in ("unused", "unpinned-image")] == TOLD


def test_two_files_that_are_not_saved_are_judged_together(client: Client) -> None:
    client.begin()
    client.open(NAME)
    assert codes(client.findings(NAME)) == []
    client.open(TASK, REGISTER.replace("model: {type: model}", "model: {type: integer}"))
    assert codes(client.findings(NAME)) == ["edge-type"]
    client.change(TASK, REGISTER.replace("{type: model}", "{type: modell}"), 2)
    assert codes(client.findings(TASK, version=2)) == ["bad-value"]
    client.change(TASK, REGISTER, 3)
    assert codes(client.findings(NAME)) == []
    assert codes(client.findings(TASK, version=3)) == []
    client.close(TASK)
    client.close(NAME)
    assert client.findings(NAME) == []


def test_a_file_that_was_never_saved(root: Path) -> None:
    client = Client(root, [sys.executable, "-m", "mlgen", "lsp", "--stdio"])
    client.begin()
    client.open("pipelines/new.yaml", "version: 1\nname: new\ntasks:\n  a: {use: ./tasks/new.yaml}\n")
    assert codes(client.findings("pipelines/new.yaml")) == ["no-such-path"]
    client.open(
        "pipelines/tasks/new.yaml", "version: 1\nkind: task\nname: new\nrun: x\nimage: a/b@sha256:" + "0" * 64 + "\n"
    )
    assert codes(client.findings("pipelines/new.yaml")) == []
    assert client.end() == 0
    client.kill()


def test_a_broken_mlgen_yaml_is_told_where_it_is(client: Client) -> None:
    client.begin()
    client.open("mlgen.yaml", PROJECT.replace("artifacts:", "artefacts:"))
    assert codes(client.findings("mlgen.yaml")) == ["unknown-key"]
    client.change("mlgen.yaml", PROJECT, 2)
    assert codes(client.findings("mlgen.yaml", version=2)) == []


def test_what_is_saved_elsewhere_is_seen(client: Client, root: Path) -> None:
    client.begin()
    client.open(NAME)
    assert codes(client.findings(NAME)) == []
    (root / TASK).write_text(REGISTER.replace("stage:", "place:"))
    client.tell("workspace/didChangeWatchedFiles", changes=[{"uri": client.uri(TASK), "type": 2}])
    assert codes(client.findings(NAME)) == ["missing-in", "unknown-in"]


POLICY = """\
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: few}
spec:
  matchConstraints:
    resourceRules:
      - {apiGroups: [tekton.dev], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [tasks]}
  validations: [{expression: "!object.metadata.name.contains('train')", message: nobody trains here}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: few}
spec: {policyName: few, validationActions: [Deny]}
"""


def test_policies_judge_what_is_not_saved(client: Client, root: Path) -> None:
    (root / "policies").mkdir()
    (root / "policies/few.yaml").write_text(POLICY)
    client.begin()
    client.open(NAME)
    assert client.findings(NAME, version=1) == []  # at once
    (finding,) = client.findings(NAME, version=1)
    assert "nobody trains here" in finding["message"]
    assert finding["range"]["start"]["line"] == 4
    client.change(NAME, SPEC.replace("  train:", "  fit:").replace("train.", "fit."), 2)
    assert len(client.findings(NAME, version=2)) == 1  # what was said last stays, until it is judged anew
    assert client.findings(NAME, version=2) == []


def test_answers_while_a_line_is_half_written(client: Client) -> None:
    client.begin()
    client.open(NAME)
    client.change(NAME, SPEC + "  more:\n    run: x\n    in: [train.\n", 2)
    items = client.at("completion", NAME, 13, 15)["items"]
    assert [item["label"] for item in items] == ["train.model"]
    assert items[0]["textEdit"]["range"] == {
        "start": {"line": 13, "character": 9},
        "end": {"line": 13, "character": 15},
    }
    shown = client.at("hover", NAME, 10, 24)
    assert shown["contents"]["value"].startswith("Out `model`: model")
    (place,) = client.at("definition", NAME, 10, 10)
    assert place["uri"] == client.uri(TASK)
    assert place["range"]["start"] == {"line": 3, "character": 5}
    (file,) = client.at("definition", NAME, 9, 15)
    assert file["uri"] == client.uri(TASK)
    both = client.at("references", NAME, 10, 24, context={"includeDeclaration": True})
    assert [place["range"]["start"]["line"] for place in both] == [6, 10]
    symbols = client.ask("textDocument/documentSymbol", textDocument={"uri": client.uri(NAME)})
    assert [symbol["name"] for symbol in symbols] == ["params", "tasks"]


def test_a_rename_reaches_the_file_and_tells_of_scripts(client: Client) -> None:
    client.begin()
    client.open(NAME)
    assert client.at("prepareRename", NAME, 6, 12)["start"] == {"line": 6, "character": 10}
    edit = client.at("rename", NAME, 6, 12, newName="network")
    assert [e["range"]["start"]["line"] for e in edit["changes"][client.uri(NAME)]] == [6, 10]
    assert "still reads $model" in client.note("window/showMessage")["message"]
    refused = client.ask_all(
        "textDocument/rename",
        textDocument={"uri": client.uri(NAME)},
        position={"line": 6, "character": 12},
        newName="No Name",
    )
    assert "is not a name" in refused["error"]["message"]
    assert client.at("prepareRename", NAME, 0, 2) is None


@pytest.mark.parametrize(("encoding", "start"), [("utf-16", 26), ("utf-8", 32), ("utf-32", 23)])
def test_columns_are_counted_as_the_editor_counts(client: Client, encoding: str, start: int) -> None:
    capabilities = {**ALL, "general": {"positionEncodings": [encoding]}}
    assert client.begin(capabilities)["capabilities"]["positionEncoding"] == encoding
    text = 'version: 1\nname: churn\ntasks:\n  a: {run: "🎉🎉🎉", in: [params.x]}\n'
    client.open(NAME, text)
    (finding,) = client.findings(NAME)
    assert finding["code"] == "unknown-param"
    assert finding["range"]["start"] == {"line": 3, "character": start}
    assert finding["range"]["end"]["character"] == start + 8
    assert client.at("completion", NAME, 3, start + 7)["items"] == []


def test_edits_of_a_part_are_followed(client: Client) -> None:
    client.begin()
    client.open(NAME)
    line = SPEC.split("\n").index("    out: {model: model}")
    client.tell(
        "textDocument/didChange",
        textDocument={"uri": client.uri(NAME), "version": 2},
        contentChanges=[
            {
                "range": {"start": {"line": line, "character": 10}, "end": {"line": line, "character": 15}},
                "text": "net",
            }
        ],
    )
    assert codes(client.findings(NAME, version=2)) == ["unknown-out"]


def test_other_files_are_left_alone(client: Client, root: Path) -> None:
    client.begin()
    (root / "values.yaml").write_text("a: [\n")
    client.open("values.yaml")
    assert client.at("hover", "values.yaml", 0, 1) is None
    assert client.at("completion", "values.yaml", 0, 1) is None
    client.tell(
        "textDocument/didOpen",
        textDocument={"uri": "untitled:Untitled-1", "languageId": "yaml", "version": 1, "text": "tasks: {"},
    )
    client.open(NAME)
    assert codes(client.findings(NAME)) == []
    told = [note for note in list(client.notes.queue) if note["method"] == "textDocument/publishDiagnostics"]
    assert [note for note in told if note["params"]["diagnostics"] and "values" in note["params"]["uri"]] == []


def test_nothing_outside_the_repository_is_read(
    client: Client, root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "secret.yaml"
    elsewhere.write_text(REGISTER)
    (root / "pipelines/tasks/link.yaml").symlink_to(elsewhere)
    client.begin()
    client.open(NAME, SPEC.replace("./tasks/register.yaml", "./tasks/link.yaml"))
    assert "path-escape" in codes(client.findings(NAME))
    assert client.at("definition", NAME, 9, 15) == []
    assert [i["label"] for i in client.at("completion", NAME, 9, 17)["items"]] == ["./tasks/register.yaml"]
