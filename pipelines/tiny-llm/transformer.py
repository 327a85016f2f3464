"""A small transformer in numpy: what it computes, and the gradients of its loss, by hand.

The order of GPT-2 with simpler parts: token and position embeddings; in each layer causal attention, then two linear
maps with a ReLU between; a norm by the root mean square before each, no biases; the embedding is the output's matrix,
too.

B texts at once, T tokens in each, D width, H heads, V tokens that there are. All weights lie in one dict by name. A
weight `x` may have an adapter, `x.a` (D, r) and `x.b` (r, D), which adds `input @ a @ b`: LoRA,
https://arxiv.org/abs/2106.09685.
"""

import math
from collections.abc import Iterator, Set
from dataclasses import dataclass, field

import numpy as np

Array = np.ndarray
Weights = dict[str, Array]


@dataclass(frozen=True)
class Shape:
    vocabulary: int
    context: int  # tokens that it sees at once
    width: int
    heads: int
    layers: int


def started(shape: Shape, seed: int) -> Weights:
    """Weights to begin with: small random numbers, the last of each layer smaller, gains of one."""
    draws = np.random.default_rng(seed)

    def matrix(rows: int, columns: int, scale: float) -> Array:
        return (draws.standard_normal((rows, columns)) * scale).astype(np.float32)

    d = shape.width
    weights = {
        "embedding": matrix(shape.vocabulary, d, 0.05),
        "position": matrix(shape.context, d, 0.05),
        "norm": np.ones(d, np.float32),
    }
    last = 1 / math.sqrt(2 * shape.layers)
    for n in range(shape.layers):
        for name in ("query", "key", "value"):
            weights[f"{n}.{name}"] = matrix(d, d, d**-0.5)
        weights[f"{n}.mix"] = matrix(d, d, d**-0.5 * last)
        weights[f"{n}.up"] = matrix(d, 4 * d, d**-0.5)
        weights[f"{n}.down"] = matrix(4 * d, d, (4 * d) ** -0.5 * last)
        weights[f"{n}.attention_norm"] = np.ones(d, np.float32)
        weights[f"{n}.mlp_norm"] = np.ones(d, np.float32)
    return weights


def adapters(weights: Weights, rank: int, seed: int) -> Weights:
    """An adapter for each query and value; its `b` is zero, so that it changes nothing before it has learnt."""
    draws = np.random.default_rng(seed)
    made = {}
    for name in sorted(weights):
        if name.endswith((".query", ".value")):
            rows, columns = weights[name].shape
            made[f"{name}.a"] = (draws.standard_normal((rows, rank)) * rows**-0.5).astype(np.float32)
            made[f"{name}.b"] = np.zeros((rank, columns), np.float32)
    return made


def logits(weights: Weights, shape: Shape, tokens: Array) -> Array:
    """Of each next token, after each of `tokens` (B, T): (B, T, V)."""
    return Pass(weights, shape, tokens).logits


def losses(weights: Weights, shape: Shape, tokens: Array, targets: Array) -> Array:
    """The negative logarithm of each target's probability: (B, T), in nats."""
    return -_picked(_log_softmax(logits(weights, shape, tokens)), targets)


def loss_and_gradients(
    weights: Weights, shape: Shape, tokens: Array, targets: Array, learning: Set[str]
) -> tuple[float, Weights]:
    """The mean loss, and its gradient for each weight of `learning`; the others stand still."""
    run = Pass(weights, shape, tokens)
    logs = _log_softmax(run.logits)
    d_logits = np.exp(logs)
    np.put_along_axis(d_logits, targets[..., None], np.exp(_picked(logs, targets))[..., None] - 1, axis=-1)
    run.backward(d_logits / targets.size, learning)
    return float(-_picked(logs, targets).mean()), run.gradients


def _picked(logs: Array, targets: Array) -> Array:
    return np.take_along_axis(logs, targets[..., None], axis=-1)[..., 0]


def _log_softmax(x: Array) -> Array:
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


