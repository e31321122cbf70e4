#!/usr/bin/env bash
# From a fresh checkout to a sentiment classifier in use: installs missing packages, builds, fetches real reviews,
# trains, evaluates beside a baseline, classifies. Everything it writes is in build/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

language="${1:-en}"
if [[ $# -gt 1 || ! "$language" =~ ^(en|zh)$ ]]; then
  echo "usage: scripts/quickstart.sh [en|zh]    English (default) or Chinese reviews" >&2
  exit 2
fi

mnemo=build/release/mnemo
folder="build/quickstart/$language"
run="$folder/run"
model="$run/model.safetensors"
report="$folder/report.html"

if [[ "$language" == en ]]; then
  examples=("A warm, funny film that stays with you for days."
            "I wanted to like it, but the story goes nowhere and the jokes fall flat."
            "The service was friendly and the food was excellent.")
else
  examples=("房间干净，服务员很热情，下次还会再来。"
            "本来很期待，结果内容空洞，读了一半就放下了。"
            "价格实惠，质量也好，用起来很方便。")
fi

# stage TITLE COMMAND...: runs the command under a headline and prints how long it took.
stage() {
  local title="$1" start="$SECONDS"
  shift
  printf '\n== %s\n' "$title"
  "$@"
  printf '== %s: %d s\n' "$title" "$((SECONDS - start))"
}

build() {
  cmake --preset release
  cmake --build --preset release --target mnemo
}

# The first Python that has pip: another one may come before the system's.
python_with_pip() {
  local python
  for python in python3 /usr/bin/python3; do
    if "$python" -m pip --version >/dev/null 2>&1; then
      echo "$python"
      return
    fi
  done
  echo python3
}

fetch() {
  local code=0
  "$(python_with_pip)" scripts/fetch_data.py "reviews-$language" "$folder" || code=$?
  [[ "$code" -eq 0 ]] && return
  [[ "$code" -eq 3 ]] || return "$code"
  echo "The real reviews are not available; continuing with the small sample in data/reviews-$language."
  echo "It shows that everything works, but a model trained on so few lines is weak."
  mkdir -p "$folder"
  cp "data/reviews-$language/"{train,dev,test}.tsv "$folder/"
}

train() {
  "$mnemo" train "configs/quickstart-$language.json" --set data.dir="$folder" --set output.dir="$run" --overwrite
}

evaluate() {
  "$mnemo" evaluate "$model" "$folder/test.tsv" --train "$folder/train.tsv" --report "$report"
}

classify_examples() {
  paste <(printf '%s\n' "${examples[@]}" | "$mnemo" classify "$model") <(printf '%s\n' "${examples[@]}")
}

classify_typed_lines() {
  printf '\nYour turn: type up to three lines, each with Enter (Ctrl-D ends).\n'
  local text count
  for count in 1 2 3; do
    read -r -e -p "$count> " text || break
    printf '%s\n' "$text" | "$mnemo" classify "$model"
  done
}

stage "Install missing packages" scripts/setup.sh --data
stage "Build" build
stage "Fetch reviews" fetch
stage "Train" train
stage "Evaluate" evaluate
stage "Classify" classify_examples
printf '\nTotal time: %d s.\n' "$SECONDS"
if [[ -t 0 ]]; then classify_typed_lines; fi

cat <<NEXT

Next:
  # label every line of your own file
  $mnemo classify $model FILE
  # both probabilities, as JSON, from a pipe
  echo "${examples[0]}" | $mnemo classify $model --top 2 --format jsonl
  # learning curves, confusion matrix, calibration, the worst mistakes
  xdg-open $report
  # the contents of the model
  $mnemo inspect $model
  # your own data: one text per line, LABEL<TAB>TEXT, in train.tsv, dev.tsv and test.tsv of a folder
  $mnemo train configs/quickstart-$language.json --set data.dir=FOLDER --set output.dir=RUN
NEXT
