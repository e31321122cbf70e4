#include "text/vocabulary.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "text/packed_bytes.h"
#include "text/utf8.h"

namespace mnemo {
namespace {

constexpr std::string_view kVocabularyMagic = "mnemo-vocabulary-1\n";

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

std::string Vocabulary::serialize() const {
  std::string bytes(kVocabularyMagic);
  append_number(bytes, static_cast<std::uint64_t>(size() - 1));
  append_number(bytes, count(kUnknown));
  for (std::int32_t id = 1; id < size(); ++id) {
    append_number(bytes, text(id).size());
    append_number(bytes, count(id));
    bytes += text(id);
  }
  return bytes;
}

Vocabulary Vocabulary::parse(std::string_view bytes) {
  PackedReader parser(bytes, kVocabularyMagic, "the vocabulary");
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
  parser.end();
  return vocabulary;
}

void VocabularyBuilder::add(std::string_view token, std::uint64_t n) {
  const auto index = static_cast<std::size_t>(table_.insert(token));
  if (index == counts_.size()) counts_.push_back(0);
  counts_[index] += n;
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

}  // namespace mnemo
