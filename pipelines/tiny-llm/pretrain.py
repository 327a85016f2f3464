"""Trains a model on all texts, from nothing; continues where an attempt before it was broken off."""

import argparse
import math
import sys
from pathlib import Path

import numpy as np
from bpe import Tokenizer
from training import Training, batch, read_tokens, write_model
from transformer import Shape, started

TRY_AGAIN = 75  # EX_TEMPFAIL of sysexits.h; the spec's `retries` name it


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts", type=Path, help="folder of texts")
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--rate", type=float, default=0.01, help="learning rate at its height")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument(
        "--interrupt-at", type=int, default=0, help="of the first attempt: the step at which it breaks off"
    )
    parser.add_argument("--state", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--model", type=Path, required=True, help="folder to write")
    parser.add_argument("--loss", type=Path, required=True, help="file for the mean loss of the last steps")
    args = parser.parse_args()

    tokenizer = Tokenizer.read(args.tokenizer)
    tokens = np.concatenate([read_tokens(path, tokenizer) for path in sorted(args.texts.glob("*.txt"))])
    shape = Shape(vocabulary=tokenizer.size, context=32, width=64, heads=4, layers=2)
    weights = started(shape, args.seed)
    training = Training(weights, shape, weights.keys())
    training.take_up(args.state)
    begun = training.step
    print(f"{sum(array.size for array in weights.values())} weights, {len(tokens)} tokens, from step {begun}")

    recent: list[float] = []
    while training.step < args.steps:
        if args.interrupt_at and begun == 0 and training.step == args.interrupt_at:
            training.save(args.state)
            sys.exit(TRY_AGAIN)
        pieces = batch(tokens, shape.context, 24, (args.seed, training.step))
        recent = [*recent[-19:], training.learn(*pieces, rate_at(training.step, args.steps, args.rate))]
        if training.step % 50 == 0:
            training.save(args.state)
            print(f"step {training.step}: loss {np.mean(recent):.3f}", flush=True)
    write_model(args.model, weights, shape)
    args.loss.write_text(f"{np.mean(recent):.6f}\n")


def rate_at(step: int, steps: int, height: float) -> float:
    """Up in a line for the first twentieth, then down along a cosine to a tenth."""
    rise = max(1, steps // 20)
    if step < rise:
        return height * (step + 1) / rise
    return height * (0.1 + 0.45 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise))))


if __name__ == "__main__":
    main()
