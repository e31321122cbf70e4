// Memory of one batch: allocated by advancing a pointer, released all at once.
#pragma once

#include <cstdint>
#include <vector>

#include "base/aligned.h"

namespace mnemo {

/// Blocks of floats for one batch. After the first batches of a size nothing more is taken from the system.
class Arena {
 public:
  /// `count` floats, aligned to a cache line, not initialised.
  float* allocate(std::int64_t count);

  /// Releases everything. The blocks are merged into one for the next batch.
  void reset();

  std::int64_t bytes() const;

  /// Scratch memory shared by successive products; it keeps its size from batch to batch.
  AlignedVector& scratch() { return scratch_; }

 private:
  std::vector<AlignedVector> blocks_;
  std::size_t used_ = 0;  // floats of the last block
  AlignedVector scratch_;
};

}  // namespace mnemo
