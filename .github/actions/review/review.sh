#!/usr/bin/env bash
# All that a change's review is told, by mlgen on PATH: review.sh FOLDER, which gets the reports. Reads the repository only.
#   PROJECT  the folder with mlgen.yaml        BASE  what to compare with, if anything        LOCK  true: every tag is pinned
# Every part is asked, whatever the others say. Exit 0: all of them say yes.
set -euo pipefail
folder=$1
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
rm -f "$folder"/{check,findings,diff,comment}.md
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
  local code=0
  mlgen diff --base "$BASE" --format markdown --limit "$room" >"$1" || code=$?
  # 1: it says why there is none, if check did not; else half an answer is none.
  [ "$code" = 0 ] || { [ "$code" = 1 ] && [ ! -e "$folder/findings.md" ]; } || rm -f "$1"
  [ ! -e "$1" ] || cat "$1"
  return "$code"
}

fresh_lock() { mlgen lock --check; }
fresh_manifests() { mlgen render --check; }
policies() { mlgen policy test; }

# Not in a part: its annotations are commands, and it keeps a stranger's text from being one itself.
mlgen check --format github --report "sarif=$folder/mlgen.sarif" --report "markdown=$folder/check.md" || failed+=("check")

# One comment, of at most the 65,536 bytes that a host takes: what says no, then what the change means. However much that
# is, it hides no finding: of very many the worst are shown, and what is left of the room is the diff's.
room=64000
if [[ " ${failed[*]-} " == *" check "* ]] && [ -e "$folder/check.md" ]; then
  if [ "$(wc -c <"$folder/check.md")" -le 30000 ]; then
    cp "$folder/check.md" "$folder/findings.md"
  else # the sum and the table, which are short
    { sed '/^<details>/,$d' "$folder/check.md"; echo '… all of them: see the job.'; } >"$folder/findings.md"
  fi
  room=$((room - $(wc -c <"$folder/findings.md")))
fi

[ -z "${BASE:-}" ] || part "diff" diff_into "$folder/diff.md"
part "render --check" fresh_manifests
[ "${LOCK:-true}" != true ] || part "lock --check" fresh_lock
[ ! -d policies/tests ] || part "policy test" policies

comment=$folder/comment.md
{
  for title in "${failed[@]}"; do
    printf '**mlgen %s** says no: see the job.\n\n' "$title"
  done
  for file in findings diff; do
    [ ! -e "$folder/$file.md" ] || { cat "$folder/$file.md"; echo; }
  done
} >"$comment"
[ -s "$comment" ] || [ ! -e "$folder/check.md" ] || cp "$folder/check.md" "$comment"
[ -z "${GITHUB_STEP_SUMMARY:-}" ] || cat "$comment" >>"$GITHUB_STEP_SUMMARY"

if [ ${#failed[@]} -gt 0 ]; then
  printf -v list '%s, ' "${failed[@]}"
  echo "::error title=mlgen::says no: ${list%, }"
  exit 1
fi
