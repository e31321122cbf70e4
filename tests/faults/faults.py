#!/usr/bin/env python3
"""Runs every command while the k-th call of a kind fails, for k = 1, 2, ... of each kind, and checks what is left.

usage: faults.py PROGRAM SHIM [--sample] [--only TEXT]

SHIM is the library that CMake builds from fault.c. Whatever fails: the program exits by itself with code 0 and its
undisturbed answer, or with code 1 and one line that says why; a file has its final name only when it is complete; a
file that existed before is the old one or the new one; no temporary file is left; a training run that failed can be
resumed to the bytes of one that did not. --sample tries a few k of each kind, --only the cases with TEXT in their name.
"""

import argparse
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

CALLS = {
    "write": ["ENOSPC", "EINTR", "SHORT"],
    "read": ["EIO", "EINTR", "SHORT"],
    "fsync": ["EIO", "EINTR"],
    "open": ["EMFILE", "EACCES"],
    "close": ["EIO", "EINTR"],
    "rename": ["EIO"],
    "stat": ["EIO"],
    "fstat": ["EIO"],
    "fchmod": ["EIO"],
    "flock": ["EIO"],
    "mkdir": ["EIO"],
    "fwrite": ["ENOSPC"],
    "fflush": ["ENOSPC"],
    "malloc": ["ENOMEM"],
}
# Content of a file before a command replaces it.
OLD = b"what was there before\n"
TIMEOUT_S = 120


def write_data(folder):
    """Small data and configurations for the three tasks."""
    nouns, good, bad = ["film", "soup", "room", "song", "walk"], ["fine", "warm"], ["dull", "cold"]
    texts = [f"pos\ta {g} {n}\nneg\tthis {b} {n} again\n" for n in nouns for g, b in zip(good, bad)]
    (folder / "c.tsv").write_text("".join(texts))
    (folder / "t.conll").write_text("Ada B-PER\nsaw O\nRome B-LOC\n\nKurt B-PER\nsaw O\nOslo B-LOC\n\n" * 4)
    (folder / "l.txt").write_text("to be or not to be\nthat is the question\n" * 6)
    (folder / "lines.txt").write_text("a fine film\nAda saw Oslo\nto be\n")
    shared = {
        "model": {"embedding": 4, "hidden": 4},
        "training": {"epochs": 2, "batch_size": 4, "save_every": "2 steps", "evaluate_every": "2 steps", "threads": 1},
    }
    for name, task, data in [("c", "classify", "c.tsv"), ("t", "tag", "t.conll"), ("l", "generate", "l.txt")]:
        files = {"train": data, "dev": data, "test": data}
        if name == "t":
            files["format"] = "conll"
        config = {"task": task, "data": files, "output": {"dir": "run-" + name}, **shared}
        (folder / f"{name}.json").write_text(json.dumps(config))


class Case:
    """A command and the files that it writes."""

    def __init__(self, name, arguments, outputs=(), resumes=False, old=False, stdin=None):
        self.name, self.arguments, self.outputs = name, arguments, list(outputs)
        self.resumes, self.old, self.stdin = resumes, old, stdin


