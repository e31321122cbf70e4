#!/usr/bin/env python3
"""The pages that mnemo writes: one file without requests, the script named by its hash, and, where chromium, its driver
and selenium are installed, at work in a real browser. Usage: pages_test.py MNEMO [TEST]; exits with 77 if a test was
skipped."""

import base64
import contextlib
import hashlib
import importlib.util
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

# Distributions install selenium for their own Python.
SYSTEM = "/usr/bin/python3"
if not importlib.util.find_spec("selenium") and os.path.exists(SYSTEM) and not os.environ.get("MNEMO_PAGES_PYTHON"):
    os.environ["MNEMO_PAGES_PYTHON"] = SYSTEM
    os.execv(SYSTEM, [SYSTEM, *sys.argv])

MNEMO = sys.argv.pop(1)
SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
LINE = "a (bc d) <e> & f"
CONFIG = ('{"task": "generate", "data": {"train": "text.txt"}, "text": {"unit": "char"}, "model": {"hidden": 16},'
          ' "training": {"epochs": 1}, "output": {"dir": "run"}}')
TRANSLATOR = ('{"task": "translate", "data": {"train": {"source": "text.txt", "target": "text.txt"}},'
              ' "text": {"unit": "word"}, "model": {"hidden": 8, "embedding": 8}, "training": {"epochs": 20},'
              ' "output": {"dir": "translator"}}')

# Conditioned on titles and authors, of enough characters for a form.
POEMS = [{"title": "春夜", "author": "李白", "paragraphs": ["春眠不觉晓，处处闻啼鸟。", "夜来风雨声，花落知多少。"]},
         {"title": "月", "author": "杜甫", "paragraphs": ["床前明月光，疑是地上霜。", "举头望明月，低头思故乡。"]}]
POET = ('{"task": "generate", "data": {"train": "poems.json", "format": "poems-json"}, "text": {"unit": "char"},'
        ' "model": {"hidden": 16}, "training": {"epochs": 1}, "output": {"dir": "poet"}}')


def browser():
    """A headless browser, or the reason why there is none."""
    if not shutil.which("chromedriver"):
        return None, "no chromedriver"
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        return None, "no selenium"
    options = webdriver.ChromeOptions()
    for argument in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    phone = {"width": 390, "height": 800, "pixelRatio": 2}
    options.add_experimental_option("mobileEmulation", {"deviceMetrics": phone})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver"))), ""


class ServedPage:
    """What a user of the page that is served does."""

    def __init__(self, driver):
        self.driver = driver

    def one(self, css):
        return self.driver.find_element("css selector", css)

    def all(self, css):
        return self.driver.find_elements("css selector", css)

    def wait(self, until):
        from selenium.webdriver.support.ui import WebDriverWait
        WebDriverWait(self.driver, 20).until(lambda _: until())

    def choices(self):
        return [option.text for option in self.all("#choice option")]

    def choose(self, index):
        from selenium.webdriver.support.ui import Select
        Select(self.one("#choice")).select_by_index(index)

    def select(self, css, value):
        from selenium.webdriver.support.ui import Select
        Select(self.one(css)).select_by_value(value)

    def fill(self, text):
        self.one("#text").clear()
        self.one("#text").send_keys(text)

    def finish(self):
        self.wait(lambda: self.one("#run").get_attribute("aria-disabled") == "false")

    def ask(self, index, text):
        """The answer's text."""
        from selenium.webdriver.common.keys import Keys
        self.choose(index)
        self.fill(text + Keys.CONTROL + Keys.ENTER)
        self.finish()
        return self.one("#answer").text

    def focus(self):
        """The identity of what has the keyboard's focus."""
        return self.driver.switch_to.active_element.get_attribute("id")


