// Records in a storage, and what is derived from them: the same in memory as in a file, for any number of threads, and
// as by the plain way.
#include <algorithm>
#include <map>
#include <numeric>

#include "base/random.h"
#include "base/thread_pool.h"
#include "pipeline/corpus.h"
#include "tasks/classify/data.h"
#include "tasks/counted_units.h"
#include "tasks/encoded_records.h"
#include "tasks/repeats.h"
#include "tasks/tag/data.h"
#include "tasks/translate/data.h"
#include "tests/catch.h"
#include "tests/temporary_folder.h"

using namespace mnemo;

namespace {

// More than a block of any kind of work; a third of the texts repeat another one.
constexpr std::int64_t kTexts = 70'000;

std::string text_of(std::int64_t i) {
  RandomStream random(5, Purpose::kTest, static_cast<std::uint64_t>(i));
  const std::uint64_t number = random.below(static_cast<std::uint64_t>(kTexts));
  std::string out;
  for (std::uint64_t word = 0; word < number % 5; ++word) out += "w" + std::to_string(number % (101 + word)) + " ";
  return out + std::to_string(number);
}

LabelledTexts many_texts(const std::shared_ptr<Storage>& storage) {
  LabelledTexts out(storage);
  out.files.resize(3);
  for (std::int64_t i = 0; i < kTexts; ++i) {
    std::vector<std::string> labels{"l" + std::to_string(i % 7)};
    if (i % 7 == 0) labels.emplace_back("zero");
    // No record is from the second file.
    out.add(labels, text_of(i), i < 1000 ? 0 : 2, static_cast<std::uint64_t>(i) << (i % 30));
  }
  out.finish();
  return out;
}

// Storages in memory, half in a file, and all in a file.
std::vector<std::shared_ptr<Storage>> storages(const std::string& folder, ThreadPool& pool) {
  std::vector<std::shared_ptr<Storage>> out{nullptr};
  for (const std::int64_t limit : {std::int64_t{1} << 40, std::int64_t{1} << 20, std::int64_t{0}}) {
    out.push_back(std::make_shared<Storage>(folder, limit));
    out.back()->pool = &pool;
  }
  return out;
}

// For each record the first one with its text.
std::map<std::string, std::int64_t> first_texts(const RecordSet& records) {
  std::map<std::string, std::int64_t> out;
  for (std::int64_t i = 0; i < records.size(); ++i) out.emplace(records.text(i), i);
  return out;
}

}  // namespace

TEST_CASE("records of each kind are read as they were written, wherever they lie") {
  TemporaryFolder folder;
  ThreadPool pool(2);
  for (const auto& storage : storages(folder.path(), pool)) {
    const LabelledTexts texts = many_texts(storage);
    REQUIRE(texts.size() == kTexts);
    CHECK(texts.in_file() == (storage && storage->exceeded()));
    bool equal = true;
    for (const std::int64_t i : {std::int64_t{0}, std::int64_t{999}, std::int64_t{1000}, kTexts - 1}) {
      const auto entry = texts.entry(i);
      equal &= entry.text == text_of(i) && entry.line == static_cast<std::uint64_t>(i) << (i % 30);
      equal &= entry.labels.front() == "l" + std::to_string(i % 7) && (entry.labels.size() == 2) == (i % 7 == 0);
    }
    CHECK(equal);

    TaggedSentences sentences(storage);
    sentences.files.resize(2);
    const TaggedSentences::Entry first{{"a", "b"}, {{"O", "B-X"}, {"x", "y"}}, {7, 9}, {0, 1}, 1, true};
    sentences.add({{}, {{}, {}}, {}, {}, 0, false});
    sentences.add(first);
    sentences.finish();
    const auto found = sentences.entry(1);
    CHECK(found.tokens == first.tokens);
    CHECK(found.tags == first.tags);
    CHECK(found.lines == first.lines);
    CHECK(found.breaks == first.breaks);
    CHECK((found.file == 1 && found.by_spans && sentences.length(1) == 2));
    CHECK((sentences.entry(0).tokens.empty() && sentences.entry(0).tags.size() == 2 && !sentences.by_spans(0)));

    PairSet pairs(storage);
    pairs.files.resize(1);
    pairs.add("", "target", 0, 1);
    pairs.add("source", "", 0, 2);
    pairs.finish();
    CHECK((pairs.entry(0).source.empty() && pairs.entry(0).target == "target"));
    CHECK((pairs.entry(1).source == "source" && pairs.entry(1).target.empty() && pairs.entry(1).line == 2));
    CHECK(pairs.text(1) == "source\t");
  }
}

