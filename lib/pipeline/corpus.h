// Encoded texts in contiguous memory, and the batches made from them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/storage.h"
#include "nn/embedding.h"
#include "nn/packing.h"
#include "text/encoder.h"

namespace mnemo {

/// Texts as bags of rows of the embedding table, one bag per unit.
class Corpus {
 public:
  void add(const EncodedText& text);
  /// Adds the texts of another corpus.
  void append(const Corpus& other);
  void clear();
  /// Memory taken.
  std::int64_t bytes() const;

  std::int64_t size() const { return static_cast<std::int64_t>(text_starts_.size()) - 1; }
  std::int32_t length(std::int64_t text) const {
    return static_cast<std::int32_t>(text_starts_[text + 1] - text_starts_[text]);
  }
  std::vector<std::int32_t> lengths() const;
  std::int64_t units() const { return text_starts_.back(); }
  std::int64_t unknown_units() const { return unknown_; }

  /// Units, or subwords that a unit consists of, whose own row is replaced by the unknown unit's: each with probability
  /// `rate`, those that occur once in train also with `singleton_rate`, drawn from the stream of `seed` and `step`.
  /// Their n-grams stay, and so learn to represent unknown units.
  struct UnknownUnits {
    double rate = 0.0, singleton_rate = 0.0;
    const Vocabulary* vocabulary = nullptr;  ///< with the counts in train; null: no singleton_rate, no unit of subwords
    std::uint64_t seed = 0, step = 0;

    double rate_of(std::int32_t row) const;
    bool is_own(std::int32_t row) const;  ///< a row after the first of its unit: a subword's, not an n-gram's
  };

  /// A batch of texts, packed.
  struct Batch {
    Packing packing;
    Bags bags;  // in packed order
  };
  Batch batch(std::span<const std::int64_t> texts) const { return batch(texts, UnknownUnits()); }
  Batch batch(std::span<const std::int64_t> texts, const UnknownUnits& unknown) const;

  /// The index of a text's first unit among all units.
  std::int64_t first_unit(std::int64_t text) const { return text_starts_[text]; }
  /// A unit's own row, that of its first subword, or kUnknown.
  std::int32_t own_row(std::int64_t unit) const { return rows_[static_cast<std::size_t>(unit_starts_[unit])]; }

 private:
  std::vector<std::int64_t> text_starts_{0};  // [texts + 1] into units
  std::vector<std::int64_t> unit_starts_{0};  // [units + 1] into rows
  std::vector<std::int32_t> rows_;
  std::vector<float> weights_;
  std::int64_t unknown_ = 0;
};

/// Batches of records, by number. The order of the records lies in a storage.
class Batches {
 public:
  std::int64_t size() const { return std::ssize(order_); }
  std::vector<std::int64_t> operator[](std::int64_t batch) const {
    const std::int64_t b = order_[static_cast<std::size_t>(batch)];
    const std::int64_t first = starts_[static_cast<std::size_t>(b)];
    const auto found = records_.values(first, starts_[static_cast<std::size_t>(b) + 1] - first);
    return {found.begin(), found.end()};
  }

 private:
  friend Batches make_batches(const StoredArray<std::int32_t>&, std::int64_t, std::int64_t, std::uint64_t,
                              std::uint64_t, std::shared_ptr<Storage>);

  StoredArray<std::uint32_t> records_;
  std::vector<std::int64_t> starts_;  // [batches + 1] into records_
  std::vector<std::uint32_t> order_;  // [batches]
};

/// Batches of texts with similar lengths, in random order: texts are sorted by length, ties at random, cut into batches
/// of `batch_size` texts (or, with `batch_tokens` above 0, of as many texts as have no more units than that, at least
/// one), and the batches are shuffled, all by `seed` and `epoch`. The number of batches does not depend on the epoch.
/// Takes 4 bytes of memory a text while it works, another 4 if the lengths lie in a file.
Batches make_batches(const StoredArray<std::int32_t>& lengths, std::int64_t batch_size, std::int64_t batch_tokens,
                     std::uint64_t seed, std::uint64_t epoch, std::shared_ptr<Storage> storage = nullptr);

/// The places of records in batches of similar length: sorted by length, cut where a batch would cost more than `most`.
/// `costs` are those of the records; one that costs more alone is a batch of its own.
std::vector<std::vector<std::int64_t>> batches_by_length(std::span<const std::int64_t> lengths,
                                                         std::span<const std::int64_t> costs, std::int64_t most);

/// Batches for inference: all texts by length, cut where a batch would have more units than fill the tiles of the
/// matrix products. `costs` [texts], if not empty, replaces the texts' lengths, to count units that take more memory as
/// more than one.
std::vector<std::vector<std::int64_t>> inference_batches(const Corpus& corpus,
                                                         std::span<const std::int64_t> costs = {});

}  // namespace mnemo
