#!/usr/bin/env bash
# mlgen of this very commit, into a folder of its own, from locked packages whose hashes are compared: install.sh FOLDER
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
python3 -m venv "$1"
pip=("$1/bin/python" -m pip --quiet --disable-pip-version-check --no-input install)
"${pip[@]}" --require-hashes --only-binary :all: -r "$root/generator/locks/run.txt" -r "$root/generator/locks/build.txt"
"${pip[@]}" --no-deps --no-build-isolation "$root"
