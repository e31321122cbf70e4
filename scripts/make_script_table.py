#!/usr/bin/env python3
"""Makes lib/text/script_table.inc from the Unicode Character Database.

    scripts/make_script_table.py [FOLDER] > lib/text/script_table.inc

FOLDER holds Scripts.txt, PropList.txt and extracted/DerivedGeneralCategory.txt as Debian's package unicode-data lays
them out (default: /usr/share/unicode). The first classes are those of `enum CharacterClass` in lib/text/script.h; a
letter of a script has the class FIRST_SCRIPT plus the script's place in the alphabetical order of scripts.
"""

import re
import sys

from make_word_break import print_table, read_ranges, read_version

OTHER, BLANK, PUNCTUATION, NUMBER, JOINS, FIRST_SCRIPT = range(6)


def properties(path):
    """Code point -> value of the file's property."""
    values = {}
    with open(path, encoding="utf-8") as file:
        names = {m[1] for m in (re.match(r"[0-9A-F.]+\s*;\s*(\w+)", line) for line in file) if m}
    for first, last, name in read_ranges(path, names):
        values.update(dict.fromkeys(range(first, last + 1), name))
    return values


def class_of(category, script, number_of):
    if category[0] in "PS":
        return PUNCTUATION
    if category[0] == "N" and script == "Common" or category == "Nd":
        return NUMBER
    if script == "Inherited" or (script == "Common" and category[0] in "LM") or category == "Cf":
        return JOINS
    return number_of.get(script, OTHER)


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "/usr/share/unicode"
    categories = properties(folder + "/extracted/DerivedGeneralCategory.txt")
    scripts = properties(folder + "/Scripts.txt")
    names = sorted(set(scripts.values()) - {"Common", "Inherited"})
    number_of = {name: FIRST_SCRIPT + i for i, name in enumerate(names)}
    values = bytearray(0x110000)
    for c in range(0x110000):
        values[c] = class_of(categories.get(c, "Cn"), scripts.get(c, "Unknown"), number_of)
    for first, last, _ in read_ranges(folder + "/PropList.txt", ["White_Space"]):
        for c in range(first, last + 1):
            values[c] = BLANK

    version = read_version(folder + "/Scripts.txt")
    print("// Made by scripts/make_script_table.py from Unicode's Scripts.txt, DerivedGeneralCategory.txt and "
          f"PropList.txt, {version}.")
    print("// Do not edit. Data: Copyright 1991-2022 Unicode, Inc., under the Unicode licence "
          "(unicode.org/license.txt).")
    print_table("Script", values)


if __name__ == "__main__":
    main()
