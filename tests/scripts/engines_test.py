#!/usr/bin/env python3
"""One file answered in parts, by whatever starts processes: joined, the bytes that one process writes.

Usage: engines_test.py MNEMO [TEST]...
In the environment, LINES=1700000 makes the file 100 MB and prints times; PYSPARK_PYTHON names a python3 that has
pyspark. Exit code 77, saying why, if every test that was asked for lacks its engine."""

import json
import os
import pathlib
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

MNEMO = pathlib.Path(sys.argv.pop(1)).resolve()
LINES = int(os.environ.get("LINES", "2000"))
PARTS = 8
PYTHON = os.environ.get("PYSPARK_PYTHON", sys.executable)  # as PySpark itself reads it
WORDS = [f"w{i}" for i in range(60)]
os.environ["ASAN_OPTIONS"] = (os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0").lstrip(":")


def sentences(count, longest, seed):
    source = random.Random(seed)
    return [[source.choice(WORDS) for _ in range(source.randint(1, longest))] for _ in range(count)]


def quoted(*words):
    return " ".join(shlex.quote(str(word)) for word in words)


def without_spark():
    """Why Spark cannot be run; empty if it can."""
    if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
        return "java is missing (Debian: default-jre-headless)"
    found = subprocess.run([PYTHON, "-c", "import pyspark"], capture_output=True, check=False)
    return "" if found.returncode == 0 else f"{PYTHON} cannot import pyspark (pip install pyspark)"


class Engine(unittest.TestCase):
    """A classifier, a file of lines with ids, and what one process answers to it."""

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        train = "".join(f"{'a' if 'w1' in s or 'w2' in s else 'b'}\t{' '.join(s)}\n" for s in sentences(90, 14, 2))
        cls.write("train.tsv", train)
        cls.write("c.json", json.dumps({"data": {"train": "train.tsv", "dev": "train.tsv"},
                                        "model": {"hidden": 12, "embedding": 10}, "training": {"epochs": 2}}))
        # Some lines end in CRLF, some are empty; the last one has no end.
        lines = [f"id{i}\t{' '.join(s) if i % 97 else ''}" for i, s in enumerate(sentences(LINES, 25, 3))]
        cls.write("texts.tsv", "".join(line + ("\r\n" if i % 11 == 0 else "\n") for i, line in enumerate(lines))[:-1])
        cls.run_in_folder([MNEMO, "train", "c.json", "-o", "run", "-q"])
        began = time.monotonic()
        cls.run_in_folder([MNEMO, *cls.classify(), "-o", "whole.tsv", "texts.tsv"])
        cls.whole = (cls.folder / "whole.tsv").read_bytes()
        cls.report("one process", began)

    @classmethod
    def write(cls, name, text):
        (cls.folder / name).write_text(text, encoding="utf-8", newline="")

    @classmethod
    def classify(cls):
        return ["classify", "run/model.safetensors", "--id"]

    @classmethod
    def run_in_folder(cls, command, check=True, **more):
        done = subprocess.run(list(map(str, command)), cwd=cls.folder, capture_output=True, text=True, timeout=3000,
                              check=False, **more)
        if check and done.returncode != 0:
            raise AssertionError(f"{command}: exit code {done.returncode}\n{done.stderr}")
        return done

    @classmethod
    def report(cls, what, began):
        if "LINES" in os.environ:
            size = (cls.folder / "texts.tsv").stat().st_size
            print(f"{what}: {size / 1e6:.0f} MB in {time.monotonic() - began:.1f} s", file=sys.stderr)

    def check_joined(self, what, began):
        self.report(what, began)
        joined = b"".join((self.folder / f"part{i}.tsv").read_bytes() for i in range(1, PARTS + 1))
        self.assertTrue(joined == self.whole, f"{what}: the joined parts are not the output for the whole")

    def tearDown(self):
        for path in self.folder.glob("part*.tsv"):
            path.unlink()


class Shell(Engine):
    def test_a_loop_in_the_background(self):
        began = time.monotonic()
        command = quoted(MNEMO, *self.classify())
        script = (f"pids=; for i in $(seq {PARTS}); do {command} --threads 1 --part $i/{PARTS} -o part$i.tsv texts.tsv "
                  "& pids=\"$pids $!\"; done; for pid in $pids; do wait $pid || exit 1; done")
        done = self.run_in_folder(["sh", "-c", script])
        self.check_joined("shell", began)
        self.assertEqual(done.stderr.count(" records, "), PARTS, done.stderr)

    def test_a_failed_part_fails_the_loop_and_leaves_no_file(self):
        self.write("bad.tsv", "1\ta\n" * 50 + "no id\n" + "2\tb\n" * 50)
        command = quoted(MNEMO, *self.classify())
        codes = [self.run_in_folder(["sh", "-c", f"{command} --part {i}/4 -o part{i}.tsv bad.tsv"], check=False)
                 for i in (1, 2, 3, 4)]
        self.assertEqual(sorted(done.returncode for done in codes), [0, 0, 0, 1])
        self.assertEqual(len(list(self.folder.glob("part*.tsv"))), 3)
        failed = next(done for done in codes if done.returncode)
        self.assertIn("bad.tsv:51: no id", failed.stderr)


@unittest.skipUnless(shutil.which("parallel"), "parallel is missing (Debian: parallel)")
class Parallel(Engine):
    def parallel(self, *arguments, **more):
        return self.run_in_folder(["parallel", "--will-cite", "--halt", "now,fail=1", *arguments], **more)

    def test_parts_in_files(self):
        began = time.monotonic()
        self.parallel("-j", 2, quoted(MNEMO, *self.classify(), "--threads", "1") +
                      f" --part {{}}/{PARTS} -o part{{}}.tsv texts.tsv", ":::", *range(1, PARTS + 1))
        self.check_joined("GNU parallel, --part", began)

    def test_blocks_of_standard_input(self):
        began = time.monotonic()
        script = quoted("parallel", "--will-cite", "--pipe-part", "-a", "texts.tsv", "--block", "-4", "-j", "2", "-k",
                        "--halt", "now,fail=1", quoted(MNEMO, *self.classify(), "--threads", "1"))
        self.run_in_folder(["sh", "-c", script + " > part1.tsv"])
        self.report("GNU parallel, --pipe-part", began)
        self.assertTrue((self.folder / "part1.tsv").read_bytes() == self.whole)

    def test_a_failure_is_an_exit_code(self):
        done = self.parallel(quoted(MNEMO, *self.classify()) + " --part {}/2 -o part{}.tsv absent.tsv", ":::", 1, 2,
                             check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(list(self.folder.glob("part*.tsv")), [])


class Slurm(Engine):
    """The shape of an array job: a script that is told its number by the environment."""
    SCRIPT = """#!/bin/sh
#SBATCH --array=1-{parts} --cpus-per-task=1
exec {command} --threads 1 --part "$SLURM_ARRAY_TASK_ID/{parts}" -o "part$SLURM_ARRAY_TASK_ID.tsv" texts.tsv
"""

    def script(self):
        self.write("job.sh", self.SCRIPT.format(parts=PARTS, command=quoted(MNEMO, *self.classify())))

    def test_an_array_by_its_environment(self):
        self.script()
        for task in range(1, PARTS + 1):
            self.run_in_folder(["sh", "job.sh"], env={**os.environ, "SLURM_ARRAY_TASK_ID": str(task)})
        self.check_joined("array, one after another", time.monotonic())

    def test_an_array_without_its_variable_is_refused(self):
        self.script()
        environment = {key: value for key, value in os.environ.items() if key != "SLURM_ARRAY_TASK_ID"}
        done = self.run_in_folder(["sh", "job.sh"], check=False, env=environment)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--part /8: expected I/N", done.stderr)

    @unittest.skipUnless(shutil.which("sbatch"), "sbatch is missing (Debian: slurm-client, and a cluster)")
    def test_an_array_by_sbatch(self):
        self.script()
        began = time.monotonic()
        self.run_in_folder(["sbatch", "--wait", "job.sh"])
        self.check_joined("sbatch", began)

    def test_folds_are_an_array(self):
        folds = 3
        together = self.run_in_folder([MNEMO, "train", "c.json", "-o", "together", "--folds", folds, "-q"]).stdout
        missing = self.run_in_folder([MNEMO, "train", "c.json", "-o", "apart", "--collect"], check=False)
        self.assertEqual(missing.returncode, 1, missing.stderr)
        jobs = [subprocess.Popen([MNEMO, "train", "c.json", "-o", "apart", "--fold", f"{i}/{folds}", "-q"],
                                 cwd=self.folder, stdout=subprocess.PIPE, text=True) for i in range(1, folds + 1)]
        lines = [job.communicate(timeout=300)[0] for job in jobs]
        self.assertEqual([job.returncode for job in jobs], [0] * folds)
        collected = self.run_in_folder([MNEMO, "train", "c.json", "-o", "apart", "--collect"]).stdout
        self.assertEqual(collected, together)
        self.assertTrue(collected.startswith("".join(lines)))


SPARK = """
import os
import sys
from pyspark.sql import SparkSession
command, source, target, check = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4] == "check"
spark = (SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
         .config("spark.driver.bindAddress", "127.0.0.1").getOrCreate())
lines = spark.sparkContext.textFile(source, minPartitions={parts})
lines.pipe(command, env=dict(os.environ), checkCode=check).saveAsTextFile(target)
spark.stop()
""".replace("{parts}", str(PARTS))


@unittest.skipIf(without_spark(), without_spark())
class Spark(Engine):
    def spark(self, source, target, check="check"):
        self.write("pipe.py", SPARK)
        command = quoted(MNEMO, "classify", self.folder / "run/model.safetensors", "--id", "--threads", "1")
        return self.run_in_folder([PYTHON, "pipe.py", command, source, target, check], check=False,
                                  env={**os.environ, "SPARK_LOCAL_IP": "127.0.0.1"})

    def joined(self, name):
        return b"".join(path.read_bytes() for path in sorted((self.folder / name).glob("part-*")))

    def test_pipe(self):
        began = time.monotonic()
        done = self.spark("texts.tsv", "answers")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.report("Spark, pipe", began)
        self.assertGreaterEqual(len(list((self.folder / "answers").glob("part-*"))), PARTS)
        self.assertTrue(self.joined("answers") == self.whole, "the joined parts are not the output for the whole")

    def test_a_failure_is_ignored_unless_spark_is_told(self):
        self.write("bad.tsv", "1\ta\n" * 50 + "no id\n")
        checked = self.spark("bad.tsv", "checked")
        self.assertNotEqual(checked.returncode, 0)
        self.assertIn("no id", checked.stderr)
        unchecked = self.spark("bad.tsv", "unchecked", "ignore")
        self.assertEqual(unchecked.returncode, 0, unchecked.stderr)
        self.assertLess(self.joined("unchecked").count(b"\n"), 51)


if __name__ == "__main__":
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    sys.exit(1 if not result.wasSuccessful() else 77 if result.testsRun == len(result.skipped) else 0)
