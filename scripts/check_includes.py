#!/usr/bin/env python3
"""Checks the direction of includes between folders, and that library code does nothing forbidden.

A folder of lib/ may include its own headers, those of the folders that BELOW names for it, and those below them; apps/
and tests/ may include every folder. CMake links the same way, but a header alone would slip through.

    scripts/check_includes.py           prints each violation as file:line: problem; exit code 1 if there is any
    scripts/check_includes.py --table   prints which folders each folder may include
"""
import os
import pathlib
import re
import sys

BELOW = {
    "base": [],
    "parallel": ["base"],
    "kernels": ["base"],
    "nn": ["kernels"],
    "models": ["nn"],
    "text": ["base"],
    "config": ["base"],
    "checkpoint": ["nn", "text", "config"],
    "decode": ["models", "text"],
    "measure": ["nn", "text"],
    "pipeline": ["checkpoint", "models", "decode"],
    "serve": ["pipeline"],
    "train": ["parallel", "measure", "checkpoint"],
    "report": ["measure", "train"],
    "tasks": ["pipeline", "train", "report"],
}
# Headers of other libraries that one folder hides from the rest.
HIDDEN = {"kernels": re.compile(r"cblas\.h|hwy/.*"), "serve": re.compile(r"microhttpd\.h")}
# A library reports by exceptions and callbacks: only the program prints and exits.
FORBIDDEN_IN_LIB = [
    (re.compile(r"\b(?:std::|::)?(?:exit|_exit|_Exit|quick_exit|abort|terminate)\s*\("), "ends the process"),
    (re.compile(r"\b(?:std::(?:cout|cerr|clog)|(?:std|fmt)::print(?:ln)?)\b"), "prints"),
    (re.compile(r"(?<![\w.>])(?:std::|::)?(?:printf|vprintf|puts|putchar|perror)\s*\("), "prints"),
    (re.compile(r"\b(?:stdout|stderr)\b"), "prints"),
]
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
COMMENTS_AND_STRINGS = re.compile(
    r'R"(?P<mark>[^()\s\\]{0,16})\(.*?\)(?P=mark)"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'|//[^\n]*|/\*.*?\*/', re.S)


def reachable(folder):
    """The folder and everything below it."""
    found = {folder}
    for lower in BELOW[folder]:
        found |= reachable(lower)
    return found


def code_only(text):
    """The text with comments blanked and strings emptied; line numbers are kept."""
    def blank(match):
        return '""' + "\n" * match.group().count("\n")
    return COMMENTS_AND_STRINGS.sub(blank, text)


def check_include(owner, bracket, target):
    """The problem of `#include target` in a file of folder `owner` of lib, or of apps or tests; None if none."""
    for folder, headers in HIDDEN.items():
        if headers.fullmatch(target) and owner not in (folder, "tests"):
            return f"includes {target}: only lib/{folder} may"
    if owner not in BELOW:
        return None
    if target == "iostream":
        return "includes <iostream>: libraries do not print"
    first = target.split("/")[0]
    if first in ("lib", "apps", "tests"):
        return f"includes {target}: write it relative to lib/, and nothing outside lib/"
    if first in BELOW and "/" in target and first not in reachable(owner):
        return f"lib/{owner} includes {target}: it may include {', '.join(sorted(reachable(owner)))} only"
    if bracket == '"' and not pathlib.Path("lib", target).exists() and not HIDDEN["kernels"].fullmatch(target):
        return f"includes {target}: there is no lib/{target}"
    return None


def check_file(path, owner):
    text = path.read_text(encoding="utf-8")
    for number, line in enumerate(text.split("\n"), 1):
        match = INCLUDE.match(line)
        problem = check_include(owner, *match.groups()) if match else None
        if problem:
            yield f"{path}:{number}: {problem}"
    if owner not in BELOW:
        return
    for number, line in enumerate(code_only(text).split("\n"), 1):
        for pattern, what in FORBIDDEN_IN_LIB:
            match = pattern.search(line)
            if match:
                yield f"{path}:{number}: {match.group().strip()} {what}: throw mnemo::Error or take a callback"


def sources(folder):
    return sorted(path for path in pathlib.Path(folder).rglob("*") if path.suffix in (".h", ".cc", ".inc"))


def check_tree():
    for path in sources("lib"):
        owner = path.parts[1]
        if owner not in BELOW:
            yield f"{path}: the folder lib/{owner} is not in the table of scripts/check_includes.py"
        else:
            yield from check_file(path, owner)
    for top in ("apps", "tests"):
        for path in sources(top):
            yield from check_file(path, top)


def main():
    if sys.argv[1:] == ["--table"]:
        for folder in BELOW:
            print(f"{folder}: {', '.join(sorted(reachable(folder) - {folder})) or 'nothing'}")
        return 0
    if len(sys.argv) > 1:
        print("usage: scripts/check_includes.py [--table]", file=sys.stderr)
        return 2
    problems = list(check_tree())
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    os.chdir(pathlib.Path(__file__).resolve().parent.parent)
    sys.exit(main())
