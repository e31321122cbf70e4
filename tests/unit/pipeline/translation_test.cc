// Translators with random weights, so that nothing has to be trained: what they answer is nonsense, but must be the
// same nonsense however it is asked for.
#include "pipeline/translation.h"

#include <cmath>
#include <numeric>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/random.h"
#include "config/options.h"
#include "models/translation_steps.h"
#include "tests/catch.h"
#include "tests/temporary_folder.h"
#include "text/utf8.h"

using namespace mnemo;

namespace {

const std::vector<std::string> kSources{"ein Hund läuft", "zwei Katzen schlafen im Haus", "ein Haus", "Hunde",
                                        "die Katze läuft  im Schnee und schläft"};
const std::vector<std::string> kTargets{"a dog runs", "two cats sleep in the house", "a house", "dogs",
                                        "the cat runs in the snow and sleeps"};

// A vocabulary of lines, with the end.
Vocabulary vocabulary_from(const std::vector<std::string>& lines, const std::string& unit, bool more) {
  const Tokenizer tokenizer({.unit = *unit_from_name(unit)});
  VocabularyBuilder builder;
  Tokens tokens;
  for (const std::string& line : lines) {
    tokenizer.tokenize(line, tokens);
    for (std::size_t i = 0; i < tokens.size(); ++i) builder.add(tokens.text(i), 3);
  }
  if (more) builder.add(TextTranslator::kEnd, 9);
  return unit == "subword" ? builder.build_subwords(40, 1, 0) : builder.build(1, 0);
}

struct Translates {
  explicit Translates(const std::string& unit, const std::string& model = "", const std::string& text = "",
                      int seed = 5) {
    config = parse_config(R"({"task": "translate", "text": {"unit": ")" + unit + "\"" + text +
                              R"(}, "model": {"embedding": 8, "hidden": 8, "embedding_deviation": 1)" + model +
                              R"(}, "training": {"seed": )" + std::to_string(seed) + "}}",
                          "test");
    const std::string target = config.text.target_unit.empty() ? unit : config.text.target_unit;
    translator = std::make_unique<TextTranslator>(config, vocabulary_from(kSources, unit, false),
                                                  vocabulary_from(kTargets, target, true));
    // Sharper than at the start of a training, and with an end that comes early enough.
    translator->network().visit([](Parameter& p) {
      for (Index i = 0; i < p.size(); ++i) p.value[i] *= 2.0f;
    });
    translator->network().weights_changed();
    ThreadPool pool(1);
    translator->prepare(pool);
  }
  const TextTranslator& model() const { return *translator; }

  Config config;
  std::unique_ptr<TextTranslator> translator;
};

std::vector<std::string> some_lines() {
  std::vector<std::string> out = kSources;
  out.emplace_back();
  out.emplace_back("Katze Katze Katze Katze Katze Katze Katze Katze Katze Katze Katze Katze Katze Katze Katze Katze");
  out.emplace_back("unbekannte Wörter 好");
  for (int i = 0; i < 20; ++i) out.push_back(kSources[static_cast<std::size_t>(i) % kSources.size()] + " Haus");
  return out;
}

bool same(const Translation& a, const Translation& b) {
  return a.text == b.text && a.units == b.units && a.log_probability == b.log_probability && a.score == b.score &&
         a.attention == b.attention && a.places == b.places && a.source_places == b.source_places;
}

const std::vector<std::string> kVariants{"", R"(, "input_feeding": true)",
                                         R"(, "decoder_layers": 1, "heads": 2, "attention": "additive")",
                                         R"(, "cell": "gru", "layers": 2, "decoder_layers": 3, "tied": false)"};

}  // namespace