class Pages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.path = pathlib.Path(cls.folder.name)
        (cls.path / "text.txt").write_text((LINE + "\n") * 60, encoding="utf-8")
        (cls.path / "config.json").write_text(CONFIG, encoding="utf-8")
        cls.run_mnemo("train", "config.json")
        model = "run/model.safetensors"
        cls.run_mnemo("inspect", model, "--gates", "--text", LINE, "-f", "html", "-o", "gates.html")
        cls.run_mnemo("inspect", model, "text.txt", "--saturation", "-f", "html", "-o", "saturation.html")
        cls.run_mnemo("inspect", model, "text.txt", "--gradient-flow", "-f", "html", "-o", "flow.html")
        cls.run_mnemo("inspect", model, "text.txt", "--context", "--longest", "16", "-f", "html", "-o", "context.html")
        cls.run_mnemo("inspect", model, "text.txt", "--find", "brackets", "-f", "html", "-o", "find.html")
        cls.run_mnemo("inspect", model, "--attribution", "integrated", "--text", LINE, "-f", "html",
                      "-o", "weights.html")
        (cls.path / "translator.json").write_text(TRANSLATOR, encoding="utf-8")
        cls.run_mnemo("train", "translator.json")
        cls.run_mnemo("inspect", "translator/model.safetensors", "--attention", "--text", LINE, "-f", "html",
                      "-o", "attention.html")
        cls.run_mnemo("bench", "memory", "--lengths", "10", "--steps", "20", "--seeds", "7", "-f", "html",
                      "-o", "memory.html")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def run_mnemo(cls, *arguments):
        subprocess.run([MNEMO, *arguments], cwd=cls.path, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def pages(self):
        found = sorted(self.path.glob("*.html"))
        self.assertEqual(len(found), 8)
        return found

    def test_pages_ask_for_nothing_and_run_only_the_script_that_is_named(self):
        for page in self.pages():
            text = page.read_text(encoding="utf-8")
            self.assertIn("default-src 'none'", text)
            self.assertNotIn("src=", text.replace("default-src=", ""))
            self.assertNotIn("href=", text)
            self.assertNotIn("<e>", text)
            self.assertIn('name="viewport"', text)
            scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
            named = re.findall(r"script-src '(sha256-[^']*)'", text)
            hashes = ["sha256-" + base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in scripts]
            self.assertEqual(hashes, named, page.name)

    def browser(self):
        """A browser that ends with the test, which is skipped where there is none."""
        driver, reason = browser()
        if not driver:
            self.skipTest(reason)
        self.addCleanup(driver.quit)
        return driver

    def test_pages_in_a_browser(self):
        driver = self.browser()
        for page in self.pages():
            driver.get(page.as_uri())
            width = driver.execute_script("return document.documentElement.scrollWidth")
            self.assertLessEqual(width, 390, page.name)  # a phone's
            errors = [entry["message"] for entry in driver.get_log("browser") if "favicon" not in entry["message"]]
            self.assertEqual(errors, [], page.name)
        driver.get((self.path / "gates.html").as_uri())
        self.check_gates(driver)

    def test_the_served_page_in_a_browser(self):
        driver = self.browser()
        (self.path / "tags.conll").write_text("Li B-PER\nBai I-PER\nsings O\n\n" * 20, encoding="utf-8")
        (self.path / "tags.json").write_text(
            '{"task": "tag", "data": {"train": "tags.conll", "dev": "tags.conll"}, "model": {"hidden": 8,'
            ' "embedding": 8}, "training": {"epochs": 8}, "output": {"dir": "tags"}}', encoding="utf-8")
        self.run_mnemo("train", "tags.json")
        (self.path / "poems.json").write_text(json.dumps(POEMS * 20), encoding="utf-8")
        (self.path / "poet.json").write_text(POET, encoding="utf-8")
        self.run_mnemo("train", "poet.json")
        models = [f"topics={SOURCE / 'tests/golden/models/version-1.safetensors'}", "tags=tags/model.safetensors",
                  "lm=run/model.safetensors", "translator=translator/model.safetensors",
                  "poet=poet/model.safetensors"]
        with self.serving(*models) as (url, server):
            driver.get(url)
            self.check_served(driver)
            self.check_pair(driver)
            self.check_what_models_can_do(driver)
            self.check_focus(driver, server)
            self.check_examples(driver)
            self.check_languages(driver)
            width = driver.execute_script("return document.documentElement.scrollWidth")
            self.assertLessEqual(width, 390)  # a phone's
            errors = [entry["message"] for entry in driver.get_log("browser")
                      if "favicon" not in entry["message"] and "422" not in entry["message"]]
            self.assertEqual(errors, [])

    def test_the_served_page_asks_for_the_token(self):
        driver = self.browser()
        (self.path / "token").write_text("s3cret\n", encoding="utf-8")
        with self.serving("lm=run/model.safetensors", "--token-file", "token") as (url, _):
            driver.get(url)
            page = ServedPage(driver)
            page.wait(lambda: page.focus() == "token")
            self.assertFalse(page.one("#problem").is_displayed())
            for wrong in ("wrong", "令牌", "s3crét"):
                page.one("#token").clear()
                driver.execute_script("document.getElementById('problem').textContent = ''")
                page.one("#token").send_keys(wrong + "\n")
                page.wait(lambda: page.one("#problem").text)
                self.assertEqual((page.one("#problem").text, page.focus()), ("The token is wrong", "token"))
            page.one("#language").click()
            self.assertEqual(page.one("#problem").text, "令牌不对")
            page.one("#token").clear()
            page.one("#token").send_keys("s3cret")
            driver.execute_script("const login = document.getElementById('login');"
                                  "login.requestSubmit(); login.requestSubmit();")
            page.wait(lambda: page.one("#form").is_displayed())
            driver.execute_script("document.getElementById('login').requestSubmit()")
            time.sleep(0.5)
            self.assertEqual(page.choices(), ["lm · 评分", "lm · 生成"])
            self.assertFalse(page.one("#login").is_displayed() or page.one("#problem").is_displayed())
            page.ask(0, "a")
            self.assertIn("$TOKEN", page.one("#curl").text)

    @contextlib.contextmanager
    def serving(self, *arguments):
        """A server's address and process."""
        with open(self.path / "serve.txt", "wb") as log:
            server = subprocess.Popen([MNEMO, "serve", *arguments, "--listen", "127.0.0.1:0"], cwd=self.path,
                                      stderr=log)
        try:
            found = None
            while not found and server.poll() is None:
                time.sleep(0.02)
                found = re.search(r"listening on (\S+)", (self.path / "serve.txt").read_text(encoding="utf-8"))
            yield found.group(1) + "/", server
        finally:
            server.send_signal(signal.SIGCONT)
            server.terminate()
            self.assertEqual(server.wait(30), 0)

    def check_served(self, driver):
        page = ServedPage(driver)
        page.wait(lambda: page.one("#form").is_displayed())
        self.assertEqual(page.choices(), ["topics · classify", "tags · tag", "lm · score", "lm · generate",
                                          "translator · translate", "translator · score", "poet · score",
                                          "poet · generate"])
        answer = page.ask(0, "The team won <b>the</b> match")
        self.assertEqual(len(page.all("#answer .bar")), 4)
        self.assertIn("The team won <b>the</b> match", answer)  # as text, not as HTML
        self.assertTrue(all("rgba" in unit.get_attribute("style") for unit in page.all("#answer .unit")))
        self.assertIn("curl ", page.one("#curl").text)
        self.assertIn("Most weight: ", answer)
        # The weights of a long text take too long.
        answer = page.ask(0, "win " * 75)
        self.assertEqual(("are not coloured" in answer, len(page.all("#answer .unit"))), (False, 75))
        answer = page.ask(0, "win " * 75 + "a")
        self.assertEqual(("are not coloured" in answer, len(page.all("#answer .unit"))), (True, 0))
        self.assertEqual(len(page.all("#answer .bar")), 4)
        self.assertNotIn("weights", page.one("#curl").text)
        page.ask(1, "Li Bai sings")
        self.assertIn("PER", page.one("#answer mark small").text)
        answer = page.ask(2, "a (bc d)")
        self.assertIn("⏎", answer)
        self.assertIn("Least expected: ", answer)
        self.assertIn("The stronger the colour, the less expected.", answer)  # true in the dark, too
        page.choose(3)
        page.one("#form [name=length]").send_keys("20")
        page.ask(3, "a (")
        self.assertTrue(page.one("#answer .poem").text.startswith("a ("))
        self.assertIn('"stream":true', page.one("#curl").text)
        page.ask(4, LINE)
        self.assertGreater(len(page.all("#answer .weights td")), 0)
        # An error is said beside the button, and goes with the next answer.
        page.ask(3, "ÿ")
        self.assertIn("does not know", page.one("#problem").text)
        distance = page.one("#problem").rect["y"] - page.one("#run").rect["y"] - page.one("#run").rect["height"]
        self.assertTrue(-60 < distance < 40, distance)
        page.ask(0, "a")
        self.assertFalse(page.one("#problem").is_displayed())
        self.check_named(driver)

    def check_pair(self, driver):
        """A line and its translation have a field each, for the models that want both."""
        page = ServedPage(driver)
        for index in (2, 4):
            page.choose(index)
            self.assertFalse(page.one("#translation").is_displayed())
        page.choose(5)
        page.one("#translation").send_keys("a <e>")
        answer = page.ask(5, "a & f")
        self.assertIn('"text":"a & f\\ta <e>"', page.one("#curl").text)
        self.assertIn("perplexity", answer)
        texts = {name: model["text"] for name, model in self.described(driver, "score")["x-models"].items()}
        self.assertEqual(texts, {"lm": "A line", "poet": "A line", "translator": "A line, a tab, and its translation"})
        body = self.described(driver, "score")["requestBody"]["content"]["application/json"]["schema"]["oneOf"][0]
        self.assertEqual(body["properties"]["text"]["description"],
                         "A line (lm, poet); A line, a tab, and its translation (translator)")

    def described(self, driver, skill):
        return driver.execute_async_script(
            "fetch('openapi.json').then((one) => one.json()).then((one) => arguments[1](one.paths[arguments[0]].post))",
            "/v1/" + skill)

    def check_what_models_can_do(self, driver):
        """Titles and forms are offered for models of poems alone; what needs a form, once there is one."""
        page = ServedPage(driver)
        of_poems = {"title", "author", "form", "tones", "rhyme", "acrostic"}
        page.choose(3)
        names = {one.get_attribute("name") for one in page.all("#form [name]")}
        self.assertEqual((names & of_poems, "length" in names), (set(), True))
        page.choose(7)
        self.assertEqual({one.get_attribute("name") for one in page.all("#form [name]")} & of_poems, of_poems)
        self.assertFalse(page.one("[name=acrostic]").is_enabled())
        page.select("[name=form]", "五绝")
        self.assertTrue(page.one("[name=acrostic]").is_enabled())

    def check_focus(self, driver, server):
        """The keyboard's focus stays where it was, or goes to what is next to it; never to the page."""
        from selenium.webdriver.common.keys import Keys
        page = ServedPage(driver)
        page.choose(3)
        page.fill("a")
        page.one("#run").send_keys(Keys.ENTER)
        page.finish()
        self.assertEqual(page.focus(), "run")
        server.send_signal(signal.SIGSTOP)  # its answer takes its time
        page.one("#run").send_keys(Keys.ENTER)
        page.wait(lambda: page.one("#stop").is_displayed())
        self.assertEqual((page.focus(), page.one("#run").get_attribute("aria-disabled")), ("run", "true"))
        page.one("#stop").send_keys(Keys.ENTER)
        page.finish()
        self.assertEqual((page.focus(), page.one("#stop").is_displayed()), ("run", False))
        self.assertFalse(page.one("#problem").is_displayed())
        server.send_signal(signal.SIGCONT)
        page.one("#language").send_keys(Keys.ENTER)
        page.one("#language").send_keys(Keys.ENTER)
        self.assertEqual(page.focus(), "language")

    def check_examples(self, driver):
        """Each task has texts to click, which are answered at once."""
        page = ServedPage(driver)
        for index, (name, least) in enumerate(zip(page.choices(), (3, 3, 2, 2, 3, 3, 2, 3), strict=True)):
            page.choose(index)
            self.assertGreaterEqual(len(page.all("#examples button")), least, name)
        for index, css in ((0, ".bar"), (1, "p")):
            page.choose(index)
            example = page.all("#examples button")[0]
            example.click()
            page.finish()
            self.assertEqual(page.one("#text").get_attribute("value"), example.text)
            self.assertGreater(len(page.all("#answer " + css)), 0)
        page.choose(5)
        page.all("#examples button")[0].click()
        page.finish()
        self.assertTrue(page.one("#translation").get_attribute("value"))
        page.choose(7)
        self.assertTrue(all(re.search("[\u4e00-\u9fff]", one.text) for one in page.all("#examples button")))
        page.all("#examples button")[0].click()
        page.finish()
        self.assertEqual(json.loads(re.search("-d '(.*)'", page.one("#curl").text)[1])["title"], "春夜")

    def check_languages(self, driver):
        """The answer that is shown changes its language, too; in Chinese everything is Chinese."""
        page = ServedPage(driver)
        page.ask(2, "a (bc d)")
        coloured = [one.text for one in page.all("#answer .unit")]
        page.one("#language").click()
        self.assertEqual((page.one("#run").text, page.one("html").get_attribute("lang")), ("运行", "zh"))
        self.assertEqual([one.text for one in page.all("#answer .unit")], coloured)
        notes = [one.text for one in page.all("#answer .note")]
        self.assertEqual(notes[0], "颜色越浓，越出人意料。")
        self.assertRegex(notes[2], "^共 9 个单位，困惑度 [0-9.]+，对数概率 -[0-9.]+。$")
        for index in range(len(page.choices())):
            page.choose(index)
            page.wait(lambda: page.one("#text-label").text)
            said = [one.get_attribute("textContent").strip() for one in page.all("#text-label, #form [data-name]")]
            said += [one.get_attribute("title") for one in page.all("#form [name]")]
            said += [one.get_attribute("textContent") for one in page.all("#form option[data-value]")]
            self.assertEqual([one for one in said if not re.search("[\u4e00-\u9fff]", one)], [])
            self.assertEqual([one for one in said if re.search("[,;:]|[a-z]{2}", one)], [])
        page.ask(0, "The team won the match")
        for note in [one.text for one in page.all("#answer .note, #answer h3")]:
            self.assertNotRegex(note, "[,:;]")
        page.ask(3, "a (")
        self.assertTrue(page.one("#answer .poem").text.startswith("a ("))
        self.check_named(driver)

    def check_named(self, driver):
        """What a screen reader is given: every control and region has a name."""
        nodes = driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        controls = [node for node in nodes if not node["ignored"] and node["role"]["value"] in
                    ("button", "checkbox", "combobox", "option", "region", "spinbutton", "textbox",
                     "DisclosureTriangle")]
        self.assertGreater(len(controls), 10)
        self.assertEqual([node for node in controls if not node.get("name", {}).get("value", "").strip()], [])

    def check_gates(self, driver):
        from selenium.webdriver.common.by import By
        from selenium.webdriver.common.keys import Keys
        units = driver.find_elements(By.CSS_SELECTOR, "#text > span")
        self.assertEqual(len(units), len(LINE) + 1)  # the end of a line comes first
        self.assertEqual("".join(one.get_attribute("textContent") for one in units[1:]), LINE)
        slider = driver.find_element(By.ID, "unit")
        slider.send_keys(Keys.HOME)
        before = [one.find_element(By.TAG_NAME, "i").get_attribute("style") for one in units]
        self.assertIn("linear-gradient", before[5])
        slider.send_keys(Keys.ARROW_RIGHT)
        slider.send_keys(Keys.ARROW_RIGHT)
        driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
        self.assertEqual(driver.find_element(By.ID, "number").text, "2")
        after = [one.find_element(By.TAG_NAME, "i").get_attribute("style") for one in units]
        self.assertNotEqual(before, after)
        units[3].click()
        self.assertIn("3: ", driver.find_element(By.ID, "place").text)
        # The arrow keys go on from there; one unit at a time can be reached by the tab key.
        for key, place in ((Keys.ARROW_RIGHT, 4), (Keys.HOME, 0), (Keys.ARROW_LEFT, 0), (Keys.END, len(LINE)),
                           (Keys.HOME, 0), (Keys.ARROW_RIGHT, 1), (Keys.ARROW_RIGHT, 2), (Keys.ARROW_RIGHT, 3)):
            driver.switch_to.active_element.send_keys(key)
            self.assertTrue(driver.find_element(By.ID, "place").text.startswith(f"{place}:"))
            self.assertEqual(driver.switch_to.active_element.get_attribute("data-place"), str(place))
            self.assertEqual(len(driver.find_elements(By.CSS_SELECTOR, "#text > span[tabindex='0']")), 1)
        shown = driver.find_element(By.ID, "values").text
        # What the page shows is what the program prints.
        rows = subprocess.run(
            [MNEMO, "inspect", "run/model.safetensors", "--gates", "--text", LINE, "--unit", "2", "-f", "tsv"],
            cwd=self.path, check=True, capture_output=True, text=True).stdout.splitlines()
        values = {row.split("\t")[3]: float(row.split("\t")[7]) for row in rows[1:] if row.split("\t")[5] == "3"}
        for name, value in values.items():
            match = re.search(re.escape(name) + r"\s(-?\d\.\d\d)", shown)
            self.assertTrue(match, name + " in " + shown)
            self.assertAlmostEqual(float(match.group(1)), value, delta=0.02)


if __name__ == "__main__":
    result = unittest.main(exit=False, verbosity=2).result
    sys.exit(1 if not result.wasSuccessful() else 77 if result.skipped else 0)
