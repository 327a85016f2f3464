"""Judges a model on text that it never saw, beside one that only counts pairs of tokens."""

import argparse
import math
from pathlib import Path

import numpy as np
from bpe import Tokenizer
from training import perplexity, read_model, read_tokens


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", type=Path, help="folder of the model")
    parser.add_argument("adapter", type=Path, help="folder of its adapters")
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("--train", type=Path, required=True, help="folder of the texts that it was trained on")
    parser.add_argument("--held", type=Path, required=True, help="text that was held back")
    parser.add_argument("--untuned", type=Path, required=True, help="file for the perplexity without adapters")
    parser.add_argument("--tuned", type=Path, required=True, help="file for the perplexity with them")
    parser.add_argument("--counted", type=Path, required=True, help="file for the perplexity of counted pairs")
    args = parser.parse_args()

    tokenizer = Tokenizer.read(args.tokenizer)
    weights, shape = read_model(args.base)
    held = read_tokens(args.held, tokenizer)
    train = np.concatenate([read_tokens(path, tokenizer) for path in sorted(args.train.glob("*.txt"))])
    found = {
        args.untuned: perplexity(weights, shape, held),
        args.tuned: perplexity(weights | read_model(args.adapter)[0], shape, held),
        args.counted: bigram_perplexity(train, held, tokenizer.size),
    }
    for path, value in found.items():
        path.write_text(f"{value:.4f}\n")
        print(f"{path.name}: {value:.2f}")


def bigram_perplexity(train: np.ndarray, held: np.ndarray, size: int) -> float:
    """Of a simple rival: each token by the one before it, as often as seen, mixed with how often it is seen at all.

    The share of the mixture is the one that suits `held` best: a rival is given every advantage.
    """
    single = np.bincount(train, minlength=size) + 0.5
    pairs = np.zeros((size, size))
    np.add.at(pairs, (train[:-1], train[1:]), 1)
    rare = (single / single.sum())[held[1:]]
    often = (pairs / np.maximum(pairs.sum(axis=1, keepdims=True), 1))[held[:-1], held[1:]]
    shares = np.linspace(0.05, 0.95, 19)
    return min(math.exp(-np.log(share * often + (1 - share) * rare).mean()) for share in shares)


if __name__ == "__main__":
    main()
