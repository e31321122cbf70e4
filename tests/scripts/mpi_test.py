#!/usr/bin/env python3
"""Training by several processes that mpirun has started: the same files as one process writes, whatever happens.

Usage: mpi_test.py MNEMO [TEST]...    KILLS=50 in the environment kills as many processes instead of 4
Exit code 77, saying why, where mpirun or libmnemo-mpi.so is missing."""

import contextlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

MNEMO = pathlib.Path(sys.argv.pop(1)).resolve()
LINK = pathlib.Path(__file__).with_name("lossy_link.py")
MODULE = MNEMO.parent / "libmnemo-mpi.so"
# Open MPI's own leaks are not this program's.
os.environ["ASAN_OPTIONS"] = (os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0").lstrip(":")
KILLS = int(os.environ.get("KILLS", "4"))
SHARDS = 4
WORDS = [f"w{i}" for i in range(60)]


def sentences(count, longest, seed):
    source = random.Random(seed)
    return [[source.choice(WORDS) for _ in range(source.randint(1, longest))] for _ in range(count)]


def data():
    """File names and contents: a line or a sentence a record."""
    tagged = "\n\n".join("\n".join(f"{w} {'B-X' if w < 'w2' else 'O'}" for w in s) for s in sentences(60, 9, 1))
    return {
        "classify.tsv": "".join(f"{'a' if 'w1' in s or 'w2' in s else 'b'}\t{' '.join(s)}\n"
                                for s in sentences(90, 14, 2)),
        "tag.conll": tagged + "\n\n",
        "lines.txt": "".join(" ".join(s) + "\n" for s in sentences(120, 12, 3)),
        "other.txt": "".join(" ".join(s) + "\n" for s in sentences(20, 12, 4)),
        "pairs.tsv": "".join(f"{' '.join(s)}\t{' '.join('x' + w for w in reversed(s))}\n"
                             for s in sentences(70, 7, 5)),
    }


def config(task, train, dev, model, training, more=None):
    return {"task": task, "data": {"train": train, "dev": dev, **(more or {})}, "text": {"unit": "word"},
            "model": model, "training": {"epochs": 2, "learning_rate": 0.01, "shards": SHARDS,
                                         "save_every": "10 steps", **training}}


# Each with dropout, and rows of the last batch that do not go into the shards evenly.
CONFIGS = {
    "classify": config("classify", "classify.tsv", "classify.tsv", {"hidden": 12, "embedding": 10},
                       {"batch_size": 11, "class_weight": "balanced", "optimizer": "adamw", "weight_decay": 0.01}),
    "tag": config("tag", "tag.conll", "tag.conll", {"hidden": 12, "embedding": 10},
                  {"batch_size": 7, "average_from": 1}),
    "stream": config("generate", "lines.txt", "other.txt", {"hidden": 24, "embedding": 16, "layers": 2,
                                                            "dropout": 0.2},
                     {"batch_size": 6, "bptt": 9, "optimizer": "sgd", "momentum": 0.5, "learning_rate": 0.2}),
    "records": config("generate", "lines.txt", "other.txt", {"hidden": 24, "embedding": 24, "tied": True},
                      {"batch_size": 10, "optimizer": "rmsprop"}, {"records": True}),
    "translate": config("translate", "pairs.tsv", "pairs.tsv", {"hidden": 16, "embedding": 12},
                        {"batch_size": 9}, {"format": "tsv"}),
}


def missing():
    if not shutil.which("mpirun"):
        return "mpirun is missing (Debian: mpi-default-dev)"
    if not MODULE.exists():
        return f"{MODULE} is missing: CMake did not find MPI"
    return None


def mpirun(ranks, *arguments):
    """The command that starts so many processes."""
    own = ["--allow-run-as-root", "--oversubscribe"] if OPEN_MPI else []
    return ["mpirun", *own, "-n", str(ranks), *map(str, arguments)]


def trainers(process):
    """The process numbers of the program among what this process has started, in order."""
    out = []
    for child in pathlib.Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii").split():
        with contextlib.suppress(OSError):
            is_one = os.path.samefile(f"/proc/{child}/exe", MNEMO)
            out += [int(child)] if is_one else trainers(child)
    return out


def content(path):
    """The tensors of a saved run, and what it says of itself apart from the time that it took."""
    raw = path.read_bytes()
    size, = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8:8 + size])
    state = json.loads(header["__metadata__"]["state"])
    del state["seconds"]
    header["__metadata__"]["state"] = state
    return header, raw[8 + size:]


