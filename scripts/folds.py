#!/usr/bin/env python3
"""Ten-fold cross-validation of recipes, alone and together, on the same folds: mean and standard deviation of accuracy.

usage: scripts/folds.py [--seed S] [--threads N] RECIPE...

RECIPE is one of configs/ with data.train in one file of a text a line, or several with + between, whose models answer
together. Keys are set behind a recipe's name: trec@model.dropout=0.3@model.convolution.widths=[]. `train --folds` does
the same for one recipe; this is for means of models, and for recipes that train a language model first. Each fold's dev
is what the recipe holds out of the other nine; nothing is read but train. $MNEMO_DATA names the folder of the data sets
(default: ../shared/data). Finished models are kept in build/folds, so that an interrupted run goes on.
"""
import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = pathlib.Path(os.environ.get("MNEMO_DATA", ROOT / "../shared/data")).resolve()
FOLDS = 10


def run(arguments, threads):
    command = [str(ROOT / "build/release/mnemo"), *map(str, arguments), "--threads", str(threads)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return done.stdout


def configuration(recipe):
    """The recipe's configuration with absolute paths, and the file that it trains on."""
    name = recipe.split("@")[0]
    config = json.loads((ROOT / f"configs/{name}.json").read_text(encoding="utf-8"))
    folder = DATA / "classification" / name.split("-")[0]
    if not isinstance(config["data"]["train"], str):
        sys.exit(f"folds.py: {name}: expected data.train to be one file of a text a line")
    train = folder / config["data"]["train"]
    config["data"] = {key: value for key, value in config["data"].items() if key in ("format", "dev_fraction")}
    if "pretrained" in config["text"]:
        config["text"]["pretrained"] = str((folder / config["text"]["pretrained"]).resolve())
    return config, train


def model_of(recipe, fold, seed, threads):
    """Trains the recipe on the fold, unless that is done; the model's path."""
    out = fold / recipe.replace("/", "_")
    model = out / "model.safetensors"
    if (out / "done").exists():
        return model
    config, _ = configuration(recipe)
    config["data"]["train"] = str(fold / "train.txt")
    path = fold / (out.name + ".json")
    path.write_text(json.dumps(config), encoding="utf-8")
    sets = [part for assignment in recipe.split("@")[1:] for part in ("--set", assignment)]
    run(["train", path, "-o", out, "--overwrite", "--set", f"training.seed={seed}", *sets], threads)
    (out / "done").touch()
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="+", metavar="RECIPE")
    parser.add_argument("--seed", type=int, default=1, help="of the folds and of all models")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()

    single = list(dict.fromkeys(one for recipe in args.recipes for one in recipe.split("+")))
    sources = {configuration(one)[1] for one in single}
    if len(sources) != 1:
        sys.exit(f"folds.py: these recipes train on different files: {', '.join(map(str, sorted(sources)))}")
    source = sources.pop()
    data_format = configuration(single[0])[0]["data"]["format"]
    lines = source.read_text(encoding="utf-8").splitlines(keepends=True)
    random.Random(args.seed).shuffle(lines)

    found = {recipe: [] for recipe in args.recipes}
    for k in range(FOLDS):
        fold = ROOT / f"build/folds/{source.name}-{args.seed}/{k}"
        fold.mkdir(parents=True, exist_ok=True)
        rest = [line for i, line in enumerate(lines) if i % FOLDS != k]
        (fold / "train.txt").write_text("".join(rest), encoding="utf-8")
        (fold / "test.txt").write_text("".join(lines[k::FOLDS]), encoding="utf-8")
        models = {one: model_of(one, fold, args.seed, args.threads) for one in single}
        for recipe, values in found.items():
            first, *others = recipe.split("+")
            beside = [part for one in others for part in ("--with", models[one])]
            measured = [models[first], fold / "test.txt", "--format-in", data_format, *beside]
            report = run(["evaluate", *measured, "--format", "json"], args.threads)
            values.append(100 * json.loads(report)["metrics"]["accuracy"])
        print(f"fold {k + 1} of {FOLDS}", file=sys.stderr)

    print("| recipe | accuracy over ten folds | by fold |\n|---|---|---|")
    for recipe, values in found.items():
        folds = ", ".join(f"{value:.2f}" for value in values)
        print(f"| `{recipe}` | {statistics.mean(values):.2f} ± {statistics.stdev(values):.2f} | {folds} |")


if __name__ == "__main__":
    main()
