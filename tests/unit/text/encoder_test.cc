#include "text/encoder.h"

#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "tests/catch.h"
#include "tests/unit/text/helpers.h"

using mnemo::EncodedText;
using mnemo::NgramOptions;
using mnemo::TextEncoder;
using mnemo::Tokenizer;
using mnemo::Unit;
using mnemo::UsageError;
using mnemo::Vocabulary;

namespace {

using Rows = std::vector<std::int32_t>;
using Weights = std::vector<float>;

Vocabulary small_vocabulary() {
  Vocabulary vocabulary;
  for (const char* word : {"the", "film", "中"}) vocabulary.add(word);
  return vocabulary;
}

EncodedText encode(const std::string& line, NgramOptions ngrams, const Vocabulary& vocabulary) {
  const TextEncoder encoder(Tokenizer({}), vocabulary, ngrams);
  EncodedText encoded;
  encoder.encode(line, encoded);
  return encoded;
}

// The same by definition: all n-grams of the code points of <unit>.
std::vector<std::string> character_ngrams(const std::string& unit, int shortest, int longest) {
  std::vector<std::string> characters;
  const std::string word = "<" + unit + ">";
  for (std::size_t at = 0; at < word.size(); at += mnemo::utf8_length(word[at]))
    characters.push_back(word.substr(at, mnemo::utf8_length(word[at])));
  std::vector<std::string> ngrams;
  for (std::size_t begin = 0; begin < characters.size(); ++begin)
    for (std::size_t n = static_cast<std::size_t>(shortest);
         n <= static_cast<std::size_t>(longest) && begin + n <= characters.size(); ++n) {
      const auto from = characters.begin() + static_cast<std::ptrdiff_t>(begin);
      const std::string ngram = std::accumulate(from, from + static_cast<std::ptrdiff_t>(n), std::string());
      if (n > 1 || (begin > 0 && begin + 1 < characters.size())) ngrams.push_back(ngram);
    }
  return ngrams;
}

}  // namespace

TEST_CASE("without n-grams a unit is one row") {
  const Vocabulary vocabulary = small_vocabulary();
  const EncodedText text = encode("the odd film", {}, vocabulary);
  CHECK(text.units() == 3);
  CHECK(text.starts == Rows{0, 1, 2, 3});
  CHECK(text.rows == Rows{1, Vocabulary::kUnknown, 2});
  CHECK(text.weights == Weights{1, 1, 1});
  CHECK(text.unknown == 1);
  CHECK(text.tokens.text(1) == "odd");
  CHECK(TextEncoder(Tokenizer({}), vocabulary, {}).table_rows() == 4);
}

TEST_CASE("a word that is cut into subwords has the mean of their rows, and the n-grams of the word") {
  mnemo::VocabularyBuilder builder;
  mnemo::Tokens tokens;
  const mnemo::TokenizerOptions options{.unit = Unit::kSubword, .lowercase = true};
  const std::vector<std::string> words{"Low", "lower", "lows", "U2"};
  mnemo::count_units(Tokenizer(options), words, tokens, builder);
  CHECK(builder.distinct() == 5);  // " u" and "2" are words of subwords
  const Vocabulary vocabulary = builder.build_subwords(100, 1, 0);
  const auto encoded = [&](const std::vector<std::string>& units, NgramOptions ngrams) {
    EncodedText out;
    TextEncoder(Tokenizer(options, vocabulary.subwords()), vocabulary, ngrams).encode_units(units, out);
    return out;
  };
  REQUIRE(vocabulary.contains(" low"));
  const std::int32_t low = vocabulary.find(" low"), s = vocabulary.find("s");
  const EncodedText text = encoded({"LOWS", "low", "好", ""}, {});
  CHECK(text.units() == 4);
  CHECK(text.tokens.text(0) == "lows");
  CHECK(text.starts == Rows{0, 2, 3, 7, 8});
  CHECK(Rows(text.rows.begin(), text.rows.begin() + 3) == Rows{low, s, low});
  CHECK(text.weights == Weights{0.5f, 0.5f, 1, 0.25f, 0.25f, 0.25f, 0.25f, 1});
  CHECK(text.rows[4] == vocabulary.find("<0xE5>"));
  CHECK(text.unknown == 1);  // the empty one
  // N-grams are those of the word, after its pieces.
  const EncodedText with = encoded({"lows"}, {3, 4, 2, 50});
  Rows expected{low, s};
  for (const auto& ngram : character_ngrams("lows", 3, 4))
    expected.push_back(vocabulary.size() + static_cast<std::int32_t>(mnemo::fnv1a(ngram) % 50));
  const std::size_t ngrams = expected.size() - 2;
  expected.push_back(vocabulary.size() + static_cast<std::int32_t>(mnemo::fnv1a("\xFE\xFFlows") % 50));
  CHECK(with.rows == expected);
  CHECK(with.weights[2] == 1.0f / static_cast<float>(ngrams));
  CHECK(with.weights.back() == 1);
}

TEST_CASE("an empty line has no units") {
  const Vocabulary vocabulary = small_vocabulary();
  const EncodedText text = encode("", {1, 3, 2, 10}, vocabulary);
  CHECK(text.units() == 0);
  CHECK(text.starts == Rows{0});
  CHECK(text.rows.empty());
  CHECK(EncodedText().units() == 0);
}

