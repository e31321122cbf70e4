// Searches over a made-up scorer, whose texts can all be enumerated, and text that they must have.
#include "decode/beam_search.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "base/error.h"
#include "base/random.h"
#include "decode/required.h"
#include "tests/catch.h"
#include "text/subwords.h"
#include "text/utf8.h"

using namespace mnemo;

namespace {

using Units = std::vector<std::int32_t>;

// Scores that depend on all units before, and little on chance.
class MadeUpScorer {
 public:
  MadeUpScorer(std::int64_t units, std::uint64_t seed, float spread = 2.0f)
      : units_(units), seed_(seed), spread_(spread) {}

  std::vector<float> scores(const Units& text) const {
    std::uint64_t state = seed_;
    for (const std::int32_t unit : text) state = state * 1'000'003 + static_cast<std::uint64_t>(unit) + 1;
    RandomStream random(state, Purpose::kTest);
    std::vector<float> out(static_cast<std::size_t>(units_));
    for (float& score : out) score = spread_ * static_cast<float>(random.normal());
    return out;
  }
  double log_p(const Units& text, std::int32_t next) const {
    const auto all = scores(text);
    double sum = 0;
    for (const float score : all) sum += std::exp(static_cast<double>(score));
    return static_cast<double>(all[static_cast<std::size_t>(next)]) - std::log(sum);
  }
  std::int64_t units() const { return units_; }

 private:
  std::int64_t units_;
  std::uint64_t seed_;
  float spread_;
};

struct Driven {
  std::vector<GeneratedText> found;
  std::vector<std::vector<Units>> open;             // [steps][hypotheses] the texts that waited for scores
  std::vector<std::weak_ptr<AttentionLink>> links;  // all that were made
  std::vector<std::int64_t> left;                   // [steps] how many were left after each

  std::int64_t links_left() const {
    return std::ranges::count_if(links, [](const auto& link) { return !link.expired(); });
  }
};

// Runs a search to its end, as its driver would. The attention of each step names the last unit of the text before it,
// so that a chain can be told from the text.
Driven drive(Search& search, const MadeUpScorer& scorer) {
  Driven out;
  std::vector<Units> texts(1);
  std::vector<AttentionChain> chains(1);
  std::vector<float> row;
  while (search.open() > 0) {
    REQUIRE(search.open() == std::ssize(texts));
    out.open.push_back(texts);
    for (std::size_t b = 0; b < texts.size(); ++b) {
      std::vector<float> shares(static_cast<std::size_t>(scorer.units()), 0.0f);
      if (!texts[b].empty()) shares[static_cast<std::size_t>(texts[b].back())] = 1.0f;
      chains[b] = std::make_shared<AttentionLink>(AttentionRow(std::span<const float>(shares)), chains[b]);
      out.links.emplace_back(chains[b]);
    }
    search.extend(
        [&](Index b) {
          row = scorer.scores(texts[static_cast<std::size_t>(b)]);
          return std::span<const float>(row);
        },
        chains);
    std::vector<Units> next;
    std::vector<AttentionChain> kept;
    for (std::size_t b = 0; b < search.from().size() && search.open() > 0; ++b) {
      kept.push_back(chains[static_cast<std::size_t>(search.from()[b])]);
      next.push_back(texts[static_cast<std::size_t>(search.from()[b])]);
      next.back().push_back(search.units()[b]);
    }
    texts = std::move(next);
    chains = std::move(kept);
    out.left.push_back(out.links_left());
  }
  out.found = search.take();
  return out;
}

// All texts that end after `least` units or more and, with the end, within `length`, with log p.
std::vector<std::pair<Units, double>> every_text(const MadeUpScorer& scorer, std::int32_t end, std::size_t least,
                                                 std::size_t length, const std::vector<std::int32_t>& blocked = {}) {
  std::vector<std::pair<Units, double>> out;
  const std::function<void(const Units&, double)> grow = [&](const Units& text, double log_p) {
    if (text.size() >= least) out.emplace_back(text, log_p + scorer.log_p(text, end));
    for (std::int32_t v = 0; v < scorer.units() && text.size() + 1 < length; ++v) {
      if (v == end || std::ranges::find(blocked, v) != blocked.end()) continue;
      Units longer = text;
      longer.push_back(v);
      grow(longer, log_p + scorer.log_p(text, v));
    }
  };
  grow({}, 0.0);
  return out;
}

std::size_t steps_of(const GeneratedText& text) {
  std::size_t out = 0;
  for (const AttentionLink* link = text.attention.get(); link; link = link->before.get()) ++out;
  return out;
}

// A text has the attention of its own steps, and of the end if that is one.
void check_attention(const GeneratedText& text, bool ended) {
  REQUIRE(steps_of(text) == text.units.size() + (ended ? 1 : 0));
  const std::vector<AttentionRow> rows = rows_of(text.attention, steps_of(text));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::vector<float> shares = rows[i].shares();
    for (std::size_t v = 0; v < shares.size(); ++v)
      CHECK(shares[v] == (i > 0 && text.units[i - 1] == static_cast<std::int32_t>(v) ? 1.0f : 0.0f));
  }
}

