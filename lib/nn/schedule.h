// The learning rate over time.
#pragma once

#include <cstdint>

namespace mnemo {

enum class ScheduleKind { kConstant, kLinear, kCosine, kInverseSqrt, kPlateau };

/// With `warmup` steps w the rate rises linearly to its peak r at step w, then for step s (from 1) of n in all:
///   constant      r
///   linear        r (1 - p) + r_end p,          p = (s - w) / (n - w)
///   cosine        r_end + (r - r_end) (1 + cos(pi p)) / 2     (Loshchilov & Hutter 2017)
///   inverse_sqrt  r sqrt(w / s), w at least 1                 (Vaswani et al. 2017)
///   plateau       r times `factor` for each time that `patience` evaluations in a row did not improve the metric
/// r_end = end_factor * r.
struct ScheduleOptions {
  ScheduleKind kind = ScheduleKind::kConstant;
  double learning_rate = 1e-3, end_factor = 0.0, factor = 0.5;
  std::int64_t warmup = 0, steps = 1, patience = 2;
};

class Schedule {
 public:
  explicit Schedule(const ScheduleOptions& options) : options_(options) {}

  double rate(std::int64_t step) const;

  /// Reports an evaluation's outcome; only plateau uses it.
  void evaluated(bool better);

  /// The state that a resumed run needs.
  struct State {
    double scale = 1.0;
    std::int64_t waited = 0;
  };
  State state;

 private:
  ScheduleOptions options_;
};

}  // namespace mnemo
