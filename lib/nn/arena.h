// Memory of one batch: handed out by moving a pointer, given back all at once.
#pragma once

#include <cstdint>
#include <vector>

#include "base/aligned.h"

namespace mnemo {

/// Blocks of floats for one batch. After the first batches of a size nothing is allocated any more.
class Arena {
 public:
  /// `count` floats, aligned to a cache line, not initialised.
  float* allocate(std::int64_t count);

  /// Takes everything back. What was allocated is joined into one block, so that the next batch finds it whole.
  void reset();

  std::int64_t bytes() const;

  /// Room that one product after the other may use; it keeps its size from batch to batch.
  AlignedVector& scratch() { return scratch_; }

 private:
  std::vector<AlignedVector> blocks_;
  std::size_t used_ = 0;  // floats of the last block
  AlignedVector scratch_;
};

}  // namespace mnemo