// Whether some n units occur twice in a row of their own.
bool has_repetition(const Units& text, std::size_t n) {
  std::set<Units> seen;
  for (std::size_t i = 0; i + n <= text.size(); ++i)
    if (!seen.insert(Units(text.begin() + static_cast<std::ptrdiff_t>(i),
                           text.begin() + static_cast<std::ptrdiff_t>(i + n)))
             .second)
      return true;
  return false;
}

bool has_term(const Units& text, const Units& term) {
  return term.empty() || std::search(text.begin(), text.end(), term.begin(), term.end()) != text.end();
}

// Words a b c ..., of which the last two are the ends of no text but one.
struct Letters {
  explicit Letters(const std::vector<std::string>& texts, TokenizerOptions options = {.unit = Unit::kWord})
      : tokenizer(options), blanks(options.unit == Unit::kWord) {
    for (const std::string& text : texts) vocabulary.add(text);
    end = vocabulary.add("\n");
  }
  RequiredText required() const { return RequiredText(vocabulary, tokenizer, blanks, end); }
  std::string text(const Units& units) const {
    std::string out;
    for (const std::int32_t id : units) out += (blanks && !out.empty() ? " " : "") + std::string(vocabulary.text(id));
    return out;
  }

  Vocabulary vocabulary;
  Tokenizer tokenizer;
  bool blanks;
  std::int32_t end = 0;
};

}  // namespace

TEST_CASE("a beam as wide as the space finds all texts in the order of their scores, for every penalty") {
  constexpr std::int32_t kTheEnd = 2;
  const MadeUpScorer scorer(4, 5);
  for (const std::optional<double> penalty : {std::optional<double>(), {0.0}, {0.6}, {1.0}, {2.5}})
    for (const std::int64_t least : {0, 1, 3}) {
      auto expected = every_text(scorer, kTheEnd, static_cast<std::size_t>(least), 5);
      const auto score = [&](const auto& text) {
        const auto n = static_cast<double>(text.first.size());
        return penalty ? text.second / std::pow((6.0 + n) / 6.0, *penalty) : text.second / std::max(1.0, n);
      };
      std::ranges::stable_sort(expected, std::greater<>(), score);
      const BeamOptions options{
          .beam = 400, .length = 5, .blocked = {}, .end = kTheEnd, .least = least, .length_penalty = penalty};
      BeamSearch search(scorer.units(), {}, options);
      const Driven run = drive(search, scorer);
      REQUIRE(run.found.size() >= expected.size());
      for (std::size_t i = 0; i < expected.size(); ++i) {
        CHECK(run.found[i].units == expected[i].first);
        CHECK(run.found[i].log_probability == Approx(expected[i].second).epsilon(1e-6));
        CHECK(run.found[i].score == Approx(score(expected[i])).epsilon(1e-6));
        check_attention(run.found[i], true);
      }
      // Then those that were cut off.
      for (std::size_t i = expected.size(); i < run.found.size(); ++i) CHECK(run.found[i].units.size() == 5);
    }
}

