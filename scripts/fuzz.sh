#!/usr/bin/env bash
# Runs every fuzz target of the asan build, one after the other, for SECONDS in all (default 60). A target NAME starts
# from the files of tests/fuzz/corpus/NAME; new inputs are kept in build/fuzz/NAME. An input that breaks it is written
# to build/fuzz/NAME-findings; given that file as its only argument, the target runs it again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds="${1:-60}"
if [[ $# -gt 1 || ! "$seconds" =~ ^[1-9][0-9]*$ ]]; then
  echo "usage: scripts/fuzz.sh [SECONDS]" >&2
  exit 2
fi

# fuzz_one PROGRAM SECONDS: fails if it crashes, takes over 20 seconds for one input, or needs over 2 GB.
fuzz_one() {
  local program="$1" name corpus seeds
  name="$(basename "$program")"
  corpus="build/fuzz/$name"
  seeds="tests/fuzz/corpus/$name"
  mkdir -p "$corpus" "$corpus-findings"
  local folders=("$corpus") log="$corpus.log"
  [[ -d "$seeds" ]] && folders+=("$seeds")
  if "$program" -max_total_time="$2" -max_len=16384 -rss_limit_mb=2048 -timeout=20 -print_final_stats=1 -verbosity=0 \
    -print_funcs=0 -artifact_prefix="$corpus-findings/" "${folders[@]}" >"$log" 2>&1; then
    grep -E '^stat::(number_of_executed_units|new_units_added|peak_rss_mb)' "$log"
  else
    tail -n 60 "$log"
    return 1
  fi
}

scripts/setup.sh --dev
cmake --preset asan
programs=()
for source in tests/fuzz/*.cc; do
  [[ -e "$source" ]] && programs+=("build/asan/$(basename "$source" .cc)")
done
if [[ "${#programs[@]}" -eq 0 ]]; then
  echo "fuzz.sh: tests/fuzz has no targets" >&2
  exit 1
fi
cmake --build --preset asan --target "${programs[@]##*/}"

share=$((seconds / ${#programs[@]}))
failed=()
for program in "${programs[@]}"; do
  echo "== ${program##*/}: $((share > 0 ? share : 1)) s"
  fuzz_one "$program" "$((share > 0 ? share : 1))" || failed+=("${program##*/}")
done
if [[ "${#failed[@]}" -gt 0 ]]; then
  echo "fuzz.sh: failed: ${failed[*]}; the inputs are in build/fuzz/NAME-findings" >&2
  exit 1
fi
echo "fuzz.sh: ${#programs[@]} targets, no findings"