def cases():
    run = ["model.safetensors", "resume.safetensors", "log.jsonl", "report.html"]
    out = []
    for name in "ctl":
        files = [f"run-{name}/{file}" for file in run]
        out.append(Case(f"train {name}", ["train", f"{name}.json"], files))
        out.append(Case(f"resume {name}", ["train", f"{name}.json", "--resume"], files, resumes=True))
        model = f"models/{name}/model.safetensors"
        data = {"c": "c.tsv", "t": "t.conll", "l": "l.txt"}[name]
        page = [] if name == "l" else ["--report", "page.html"]
        out.append(Case(f"evaluate {name}", ["evaluate", model, data, "-j", "1", *page], page[1:], old=True))
        out.append(
            Case(f"quantize {name}",
                 ["quantize", model, "--dev", data, "-o", "small", "--max-drop", "100", "--overwrite", "-j", "1"],
                 ["small"], old=True))
        out.append(Case(f"inspect {name}", ["inspect", model]))
        out.append(Case(f"verify {name}", ["inspect", model, "--verify", "-j", "1"]))
    out.append(Case("classify", ["classify", "models/c/model.safetensors", "lines.txt", "-j", "1"]))
    out.append(Case("classify stdin", ["classify", "models/c/model.safetensors", "-j", "2"], stdin="lines.txt"))
    out.append(Case("classify part", ["classify", "models/c/model.safetensors", "lines.txt", "-j", "1", "--part", "2/2",
                                      "-o", "answers", "-q"], ["answers"], old=True))
    out.append(Case("tag", ["tag", "models/t/model.safetensors", "t.conll", "-j", "2"]))
    out.append(Case("generate", ["generate", "models/l/model.safetensors", "--length", "9", "-j", "1"]))
    out.append(Case("score", ["score", "models/l/model.safetensors", "lines.txt", "-j", "1"]))
    return out


def content(path):
    return path.read_bytes() if path.exists() else None


def is_whole(data):
    """Whether these are all the bytes that a safetensors file's header describes."""
    if len(data) < 8:
        return False
    size = int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8:8 + size])
    except ValueError:
        return False
    ends = [t["data_offsets"][1] for name, t in header.items() if name != "__metadata__"]
    return max(ends, default=0) == len(data) - 8 - size