TEST_CASE("selections number the records of one store, and can be put together again") {
  TemporaryFolder folder;
  ThreadPool pool(1);
  for (const auto& storage : storages(folder.path(), pool)) {
    const LabelledTexts texts = many_texts(storage);
    const auto even = texts.select([](std::int64_t i) { return i % 2 == 0; }),
               odd = texts.select([](std::int64_t i) { return i % 2 != 0; }),
               quarter = even->select([](std::int64_t i) { return i % 2 == 0; });
    CHECK(quarter->size() == kTexts / 4);
    CHECK(quarter->text(3) == text_of(12));
    CHECK(static_cast<const LabelledTexts&>(*quarter).entry(7).labels.front() == "l0");
    even->append(*odd);
    CHECK(even->size() == kTexts);
    CHECK(even->text(kTexts / 2) == text_of(1));
    CHECK(even->none()->size() == 0);
    even->append(*even->none());
    CHECK(even->size() == kTexts);
    CHECK_THROWS_WITH(even->append(many_texts(nullptr)), contains_text("different files"));
  }
}

TEST_CASE("repeated texts are those that a map finds") {
  TemporaryFolder folder;
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads);
    for (const auto& storage : storages(folder.path(), pool)) {
      const LabelledTexts texts = many_texts(storage);
      const auto train = texts.select([](std::int64_t i) { return i % 3 != 0; }),
                 dev = texts.select([](std::int64_t i) { return i % 3 == 0; });
      const auto known = first_texts(*train);
      std::map<std::pair<std::size_t, std::int64_t>, std::int64_t> expected, found;
      for (std::int64_t i = 0; i < train->size(); ++i)
        if (const std::int64_t first = known.at(train->text(i)); first != i) expected[{0, i}] = first;
      for (std::int64_t i = 0; i < dev->size(); ++i)
        if (const auto match = known.find(dev->text(i)); match != known.end()) expected[{1, i}] = match->second;
      REQUIRE(expected.size() > 1000);
      find_repeats(*train, {dev.get()}, [&](std::size_t set, std::int64_t record, std::int64_t first) {
        found[{set, record}] = first;
      });
      CHECK(found == expected);
    }
  }
}

TEST_CASE("a split of stored texts is that of texts in memory") {
  TemporaryFolder folder;
  ThreadPool pool(2);
  const LabelledTexts plain = many_texts(nullptr);
  std::vector<std::string> texts;
  for (std::int64_t i = 0; i < kTexts; ++i) texts.push_back(plain.text(i));
  const std::vector<double> shares{0.7, 0.2, 0.1};
  const auto expected = split_by_text(std::vector<std::string_view>(texts.begin(), texts.end()), shares, 9);
  for (const auto& storage : storages(folder.path(), pool))
    CHECK(split_by_text(many_texts(storage), shares, 9) == expected);
}

