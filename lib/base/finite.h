// Answers are numbers.
#pragma once

#include <cmath>

#include "base/error.h"

namespace mnemo {

/// Says that a model's answer is no number. Weights are finite when a model is read; where they are huge, in a damaged
/// or forged file, what is computed from them overflows.
[[noreturn]] inline void fail_not_finite(const char* what) {
  fail(
      "the model gives no number for {}: its weights are damaged or too large; mnemo inspect MODEL --verify tells "
      "whether it still answers as when it was saved",
      what);
}

/// The value if it is a number; else throws the Error of fail_not_finite.
inline double finite(double value, const char* what) {
  if (!std::isfinite(value)) fail_not_finite(what);
  return value;
}

}  // namespace mnemo
