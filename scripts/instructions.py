#!/usr/bin/env python3
"""Counts the instructions of a few fixed jobs under callgrind and compares them with stored counts.

usage: scripts/instructions.py            compares; exit code 1 if a job exceeds its count by more than the tolerance
       scripts/instructions.py --update   writes the counts of this machine to tests/bench/instructions.json

Unlike times, counts do not depend on other work of the machine. Valgrind does not support AVX-512, so the AVX2 kernels
are counted, on one thread. Counts of another compiler are not comparable: if it differs, the script says so and exits
with 0.
"""
import concurrent.futures
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
# The whole of a short job includes the dynamic linker and the C library, which differ a little between machines.
TOLERANCE = {"kernels": 0.02, "all": 0.05}
SAMPLE = ROOT / "data/reviews-en"
CELLS = ["lstm", "gru", "min_lstm"]
TRAIN_LINES, DEV_LINES = 40, 8


def compiler():
    version = subprocess.run([MNEMO, "--version"], check=True, capture_output=True, text=True).stdout
    return re.search(r"^compiler: (.*)$", version, re.M).group(1)


def count(*arguments, **more):
    """Instructions of one run of the program: all, and those of the kernels."""
    with tempfile.NamedTemporaryFile() as out:
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out.name}", MNEMO, *arguments]
        # OpenBLAS would otherwise start threads that wait in a loop.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        run = subprocess.run(command, capture_output=True, text=True, env=environment, **more)
        if run.returncode != 0:
            sys.exit(f"instructions.py: {' '.join(command)}:\n{run.stderr}")
        annotated = subprocess.run(["callgrind_annotate", "--threshold=100", out.name], check=True, capture_output=True,
                                   text=True).stdout
        kernels = re.findall(r"^ *([\d,]+) \([ \d.]+%\)[^\n]*mnemo::kernels::", annotated, re.M)
        return {"all": int(re.search(r"Collected : (\d+)", run.stderr).group(1)),
                "kernels": sum(int(k.replace(",", "")) for k in kernels)}


def training(folder, cell):
    config = ["--set", f"data.dir={folder}", "--set", f"output.dir={folder}/{cell}", "--set", f"model.cell={cell}"]
    config += ["--set", "training.epochs=1", "--set", "text.ngrams.buckets=2000", "--set", "data.test=[]"]
    return ["train", str(ROOT / "configs/quickstart-en.json"), "--threads", "1", "--overwrite", *config]


def measure():
    jobs = {}
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        def start(job, *arguments, **more):
            jobs[job] = pool.submit(count, *arguments, **more)

        lines = (SAMPLE / "train.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
        pathlib.Path(f"{folder}/train.tsv").write_text("".join(lines[:TRAIN_LINES]), encoding="utf-8")
        pathlib.Path(f"{folder}/dev.tsv").write_text("".join(lines[-DEV_LINES:]), encoding="utf-8")
        for cell in CELLS:
            start(f"train {cell}", *training(folder, cell))
        start("version", "--version")
        model = f"{folder}/lstm/model.safetensors"
        jobs["train lstm"].result()
        start("classify one line", "classify", model, "--threads", "1", input="A fine film.\n")
        texts = "".join(line.split("\t", 1)[1] for line in lines)
        start("classify the sample", "classify", model, "--threads", "1", input=texts)
        for precision in ("bfloat16", "int8"):
            narrow = f"{folder}/{precision}.safetensors"
            subprocess.run([MNEMO, "quantize", model, "--dev", f"{folder}/dev.tsv", "--max-drop", "1", "--precision",
                            precision, "-o", narrow], check=True, capture_output=True)
            start(f"classify the sample, {precision}", "classify", narrow, "--threads", "1", input=texts)
        return {job: counts.result() for job, counts in jobs.items()}


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
    for job, counts in measure().items():
        for part, now in counts.items():
            before = kept["counts"][job][part]
            change = now / before - 1 if before else 0.0
            print(f"{job + ', ' + part:42s} {before:15,d} {now:15,d} {100 * change:+7.2f}%")
            if change > TOLERANCE[part]:
                worse.append(f"{job} ({part})")
    if worse:
        print(f"instructions.py: more instructions than the tolerance allows: {', '.join(worse)}; if the change is "
              "worth it, run this script with --update and commit the file")
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