@dataclass
class Pass:
    """One way through the network. Each step forth leaves on `tape` what its way back needs."""

    weights: Weights
    shape: Shape
    tokens: Array
    gradients: Weights = field(default_factory=dict)
    tape: list[tuple[Array, ...]] = field(default_factory=list)
    learning: Set[str] = frozenset()

    def __post_init__(self) -> None:
        w = self.weights
        x = w["embedding"][self.tokens] + w["position"][: self.tokens.shape[1]]
        for n in range(self.shape.layers):
            x = x + self._attention(n, self._norm(f"{n}.attention_norm", x))
            x = x + self._mlp(n, self._norm(f"{n}.mlp_norm", x))
        self.last = self._norm("norm", x)
        self.logits = self.last @ w["embedding"].T

    def backward(self, d_logits: Array, learning: Set[str]) -> None:
        """Fills `gradients`, step by step in the reverse order."""
        self.learning = learning
        dx = self._norm_back("norm", d_logits @ self.weights["embedding"])
        for n in reversed(range(self.shape.layers)):
            dx = dx + self._norm_back(f"{n}.mlp_norm", self._mlp_back(n, dx))
            dx = dx + self._norm_back(f"{n}.attention_norm", self._attention_back(n, dx))
        if "embedding" in learning:  # it was read twice: at the end, and at the beginning
            total = _rows(d_logits).T @ _rows(self.last)
            np.add.at(total, self.tokens, dx)
            self.gradients["embedding"] = total
        if "position" in learning:
            self.gradients["position"] = np.zeros_like(self.weights["position"])
            self.gradients["position"][: dx.shape[1]] = dx.sum(axis=0)

    def _linear(self, name: str, x: Array) -> Array:
        """x @ weight, and what its adapter adds."""
        self.tape.append((x,))
        y = x @ self.weights[name]
        if f"{name}.a" in self.weights:
            y = y + x @ self.weights[f"{name}.a"] @ self.weights[f"{name}.b"]
        return y

    def _linear_back(self, name: str, dy: Array) -> Array:
        (x,) = self.tape.pop()
        a, b = self.weights.get(f"{name}.a"), self.weights.get(f"{name}.b")
        dx = dy @ self.weights[name].T
        if name in self.learning:
            self.gradients[name] = _rows(x).T @ _rows(dy)
        if a is not None and b is not None:
            d_inner = dy @ b.T
            dx = dx + d_inner @ a.T
            if f"{name}.a" in self.learning:
                self.gradients[f"{name}.a"] = _rows(x).T @ _rows(d_inner)
                self.gradients[f"{name}.b"] = _rows(x @ a).T @ _rows(dy)
        return dx

    def _norm(self, name: str, x: Array) -> Array:
        """Scaled to a root mean square of one, times a gain for each place."""
        scale = 1 / np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-5)
        self.tape.append((x, scale))
        return x * scale * self.weights[name]

    def _norm_back(self, name: str, dy: Array) -> Array:
        x, scale = self.tape.pop()
        if name in self.learning:
            self.gradients[name] = _rows(dy * x * scale).sum(axis=0)
        inner = dy * self.weights[name]
        return scale * inner - x * scale**3 * (inner * x).mean(axis=-1, keepdims=True)

    def _mlp(self, n: int, x: Array) -> Array:
        hidden = np.maximum(self._linear(f"{n}.up", x), 0)
        return self._linear(f"{n}.down", hidden)

    def _mlp_back(self, n: int, dy: Array) -> Array:
        (hidden,) = self.tape[-1]  # what `down` was given
        return self._linear_back(f"{n}.up", self._linear_back(f"{n}.down", dy) * (hidden > 0))

    def _attention(self, n: int, x: Array) -> Array:
        """Each token looks at itself and those before it: a mean of their values, weighted by query times key."""
        q, k, v = (self._heads(self._linear(f"{n}.{name}", x)) for name in ("query", "key", "value"))
        scores = q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1])
        scores += np.triu(np.full(scores.shape[-2:], -1e9, scores.dtype), 1)  # what comes later is not seen
        share = np.exp(_log_softmax(scores))
        self.tape.append((q, k, v, share))
        return self._linear(f"{n}.mix", self._merged(share @ v))

    def _attention_back(self, n: int, dy: Array) -> Array:
        d_mixed = self._heads(self._linear_back(f"{n}.mix", dy))
        q, k, v, share = self.tape.pop()
        d_share = d_mixed @ v.swapaxes(-1, -2)
        d_scores = share * (d_share - (d_share * share).sum(axis=-1, keepdims=True)) / math.sqrt(q.shape[-1])
        back: Iterator[tuple[str, Array]] = iter(  # the tape has value on top
            [
                ("value", share.swapaxes(-1, -2) @ d_mixed),
                ("key", d_scores.swapaxes(-1, -2) @ q),
                ("query", d_scores @ k),
            ]
        )
        return np.add.reduce([self._linear_back(f"{n}.{name}", self._merged(d)) for name, d in back])

    def _heads(self, x: Array) -> Array:
        """(B, T, D) → (B, H, T, D / H)."""
        return x.reshape(*x.shape[:2], self.shape.heads, -1).swapaxes(1, 2)

    def _merged(self, x: Array) -> Array:
        """(B, H, T, D / H) → (B, T, D)."""
        return x.swapaxes(1, 2).reshape(x.shape[0], x.shape[2], -1)


def _rows(x: Array) -> Array:
    return x.reshape(-1, x.shape[-1])
