# The verbs. `just` lists them; `python3 generator/dev.py VERB` makes .venv first and needs nothing but Python.

export PATH := justfile_directory() / ".venv/bin:" + env("PATH")

[private]
default:
    @just --justfile {{ justfile() }} --list --unsorted

# all that must hold before a commit
check: lint test

# format, lint, types, the house's import contracts, scripts, the workflow, our own specs and manifests
lint:
    ruff format --check
    ruff check
    mypy
    lint-imports
    shellcheck .ci/run generator/*.sh .github/actions/*/*.sh
    actionlint
    zizmor --quiet --offline .github
    mlgen schema --format markdown | diff generator/guides/spec.md -
    mlgen check
    mlgen render --env dev --check
    mlgen render --env prod --check

# the tests; those that want a cluster or the oracle say why they were skipped
test *args:
    pytest --numprocesses 2 {{ args }}

# rewrites the tests' expectations: read the diff before you commit it
accept *args:
    MLGEN_ACCEPT=1 pytest {{ args }}

# tekton/ from pipelines/, for every environment of mlgen.yaml
render *args:
    mlgen render --env dev {{ args }}
    mlgen render --env prod {{ args }}

# re-makes schemas/ and the reference of the files, generator/guides/spec.md, from the schemas that checks read
docs:
    for kind in pipeline task project lock; do mlgen schema $kind > schemas/$kind.v1.json; done
    mlgen schema --format markdown > generator/guides/spec.md

# trains a model on real data here, then shows where it came from and what a cluster would get
demo:
    @generator/demo.sh

# the figures of BENCHMARKS.md, beside those of other tools (installs them apart; `--quick` for a look)
bench *args:
    python bench/run.py {{ args }}

# looks for input that ends other than in findings, for so many seconds of CPU
fuzz seconds="60":
    python tests/fuzz/fuzz_check.py --seconds {{ seconds }}

# re-makes generator/locks from pyproject.toml (`--upgrade`: with the newest packages)
lock *args:
    #!/bin/sh
    set -eu
    compile() {
        out=$1; shift
        uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
            --no-emit-index-url --no-emit-find-links --output-file "generator/locks/$out" "$@" >/dev/null
    }
    compile run.txt pyproject.toml --extra search {{ args }}
    compile dev.txt pyproject.toml --extra dev --extra demo {{ args }}
    compile build.txt --group build {{ args }}

# a throwaway cluster for tests/e2e, by kind, with S3 and Git beside it: eval "$(just cluster)"; just test tests/e2e
cluster:
    @generator/kind.sh

# removes what `just cluster` made
cluster-down:
    @generator/kind.sh down
