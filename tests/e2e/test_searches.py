"""A search in a cluster: trials asked for by what became of those before, one stopped early, the winner handed on."""

from __future__ import annotations

import json

import pytest

from mlgen.search.ask import ask_wave
from mlgen.search.model import Dimension, Prune, Search, Told
from mlgen.values import Type, to_text
from tests.e2e.lab import Lab
from tests.e2e.run import start

pytestmark = pytest.mark.together

# The third trial reports that it has fallen behind, and waits to be told so; the last one fails and is borne.
SPEC = """\
tasks:
  train:
    sweep:
      search: {rate: {min: 0.01, max: 1.0, log: true}, kind: [a b, "$c"]}
      trials: 4
      seed: 5
      sampler: {name: tpe, startup: 2}
      prune: {name: median, startup: 2}
    parallel: 2
    failures: 1
    pick: max auc
    run: |
      if [ "$MLGEN_INDEX" = 3 ]; then exit 4; fi
      value="0.$MLGEN_INDEX"
      if [ "$MLGEN_INDEX" = 2 ]; then value=-1; fi
      echo "1 $value" >> "$MLGEN_REPORT"
      if [ "$MLGEN_INDEX" = 2 ]; then
        for n in $(seq 100); do if [ -e "$MLGEN_PRUNE" ]; then exit 0; fi; sleep 0.2; done
      fi
      echo "$value" > "$auc"
      echo "$rate $kind" > "$model"
    out: {model: model, auc: metric}
  use:
    run: |
      [ "$auc" = 0.1 ] && [ "$(cat "$model")" = "$rate $kind" ]
    in: [train.model, train.auc, train.rate, train.kind]
"""
SEARCH = Search(
    (Dimension("rate", Type.NUMBER, low=0.01, high=1.0, log=True), Dimension("kind", Type.STRING, ("a b", "$c"))),
    trials=4,
    metric="auc",
    highest=True,
    parallel=2,
    seed=5,
    startup=2,
    prune=Prune("median", startup=2),
)


def test_a_search(lab: Lab) -> None:
    project = lab.project("search")
    project.pipeline("search", SPEC)
    run = start(project, "search")

    assert run.settled() == "Succeeded", run.told().executions
    told = run.told()
    assert told.statuses() == ("COMPLETE", {"train": "Succeeded", "use": "Succeeded"})
    trials = {trial["item"]["index"]: trial for trial in told.of("train")}
    ends = [(trials[n]["state"], trials[n]["reason"]) for n in range(4)]
    assert ends[:2] == [("COMPLETE", "Succeeded")] * 2
    assert ends[2] == ("ABORT", "Pruned")
    assert ends[3][0] == "FAIL"
    assert max(trials[n]["endedAt"] for n in (0, 1)) <= min(trials[n]["startedAt"] for n in (2, 3))

    # The same seed and outcomes give the same values here.
    earlier: list[Told] = []
    for first in (0, 2):
        expected = ask_wave(SEARCH, earlier, first + 1)
        for index, texts in enumerate(expected, first):
            found = trials[index]
            assert {name: to_text(value) for name, value in found["item"]["values"].items()} == texts, json.dumps(found)
            reports = tuple((step, float(value)) for step, value in found["item"].get("reports", []))
            score = found["metrics"].get("auc") if found["state"] == "COMPLETE" else None
            earlier.append(Told(index, texts, score, found["reason"] == "Pruned", reports))