TEST_CASE("n-grams of characters are those of the definition") {
  const Vocabulary vocabulary = small_vocabulary();
  for (const std::string unit : {"film", "odd", "中", "größe", "a"}) {
    for (int shortest = 1; shortest < 5; ++shortest) {
      const NgramOptions ngrams{shortest, shortest + 2, 1, 1000};
      Rows expected{vocabulary.find(unit)};
      for (const auto& ngram : character_ngrams(unit, shortest, shortest + 2))
        expected.push_back(vocabulary.size() + static_cast<std::int32_t>(mnemo::fnv1a(ngram) % 1000));
      const EncodedText text = encode(unit, ngrams, vocabulary);
      CHECK(text.rows == expected);
      Weights weights(expected.size(), 1.0f / static_cast<float>(expected.size() - 1));
      weights[0] = 1;
      CHECK(text.weights == weights);
      CHECK(text.unknown == (vocabulary.contains(unit) ? 0 : 1));
    }
  }
}

TEST_CASE("a unit too short for n-grams keeps one row") {
  const Vocabulary vocabulary = small_vocabulary();
  CHECK(encode("中", {4, 6, 1, 10}, vocabulary).rows == Rows{3});
  CHECK(encode("x", {4, 6, 1, 10}, vocabulary).rows == Rows{Vocabulary::kUnknown});
}

TEST_CASE("n-grams of units reach back, and beyond the start") {
  const Vocabulary vocabulary = small_vocabulary();
  const auto row = [&](const std::string& ngram) {
    return vocabulary.size() + static_cast<std::int32_t>(mnemo::fnv1a(ngram) % 5000);
  };
  const EncodedText text = encode("the film the", {0, 0, 3, 5000}, vocabulary);
  CHECK(text.starts == Rows{0, 3, 6, 9});
  CHECK(text.rows == Rows{1, row("\xFE\xFFthe"), row("\xFE\xFF\xFE\xFFthe"),  //
                          2,
                          row("the\xFF"
                              "film"),
                          row("\xFE\xFFthe\xFF"
                              "film"),  //
                          1, row("film\xFFthe"),
                          row("the\xFF"
                              "film\xFFthe")});
  CHECK(text.weights == Weights(9, 1));
  CHECK(TextEncoder(Tokenizer({}), vocabulary, {0, 0, 2, 5000}).table_rows() == 5004);
}

TEST_CASE("both kinds of n-grams add up") {
  const Vocabulary vocabulary = small_vocabulary();
  const EncodedText text = encode("the odd", {3, 3, 2, 100}, vocabulary);
  CHECK(text.starts == Rows{0, 5, 10});
  CHECK(text.weights == Weights{1, 1.0f / 3, 1.0f / 3, 1.0f / 3, 1, 1, 1.0f / 3, 1.0f / 3, 1.0f / 3, 1});
  CHECK(text.rows[0] == 1);
  CHECK(text.rows[5] == Vocabulary::kUnknown);
  for (const auto row : text.rows) CHECK(row < 104);
}

TEST_CASE("exactly the look-up form is encoded") {
  const Vocabulary vocabulary = small_vocabulary();
  EncodedText text;
  TextEncoder(Tokenizer({Unit::kWord, mnemo::Normalization::kNfc, true, false}), vocabulary, {})
      .encode("THE Film", text);
  CHECK(text.rows == Rows{1, 2});
  TextEncoder(Tokenizer({}), vocabulary, {}).encode("THE Film", text);
  CHECK(text.rows == Rows{Vocabulary::kUnknown, Vocabulary::kUnknown});
}

TEST_CASE("a reused result holds nothing of the previous line") {
  const Vocabulary vocabulary = small_vocabulary();
  const TextEncoder encoder(Tokenizer({}), vocabulary, {2, 4, 3, 50});
  EncodedText reused, fresh;
  encoder.encode("many unknown words in a row", reused);
  encoder.encode("the film", reused);
  encoder.encode("the film", fresh);
  CHECK(reused.starts == fresh.starts);
  CHECK(reused.rows == fresh.rows);
  CHECK(reused.weights == fresh.weights);
  CHECK(reused.unknown == 0);
}

TEST_CASE("invalid n-gram options are refused") {
  const Vocabulary vocabulary;
  const auto error = [&](NgramOptions ngrams) {
    return message_of<UsageError>([&] { TextEncoder(Tokenizer({}), vocabulary, ngrams); });
  };
  CHECK_THAT(error({3, 2, 1, 10}), contains_text("character n-grams from 3 to 2"));
  CHECK_THAT(error({0, 2, 1, 10}), contains_text("expected 1 <= shortest"));
  CHECK_THAT(error({-1, 2, 1, 10}), contains_text("expected 1 <= shortest"));
  CHECK_THAT(error({2, 0, 1, 10}), contains_text("expected 1 <= shortest"));
  CHECK_THAT(error({0, 0, 0, 10}), contains_text("up to 0 units"));
  CHECK_THAT(error({0, 0, 2, 0}), contains_text("at least 1 bucket"));
  CHECK_THROWS_AS(TextEncoder(Tokenizer({}), vocabulary, {0, 0, 2, 0xFFFFFFFFu}), mnemo::Error);
}
