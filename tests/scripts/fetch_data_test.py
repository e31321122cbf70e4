#!/usr/bin/env python3
"""How scripts/fetch_data.py reads, aligns and splits help pages; without a network, on pages made up here."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts/fetch_data.py"
sys.dont_write_bytecode = True
sys.path.insert(0, str(SCRIPT.parent))
import fetch_data  # noqa: E402

KEYS = ('Press <span class="switchinline"><span id="MAC_1" class="MAC">{}</span><span id="default_1">{}</span></span> '
        '+\n F<br>to &lt;find&gt;&nbsp;<span class="emph">{}</span>.')
FIRST = {
    "en": '<h1 id="hd_1">Find <a href="x">Text</a></h1><p id="par_1">' + KEYS.format("Command", "Ctrl", "it") + "</p>"
          '<p>No id</p><table><tr><td><p id="par_2">Apple</td><td><p id="par_3">12</p></td></tr></table>'
          '<p id="par_4">Undo</p><p id="par_4">Redo</p><p id="par_5">OK</p>',
    "de": '<h1 id="hd_1">Text finden</h1><p id="par_1">' + KEYS.format("Befehl", "Strg", "es") + "</p>"
          '<p>Keine</p><table><tr><td><p id="par_2">Apfel</td><td><p id="par_3">12</p></td></tr></table>'
          '<p id="par_4">Zurück</p><p id="par_4">Wieder</p><p id="par_5">ok!</p><p id="par_6">Nur hier</p>',
}
# German sorts these entries differently, so that the two texts of par_3 do not belong together.
SECOND = {
    "en": '<p id="par_1">Cat</p><p id="par_3">to a cat</p><p id="par_2">Dog</p><p id="par_3">to a dog</p>',
    "de": '<p id="par_2">Hund</p><p id="par_3">dem Hund</p><p id="par_1">Katze</p><p id="par_3">der Katze</p>',
}
THIRD = {"en": '<p id="par_9">Bird', "de": '<p id="par_9">Vogel'}
FIRST_PAIRS = [("Find Text", "Text finden"), ("Press Ctrl + F to <find> it.", "Press Strg + F to <find> es."),
               ("Apple", "Apfel"), ("12", "12"), ("Undo", "Zurück"), ("Redo", "Wieder"), ("OK", "ok!")]
COPYRIGHT = """Format: x

Files: *
Copyright: 2000 A
           2001 B
License: Made-up-2
 text

