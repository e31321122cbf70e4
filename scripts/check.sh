#!/usr/bin/env bash
# Checks everything that needs no test run: formatting, linting, direction of includes, scripts, white space. Every part
# runs, whatever the previous ones found; the last lines name those that failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'USAGE'
usage: scripts/check.sh [--changed | --product | --no-tidy]

  --product  clang-tidy reads the sources of lib/ and apps/ in the batches in which they are compiled, not those of the
             tests: a quarter of the time, but a source that lacks an include may go unnoticed
  --changed  clang-tidy reads only the sources that differ from the last commit; all other parts as usual
  --no-tidy  leaves clang-tidy out: seconds instead of minutes
USAGE
}

tidy=all
case "${1:-}" in
  "") ;;
  --changed) tidy=changed ;;
  --product) tidy=product ;;
  --no-tidy) tidy=none ;;
  -h | --help) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
esac

# files PATTERN...: tracked files and new ones that are not ignored.
files() {
  git ls-files --cached --others --exclude-standard --deduplicate -- "$@" | while IFS= read -r path; do
    [[ -f "$path" ]] && printf '%s\n' "$path"
  done
  return 0
}

# found MESSAGE GREP-ARGUMENTS...: fails, with the lines, if git grep finds any.
found() {
  local message="$1"
  shift
  if git grep --untracked -I -n "$@"; then
    echo "^ $message"
    return 1
  fi
}

# One line per file: clang-format itself would print three for every place.
check_format() {
  local said
  said="$(files '*.cc' '*.h' | xargs -r clang-format --dry-run 2>&1)" || { echo "$said"; return 1; }
  [[ -z "$said" ]] && return
  sed -n 's/^\([^ :]*\):[0-9]*:[0-9]*: warning:.*/\1/p' <<<"$said" | sort | uniq -c | while read -r count path; do
    echo "$path: $count places; run clang-format -i $path"
  done
  return 1
}

check_tidy() {
  [[ "$tidy" == none ]] && return
  local folder=build/tidy chosen options=(-DMNEMO_BATCHES=OFF)
  local checks=
  if [[ "$tidy" == product ]]; then
    folder=build/tidy-batches
    options=(-DMNEMO_TESTS=OFF -DMNEMO_BATCH_SIZE=16)
    checks=-bugprone-suspicious-include  # a batch includes sources
  fi
  cmake -S . -B "$folder" -G Ninja -DCMAKE_BUILD_TYPE=Release "${options[@]}" >/dev/null || return 1
  case "$tidy" in
    product) chosen="$(python3 -c 'import json, sys; print(*(e["file"] for e in json.load(sys.stdin)), sep="\n")' \
      <"$folder/compile_commands.json")" ;;
    changed) chosen="$(files 'lib/*.cc' 'apps/*.cc' 'tests/*.cc' | grep -F -x -f <(changed_files) || true)" ;;
    *) chosen="$(files 'lib/*.cc' 'apps/*.cc' 'tests/*.cc')" ;;
  esac
  printf '%s' "$chosen" | xargs -r -n 1 -P "$(nproc)" clang-tidy --quiet -p "$folder" --checks="$checks" \
    --extra-arg=-Wno-unknown-warning-option 2>&1 |
    { grep -v -E '^[0-9]+ warnings? (generated|treated as error)' || true; }
}

changed_files() {
  git diff --name-only HEAD 2>/dev/null || git ls-files  # before the first commit everything is new
  git ls-files --others --exclude-standard
}

check_shell() {
  files '*.sh' .ci/run | xargs -r shellcheck
}

check_python() {
  files '*.py' | xargs -r python3 -c '
import ast, sys
for path in sys.argv[1:]:
    ast.parse(open(path, encoding="utf-8").read(), path)'
}

check_json() {
  local failed=0
  while IFS= read -r path; do
    python3 -m json.tool "$path" >/dev/null || { echo "^ $path"; failed=1; }
  done < <(files 'configs/*.json' CMakePresets.json)
  return "$failed"
}

# Columns of tables need their tabs, and the seeds of a fuzzer may be anything.
check_white_space() {
  local failed=0
  local odd=(':!*.tsv' ':!*.txt' ':!tests/fuzz/corpus')
  found "white space at the end of a line" -P '[ \t\r]+$' -- "${odd[@]}" || failed=1
  found "a tab; indent with blanks" -P '\t' -- "${odd[@]}" || failed=1
  found "a line of over 120 characters" -E '.{121,}' -- \
    '*.sh' '*.py' '*.cmake' '*CMakeLists.txt' '.ci/run' || failed=1
  while IFS= read -r path; do
    [[ -z "$(tail -c 1 "$path")" ]] || { echo "$path: no newline at the end of the file"; failed=1; }
  done < <(git grep --untracked -I -l '' -- ':!tests/fuzz/corpus')
  return "$failed"
}

# A clone elsewhere must not depend on hosts of package registries (clients know theirs) or paths of one machine.
check_places() {
  local registries='(pypi|pythonhosted|npmjs|golang|debian|rubygems)[.](org|net)/|(crates)[.]io/|(ubuntu|npmjs)[.]com/'
  local failed=0
  found "the host of a package registry; name the package instead" -E "$registries" || failed=1
  found "a path of one machine" -E '(^|[^[:alnum:]_.])/(work|root|home)/' || failed=1
  return "$failed"
}

failed=()
# part NAME COMMAND: prints the findings and one line with the result.
part() {
  local start="$SECONDS"
  if "$2"; then
    echo "ok      $1 ($((SECONDS - start)) s)"
  else
    echo "FAILED  $1 ($((SECONDS - start)) s)"
    failed+=("$1")
  fi
}

scripts/setup.sh --dev
part "format: clang-format changes nothing" check_format
part "includes: folders depend downwards, libraries neither print nor exit" scripts/check_includes.py
part "tasks: no comparison with the name of a task outside the tables" scripts/check_tasks.py
part "functions: those over 60 lines say why" scripts/check_functions.py
part "shell: shellcheck" check_shell
part "python: every script parses" check_python
part "json: configurations and presets parse" check_json
part "white space: ends of lines, tabs, length of lines, ends of files" check_white_space
part "places: no registry's host, no path of one machine" check_places
part "tidy: clang-tidy ($tidy)" check_tidy

if [[ "${#failed[@]}" -gt 0 ]]; then
  printf '\ncheck.sh: %d failed:\n' "${#failed[@]}"
  printf '  %s\n' "${failed[@]}"
  exit 1
fi
echo "check.sh: all parts passed"
