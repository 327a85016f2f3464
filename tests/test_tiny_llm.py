"""The model of pipelines/tiny-llm: its gradients are right, it continues exactly, its vocabulary loses nothing."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy", reason="needs numpy, as extra `demo` has it")
PROGRAMS = Path(__file__).parents[1] / "pipelines" / "tiny-llm"
TEXT = "Of Man's first disobedience, and the fruit of that forbidden tree. " * 12


@pytest.fixture(name="programs")
def _programs(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a program by its name, as they import one another."""
    monkeypatch.syspath_prepend(str(PROGRAMS))
    return importlib.import_module


def test_gradients_are_those_of_differences(programs: Any) -> None:
    transformer = programs("transformer")
    shape = transformer.Shape(vocabulary=11, context=5, width=8, heads=2, layers=2)
    draws = np.random.default_rng(3)
    weights = transformer.started(shape, 1)
    weights |= transformer.adapters(weights, 2, 1)
    # Doubles, and no weight at the zero where an adapter begins: else its `a` had no gradient.
    weights = {name: w.astype(float) + 0.1 * draws.standard_normal(w.shape) for name, w in weights.items()}
    tokens, targets = draws.integers(0, 11, size=(2, 3, 5))
    loss, gradients = transformer.loss_and_gradients(weights, shape, tokens, targets, weights.keys())
    assert gradients.keys() == weights.keys()
    assert loss == pytest.approx(transformer.losses(weights, shape, tokens, targets).mean())
    for name, gradient in gradients.items():
        direction = draws.standard_normal(gradient.shape)
        ends = [
            transformer.losses({**weights, name: weights[name] + e * direction}, shape, tokens, targets).mean()
            for e in (1e-5, -1e-5)
        ]
        assert (gradient * direction).sum() == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-5, abs=1e-8), name


def test_no_token_sees_what_comes_after_it(programs: Any) -> None:
    transformer = programs("transformer")
    shape = transformer.Shape(vocabulary=11, context=6, width=8, heads=2, layers=2)
    weights = transformer.started(shape, 1)
    tokens = np.arange(6)[None]
    changed = np.where(tokens == 4, 9, tokens)
    one, other = (transformer.logits(weights, shape, each)[0] for each in (tokens, changed))
    assert np.allclose(one[:4], other[:4])
    assert not np.allclose(one[4], other[4])


def test_what_is_joined_comes_apart_again(programs: Any) -> None:
    bpe = programs("bpe")
    merges = bpe.learn(TEXT, 300)
    tokenizer = bpe.Tokenizer(merges)
    assert merges[0] == (ord(" "), ord("f"))  # of the pairs that are there most often the lowest
    for text in (TEXT, "Zürich\n\n  \t«q» 語", ""):
        assert tokenizer.decode(tokenizer.encode(text)) == text
    assert len(tokenizer.encode(TEXT)) < len(TEXT) / 2
    assert bpe.learn("aa", 300) == [(97, 97)]  # no more pairs


def test_files_are_as_others_read_them(programs: Any, tmp_path: Path) -> None:
    safetensors = programs("safetensors")
    arrays = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.ones(1, np.float32)}
    safetensors.write(tmp_path / "x", arrays)
    whole = (tmp_path / "x").read_bytes()
    size = int.from_bytes(whole[:8], "little")
    assert whole[8 : 8 + size].startswith(b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}')
    assert size % 8 == 0
    assert len(whole) == 8 + size + 4 * 7
    read = safetensors.read(tmp_path / "x")
    assert {name: array.tolist() for name, array in read.items()} == {n: a.tolist() for n, a in arrays.items()}


def test_a_training_that_was_broken_off_makes_the_same_bytes(programs: Any, tmp_path: Path) -> None:
    bpe = programs("bpe")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/verse.txt").write_text(TEXT)
    bpe.Tokenizer(bpe.learn(TEXT, 280)).write(tmp_path / "tokenizer")

    def pretrain(name: str, *more: str) -> int:
        (tmp_path / f"{name}-state").mkdir(exist_ok=True)
        outs = [f"--{out}={tmp_path / name}-{out}" for out in ("state", "model", "loss")]
        command = [sys.executable, "-B", str(PROGRAMS / "pretrain.py"), f"{tmp_path}/texts", f"{tmp_path}/tokenizer"]
        command += ["--steps=6", "--seed=1", *outs, *more]
        return subprocess.run(command, stdout=subprocess.DEVNULL, check=False, timeout=100).returncode

    assert pretrain("whole") == 0
    assert pretrain("broken", "--interrupt-at=3") == 75
    assert not (tmp_path / "broken-model").exists()
    assert pretrain("broken", "--interrupt-at=3") == 0
    whole, broken = ((tmp_path / f"{name}-model/model.safetensors").read_bytes() for name in ("whole", "broken"))
    assert whole == broken
