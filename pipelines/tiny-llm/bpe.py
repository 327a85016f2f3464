"""Byte-pair encoding: text to numbers and back. Run as a program it learns a vocabulary.

Each of the 256 bytes is a token. Learning joins the pair of tokens that stands side by side most often into a new one,
again and again. So common words become one token, and no text is ever without tokens. Source: Sennrich, Haddow and
Birch, 2016, https://aclanthology.org/P16-1162; bytes and the rule of words as in GPT-2.
"""

import argparse
import json
import re
from collections import Counter, defaultdict
from functools import cache
from itertools import pairwise
from pathlib import Path

Pair = tuple[int, int]
# A word with the blank before it, other signs with theirs, or blanks: no token reaches over these borders.
WORDS = re.compile(r" ?\w+| ?[^\w\s]+|\s")


def learn(text: str, size: int) -> list[Pair]:
    """The pairs to join, in order, so that there are `size` tokens (or fewer, if the text has no more pairs)."""
    counted = sorted(Counter(WORDS.findall(text)).items())
    words, counts = [list(word.encode()) for word, _ in counted], [count for _, count in counted]
    pairs: Counter[Pair] = Counter()
    where: defaultdict[Pair, set[int]] = defaultdict(set)  # in which words: only these change when it is joined
    for n, word in enumerate(words):
        for pair in pairwise(word):
            pairs[pair] += counts[n]
            where[pair].add(n)

    merges: list[Pair] = []
    while 256 + len(merges) < size and pairs:
        # Of pairs that are equally frequent the lowest: the same text gives the same vocabulary everywhere.
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        for n in where.pop(best):
            for pair in pairwise(words[n]):
                pairs[pair] -= counts[n]
            words[n] = joined(words[n], best, 255 + len(merges))
            for pair in pairwise(words[n]):
                pairs[pair] += counts[n]
                where[pair].add(n)
        pairs = Counter({pair: count for pair, count in pairs.items() if count > 0})
    return merges


def joined(tokens: list[int], pair: Pair, token: int) -> list[int]:
    """The tokens with `token` in the place of each `pair`."""
    made: list[int] = []
    for each in tokens:
        if made and (made[-1], each) == pair:
            made[-1] = token
        else:
            made.append(each)
    return made


class Tokenizer:
    """A vocabulary that was learnt; the file has the pairs alone, as JSON."""

    def __init__(self, merges: list[Pair]) -> None:
        self.merges = merges
        self._order = {pair: 256 + n for n, pair in enumerate(merges)}
        self._bytes = [bytes([n]) for n in range(256)]
        for left, right in merges:
            self._bytes.append(self._bytes[left] + self._bytes[right])
        self._word = cache(self._tokens_of_word)

    @classmethod
    def read(cls, path: Path) -> "Tokenizer":
        return cls([(left, right) for left, right in json.loads(path.read_text())["merges"]])

    def write(self, path: Path) -> None:
        path.write_text(json.dumps({"kind": "byte-pair encoding", "merges": self.merges}) + "\n")

    @property
    def size(self) -> int:
        return len(self._bytes)

    def encode(self, text: str) -> list[int]:
        return [token for word in WORDS.findall(text) for token in self._word(word)]

    def decode(self, tokens: list[int]) -> str:
        """The text; half a character at the cut of a sample is shown as a replacement sign."""
        return b"".join(self._bytes[token] for token in tokens).decode(errors="replace")

    def _tokens_of_word(self, word: str) -> list[int]:
        tokens = list(word.encode())
        while True:
            pairs = [pair for pair in pairwise(tokens) if pair in self._order]
            if not pairs:
                return tokens
            first = min(pairs, key=self._order.__getitem__)  # joined in the order in which they were learnt
            tokens = joined(tokens, first, self._order[first])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts", type=Path, help="folder of texts to learn from")
    parser.add_argument("--size", type=int, required=True, help="number of tokens")
    parser.add_argument("--tokenizer", type=Path, required=True, help="JSON file to write")
    args = parser.parse_args()

    text = "\n".join(path.read_text() for path in sorted(args.texts.glob("*.txt")))
    tokenizer = Tokenizer(learn(text, args.size))
    tokenizer.write(args.tokenizer)
    count = len(tokenizer.encode(text))
    print(
        f"{tokenizer.size} tokens; {len(text)} characters are {count} tokens, {len(text) / count:.2f} characters each"
    )


if __name__ == "__main__":
    main()
