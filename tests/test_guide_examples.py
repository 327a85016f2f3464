"""What the guide of the examples says is so: its commands run, on models too small to be good; its paths exist."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from mlgen.cli.main import run

ROOT = Path(__file__).parents[1]
PATH = ROOT / "generator/guides/examples.md"
GUIDE = PATH.read_text()
# No command of the guide says these: so they are added, that a run takes seconds and passes its gate all the same.
SMALL = {"steps": "4", "tune_steps": "1", "max_perplexity": "1000", "max_share": "1000"}


@pytest.fixture(name="repository")
def _repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")  # whose `python` has numpy
    shutil.copytree(ROOT / "pipelines", tmp_path / "pipelines", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "mlgen.yaml").write_text("version: 1\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def commands() -> list[list[str]]:
    """Those of the language model, without the word `mlgen`; the search is run by test_pipelines.py."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", GUIDE, re.DOTALL | re.MULTILINE)
    lines = [shlex.split(line, comments=True)[1:] for block in blocks for line in block.splitlines()]
    return [line for line in lines if "search" not in line]


def smaller(words: list[str]) -> list[str]:
    words = ["interrupt_at=2" if word.startswith("interrupt_at=") else word for word in words]
    if words[0] != "run" or "--resume" in words:
        return words
    return [*words, *(each for name, value in SMALL.items() for each in ("-p", f"{name}={value}"))]


def test_its_commands_do_what_they_say(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("numpy", reason="needs numpy, as extra `demo` has it")
    said = []
    for words in commands():
        assert run(smaller(words)) == 0, capsys.readouterr()
        said.append(capsys.readouterr())
    plan, _, shown, card, lineage, broken, compared, retuned, gated = said
    assert "for each of split.domains, as name, 2 at once" in plan.out
    assert "finetune  4 items: 4 succeeded; the best by min loss" in shown.out
    assert "# A tiny language model, tuned to verse" in card.out
    assert all(book in lineage.out for book in ("story", "verse", "science"))
    assert re.search("pretrain +failed, exit code 75 .*tried again", broken.err)
    assert "interrupt_at" in compared.out
    assert re.search("from first: .*pretrain.* reused", retuned.err)
    assert "package" in gated.err

    models = [*repository.glob(".mlgen/artifacts/tiny-llm/*/pretrain*/base/model.safetensors")]
    first, second, *_ = (model.read_bytes() for model in models)
    assert first == second


def test_what_it_names_is_there() -> None:
    for path in re.findall(r"\]\(([^)#:]+)\)", GUIDE):
        assert (PATH.parent / path).exists(), path
    specs = "".join((ROOT / f"pipelines/{name}.yaml").read_text() for name in ("tiny-llm", "breast-cancer-tune"))
    for written in (
        "checkpoint: state",
        "pick: min loss",
        "pick: max auc",
        "for: {name: split.domains}",
        "cache: true",
    ):
        assert written in GUIDE
        assert written in specs