TEST_CASE("a line's translation is the same alone, in any batch and for any number of threads") {
  const std::vector<std::string> lines = some_lines();
  ThreadPool alone(1);
  for (const std::string& variant : kVariants) {
    const Translates f("subword", variant);
    for (const std::int64_t beam : {1, 5}) {
      TranslationOptions options;
      options.beam = beam;
      options.nbest = beam == 5 ? 3 : 1;
      options.coverage_penalty = beam == 5 ? 0.2 : 0;
      std::vector<std::vector<Translation>> expected;
      std::ptrdiff_t most = 0;
      for (const std::string& line : lines) {
        expected.push_back(std::move(translate(f.model(), std::vector{line}, options, alone)[0]));
        CHECK(std::ssize(expected.back()) <= (line.empty() ? 1 : options.nbest));
        std::set<std::string> texts;
        for (const Translation& one : expected.back()) CHECK(texts.insert(one.text).second);
        most = std::max(most, std::ssize(expected.back()));
      }
      CHECK(most == options.nbest);
      CHECK(expected[0][0].text != expected[1][0].text);
      for (const int threads : {1, 2, 3, 7}) {
        ThreadPool pool(threads);
        const auto found = translate(f.model(), lines, options, pool);
        REQUIRE(found.size() == lines.size());
        for (std::size_t i = 0; i < lines.size(); ++i) {
          REQUIRE(found[i].size() == expected[i].size());
          for (std::size_t k = 0; k < found[i].size(); ++k) CHECK(same(found[i][k], expected[i][k]));
        }
      }
    }
  }
}

TEST_CASE("a narrow translator's answers do not depend on the batch either") {
  const Translates f("subword", R"(, "input_feeding": true)");
  ThreadPool alone(1), seven(7);
  f.translator->quantize(kernels::Precision::kInt8, alone);
  f.translator->prepare(alone);
  const std::vector<std::string> lines = some_lines();
  for (const std::int64_t beam : {1, 5}) {
    TranslationOptions options;
    options.beam = beam;
    const auto found = translate(f.model(), lines, options, seven);
    for (std::size_t i = 0; i < lines.size(); ++i)
      CHECK(same(found[i][0], translate(f.model(), std::vector{lines[i]}, options, alone)[0][0]));
  }
}

TEST_CASE("a sample depends on the seed and the number of its line alone") {
  const Translates f("subword");
  ThreadPool alone(1), three(3);
  TranslationOptions options;
  options.sampling = SamplingOptions{};
  options.seed = 8;
  const std::vector<std::string> lines(6, kSources[1]);
  const auto all = translate(f.model(), lines, options, three);
  for (std::size_t i = 0; i < lines.size(); ++i)
    CHECK(same(all[i][0],
               translate(f.model(), std::vector{lines[i]}, options, alone, static_cast<std::int64_t>(i))[0][0]));
  CHECK_FALSE(same(all[0][0], all[1][0]));
  options.seed = 9;
  CHECK_FALSE(same(all[0][0], translate(f.model(), lines, options, three)[0][0]));
}

TEST_CASE("the limits of length follow the units that train had on each side") {
  const Translates f("char");
  ThreadPool pool(1);
  const std::string line(30, 'a');
  TranslationOptions options;
  options.longest = options.shortest = 1;
  for (const double ratio : {0.1, 1.0, 4.0}) {
    f.translator->length_ratio = ratio;
    const auto units = std::ssize(translate(f.model(), std::vector{line}, options, pool)[0][0].units);
    CHECK(units >= static_cast<std::ptrdiff_t>(30 * ratio));
    CHECK(units <= static_cast<std::ptrdiff_t>(30 * ratio) + TranslationOptions::kMoreUnits);
  }
}

