// Rows of numbers somewhere in memory.
#pragma once

#include "base/index.h"

namespace mnemo {

// Rows `stride` apart; a stride of 0 repeats one row.
struct Rows {
  const float* at = nullptr;
  Index stride = 0;
  Rows from(Index column) const { return {at + column, stride}; }
};

}  // namespace mnemo
