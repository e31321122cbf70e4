#!/usr/bin/env bash
# Trains every recipe of configs/ with five seeds and prints a table of test results: mean, standard deviation, time.
# usage: scripts/recipes.sh [--defaults | --refit] [RECIPE]...    all recipes, or those named
#   RECIPE may be several with + between: their models answer together, those of the same seed, or of the next ones
#   where a recipe is named again
#   --defaults: trains with the program's defaults instead, which keep only task, data, unit and vectors of the recipe
#   --refit: trains on train and dev together, for as many epochs as the recipe says; nothing is left to choose by dev
# The data sets are not part of the project: $MNEMO_DATA names their folder (default: ../shared/data). Finished runs are
# kept in build/recipes/, so that an interrupted run continues where it was; remove a folder there to train it again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

variant=
if [[ "${1:-}" == --defaults || "${1:-}" == --refit ]]; then
  variant="/${1#--}"
  shift
fi
data="${MNEMO_DATA:-../shared/data}"
mnemo=build/release/mnemo
seeds="${MNEMO_SEEDS:-1 2 3 4 5}"
all=(sst2-peer sst2-sentences sst2-phrases sst2-phrases-glove sst2-phrases-language
  sst2-phrases-glove+sst2-phrases-language
  trec trec-language trec-glove trec+trec-language trec-glove+trec-language trec-fine mr chnsenticorp imdb
  conll2003 conll2003-glove weibo
  ud-english-ewt ud-english-ewt-glove ud-chinese-pos ud-chinese-words
  tinyshakespeare ptb-small ptb-awd tang
  multi30k-de-en multi30k-en-de multi30k-de-en-raw multi30k-peer tatoeba-en-zh tatoeba-zh-en)

# By recipe: the folder of the data set; the test file, or two with a comma between (-: dev, for a set without test; =:
# the configuration's, from which training leaves out the texts of train; +: dev, for a mean of models, as what train
# has and the language model of the last of them did not read); its format (-: the configuration's); the metric.
flickr=tok/test_2016_flickr.lc.norm.tok
raw=raw/test_2016_flickr
describe() {
  case "$1" in
    sst2-*) echo classification/sst2 stsa.binary.test spaced accuracy ;;
    trec-fine) echo classification/trec TREC.test spaced accuracy ;;
    trec*) echo classification/trec TREC.test.all spaced accuracy ;;
    mr) echo classification/mr fixed-split.test.tsv tsv accuracy ;;
    imdb*)
      if [[ -e "$data/classification/imdb/test.tsv.gz" ]]; then
        echo classification/imdb test.tsv.gz tsv accuracy
      elif [[ "$1$variant" == imdb ]]; then
        echo classification/imdb + tsv accuracy
      else
        echo classification/imdb - - accuracy
      fi
      ;;
    chnsenticorp) echo classification/chnsenticorp-htl test.csv csv accuracy ;;
    conll2003*) echo ner/conll2003 eng.testb conll f1 ;;
    weibo) echo ner/weibo weiboNER_2nd_conll.test conll f1 ;;
    ud-english-ewt*) echo pos/ud-english-ewt en_ewt-ud-test.conllu conllu token_accuracy ;;
    ud-chinese-pos) echo pos/ud-chinese-1.4 zh-ud-test.conllu conllu token_accuracy ;;
    ud-chinese-words) echo pos/ud-chinese-1.4 zh-ud-test.conllu conllu f1 ;;
    tinyshakespeare) echo lm/tinyshakespeare - - nats ;;
    ptb-*) echo lm/ptb ptb.test.txt - perplexity ;;
    multi30k-en-de) echo translation/multi30k-de-en "$flickr.en,$flickr.de" parallel bleu ;;
    multi30k-de-en-raw) echo translation/multi30k-de-en "$raw.de.gz,$raw.en.gz" parallel bleu ;;
    multi30k-*) echo translation/multi30k-de-en "$flickr.de,$flickr.en" parallel bleu ;;
    tatoeba-*) echo translation/tatoeba-en-zh test.tsv tsv bleu ;;
    tang) echo poetry/chinese-poetry-tang = - perplexity ;;
    *) return 1 ;;
  esac
}

# The recipes whose models answer together with this one's, by the mean of their probabilities.
beside() {
  case "$1$variant" in
    imdb) echo imdb-language ;;
  esac
}

# The configuration of a recipe, or what the variant makes of it.
configuration() {
  if [[ -z "$variant" ]]; then
    echo "configs/$1.json"
    return
  fi
  mkdir -p "build/recipes$variant"
  python3 - "configs/$1.json" "$variant" >"build/recipes$variant/$1.json" <<'VARIANT'
import json, sys
recipe = json.load(open(sys.argv[1], encoding="utf-8"))
if sys.argv[2] == "/defaults":
    kept = ("unit", "pretrained", "pretrained_vocabulary")
    text = {key: value for key, value in recipe["text"].items() if key in kept}
    recipe = {"task": recipe["task"], "data": recipe["data"], "text": text}
else:
    data = recipe["data"]
    parts = [data["train"], data.pop("dev", [])]
    data["train"] = [path for part in parts for path in (part if isinstance(part, list) else [part])]
    data["dev_fraction"] = 0
print(json.dumps(recipe))
VARIANT
  echo "build/recipes$variant/$1.json"
}

if [[ ! -d "$data" ]]; then
  echo "recipes.sh: no data sets in $data; set MNEMO_DATA to the folder that holds classification/ and the others" >&2
  exit 1
fi
scripts/setup.sh
cmake --preset release >/dev/null
cmake --build --preset release --target mnemo >/dev/null

