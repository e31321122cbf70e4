#!/usr/bin/env python3
"""Refuses comparisons with the name of a task in lib/ and apps/: the differences between tasks belong in tables.

A task's name is one of kTaskNames in lib/config/tasks.h, a constant kTask, or a set of one task (kTag). It may be a row
of a table or an argument, but outside the files in TABLES nothing may depend on it; two models or configurations may be
compared with one another. A cast of a model to the class of one task is the same comparison in disguise.

    scripts/check_tasks.py                    prints each violation as file:line: code; exit code 1 if there is any
    scripts/check_tasks.py lib/config apps    the same only in these folders
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
NAMES_FILE = "lib/config/tasks.h"
# Files in which a name is looked up among the rows of a table.
TABLES = {NAMES_FILE, "lib/pipeline/text_model.cc", "lib/tasks/task.cc"}
# Strings are matched, too, so that text in one that looks like a comment is kept.
COMMENTS = re.compile(r'("(?:\\.|[^"\\\n])*")|//[^\n]*|/\*.*?\*/', re.S)


def task_names():
    declared = re.search(r"kTaskNames\s*\{([^}]*)\}", (ROOT / NAMES_FILE).read_text(encoding="utf-8"))
    names = re.findall(r'"(\w+)"', declared.group(1)) if declared else []
    if not names:
        sys.exit(f"{NAMES_FILE}: no kTaskNames")
    return names


def patterns(names):
    name = '"(?:' + "|".join(names) + ')"'
    task_set = r"\bk(?:" + "|".join(n.capitalize() for n in names) + r")\b"
    constant = rf"(?:{name}|(?:\w+::)*kTask\b|{task_set})"
    return [re.compile(p, re.S) for p in (
        rf"(?:==|!=)\s*{constant}",
        rf"{constant}\s*(?:==|!=)",
        r"\btask(?:\(\))?\s*(?:==|!=)\s*(?:\"|(?:\w+::)*k[A-Z])",
        rf"{task_set}\s*\.\s*has\s*\(",
        rf"\b(?:strcmp|compare|equals?)\s*\([^;]*?{constant}",
        r"\bdynamic_cast\s*<\s*(?:const\s+)?Text[A-Z]\w*",
    )]


def breaches(path, searched):
    text = path.read_text(encoding="utf-8")
    code = COMMENTS.sub(lambda m: m.group(1) or re.sub(r"[^\n]", " ", m.group(0)), text)
    lines = {code.count("\n", 0, m.start()) + 1 for pattern in searched for m in pattern.finditer(code)}
    return [(line, text.splitlines()[line - 1].strip()) for line in sorted(lines)]


def main(folders):
    searched = patterns(task_names())
    found = 0
    for folder in folders or ["lib", "apps"]:
        if not (ROOT / folder).is_dir():
            sys.exit(f"{folder}: no such folder of the repository")
        for path in sorted((ROOT / folder).rglob("*")):
            name = path.relative_to(ROOT).as_posix()
            if path.suffix not in (".cc", ".h") or name in TABLES:
                continue
            for line, code in breaches(path, searched):
                print(f"{name}:{line}: compares with a task's name: {code}")
                found += 1
    if found:
        print(f"{found} comparisons; put the difference in a row of a table, or ask the Task or the TextModel")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