TEST_CASE("batches are those of a stable sort by length") {
  TemporaryFolder folder;
  ThreadPool pool(1);
  std::vector<std::int32_t> lengths;
  for (std::int64_t i = 0; i < kTexts; ++i) lengths.push_back(static_cast<std::int32_t>(text_of(i).size() % 13));
  // The plain way.
  const auto plain = [&](std::int64_t size, std::int64_t tokens) {
    RandomStream random(3, Purpose::kShuffle, 4);
    std::vector<std::int64_t> order(lengths.size());
    std::iota(order.begin(), order.end(), 0);
    random.shuffle(order);
    std::ranges::stable_sort(order, {}, [&](std::int64_t text) { return lengths[static_cast<std::size_t>(text)]; });
    std::vector<std::vector<std::int64_t>> batches;
    std::int64_t units = 0;
    for (const std::int64_t text : order) {
      units += lengths[static_cast<std::size_t>(text)];
      if (batches.empty() || (tokens > 0 ? units > tokens : std::ssize(batches.back()) >= size)) {
        batches.emplace_back();
        units = lengths[static_cast<std::size_t>(text)];
      }
      batches.back().push_back(text);
    }
    random.shuffle(batches);
    return batches;
  };
  for (const auto& storage : storages(folder.path(), pool))
    for (const auto& [size, tokens] : {std::pair<std::int64_t, std::int64_t>{32, 0}, {1, 0}, {32, 100}, {7, 1}}) {
      StoredArray<std::int32_t> stored(storage);
      stored.append(lengths);
      stored.finish();
      const Batches found = make_batches(stored, size, tokens, 3, 4, storage);
      const auto expected = plain(size, tokens);
      REQUIRE(found.size() == std::ssize(expected));
      bool equal = true;
      for (std::int64_t b = 0; b < found.size(); ++b) equal &= found[b] == expected[static_cast<std::size_t>(b)];
      CHECK(equal);
    }
  StoredArray<std::int32_t> none;
  none.finish();
  CHECK(make_batches(none, 32, 0, 1, 1).size() == 0);
}

TEST_CASE("units are counted and records encoded in the same order by any number of threads") {
  TemporaryFolder folder;
  std::string expected;
  std::vector<std::int32_t> rows;
  for (const int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    for (const auto& storage : storages(folder.path(), pool)) {
      const LabelledTexts texts = many_texts(storage);
      const Tokenizer tokenizer(TokenizerOptions{});
      const auto counted = counted_units(texts, [&](std::int64_t first, std::int64_t end, VocabularyBuilder& out) {
        Tokens tokens;
        for (std::int64_t text = first; text < end; ++text) {
          tokenizer.tokenize(texts.entry(text).text, tokens);
          for (std::size_t i = 0; i < tokens.size(); ++i) out.add(tokens.text(i));
        }
      });
      const Vocabulary vocabulary = counted.build(2, 0);
      if (expected.empty()) expected = vocabulary.serialize();
      CHECK(vocabulary.serialize() == expected);

      const TextEncoder encoder(tokenizer, vocabulary, {.char_min = 2, .char_max = 3});
      using Encoded = EncodedRecords<Corpus, std::int32_t>;
      Encoded encoded(texts, true,
                      {[&](std::span<const std::int64_t> records, Corpus& out) {
                         EncodedText text;
                         for (const std::int64_t i : records) {
                           encoder.encode(texts.entry(i).text, text);
                           out.add(text);
                         }
                       },
                       [](const Corpus& corpus, std::int64_t place) { return corpus.length(place); },
                       [&](std::int64_t first, std::int64_t end) {
                         std::vector<std::int32_t> out;
                         Tokens tokens;
                         for (std::int64_t i = first; i < end; ++i)
                           out.push_back(encoder.count(texts.entry(i).text, tokens).units);
                         return out;
                       }});
      const std::vector<std::int64_t> some{kTexts - 1, 0, 5000, 2047, 2048, 30'000};
      std::int64_t units = 0;
      for (const std::int64_t i : some) units += encoded.lengths()[i];
      const auto batch = encoded.with(some, [&](const Corpus& corpus, std::span<const std::int64_t> places) {
        return corpus.batch(places, {.rate = 0.5, .seed = 1, .step = 2});
      });
      CHECK(batch.packing.tokens() == units);
      if (rows.empty()) rows = batch.bags.rows;
      CHECK(batch.bags.rows == rows);
      std::int64_t all = 0;
      encoded.for_all([&](const Corpus& corpus) { all += corpus.size(); });
      CHECK(all == kTexts);
    }
  }
}
