// Checks that answers are finite.
#pragma once

#include <cmath>

#include "base/error.h"

namespace mnemo {

/// Throws Error for an answer of a model that is not finite. Weights are checked to be finite when a model is read;
/// where they are huge, in a damaged or forged file, computing with them overflows.
[[noreturn]] inline void fail_not_finite(const char* what) {
  fail(
      "the model's result is not finite ({}): its weights are damaged or too large; mnemo inspect MODEL --verify "
      "checks whether it still answers as when it was saved",
      what);
}

/// The value if it is finite; else throws the Error of fail_not_finite.
inline double finite(double value, const char* what) {
  if (!std::isfinite(value)) fail_not_finite(what);
  return value;
}

}  // namespace mnemo