TEST_CASE("a bonus ranks the texts that end, and is asked about the hypothesis that ends") {
  constexpr std::int32_t kTheEnd = 0;
  const MadeUpScorer scorer(4, 8);
  auto expected = every_text(scorer, kTheEnd, 0, 4);
  const auto bonus = [](const Units& text) { return -1.5 * static_cast<double>(std::ranges::count(text, 3)); };
  const auto score = [&](const auto& text) { return text.second + bonus(text.first); };
  std::ranges::stable_sort(expected, std::greater<>(), score);
  std::vector<Units> texts(1);
  BeamOptions options{.beam = 200, .length = 4, .blocked = {}, .end = kTheEnd, .length_penalty = 0.0};
  options.bonus = [&](Index b) { return bonus(texts.at(static_cast<std::size_t>(b))); };
  BeamSearch search(scorer.units(), {}, options);
  std::vector<float> row;
  while (search.open() > 0) {
    search.extend([&](Index b) {
      row = scorer.scores(texts[static_cast<std::size_t>(b)]);
      return std::span<const float>(row);
    });
    std::vector<Units> next;
    for (std::size_t b = 0; b < search.from().size(); ++b) {
      next.push_back(texts[static_cast<std::size_t>(search.from()[b])]);
      next.back().push_back(search.units()[b]);
    }
    texts = std::move(next);
  }
  const auto found = search.take();
  REQUIRE(found.size() >= expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CHECK(found[i].units == expected[i].first);
    CHECK(found[i].score == Approx(score(expected[i])).epsilon(1e-6));
  }
}

TEST_CASE("without an end all texts have the full length, and compete by log p") {
  const MadeUpScorer scorer(3, 4);
  std::map<Units, double> expected;
  const std::function<void(const Units&, double)> grow = [&](const Units& text, double log_p) {
    if (text.size() == 4) expected[text] = log_p;
    for (std::int32_t v = 0; v < 3 && text.size() < 4; ++v) {
      Units longer = text;
      longer.push_back(v);
      grow(longer, log_p + scorer.log_p(text, v));
    }
  };
  grow({}, 0.0);
  const BeamOptions options{.beam = 81, .length = 4, .blocked = {}, .end = -1};
  BeamSearch search(3, {}, options);
  const Driven run = drive(search, scorer);
  REQUIRE(run.found.size() == 81);
  for (std::size_t i = 0; i < run.found.size(); ++i) {
    CHECK(run.found[i].log_probability == Approx(expected.at(run.found[i].units)).epsilon(1e-6));
    if (i > 0) CHECK(run.found[i].score <= run.found[i - 1].score);
    check_attention(run.found[i], false);
  }
}

TEST_CASE("a narrow beam gives its width of texts, each with its own log p and attention") {
  constexpr std::int32_t kTheEnd = 1;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const MadeUpScorer scorer(6, seed);
    for (const std::int64_t beam : {1, 2, 5}) {
      const BeamOptions options{.beam = beam, .length = 12, .blocked = {}, .end = kTheEnd, .length_penalty = 1.0};
      BeamSearch search(6, {}, options);
      const Driven run = drive(search, scorer);
      REQUIRE(std::ssize(run.found) == beam);
      for (const auto& open : run.open) CHECK(std::ssize(open) <= beam);
      for (const GeneratedText& text : run.found) {
        const bool ended = steps_of(text) > text.units.size();
        check_attention(text, ended);
        double sum = 0;
        for (std::size_t i = 0; i < text.units.size(); ++i)
          sum += scorer.log_p(Units(text.units.begin(), text.units.begin() + static_cast<std::ptrdiff_t>(i)),
                              text.units[i]);
        if (ended) sum += scorer.log_p(text.units, kTheEnd);
        CHECK(text.log_probability == Approx(sum).epsilon(1e-6));
      }
    }
  }
}