TEST_CASE("a translation's log p is that of the pair, and its attention sums to one") {
  ThreadPool pool(2);
  for (const std::string unit : {"subword", "char", "grapheme", "word"})
    for (const std::string& variant : kVariants) {
      const Translates f(unit, variant);
      for (const bool sampled : {false, true}) {
        TranslationOptions options;
        if (sampled) options.sampling = SamplingOptions{.temperature = 1.5};
        const auto found = translate(f.model(), kSources, options, pool);
        std::vector<EncodedPair> pairs;
        std::vector<const Translation*> all;
        Tokens tokens;
        for (std::size_t i = 0; i < kSources.size(); ++i) {
          const Translation& one = found[i][0];
          EncodedPair& pair = pairs.emplace_back();
          f.model().encode_source(kSources[i], tokens, pair.source);
          pair.target = one.units;
          const auto limit = 2.0 * static_cast<double>(pair.source.size()) * f.model().length_ratio;
          const auto most = static_cast<std::size_t>(limit) + TranslationOptions::kMoreUnits;
          REQUIRE(one.units.size() <= most);
          // One that was cut off has no end.
          if (one.units.size() < most) pair.target.push_back(f.model().end());
          all.push_back(&one);
        }
        Workspace workspace(pool);
        const auto log_p = f.model().log_probabilities(pairs, workspace);
        for (std::size_t i = 0; i < all.size(); ++i) {
          CHECK(all[i]->log_probability ==
                Approx(std::accumulate(log_p[i].begin(), log_p[i].end(), 0.0)).epsilon(1e-4).margin(1e-4));
          REQUIRE(all[i]->attention.size() == all[i]->units.size());
          REQUIRE(all[i]->source_units.size() == pairs[i].source.size());
          REQUIRE(all[i]->source_places.size() == pairs[i].source.size());
          for (const auto& row : all[i]->attention) {
            const std::vector<float> shares = row.shares();
            REQUIRE(shares.size() == pairs[i].source.size());
            CHECK(std::accumulate(shares.begin(), shares.end(), 0.0) ==
                  Approx(1.0).epsilon(1e-3));  // without the least shares
          }
        }
      }
    }
}

TEST_CASE("steps give the bits of the whole sequence, also after hypotheses changed places") {
  ThreadPool pool(1);
  for (const std::string& variant : kVariants) {
    Translates f("word", variant);
    const Translator& network = f.model().network();
    std::vector<EncodedPair> pairs;
    for (std::size_t i = 0; i < 3; ++i) pairs.push_back(f.model().encode(kSources[i], kTargets[i]));
    Arena arena, other;
    Tape tape(pool, arena, Tape::Mode::kInference);
    std::vector<std::span<const std::int32_t>> sources;
    for (const EncodedPair& pair : pairs) sources.emplace_back(pair.source);
    TranslationSteps steps(network, tape, sources);
    // Which pair each hypothesis is of.
    std::vector<Index> of{0, 1, 2};
    const std::vector<std::vector<Index>> changes{{0, 1, 2}, {2, 1, 0, 0}, {3, 1, 0, 0, 2}, {0, 4, 1}, {2, 2, 1}};
    for (std::size_t t = 0; t < changes.size(); ++t) {
      std::vector<std::int32_t> units;
      for (const Index pair : of) {
        const auto& target = pairs[static_cast<std::size_t>(pair)].target;
        units.push_back(t == 0 ? f.model().end() : target[(t - 1) % target.size()]);
      }
      steps.step(units);
      for (std::size_t b = 0; b < of.size(); ++b) {
        const auto& pair = pairs[static_cast<std::size_t>(of[b])];
        std::vector<std::int32_t> target;
        for (std::size_t i = 0; i < t; ++i) target.push_back(pair.target[i % pair.target.size()]);
        target.push_back(f.model().end());
        other.reset();
        Tape whole(pool, other, Tape::Mode::kInference);
        const std::vector<std::span<const std::int32_t>> one_source{pair.source}, one_target{target};
        const auto batch = network.batch(one_source, one_target, f.model().end(), false, 0, 0);
        const Activation v = network.forward(whole, batch);
        REQUIRE(v.rows == static_cast<Index>(t) + 1);
        std::vector<float> expected(static_cast<std::size_t>(network.options().target_units));
        network.output().scores(1, v.value + static_cast<Index>(t) * v.columns, expected.data());
        const auto found = steps.scores(static_cast<Index>(b));
        REQUIRE(found.size() == expected.size());
        CHECK(std::ranges::equal(found, expected));
        CHECK(steps.source_length(static_cast<Index>(b)) == std::ssize(pair.source));
      }
      if (t + 1 == changes.size()) break;
      steps.select(changes[t + 1]);
      std::vector<Index> next;
      for (const Index from : changes[t + 1]) next.push_back(of[static_cast<std::size_t>(from)]);
      of = next;
    }
  }
}

