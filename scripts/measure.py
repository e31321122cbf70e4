#!/usr/bin/env python3
"""Measures what docs/results.md reports: a layer against the processor's peak, whole training, start, memory, size.

usage: scripts/measure.py layer | training | start | memory | size | all
       --model FILE   that start, memory and size are measured with (default: the quickstart's English one)
       --data FOLDER  the SST-2 folder, for training
       --peer COMMAND trains the same recipe in another tool and prints "tokens_per_s" as JSON; run in turn
       --runs N       repetitions of which the median counts (default 5)

Nothing else should run on the machine meanwhile. Each line of output is a JSON object.
"""
import argparse
import json
import os
import pathlib
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
MNEMO = str(ROOT / "build/release/mnemo")


def emit(**record):
    print(json.dumps(record), flush=True)


def run(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, **more)


def spread(values):
    return {"median": round(statistics.median(values), 3), "low": round(min(values), 3), "high": round(max(values), 3)}


def layer(options):
    for threads in (1, 2):
        shares = []
        for _ in range(options.runs):
            command = [MNEMO, "bench", "lstm", "--batch", "32", "--steps", "64", "--input", "256", "--hidden", "256"]
            line = run(*command, "--threads", str(threads), "--mode", "train", "--format", "json").stdout
            shares.append(json.loads(line)["percent_of_peak"])
        emit(what="percent_of_peak", threads=threads, **spread(shares))


def train_once(folder, data):
    run(MNEMO, "train", str(ROOT / "configs/sst2-peer.json"), "--threads", "2", "--overwrite",
        "--set", f"data.dir={data}", "--set", f"output.dir={folder}")
    lines = [json.loads(line) for line in open(f"{folder}/log.jsonl", encoding="utf-8")]
    return lines[-1]["tokens_per_s"]


def training(options):
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.runs):
            ours.append(train_once(folder, options.data))
            if options.peer:
                theirs.append(json.loads(run(*shlex.split(options.peer)).stdout)["tokens_per_s"])
    emit(what="tokens_per_s", recipe="sst2-peer", threads=2, **spread(ours))
    if theirs:
        emit(what="tokens_per_s of the peer", **spread(theirs))
        emit(what="ratio", **spread([a / b for a, b in zip(ours, theirs)]))


def milliseconds(command, text, runs):
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        run(*command, input=text)
        times.append(1e3 * (time.perf_counter() - start))
    return spread(times)


def start(options):
    runs = 4 * options.runs
    emit(what="ms of --version", **milliseconds([MNEMO, "--version"], "", runs))
    emit(what="ms of classifying one line", **milliseconds([MNEMO, "classify", options.model], "a fine film\n", runs))


def peak_megabytes(megabytes, model):
    """Peak resident set of `classify` fed that much text, in a child of its own so that peaks do not mix."""
    text = (b"the story is slight but the acting is fine and the camera never rests\n" * 16000)[: 1 << 20]
    text = text[: text.rindex(b"\n") + 1]
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        process = subprocess.Popen([MNEMO, "classify", model], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        for _ in range(megabytes):
            process.stdin.write(text)
        process.stdin.close()
        process.wait()
        os.write(writer, str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    return int(os.read(reader, 64)) / 1024


def memory(options):
    size = os.path.getsize(options.model) / 1e6
    for megabytes in (1, 100, 1000):
        emit(what="peak MB of classify", input_mb=megabytes, model_mb=round(size, 1),
             peak=round(peak_megabytes(megabytes, options.model), 1))


def size(options):
    with tempfile.TemporaryDirectory() as folder:
        run("strip", "-o", f"{folder}/mnemo", MNEMO)
        emit(what="MB of the stripped program", size=round(os.path.getsize(f"{folder}/mnemo") / 1e6, 2))
    tensors = json.loads(run(MNEMO, "inspect", options.model, "--format", "json").stdout)["tensors"]
    weights = sum(t["bytes"] for t in tensors if t["type"] == "F32")
    emit(what="model file / float32 weights", ratio=round(os.path.getsize(options.model) / weights, 4))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = {"layer": layer, "training": training, "start": start, "memory": memory, "size": size}
    parser.add_argument("what", choices=[*parts, "all"])
    parser.add_argument("--model", default=str(ROOT / "build/quickstart/en/run/model.safetensors"))
    parser.add_argument("--data", default=str(ROOT / "../shared/data/classification/sst2"))
    parser.add_argument("--peer")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    try:
        for name, part in parts.items():
            if options.what in (name, "all"):
                part(options)
    except subprocess.CalledProcessError as error:
        sys.exit(f"{shlex.join(error.cmd)}: exit {error.returncode}: {error.stderr}")


if __name__ == "__main__":
    main()
