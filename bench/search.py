"""How long one ask of a search takes, by how many trials it is told of: cpu, the median of five.

python bench/search.py
"""

from __future__ import annotations

import random
import statistics
import time

from mlgen.search.ask import ask
from mlgen.search.model import Dimension, Search, Told
from mlgen.values import Type

SPACE = (
    Dimension("rate", Type.NUMBER, low=1e-4, high=1e-1, log=True),
    Dimension("depth", Type.INTEGER, low=2, high=10),
    Dimension("kind", Type.STRING, ("gini", "entropy")),
)
SEARCH = Search(SPACE, 2000, "auc", highest=True, seed=7)


def main() -> None:
    draw = random.Random(1)
    ask(SEARCH, [], 0, {})  # Optuna is imported
    for count in (10, 100, 1000, 1999):
        told = [Told(n, _texts(draw), draw.random()) for n in range(count)]
        print(f"{count:5} told: {statistics.median(_seconds(told) for _ in range(5)) * 1000:.0f} ms")


def _texts(draw: random.Random) -> dict[str, str]:
    kind = draw.choice(("gini", "entropy"))
    return {"rate": repr(10 ** draw.uniform(-4, -1)), "depth": str(draw.randint(2, 10)), "kind": kind}


def _seconds(told: list[Told]) -> float:
    began = time.process_time()
    ask(SEARCH, told, len(told), {})
    return time.process_time() - began


if __name__ == "__main__":
    main()