Files: y
License: No
"""


def aligned(pages):
    return list(fetch_data.align(*(fetch_data.HelpPage(pages[language]).paragraphs for language in ("en", "de"))))


def paths_of(split, of, count):
    """Paths of pages that go to this split."""
    paths = (f"text/{number}.html" for number in range(10000))
    return [path for path in paths if fetch_data.split_of(path, of) == split][:count]


class Alignment(unittest.TestCase):
    def test_paragraphs_with_the_same_id_are_pairs_of_plain_text(self):
        self.assertEqual(aligned(FIRST), FIRST_PAIRS)

    def test_an_id_with_several_texts_is_ignored_if_the_order_differs(self):
        self.assertEqual(aligned(SECOND), [("Cat", "Katze"), ("Dog", "Hund")])

    def test_a_switch_without_default_shows_one_variant_wherever_it_stands(self):
        variants = ['<span id="CALC_1" class="CALC">a</span>', '<span id="WRITER_1" class="WRITER">b</span>']
        for order in variants, variants[::-1]:
            page = fetch_data.HelpPage(f'<p id="i">x<span class="switchinline"> {" ".join(order)} </span>y')
            self.assertEqual(page.paragraphs, {"i": ["xay"]})

    def test_useless_pairs(self):
        for pair, why in ((("1", "1"), "empty or without letters"), (("a", ""), "empty or without letters"),
                          (("A b.", "a, b"), "not translated"), (("a", "b\x97"), "with damaged characters"),
                          (("a", "b"), None)):
            self.assertEqual(fetch_data.fault(pair), why)


class Splitting(unittest.TestCase):
    def test_no_text_of_dev_or_test_is_elsewhere(self):
        pages = [(path, pairs) for split, pairs in (
            ("train", [("one", "eins"), ("one", "eins"), ("one", "Eins"), ("two", "zwei"), ("x", "drei"), ("3", "3")]),
            ("dev", [("Two.", "zwo"), ("three", "drei"), ("four", "vier")]),
            ("test", [("four", "Vier!"), ("five", "fünf"), ("Five", "fünfe"), ("six", "fünf")]),
        ) for path in paths_of(split, 5, 1)]
        splits, left_out = fetch_data.split_pairs(pages, 5)
        self.assertEqual(splits, {"train": [("one", "eins"), ("one", "Eins")],
                                  "dev": [("Two.", "zwo"), ("three", "drei")],
                                  "test": [("four", "Vier!"), ("five", "fünf")]})
        self.assertEqual(left_out, {"empty or without letters": 1, "repeated": 4,
                                    "of train with a text of dev or test": 2})

    def test_pages_are_split_by_path_the_same_everywhere(self):
        self.assertEqual(paths_of("test", 22, 2), ["text/24.html", "text/50.html"])


class Command(unittest.TestCase):
    """The whole script, with an apt-get and a dpkg-deb that hand out a folder prepared here."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.root = pathlib.Path(temporary.name)
        self.out = self.root / "out"
        self.tool("apt-get", 'shift; for name; do touch "${name}_1_all.deb"; done')
        self.tool("dpkg-deb", f'[ "$1" = -f ] && echo 4:1.2 || {{ mkdir -p "$3"; cp -r {self.root}/package/. "$3"; }}')
        of = fetch_data.CORPORA["manuals-en-de"]["of"]
        for language, package, name in (("en", "libreoffice-help-en-us", "en-US"), ("de", "libreoffice-help-de", "de")):
            self.put(f"usr/share/doc/{package}/copyright", COPYRIGHT)
            for split, pages in (("train", FIRST), ("dev", SECOND), ("test", THIRD)):
                self.put(f"usr/share/libreoffice/help/{name}/{paths_of(split, of, 1)[0]}", pages[language])

    def tool(self, name, commands):
        path = self.root / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{commands}\n", encoding="utf-8")
        path.chmod(0o755)

    def put(self, path, text):
        target = self.root / "package" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def run_script(self, name):
        path = f"{self.root / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run([sys.executable, str(SCRIPT), name, str(self.out)], env={**os.environ, "PATH": path},
                              capture_output=True, text=True, check=False)

    def assert_one_line(self, result, code, beginning):
        self.assertEqual((result.returncode, result.stderr.count("\n")), (code, 1), result.stderr)
        self.assertTrue(result.stderr.startswith("fetch_data.py: " + beginning), result.stderr)

    def test_writes_parallel_files(self):
        result = self.run_script("manuals-en-de")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertIn("licence Made-up-2,", result.stdout.split("\n", maxsplit=1)[0])
        self.assertEqual(sorted(path.name for path in self.out.iterdir()),
                         ["README.txt", "dev.de", "dev.en", "test.de", "test.en", "train.de", "train.en"])
        kept = [pair for pair in FIRST_PAIRS if fetch_data.fault(pair) is None]
        for side, language in enumerate(("en", "de")):
            written = (self.out / f"train.{language}").read_bytes().decode("utf-8")
            self.assertEqual(written, "".join(f"{pair[side]}\n" for pair in kept))
        self.assertEqual((self.out / "dev.de").read_text(encoding="utf-8"), "Katze\nHund\n")
        readme = (self.out / "README.txt").read_text(encoding="utf-8")
        self.assertIn("libreoffice-help-de 4:1.2", readme)
        self.assertIn(COPYRIGHT.strip(), readme)
        self.assertIn("there already", self.run_script("manuals-en-de").stdout)
        self.assert_one_line(self.run_script("manuals-en-zh"), 1, f"{self.out / 'train.de'} is of another pair")

    def test_says_that_it_could_not_download(self):
        self.tool("apt-get", "echo E: No network; echo W: something else; exit 100")
        result = self.run_script("manuals-en-de")
        self.assert_one_line(result, 3, "could not download libreoffice-help-en-us and libreoffice-help-de; ")
        self.assertTrue(result.stderr.endswith(" apt-get: E: No network\n"), result.stderr)
        self.assertFalse(self.out.exists())

    def test_says_that_a_package_has_no_pages(self):
        for path in (self.root / "package/usr/share/libreoffice/help/de").rglob("*.html"):
            path.unlink()
        self.assert_one_line(self.run_script("manuals-en-de"), 1, "the package has no help pages in de")
        self.assertFalse(self.out.exists())


if __name__ == "__main__":
    unittest.main()
