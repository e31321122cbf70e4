#include "text/vocabulary.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "text/packed_bytes.h"
#include "text/subwords.h"
#include "text/utf8.h"

namespace mnemo {
namespace {

constexpr std::string_view kVocabularyMagic = "mnemo-vocabulary-1\n", kVocabularyWithSubwords = "mnemo-vocabulary-2\n";

}  // namespace

Vocabulary::Vocabulary() { append(kUnknownText, 0); }

void Vocabulary::append(std::string_view token, std::uint64_t count) {
  table_.insert(token);
  counts_.push_back(count);
}

std::int32_t Vocabulary::add(std::string_view token) {
  const std::int32_t id = table_.insert(token);
  if (id == size()) counts_.push_back(0);
  return id;
}

void Vocabulary::set_subwords(const std::vector<Merge>& merges) {
  for (int byte = 0; byte < 256; ++byte) add(byte_unit(static_cast<unsigned char>(byte)));
  auto subwords = std::make_shared<Subwords>(merges);
  subwords->limit_to(*this);
  subwords_ = std::move(subwords);
}

std::string Vocabulary::serialize() const {
  std::string bytes(subwords_ ? kVocabularyWithSubwords : kVocabularyMagic);
  append_number(bytes, static_cast<std::uint64_t>(size() - 1));
  append_number(bytes, count(kUnknown));
  for (std::int32_t id = 1; id < size(); ++id) {
    append_number(bytes, text(id).size());
    append_number(bytes, count(id));
    bytes += text(id);
  }
  if (subwords_) bytes += subwords_->serialize();
  return bytes;
}

Vocabulary Vocabulary::parse(std::string_view bytes) {
  const bool with_subwords = bytes.starts_with(kVocabularyWithSubwords);
  PackedReader parser(bytes, with_subwords ? kVocabularyWithSubwords : kVocabularyMagic, "the vocabulary");
  const std::uint64_t tokens = parser.number();
  Vocabulary vocabulary;
  vocabulary.counts_[kUnknown] = parser.number();
  for (std::uint64_t i = 0; i < tokens; ++i) {
    const std::uint64_t length = parser.number(), count = parser.number();
    const std::string_view token = parser.take(length);
    if (find_invalid_utf8(token)) parser.damaged("a token is not UTF-8");
    if (vocabulary.table_.find(token) >= 0) parser.damaged("a token is repeated");
    vocabulary.append(token, count);
  }
  if (with_subwords) {
    auto subwords = std::make_shared<Subwords>(Subwords::parse(parser.take(parser.left())));
    subwords->limit_to(vocabulary);
    for (int byte = 0; byte < 256; ++byte)
      if (!vocabulary.contains(byte_unit(static_cast<unsigned char>(byte)))) parser.damaged("a byte has no unit");
    vocabulary.subwords_ = std::move(subwords);
  }
  parser.end();
  return vocabulary;
}

void VocabularyBuilder::add(std::string_view token, std::uint64_t n) {
  const auto index = static_cast<std::size_t>(table_.insert(token));
  if (index == counts_.size()) counts_.push_back(0);
  counts_[index] += n;
}

void VocabularyBuilder::append(VocabularyBuilder&& other) {
  if (counts_.empty()) {
    *this = std::move(other);
    return;
  }
  for (std::size_t i = 0; i < other.counts_.size(); ++i)
    add(other.table_.text(static_cast<std::int32_t>(i)), other.counts_[i]);
}

Vocabulary VocabularyBuilder::build(std::uint64_t min_count, std::size_t max_size) const {
  std::vector<std::int32_t> order(counts_.size());
  std::iota(order.begin(), order.end(), 0);
  const auto count = [this](std::int32_t i) { return counts_[static_cast<std::size_t>(i)]; };
  const auto dropped = [&](std::int32_t i) {
    return count(i) < min_count || table_.text(i) == Vocabulary::kUnknownText;
  };
  std::erase_if(order, dropped);
  std::sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return count(a) != count(b) ? count(a) > count(b) : table_.text(a) < table_.text(b);
  });
  if (max_size > 0 && order.size() > max_size) order.resize(max_size);

  Vocabulary vocabulary;
  std::uint64_t others = std::accumulate(counts_.begin(), counts_.end(), std::uint64_t{0});
  for (const std::int32_t i : order) {
    vocabulary.append(table_.text(i), count(i));
    others -= count(i);
  }
  vocabulary.counts_[Vocabulary::kUnknown] = others;
  return vocabulary;
}

Vocabulary VocabularyBuilder::build_subwords(std::size_t merges, std::uint64_t min_count, std::size_t max_size) const {
  PieceCounts words;
  VocabularyBuilder units;
  std::vector<std::string_view> characters;
  const auto is_word = [](std::string_view text) { return !text.empty() && text.front() != '\n'; };
  for (std::size_t i = 0; i < distinct(); ++i) {
    const std::string_view word = table_.text(static_cast<std::int32_t>(i));
    if (!is_word(word)) {
      units.add(word, counts_[i]);
      continue;
    }
    characters.clear();
    for (std::size_t at = 0; at < word.size(); at += utf8_length(word[at]))
      characters.push_back(word.substr(at, utf8_length(word[at])));
    words.add(characters, counts_[i]);
  }
  const std::vector<Merge> learnt = learn_merges(words, merges);
  const Subwords subwords(learnt);
  SubwordMemory memory;
  for (std::size_t i = 0; i < distinct(); ++i) {
    const std::string_view word = table_.text(static_cast<std::int32_t>(i));
    if (is_word(word))
      subwords.for_each_unit(word, memory, [&](std::string_view unit) { units.add(unit, counts_[i]); });
  }
  Vocabulary out = units.build(min_count, max_size);
  out.set_subwords(learnt);
  return out;
}

}  // namespace mnemo
