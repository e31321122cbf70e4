#!/usr/bin/env python3
"""Measures recurrent layers against the processor's peak and against peers, and writes docs/performance.md.

usage: scripts/bench.py [--python PYTHON] [--rounds N] [--only SECTION]... [--out FILE]

  --python PYTHON  an interpreter with torch, onnx and onnxruntime, which does the same work in turn
  --rounds N       how often each row is measured, both sides in turn; medians are reported (default 5)
  --only SECTION   only some sections: training, cells, precision, inference, steps, long, threads
  --out FILE       where to write (default docs/performance.md; with --only, standard output); the last section of
                   such a file, which is written by hand, stays

Called by scripts/bench.sh. Nothing else should run meanwhile.
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MNEMO = str(ROOT / "build/release/mnemo")
PEERS = str(ROOT / "scripts/bench_peers.py")
BY_HAND = "## Other measurements"
CELLS = ["lstm", "peephole_lstm", "cifg_lstm", "capped_lstm", "gru", "rnn", "min_lstm", "min_gru", "sru"]


def shape(batch, steps, inputs, hidden, layers=1, both=False, lengths=None):
    out = ["--batch", batch, "--input", inputs, "--hidden", hidden]
    out += ["--lengths", lengths] if lengths else ["--steps", steps]
    out += ["--layers", layers] if layers > 1 else []
    return [str(a) for a in out] + (["--bidirectional"] if both else [])


TRAINING = [("32, 64, 128, 128", shape(32, 64, 128, 128)), ("32, 64, 256, 256", shape(32, 64, 256, 256)),
            ("64, 64, 512, 512", shape(64, 64, 512, 512)),
            ("32, 50, 100, 200, both directions", shape(32, 50, 100, 200, both=True)),
            ("20, 35, 650, 650, two layers", shape(20, 35, 650, 650, layers=2)),
            ("32 of lengths 1 to 64, 256, 256", shape(32, 64, 256, 256, lengths="1..64"))]


def run(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"bench.py: {' '.join(map(str, command))}: exit {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


class Bench:
    def __init__(self, options):
        self.options, self.peers, self.lines = options, set(), []

    def mnemo(self, cell, mode, arguments, threads=1, precision="float32", before=()):
        return run(*before, MNEMO, "bench", cell, "--mode", mode, *arguments, "--threads", threads,
                   "--precision", precision, "--format", "json")

    def peer(self, name, mode, arguments, threads=1, **more):
        extra = [a for key, value in more.items() for a in (f"--{key}", value)]
        found = run(self.options.python, PEERS, name, "--mode", mode, *arguments, "--threads", threads, *extra)
        self.peers.add(found["peer"])
        return found

    def rounds(self, *sides):
        """Each side once per round, in turn; returns the results by side. A side is None if there is no peer."""
        results = [[] for _ in sides]
        for _ in range(self.options.rounds):
            for side, found in zip(sides, results):
                if side:
                    found.append(side())
        return results

    def with_peer(self, side):
        return side if self.options.python else None

    def table(self, *rows):
        self.lines.append("| " + " | ".join(rows[0]) + " |")
        self.lines.append("|" + "---|" * len(rows[0]))
        self.lines += ["| " + " | ".join(row) + " |" for row in rows[1:]]
        self.lines.append("")

    def say(self, text):
        self.lines += [text, ""]


def spread(values, digits=1):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def of(results, key):
    return [r[key] for r in results]


def ratio(theirs, ours, key="median_ms"):
    """How many times faster ours is, round by round."""
    return spread([a[key] / b[key] for a, b in zip(theirs, ours)], 2) if theirs else "not measured"


def training(b):
    b.say("## Training, float32")
    b.say("Forward and backward of an LSTM; batch, steps, input size, hidden size. Per cent of peak on one and on two "
          "threads, and speed relative to `torch.nn.LSTM` on two (ragged: its packed sequences).")
    rows = [("shape", "1 thread, %", "2 threads, %", "2 threads over 1", "times PyTorch")]
    for name, arguments in TRAINING:
        one, two, torch = b.rounds(lambda: b.mnemo("lstm", "train", arguments),
                                   lambda: b.mnemo("lstm", "train", arguments, 2),
                                   b.with_peer(lambda: b.peer("torch", "train", arguments, 2)))
        rows.append((name, spread(of(one, "percent_of_peak")), spread(of(two, "percent_of_peak")), ratio(one, two),
                     ratio(torch, two)))
    b.table(*rows)


def cells(b):
    b.say("## Every cell, training, float32")
    b.say("Batch 32, 64 steps, 256 to 256. Only products are counted, of which `min_lstm`, `min_gru` and `sru` have "
          "the fewest; with a mogrifier, convolutions or self-attention theirs, too.")
    rows = [("cell", "1 thread, %", "2 threads, %", "tokens/s, 2 threads", "times PyTorch, 2 threads")]
    arguments = shape(32, 64, 256, 256)
    for cell, more in [(c, []) for c in CELLS] + [("gru", ["--reset-before"]), ("lstm", ["--layer-norm"]),
                                                  ("lstm", ["--projection", "128"]),
                                                  ("lstm", ["--mogrifier", "4,64"]),
                                                  ("lstm", ["--convolution", "2,3,4x100"]),
                                                  ("lstm", ["--self-attention", "256"])]:
        torch_has = cell in ("lstm", "gru") and not more
        one, two, torch = b.rounds(lambda: b.mnemo(cell, "train", arguments + more),
                                   lambda: b.mnemo(cell, "train", arguments + more, 2),
                                   b.with_peer(lambda: b.peer("torch", "train", arguments, 2, cell=cell)) if torch_has
                                   else None)
        rows.append((" ".join([f"`{cell}`", *[f"`{m}`" for m in more]]), spread(of(one, "percent_of_peak")),
                     spread(of(two, "percent_of_peak")), f"{statistics.median(of(two, 'tokens_per_s')):,.0f}",
                     ratio(torch, two) if torch_has else ""))
    b.table(*rows)


def precision(b):
    b.say("## Training, bfloat16")
    rows = [("shape", "threads", "float32, GFLOP/s", "bfloat16, GFLOP/s", "times float32")]
    for hidden, batch in ((256, 32), (512, 64)):
        for threads in (1, 2):
            arguments = shape(batch, 64, hidden, hidden)
            wide, narrow = b.rounds(lambda: b.mnemo("lstm", "train", arguments, threads),
                                    lambda: b.mnemo("lstm", "train", arguments, threads, "bfloat16"))
            rows.append((f"{batch}, 64, {hidden}, {hidden}", str(threads), spread(of(wide, "gflops")),
                         spread(of(narrow, "gflops")), ratio(wide, narrow)))
    b.table(*rows)


def compare(b, mode, cases, columns, unit):
    """One row per case and precision, beside ONNX Runtime at the same precision."""
    rows = [("shape", "precision", *columns, "times mnemo's float32", "times ONNX Runtime")]
    for name, arguments in cases:
        kinds = ("float32", "bfloat16", "int8")
        sides = [lambda k=k: b.mnemo("lstm", mode, arguments, precision=k) for k in kinds]
        sides += [b.with_peer(lambda k=k: b.peer("onnxruntime", mode, arguments, precision=k))
                  for k in ("float32", "int8")]
        found = b.rounds(*sides)
        peers = {"float32": found[3], "int8": found[4]}
        for k, ours in zip(kinds, found):
            rows.append((name, k, *unit(ours), ratio(found[0], ours) if k != "float32" else "",
                         ratio(peers[k], ours) if k in peers else ""))
    b.table(*rows)


def inference(b):
    b.say("## Inference, one thread")
    cases = [("32, 64, 256, 256", shape(32, 64, 256, 256)),
             ("32, 50, 100, 200, both directions", shape(32, 50, 100, 200, both=True)),
             ("one sequence: 1, 32, 256, 256", shape(1, 32, 256, 256)),
             ("one sequence: 1, 32, 512, 512", shape(1, 32, 512, 512))]
    compare(b, "infer", cases, ("GFLOP/s", "% of float32 peak"),
            lambda r: (spread(of(r, "gflops")), spread(of(r, "percent_of_peak"))))


def steps(b):
    b.say("## One step at a time, one sequence, one thread")
    b.say("Microseconds per step with the state carried, the 99th percentile, and the bytes of weights that the core "
          "reads per second: from 256 on a step is bound by the caches.")
    cases = [(f"{h} to {h}", shape(1, 64, h, h)) for h in (128, 256, 512)]
    compare(b, "step", cases, ("µs", "99%, µs", "GB/s"),
            lambda r: (spread([1e3 * x for x in of(r, "median_ms")], 2), spread([1e3 * x for x in of(r, "p99_ms")], 2),
                       spread(of(r, "weight_gbytes_per_s"))))


def long(b):
    b.say("## One sequence of 16,384 steps, training, 2 threads")
    arguments = shape(1, 16384, 256, 256) + ["--repeat", "3"]
    found = b.rounds(*[lambda c=c: b.mnemo(c, "train", arguments, 2) for c in ("lstm", "min_lstm", "min_gru", "sru")])
    rows = [("cell", "tokens/s", "times `lstm`")]
    for cell, ours in zip(("lstm", "min_lstm", "min_gru", "sru"), found):
        rows.append((f"`{cell}`", spread(of(ours, "tokens_per_s"), 0), ratio(found[0], ours)))
    b.table(*rows)


def threads(b):
    b.say("## Threads beyond the cores, and beside other work")
    b.say("Training, 32, 64, 256, 256: tokens per second. A load is a busy loop, bound to the last core.")
    arguments, count = shape(32, 64, 256, 256), os.cpu_count()
    rows = [("threads", "all cores free", "a load on one core", "one core only")]
    pin = ["taskset", "-c", "0"]
    for n in (1, count, count + 1, 4 * count):
        free = [b.mnemo("lstm", "train", arguments, n) for _ in range(b.options.rounds)]
        load = subprocess.Popen(["taskset", "-c", str(count - 1), sys.executable, "-c", "while True: pass"])
        try:
            loaded = [b.mnemo("lstm", "train", arguments, n) for _ in range(b.options.rounds)]
        finally:
            load.kill()
            load.wait()
        one = [b.mnemo("lstm", "train", arguments, n, before=pin) for _ in range(b.options.rounds)]
        rows.append((str(n), *[spread(of(r, "tokens_per_s"), 0) for r in (free, loaded, one)]))
    b.table(*rows)


SECTIONS = {f.__name__: f for f in (training, cells, precision, inference, steps, long, threads)}


def machine():
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
        model = re.search(r"^model name\s*: (.*)$", text, re.M)
    except OSError:
        model = None
    version = subprocess.run([MNEMO, "--version"], check=True, capture_output=True, text=True).stdout.split("\n")
    peak = run(MNEMO, "bench", "lstm", "--threads", "1", "--repeat", "1", "--format", "json")["peak_gflops"]
    return [f"{model.group(1) if model else platform.processor()}, {os.cpu_count()} cores in use; "
            f"{platform.system()} {platform.release()}", *[v for v in version[1:4] if v],
            f"float32 peak of one core: {peak:.0f} GFLOP/s"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", action="append", choices=list(SECTIONS))
    parser.add_argument("--out")
    options = parser.parse_args()
    b = Bench(options)
    for name in options.only or SECTIONS:
        print(f"bench.py: {name}", file=sys.stderr, flush=True)
        SECTIONS[name](b)
    head = ["# Speed of the recurrent layers", "",
            "Written by `scripts/bench.sh`, which measures all of it again but for the last section. Medians of "
            f"{options.rounds} rounds (lowest to highest), the sides of a row in turn in one run. Only products are "
            "counted: 2 G H (I + H) operations per real token, layer and direction, three times that in training, as "
            "`mnemo bench` does; the peak is that of independent float32 multiply-adds, measured in the same run.", ""]
    head += [f"- {line}" for line in machine()]
    head += [f"- {line}" for line in sorted(b.peers)] + [f"- {datetime.date.today().isoformat()}", ""]
    text = "\n".join(head + b.lines).rstrip() + "\n"
    if options.only and not options.out:
        print(text)
    else:
        path = pathlib.Path(options.out or ROOT / "docs/performance.md")
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        at = before.find(BY_HAND)
        path.write_text(text + ("\n" + before[at:] if at >= 0 else ""), encoding="utf-8")


if __name__ == "__main__":
    main()