TEST_CASE("a single search without a temperature takes the most probable unit at each step") {
  constexpr std::int32_t kTheEnd = 0;
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    const MadeUpScorer scorer(5, seed);
    for (const std::int64_t least : {0, 3}) {
      SingleSearch::Options options;
      options.length = 7;
      options.least = least;
      options.end = kTheEnd;
      options.blocked = {0, 0, 1, 0, 0};
      SingleSearch search(5, {}, options);
      const Driven run = drive(search, scorer);
      Units expected;
      double log_p = 0;
      bool ended = false;
      while (std::ssize(expected) < 7 && !ended) {
        std::vector<float> scores = scorer.scores(expected);
        scores[2] = -100;
        if (std::ssize(expected) < least) scores[kTheEnd] = -100;
        const auto best = static_cast<std::int32_t>(std::ranges::max_element(scores) - scores.begin());
        log_p += scorer.log_p(expected, best);
        ended = best == kTheEnd;
        if (!ended) expected.push_back(best);
      }
      REQUIRE(run.found.size() == 1);
      CHECK(run.found[0].units == expected);
      CHECK(run.found[0].log_probability == Approx(log_p).epsilon(1e-6));
      check_attention(run.found[0], ended);
    }
  }
}

TEST_CASE("a beginning of words may end inside one, unless a blank follows it") {
  const Letters words({"the", "them", "then", "cat", "cats"});
  const RequiredText required = words.required();
  const MadeUpScorer scorer(words.vocabulary.size(), 3);
  const std::vector<std::uint8_t> blocked{1};
  for (const std::string beginning : {"the cat", "th", "the", "them", "the ", "the c", "them  cat", "cats "}) {
    const auto constraint = required.constraint(beginning, {});
    // What it spells, with one blank between words.
    std::string spelled = beginning;
    if (const auto two = spelled.find("  "); two != std::string::npos) spelled.erase(two, 1);
    auto expected = every_text(scorer, words.end, 0, 4, {0});
    std::erase_if(expected, [&](const auto& text) { return !words.text(text.first).starts_with(spelled); });
    std::ranges::stable_sort(expected, std::greater<>(), [](const auto& text) { return text.second; });
    const BeamOptions options{.beam = 900,
                              .length = 4,
                              .blocked = blocked,
                              .end = words.end,
                              .constraint = constraint.get(),
                              .length_penalty = 0.0};
    BeamSearch search(words.vocabulary.size(), {}, options);
    const Driven run = drive(search, scorer);
    INFO(beginning);
    REQUIRE(run.found.size() >= expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) CHECK(run.found[i].units == expected[i].first);
    for (const GeneratedText& text : run.found)
      CHECK_THAT(words.text(text.units), Catch::Matchers::StartsWith(spelled));
  }
}

TEST_CASE("a beginning or a term that the vocabulary cannot spell is named") {
  const Letters words({"the", "them", "cat"});
  const RequiredText required = words.required();
  for (const auto& [beginning, word] : {std::pair<std::string, std::string>{"dog", "dog"},
                                        {"the dog", "dog"},
                                        {"th cat", "th"},
                                        {"ca ", "ca"},
                                        {"thems", "thems"}})
    CHECK_THROWS_WITH(required.constraint(beginning, {}),
                      "the vocabulary has no unit for \"" + word + "\" in \"" + beginning + "\"");
  CHECK_THROWS_WITH(required.constraint("", {"the", "the th"}), contains_text("no unit for \"th\" in \"the th\""));
  CHECK_THROWS_WITH(required.constraint("", {" "}), contains_text("a term without text"));
  const Letters characters({"a", "b", " "}, {.unit = Unit::kChar});
  CHECK_THROWS_WITH(characters.required().constraint("ab c", {}), contains_text("no unit for \"c\" in \"ab c\""));
  CHECK_THROWS_WITH(characters.required().constraint("", {"c"}), contains_text("no unit for \"c\" in \"c\""));
}

TEST_CASE("a beginning of characters is spelled by characters") {
  const Letters letters({"a", "b", " "}, {.unit = Unit::kChar});
  const RequiredText required = letters.required();
  const MadeUpScorer scorer(letters.vocabulary.size(), 3);
  const auto constraint = required.constraint("b a", {});
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    SingleSearch::Options options;
    options.sampling.temperature = 2;
    options.seed = seed;
    options.length = 8;
    options.blocked = {1};
    options.blocked.resize(static_cast<std::size_t>(letters.vocabulary.size()));
    options.end = letters.end;
    options.constraint = constraint.get();
    SingleSearch search(letters.vocabulary.size(), {}, options);
    CHECK_THAT(letters.text(drive(search, scorer).found[0].units), Catch::Matchers::StartsWith("b a"));
  }
}