TEST_CASE("a line without units has the empty translation") {
  ThreadPool pool(2);
  for (const std::string unit : {"word", "char", "subword"}) {
    const Translates f(unit);
    for (const auto& lines : {std::vector<std::string>{""}, std::vector<std::string>{"", "", ""},
                              std::vector<std::string>{"ein", "", "im"}}) {
      TranslationOptions options;
      options.nbest = 2;
      const auto found = translate(f.model(), lines, options, pool);
      REQUIRE(found.size() == lines.size());
      for (std::size_t i = 0; i < lines.size(); ++i) {
        if (!lines[i].empty()) continue;
        REQUIRE(found[i].size() == 1);
        CHECK(found[i][0].text.empty());
        CHECK(found[i][0].units.empty());
        CHECK(found[i][0].log_probability == 0.0);
      }
    }
    CHECK(translate(f.model(), {}, {}, pool).empty());
  }
  // Words have no units in blanks.
  CHECK(translate(Translates("word").model(), std::vector<std::string>{"  \t"}, {}, pool)[0][0].text.empty());
}

TEST_CASE("a line of thousands of units is translated to a length within the limits") {
  ThreadPool pool(2);
  const Translates f("word", R"(, "decoder_layers": 1)");
  std::string line;
  for (int i = 0; i < 3000; ++i) line += i % 2 ? "Hund " : "im ";
  TranslationOptions options;
  options.beam = 2;
  options.longest = 0.1;
  options.attention = false;
  const auto found = translate(f.model(), std::vector<std::string>{"ein Haus", line, "Hunde"}, options, pool);
  CHECK(found[1][0].units.size() <= 310);
  CHECK(std::isfinite(found[1][0].log_probability));
  for (const std::size_t i : {0, 2})
    CHECK(same(found[i][0],
               translate(f.model(), std::vector<std::string>{i == 0 ? "ein Haus" : "Hunde"}, options, pool)[0][0]));
}

TEST_CASE("attention that nobody asks for is not kept, and changes nothing") {
  ThreadPool pool(1);
  const Translates f("subword");
  TranslationOptions with, without;
  without.attention = false;
  with.coverage_penalty = without.coverage_penalty = 0.3;
  const auto a = translate(f.model(), kSources, with, pool), b = translate(f.model(), kSources, without, pool);
  for (std::size_t i = 0; i < kSources.size(); ++i) {
    CHECK(b[i][0].attention.empty());
    CHECK(b[i][0].text == a[i][0].text);
    CHECK(b[i][0].score == a[i][0].score);
    CHECK(b[i][0].source_units == a[i][0].source_units);
  }
}

TEST_CASE("the limits of length hold") {
  ThreadPool pool(1);
  for (int seed = 1; seed < 4; ++seed) {
    const Translates f("word", "", "", seed);
    for (const std::int64_t beam : {1, 4}) {
      TranslationOptions options;
      options.beam = beam;
      options.shortest = 3;
      options.longest = 4;
      for (std::size_t i = 0; i < kSources.size(); ++i) {
        const auto found = translate(f.model(), std::vector{kSources[i]}, options, pool)[0][0];
        const auto n = static_cast<std::size_t>(std::ssize(found.source_units));
        CHECK(found.units.size() >= 3 * n);
        CHECK(found.units.size() <= 4 * n + 10);
      }
    }
  }
}

