#!/bin/sh
# `just demo`: the whole way on one machine, from a spec to a model, its lineage and its manifests.
set -eu
say() { printf '\n== %s\n' "$*"; }
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

say "Run pipelines/breast-cancer.yaml on this machine"
mlgen run pipelines/breast-cancer.yaml --format json >"$answer"
run=$(python -c 'import json, sys; print(json.load(sys.stdin)["run"])' <"$answer")

say "Where did the model come from?"
mlgen lineage "breast-cancer/train/model@$run"

say "What would a cluster get?"
mlgen render pipelines/breast-cancer.yaml --env dev

say "Done. Look at"
out=.mlgen/artifacts/breast-cancer/$run
ls -d "$out"/train.*/model "$out"/validate.*/roc "$out"/report.*/card
cat <<END
mlgen runs show $run
git log --stat ledger
tekton/dev/manifests  tekton/dev/runs/breast-cancer.yaml
END
