#!/usr/bin/env bash
# Trains every recipe of configs/ with five seeds and prints a table of test results: mean, standard deviation, time.
# usage: scripts/recipes.sh [RECIPE]...    all recipes, or those named
# The data sets are not part of the project: $MNEMO_DATA names their folder (default: ../shared/data). What is finished
# stays in build/recipes/, so that a run that was cut off goes on where it was; remove a folder there to make it anew.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

data="${MNEMO_DATA:-../shared/data}/classification"
mnemo=build/release/mnemo
seeds="${MNEMO_SEEDS:-1 2 3 4 5}"
all=(sst2-peer sst2-sentences sst2-phrases sst2-phrases-glove trec trec-glove trec-fine mr chnsenticorp)

# The set's folder, the file that is tested on and its format, by recipe.
describe() {
  case "$1" in
    sst2-*) echo sst2 stsa.binary.test spaced ;;
    trec-fine) echo trec TREC.test spaced ;;
    trec*) echo trec TREC.test.all spaced ;;
    mr) echo mr fixed-split.test.tsv tsv ;;
    chnsenticorp) echo chnsenticorp-htl test.csv csv ;;
    *) return 1 ;;
  esac
}

if [[ ! -d "$data" ]]; then
  echo "recipes.sh: no data sets in $data; set MNEMO_DATA to the folder that holds classification/" >&2
  exit 1
fi
scripts/setup.sh
cmake --preset release >/dev/null
cmake --build --preset release --target mnemo >/dev/null

recipes=("$@")
[[ $# -gt 0 ]] || recipes=("${all[@]}")
for recipe in "${recipes[@]}"; do
  if ! description="$(describe "$recipe")"; then
    echo "recipes.sh: no recipe '$recipe'; there are ${all[*]}" >&2
    exit 2
  fi
  read -r set_name test_file format <<<"$description"
  for seed in $seeds; do
    run="build/recipes/$recipe/$seed"
    [[ -s "$run/test.json" ]] && continue
    rm -rf "$run"
    mkdir -p "$run"
    echo "$recipe, seed $seed" >&2
    "$mnemo" train "configs/$recipe.json" --set data.dir="$data/$set_name" --set training.seed="$seed" \
      --set output.dir="$run" 2>"$run/train.txt" || { cat "$run/train.txt" >&2; exit 1; }
    "$mnemo" evaluate "$run/model.safetensors" "$data/$set_name/$test_file" --format json --format-in "$format" \
      >"$run/test.tmp"
    mv "$run/test.tmp" "$run/test.json"
    rm -f "$run/resume.safetensors"
  done
done

python3 - "${recipes[@]}" <<'SUMMARY'
import glob, json, statistics, sys

columns = ["recipe", "test accuracy", "standard deviation", "seeds", "dev accuracy", "seconds of training", "tokens/s",
           "model, MB"]
print("| " + " | ".join(columns) + " |")
print("|---" * len(columns) + "|")
for recipe in sys.argv[1:]:
    tests, devs, seconds, rates, sizes = [], [], [], [], []
    for path in sorted(glob.glob(f"build/recipes/{recipe}/*/test.json")):
        folder = path.rsplit("/", 1)[0]
        tests.append(100 * json.load(open(path))["metrics"]["accuracy"])
        end = [json.loads(line) for line in open(folder + "/log.jsonl")][-1]
        devs.append(100 * end["metrics"]["accuracy"])
        seconds.append(end["seconds"])
        rates.append(end["tokens_per_s"])
        sizes.append(len(open(folder + "/model.safetensors", "rb").read()) / 1e6)
    if not tests:
        continue
    spread = statistics.stdev(tests) if len(tests) > 1 else 0.0
    print(f"| `{recipe}` | {statistics.mean(tests):.2f} | {spread:.2f} | {len(tests)} | {statistics.mean(devs):.2f} | "
          f"{statistics.median(seconds):.0f} | {statistics.median(rates):.0f} | {statistics.median(sizes):.1f} |")
SUMMARY