class Mpi(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        for name, text in data().items():
            (self.folder / name).write_text(text, encoding="utf-8")
        for name, keys in CONFIGS.items():
            (self.folder / f"{name}.json").write_text(json.dumps(keys), encoding="utf-8")

    def train(self, ranks, name, output, *more):
        """The finished command, by so many processes; by the program alone for 0."""
        command = [MNEMO, "train", f"{name}.json", "-o", output, *more]
        return subprocess.run([*map(str, command)] if ranks == 0 else mpirun(ranks, *command), cwd=self.folder,
                              capture_output=True, text=True, timeout=300, check=False)

    def trained(self, ranks, name, output, *more):
        done = self.train(ranks, name, output, *more)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def check_same(self, one, other):
        self.assertEqual((self.folder / one / "model.safetensors").read_bytes(),
                         (self.folder / other / "model.safetensors").read_bytes(), f"models of {one} and {other}")
        self.assertEqual(content(self.folder / one / "resume.safetensors"),
                         content(self.folder / other / "resume.safetensors"), f"states of {one} and {other}")

    def test_any_number_of_processes_and_threads_writes_the_same_files(self):
        for name in CONFIGS:
            self.trained(0, name, f"{name}-alone", "--threads", "2")
            for ranks in (1, 2, 3, 4):
                for threads in (1, 2):
                    output = f"{name}-{ranks}-{threads}"
                    with self.subTest(output):
                        self.trained(ranks, name, output, "--threads", threads)
                        self.check_same(f"{name}-alone", output)

    def test_a_link_that_delays_and_loses_packets(self):
        if not OPEN_MPI:
            self.skipTest("mpirun is not Open MPI's, whose options this test uses")
        name = f"mnemo{os.getpid()}"
        # What mpirun calls in place of ssh: a shell of the other namespace, under a host name of its own.
        agent = self.folder / "agent"
        agent.write_text(f"#!/bin/sh\nshift\nexec ip netns exec {name}-2 unshare --uts sh -c "
                         "'hostname other; exec sh -c \"$0\"' \"$*\"\n", encoding="ascii")
        agent.chmod(0o755)
        self.trained(0, "stream", "alone")
        with subprocess.Popen([sys.executable, LINK, name, "--delay", "0.005", "--loss", "0.01"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as link:
            if link.stdout.readline() != "ready\n":
                self.skipTest("no network namespaces here: " + (link.communicate()[1].splitlines() or ["?"])[-1])
            network = [part for name in ("btl_tcp_if_include", "oob_tcp_if_include")
                       for part in ("--mca", name, "10.99.0.0/24")]
            command = ["ip", "netns", "exec", f"{name}-1", "mpirun", "--allow-run-as-root", *network, "--mca", "btl",
                       "tcp,self", "--mca", "plm_rsh_agent", agent, "--mca", "orte_keep_fqdn_hostnames", "1", "-n", "2",
                       "--host", "10.99.0.1:1,10.99.0.2:1", MNEMO, "train", "stream.json", "-o", "two"]
            done = subprocess.run([*map(str, command)], cwd=self.folder, capture_output=True, text=True, timeout=300,
                                  check=False)
            packets = link.communicate("")[0]
        self.assertEqual(done.returncode, 0, done.stderr)
        self.check_same("alone", "two")
        self.assertGreater(int(re.search(r"(\d+) of them lost", packets).group(1)), 0)

    def test_eight_processes(self):
        shards = ("--set", "training.shards=11", "--threads", "1")
        self.trained(0, "stream", "alone", *shards)
        self.trained(8, "stream", "eight", *shards)
        self.check_same("alone", "eight")

    def test_a_run_of_which_processes_are_killed_goes_on_with_another_number_of_them(self):
        longer = ("--threads", "1", "--set", "training.epochs=60", "--set", "training.save_every=3 steps")
        self.trained(0, "stream", "alone", *longer)
        source = random.Random(os.getpid())
        killed = 0
        while killed < KILLS:
            shutil.rmtree(self.folder / "run", ignore_errors=True)
            for _ in range(3):
                killed += self.kill_one(source, source.randint(2, 4), longer)
            self.trained(source.randint(1, 4), "stream", "run", "--resume", *longer)
            self.check_same("alone", "run")

    def kill_one(self, source, ranks, more):
        """Starts or resumes the run and kills one of its processes. Whether it was still running."""
        command = mpirun(ranks, MNEMO, "train", "stream.json", "-o", "run", "--resume", *more)
        # MPICH tells of it on standard output, and not reliably of which.
        with subprocess.Popen(command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True) as run:
            time.sleep(source.uniform(0.2, 1.2))
            processes = trainers(run.pid)
            which = source.randrange(ranks)
            if len(processes) == ranks:
                os.kill(processes[which], signal.SIGKILL)
            messages, _ = run.communicate(timeout=300)
        if run.returncode == 0 or len(processes) < ranks:
            return False
        self.assertRegex(messages, rf"rank {which}\b|process {which} is lost" if OPEN_MPI else "BAD TERMINATION")
        return True

    def stopped(self, command, log):
        """What a run prints whose second process gets SIGTERM once there is something in its log."""
        with subprocess.Popen(command, cwd=self.folder, stderr=subprocess.PIPE, text=True) as run:
            for _ in range(1000):
                if (self.folder / log).exists() and (self.folder / log).stat().st_size > 0:
                    break
                time.sleep(0.01)
            os.kill(trainers(run.pid)[1], signal.SIGTERM)
            _, messages = run.communicate(timeout=60)
        self.assertEqual(run.returncode, 143, messages)
        return messages

    def test_a_signal_to_one_process_saves_and_stops_all(self):
        longer = ("--threads", "1", "--set", "training.epochs=60")
        self.trained(0, "stream", "alone", *longer)
        command = mpirun(3, MNEMO, "train", "stream.json", "-o", "run", *longer)
        messages = self.stopped(command, "run/log.jsonl")
        self.assertEqual(len(re.findall("stopped by signal 15 after step", messages)), 1, messages)
        self.trained(2, "stream", "run", "--resume", *longer)
        self.check_same("alone", "run")

    def refused(self, command, code, message):
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(len(re.findall("^mnemo: |/mnemo: ", done.stderr, re.M)), 1, done.stderr)
        self.assertIn(message, done.stderr)

    def mixture(self, *other):
        train = (MNEMO, "train", "classify.json", "-o", "run")
        return [*mpirun(2, *train), ":", "-n", "1", *map(str, (*train, *other))]

    def test_processes_that_differ_are_refused(self):
        (self.folder / "other.tsv").write_text("a\tw1\nb\tw2\n", encoding="utf-8")
        self.refused(self.mixture("--set", "training.seed=9"), 2,
                     "process 2 has training.seed 9, process 0 has training.seed 1")
        self.refused(self.mixture("--set", "data.train=other.tsv", "--set", "training.average_from=0",
                                  "--set", "training.evaluate_every=1", "--set", "text.ngrams.buckets=5000"), 2,
                     "process 2 has data ")
        self.refused(self.mixture("--set", "data.train=absent.tsv"), 1, "process 2: absent.tsv: cannot open")
        self.refused(self.mixture("--invalid-utf8", "skip"), 2,
                     "process 2 has --invalid-utf8 skip, process 0 has --invalid-utf8 error")
        for command, what in ((("train", "classify.json", "--collect"), "--collect"),
                              (("tune", "classify.json", "-o", "found"), "tune")):
            done = subprocess.run(mpirun(2, MNEMO, *command), cwd=self.folder, capture_output=True, text=True,
                                  timeout=60, check=False)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(f"{what}: is done by one process", done.stderr)
        self.assertFalse((self.folder / "run/model.safetensors").exists())

    def test_errors_of_all_processes_are_reported_once(self):
        train = (MNEMO, "train", "classify.json", "-o", "run")
        self.refused(mpirun(3, *train, "--set", "training.colour=1"), 2, "unknown key")
        self.refused(mpirun(3, *train, "--set", "training.shards=2"), 2,
                     "training.shards is 2, expected at least the number of processes, 3")
        self.refused(mpirun(3, *train, "--set", "training.learning_rate=1000", "--set", "training.optimizer=sgd",
                            "--set", "training.weight_decay=0", "--set", "training.clip_norm=0",
                            "--set", "training.momentum=0.999", "--set", "training.epochs=50"), 1, "not finite")

    def test_an_error_of_one_process_during_training_ends_all(self):
        if not OPEN_MPI:
            self.skipTest("mpirun is not Open MPI's, which works where files may not be large")
        limited = 'ulimit -f 8; exec "$0" "$@"'
        train = (MNEMO, "train", "stream.json", "-o", "run")
        self.refused([*mpirun(1, "sh", "-c", limited, *train), ":", "-n", "2", *map(str, train)], 1,
                     "mnemo: process 0: run/resume.safetensors: cannot write")

    def test_a_signal_to_one_process_stops_the_fold_of_all(self):
        command = mpirun(2, MNEMO, "train", "classify.json", "-o", "run", "--fold", "1/3", "--threads", "1", "--set",
                         "training.epochs=3000")
        messages = self.stopped(command, "run/fold-1/log.jsonl")
        self.assertRegex(messages, "stopped and saved; resume with: mpirun -n 2 ")
        self.assertFalse((self.folder / "run/fold-1.json").exists())

    def test_a_trial_run_tells_computing_from_exchanging(self):
        done = subprocess.run(mpirun(2, MNEMO, "train", "stream.json", "--dry-run"), cwd=self.folder,
                              capture_output=True, text=True, timeout=60, check=True)
        self.assertEqual(len(re.findall(r"^estimated per step of 2 processes: [0-9.]+ ms computing, [0-9.]+ ms "
                                        r"exchanging [0-9.]+ MB", done.stdout, re.M)), 1, done.stdout)
        dry = ("train", "stream.json", "--dry-run")
        self.refused([*mpirun(1, MNEMO, *dry), ":", "-n", "1", str(MNEMO), *dry, "--set", "model.hidden=25"], 2,
                     "process 1 has model.hidden 25, process 0 has model.hidden 24")
        self.refused([*mpirun(1, MNEMO, *dry), ":", "-n", "1", str(MNEMO), *dry[:-1]], 2,
                     "process 1 has --dry-run not given, process 0 has --dry-run given")
        self.trained(2, "stream", "run")
        lines = map(json.loads, (self.folder / "run/log.jsonl").read_text(encoding="utf-8").splitlines())
        self.assertTrue(all(0 <= line["exchange"] <= 1 for line in lines if line["kind"] == "train"))

    def test_without_the_module_one_line_says_what_to_install(self):
        alone = self.folder / "bin/mnemo"
        alone.parent.mkdir()
        shutil.copy(MNEMO, alone)
        arguments = ["train", "classify.json", "-o", "run"]
        self.refused(mpirun(2, alone, *arguments), 1, "install mpi-default-dev")
        # On one machine of several.
        mixed = [*mpirun(1, MNEMO, *arguments), ":", "-n", "1", str(alone), *arguments]
        self.refused(mixed, 1, "mnemo: process 1: libmnemo-mpi.so cannot be loaded")


OPEN_MPI = shutil.which("mpirun") and "Open MPI" in subprocess.run(["mpirun", "--version"], capture_output=True,
                                                                   text=True, check=False).stdout

if __name__ == "__main__":
    if reason := missing():
        print(f"skipped: {reason}")
        sys.exit(77)
    unittest.main()
