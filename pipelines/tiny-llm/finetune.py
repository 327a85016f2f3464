"""Makes a model better at one domain: its weights stand still, small adapters beside them learn (LoRA)."""

import argparse
import math
from pathlib import Path

from bpe import Tokenizer
from training import Training, batch, perplexity, read_model, read_tokens, write_model
from transformer import adapters


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", type=Path, help="folder of the model")
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("--text", type=Path, required=True, help="of the domain, to train on")
    parser.add_argument("--choose", type=Path, required=True, help="of the domain, to tell how good it became")
    parser.add_argument("--rank", type=int, required=True, help="of the adapters: how much they can learn")
    parser.add_argument("--rate", type=float, required=True, help="learning rate")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--adapter", type=Path, required=True, help="folder to write: the adapters alone")
    parser.add_argument("--loss", type=Path, required=True, help="file for the loss on what it is chosen by")
    args = parser.parse_args()

    tokenizer = Tokenizer.read(args.tokenizer)
    weights, shape = read_model(args.base)
    added = adapters(weights, args.rank, args.seed)
    before = perplexity(weights, shape, chosen := read_tokens(args.choose, tokenizer))

    training = Training(weights | added, shape, added.keys())
    tokens = read_tokens(args.text, tokenizer)
    for step in range(args.steps):
        training.learn(*batch(tokens, shape.context, 16, (args.seed, step)), args.rate * (1 - step / args.steps))

    after = perplexity(training.weights, shape, chosen)
    write_model(args.adapter, {name: training.weights[name] for name in added}, shape)
    args.loss.write_text(f"{math.log(after):.6f}\n")
    count = sum(array.size for array in added.values())
    print(f"rank {args.rank}, {count} weights: perplexity {before:.1f} → {after:.1f}")


if __name__ == "__main__":
    main()
