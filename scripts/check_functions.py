#!/usr/bin/env python3
"""Lists the functions of lib/ and apps/ that are longer than 60 lines and give no reason: a comment directly above must
say why, in a sentence that begins with "Long because". Counted with universal-ctags.

usage: scripts/check_functions.py [--all]    --all also lists those with a reason; exit code 1 if any has none
"""
import json
import pathlib
import shutil
import subprocess
import sys

LONGEST = 60
REASON = "Long because"


def functions():
    command = ["ctags", "--output-format=json", "--fields=+ne", "--kinds-C++=f", "--languages=C++", "-R", "-f", "-"]
    out = subprocess.run([*command, "lib", "apps"], check=True, capture_output=True, text=True).stdout
    for line in out.splitlines():
        tag = json.loads(line)
        if tag.get("kind") == "function" and "end" in tag:
            yield tag["path"], tag["line"], tag["end"], tag["name"]


def reason_above(path, line):
    lines = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    comment = []
    # The line of a template or a return type may be between the comment and the name.
    at = line - 2
    while at >= 0 and not lines[at].lstrip().startswith("//") and lines[at].strip() and line - at < 5:
        at -= 1
    while at >= 0 and lines[at].lstrip().startswith("//"):
        comment.append(lines[at])
        at -= 1
    return REASON in " ".join(comment)


def main():
    if not shutil.which("ctags"):
        sys.exit("check_functions.py: no ctags (scripts/setup.sh --dev installs universal-ctags)")
    unexplained = 0
    for path, line, end, name in functions():
        length = end - line + 1
        if length <= LONGEST:
            continue
        explained = reason_above(path, line)
        unexplained += not explained
        if not explained or "--all" in sys.argv[1:]:
            print(f"{path}:{line}: {name} has {length} lines" + (", with a reason" if explained else " and no reason"))
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
