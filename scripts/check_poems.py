#!/usr/bin/env python3
"""Counts how many generated poems keep their form, by rules of its own.

    mnemo generate MODEL --form 七绝 --samples 1000 --format jsonl | scripts/check_poems.py 七绝 [--acrostic 春夏秋冬]

Reads `mnemo generate --format jsonl` from standard input. Shares nothing with the program but the table of rhymes,
lib/text/rhyme_tables.inc. Prints one JSON object: how many poems there are, the share that is right in lines, length,
rhyme, tones (as `--tones strict` has them), acrostic, no repeated character, and the share that repeats another poem.
Exits with 1 if anything but the last is not 100%.
"""

import argparse
import collections
import json
import pathlib
import re
import sys

FORMS = {"五绝": (4, 5), "七绝": (4, 7), "五律": (8, 5), "七律": (8, 7)}
# The four kinds of line, five characters long, and what comes before them in lines of seven.
LINES = {"仄起仄收": "仄仄平平仄", "仄起平收": "仄仄仄平平", "平起仄收": "平平平仄仄", "平起平收": "平平仄仄平"}
# The poem by its first two lines; further couplets are joined to the one before and end level.
STARTS = [("仄起仄收", "平起平收"), ("平起仄收", "仄起平收"), ("仄起平收", "平起平收"), ("平起平收", "仄起平收")]


def read_table():
    text = (pathlib.Path(__file__).parent.parent / "lib/text/rhyme_tables.inc").read_text(encoding="utf-8")
    part = text.split("constexpr Group kPingshui[] = {")[1].split("\n};")[0]
    groups = collections.defaultdict(set)
    for name, characters in re.findall(r'\{"([^"]+)",\s*((?:"[^"]*"\s*)+)\}', part):
        for c in "".join(re.findall(r'"([^"]*)"', characters)):
            groups[c].add(name)
    return groups


GROUPS = read_table()


def is_level(group):
    return group.startswith(("上平", "下平"))


def has_tone(character, tone):
    return any(is_level(group) == (tone == "平") for group in GROUPS.get(character, ()))


def patterns(form):
    """The strict tones of every line, for each of the four ways of writing the form."""
    lines, length = FORMS[form]
    for first, second in STARTS:
        kinds = [first, second]
        while len(kinds) < lines:
            begins = kinds[-1][:2]
            kinds += [begins + "仄收", ("平起" if begins == "仄起" else "仄起") + "平收"]
        yield [("" if length == 5 else "平平" if LINES[kind][1] == "仄" else "仄仄") + LINES[kind] for kind in kinds]


def line_fits(line, pattern, given):
    if all(has_tone(c, tone) for c, tone in zip(line, pattern)):
        return True
    if not given:
        return False
    # The poet's own first character is free, but where its oblique tone would leave a lone level one, which a level
    # third tone makes up for; one that the table lacks stands for any.
    rest_fits = all(has_tone(c, tone) for c, tone in zip(line[1:], pattern[1:]))
    if pattern != "平平仄仄平":
        return rest_fits
    made_up = all(has_tone(c, tone) for c, tone in zip(line[1:], "平平仄平"))
    return made_up or rest_fits and (has_tone(line[0], "平") or line[0] not in GROUPS)


def rhymes(lines, pattern):
    ends = [line[-1] for number, line in enumerate(lines) if number % 2 == 1 or pattern[number][-1] == "平"]
    shared = set.intersection(*({g for g in GROUPS.get(c, ()) if is_level(g)} for c in ends))
    return bool(shared)


def check(text, form, acrostic):
    count, length = FORMS[form]
    lines = [line for line in re.split("[，。\n]", text) if line]
    out = {"lines": len(lines) == count, "length": all(len(line) == length for line in lines)}
    step = count // len(acrostic) if acrostic else 0
    given = [bool(acrostic) and number % step == 0 for number in range(count)]
    out["acrostic"] = not acrostic or [line[0] for line in lines[::step]] == list(acrostic)
    ways = [p for p in patterns(form) if len(lines) == count and all(map(line_fits, lines, p, given))]
    out["tones"] = bool(ways)
    out["rhyme"] = any(rhymes(lines, p) for p in ways)
    characters = "".join(lines)
    out["no_repeat"] = len(set(characters)) == len(characters)
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("form", choices=FORMS)
    parser.add_argument("--acrostic", default="")
    options = parser.parse_args()
    texts = [json.loads(line)["text"] for line in sys.stdin]
    if not texts:
        sys.exit("check_poems.py: no poems on standard input")
    results = [check(text, options.form, options.acrostic) for text in texts]
    shares = {key: sum(result[key] for result in results) / len(results) for key in results[0]}
    print(json.dumps({"form": options.form, "poems": len(texts), **shares,
                      "repeats_another": 1 - len(set(texts)) / len(texts)}, ensure_ascii=False))
    for text, result in zip(texts, results):
        if not all(result.values()):
            print("first that fails:", text.replace("\n", " "), result, file=sys.stderr)
            break
    sys.exit(0 if all(share == 1 for share in shares.values()) else 1)


if __name__ == "__main__":
    main()