TEST_CASE("a translation is one line, whatever bytes are drawn") {
  ThreadPool pool(2);
  const Translates f("subword");
  TranslationOptions options;
  options.sampling = SamplingOptions{.temperature = 50};
  options.longest = 20;
  const std::vector<std::string> lines(60, kSources[1]);
  const auto found = translate(f.model(), lines, options, pool);
  std::size_t bytes = 0;
  for (const auto& one : found) {
    CHECK(one[0].text.find('\n') == std::string::npos);
    CHECK(one[0].text.find('\0') == std::string::npos);
    CHECK_FALSE(find_invalid_utf8(one[0].text));
    for (const std::int32_t id : one[0].units)
      bytes += f.model().target().vocabulary.text(id).starts_with("<0x") ? 1 : 0;
  }
  CHECK(bytes > 60);
}

TEST_CASE("units join to the text that they were cut from, each with its place") {
  for (const std::string unit : {"char", "grapheme", "word", "subword"}) {
    const Translates f(unit);
    Tokens tokens;
    for (const std::string& line : kTargets) {
      std::vector<std::int32_t> ids;
      f.model().encode_target(line, tokens, ids);
      REQUIRE(ids.back() == f.model().end());
      ids.pop_back();
      CHECK(f.model().join(ids) == line);
      const auto [text, places] = f.model().join_with_places(ids);
      CHECK(text == line);
      REQUIRE(places.size() == ids.size());
      std::uint32_t end = 0;
      for (const auto& [from, to] : places) {
        CHECK(from == end);
        CHECK(to > from);
        end = to;
      }
      CHECK(end == text.size());
    }
    CHECK(f.model().join({}).empty());
  }
  // Bytes of a character that is no unit.
  const Translates f("subword");
  Tokens tokens;
  std::vector<std::int32_t> ids;
  f.model().encode_target("the 好 cat", tokens, ids);
  ids.pop_back();
  CHECK(f.model().join(ids) == "the 好 cat");
}

TEST_CASE("links between words come from the attention of their units") {
  const Translates f("subword");
  const std::string line = "ein Haus im Schnee";
  Translation one;
  one.text = "a house";
  one.source_places = {{0, 3}, {3, 6}, {6, 8}, {8, 11}, {11, 18}};  // ein| Ha|us| im| Schnee
  one.places = {{0, 1}, {1, 4}, {4, 7}};                            // a| ho|use
  one.units = {1, 2, 3};
  one.attention = {{0.1f, 0.1f, 0.1f, 0.1f, 0.6f}, {0.3f, 0.2f, 0.25f, 0.0f, 0.25f}, {0.3f, 0.2f, 0.3f, 0.1f, 0.1f}};
  CHECK(align(f.model(), line, one) == std::vector<WordLink>{{3, 0}, {1, 1}});
  // Characters are words of their own where they are the units.
  const Translates characters("char");
  Translation two;
  two.text = "a b";
  two.source_places = {{0, 3}, {3, 6}};
  two.places = {{0, 1}, {1, 2}, {2, 3}};
  two.units = {1, 2, 3};
  two.attention = {{0.4f, 0.6f}, {1.0f, 0.0f}, {0.3f, 0.7f}};
  CHECK(align(characters.model(), "好的", two) == std::vector<WordLink>{{1, 0}, {0, 1}});
  CHECK(align(f.model(), "", Translation{}).empty());
}

TEST_CASE("words are what stands between blanks, or characters") {
  using Places = std::vector<std::pair<std::uint32_t, std::uint32_t>>;
  TextConfig words, characters, graphemes;
  words.unit = "subword";
  characters.unit = "char";
  graphemes.unit = "grapheme";
  CHECK(words_of("  ab c\td ", words) == Places{{2, 4}, {5, 6}, {7, 8}});
  CHECK(words_of("a\u3000好的", words) == Places{{0, 1}, {4, 10}});
  CHECK(words_of("a 好的", characters) == Places{{0, 1}, {2, 5}, {5, 8}});
  CHECK(words_of("e\u0301 \U0001F1E9\U0001F1EA\u3000x", graphemes) == Places{{0, 3}, {4, 12}, {15, 16}});
  CHECK(words_of("", words).empty());
  CHECK(words_of(" ", characters).empty());
}

