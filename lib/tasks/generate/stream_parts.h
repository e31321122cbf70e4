// A running text as a language model is trained on it: cut into equal parts that are read side by side.
#pragma once

#include <cstdint>
#include <vector>

#include "nn/packing.h"
#include "pipeline/stream_loss.h"
#include "train/shard.h"

namespace mnemo {

/// Parts of a text of U units. Part p holds units [first(p), first(p + 1)), and a batch the next `steps` units of each;
/// the first U mod parts ones have one unit more than the others. With an offset, unit i of the text is at i - offset,
/// cyclically, so that the parts begin elsewhere (Melis et al. 2020).
class StreamParts {
 public:
  StreamParts(std::int64_t units, std::int64_t parts, std::int64_t steps);

  std::int64_t batches() const { return (longest_ + steps_ - 1) / steps_; }
  std::int64_t parts() const { return parts_; }

  /// From now on the text begins at this unit, in [0, U).
  void rotate(std::int64_t offset) { offset_ = offset; }

  struct Rows {
    Packing packing;
    std::vector<std::int32_t> ids, targets;  ///< [N] in packed order: the unit before each target, and the target
  };
  /// The rows of some parts of a batch. `text_end` stands before the text's first unit; where the text is rotated, its
  /// last unit does.
  Rows rows(std::int64_t batch, ShardRange parts, const ReadUnits& read, std::int32_t text_end) const;

 private:
  std::int64_t first(std::int64_t part) const;

  std::int64_t units_, parts_, steps_, longest_, offset_ = 0;
};

}  // namespace mnemo
