"""What the guide of retries says is so: its spec runs, its commands answer, its words are those of the code."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from mlgen.cli.main import run
from mlgen.runtime.attempts.retrying import Cause, Policy, delay_seconds, refusal, with_refusal
from mlgen.runtime.ending import ended_with

GUIDE = (Path(__file__).parents[1] / "generator/guides/retries.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def test_its_commands_do_what_they_say(bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (bare / "pipelines/steady.yaml").write_text(block("yaml"))
    said = {}
    for line in block("sh").splitlines():
        words = shlex.split(line, comments=True)[1:]
        assert run(words) == 0, capsys.readouterr().err
        said[" ".join(words[:2])] = capsys.readouterr().out
    first, second = said["logs first"].split("== train, attempt 2 ==\n")
    assert first.endswith("begins after step 0\n\n")
    assert second == "begins after step 4\n"
    shown = said["runs show"]
    assert "fetch  succeeded, attempt 2, " in shown
    assert "train  succeeded, attempt 2, " in shown
    assert "  before: failed, exit code 75, " in shown


def test_its_words_are_those_of_a_record() -> None:
    policy = Policy(3, infrastructure=True, codes=(75,))
    why = refusal(policy, Cause.PROGRAM, 3, began=True)
    assert why is not None
    assert block("text") == with_refusal(ended_with(3), why) + "\n"
    assert [delay_seconds(Policy(9, backoff_seconds=30), n) for n in (1, 2, 3, 9)] == [30, 60, 120, 600]


def test_its_task_may_run_on_spot_nodes(bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spot = "".join(
        f"{line}\n" for line in re.findall("^(    (?:spot|retries|checkpoint): .*)$", GUIDE, re.MULTILINE)[-3:]
    )
    assert spot.count("\n") == 3
    text = f"version: 1\nname: steady\ntasks:\n  train:\n    run: echo\n    timeout: 6h\n{spot}"
    (bare / "pipelines/steady.yaml").write_text(text)
    assert run(["run", "pipelines/steady.yaml"]) == 1
    assert "error[no-spot]" in capsys.readouterr().err
    spot_nodes = "{node_selector: {cloud.google.com/gke-spot: 'true'}}"
    (bare / "mlgen.yaml").write_text(f"version: 1\nenvironments:\n  local: {{spot: {spot_nodes}}}\n")
    assert run(["run", "pipelines/steady.yaml"]) == 0
    assert "spot" not in capsys.readouterr().err
