#!/usr/bin/env python3
"""Measures the figures of docs/results.md: a layer against the processor's peak, whole training, start, memory, size.

usage: scripts/measure.py layer | training | start | memory | size | all | language | generation
       --model FILE   the model for start, memory and size (default: the quickstart's English one)
       --data FOLDER  the SST-2 folder, for training; for language the folder with lm/ in it
       --peer COMMAND trains the same recipe in another tool and prints "tokens_per_s" as JSON; run in turn
                      (language: the options --data and --max-updates are added to it; generation: prints the "ms"
                      of a step of each layer, for float32 and for int8, one per line)
       --runs N       repetitions, whose median is reported (default 5)

language: a language model's training, 2x512 characters and 2x200 words; generation: `mnemo generate` with --model, one
sample on one thread and 64 on two, the first character, and with its int8 version, quantised on --dev FILE.

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


LANGUAGE_WORK = {
    "tinyshakespeare": ("input.txt", "char", ["model.embedding=128", "model.hidden=512", "training.batch_size=32",
                                              "training.bptt=128"], ["--batch", "32", "--steps", "128"]),
    "ptb": ("ptb.train.txt", "word", ["model.embedding=200", "model.hidden=200", "training.batch_size=20",
                                      "training.bptt=20"],
            ["--embedding", "200", "--hidden", "200", "--batch", "20", "--steps", "20", "--dropout", "0"]),
}


def language(options):
    for work, (file, unit, sets, theirs_options) in LANGUAGE_WORK.items():
        ours, theirs = {"float32": [], "bfloat16": []}, []
        dropout = "0.3" if work == "tinyshakespeare" else "0"
        sets = [*sets, "model.layers=2", f"model.dropout={dropout}", f"model.layer_dropout={dropout}",
                f"model.embedding_dropout={dropout}", f"text.unit={unit}", "data.dev_fraction=0", "training.epochs=1",
                "training.max_minutes=0.3", "training.clip_norm=1",
                f"data.train={pathlib.Path(options.data).resolve()}/lm/{work}/{file}"]
        for _ in range(options.runs):
            for precision, rates in ours.items():
                with tempfile.TemporaryDirectory() as folder:
                    pathlib.Path(folder, "c.json").write_text('{"task": "generate"}', encoding="utf-8")
                    every = [part for one in [*sets, f"training.precision={precision}", f"output.dir={folder}/run"]
                             for part in ("--set", one)]
                    run(MNEMO, "train", f"{folder}/c.json", "--threads", "2", *every)
                    lines = open(f"{folder}/run/log.jsonl", encoding="utf-8").read().splitlines()
                    rates.append(json.loads(lines[-1])["tokens_per_s"])
            if options.peer:
                peer = [*shlex.split(options.peer), "--data", work, "--max-updates", "60", *theirs_options]
                theirs.append(json.loads(run(*peer).stdout)["tokens_per_s"])
        for precision, rates in ours.items():
            emit(what="tokens_per_s", work=work, precision=precision, threads=2, **spread(rates))
            if theirs:
                emit(what="ratio to the peer", work=work, precision=precision,
                     **spread([a / b for a, b in zip(rates, theirs)]))
        if theirs:
            emit(what="tokens_per_s of the peer", work=work, **spread(theirs))


def seconds(*command):
    begin = time.perf_counter()
    run(*command)
    return time.perf_counter() - begin


def generation(options):
    def rate(model, length, samples, threads):
        command = [MNEMO, "generate", model, "--samples", str(samples), "--threads", str(threads), "--length"]
        return samples * (length - 1) / (seconds(*command, str(length)) - seconds(*command, "1"))

    with tempfile.TemporaryDirectory() as folder:
        small = f"{folder}/int8.safetensors"
        run(MNEMO, "quantize", options.model, "--dev", options.dev, "--max-drop", "1", "-o", small)
        models = {"float32": options.model, "int8": small}
        ours, theirs, many, first = {key: [] for key in models}, {key: [] for key in models}, [], []
        for _ in range(options.runs):
            for precision, model in models.items():
                ours[precision].append(rate(model, 8000, 1, 1))
            many.append(rate(options.model, 2000, 64, 2) / ours["float32"][-1])
            first.append(1e3 * seconds(MNEMO, "generate", options.model, "--length", "1", "--threads", "1"))
            if options.peer:
                lines = [json.loads(line) for line in run(*shlex.split(options.peer)).stdout.splitlines()]
                for precision in models:
                    theirs[precision].append(1e3 / sum(line["ms"] for line in lines if line["precision"] == precision))
        for precision in models:
            emit(what="characters a second", precision=precision, **spread(ours[precision]))
            if options.peer:
                emit(what="steps a second of the peer", precision=precision, **spread(theirs[precision]))
                emit(what="ratio", precision=precision,
                 **spread([a / b for a, b in zip(ours[precision], theirs[precision])]))
        emit(what="64 samples on 2 threads to one on one", **spread(many))
        emit(what="ms from the start to the end of one character", **spread(first))


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
    """Peak resident set of `classify` fed that much text, in a child process of its own so that peaks do not mix."""
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
    alone = {"language": language, "generation": generation}
    parser.add_argument("what", choices=[*parts, "all", *alone])
    parser.add_argument("--dev")
    parser.add_argument("--model", default=str(ROOT / "build/quickstart/en/run/model.safetensors"))
    parser.add_argument("--data", default=str(ROOT / "../shared/data/classification/sst2"))
    parser.add_argument("--peer")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    try:
        for name, part in (parts | alone).items():
            if options.what == name or (options.what == "all" and name in parts):
                part(options)
    except subprocess.CalledProcessError as error:
        sys.exit(f"{shlex.join(error.cmd)}: exit {error.returncode}: {error.stderr}")


if __name__ == "__main__":
    main()
