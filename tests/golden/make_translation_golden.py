#!/usr/bin/env python3
"""Writes translation.json: sacrebleu's tokens, counts and scores of lines written here, for
translation_metrics_test.cc to compare with.

Needs sacrebleu from PyPI (made with 2.6.0). README.md beside this file describes the content.
"""
import json
import pathlib
import random

import sacrebleu
from sacrebleu.metrics import BLEU, CHRF

TOKENIZERS = ["13a", "none", "char", "zh"]

LINES = [
    "",
    " ",
    "\t \u00a0\u3000",
    "Hello, world!",
    "It cost 1,000.5 dollars, i.e. 1,000 or so.",
    "1.5 .5 5. 5, ,5 a.5 5.a a,b 1,a a,1 .",
    ".5 begins, it ends with 5.",
    "Wait... what?! No.. well,, yes., or.,no.",
    "..", "...", "....", ".....", ",.,.", "a..b", "1..2", "1...2", "a.1.b", "1.a.2",
    "a well-known 3-year-old, 10-20, 7-, -7, 1--2, 5-\u00e4, 2-x-3",
    "-", "--", "3-", "-3",
    "\u201cCurly\u201d and \"straight\" \u2018quotes\u2019, l'homme, rock'n'roll 'single'",
    "&quot;Tom &amp; Jerry&quot; &lt;b&gt; &apos; &amp;lt; &amp;quot; &amp;amp; & &amp",
    "a <skipped> b<skipped>c <ski<skipped>pped> <SKIPPED>",
    "word-\nbreak and\nlines -\n\n",
    "-\n", "a-\n<skipped>", "a\n.\n5",
    "(brackets) [square] {curly} <angle> a/b a\\b ~x~ `y` ^z^ x_y @home #tag $5 50% a+b=c 2*3; x:y |",
    "https://example.org/a.b?c=d&e=f someone@example.org",
    "no\u00a0break\u00a0space, narrow\u202fone, thin\u2009one, en\u2002one, math\u205fone, ogham\u1680one, "
    "zero\u200bwidth, joined\u2060word \ufeffmark",
    "\u3000ideographic\u3000space\u3000", "\u30005.\u3000", "5.\u00a0",
    "tabs\tand\u000bfeeds\u000cand\u001cfile\u001dgroup\u001erecord\u001funit\u0085next\u2028line\u2029paragraph",
    "control\u0000zero\u0001one\u007fdelete",
    "\u6211\u4eec\u53bb\u4e86\u5317\u4eac\u3002",
    "\u4ed6\u8bf4\uff1a\u201c\u4f60\u597d\uff0c\u4e16\u754c\uff01\u201d\uff08\u7b2c3.5\u7ae0\uff09\u2026\u2026",
    "iPhone 15\u57282023\u5e749\u670812\u65e5\u53d1\u5e03,\u552e\u4ef7$799.00,\u4e0d\u8d35.",
    "GDP\u589e\u957f5.2%-6.1%\uff0c\u7ea6\u4e3a1,260,000\u4ebf\u5143\uff1b"
    "\u8be6\u89c1https://example.org/\u6570\u636e\u3002",
    "\uff11\uff12\uff13\uff0e\uff15\uff21\uff22\uff23\uff5e\uff65\uffe5",
    "\u6771\u4eac\u3067\u30e9\u30fc\u30e1\u30f3\u3092\u98df\u3079\u307e\u3057\u305f\u3002"
    "\u300c\u7f8e\u5473\u3057\u3044\uff01\u300d\uff76\uff9e",
    "\uc11c\uc6b8\uc5d0 \uac14\uc2b5\ub2c8\ub2e4. \u1112\u1161\u11ab",
    "emoji \U0001f600\U0001f600 \U0001f469\u200d\U0001f680 \U0001f1e9\U0001f1ea \u2600\ufe0f\u2764.\U0001f600.",
    "\U00020000\U0002a6d6\U0002f800\U0002fa1d rare ideographs",
    "edges \u2000\u2001\u2a6d\u2a6e\u2e7f\u2e80\u2fdf\u2fe0\u2fef\u2ff0\u303f\u3040\u30ff\u3100\u312f\u3130"
    "\u319f\u31a0\u31ef\u31f0\u31ff\u3200\u4db5\u4db6\u4dff\u4e00\u9fbb\u9fbc\uf8ff\uf900\ufa2d\ufa2e\ufa2f\ufa30"
    "\ufa6a\ufa6b\ufa6f\ufa70\ufad9\ufada\ufe0f\ufe10\ufe1f\ufe20\ufe2f\ufe30\ufe4f\ufe50\ufeff\uff00\uffef\ufff0x",
    "cafe\u0301 caf\u00e9 na\u00efve stra\u00dfe. \u041c\u043e\u0441\u043a\u0432\u0430, "
    "\u0391\u03b8\u03ae\u03bd\u03b1; \u0645\u0631\u062d\u0628\u0627\u060c \u0663\u066b\u0665.",
]