class Faults:
    def __init__(self, program, shim, folder, sample):
        self.program, self.shim, self.folder, self.sample = program, shim, folder, sample
        self.runs = self.problems = 0

    def run(self, arguments, fault=None, count=None, stdin=None):
        environment = dict(os.environ, OPENBLAS_NUM_THREADS="1")
        if fault:
            environment.update(LD_PRELOAD=self.shim, MNEMO_FAULT=fault)
        if count:
            environment["MNEMO_FAULT_COUNT"] = str(count)
        self.runs += 1
        with open(self.folder / stdin if stdin else os.devnull, "rb") as file:
            return subprocess.run([self.program, *arguments], cwd=self.folder, stdin=file, capture_output=True,
                                  env=environment, timeout=TIMEOUT_S, check=False)

    def train_models(self):
        for name in "ctl":
            self.must(["train", f"{name}.json", "--set", f"output.dir=models/{name}"])
            # A run that was stopped after its first step.
            self.must(["train", f"{name}.json", "--set", f"output.dir=stopped-{name}", "--set",
                       "training.max_minutes=1e-9"])

    def must(self, arguments):
        done = self.run(arguments)
        if done.returncode != 0:
            sys.exit(f"faults.py: {' '.join(arguments)} fails undisturbed: {done.stderr.decode(errors='replace')}")
        return done

    def prepare(self, case):
        for name in "ctl":
            shutil.rmtree(self.folder / f"run-{name}", ignore_errors=True)
            if case.resumes and case.name.endswith(name):
                shutil.copytree(self.folder / f"stopped-{name}", self.folder / f"run-{name}")
        for output in case.outputs:
            if case.old:
                (self.folder / output).write_bytes(OLD)
        return {output: content(self.folder / output) for output in case.outputs}

    def problem(self, *what):
        self.problems += 1
        print("PROBLEM:", *what, flush=True)

    def chosen(self, n):
        if not self.sample:
            # Every k up to a few hundred, beyond that a sample.
            spread = range(200, n + 1, max(1, n // 300))
            return sorted({*range(1, min(n, 200) + 1), *spread, *range(max(1, n - 20), n + 1)})
        return sorted({1, (n + 1) // 2, n} & set(range(1, n + 1)))

    def check(self, case):
        before = self.prepare(case)
        whole = self.run(case.arguments, stdin=case.stdin)
        if whole.returncode != 0:
            sys.exit(f"faults.py: {case.name} fails undisturbed: {whole.stderr.decode(errors='replace')}")
        # Pages and logs contain times.
        after = {output: content(self.folder / output) for output in case.outputs}
        for call, errors in CALLS.items():
            count = self.folder / "count"
            self.prepare(case)
            self.run(case.arguments, f"{call}:0:EIO", count, case.stdin)
            n = int.from_bytes(count.read_bytes(), sys.byteorder)
            for error in errors[:1] if self.sample else errors:
                for k in self.chosen(n):
                    self.prepare(case)
                    self.judge(case, f"{call}:{k}:{error}", whole, before, after)

    def judge(self, case, fault, whole, before, after):
        where = f"{case.name}, {fault}:"
        try:
            done = self.run(case.arguments, fault, stdin=case.stdin)
        except subprocess.TimeoutExpired:
            return self.problem(where, "hangs")
        said = done.stderr.decode(errors="replace")
        now = {output: content(self.folder / output) for output in case.outputs}
        left = [path for path in self.folder.rglob("*.tmp")]
        if left and done.returncode >= 0:
            self.problem(where, "left", *left)
        for path in left:
            path.unlink()
        if done.returncode == 0:
            self.judge_success(case, where, done, whole, now, after)
        elif done.returncode != 1:
            self.problem(where, f"ends with {done.returncode}:", said[-300:])
        elif sum(line.startswith("mnemo: ") for line in said.splitlines()) != 1:
            self.problem(where, "expected one message, found", repr(said[-300:]))
        for output in case.outputs:
            self.judge_file(case, where, output, now, before, after)
        if done.returncode == 1 and case.name.startswith(("train", "resume")):
            self.judge_resumed(case, where, after)

    def judge_success(self, case, where, done, whole, now, after):
        # The speed that quantize measures differs from run to run.
        if done.stdout != whole.stdout and not case.name.startswith("quantize"):
            self.problem(where, "another answer, and code 0")
        for output in case.outputs:
            if (now[output] is None) != (after[output] is None):
                self.problem(where, "no", output, "and code 0")
            elif self.is_reproducible(output) and now[output] != after[output]:
                self.problem(where, "another", output, "and code 0")

    @staticmethod
    def is_reproducible(output):
        return output == "small" or output.endswith("model.safetensors")

    def judge_file(self, case, where, output, now, before, after):
        data = now[output]
        if data is None and before[output] is not None and not case.resumes:
            self.problem(where, output, "is gone")
        if data in (None, before[output], after[output]):
            return
        if output.endswith(".safetensors") and not is_whole(data):
            self.problem(where, output, "is cut off")
        elif output.endswith(".html") and not data.rstrip().endswith(b"</html>"):
            self.problem(where, output, "is cut off")
        elif output == "small":
            self.problem(where, output, "is neither the old nor the new one")

    def judge_resumed(self, case, where, after):
        arguments = [argument for argument in case.arguments if argument != "--resume"] + ["--resume"]
        done = self.run(arguments)
        model = next(output for output in case.outputs if output.endswith("model.safetensors"))
        if done.returncode != 0:
            self.problem(where, "cannot be resumed:", done.stderr.decode(errors="replace")[-300:])
        elif content(self.folder / model) != after[model]:
            self.problem(where, "resumed, it makes another model:", hashlib.sha256(after[model]).hexdigest())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("shim", type=pathlib.Path)
    parser.add_argument("--sample", action="store_true")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mnemo-faults-") as name:
        folder = pathlib.Path(name)
        write_data(folder)
        faults = Faults(str(options.program.resolve()), str(options.shim.resolve()), folder, options.sample)
        faults.train_models()
        for case in cases():
            if options.only in case.name:
                began = faults.runs
                faults.check(case)
                print(f"{case.name}: {faults.runs - began} runs", flush=True)
    print(f"{faults.runs} runs, {faults.problems} problems")
    return 1 if faults.problems else 0


if __name__ == "__main__":
    sys.exit(main())