TEST_CASE("a beginning of subwords is spelled by whatever subwords, bytes included") {
  VocabularyBuilder builder;
  for (const char* word : {" lower", " lowest", " low", " new", " newer"}) builder.add(word, 5);
  builder.add("\n", 5);
  const Vocabulary vocabulary = builder.build_subwords(12, 1, 0);
  const Tokenizer tokenizer({.unit = Unit::kSubword}, vocabulary.subwords());
  const RequiredText required(vocabulary, tokenizer, false, vocabulary.find("\n"));
  const auto spell = [](const Vocabulary& units, const Units& text) {
    PieceJoiner pieces;
    std::string out;
    for (const std::int32_t id : text) out += pieces.add(units.text(id));
    return out + pieces.end();
  };
  std::size_t different = 0;
  for (const std::string beginning : {"low", "lowe", "new l", "z\u00fc", "l", "\u597d new", "low "}) {
    const auto constraint = required.constraint(beginning, {});
    std::vector<Units> seen;
    for (std::uint64_t seed = 0; seed < 12; ++seed) {
      const MadeUpScorer scorer(vocabulary.size(), seed);
      SingleSearch::Options options;
      options.sampling.temperature = 3;
      options.seed = seed;
      options.length = 40;
      options.blocked = {1};
      options.blocked.resize(static_cast<std::size_t>(vocabulary.size()));
      options.end = vocabulary.find("\n");
      options.constraint = constraint.get();
      SingleSearch search(vocabulary.size(), {}, options);
      const Units units = drive(search, scorer).found[0].units;
      CHECK_THAT(spell(vocabulary, units), Catch::Matchers::StartsWith(beginning));
      // The units that the beginning is cut into by itself need not be those that are chosen.
      Tokens tokens;
      tokenizer.tokenize(beginning, tokens);
      different += vocabulary.find(tokens.text(0)) != units.at(0) ? 1 : 0;
    }
  }
  CHECK(different > 0);
}

TEST_CASE("a beam as wide as the space finds exactly the texts that have all terms") {
  const Letters words({"a", "b", "c"});
  const RequiredText required = words.required();
  const MadeUpScorer scorer(words.vocabulary.size(), 12);
  const std::vector<std::vector<std::string>> cases{{"a"},
                                                    {"c b"},
                                                    {"a", "b"},
                                                    {"a b", "b c"},      // overlapping
                                                    {"a b", "a c"},      // with the same beginning
                                                    {"a a b"},           // that may follow its own beginning
                                                    {"b", "b"},          // twice the same
                                                    {"a", "a b", "b"}};  // one within the other
  for (const auto& terms : cases)
    for (const std::string beginning : {"", "a", "b a"}) {
      const auto constraint = required.constraint(beginning, terms);
      std::vector<Units> units;
      Tokens tokens;
      for (const std::string& term : terms) {
        words.tokenizer.tokenize(term, tokens);
        units.emplace_back();
        for (std::size_t i = 0; i < tokens.size(); ++i) units.back().push_back(words.vocabulary.find(tokens.text(i)));
      }
      auto expected = every_text(scorer, words.end, 0, 6, {0});
      std::erase_if(expected, [&](const auto& text) {
        return !words.text(text.first).starts_with(beginning) ||
               std::ranges::any_of(units, [&](const Units& term) { return !has_term(text.first, term); });
      });
      std::ranges::stable_sort(expected, std::greater<>(), [](const auto& text) { return text.second; });
      const std::vector<std::uint8_t> blocked{1};
      const BeamOptions options{.beam = 2000,
                                .length = 6,
                                .blocked = blocked,
                                .end = words.end,
                                .constraint = constraint.get(),
                                .length_penalty = 0.0};
      BeamSearch search(words.vocabulary.size(), {}, options);
      const Driven run = drive(search, scorer);
      INFO(beginning << " and " << terms.size() << " terms, the last one " << terms.back());
      REQUIRE(run.found.size() >= expected.size());
      for (std::size_t i = 0; i < expected.size(); ++i) CHECK(run.found[i].units == expected[i].first);
      for (std::size_t i = expected.size(); i < run.found.size(); ++i) CHECK(run.found[i].units.size() == 6);
    }
}