# Trains RECIPE with SEED on the set in FOLDER, unless that is done.
train_run() {
  local recipe="$1" seed="$2" run="build/recipes$variant/$1/$2"
  [[ -s "$run/test.json" || -e "$run/trained" ]] && return
  rm -rf "$run"
  mkdir -p "$run"
  echo "$recipe, seed $seed" >&2
  "$mnemo" train "$(configuration "$recipe")" --set data.dir="$data/$3" --set training.seed="$seed" \
    --set output.dir="$run" 2>"$run/train.txt" || { cat "$run/train.txt" >&2; exit 1; }
  touch "$run/trained"
}

# The texts of train that the language model of the run in FOLDER did not read, which are those of dev.
kept_out() {
  python3 - "$1/language-model/text.txt" "$2" <<'KEPT'
import collections, gzip, sys
read = collections.Counter(line.rstrip("\n") for line in open(sys.argv[1], encoding="utf-8", newline="\n"))
with gzip.open(sys.argv[2], "rt", encoding="utf-8", newline="\n") as train:
    for line in train:
        text = line.rstrip("\n").split("\t", 1)[1]
        if read[text] > 0:
            read[text] -= 1
        else:
            sys.stdout.write(line)
KEPT
}

recipes=("$@")
[[ $# -gt 0 ]] || recipes=("${all[@]}")
measured=()
for recipe in "${recipes[@]}"; do
  IFS=+ read -ra parts <<<"$recipe"
  first="${parts[0]}"
  for part in "${parts[@]}"; do
    if ! describe "$part" >/dev/null; then
      echo "recipes.sh: no recipe '$part'; there are ${all[*]}" >&2
      exit 2
    fi
  done
  read -r folder test_file format metric <<<"$(describe "$first")"
  if [[ ${#parts[@]} -gt 1 && "$test_file" == [-=] ]]; then
    echo "recipes.sh: $recipe: $first has no test file to measure several models on" >&2
    exit 2
  fi
  if [[ "$variant" == /refit && "$test_file" == [-+] ]]; then
    echo "recipes.sh: $recipe: left out, without dev there is nothing to measure it on" >&2
    continue
  fi
  measured+=("$recipe:$metric")
  for seed in $seeds; do
    run="build/recipes$variant/$recipe/$seed"
    [[ -s "$run/test.json" ]] && continue
    mkdir -p "$run"
    train_run "$first" "$seed" "$folder"
    trained="build/recipes$variant/$first/$seed"
    together=()
    same=0
    for other in "${parts[@]:1}" $(beside "$recipe"); do
      last_seed="$seed"
      if [[ "$other" == "$first" ]]; then
        same=$((same + 1))
        last_seed=$((seed + same))
      fi
      train_run "$other" "$last_seed" "$folder"
      last="build/recipes$variant/$other/$last_seed"
      together+=(--with "$last/model.safetensors")
    done
    test_path="$data/$folder/${test_file//,/,$data/$folder/}"
    if [[ "$test_file" == + ]]; then
      kept_out "$last" "$data/$folder/train.tsv.gz" >"$run/dev.tsv"
      test_path="$run/dev.tsv"
    fi
    if [[ "$test_file" == - ]]; then
      tail -n 1 "$trained/log.jsonl" >"$run/test.tmp"
    elif [[ "$test_file" == = ]]; then
      sed -n 's/^test: perplexity \([0-9.]*\),.*/{"metrics": {"perplexity": \1}}/p' "$trained/train.txt" \
        >"$run/test.tmp"
    else
      read_as=()
      [[ "$format" == - ]] || read_as=(--format-in "$format")
      "$mnemo" evaluate "$trained/model.safetensors" "$test_path" "${together[@]}" --format json "${read_as[@]}" \
        >"$run/test.tmp"
    fi
    mv "$run/test.tmp" "$run/test.json"
    rm -f "$trained/resume.safetensors"
  done
done

python3 - "build/recipes$variant" "${measured[@]}" <<'SUMMARY'
import glob, json, os, statistics, sys

columns = ["recipe", "metric", "test", "standard deviation", "seeds", "dev", "seconds of training", "tokens/s",
           "model, MB"]
print("| " + " | ".join(columns) + " |")
print("|---" * len(columns) + "|")
for measured in sys.argv[2:]:
    recipe, metric = measured.split(":")
    tests, devs, seconds, rates, sizes = [], [], [], [], []
    for path in sorted(glob.glob(f"{sys.argv[1]}/{recipe}/*/test.json")):
        folder = path.rsplit("/", 1)[0]
        scale = 1 if metric in ("nats", "perplexity", "bleu") else 100
        tests.append(scale * json.load(open(path))["metrics"][metric])
        if not os.path.exists(folder + "/log.jsonl"):  # models of other recipes together
            continue
        end = [json.loads(line) for line in open(folder + "/log.jsonl")][-1]
        if metric in end.get("metrics", {}):
            devs.append(scale * end["metrics"][metric])
        seconds.append(end["seconds"])
        rates.append(end["tokens_per_s"])
        sizes.append(len(open(folder + "/model.safetensors", "rb").read()) / 1e6)
    if not tests:
        continue
    spread = statistics.stdev(tests) if len(tests) > 1 else 0.0
    row = [f"`{recipe}`", metric, f"{statistics.mean(tests):.3f}", f"{spread:.3f}", str(len(tests))]
    row.append(f"{statistics.mean(devs):.3f}" if devs else "")
    row += ["", "", ""] if not seconds else [f"{statistics.median(seconds):.0f}", f"{statistics.median(rates):.0f}",
                                             f"{statistics.median(sizes):.1f}"]
    print("| " + " | ".join(row) + " |")
SUMMARY
