#!/usr/bin/env bash
# All that a change's review is told, by mlgen on PATH: review.sh FOLDER, which gets the reports. Reads the repository only.
#   PROJECT  the folder with mlgen.yaml        BASE  what to compare with, if anything        LOCK  true: every tag is pinned
# Every part is asked, whatever the others say. Exit 0: all of them say yes.
set -euo pipefail
folder=$1
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cd "${PROJECT:-.}"
failed=()

# Runs one part. What it prints may be a stranger's text: until the token, which nobody can guess, no line is a command.
part() { # TITLE COMMAND…
  local title=$1 token
  shift
  token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  printf '::group::%s\n::stop-commands::%s\n' "$title" "$token"
  "$@" || failed+=("$title")
  printf '\n::%s::\n::endgroup::\n' "$token"
}

diff_into() { # FILE
  mlgen diff --base "$BASE" --format markdown >"$1" || { # half an answer is none
    rm -f "$1"
    return 1
  }
  cat "$1"
}

fresh_lock() { mlgen lock --check; }
fresh_manifests() { mlgen render --check; }
policies() { mlgen policy test; }

# Not in a part: its annotations are commands, and it keeps a stranger's text from being one itself.
mlgen check --format github --report "sarif=$folder/mlgen.sarif" --report "markdown=$folder/check.md" || failed+=("check")
[ -z "${BASE:-}" ] || part "diff" diff_into "$folder/diff.md"
part "render --check" fresh_manifests
[ "${LOCK:-true}" != true ] || part "lock --check" fresh_lock
[ ! -d policies/tests ] || part "policy test" policies

# One comment: what the change means, then what is wrong with it. The host takes 65,536 bytes.
comment=$folder/comment.md
: >"$comment"
[ ! -e "$folder/diff.md" ] || cat "$folder/diff.md" >>"$comment"
if [ -e "$folder/check.md" ] && { [ ! -s "$comment" ] || [[ " ${failed[*]-} " == *" check "* ]]; }; then
  if [ $(($(wc -c <"$comment") + $(wc -c <"$folder/check.md"))) -lt 65000 ]; then
    { echo; cat "$folder/check.md"; } >>"$comment"
  elif [ ! -s "$comment" ]; then
    cp "$folder/check.md" "$comment"
  fi
fi
for title in "${failed[@]}"; do
  [ "$title" = check ] || printf '\n**mlgen %s** says no: see the job.\n' "$title" >>"$comment"
done
[ -z "${GITHUB_STEP_SUMMARY:-}" ] || cat "$comment" >>"$GITHUB_STEP_SUMMARY"

if [ ${#failed[@]} -gt 0 ]; then
  printf -v list '%s, ' "${failed[@]}"
  echo "::error title=mlgen::says no: ${list%, }"
  exit 1
fi