TEST_CASE("a beam of two or more has all terms, however improbable they are") {
  const Letters words({"a", "b", "c", "d", "e", "f", "g", "h"});
  const RequiredText required = words.required();
  const std::vector<std::uint8_t> blocked{1};
  const std::vector<std::vector<std::string>> cases{{"a b c"},
                                                    {"d", "e", "f"},
                                                    {"g h", "h g"},
                                                    {"a b", "a c"},
                                                    {"h", "h"},
                                                    {"a a b", "b c d"},
                                                    {"a b c d", "a e f g", "a h"},
                                                    {"a b c d e", "a c", "a d"}};
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const MadeUpScorer scorer(words.vocabulary.size(), seed, 9.0f);
    for (const auto& terms : cases)
      for (const std::int64_t beam : {2, 3, 8}) {
        const auto constraint = required.constraint("", terms);
        const BeamOptions options{.beam = beam,
                                  .length = 20,
                                  .blocked = blocked,
                                  .end = words.end,
                                  .constraint = constraint.get(),
                                  .length_penalty = 1.0};
        BeamSearch search(words.vocabulary.size(), {}, options);
        const Driven run = drive(search, scorer);
        REQUIRE_FALSE(run.found.empty());
        for (const GeneratedText& text : run.found)
          for (const std::string& term : terms)
            CHECK_THAT(" " + words.text(text.units) + " ", contains_text(" " + term + " "));
      }
  }
}

TEST_CASE("no sequence of n units occurs twice in a text, but required text may repeat one") {
  const Letters words({"a", "b", "c", "d"});
  const RequiredText required = words.required();
  std::vector<std::uint8_t> blocked(static_cast<std::size_t>(words.vocabulary.size()), 0);
  blocked[0] = 1;
  std::int64_t repeated = 0;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const MadeUpScorer scorer(words.vocabulary.size(), seed);
    for (const std::int64_t n : {0, 2, 3}) {
      const BeamOptions beam{.beam = 3, .length = 12, .blocked = blocked, .end = words.end, .no_repeat = n, .least = 5};
      SingleSearch::Options greedy, sampled;
      greedy.length = sampled.length = 12;
      greedy.blocked = sampled.blocked = blocked;
      greedy.end = sampled.end = words.end;
      greedy.sampling.no_repeat = sampled.sampling.no_repeat = n;
      sampled.sampling.temperature = 1;
      sampled.seed = seed;
      BeamSearch first(words.vocabulary.size(), {}, beam);
      SingleSearch second(words.vocabulary.size(), {}, greedy), third(words.vocabulary.size(), {}, sampled);
      for (Search* search : std::vector<Search*>{&first, &second, &third})
        for (const GeneratedText& text : drive(*search, scorer).found)
          if (n == 0)
            repeated += has_repetition(text.units, 2) ? 1 : 0;
          else
            CHECK_FALSE(has_repetition(text.units, static_cast<std::size_t>(n)));
    }
    // Both a beginning and a term that have a sequence twice come about, the term after what it repeats.
    const auto constraint = required.constraint("a b a b a b d", {"a b c"});
    const BeamOptions beam{.beam = 4,
                           .length = 20,
                           .blocked = blocked,
                           .end = words.end,
                           .no_repeat = 2,
                           .constraint = constraint.get(),
                           .length_penalty = 1.0};
    BeamSearch search(words.vocabulary.size(), {}, beam);
    const Driven run = drive(search, scorer);
    REQUIRE_FALSE(run.found.empty());
    for (const GeneratedText& text : run.found) {
      CHECK_THAT(words.text(text.units), Catch::Matchers::StartsWith("a b a b a b d"));
      CHECK_THAT(words.text(text.units) + " ", contains_text(" a b c "));
    }
  }
  CHECK(repeated > 0);
}

