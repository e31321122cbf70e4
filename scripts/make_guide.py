#!/usr/bin/env python3
"""Makes docs/inside.md, docs/inside.zh.md and their pictures from models that it trains.

    scripts/make_guide.py                   train, measure, draw and write
    scripts/make_guide.py --check           do so, but only tell which committed files differ
    scripts/make_guide.py --mnemo PROGRAM   with another program than build/release/mnemo

The texts are docs/inside/guide.en.md and guide.zh.md. In them {{NAME}} stands for a figure, {{table NAME}} for the
rows of a table, {{command NAME}} for the commands that made something, and {{picture NAME | DESCRIPTION}} for a picture
with its command. Everything else (data, models) goes to build/guide. The files are the same each time on one
instruction set; another one rounds differently.

Exit codes: 0 done, or nothing differs; 1 something differs or failed; 2 usage.
"""
import argparse
import html
import json
import pathlib
import random
import re
import shlex
import shutil
import subprocess
import sys
import textwrap

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
WORK = pathlib.Path("build/guide")
ENGLISH = "I cannot praise the nurses enough, they were gentle, cheerful and attentive."
CHINESE = "除了停车不太方便，其他都很完美，值得推荐。"
CHARACTERS = "--set text.unit=char --set text.lowercase=false"


class Guide:
    """Runs the program and keeps what the texts need: figures, tables, commands, and the files to be written."""

    def __init__(self, program):
        self.program = program
        self.values, self.tables, self.commands, self.files = {}, {}, {}, {}

    def run(self, command, name=None, given=None):
        """What the program prints; under `name` the texts show the command."""
        if name:
            self.commands.setdefault(name, []).append(f"mnemo {command}")
        print(f"mnemo {command}", file=sys.stderr)
        result = subprocess.run([self.program, *shlex.split(command), "--quiet"], cwd=ROOT, input=given, check=False,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8")
        if result.returncode != 0:
            sys.exit(f"make_guide.py: mnemo {command}: {result.stderr.strip()}")
        return result.stdout

    def measure(self, command, name=None):
        return json.loads(self.run(f"{command} -f json", name))

    def draw(self, name, command):
        self.files[f"inside/{name}.svg"] = self.run(f"{command} -f svg", name).rstrip("\n") + "\n"

    def train(self, name, options="", config="classifier", data="data/reviews-en"):
        self.run(f"train docs/inside/{config}.json --set data.dir={data} {options} -o {WORK}/{name}".replace("  ", " "),
                 name)
        return f"{WORK}/{name}/model.safetensors"

    def accuracy(self, name, data="data/reviews-en"):
        return self.measure(f"evaluate {WORK}/{name}/model.safetensors {data}/test.tsv", name)["metrics"]["accuracy"]

    def fill(self, template):
        """The text of a guide, with everything that stands for something replaced."""
        text = re.sub(r"\{\{(\S+?)\}\}", lambda m: self.values[m[1]], template)
        text = "\n\n".join(map(filled, text.split("\n\n")))
        text = re.sub(r"\{\{picture (\S+) \| (.*?)\}\}", lambda m: f"![{m[2]}](inside/{m[1]}.svg)\n\n"
                      + shown(self.commands[m[1]]), text)
        text = re.sub(r"\{\{command (\S+)\}\}", lambda m: shown(self.commands[m[1]]), text)
        return re.sub(r"\{\{table (\S+)\}\}", lambda m: "\n".join(self.tables[m[1]]), text).rstrip("\n") + "\n"


def filled(paragraph):
    """An English paragraph in lines of at most 120 characters, code in one piece; others as they are."""
    if paragraph.startswith((" ", "|", "#", "{{")) or re.search("[\u4e00-\u9fff][，。：；]", paragraph):
        return paragraph
    kept = re.sub("`.*?`", lambda m: m[0].replace(" ", "\0"), paragraph.replace("\n", " "))
    return textwrap.fill(kept, 120, break_long_words=False, break_on_hyphens=False).replace("\0", " ")


def shown(commands):
    """Commands as an indented block, broken before options so that lines stay short."""
    lines = []
    for command in commands:
        line = "   "
        for word in re.split(r" (?=-)", command):
            if line.strip() and len(line) + len(word) > 112:
                lines.append(line + " \\")
                line = "       "
            line += " " + word
        lines.append(line)
    return "\n".join(lines)


def row(*cells):
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def half_life(series):
    return f"{series['half_life']:.1f}" if series["half_life"] is not None else "–"


def liveliest(layer):
    """The unit whose output moves most over the sentence."""
    outputs = list(zip(*layer["values"]["h"]))
    return max(range(len(outputs)), key=lambda unit: max(outputs[unit]) - min(outputs[unit]))


def gates(guide, name, model, sentence):
    """Draws the liveliest unit's gates; figures of its first gate to forget with, and of its state, into the text."""
    command = f"inspect {model} --gates --text {shlex.quote(sentence)}"
    found = guide.measure(command)["networks"][0]
    layer, words = found["layers"][0], found["units"]
    unit = liveliest(layer)
    guide.draw(name, f"{command} --unit {unit}")
    guide.values[f"{name}.unit"] = str(unit)
    for gate, steps in layer["values"].items():
        moved = [step[unit] for step in steps]
        for end, value in (("low", min(moved)), ("high", max(moved)), ("last", moved[-1])):
            guide.values[f"{name}.{gate}.{end}"] = f"{value:.2f}"
            guide.values[f"{name}.{gate}.{end}.at"] = words[moved.index(value)]


def answer(guide, name, model, sentence):
    label = json.loads(guide.run(f"classify {model} --format jsonl", given=sentence + "\n"))["labels"][0]
    guide.values[f"{name}.label"] = label["label"]
    guide.values[f"{name}.probability"] = f"{100 * label['probability']:.0f}%"


def sentences(guide):
    """A classifier for each language, and what its cells do: sections 2, 4, 5, 6."""
    english = guide.train("english")
    chinese = guide.train("chinese", CHARACTERS, data="data/reviews-zh")
    gru = guide.train("gru", "--set model.cell=gru")
    both = guide.train("both", "--set model.bidirectional=true --set model.pooling=max")
    guide.values["english.accuracy"] = f"{100 * guide.accuracy('english'):.0f}%"
    guide.values["chinese.accuracy"] = f"{100 * guide.accuracy('chinese', 'data/reviews-zh'):.0f}%"
    for name, model, sentence in (("gates-en", english, ENGLISH), ("gates-zh", chinese, CHINESE),
                                  ("gates-gru", gru, ENGLISH), ("gates-both", both, ENGLISH)):
        gates(guide, name, model, sentence)
        answer(guide, name, model, sentence)
    for name, model, sentence in (("weights-en", english, ENGLISH), ("weights-zh", chinese, CHINESE)):
        command = f"inspect {model} --attribution integrated --text {shlex.quote(sentence)}"
        found = guide.measure(command)
        ranked = sorted(zip(found["weights"], found["units"]))
        guide.draw(name, command)
        guide.values.update({f"{name}.for": ranked[-1][1], f"{name}.for.weight": f"{ranked[-1][0]:+.2f}",
                             f"{name}.against": ranked[0][1], f"{name}.against.weight": f"{ranked[0][0]:+.2f}",
                             f"{name}.sum": f"{sum(found['weights']):.2f}",
                             f"{name}.difference": f"{found['value'] - found['baseline']:.2f}"})
    saturation(guide, english)
    brackets(guide)
    context(guide, english)


def saturation(guide, model):
    command = f"inspect {model} data/reviews-en/test.tsv --saturation"
    for gate in guide.measure(command)["gates"]:
        for side in ("below", "above"):
            guide.values[f"saturation.{gate['gate']}.{side}"] = f"{100 * sum(gate[side]) / len(gate[side]):.1f}%"
    guide.draw("saturation", command)


def context(guide, classifier):
    """How many words the classifier uses, and how many characters a language model of the same reviews."""
    folder = ROOT / WORK / "characters-data"
    folder.mkdir()
    for part in ("train", "test"):
        lines = (ROOT / f"data/reviews-en/{part}.tsv").read_text(encoding="utf-8").splitlines()
        (folder / f"{part}.txt").write_text("".join(line.split("\t")[1] + "\n" for line in lines), encoding="utf-8")
    model = guide.train("characters", config="characters", data=f"{WORK}/characters-data")
    command = f"inspect {model} {WORK}/characters-data/test.txt --context --longest 64"
    found = guide.measure(command)
    guide.draw("context", command)
    guide.tables["context"] = [row(loss["units"], f"{loss['loss']:.3f}", f"{loss['above']:+.3f}")
                               for loss in found["losses"]]
    guide.values["context.used"] = str(found["used"])
    found = guide.measure(f"inspect {classifier} data/reviews-en/test.tsv --context --longest 32", "context-words")
    guide.values["context.words"] = str(found["used"])


def bracketed(stream):
    """A line of random letters and blanks, some of them in brackets."""
    line, inside = "", False
    for _ in range(stream.randint(20, 60)):
        mark = stream.random() < (0.15 if inside else 0.1)
        line += ")" if mark and inside else "(" if mark else stream.choice("abcde ")
        inside = inside != mark
    return line + ")" * inside + "\n"


def brackets(guide):
    """A language model of lines with brackets, and the cell that knows whether it is inside."""
    folder, stream = ROOT / WORK / "brackets-data", random.Random(5)
    folder.mkdir()
    for part, lines in (("train", 4000), ("test", 400)):
        (folder / f"{part}.txt").write_text("".join(bracketed(stream) for _ in range(lines)), encoding="utf-8")
    model = guide.train("brackets", "--set model.hidden=32 --set training.learning_rate=0.01 --set training.epochs=6",
                        config="characters", data=f"{WORK}/brackets-data")
    command = f"inspect {model} {WORK}/brackets-data/test.txt --find brackets --places 6"
    found = guide.measure(command)
    first = found["units"][0]
    guide.values.update({"brackets.state": first["value"], "brackets.unit": str(first["unit"]),
                         "brackets.printed": f"{first['auc']:.4f}",
                         "brackets.auc": f"{max(first['auc'], 1 - first['auc']):.4f}",
                         "brackets.p": f"{first['p']:.3f}",
                         "brackets.named": str(found["found"]), "brackets.states": str(len(found["units"]))})
    guide.draw("brackets", command)


def gradients(guide):
    """Section 3: how far gradients reach back, by initialisation, before and after training, and what comes of it."""
    data = "data/reviews-zh/train.tsv"
    rows = []
    for start in ("uniform", "orthogonal"):
        model = guide.train(f"chinese-{start}", f"{CHARACTERS} --set model.initializer={start}", data="data/reviews-zh")
        command = f"inspect {model} {data} --gradient-flow --beside rnn,gru,lstm --longest 30"
        found = guide.measure(f"{command} --epochs 10", "half-lives")["networks"]
        guide.draw(f"gradients-{start}", command)
        of = {(series["model"], series["state"]): series for series in found}
        for cell in ("rnn", "gru", "lstm"):
            cells = []
            for when in ("at initialisation", "trained"):
                series = of[f"{cell} {when}", "h"]
                cells += [half_life(series), f"{series['median'][20]:.1g}"]
                key = f"{start}.{cell}.{when.split()[-1]}"
                guide.values[key], guide.values[f"{key}.20"] = cells[-2:]
                if cell == "lstm":
                    guide.values[f"{key}.state"] = half_life(of[f"{cell} {when}", "c"])
            rows.append(row(f"`{start}`", cell, *cells))
    guide.tables["half-lives"] = rows
    guide.tables["biases"] = []
    for bias in ("0", "1", "2", "chrono"):
        options = f"--set model.forget_bias={bias}" + (" --set model.forget_range=30" if bias == "chrono" else "")
        model = guide.train(f"bias-{bias}", f"{CHARACTERS} {options} --set training.epochs=1", data="data/reviews-zh")
        if bias == "chrono":
            guide.commands["biases"] = list(guide.commands["bias-chrono"])
        found = guide.measure(f"inspect {model} {data} --gradient-flow --beside lstm --longest 30",
                              "biases" if bias == "chrono" else None)["networks"]
        states = {series["state"]: series for series in found if series["model"].endswith("initialisation")}
        guide.tables["biases"].append(row(f"`{bias}`", *(cell for state in "hc" for cell in (
            half_life(states[state]), f"{states[state]['median'][20]:.1g}"))))
    guide.tables["seeds"] = []
    for cell in ("lstm", "gru", "rnn"):
        scores = []
        for seed in range(1, 6):
            guide.train(f"seeds-{cell}-{seed}", f"--set model.cell={cell} --set training.seed={seed}")
            scores.append(guide.accuracy(f"seeds-{cell}-{seed}"))
        guide.values[f"seeds.{cell}"] = f"{100 * sum(scores) / len(scores):.0f}%"
        guide.tables["seeds"].append(row(cell, *(f"{100 * score:.0f}" for score in scores),
                                         guide.values[f"seeds.{cell}"]))


def remember(guide, name, options):
    """A run of bench memory as rows of a table."""
    found = guide.measure(f"bench memory {options}", name)["runs"]
    groups = {}
    for run in found:
        groups.setdefault((run["problem"], run["length"], run["cell"]), []).append(run)
    guide.tables[name] = []
    for (problem, length, cell), runs in groups.items():
        solved = [run["solved"] for run in runs if run["solved"] is not None]
        losses = sorted(run["loss_over_baseline"] for run in runs)
        guide.values[f"{name}.{problem}.{length}.{cell}"] = str(len(solved))
        guide.tables[name].append(row(problem, length, cell, f"{len(solved)} / {len(runs)}",
                                      " ".join("–" if run["solved"] is None else str(run["solved"]) for run in runs),
                                      f"{losses[len(losses) // 2]:.4f}"))


def costs(guide):
    """Weights of a layer by cell: the recurrent tensors of models that differ in nothing else."""
    guide.tables["costs"] = []
    for cell, gates_of in (("rnn", 1), ("min_gru", 2), ("gru", 3), ("cifg_lstm", 3), ("min_lstm", 3), ("lstm", 4),
                           ("peephole_lstm", 4)):
        model = guide.train(f"cost-{cell}", f"--set model.cell={cell} --set training.epochs=1")
        tensors = guide.measure(f"inspect {model}", f"cost-{cell}")["tensors"]
        weights = sum(tensor["bytes"] // 4 for tensor in tensors if tensor["name"].startswith("rnn."))
        guide.tables["costs"].append(row(cell, gates_of, weights))


def phrase(stream, nouns, article, ending):
    """An article, up to two adjectives and a noun, as pairs of English and German words."""
    known = "old:alt small:klein young:jung new:neu beautiful:schön good:gut strange:fremd big:groß".split()
    adjectives = stream.sample(known, stream.choice((0, 0, 1, 1, 2)))
    pairs = [("the", article)] + [tuple((word + ending).split(":")) for word in adjectives]
    return pairs + [tuple(stream.choice(nouns.split()).split(":"))]


def clause(stream):
    """Pairs of words in English order, and in German order: the adverb first, the infinitive last."""
    subject = phrase(stream, "man:Mann boy:Junge friend:Freund teacher:Lehrer baker:Bäcker doctor:Arzt", "der", "e")
    thing = phrase(stream, "dog:Hund table:Tisch tree:Baum apple:Apfel letter:Brief garden:Garten coat:Mantel "
                   "key:Schlüssel", "den", "en")
    modal, verb, adverb = (tuple(stream.choice(words.split()).split(":")) for words in (
        "must:muss can:kann may:darf should:soll",
        "see:sehen find:finden paint:malen sell:verkaufen buy:kaufen describe:beschreiben draw:zeichnen",
        "today:heute tomorrow:morgen now:jetzt here:hier often:oft soon:bald"))
    return subject + [modal, verb] + thing + [adverb], [adverb, modal] + subject + thing + [verb]


def made_up_pairs(folder):
    """Writes 6400 made-up pairs of one or two clauses in three parts."""
    stream, pairs = random.Random(1), {}
    while len(pairs) < 6400:
        clauses = [clause(stream) for _ in range(stream.choice((1, 2)))]
        source = " and ".join(" ".join(word for word, _ in english) for english, _ in clauses)
        pairs[f"{source} ."] = " und ".join(" ".join(word for _, word in german) for _, german in clauses) + " ."
    folder.mkdir()
    parts = {"train": slice(0, 6000), "dev": slice(6000, 6200), "test": slice(6200, 6400)}
    for part, of in parts.items():
        for language, texts in (("en", list(pairs)), ("de", list(pairs.values()))):
            (folder / f"{part}.{language}").write_text("\n".join(texts[of]) + "\n", encoding="utf-8")


def attention(guide):
    """Section 7: a translator of made-up sentences, and where it looks."""
    data = WORK / "pairs"
    made_up_pairs(ROOT / data)
    model = guide.train("translator", config="translator", data=data)
    metrics = guide.measure(f"evaluate {model} {data}/test.en,{data}/test.de", "translator")["metrics"]
    guide.values["translator.bleu"] = f"{metrics['bleu']:.1f}"
    lines = guide.run(f"translate {model} {data}/test.en --format jsonl", "attention").splitlines()
    expected = (ROOT / data / "test.de").read_text(encoding="utf-8").splitlines()
    right = [found for found, text in zip(map(json.loads, lines), expected) if found["text"] == text]
    guide.values.update({"translator.right": str(len(right)), "translator.all": str(len(expected))})
    # A short one with an adjective: the first such in the file.
    found = next(each for each in right if len(each["tokens"]) in (9, 10))
    guide.values.update({"attention.source": " ".join(found["source_tokens"]), "attention.target": found["text"]})
    guide.files["inside/attention.svg"] = matrix(found["source_tokens"], found["tokens"], found["attention"])


def matrix(columns, rows, weights):
    """A matrix of weights from 0 to 1 as a picture in the program's colours."""
    cell, left, top = 36, 96, 78
    width, height = left + cell * len(columns) + 40, top + cell * len(rows) + 8
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="Attention" viewBox="0 0 {width} {height}" '
           f'width="{width}" height="{height}" font-size="12" font-family="sans-serif" fill="currentColor"><style>svg '
           '{ color: #222; background: #fff } @media (prefers-color-scheme: dark) { svg { color: #e4e4e4; background: '
           '#16181c } }</style>']
    for x, word in enumerate(columns):
        out.append(f'<text transform="translate({left + cell * x + 20} {top - 8}) rotate(-50)">{html.escape(word)}'
                   '</text>')
    for y, (word, line) in enumerate(zip(rows, weights)):
        out.append(f'<text x="{left - 8}" y="{top + cell * y + 22}" text-anchor="end">{html.escape(word)}</text>')
        for x, weight in enumerate(line):
            out.append(f'<rect x="{left + cell * x}" y="{top + cell * y}" width="{cell - 1}" height="{cell - 1}" '
                       f'fill="#0072b2" fill-opacity="{0.04 + 0.96 * weight:.2f}"><title>{weight:.2f}</title></rect>')
    return "\n".join(out + ["</svg>"]) + "\n"


def make(guide):
    shutil.rmtree(ROOT / WORK, ignore_errors=True)
    (ROOT / WORK).mkdir(parents=True)
    sentences(guide)
    gradients(guide)
    remember(guide, "order", "--cell lstm --cell gru --cell rnn --lengths 30,70,100 --seeds 5 --steps 3000")
    remember(guide, "chrono", "--cell lstm --cell gru --lengths 100,500 --seeds 5 --steps 3000 --forget-bias chrono")
    remember(guide, "hard", "--problem copy --problem parity --cell lstm --cell gru --lengths 4,10,20 --seeds 3 "
             "--steps 2000 --forget-bias chrono")
    costs(guide)
    attention(guide)
    for name, template in (("inside.md", "guide.en.md"), ("inside.zh.md", "guide.zh.md")):
        guide.files[name] = guide.fill((DOCS / "inside" / template).read_text(encoding="utf-8"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnemo", default="build/release/mnemo", help="the program")
    parser.add_argument("--check", action="store_true", help="write nothing; tell which files differ")
    arguments = parser.parse_args()
    program = pathlib.Path(arguments.mnemo).resolve()
    if not program.is_file():
        parser.error(f"{arguments.mnemo}: no such program; build it or name it by --mnemo")
    guide = Guide(str(program))
    make(guide)
    differing = [name for name, text in guide.files.items()
                 if not (DOCS / name).is_file() or (DOCS / name).read_text(encoding="utf-8") != text]
    stale = [path.name for path in (DOCS / "inside").glob("*.svg") if f"inside/{path.name}" not in guide.files]
    for name in differing:
        print(f"docs/{name}: differs" if arguments.check else f"docs/{name}: written")
        if not arguments.check:
            (DOCS / name).write_text(guide.files[name], encoding="utf-8")
    for name in stale:
        print(f"docs/inside/{name}: nothing makes it")
    return 1 if arguments.check and (differing or stale) else 0


if __name__ == "__main__":
    sys.exit(main())