SENTENCES = [
    ("the cat is on the mat", "there is a cat on the mat"),
    ("the the the the the the the", "the cat is on the mat"),
    ("A man, about 40 years old, rides a well-known 3-speed bike.", "A 40-year-old man rides a well known bike."),
    ("It cost 1,000.50 dollars!", "It cost $1,000.5 dollars."),
    ("Two dogs play in the snow.", "Two dogs play in the snow."),
    ("Two dogs", "Two dogs are playing with a red ball in the deep snow ."),
    ("no match whatsoever", "xyz 123"),
    ("", "something is missing"),
    ("something is superfluous", ""),
    ("", ""),
    ("yes", "yes"),
    ("yes", "no"),
    ("ab", "abc"),
    ("\u6211\u4eec\u6628\u5929\u53bb\u4e86\u5317\u4eac\uff0c\u5929\u6c14\u5f88\u597d\u3002",
     "\u6628\u5929\u6211\u4eec\u53bb\u5317\u4eac\u4e86\uff0c\u5929\u6c14\u975e\u5e38\u597d\u3002"),
    ("iPhone 15\u7684\u4ef7\u683c\u662f799\u7f8e\u5143.", "iPhone 15 \u552e\u4ef7 799.00 \u7f8e\u5143\u3002"),
    ("\u6771\u4eac\u306b\u884c\u304d\u307e\u3057\u305f\u3002", "\u6771\u4eac\u3078\u884c\u3063\u305f\u3002"),
    ("&quot;Hi&quot; \U0001f600", "\"Hi\" \U0001f600\U0001f680"),
    ("one\u00a0two\u3000three\tfour five", "one two three four six"),
]

CORPORA = {
    "all": SENTENCES,
    "equal": [(reference, reference) for _, reference in SENTENCES],
    "no match": [("aa bb cc dd ee", "ff gg hh ii jj"), ("kk", "ll mm")],
    "single words": [("yes", "yes"), ("no", "yes"), ("maybe", "maybe")],
    "three words": [("one two three", "one two three"), ("four five six", "four five seven")],
    "short": [("the cat is on the mat", "the cat is on the mat and it sleeps there all day"), ("", "so it does")],
    "empty hypotheses": [("", "one two three four"), ("", "five")],
    "empty references": [("one two three four", ""), ("five", "")],
    "empty": [("", "")],
    "only single words match": [("a x b y c z d", "a b c d e f g")],
    "two precisions of zero": [("a b x y c d z", "b a c x d c")],
}


def shuffled_corpora():
    """Hypotheses that are their references with words dropped, doubled, exchanged, moved."""
    rng = random.Random(20261128)
    words = [f"{a}{b}" for a in "bdfgk" for b in "aeiou"] + [",", ".", "3.5", "10-12", "\u4e2d\u6587", "na\u00efve"]
    for number in range(6):
        pairs = []
        for _ in range(12):
            reference = rng.choices(words, k=rng.randrange(1, 40))
            hypothesis = []
            for word in reference:
                hypothesis += rng.choices([[word], [], [word, word], [rng.choice(words)]], [8 - number, 1, 1, 1])[0]
            cut = rng.randrange(len(hypothesis) + 1)
            if rng.random() < 0.5:
                hypothesis = hypothesis[cut:] + hypothesis[:cut]
            pairs.append((" ".join(hypothesis), " ".join(reference)))
        yield f"random {number}", pairs


def bleu_case(pairs, tokenizer):
    metric, sentence = BLEU(tokenize=tokenizer), BLEU(tokenize=tokenizer, effective_order=True)
    score = metric.corpus_score([h for h, _ in pairs], [[r for _, r in pairs]])
    return {"tokens": tokenizer, "score": score.score, "correct": score.counts, "total": score.totals,
            "lengths": [score.sys_len, score.ref_len], "precisions": score.precisions, "brevity_penalty": score.bp,
            "sentences": [sentence.sentence_score(h, [r]).score for h, r in pairs],
            "signature": metric.get_signature().format()}


def chrf_case(pairs):
    metric = CHRF()
    hypotheses, references = [h for h, _ in pairs], [[r for _, r in pairs]]
    sums = [sum(column) for column in zip(*metric._extract_corpus_statistics(hypotheses, references))]
    return {"score": metric.corpus_score(hypotheses, references).score, "hypothesis": sums[0::3],
            "reference": sums[1::3], "matched": sums[2::3],
            "sentences": [metric.sentence_score(h, [r]).score for h, r in pairs],
            "signature": metric.get_signature().format()}


def main():
    metrics = {name: BLEU(tokenize=name) for name in TOKENIZERS}
    lines = [{"line": line} | {name: metric._preprocess_segment(line).split() for name, metric in metrics.items()}
             for line in LINES]
    corpora = [{"name": name, "hypotheses": [h for h, _ in pairs], "references": [r for _, r in pairs],
                "bleu": [bleu_case(pairs, tokenizer) for tokenizer in TOKENIZERS], "chrf": chrf_case(pairs)}
               for name, pairs in [*CORPORA.items(), *shuffled_corpora()]]
    parts = [f'"producer": "sacrebleu {sacrebleu.__version__}"']
    for key, entries in [("lines", lines), ("corpora", corpora)]:
        parts.append(f'"{key}": [\n' + ",\n".join(json.dumps(entry, allow_nan=False) for entry in entries) + "\n]")
    pathlib.Path(__file__).with_name("translation.json").write_text("{\n" + ",\n".join(parts) + "\n}\n")


if __name__ == "__main__":
    main()
