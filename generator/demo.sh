#!/bin/sh
# `just demo`: the whole way on one machine, from a spec to a model, its lineage and its manifests.
set -eu
say() { printf '\n== %s\n' "$*"; }

say "Run pipelines/breast-cancer.yaml on this machine: mlgen run"
mlgen run pipelines/breast-cancer.yaml
run=$(mlgen runs list --format json | python -c 'import json, sys; print(json.load(sys.stdin)["runs"][0]["run"])')

say "Where did the model come from? mlgen lineage"
mlgen lineage --up "breast-cancer/train/model@$run"

say "What would a cluster get? mlgen render"
mlgen render pipelines/breast-cancer.yaml --env dev

out=.mlgen/artifacts/breast-cancer/$run
say "Done. Look at"
cat <<END
the model       $(echo "$out"/train.*/model)
its ROC curve   $(echo "$out"/validate.*/roc)  (SVG)
its card        $(echo "$out"/report.*/card)  (HTML)
the records     git log --stat ledger
the manifests   tekton/dev/manifests/  tekton/dev/runs/breast-cancer.yaml
and try         .venv/bin/mlgen run pipelines/breast-cancer.yaml -p kind=forest -p min_auc=0.995
                .venv/bin/mlgen runs list
END
