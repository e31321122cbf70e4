#!/usr/bin/env python3
"""The pages that mnemo writes: one file without requests, the script named by its hash, and, where chromium, its driver
and selenium are installed, at work in a real browser. Usage: pages_test.py MNEMO [TEST]; exits with 77 if a test was
skipped."""

import base64
import hashlib
import importlib.util
import os
import pathlib
import re
import shutil
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

    def test_pages_in_a_browser(self):
        driver, reason = browser()
        if not driver:
            self.skipTest(reason)
        try:
            for page in self.pages():
                driver.get(page.as_uri())
                width = driver.execute_script("return document.documentElement.scrollWidth")
                self.assertLessEqual(width, 390, page.name)  # a phone's
                errors = [entry["message"] for entry in driver.get_log("browser") if "favicon" not in entry["message"]]
                self.assertEqual(errors, [], page.name)
            driver.get((self.path / "gates.html").as_uri())
            self.check_gates(driver)
        finally:
            driver.quit()

    def test_the_served_page_in_a_browser(self):
        driver, reason = browser()
        if not driver:
            self.skipTest(reason)
        (self.path / "tags.conll").write_text("Li B-PER\nBai I-PER\nsings O\n\n" * 20, encoding="utf-8")
        (self.path / "tags.json").write_text(
            '{"task": "tag", "data": {"train": "tags.conll", "dev": "tags.conll"}, "model": {"hidden": 8,'
            ' "embedding": 8}, "training": {"epochs": 8}, "output": {"dir": "tags"}}', encoding="utf-8")
        self.run_mnemo("train", "tags.json")
        models = [f"topics={SOURCE / 'tests/golden/models/version-1.safetensors'}", "tags=tags/model.safetensors",
                  "lm=run/model.safetensors", "translator=translator/model.safetensors"]
        with open(self.path / "serve.txt", "wb") as log:
            server = subprocess.Popen([MNEMO, "serve", *models, "--listen", "127.0.0.1:0"], cwd=self.path, stderr=log)
        try:
            found = None
            while not found and server.poll() is None:
                time.sleep(0.02)
                found = re.search(r"listening on (\S+)", (self.path / "serve.txt").read_text(encoding="utf-8"))
            driver.get(found.group(1) + "/")
            self.check_served(driver)
            width = driver.execute_script("return document.documentElement.scrollWidth")
            self.assertLessEqual(width, 390)  # a phone's
            errors = [entry["message"] for entry in driver.get_log("browser")
                      if "favicon" not in entry["message"] and "422" not in entry["message"]]
            self.assertEqual(errors, [])
        finally:
            driver.quit()
            server.terminate()
            self.assertEqual(server.wait(30), 0)

    def check_served(self, driver):
        from selenium.webdriver.common.by import By
        from selenium.webdriver.common.keys import Keys
        from selenium.webdriver.support.ui import Select, WebDriverWait

        def one(css):
            return driver.find_element(By.CSS_SELECTOR, css)

        def ask(index, text):
            Select(one("#choice")).select_by_index(index)
            one("#text").clear()
            one("#text").send_keys(text + Keys.CONTROL + Keys.ENTER)
            WebDriverWait(driver, 20).until(
                lambda _: one("#answer").get_attribute("aria-busy") == "false" and not one("#run").get_attribute(
                    "disabled"))
            return one("#answer")

        WebDriverWait(driver, 20).until(lambda _: one("#form").is_displayed())
        choices = [option.text for option in driver.find_elements(By.CSS_SELECTOR, "#choice option")]
        self.assertEqual(choices, ["topics · classify", "tags · tag", "lm · score", "lm · generate",
                                   "translator · translate", "translator · score"])
        answer = ask(0, "The team won <b>the</b> match")
        self.assertEqual(len(answer.find_elements(By.CSS_SELECTOR, ".bar")), 4)
        self.assertIn("The team won <b>the</b> match", answer.text)  # as text, not as HTML
        self.assertTrue(all("rgba" in unit.get_attribute("style")
                            for unit in answer.find_elements(By.CSS_SELECTOR, ".unit")))
        self.assertIn("curl ", one("#curl").text)
        self.assertIn("Most weight: ", answer.text)
        answer = ask(1, "Li Bai sings")
        self.assertIn("PER", answer.find_element(By.CSS_SELECTOR, "mark small").text)
        answer = ask(2, "a (bc d)").text
        self.assertIn("⏎", answer)
        self.assertIn("Least expected: ", answer)
        Select(one("#choice")).select_by_index(3)
        one("#form [name=length]").send_keys("20")
        self.assertTrue(ask(3, "a (").find_element(By.CSS_SELECTOR, ".poem").text.startswith("a ("))
        self.assertIn('"stream":true', one("#curl").text)
        self.assertGreater(len(ask(4, LINE).find_elements(By.CSS_SELECTOR, ".weights td")), 0)
        # An error is said, and goes with the next answer.
        ask(3, "ÿ")
        self.assertIn("does not know", one("#problem").text)
        ask(0, "a")
        self.assertFalse(one("#problem").is_displayed())
        self.check_named(driver)
        # In Chinese every option has a Chinese name, and everything works as before.
        one("#language").click()
        self.assertEqual((one("#run").text, one("html").get_attribute("lang")), ("运行", "zh"))
        for index in range(len(choices)):
            Select(one("#choice")).select_by_index(index)
            names = [span.get_attribute("textContent").strip()
                     for span in driver.find_elements(By.CSS_SELECTOR, "#text-label, #form [data-name]")]
            self.assertEqual([name for name in names if not re.search("[\u4e00-\u9fff]", name)], [])
        self.assertTrue(ask(3, "a (").find_element(By.CSS_SELECTOR, ".poem").text.startswith("a ("))
        self.check_named(driver)

    def check_named(self, driver):
        """What a screen reader is given: every control and region has a name."""
        nodes = driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        controls = [node for node in nodes if not node["ignored"] and node["role"]["value"] in
                    ("button", "checkbox", "combobox", "option", "region", "spinbutton", "textbox", "DisclosureTriangle")]
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