namespace {

// Two words, all else spelled by bytes.
struct LowNew {
  Vocabulary vocabulary = [] {
    VocabularyBuilder builder;
    for (const char* word : {" low", " new"}) builder.add(word, 5);
    builder.add("\n", 5);
    return builder.build_subwords(12, 1, 0);
  }();
  Tokenizer tokenizer{{.unit = Unit::kSubword}, vocabulary.subwords()};
  RequiredText required{vocabulary, tokenizer, false, vocabulary.find("\n")};
};

}  // namespace

TEST_CASE("required text that is spelled by bytes leaves no broken characters") {
  const LowNew words;
  const Vocabulary& vocabulary = words.vocabulary;
  const RequiredText& required = words.required;
  const auto constraint = required.constraint("\u00e9", {"\u597d\u72d7", "\u044f"});
  std::int64_t ended = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const MadeUpScorer scorer(vocabulary.size(), seed);
    const BeamOptions beam{.beam = 12,
                           .length = 40,
                           .blocked = {},
                           .end = vocabulary.find("\n"),
                           .constraint = constraint.get(),
                           .length_penalty = 1.0};
    BeamSearch search(vocabulary.size(), {}, beam);
    for (const GeneratedText& text : drive(search, scorer).found) {
      if (std::ssize(text.units) == beam.length) continue;  // cut off
      ++ended;
      std::string bytes;
      for (const std::int32_t unit : text.units) {
        const auto byte = byte_of_unit(vocabulary.text(unit));
        bytes += byte ? std::string(1, static_cast<char>(*byte)) : std::string(vocabulary.text(unit));
      }
      CHECK_FALSE(find_invalid_utf8(bytes));
    }
  }
  CHECK(ended > 0);
}

TEST_CASE("a beginning that repeats a unit is spelled as it would be without a block") {
  const LowNew words;
  const Vocabulary& vocabulary = words.vocabulary;
  const RequiredText& required = words.required;
  const auto constraint = required.constraint("low low low new low", {});
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    const MadeUpScorer scorer(vocabulary.size(), seed);
    std::vector<Units> found;
    for (const std::int64_t n : {0, 1}) {
      SingleSearch::Options options;
      options.sampling.no_repeat = n;
      options.length = 5;  // at most as many units as the beginning takes
      options.end = vocabulary.find("\n");
      options.constraint = constraint.get();
      SingleSearch search(vocabulary.size(), {}, options);
      found.push_back(drive(search, scorer).found[0].units);
    }
    CHECK(found[0] == found[1]);
  }
}

TEST_CASE("terms within the beginning are met by it") {
  const Letters words({"a", "b", "c"});
  const RequiredText required = words.required();
  const auto constraint = required.constraint("a b", {"b", "a b"});
  CHECK_FALSE(constraint->complete());
  constraint->note(words.vocabulary.find("a"));
  CHECK_FALSE(constraint->complete());
  constraint->note(words.vocabulary.find("b"));
  CHECK(constraint->complete());
  CHECK(constraint->wanted().empty());
}

TEST_CASE("a term of characters neither begins nor ends within a longer word") {
  const Letters letters({"a", "b", "c", " ", "\u72d7", "\u732b"}, {.unit = Unit::kChar});
  const RequiredText required = letters.required();
  const auto spelled = [&](const std::string& term, const std::vector<std::string>& text) {
    const auto constraint = required.constraint("", {term});
    for (const std::string& unit : text) constraint->note(letters.vocabulary.find(unit));
    return constraint->complete();
  };
  CHECK(spelled("ab", {"a", "b"}));
  CHECK(spelled("ab", {"c", " ", "a", "b", " "}));
  CHECK_FALSE(spelled("ab", {"c", "a", "b"}));
  CHECK_FALSE(spelled("aab", {"a", "a", "a", "b"}));
  CHECK_FALSE(spelled("ab", {"a", "b", "c"}));
  CHECK(spelled("ab", {"a", "b", "c", " ", "a", "b"}));
  // Where words have no blanks between them it may be anywhere.
  CHECK(spelled("\u72d7", {"\u732b", "\u72d7", "\u732b"}));
  // What would make it longer is not chosen.
  const auto constraint = required.constraint("", {"ab"});
  for (const char* unit : {"a", "b"}) constraint->note(letters.vocabulary.find(unit));
  std::vector<std::uint8_t> blocked(static_cast<std::size_t>(letters.vocabulary.size()), 0);
  constraint->block(blocked);
  CHECK(blocked[static_cast<std::size_t>(letters.vocabulary.find("c"))] == 1);
  CHECK(blocked[static_cast<std::size_t>(letters.vocabulary.find(" "))] == 0);
  CHECK(blocked[static_cast<std::size_t>(letters.end)] == 0);
  // A beginning may make it longer; then it comes once more.
  const auto beside = required.constraint("abc", {"ab"});
  for (const char* unit : {"a", "b", "c"}) beside->note(letters.vocabulary.find(unit));
  CHECK_FALSE(beside->complete());
  for (const char* unit : {" ", "a", "b"}) beside->note(letters.vocabulary.find(unit));
  CHECK(beside->complete());
}

