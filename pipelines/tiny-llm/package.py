"""Lays the model into one folder, to be used without this repository: weights, vocabulary, samples and a card."""

import argparse
import csv
import shutil
from pathlib import Path

import numpy as np
from bpe import Tokenizer
from training import read_model, write_model
from transformer import Shape, Weights, logits

CARD = """# A tiny language model, tuned to {domain}

{count:,} weights, {layers} layers, a vocabulary of {vocabulary} tokens, {context} tokens seen at once. It learnt from
the beginnings of three books in the public domain. It is an example: it knows the sound of English, and nothing else.

Perplexity on text that was held back: before and after the adapters (rank {rank}, learning rate {rate}), and that of
counting which token follows which.

| {columns} |
|{rule}|
{rows}

## What it writes

{samples}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", type=Path, help="folder of the model")
    parser.add_argument("adapter", type=Path, help="folder of its adapters")
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("--domain", required=True)
    parser.add_argument("--rank", required=True)
    parser.add_argument("--rate", required=True)
    parser.add_argument("--table", type=Path, required=True, help="CSV of perplexities")
    parser.add_argument("--prompt", action="append", default=[], help="what a sample begins with")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--package", type=Path, required=True, help="folder to write")
    parser.add_argument("--card", type=Path, required=True, help="Markdown file to write")
    args = parser.parse_args()

    base, shape = read_model(args.base)
    weights = merged(base, read_model(args.adapter)[0])
    tokenizer = Tokenizer.read(args.tokenizer)
    write_model(args.package, weights, shape)
    shutil.copyfile(args.tokenizer, args.package / "tokenizer.json")

    samples = [
        sample(weights, shape, tokenizer, prompt, length=60, draw=(args.seed, n))
        for n, prompt in enumerate(args.prompt)
    ]
    (args.package / "samples.txt").write_text("\n---\n".join(samples) + "\n")
    with args.table.open(newline="") as file:
        columns, *rows = csv.reader(file)
    card = CARD.format(
        **vars(shape),
        domain=args.domain,
        rank=args.rank,
        rate=args.rate,
        count=sum(array.size for array in weights.values()),
        columns=" | ".join(columns),
        rule="---|" * (len(columns) - 1) + "---",
        rows="\n".join(f"| {' | '.join(row)} |" for row in rows),
        samples="\n\n".join("    " + text.replace("\n", "\n    ") for text in samples),
    )
    args.card.write_text(card)
    (args.package / "README.md").write_text(card)
    print(card)


def merged(base: Weights, adapter: Weights) -> Weights:
    """The weights with what their adapters add, so that whoever runs the model need not know of adapters."""
    return {
        name: weight + adapter[f"{name}.a"] @ adapter[f"{name}.b"] if f"{name}.a" in adapter else weight
        for name, weight in base.items()
    }


def sample(
    weights: Weights, shape: Shape, tokenizer: Tokenizer, prompt: str, *, length: int, draw: tuple[int, int]
) -> str:
    """The prompt, continued by `length` tokens, each drawn from the twenty that are most likely."""
    draws = np.random.default_rng(draw)
    tokens = tokenizer.encode(prompt)
    for _ in range(length):
        scores = logits(weights, shape, np.array([tokens[-shape.context :]]))[0, -1].astype(float)
        scores[scores < np.sort(scores)[-20]] = -np.inf
        chances = np.exp((scores - scores.max()) / 0.8)  # below one: bolder than what it learnt
        tokens.append(int(draws.choice(len(chances), p=chances / chances.sum())))
    return tokenizer.decode(tokens)


if __name__ == "__main__":
    main()
