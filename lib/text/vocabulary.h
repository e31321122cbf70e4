// Tokens and their ids.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/merges.h"
#include "text/string_table.h"

namespace mnemo {

class Subwords;

/// Ids are rows of an embedding table: 0 is the unknown token, the others are tokens in the order in which they were
/// added.
///
/// The unknown token is spelled `<unk>`, and a token of that spelling in the data is the unknown token: corpora such as
/// the Penn Treebank's language model files mark unknown words in this way, which trains its embedding.
class Vocabulary {
 public:
  static constexpr std::int32_t kUnknown = 0;
  static constexpr std::string_view kUnknownText = "<unk>";

  Vocabulary();

  /// The unknown token included.
  std::int32_t size() const { return static_cast<std::int32_t>(counts_.size()); }
  /// kUnknown if absent.
  std::int32_t find(std::string_view token) const {
    const std::int32_t id = table_.find(token);
    return id < 0 ? kUnknown : id;
  }
  /// False for the unknown token.
  bool contains(std::string_view token) const { return find(token) != kUnknown; }
  std::string_view text(std::int32_t id) const { return table_.text(id); }
  /// How often it occurred in the data that the vocabulary was built from; for kUnknown, occurrences without another
  /// id.
  std::uint64_t count(std::int32_t id) const { return counts_[static_cast<std::size_t>(id)]; }

  /// Appends a token with count 0 and returns its id; a token that is already there keeps its id.
  std::int32_t add(std::string_view token);

  /// Makes the tokens subwords by these merges (text/subwords.h). The byte units are added, so that nothing is unknown;
  /// tokens that are added later are no subwords.
  void set_subwords(const std::vector<Merge>& merges);
  /// The merges by which words are cut into tokens; null if the tokens are no subwords.
  const std::shared_ptr<const Subwords>& subwords() const { return subwords_; }

  /// Bytes that `parse` reads; equal vocabularies give equal bytes. Layout, with numbers as unsigned LEB128 (seven bits
  /// per byte, low ones first, the top bit set on all bytes but the last):
  ///     "mnemo-vocabulary-1\n"
  ///     number of tokens n, the unknown one not included
  ///     count of the unknown token
  ///     n times, for ids from 1: length in bytes, count, that many bytes of UTF-8 (any character, also newlines)
  /// If there are subwords the first line is "mnemo-vocabulary-2\n", and Subwords::serialize() follows.
  std::string serialize() const;
  /// Throws Error on bytes that `serialize` cannot have written: cut off, too long, a repeated token, invalid UTF-8.
  static Vocabulary parse(std::string_view bytes);

 private:
  friend class VocabularyBuilder;
  void append(std::string_view token, std::uint64_t count);

  StringTable table_;
  std::vector<std::uint64_t> counts_;
  std::shared_ptr<const Subwords> subwords_;
};

/// Counts tokens and keeps the frequent ones.
class VocabularyBuilder {
 public:
  void add(std::string_view token, std::uint64_t n = 1);
  /// Adds what another builder counted after this one.
  void append(VocabularyBuilder&& other);

  /// Tokens that occur at least `min_count` times, the most frequent first, equally frequent ones by their bytes; at
  /// most `max_size` of them (0: no limit), not counting the unknown token.
  Vocabulary build(std::uint64_t min_count, std::size_t max_size) const;

  /// The same of the subwords of what was added, which must be the words of Unit::kSubword or begin with a newline; the
  /// latter are tokens as they are. At most `merges` merges are learnt; subwords that occur less than `min_count`
  /// times, or are not among the `max_size` most frequent ones, are cut into smaller ones.
  Vocabulary build_subwords(std::size_t merges, std::uint64_t min_count, std::size_t max_size) const;

  /// Different tokens seen so far.
  std::size_t distinct() const { return table_.size(); }

 private:
  StringTable table_;
  std::vector<std::uint64_t> counts_;
};

}  // namespace mnemo
