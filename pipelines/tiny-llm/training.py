"""What pretraining and fine-tuning have in common: texts as tokens, batches, Adam, models and checkpoints as files."""

import json
import math
from collections.abc import Set
from dataclasses import asdict
from pathlib import Path

import numpy as np
import safetensors
from bpe import Tokenizer
from transformer import Shape, Weights, loss_and_gradients, losses


def read_tokens(path: Path, tokenizer: Tokenizer) -> np.ndarray:
    return np.array(tokenizer.encode(path.read_text()))


def batch(tokens: np.ndarray, context: int, count: int, draw: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """`count` pieces of the text, and the same pieces one token later: what is to be told.

    draw: seed and step. A step's batch depends on nothing else, so what continues draws what it would have.
    """
    starts = np.random.default_rng(draw).integers(0, len(tokens) - context, size=count)
    places = starts[:, None] + np.arange(context)
    return tokens[places], tokens[places + 1]


def perplexity(weights: Weights, shape: Shape, tokens: np.ndarray) -> float:
    """e to the mean loss, over the text cut into pieces: among how many tokens it hesitates. Lower is better."""
    count = (len(tokens) - 1) // shape.context
    whole = count * shape.context
    pieces, targets = (part.reshape(count, -1) for part in (tokens[:whole], tokens[1 : whole + 1]))
    return math.exp(losses(weights, shape, pieces, targets).mean(dtype=np.float64))


class Training:
    """Weights that learn by Adam (https://arxiv.org/abs/1412.6980), and may be saved and taken up at any step."""

    def __init__(self, weights: Weights, shape: Shape, learning: Set[str]) -> None:
        self.weights, self.shape, self.learning = weights, shape, learning
        self.step = 0
        self._mean = {name: np.zeros_like(weights[name]) for name in sorted(learning)}
        self._square = {name: np.zeros_like(weights[name]) for name in sorted(learning)}

    def learn(self, tokens: np.ndarray, targets: np.ndarray, rate: float) -> float:
        """One step; its loss before it."""
        loss, gradients = loss_and_gradients(self.weights, self.shape, tokens, targets, self.learning)
        self.step += 1
        length = math.sqrt(sum(float((gradient**2).sum()) for gradient in gradients.values()))
        clip = min(1.0, 1.0 / (length + 1e-6))  # one odd batch throws nothing over
        for name in sorted(self.learning):
            gradient = gradients[name] * clip
            self._mean[name] += 0.1 * (gradient - self._mean[name])
            self._square[name] += 0.02 * (gradient**2 - self._square[name])
            mean = self._mean[name] / (1 - 0.9**self.step)
            square = self._square[name] / (1 - 0.98**self.step)
            self.weights[name] -= rate * mean / (np.sqrt(square) + 1e-8)
        return loss

    def save(self, folder: Path) -> None:
        """One file with all that the next step needs: written beside, then renamed, so that none is ever half there."""
        arrays = {f"weight {name}": self.weights[name] for name in self.learning}
        arrays |= {f"mean {name}": array for name, array in self._mean.items()}
        arrays |= {f"square {name}": array for name, array in self._square.items()}
        beside = folder / "training.tmp"
        safetensors.write(beside, arrays | {"step": np.array([self.step])})
        beside.rename(folder / "training.safetensors")

    def take_up(self, folder: Path) -> None:
        """Goes on from what was saved there, if anything was."""
        if not (folder / "training.safetensors").exists():
            return
        arrays = safetensors.read(folder / "training.safetensors")
        self.step = int(arrays.pop("step")[0])
        for name, array in arrays.items():
            kind, _, weight = name.partition(" ")
            {"weight": self.weights, "mean": self._mean, "square": self._square}[kind][weight] = array


def write_model(folder: Path, weights: Weights, shape: Shape) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(asdict(shape)) + "\n")
    safetensors.write(folder / "model.safetensors", weights)


def read_model(folder: Path) -> tuple[Weights, Shape]:
    shape = Shape(**json.loads((folder / "config.json").read_text()))
    return safetensors.read(folder / "model.safetensors"), shape
