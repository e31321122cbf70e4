#!/usr/bin/env python3
"""Classifiers from 500 labelled hotel reviews, with and without the text of all others of train.

usage: scripts/few_labels.py [--draws N] [SETTING]...    SETTING: KEY=VALUE for every training run

Draws 500 reviews from ChnSentiCorp's train N times (default 5), each time by a seed that is the draw's number. For each
draw it trains the recipe `chnsenticorp`, in 20 epochs, and `chnsenticorp-few`, which starts from a language model of
all texts of train; the best epoch is chosen on dev. Prints accuracy on dev and test, and their means and standard
deviations. The texts of all draws are the same, so that the language model of the first serves the others.
$MNEMO_DATA names the folder of the data sets (default: ../shared/data), which are not part of the project. Finished
runs are kept in build/few_labels/, whatever the settings: remove a folder there to train it again.
"""
import argparse
import csv
import json
import os
import random
import re
import statistics
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MNEMO = str(ROOT / "build/release/mnemo")
DATA = Path(os.environ.get("MNEMO_DATA", ROOT / "../shared/data")).resolve() / "classification/chnsenticorp-htl"
OUT = ROOT / "build/few_labels"
LABELS, EPOCHS = 500, 20


def draw(number):
    """Writes the labelled reviews of a draw and, a line each, the texts of the others; returns their folder."""
    folder = OUT / str(number)
    folder.mkdir(parents=True, exist_ok=True)
    with open(DATA / "train.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    chosen = set(random.Random(number).sample(range(len(rows)), LABELS))
    with open(folder / "few.csv", "w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, ["label", "review"], lineterminator="\n")
        out.writeheader()
        out.writerows({key: rows[i][key] for key in out.fieldnames} for i in sorted(chosen))
    rest = [" ".join(row["review"].split()) for i, row in enumerate(rows) if i not in chosen]
    (folder / "rest.txt").write_text("\n".join(rest) + "\n", encoding="utf-8")
    return folder


def train(config, folder, run, settings, start=None):
    """Trains unless the run is finished; returns the path of its model."""
    model = run / "model.safetensors"
    if not (run / "done").exists():
        command = [MNEMO, "train", str(ROOT / f"configs/{config}.json"), "-q", "--overwrite"]
        settings = [f"data.train={folder / 'few.csv'}", f"data.dir={DATA}", f"output.dir={run}", *settings]
        if start:
            command += ["--init-from", str(start)]
            settings += ["data.unlabelled=[]", "training.language_epochs=10"]  # what has no language model has neither
        for setting in settings:
            command += ["--set", setting]
        subprocess.run(command, check=True)
        (run / "done").touch()
    return model


def accuracy(model, file):
    """In percent."""
    out = subprocess.run([MNEMO, "evaluate", str(model), str(DATA / file), "--format", "json"], check=True,
                         capture_output=True, text=True).stdout
    return 100 * json.loads(out)["metrics"]["accuracy"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("settings", nargs="*", metavar="SETTING", help="KEY=VALUE for every training run")
    given = parser.parse_args()
    if any(not re.fullmatch(r"[\w.]+=.*", setting) for setting in given.settings):
        parser.error("SETTING: expected KEY=VALUE")
    results, language_model = {}, None
    for number in range(1, given.draws + 1):
        folder = draw(number)
        without = train("chnsenticorp", folder, folder / "without", [f"training.epochs={EPOCHS}", *given.settings])
        rest = [] if language_model else [f"data.unlabelled={folder / 'rest.txt'}"]
        with_text = train("chnsenticorp-few", folder, folder / "with", [*rest, *given.settings], language_model)
        language_model = language_model or folder / "with/language-model/model.safetensors"
        for name, model in (("without", without), ("with", with_text)):
            measured = [accuracy(model, file) for file in ("dev.csv", "test.csv")]
            results.setdefault(name, []).append(measured)
            print(f"draw {number}  {name:8} dev {measured[0]:.2f}  test {measured[1]:.2f}", flush=True)
    for name, measured in results.items():
        summary = [f"{file} {statistics.mean(values):.2f} ± {statistics.stdev(values) if len(values) > 1 else 0:.2f}"
                   for file, values in zip(("dev", "test"), zip(*measured))]
        print(f"{name:8} {'  '.join(summary)}")


if __name__ == "__main__":
    main()