TEST_CASE("the log p of words sum to that of the text, and each word has its own") {
  ThreadPool pool(1);
  for (const std::string unit : {"subword", "char", "word"}) {
    const Translates f(unit);
    for (const std::string text : {"the cat runs", " two  cats ", "", "dogs"}) {
      const std::vector<EncodedPair> pairs{f.model().encode(kSources[0], text)};
      Workspace workspace(pool);
      const auto log_p = f.model().log_probabilities(pairs, workspace)[0];
      const Json words = words_json(f.model(), text, log_p);
      double sum = 0;
      std::string joined;
      for (const Json& word : words) {
        REQUIRE(word.size() == 2);
        sum += word[1].get<double>();
        joined += word[0].get<std::string>();
      }
      CHECK(sum == Approx(std::accumulate(log_p.begin(), log_p.end(), 0.0)).margin(1e-9));
      std::string without = text;
      std::erase(without, ' ');
      CHECK(joined == without);
      CHECK(words.back()[0].get<std::string>().empty());
      CHECK(words.back()[1].get<double>() == log_p.back());
    }
  }
}

TEST_CASE("the object of a translation") {
  ThreadPool pool(1);
  const Translates f("subword");
  TranslationOptions options;
  options.nbest = 3;
  const auto found = translate(f.model(), std::vector{kSources[1]}, options, pool)[0];
  const Json one = translations_json(f.model(), kSources[1], found, 1);
  CHECK(one["text"] == found[0].text);
  CHECK(one["log_prob"] == found[0].log_probability);
  CHECK(one["score"] == found[0].score);
  CHECK(one["tokens"].size() == found[0].units.size());
  CHECK(one["source_tokens"].size() == found[0].source_units.size());
  CHECK(one["attention"].size() == found[0].units.size());
  const Json several = translations_json(f.model(), kSources[1], found, 3);
  REQUIRE(several["hypotheses"].size() == 3);
  CHECK(several["hypotheses"][0] == one);
  for (std::size_t k = 1; k < 3; ++k) CHECK(several["hypotheses"][k]["score"] <= several["hypotheses"][k - 1]["score"]);
  // What is written row by row is the same.
  for (const std::int64_t nbest : {1, 3}) {
    std::string text;
    write_translations(f.model(), kSources[1], found, nbest, [&](std::string_view part) { text += part; });
    CHECK(text == (nbest == 1 ? one : several).dump());
  }
}

TEST_CASE("no sequence of n units occurs twice in a translation, but a required text may") {
  ThreadPool pool(2);
  const Translates f("subword");
  const auto repeats = [](const std::vector<std::int32_t>& units, std::ptrdiff_t n) {
    std::set<std::vector<std::int32_t>> seen;
    for (auto at = units.begin(); units.end() - at >= n; ++at)
      if (!seen.emplace(at, at + n).second) return true;
    return false;
  };
  std::vector<TranslationOptions> searches(3);
  searches[0].beam = 1;
  searches[1].beam = searches[1].nbest = 4;
  searches[2].sampling = SamplingOptions{.temperature = 0.3};
  for (TranslationOptions& options : searches) {
    options.shortest = 3;
    options.longest = 6;
    bool any = false;
    for (const auto& found : translate(f.model(), kSources, options, pool))
      for (const Translation& one : found) any = any || repeats(one.units, 2);
    CHECK(any);
    for (const std::int64_t n : {1, 2, 3}) {
      options.no_repeat = n;
      for (const auto& found : translate(f.model(), kSources, options, pool))
        for (const Translation& one : found) CHECK_FALSE(repeats(one.units, n));
    }
    options.no_repeat = 1;
    options.prefixes.assign(kSources.size(), "the cat the cat");
    for (const auto& found : translate(f.model(), kSources, options, pool))
      for (const Translation& one : found) CHECK(one.text.starts_with("the cat the cat"));
  }
  TranslationOptions terms;
  terms.no_repeat = 1;
  terms.glossary = {{"Haus", "house in the house"}};
  const auto found =
      translate(f.model(), std::vector<std::string>{"ein Haus", "zwei Katzen schlafen im Haus"}, terms, pool);
  for (const auto& one : found) CHECK(one.at(0).text.find("house in the house") != std::string::npos);
}

