// Records of train as a model reads them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "base/storage.h"
#include "tasks/blocks.h"
#include "tasks/dataset.h"

namespace mnemo {

/// Encoded records: kept as long as the storage of the records has memory for them, else encoded batch by batch, which
/// gives the same. `Encoded` is a corpus with `append`, `bytes` and `size`; `Length` what is known of each record.
template <class Encoded, class Length>
class EncodedRecords {
 public:
  struct Encoder {
    /// Appends records; threads share it.
    std::function<void(std::span<const std::int64_t> records, Encoded& out)> encode;
    std::function<Length(const Encoded& encoded, std::int64_t place)> length;
    /// Lengths of the records [first, end) where they are not kept; threads share it.
    std::function<std::vector<Length>(std::int64_t first, std::int64_t end)> measure;
  };

  /// `records` must outlive it. With `keep` false nothing is kept, for records that are encoded anew in each epoch.
  EncodedRecords(const RecordSet& records, bool keep, Encoder encoder)
      : encoder_(std::move(encoder)),
        storage_(records.storage()),
        kept_(keep && !records.in_file() ? std::make_unique<Encoded>() : nullptr),
        lengths_(storage_) {
    constexpr std::int64_t kBlock = 2048;
    in_blocks(
        records.size(), kBlock, storage_ ? storage_->pool : nullptr,
        [this](std::int64_t first, std::int64_t end) { return block(first, end); },
        [this](Block&& one) { take(std::move(one)); });
    lengths_.finish();
  }
  ~EncodedRecords() {
    if (storage_) storage_->give_back(taken_);
  }
  EncodedRecords(const EncodedRecords&) = delete;
  EncodedRecords& operator=(const EncodedRecords&) = delete;

  const StoredArray<Length>& lengths() const { return lengths_; }

  /// Calls `use(encoded, places)` with a corpus that has these records, and their places in it.
  template <class Use>
  auto with(std::span<const std::int64_t> records, const Use& use) {
    if (kept_) return use(std::as_const(*kept_), records);
    batch_ = Encoded();
    encoder_.encode(records, batch_);
    places_.resize(records.size());
    std::iota(places_.begin(), places_.end(), 0);
    return use(std::as_const(batch_), std::span<const std::int64_t>(places_));
  }

  /// Calls `use(encoded)` with corpora that together have all records, in order.
  template <class Use>
  void for_all(const Use& use) {
    if (kept_) return use(std::as_const(*kept_));
    constexpr std::int64_t kTogether = 1024;
    std::vector<std::int64_t> records;
    for (std::int64_t i = 0; i < lengths_.size(); ++i) {
      records.push_back(i);
      if (std::ssize(records) < kTogether && i + 1 < lengths_.size()) continue;
      with(records, [&](const Encoded& encoded, std::span<const std::int64_t>) { use(encoded); });
      records.clear();
    }
  }

 private:
  struct Block {
    Encoded encoded;
    std::vector<Length> lengths;
  };

  Block block(std::int64_t first, std::int64_t end) const {
    Block out;
    if (!kept_) {
      out.lengths = encoder_.measure(first, end);
      return out;
    }
    std::vector<std::int64_t> records(static_cast<std::size_t>(end - first));
    std::iota(records.begin(), records.end(), first);
    encoder_.encode(records, out.encoded);
    for (std::int64_t i = 0; i < end - first; ++i) out.lengths.push_back(encoder_.length(out.encoded, i));
    return out;
  }

  void take(Block&& one) {
    lengths_.append(one.lengths);
    if (!kept_) return;
    if (kept_->size() == 0)
      *kept_ = std::move(one.encoded);
    else
      kept_->append(one.encoded);
    if (!storage_) return;
    // An array that grows is held twice for a moment.
    const std::int64_t more = kept_->bytes() * 3 / 2 - taken_;
    if (storage_->take(more)) {
      taken_ += more;
      return;
    }
    kept_.reset();
    storage_->give_back(std::exchange(taken_, 0));
  }

  Encoder encoder_;
  std::shared_ptr<Storage> storage_;
  std::unique_ptr<Encoded> kept_;
  std::int64_t taken_ = 0;
  StoredArray<Length> lengths_;
  Encoded batch_;  // where they are not kept
  std::vector<std::int64_t> places_;
};

}  // namespace mnemo
