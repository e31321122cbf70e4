#!/usr/bin/env python3
"""Makes lib/text/word_break_table.inc from the Unicode Character Database.

    scripts/make_word_break.py [FOLDER] > lib/text/word_break_table.inc

FOLDER holds PropList.txt, auxiliary/WordBreakProperty.txt and emoji/emoji-data.txt as Debian's package unicode-data
lays them out (default: /usr/share/unicode). The order of the classes below is that of `enum WordBreak` in
lib/text/word_break.cc.
"""

import re
import sys

CLASSES = [
    "Other", "CR", "LF", "Newline", "Extend", "ZWJ", "Format", "Katakana", "Hebrew_Letter", "ALetter", "Single_Quote",
    "Double_Quote", "MidNumLet", "MidLetter", "MidNum", "Numeric", "ExtendNumLet", "Regional_Indicator", "WSegSpace",
]
PICTOGRAPHIC = 0x20
WHITE_SPACE = 0x40
TABLE_END = 0x20000  # from here on there are only a few ranges
BLOCK = 128


def read_ranges(path, wanted):
    """Yields (first, last, property) of the lines whose property is wanted."""
    with open(path, encoding="utf-8") as file:
        for line in file:
            match = re.match(r"([0-9A-F]+)(?:\.\.([0-9A-F]+))?\s*;\s*(\w+)", line)
            if match and match[3] in wanted:
                first = int(match[1], 16)
                yield first, int(match[2], 16) if match[2] else first, match[3]


def read_version(path):
    with open(path, encoding="utf-8") as file:
        return re.search(r"-(\d+\.\d+\.\d+)\.txt", file.readline())[1]


def read_values(folder):
    values = bytearray(0x110000)
    for first, last, name in read_ranges(folder + "/auxiliary/WordBreakProperty.txt", CLASSES):
        for c in range(first, last + 1):
            values[c] |= CLASSES.index(name)
    for path, name, bit in [("/emoji/emoji-data.txt", "Extended_Pictographic", PICTOGRAPHIC),
                            ("/PropList.txt", "White_Space", WHITE_SPACE)]:
        for first, last, _ in read_ranges(folder + path, [name]):
            for c in range(first, last + 1):
                values[c] |= bit
    return values


def ranges_from(values, start):
    """The ranges of one value other than 0 at and after start."""
    found = []
    for c in range(start, len(values)):
        if values[c] == 0:
            continue
        if found and found[-1][1] == c - 1 and found[-1][2] == values[c]:
            found[-1][1] = c
        else:
            found.append([c, c, values[c]])
    return found


def print_array(declaration, numbers):
    print(declaration + " = {")
    line = "   "
    for number in numbers:
        piece = f" {number},"
        if len(line) + len(piece) > 118:
            print(line)
            line = "   "
        line += piece
    print(line + "\n};")


def print_table(name, values):
    """Two stages below TABLE_END, which share equal blocks, and ranges from there on."""
    blocks, index = [], []
    for start in range(0, TABLE_END, BLOCK):
        block = bytes(values[start:start + BLOCK])
        if block not in blocks:
            blocks.append(block)
        index.append(blocks.index(block))
    assert len(blocks) < 256
    print(f"constexpr char32_t k{name}TableEnd = 0x{TABLE_END:X};")
    print(f"constexpr char32_t k{name}Block = {BLOCK};")
    print_array(f"constexpr unsigned char k{name}Index[{len(index)}]", index)
    print_array(f"constexpr unsigned char k{name}Blocks[{len(blocks) * BLOCK}]", b"".join(blocks))
    print(f"constexpr {name}Range k{name}Ranges[] = {{")
    for first, last, value in ranges_from(values, TABLE_END):
        print(f"    {{0x{first:X}, 0x{last:X}, {value}}},")
    print("};")


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "/usr/share/unicode"
    values = read_values(folder)
    version = read_version(folder + "/auxiliary/WordBreakProperty.txt")
    print("// Made by scripts/make_word_break.py from Unicode's WordBreakProperty.txt, emoji-data.txt and "
          "PropList.txt.")
    print("// Do not edit. Data: Copyright 1991-2022 Unicode, Inc., under the Unicode licence "
          "(unicode.org/license.txt).")
    print(f'constexpr const char* kWordBreakUnicodeVersion = "{version}";')
    print_table("WordBreak", values)


if __name__ == "__main__":
    main()
