#include "tasks/cut_anew.h"

#include <set>
#include <vector>

#include "tests/catch.h"
#include "text/encoder.h"

using namespace mnemo;

TEST_CASE("words are cut anew by seed, epoch and record, and keep their number") {
  const std::vector<std::string> words{"wonderful", "wonder", "wonderland", "full", "beautiful", "beauty"};
  const TokenizerOptions options{.unit = Unit::kSubword};
  VocabularyBuilder builder;
  Tokens tokens;
  count_units(Tokenizer(options), words, tokens, builder);
  const Vocabulary vocabulary = builder.build_subwords(100, 1, 0);
  const TextEncoder encoder(Tokenizer(options, vocabulary.subwords()), vocabulary, {});
  const auto rows = [&](double rate, std::uint64_t seed, std::int64_t epoch, std::int64_t record) {
    EncodedText out;
    cut_anew(rate, seed, epoch, record,
             [&](const MergeDropout& dropout) { encoder.encode_units(words, out, dropout); });
    CHECK(out.units() == 6);
    return out.rows;
  };
  CHECK(rows(0.3, 1, 2, 0) == rows(0.3, 1, 2, 0));
  std::set<std::vector<std::int32_t>> different{rows(0.3, 1, 2, 0), rows(0.3, 1, 2, 1), rows(0.3, 1, 3, 0),
                                                rows(0.3, 2, 2, 0)};
  CHECK(different.size() == 4);
  CHECK(rows(0, 1, 2, 0) == rows(0, 2, 3, 1));
}