TEST_CASE("calls share what makes their constraints") {
  ThreadPool pool(2);
  const Translates f("word");
  TranslationOptions own;
  own.glossary = {{"Haus", "house"}};
  own.prefixes.assign(kSources.size(), "two");
  TranslationOptions shared = own;
  shared.required = std::make_shared<const RequiredText>(required_text(f.model()));
  const auto a = translate(f.model(), kSources, own, pool);
  for (int call = 0; call < 2; ++call) {
    const auto b = translate(f.model(), kSources, shared, pool);
    for (std::size_t i = 0; i < a.size(); ++i) CHECK(same(a[i][0], b[i][0]));
  }
  CHECK(shared.required.use_count() == 1);
  // What is given is what is used: this one has none of the words.
  const Vocabulary none = vocabulary_from({"x"}, "word", true);
  shared.required =
      std::make_shared<const RequiredText>(none, f.model().target().tokenizer, true, none.find(TextTranslator::kEnd));
  CHECK_THROWS_WITH(translate(f.model(), kSources, shared, pool), contains_text("the vocabulary has no unit for"));
}

TEST_CASE("the attention of a translation is that of its own units, whatever hypotheses there were") {
  for (const std::string& variant : kVariants) {
    const Translates f("subword", variant);
    ThreadPool pool(1);
    TranslationOptions options;
    options.nbest = options.beam = 4;
    const auto found = translate(f.model(), kSources, options, pool);
    for (std::size_t k = 0; k < kSources.size(); ++k)
      for (const Translation& one : found[k]) {
        REQUIRE(one.attention.size() == one.units.size());
        Arena arena;
        Tape tape(pool, arena, Tape::Mode::kInference);
        Tokens tokens;
        std::vector<std::int32_t> source;
        f.model().encode_source(kSources[k], tokens, source);
        TranslationSteps steps(f.model().network(), tape, std::vector<std::span<const std::int32_t>>{source});
        std::int32_t last = f.model().end();
        for (std::size_t i = 0; i < one.units.size(); ++i) {
          steps.step(std::vector{last});
          const std::vector<float> shares = steps.shares(0);
          CHECK(one.attention[i] == AttentionRow(std::span<const float>(shares)));
          last = one.units[i];
        }
      }
  }
}

TEST_CASE("a file whose ratio of lengths is out of range is refused") {
  TemporaryFolder folder;
  ThreadPool pool(1);
  const Translates f("subword");
  for (const double ratio : {-0.5, 1e7}) {
    f.translator->length_ratio = ratio;
    f.translator->save(folder / "model", Json::object(), Json::object(), pool, Existing::kReplace);
    CHECK_THROWS_WITH(TextTranslator::load(folder / "model"),
                      contains_text("model: damaged model: expected a length_ratio from 0 to 1000000, found"));
  }
  f.translator->length_ratio = 2.5;
  f.translator->save(folder / "model", Json::object(), Json::object(), pool, Existing::kReplace);
  CHECK(TextTranslator::load(folder / "model")->length_ratio == 2.5);
}

TEST_CASE("a translator that is saved and read again gives the same translations") {
  TemporaryFolder folder;
  ThreadPool pool(1);
  const Translates f("subword");
  f.translator->save(folder / "model", Json::object(), Json::object(), pool);
  const auto again = TextTranslator::load(folder / "model");
  again->prepare(pool);
  CHECK(again->verify(pool) == 0.0);
  const auto a = translate(f.model(), kSources, {}, pool), b = translate(*again, kSources, {}, pool);
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(same(a[i][0], b[i][0]));
}