TEST_CASE("a beginning of graphemes is not cut within one") {
  const Letters letters({"x", "x\u0304", "b"}, {.unit = Unit::kGrapheme});
  const RequiredText required = letters.required();
  const auto constraint = required.constraint("x\u0304b", {});
  std::vector<std::uint8_t> blocked(static_cast<std::size_t>(letters.vocabulary.size()), 0);
  constraint->block(blocked);
  CHECK(blocked[static_cast<std::size_t>(letters.vocabulary.find("x"))] == 1);
  CHECK(blocked[static_cast<std::size_t>(letters.vocabulary.find("x\u0304"))] == 0);
}

TEST_CASE("the attention of abandoned hypotheses is freed") {
  for (const std::uint64_t seed : {1, 2, 3}) {
    const MadeUpScorer scorer(12, seed);
    const BeamOptions options{.beam = 5, .length = 60, .blocked = {}, .end = seed == 1 ? -1 : 0, .least = 40};
    BeamSearch search(12, {}, options);
    Driven run = drive(search, scorer);
    REQUIRE(run.left.size() >= 40);
    // The hypotheses of a beam have most of their beginning in common.
    CHECK(2 * run.left.back() < std::ssize(run.links));
    std::size_t most = 0;
    for (const GeneratedText& one : run.found) most += one.units.size() + 1;
    CHECK(run.links_left() <= static_cast<std::int64_t>(most));
    run.found.clear();
    // What is left is of the hypotheses that were open in the end, of which the search has the texts.
    if (options.end < 0) CHECK(run.links_left() == 0);
  }
  // A single search has one chain.
  const MadeUpScorer scorer(12, 7);
  SingleSearch::Options options;
  options.length = 20;
  SingleSearch search(12, {}, options);
  CHECK(drive(search, scorer).left.back() == 20);
}

TEST_CASE("a chain of very many links is freed without recursion") {
  AttentionChain chain;
  for (int i = 0; i < 1'000'000; ++i) chain = std::make_shared<AttentionLink>(AttentionRow(), chain);
  const AttentionChain branch = std::make_shared<AttentionLink>(AttentionRow{0.5f}, chain->before);
  chain.reset();
  CHECK(branch->before->before != nullptr);
}

TEST_CASE("a row of attention is kept with its large shares, in few bytes") {
  std::vector<float> flat(4000, 1.0f / 4000), sharp(4000, 1e-6f);
  sharp[7] = 0.75f;
  sharp[3999] = 0.25f;
  CHECK(AttentionRow(std::span<const float>(flat)).shares() == flat);
  CHECK(AttentionRow(std::span<const float>(flat)).bytes() == 4000 * sizeof(float));
  const AttentionRow row{std::span<const float>(sharp)};
  CHECK(row.bytes() == 2 * (sizeof(float) + sizeof(std::int32_t)));
  for (float& share : sharp)
    if (share < AttentionRow::kLeastShare) share = 0;
  CHECK(row.shares() == sharp);
  CHECK(AttentionRow{0.5f, 0.0f, 1e-5f}.shares() == std::vector<float>{0.5f, 0.0f, 0.0f});
  CHECK(AttentionRow{0.0f, 0.0f}.shares() == std::vector<float>{0.0f, 0.0f});
  CHECK(AttentionRow().shares().empty());
}
