#!/usr/bin/env python3
"""Counts the instructions of a few fixed jobs under callgrind and compares them with those that are kept.

usage: scripts/instructions.py            compares; exit code 1 if a job needs more than it did, beyond the tolerance
       scripts/instructions.py --update   writes the counts of this machine to tests/bench/instructions.json

Unlike times, counts do not depend on what else the machine does. Valgrind knows no AVX-512, so the AVX2 kernels are
what is counted, on one thread. Counts of another compiler are not comparable: where it differs, the script says so and
ends with 0.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
MNEMO = str(ROOT / "build/release/mnemo")
KEPT = ROOT / "tests/bench/instructions.json"
TOLERANCE = 0.02
SAMPLE = ROOT / "data/reviews-en"
CELLS = ["lstm", "gru", "peephole_lstm", "min_lstm"]


def compiler():
    version = subprocess.run([MNEMO, "--version"], check=True, capture_output=True, text=True).stdout
    return re.search(r"^compiler: (.*)$", version, re.M).group(1)


def count(*arguments, **more):
    """Instructions of one run of the program."""
    with tempfile.NamedTemporaryFile() as out:
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out.name}", MNEMO, *arguments]
        # OpenBLAS would otherwise start threads that wait in a loop.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        run = subprocess.run(command, capture_output=True, text=True, env=environment, **more)
        if run.returncode != 0:
            sys.exit(f"instructions.py: {' '.join(command)}:\n{run.stderr}")
        return int(re.search(r"Collected : (\d+)", run.stderr).group(1))


def training(folder, cell):
    config = ["--set", f"data.dir={SAMPLE}", "--set", f"output.dir={folder}/{cell}", "--set", f"model.cell={cell}"]
    config += ["--set", "training.epochs=1", "--set", "text.ngrams.buckets=2000", "--set", "data.test=[]"]
    return ["train", str(ROOT / "configs/quickstart-en.json"), "--threads", "1", "--overwrite", *config]


def measure():
    counts = {}
    with tempfile.TemporaryDirectory() as folder:
        for cell in CELLS:
            counts[f"train {cell}"] = count(*training(folder, cell))
        model = f"{folder}/lstm/model.safetensors"
        counts["classify one line"] = count("classify", model, "--threads", "1", input="A fine film.\n")
        texts = "".join(line.split("\t", 1)[1] for line in open(SAMPLE / "train.tsv", encoding="utf-8"))
        counts["classify the sample"] = count("classify", model, "--threads", "1", input=texts)
        counts["version"] = count("--version")
    return counts


def main():
    if not shutil.which("valgrind"):
        print("instructions.py: skipped, no valgrind (scripts/setup.sh --dev installs it)")
        return 0
    if "--update" in sys.argv[1:]:
        KEPT.parent.mkdir(exist_ok=True)
        KEPT.write_text(json.dumps({"compiler": compiler(), "counts": measure()}, indent=2) + "\n", encoding="utf-8")
        return 0
    kept = json.loads(KEPT.read_text(encoding="utf-8"))
    if kept["compiler"] != compiler():
        print(f"instructions.py: skipped, the counts are of {kept['compiler']}, this is {compiler()}")
        return 0
    worse = []
    for job, now in measure().items():
        before = kept["counts"][job]
        change = now / before - 1
        print(f"{job:24s} {before:15,d} {now:15,d} {100 * change:+7.2f}%")
        if change > TOLERANCE:
            worse.append(job)
    if worse:
        print(f"instructions.py: more than {100 * TOLERANCE:.0f}% more instructions: {', '.join(worse)}; where the "
              "change is worth it, run it with --update and commit the file")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
